//! Names of releases (bamboo-specs.md 13).
//!
//! The name of the next release is a template. After a release its last number is counted up, where the project says
//! so: `release-7` is followed by `release-8`. A number with a variable behind it is left alone, since the variable is
//! what tells the names apart: `1.0.${bamboo.buildNumber}` stays. Variables that are to be counted up are counted from
//! the value that the result had; when a result comes with another value, counting starts anew from there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::ReleaseNaming;
use crate::variables::{ResolvedVariable, looks_secret, substitute};

/// The longest name of a release, in characters.
pub const MAX_NAME: usize = 255;

/// Where the naming of a project stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamingState {
    /// The template of the next release.
    pub next: String,
    /// Variables that are counted up.
    #[serde(default)]
    pub counters: BTreeMap<String, Counter>,
}

/// A variable that is counted up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The value that results came with.
    pub base: String,
    /// The value that the next release has in its place.
    pub next: String,
}

/// The result that a release is made of.
#[derive(Debug, Clone, Copy)]
pub struct NamedResult<'a> {
    /// The name of the plan branch; `None`: the plan itself.
    pub branch: Option<&'a str>,
    /// The build number.
    pub number: i64,
    /// The result's variables.
    pub variables: &'a [ResolvedVariable],
}

/// Why a text cannot be the name of a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseNameError {
    /// Nothing is left of it.
    #[error("a release needs a name")]
    Empty,
    /// It is too long.
    #[error("the name of a release has {MAX_NAME} characters at most, and this has {0}")]
    TooLong(usize),
    /// It has line breaks or other control characters.
    #[error("the name of a release is one line without control characters")]
    Control,
    /// A variable is not known.
    #[error("the result has no variable for {0} in the name of the release")]
    Unknown(String),
}

/// A name as it is stored: without blanks around it.
///
/// # Errors
/// When it cannot be a name.
pub fn checked_name(text: &str) -> Result<String, ReleaseNameError> {
    let name = text.trim();
    let length = name.chars().count();
    if name.is_empty() {
        Err(ReleaseNameError::Empty)
    } else if length > MAX_NAME {
        Err(ReleaseNameError::TooLong(length))
    } else if name.chars().any(char::is_control) {
        Err(ReleaseNameError::Control)
    } else {
        Ok(name.to_owned())
    }
}

/// The name of the next release when it is made of `result`. Values of variables that look secret are not put in.
///
/// # Errors
/// When the template gives no name.
pub fn release_name(
    naming: &ReleaseNaming,
    state: &NamingState,
    result: &NamedResult<'_>,
) -> Result<String, ReleaseNameError> {
    if let Some(branch) = result.branch
        && !naming.applies_to_branches
    {
        let visible: String = branch.chars().filter(|c| !c.is_control()).collect();
        let number = result.number.to_string();
        let room = MAX_NAME.saturating_sub(number.len() + 1);
        let start: String = visible.chars().take(room).collect();
        return checked_name(&format!("{start}-{number}"));
    }
    let mut known: Vec<ResolvedVariable> = result
        .variables
        .iter()
        .filter(|one| !looks_secret(&one.name))
        .cloned()
        .collect();
    for one in &mut known {
        if let Some(counter) = state.counters.get(&one.name)
            && counter.base == one.value
        {
            one.value.clone_from(&counter.next);
        }
    }
    let named = substitute(&state.next, &known, &|_| None);
    if let Some(unknown) = named.unknown.first() {
        return Err(ReleaseNameError::Unknown(unknown.clone()));
    }
    checked_name(&named.text)
}

/// Where the naming stands after a release of `result` was named by the template.
#[must_use]
pub fn advanced(naming: &ReleaseNaming, state: &NamingState, result: &NamedResult<'_>) -> NamingState {
    if result.branch.is_some() && !naming.applies_to_branches {
        return state.clone();
    }
    let mut after = state.clone();
    if naming.auto_increment
        && let Some(next) = count_up(&state.next)
    {
        after.next = next;
    }
    for name in &naming.auto_increment_variables {
        let name = name.strip_prefix("bamboo.").unwrap_or(name);
        let Some(found) = result.variables.iter().find(|one| one.name == name) else {
            continue;
        };
        let used = state
            .counters
            .get(name)
            .filter(|counter| counter.base == found.value)
            .map_or(&found.value, |counter| &counter.next);
        if let Some(next) = count_up(used) {
            let counter = Counter {
                base: found.value.clone(),
                next,
            };
            after.counters.insert(name.to_owned(), counter);
        }
    }
    after
}

/// The text with its last number one higher; leading zeros stay. `None`: it has no number, or a variable stands behind
/// the last one.
#[must_use]
pub fn count_up(text: &str) -> Option<String> {
    let from = text.rfind("${").map_or(0, |start| {
        text[start..].find('}').map_or(0, |length| start + length + 1)
    });
    let bytes = text.as_bytes();
    let end = (from..bytes.len()).rev().find(|at| bytes[*at].is_ascii_digit())? + 1;
    let start = (from..end)
        .rev()
        .find(|at| !bytes[*at].is_ascii_digit())
        .map_or(from, |at| at + 1);
    let mut digits = bytes[start..end].to_vec();
    let mut carry = true;
    for digit in digits.iter_mut().rev() {
        if !carry {
            break;
        }
        carry = *digit == b'9';
        *digit = if carry { b'0' } else { *digit + 1 };
    }
    let counted = String::from_utf8(digits).ok()?;
    let first = if carry { "1" } else { "" };
    Some(format!("{}{first}{counted}{}", &text[..start], &text[end..]))
}

