//! The `expand` parameter: which nested collections a client wants in full (bamboo-rest.md 1.9).
//!
//! `changes,stages[0:2].stage.results.result` becomes a tree of names; renderers walk down that tree
//! together with the document they build. Names that nobody asks for are simply never looked at.

use std::collections::BTreeMap;

/// Longer parameters are cut here, in bytes.
const MAX_LENGTH: usize = 8 * 1024;
/// Deeper paths are cut here.
const MAX_DEPTH: usize = 16;
/// No more names than this are kept.
const MAX_NAMES: usize = 512;

static NOTHING: Expand = Expand {
    names: BTreeMap::new(),
};

/// A parsed `expand` parameter, or the part of it below one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expand {
    names: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entry {
    range: Option<IndexRange>,
    below: Expand,
}

impl Expand {
    /// Reads the parameter; whatever is malformed or over the limits is left out, never refused.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut end = text.len().min(MAX_LENGTH);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut tree = Self::default();
        let mut names_left = MAX_NAMES;
        for path in text[..end].split(',') {
            tree.add(path, &mut names_left);
        }
        tree
    }

    /// Expands nothing.
    #[must_use]
    pub fn nothing() -> &'static Self {
        &NOTHING
    }

    /// Whether a dotted path, `stages.stage.results`, is asked for, itself or on the way to something deeper.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.entry(path).is_some()
    }

    /// The index range behind the last name of a dotted path.
    #[must_use]
    pub fn range(&self, path: &str) -> Option<IndexRange> {
        self.entry(path).and_then(|entry| entry.range)
    }

    /// What is asked for below a dotted path; nothing when the path is not asked for.
    #[must_use]
    pub fn below(&self, path: &str) -> &Self {
        self.entry(path).map_or(&NOTHING, |entry| &entry.below)
    }

    fn entry(&self, path: &str) -> Option<&Entry> {
        let mut names = path.split('.');
        let mut entry = self.names.get(names.next()?)?;
        for name in names {
            entry = entry.below.names.get(name)?;
        }
        Some(entry)
    }

    fn add(&mut self, path: &str, names_left: &mut usize) {
        let mut tree = self;
        for text in path.split('.').take(MAX_DEPTH) {
            let (name, range) = split_range(text.trim());
            if name.is_empty() {
                return;
            }
            if !tree.names.contains_key(name) {
                if *names_left == 0 {
                    return;
                }
                *names_left -= 1;
            }
            let entry = tree.names.entry(name.to_owned()).or_default();
            entry.range = range.or(entry.range);
            tree = &mut entry.below;
        }
    }
}

/// `[3]`, `[0:25]`, `[5:]`, `[:10]`, `[-10:]`. The second number is the first index that is left out, so
/// `[0:25]` means what `start-index=0&max-results=25` means. Negative numbers count from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRange {
    start: Option<i64>,
    end: Option<i64>,
    single: bool,
}

impl IndexRange {
    /// The first index and the number of items in a collection of `size` items; both lie inside it.
    #[must_use]
    pub fn resolve(self, size: usize) -> (usize, usize) {
        let length = i64::try_from(size).unwrap_or(i64::MAX);
        let from_end = |index: i64| {
            if index < 0 {
                index.saturating_add(length)
            } else {
                index
            }
        };
        if self.single {
            let index = from_end(self.start.unwrap_or(0));
            let inside = (0..length).contains(&index);
            return (to_usize(index.clamp(0, length)), usize::from(inside));
        }
        let start = from_end(self.start.unwrap_or(0)).clamp(0, length);
        let end = from_end(self.end.unwrap_or(length)).clamp(start, length);
        (to_usize(start), to_usize(end - start))
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| match text.trim() {
            "" => Some(None),
            digits => digits.parse().ok().map(Some),
        };
        match text.split_once(':') {
            Some((start, end)) => Some(Self {
                start: number(start)?,
                end: number(end)?,
                single: false,
            }),
            None => Some(Self {
                start: Some(number(text)??),
                end: None,
                single: true,
            }),
        }
    }
}

fn to_usize(index: i64) -> usize {
    usize::try_from(index).unwrap_or(0)
}

/// A range that cannot be read is ignored; the name still counts.
fn split_range(text: &str) -> (&str, Option<IndexRange>) {
    match text.split_once('[') {
        Some((name, rest)) => {
            let range = rest.strip_suffix(']').and_then(IndexRange::parse);
            (name.trim(), range)
        }
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_contain_their_own_beginnings() {
        let expand = Expand::parse("changes, stages.stage.results.result,,labels.");
        for path in [
            "changes",
            "stages",
            "stages.stage",
            "stages.stage.results.result",
            "labels",
        ] {
            assert!(expand.contains(path), "{path}");
        }
        for path in [
            "",
            "change",
            "stage",
            "stages.results",
            "changes.change",
            "results",
        ] {
            assert!(!expand.contains(path), "{path}");
        }
        let below = expand.below("stages.stage");
        assert!(below.contains("results.result"));
        assert_eq!(expand.below("nope"), Expand::nothing());
    }

    #[test]
    fn ranges_are_read_with_their_names() {
        let expand = Expand::parse("plans[0:25].plan.branches[3],logEntries[5:],x[oops],y[1");
        assert_eq!(expand.range("plans").map(|r| r.resolve(100)), Some((0, 25)));
        assert_eq!(
            expand.range("plans.plan.branches").map(|r| r.resolve(100)),
            Some((3, 1))
        );
        assert_eq!(expand.range("logEntries").map(|r| r.resolve(8)), Some((5, 3)));
        assert_eq!(expand.range("plans.plan"), None);
        assert!(expand.contains("x") && expand.range("x").is_none());
        assert!(expand.contains("y") && expand.range("y").is_none());
    }

    #[test]
    fn ranges_resolve_inside_the_collection() {
        let rows = [
            ("0:25", 10, (0, 10)),
            ("5:", 10, (5, 5)),
            (":4", 10, (0, 4)),
            (":", 10, (0, 10)),
            ("3", 10, (3, 1)),
            ("-1", 10, (9, 1)),
            ("10", 10, (10, 0)),
            ("-11", 10, (0, 0)),
            ("-10:", 100, (90, 10)),
            ("-3:-1", 10, (7, 2)),
            ("8:3", 10, (8, 0)),
            ("50:60", 10, (10, 0)),
            ("0:9223372036854775807", 3, (0, 3)),
            ("-9223372036854775808:", 3, (0, 3)),
            ("0:5", 0, (0, 0)),
        ];
        for (text, size, expected) in rows {
            assert_eq!(IndexRange::parse(text).unwrap().resolve(size), expected, "{text}");
        }
        for text in ["", "a", "1:2:3", "99999999999999999999"] {
            assert_eq!(IndexRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn oversized_parameters_are_cut_not_refused() {
        let deep = Expand::parse(&"a.".repeat(4_000));
        assert!(deep.contains(&["a"; MAX_DEPTH].join(".")));
        assert!(!deep.contains(&["a"; MAX_DEPTH + 1].join(".")));
        let wide: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
        assert_eq!(Expand::parse(&wide.join(",")).names.len(), MAX_NAMES);
        assert!(Expand::parse(&"ä".repeat(MAX_LENGTH)).names.len() == 1);
    }
}
