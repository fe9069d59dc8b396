//! Which refs a broker acts on, and which target each of them has: patterns and `branch:TARGET` pairs.
//!
//! `*` stands for any characters but `/`, `**` for any characters, `?` for one that is not `/`. A pattern that
//! begins with `refs/` is compared with the whole name; one that begins with `tags/` with the name of a tag;
//! every other with the name of a branch, named branch or bookmark.

use crate::event::{BrokerEvent, Change, EventKind, RefKind};

/// The longest list of patterns or pairs.
const MAX_ENTRIES: usize = 200;
/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 500;

/// Why a pattern or pair is none. Reads well after the name of the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// More than 200 entries.
    #[error("has more than 200 entries")]
    TooMany,
    /// Longer than 500 bytes.
    #[error("has an entry of more than 500 bytes")]
    TooLong,
    /// Nothing where a pattern or target is expected.
    #[error("has an entry without a name: `{0}`")]
    Empty(String),
}

/// "Only these refs."
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefFilter {
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl RefFilter {
    /// Reads patterns; one that begins with `!` takes out what others let in. Without any other, everything is in.
    ///
    /// # Errors
    /// [`PatternProblem`] says what is wrong.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternProblem> {
        let mut filter = Self::default();
        for (count, entry) in entries.into_iter().enumerate() {
            let (list, pattern) = match entry.strip_prefix('!') {
                Some(pattern) => (&mut filter.unwanted, pattern.trim()),
                None => (&mut filter.wanted, entry),
            };
            check(count, pattern, entry)?;
            list.push(pattern.to_owned());
        }
        Ok(filter)
    }

    /// Whether the filter lets this ref in. `tags_too` says whether tags are in when nothing is said of them.
    fn admits(&self, kind: RefKind, name: &str, full_name: &str, tags_too: bool) -> bool {
        let any = |patterns: &[String]| {
            patterns
                .iter()
                .any(|pattern| matches(pattern, kind, name, full_name))
        };
        let wanted = if self.wanted.is_empty() {
            kind != RefKind::Tag || tags_too
        } else {
            any(&self.wanted)
        };
        wanted && !any(&self.unwanted)
    }

    /// The event with the refs that the filter lets in, or none if it has nothing left to tell.
    pub(crate) fn apply(&self, event: &BrokerEvent, tags_too: bool) -> Option<BrokerEvent> {
        let mut event = event.clone();
        match event.kind {
            EventKind::Push => {
                event
                    .refs
                    .retain(|moved| self.admits(moved.kind, &moved.name, &moved.full_name, tags_too));
                (!event.refs.is_empty()).then_some(event)
            }
            EventKind::Build => {
                let branch = event.build.as_ref().map_or("", |build| &build.branch);
                let full_name = format!("refs/heads/{branch}");
                self.admits(RefKind::Branch, branch, &full_name, tags_too)
                    .then_some(event)
            }
        }
    }
}

/// `master:BAM-TRUNK, 3-2-patches:BAM-32PATCH, BAM-TESTS`: which branch calls which target; a bare target is
/// called for any branch (push-payloads.md C.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targets(Vec<(Option<String>, String)>);

impl Targets {
    /// Reads pairs.
    ///
    /// # Errors
    /// [`PatternProblem`] says what is wrong.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternProblem> {
        let mut pairs = Vec::new();
        for (count, entry) in entries.into_iter().enumerate() {
            let (pattern, target) = match entry.split_once(':') {
                Some((pattern, target)) => (Some(pattern.trim()), target.trim()),
                None => (None, entry.trim()),
            };
            check(count, pattern.unwrap_or("*"), entry)?;
            check(count, target, entry)?;
            pairs.push((pattern.map(str::to_owned), target.to_owned()));
        }
        Ok(Self(pairs))
    }

    /// Every target, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, target)| target.as_str())
    }

    /// The targets of each change, in order, without repeats of one target for one change.
    pub(crate) fn of<'a>(&'a self, changes: &[Change<'a>]) -> Vec<(&'a str, Change<'a>)> {
        let mut found: Vec<(&str, Change<'_>)> = Vec::new();
        for change in changes {
            let kind = change.moved.map_or(RefKind::Branch, |moved| moved.kind);
            for (pattern, target) in &self.0 {
                let hit = pattern
                    .as_deref()
                    .is_none_or(|pattern| matches(pattern, kind, change.name, change.full_name));
                if hit && !found.iter().any(|(known, of)| known == target && of == change) {
                    found.push((target, *change));
                }
            }
        }
        found
    }

    /// Like [`Targets::of`], but each target once, for the first change that calls it.
    pub(crate) fn once<'a>(&'a self, changes: &[Change<'a>]) -> Vec<(&'a str, Change<'a>)> {
        let mut found = self.of(changes);
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|(target, _)| seen.insert(*target));
        found
    }
}

