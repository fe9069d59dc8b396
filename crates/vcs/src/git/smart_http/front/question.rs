//! A client's question after refs.

/// Git takes this many prefixes as none at all.
const TOO_MANY_PREFIXES: usize = 65_536;

/// What a client wants to know of refs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// What annotated tags finally name.
    pub(super) peel: bool,
    /// Where symbolic refs point.
    pub(super) symrefs: bool,
    /// The beginnings of the names that are wanted; none for all.
    prefixes: Vec<String>,
}

impl Question {
    /// Reads the body of a request. `None` if it asks something else, or in a way that only git understands.
    #[must_use]
    pub fn parse(mut body: &[u8]) -> Option<Self> {
        let mut question = Self::default();
        let mut line = 0;
        let mut in_arguments = false;
        loop {
            let (digits, rest) = body.split_first_chunk::<4>()?;
            let length = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            match length {
                0 => return (rest.is_empty() && line > 0).then(|| question.finished()),
                1 if line > 0 && !in_arguments => {
                    in_arguments = true;
                    body = rest;
                    continue;
                }
                4..=0xffff => {}
                _ => return None,
            }
            let (payload, rest) = rest.split_at_checked(length - 4)?;
            body = rest;
            let text = std::str::from_utf8(payload).ok()?;
            let text = text.strip_suffix('\n').unwrap_or(text);
            match (line, in_arguments) {
                (0, false) if text == "command=ls-refs" => {}
                (0, _) => return None,
                (_, false) if text.starts_with("agent=") || text == "object-format=sha1" => {}
                (_, false) => return None,
                (_, true) => question.take(text)?,
            }
            line += 1;
        }
    }

    fn take(&mut self, argument: &str) -> Option<()> {
        match argument {
            "peel" => self.peel = true,
            "symrefs" => self.symrefs = true,
            // About a HEAD without a branch, which git is asked for.
            "unborn" => {}
            _ => self
                .prefixes
                .push(argument.strip_prefix("ref-prefix ")?.to_owned()),
        }
        Some(())
    }

    fn finished(mut self) -> Self {
        if self.prefixes.len() >= TOO_MANY_PREFIXES {
            self.prefixes.clear();
        }
        self
    }

    /// Whether a name is asked for.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.prefixes.is_empty()
            || self
                .prefixes
                .iter()
                .any(|prefix| name.starts_with(prefix.as_str()))
    }

    /// Whether names below a folder may be asked for; it ends with a slash.
    pub(super) fn wants_below(&self, folder: &str) -> bool {
        self.prefixes.is_empty()
            || self
                .prefixes
                .iter()
                .any(|prefix| folder.starts_with(prefix.as_str()) || prefix.starts_with(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::pkt_line;
    use super::*;

    fn request(lines: &[&str]) -> Vec<u8> {
        let mut body = Vec::new();
        for line in lines {
            match *line {
                "delimiter" => body.extend_from_slice(b"0001"),
                "flush" => body.extend_from_slice(pkt_line::FLUSH),
                text => body.extend_from_slice(&pkt_line::packet(text.as_bytes())),
            }
        }
        body
    }

    #[test]
    fn questions_of_clients_are_understood() {
        let asked = request(&[
            "command=ls-refs\n",
            "agent=git/2.47.3",
            "object-format=sha1",
            "delimiter",
            "peel\n",
            "symrefs\n",
            "ref-prefix refs/heads/\n",
            "ref-prefix HEAD\n",
            "flush",
        ]);
        let question = Question::parse(&asked).unwrap();
        assert!(question.peel && question.symrefs);
        assert!(question.wants("HEAD") && question.wants("refs/heads/main"));
        assert!(!question.wants("refs/tags/1") && !question.wants_below("refs/tags/"));
        assert!(question.wants_below("refs/") && question.wants_below("refs/heads/topic/"));
    }

    #[test]
    fn what_is_not_understood_is_left_to_git() {
        for lines in [
            &["command=fetch", "delimiter", "done\n", "flush"][..],
            &["command=ls-refs\n", "server-option=x", "delimiter", "flush"],
            &["command=ls-refs\n", "object-format=sha256", "delimiter", "flush"],
            &["command=ls-refs\n", "delimiter", "surprise\n", "flush"],
            &["command=ls-refs\n", "delimiter", "peel\n"],
            &["command=ls-refs\n", "flush", "flush"],
            &["flush"],
            &[],
        ] {
            assert_eq!(Question::parse(&request(lines)), None, "{lines:?}");
        }
        assert_eq!(Question::parse(b"zzzz"), None);
        assert_eq!(Question::parse(b"0003"), None);
        assert_eq!(Question::parse(b"ffffcommand=ls-refs"), None);
    }

    #[test]
    fn question_without_prefixes_wants_everything() {
        let question = Question::parse(&request(&["command=ls-refs\n", "flush"])).unwrap();
        assert!(question.wants("refs/notes/commits") && question.wants_below("refs/x/"));
    }
}
