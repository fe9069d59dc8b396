//! Names of images.

/// The name of an image that is safe in the address of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName(String);

impl ImageName {
    /// Reads a name: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. `None` when it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
        let good = text.len() <= 512
            && text.bytes().all(is_known)
            && text
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphanumeric())
            && text
                .split('/')
                .all(|part| !part.is_empty() && part.bytes().any(|byte| byte != b'.'));
        good.then(|| Self(text.to_owned()))
    }

    /// The name as a person writes it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without tag, and the tag: `latest` where none is named, nothing for one by its digest.
    pub(crate) fn parts(&self) -> (&str, &str) {
        if self.0.contains('@') {
            return (&self.0, "");
        }
        let path = self.0.rfind('/').map_or(0, |slash| slash + 1);
        match self.0[path..].find(':') {
            Some(colon) => (&self.0[..path + colon], &self.0[path + colon + 1..]),
            None => (&self.0, "latest"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_and_what_is_no_name_is_refused() {
        for (text, parts) in [
            ("busybox", ("busybox", "latest")),
            (" node:20-alpine ", ("node", "20-alpine")),
            ("localhost:5000/team/app", ("localhost:5000/team/app", "latest")),
            ("ghcr.io/team/app:1.2", ("ghcr.io/team/app", "1.2")),
            ("app@sha256:00ff", ("app@sha256:00ff", "")),
        ] {
            assert_eq!(ImageName::parse(text).expect(text).parts(), parts);
        }
        for text in [
            "",
            "-x",
            "a b",
            "a/../b",
            "a//b",
            "/a",
            "a?x=1",
            "a%2fb",
            "${bamboo.x}",
            "a\nb",
        ] {
            assert_eq!(ImageName::parse(text), None, "{text}");
        }
    }
}