fn check(count: usize, pattern: &str, entry: &str) -> Result<(), PatternProblem> {
    if count >= MAX_ENTRIES {
        return Err(PatternProblem::TooMany);
    }
    if pattern.len() > MAX_PATTERN {
        return Err(PatternProblem::TooLong);
    }
    if pattern.is_empty() {
        return Err(PatternProblem::Empty(entry.to_owned()));
    }
    Ok(())
}

fn matches(pattern: &str, kind: RefKind, name: &str, full_name: &str) -> bool {
    if pattern.starts_with("refs/") {
        return glob(pattern, full_name);
    }
    match (pattern.strip_prefix("tags/"), kind) {
        (Some(pattern), RefKind::Tag) => glob(pattern, name),
        (_, RefKind::Tag) => false,
        _ => glob(pattern, name),
    }
}

/// Whether a pattern matches a whole name. Time is at most the product of the lengths.
fn glob(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let stars = rest.len() - rest.trim_start_matches('*').len();
        let mut next = vec![false; name.len() + 1];
        if stars > 0 {
            rest = &rest[stars..];
            for at in 0..=name.len() {
                let from_before = at > 0 && next[at - 1] && (stars > 1 || name[at - 1] != '/');
                next[at] = reached[at] || from_before;
            }
        } else {
            rest = &rest[c.len_utf8()..];
            for at in 0..name.len() {
                next[at + 1] = reached[at] && if c == '?' { name[at] != '/' } else { name[at] == c };
            }
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::{PatternProblem, RefFilter, Targets, glob};
    use crate::event::RefKind;
    use crate::sample::{sample_build, sample_push};

    #[test]
    fn patterns_match_whole_names() {
        let table = [
            ("main", "main", true),
            ("main", "main2", false),
            ("release/*", "release/1.2", true),
            ("release/*", "release/1/2", false),
            ("release/**", "release/1/2", true),
            ("*", "feature/x", false),
            ("**", "feature/x", true),
            ("v?.?", "v1.4", true),
            ("v?", "v", false),
            ("*a*a*a*a*a*a*a*b", &"a".repeat(900), false),
            ("竹*", "竹林", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn filter_lets_in_what_it_names() {
        let table: [(&[&str], RefKind, &str, &str, bool); 8] = [
            (&[], RefKind::Branch, "main", "refs/heads/main", true),
            (&[], RefKind::Tag, "v1", "refs/tags/v1", false),
            (&["main"], RefKind::Tag, "main", "refs/tags/main", false),
            (&["tags/v*"], RefKind::Tag, "v1", "refs/tags/v1", true),
            (&["refs/tags/**"], RefKind::Tag, "v1", "refs/tags/v1", true),
            (
                &["**", "!wip/**"],
                RefKind::Branch,
                "wip/x",
                "refs/heads/wip/x",
                false,
            ),
            (&["!wip/**"], RefKind::Branch, "main", "refs/heads/main", true),
            (&["default"], RefKind::NamedBranch, "default", "default", true),
        ];
        for (patterns, kind, name, full_name, expected) in table {
            let filter = RefFilter::parse(patterns.iter().copied()).unwrap();
            assert_eq!(
                filter.admits(kind, name, full_name, false),
                expected,
                "{patterns:?} {name}"
            );
        }
    }

    #[test]
    fn filtered_event_keeps_only_the_refs_let_in() {
        let filter = RefFilter::parse(["tags/*"]).unwrap();
        let names: Vec<_> = filter
            .apply(&sample_push(), true)
            .unwrap()
            .refs
            .into_iter()
            .map(|moved| moved.name)
            .collect();
        assert_eq!(names, ["v1.4"]);
        assert_eq!(filter.apply(&sample_build(), true), None);
        assert_eq!(
            RefFilter::parse(["refs/heads/main"])
                .unwrap()
                .apply(&sample_build(), true),
            Some(sample_build())
        );
    }

    #[test]
    fn pairs_choose_targets_by_branch() {
        let targets = Targets::parse([
            "main:BAM-TRUNK",
            "3-2-patches:BAM-32PATCH",
            "BAM-TESTS",
            "tags/*:BAM-REL",
        ])
        .unwrap();
        let event = sample_push();
        let found: Vec<_> = targets
            .of(&event.changes())
            .into_iter()
            .map(|(target, change)| (target, change.name))
            .collect();
        assert_eq!(
            found,
            [
                ("BAM-TRUNK", "main"),
                ("BAM-TESTS", "main"),
                ("BAM-TESTS", "v1.4"),
                ("BAM-REL", "v1.4")
            ]
        );
        assert_eq!(targets.once(&event.changes()).len(), 3);
    }

    #[test]
    fn entries_without_a_name_are_refused() {
        assert_eq!(
            Targets::parse(["main:"]),
            Err(PatternProblem::Empty("main:".to_owned()))
        );
        assert_eq!(
            RefFilter::parse(["!"]),
            Err(PatternProblem::Empty("!".to_owned()))
        );
        assert_eq!(RefFilter::parse(vec!["a"; 201]), Err(PatternProblem::TooMany));
    }
}