/// A name like `name` that is not taken: itself, or with `-2`, `-3` and so on behind it.
#[must_use]
pub fn free_name(name: &str, taken: &dyn Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    let mut number: u64 = 2;
    loop {
        let ending = format!("-{number}");
        let start: String = name.chars().take(MAX_NAME - ending.len()).collect();
        let candidate = format!("{start}{ending}");
        if !taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::VariableSource;
    use proptest::prelude::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<ResolvedVariable> {
        pairs
            .iter()
            .map(|(name, value)| ResolvedVariable {
                name: (*name).into(),
                value: (*value).into(),
                source: VariableSource::Plan,
            })
            .collect()
    }

    fn state(next: &str) -> NamingState {
        NamingState {
            next: next.into(),
            counters: BTreeMap::new(),
        }
    }

    fn of<'a>(branch: Option<&'a str>, variables: &'a [ResolvedVariable]) -> NamedResult<'a> {
        NamedResult {
            branch,
            number: 7,
            variables,
        }
    }

    #[test]
    fn the_last_number_is_counted_up_unless_a_variable_stands_behind_it() {
        let table = [
            ("release-1", Some("release-2")),
            ("release-9", Some("release-10")),
            ("1.0.09", Some("1.0.10")),
            ("1.0-m1", Some("1.0-m2")),
            ("v2-beta", Some("v3-beta")),
            ("007", Some("008")),
            ("999", Some("1000")),
            ("99999999999999999999999", Some("100000000000000000000000")),
            ("1.0.${bamboo.buildNumber}", None),
            ("${bamboo.major}.4", Some("${bamboo.major}.5")),
            ("${bamboo.v2}", None),
            ("release", None),
            ("", None),
            ("größe-3é", Some("größe-4é")),
            ("${open 5", Some("${open 6")),
        ];
        for (text, expected) in table {
            assert_eq!(count_up(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn names_come_from_template_and_result() {
        let known = variables(&[("buildNumber", "7"), ("major", "3"), ("db.password", "hunter2")]);
        let naming = ReleaseNaming::default();
        let branches_too = ReleaseNaming {
            applies_to_branches: true,
            ..ReleaseNaming::default()
        };
        let table = [
            (&naming, "release-1", None, Ok("release-1")),
            (&naming, "${bamboo.major}.${bamboo.buildNumber}", None, Ok("3.7")),
            (&naming, "release-1", Some("feature/x"), Ok("feature/x-7")),
            (
                &branches_too,
                "r${bamboo.buildNumber}",
                Some("feature/x"),
                Ok("r7"),
            ),
            (&naming, "  spaced 1 ", None, Ok("spaced 1")),
            (&naming, "   ", None, Err(ReleaseNameError::Empty)),
            (
                &naming,
                "1-${bamboo.minor}",
                None,
                Err(ReleaseNameError::Unknown("${bamboo.minor}".into())),
            ),
            (
                &naming,
                "${bamboo.db.password}",
                None,
                Err(ReleaseNameError::Unknown("${bamboo.db.password}".into())),
            ),
        ];
        for (naming, template, branch, expected) in table {
            let found = release_name(naming, &state(template), &of(branch, &known));
            assert_eq!(found, expected.map(str::to_owned), "{template}");
        }
    }

    #[test]
    fn variables_are_counted_up_until_results_come_with_another_value() {
        let naming = ReleaseNaming {
            next_version_name: "2.${bamboo.patch}".into(),
            auto_increment: true,
            auto_increment_variables: vec!["patch".into()],
            ..ReleaseNaming::default()
        };
        let (mut now, mut names) = (state("2.${bamboo.patch}"), Vec::new());
        for patch in ["5", "5", "5", "8", "8"] {
            let known = variables(&[("patch", patch)]);
            let result = of(None, &known);
            names.push(release_name(&naming, &now, &result).expect("a name"));
            now = advanced(&naming, &now, &result);
        }
        assert_eq!(names, ["2.5", "2.6", "2.7", "2.8", "2.9"]);
    }

    #[test]
    fn branches_with_names_of_their_own_count_nothing_up() {
        let naming = ReleaseNaming {
            auto_increment: true,
            ..ReleaseNaming::default()
        };
        assert_eq!(
            advanced(&naming, &state("r-1"), &of(Some("b"), &[])),
            state("r-1")
        );
        assert_eq!(advanced(&naming, &state("r-1"), &of(None, &[])), state("r-2"));
    }

    #[test]
    fn a_taken_name_gets_a_number_behind_it() {
        let taken = |name: &str| ["r-1", "r-1-2"].contains(&name);
        assert_eq!(free_name("r-1", &taken), "r-1-3");
        assert_eq!(free_name("other", &taken), "other");
    }

    proptest! {
        #[test]
        fn counting_up_counts_by_one(start in "[a-z.-]{0,5}", number in 0..u64::MAX / 2, end in "[a-z.-]{0,5}") {
            prop_assert_eq!(
                count_up(&format!("{start}{number}{end}")),
                Some(format!("{start}{}{end}", number + 1))
            );
        }

        #[test]
        fn whatever_a_template_is_the_name_keeps_the_rules(template in any::<String>(), branch in proptest::option::of(any::<String>())) {
            let result = of(branch.as_deref(), &[]);
            if let Ok(name) = release_name(&ReleaseNaming::default(), &state(&template), &result) {
                prop_assert_eq!(checked_name(&name), Ok(name.clone()));
                let other = free_name(&name, &|one| one == name);
                prop_assert!(other != name && checked_name(&other).is_ok());
            }
        }
    }
}
