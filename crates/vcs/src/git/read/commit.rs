//! Commits: the lines of the object, and the message as its author meant it.

use super::ReadError;
use crate::name::ObjectId;

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, the first one first.
    pub parents: Vec<ObjectId>,
    /// Who wrote it, and when.
    pub author: Signature,
    /// Who committed it, and when.
    pub committer: Signature,
    /// The message as stored, control characters included; what is not UTF-8 is replaced. Show it through
    /// [`crate::text::display_text`].
    pub message: String,
}

/// Who and when. The texts are as stored: show them through [`crate::text::display_line`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Signature {
    /// The name.
    pub name: String,
    /// The mail address, without angle brackets.
    pub email: String,
    /// The time, in milliseconds since 1970; 0 if the commit holds none that can be read.
    pub time_ms: i64,
    /// The zone that the time was written in, in minutes east of UTC.
    pub offset_minutes: i32,
}

pub(super) fn parse(id: ObjectId, raw: &[u8]) -> Result<Commit, ReadError> {
    let damaged = |reason| ReadError::Damaged {
        object: id.to_string(),
        reason,
    };
    let mut tree = None;
    let mut parents = Vec::new();
    let (mut author, mut committer, mut latin_1) = (None, None, false);
    let mut rest = raw;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let (key, value) = line.split_at(line.iter().position(|&byte| byte == b' ').unwrap_or(line.len()));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let object = || {
            let digits = std::str::from_utf8(value).map_err(|_| damaged("an id is not text"))?;
            ObjectId::parse(digits).map_err(|_| damaged("an id is malformed"))
        };
        match key {
            b"tree" => tree = Some(object()?),
            b"parent" => parents.push(object()?),
            b"author" if author.is_none() => author = Some(value),
            b"committer" if committer.is_none() => committer = Some(value),
            b"encoding" => latin_1 = value.eq_ignore_ascii_case(b"ISO-8859-1"),
            _ => {}
        }
    }
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) if latin_1 => bytes.iter().copied().map(char::from).collect(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    };
    Ok(Commit {
        id,
        tree: tree.ok_or_else(|| damaged("the commit has no tree"))?,
        parents,
        author: signature(&text(author.unwrap_or_default())),
        committer: signature(&text(committer.unwrap_or_default())),
        message: text(rest),
    })
}

/// `Name <mail> seconds +hhmm`; old tools have left every part out at some time.
pub(super) fn signature(line: &str) -> Signature {
    let (who, when) = line.rsplit_once('>').unwrap_or((line, ""));
    let (name, email) = who.split_once('<').unwrap_or((who, ""));
    let mut words = when.split_ascii_whitespace();
    let seconds: i64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let zone: i32 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let zone = if (-9959..=9959).contains(&zone) { zone } else { 0 };
    Signature {
        name: name.trim().to_owned(),
        email: email.trim().to_owned(),
        time_ms: seconds.saturating_mul(1000),
        offset_minutes: zone / 100 * 60 + zone % 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";

    fn parsed(rest: &[u8]) -> Commit {
        let raw = [TREE.as_bytes(), rest].concat();
        parse(ObjectId::ZERO, &raw).unwrap()
    }

    #[test]
    fn signed_merge_commit_is_read() {
        let id = "1111111111111111111111111111111111111111";
        let text = format!(
            "parent {id}\nparent {id}\nauthor A B <a@b> 1700000000 +0130\ncommitter C <c@d> 1700000001 -0800\n\
             gpgsig -----BEGIN\n author Forged <f@f> 1 +0000\n\nsubject\n\nauthor not a header\n"
        );
        let commit = parsed(text.as_bytes());
        assert_eq!(commit.parents.len(), 2);
        assert_eq!(commit.author.name, "A B");
        assert_eq!(commit.author.time_ms, 1_700_000_000_000);
        assert_eq!(commit.author.offset_minutes, 90);
        assert_eq!(commit.committer.offset_minutes, -480);
        assert_eq!(commit.message, "subject\n\nauthor not a header\n");
    }

    #[test]
    fn odd_signatures_are_read_as_far_as_they_go() {
        for (line, name, email, time_ms) in [
            ("", "", "", 0),
            ("Only Name", "Only Name", "", 0),
            ("A <a@b> notatime +0000", "A", "a@b", 0),
            ("A <a@b> 99999999999999999999 +0000", "A", "a@b", 0),
            ("A <a<b> 5 +99999999", "A", "a<b", 5000),
            ("<a@b> -5 -0000", "", "a@b", -5000),
        ] {
            let found = signature(line);
            assert_eq!(
                (found.name.as_str(), found.email.as_str(), found.time_ms),
                (name, email, time_ms),
                "{line}"
            );
            assert_eq!(found.offset_minutes, 0);
        }
    }

    #[test]
    fn latin_1_message_is_read_by_its_encoding() {
        let commit = parsed(b"author J\xfcrgen <j@x> 1 +0000\nencoding iso-8859-1\n\nGr\xfc\xdfe\n");
        assert_eq!(commit.author.name, "Jürgen");
        assert_eq!(commit.message, "Grüße\n");
    }

    #[test]
    fn message_keeps_control_codes_for_storage() {
        let commit = parsed(b"author A <a> 1 +0000\n\n\x1b[31mred\x1b[0m\r\x08\n");
        assert_eq!(commit.message, "\u{1b}[31mred\u{1b}[0m\r\u{8}\n");
    }

    #[test]
    fn commit_without_tree_is_damaged() {
        let error = parse(ObjectId::ZERO, b"author A <a> 1 +0000\n\nx").unwrap_err();
        assert!(matches!(error, ReadError::Damaged { .. }));
    }
}
