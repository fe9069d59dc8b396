//! Annotated tags: who made one, when, and what was said.

use std::path::Path;

use super::commit::signature;
use super::{GitReader, MAX_STRUCTURE_BYTES, ObjectKind, ReadError, Signature};
use crate::name::ObjectId;

/// An annotated tag. The texts are as stored: show them through [`crate::text::display_text`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tag {
    /// Who made it, and when; tags of the first years of git have none.
    pub tagger: Option<Signature>,
    /// The message, without a signature behind it; what is not UTF-8 is replaced.
    pub message: String,
}

impl GitReader {
    /// The annotated tag with this id; none if the object is of another kind, or is not there.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn tag(&self, repository: &Path, id: &ObjectId) -> Result<Option<Tag>, ReadError> {
        match self.object(repository, id).await? {
            Some(info) if info.kind == ObjectKind::Tag => {
                let raw = self
                    .objects
                    .contents(repository, id, ObjectKind::Tag, MAX_STRUCTURE_BYTES)
                    .await?;
                Ok(Some(parse(&raw)))
            }
            _ => Ok(None),
        }
    }
}

fn parse(raw: &[u8]) -> Tag {
    let text = String::from_utf8_lossy(raw);
    let (head, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let tagger = head.lines().find_map(|line| line.strip_prefix("tagger "));
    let signed = [
        "-----BEGIN PGP SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----",
        "-----BEGIN SIGNED MESSAGE-----",
    ];
    let end = signed
        .iter()
        .filter_map(|mark| {
            if rest.starts_with(mark) {
                Some(0)
            } else {
                rest.find(&format!("\n{mark}")).map(|at| at + 1)
            }
        })
        .min()
        .unwrap_or(rest.len());
    Tag {
        tagger: tagger.map(signature),
        message: rest[..end].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype commit\ntag v1\n";

    #[test]
    fn tagger_and_message_are_read_and_the_signature_is_left_out() {
        let signed = "-----BEGIN PGP SIGNATURE-----\nabc\n-----END PGP SIGNATURE-----\n";
        let raw = format!("{HEAD}tagger A B <a@b> 1700000000 +0130\n\nfirst\n\nmore\n{signed}");
        let tag = parse(raw.as_bytes());
        let tagger = tag.tagger.unwrap();
        assert_eq!((tagger.name.as_str(), tagger.email.as_str()), ("A B", "a@b"));
        assert_eq!((tagger.time_ms, tagger.offset_minutes), (1_700_000_000_000, 90));
        assert_eq!(tag.message, "first\n\nmore\n");
        assert_eq!(parse(format!("{HEAD}\n{signed}").as_bytes()).message, "");
    }

    #[test]
    fn old_tags_have_no_tagger() {
        let tag = parse(format!("{HEAD}\nold\n").as_bytes());
        assert_eq!((tag.tagger, tag.message.as_str()), (None, "old\n"));
        assert_eq!(parse(b""), Tag::default());
    }
}
