//! Text from repositories as pages show it: without control characters and without what turns text around
//! (hostile-inputs.md G8, G12, W23). Templates escape it.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use madake_engine::reading::CommitRead;
use madake_vcs::git::read::Signature;
use madake_vcs::text::{display_line, display_text};
use serde::Serialize;

use super::address::RepositorySite;

/// Characters of a subject, a name of a file or a branch.
const LINE: usize = 400;
/// Digits of an id in lists.
pub(super) const SHORT_ID: usize = 12;

/// A name, a subject: on one line.
pub(super) fn line(text: &str) -> String {
    display_line(text, LINE)
}

/// A text of several lines.
pub(super) fn several_lines(text: &str, limit: usize) -> String {
    display_text(text, limit)
}

/// The first line of a message; a word for none.
pub(super) fn subject(message: &str) -> String {
    let first = message.trim_start().lines().next().unwrap_or_default();
    if first.is_empty() {
        "(no message)".to_owned()
    } else {
        line(first)
    }
}

/// `2026-11-22 14:03 +01:00`, in the zone that it was written in.
pub(super) fn time(time_ms: i64, offset_minutes: i32) -> String {
    let Ok(moment) = Timestamp::from_millisecond(time_ms) else {
        return "at an unknown time".to_owned();
    };
    let offset = Offset::from_seconds(offset_minutes.saturating_mul(60)).unwrap_or(Offset::UTC);
    moment
        .to_zoned(TimeZone::fixed(offset))
        .strftime("%Y-%m-%d %H:%M %:z")
        .to_string()
}

/// `1.5 MiB`
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", to_float(bytes) / 1024.0),
        _ => format!("{:.1} MiB", to_float(bytes) / 1_048_576.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
fn to_float(bytes: u64) -> f64 {
    bytes as f64
}

/// Name and address of a person.
pub(super) fn person(signature: &Signature) -> String {
    match (signature.name.trim(), signature.email.trim()) {
        ("", "") => "nobody".to_owned(),
        (name, "") => line(name),
        ("", email) => line(email),
        (name, email) => format!("{} <{}>", line(name), line(email)),
    }
}

/// A part of a sentence.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Marked {
    text: String,
    /// It stood between backticks: a name or a command.
    is_code: bool,
}

/// A sentence on one line, taken apart at its backticks; one whose backticks are no pairs stays as it is.
pub(super) fn marked(text: &str) -> Vec<Marked> {
    let text = line(text);
    let are_pairs = text.matches('`').count().is_multiple_of(2);
    let parts: Vec<&str> = match are_pairs {
        true => text.split('`').collect(),
        false => vec![&text],
    };
    parts
        .iter()
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
        .map(|(index, part)| Marked {
            text: (*part).to_owned(),
            is_code: index % 2 == 1,
        })
        .collect()
}

/// The same text with whole ids of commits cut to their first digits.
pub(super) fn with_short_ids(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(start);
        let end = word
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let is_id =
            matches!(word.len(), 40 | 64) && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        short.push_str(before);
        short.push_str(if is_id { &word[..SHORT_ID] } else { word });
        rest = after;
    }
    short.push_str(rest);
    short
}

/// A commit in a list.
#[derive(Debug, Serialize)]
pub(super) struct CommitRow {
    url: String,
    subject: String,
    author: String,
    time: String,
    short: String,
}

impl CommitRow {
    pub(super) fn new(commit: &CommitRead, site: &RepositorySite) -> Self {
        let author = match commit.author.name.trim() {
            "" => line(commit.author.email.trim()),
            name => line(name),
        };
        Self {
            url: site.commit(&commit.id.to_string()),
            subject: subject(&commit.message),
            author,
            time: time(commit.author.time_ms, commit.author.offset_minutes),
            short: commit.id.abbreviated(SHORT_ID),
        }
    }
}

/// A part of a path.
#[derive(Debug, Serialize)]
pub(super) struct Crumb {
    title: String,
    url: Option<String>,
}

/// The parts of a path, each but the last leading to its folder; `root` stands in front.
pub(super) fn crumbs(root: &str, path: &str, site: &RepositorySite, at: Option<&str>) -> Vec<Crumb> {
    let mut crumbs = vec![Crumb {
        title: line(root),
        url: (!path.is_empty()).then(|| site.browse("", at)),
    }];
    let mut whole = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if !whole.is_empty() {
            whole.push('/');
        }
        whole.push_str(part);
        crumbs.push(Crumb {
            title: line(part),
            url: (whole.len() < path.len()).then(|| site.browse(&whole, at)),
        });
    }
    crumbs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_well() {
        assert_eq!(time(1_700_000_000_000, 60), "2023-11-14 23:13 +01:00");
        assert_eq!(time(0, -90), "1969-12-31 22:30 -01:30");
        assert_eq!(time(i64::MAX, 0), "at an unknown time");
        assert_eq!(time(0, i32::MAX), "1970-01-01 00:00 +00:00");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(3 * 1024 * 1024), "3.0 MiB");
    }

    #[test]
    fn sentences_are_taken_apart_at_pairs_of_backticks() {
        let parts = |text| -> Vec<(String, bool)> {
            let parts = marked(text).into_iter();
            parts.map(|part| (part.text, part.is_code)).collect()
        };
        assert_eq!(
            parts("did you mean `tasks`?"),
            [
                ("did you mean ".to_owned(), false),
                ("tasks".to_owned(), true),
                ("?".to_owned(), false)
            ]
        );
        assert_eq!(parts("a ` alone"), [("a ` alone".to_owned(), false)]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn whole_ids_are_cut_and_other_words_are_not() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            with_short_ids(&format!("built {id}, not {id}z or é{}", &id[1..])),
            format!("built 0123456789ab, not {id}z or é{}", &id[1..])
        );
        assert_eq!(with_short_ids(id), "0123456789ab");
    }

    #[test]
    fn subjects_are_one_harmless_line() {
        assert_eq!(subject("\n\nfix \u{202e}it\u{1b}[31m\nmore"), "fix it");
        assert_eq!(subject(" \n"), "(no message)");
    }
}
