//! Issues that commits speak of: `PROJ-123` for Jira, `bug 123` and `fixes #123` for Bugzilla.

use std::collections::BTreeSet;

use crate::event::{BrokerEvent, Commit};

/// The most issues that one push comments on.
pub(crate) const MAX_ISSUES: usize = 25;

/// The issues of all commits, each once, in the order in which they are first named, with the commits that name
/// them; at most [`MAX_ISSUES`].
pub(crate) fn of_event(
    event: &BrokerEvent,
    find: impl Fn(&str) -> Vec<String>,
) -> Vec<(String, Vec<&Commit>)> {
    let mut found: Vec<(String, Vec<&Commit>)> = Vec::new();
    for commit in event.commits() {
        let keys: BTreeSet<String> = find(&commit.message).into_iter().collect();
        for key in keys {
            match found.iter().position(|(known, _)| *known == key) {
                Some(at) => found[at].1.push(commit),
                None if found.len() < MAX_ISSUES => found.push((key, vec![commit])),
                None => {}
            }
        }
    }
    found
}

/// The bug numbers in a message: `bug 12`, `bug #12`, `bugs 12, 13 and 14`, `fixes #12`, `closes 12`, `resolves #12`.
pub(crate) fn bug_numbers(message: &str) -> Vec<String> {
    const WORDS: &[&str] = &[
        "bug", "bugs", "bugzilla", "fix", "fixes", "fixed", "close", "closes", "closed", "resolve",
        "resolves", "resolved",
    ];
    let mut numbers = Vec::new();
    let mut listing = false;
    for token in message.split_whitespace() {
        let ends = token.ends_with(['.', ';', '!', '?']);
        let token = token
            .trim_matches(|c: char| matches!(c, '(' | ')' | '[' | ']' | ',' | '.' | ';' | ':' | '!' | '?'));
        let digits = token.strip_prefix('#').unwrap_or(token);
        let lower = token.to_ascii_lowercase();
        if WORDS.contains(&lower.as_str()) {
            listing = true;
        } else if listing && (1..=9).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit()) {
            let number = digits.trim_start_matches('0');
            if !number.is_empty() {
                numbers.push(number.to_owned());
            }
        } else if !matches!(lower.as_str(), "and" | "&" | "" | "no" | "number" | "#") {
            listing = false;
        }
        if ends {
            listing = false;
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use madake_domain::issue::jira_keys;

    use super::{bug_numbers, of_event};
    use crate::sample::sample_push;

    #[test]
    fn bug_numbers_are_found_in_messages() {
        let table: [(&str, &[&str]); 9] = [
            ("bug 12", &["12"]),
            ("Bug #12: weigh", &["12"]),
            ("bugs 12, 13 and 14", &["12", "13", "14"]),
            ("Fixes #7.", &["7"]),
            ("(closes 8)", &["8"]),
            ("fix 2 errors in 3 files", &["2"]),
            ("#7 alone", &[]),
            ("debug 5", &[]),
            ("bug. 5 bug 0", &[]),
        ];
        for (message, expected) in table {
            assert_eq!(bug_numbers(message), expected, "{message}");
        }
    }

    #[test]
    fn each_issue_comes_once_with_all_its_commits() {
        let mut event = sample_push();
        event.refs[0].commits[1].message = "GROVE-12 and GROVE-9, GROVE-12 again".to_owned();
        event.refs[1].commits = event.refs[0].commits.clone();
        let found = of_event(&event, |message| jira_keys(message, &[]));
        let shape: Vec<_> = found
            .iter()
            .map(|(key, commits)| (key.as_str(), commits.len()))
            .collect();
        assert_eq!(shape, [("GROVE-12", 2), ("GROVE-9", 1)]);
    }
}
