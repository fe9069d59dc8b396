//! Regular expressions of plans. What the linear engine can read takes time linear in the text (hostile-inputs L1). What
//! only Java's engine knows (look-around, back references, possessive quantifiers) is matched by backtracking, which is
//! bounded for one text and for all texts of a pattern: a step may look at the whole rest of its text.

use std::sync::atomic::{AtomicUsize, Ordering};

use regex::{Regex, RegexBuilder};

use crate::text::inert;

/// The most memory that one compiled expression may take, in bytes.
const SIZE_LIMIT: usize = 2 << 20;

/// The most steps of one match by backtracking.
const MOST_STEPS: usize = 20_000;

/// The longest text that is matched by backtracking, in bytes.
const LONGEST_BACKTRACKED: usize = 4096;

/// How much text one pattern is matched with by backtracking, in bytes: seconds at the worst.
const MOST_BACKTRACKED: usize = 2 << 20;

/// What is said of a match that was given up.
const GIVEN_UP: &str =
    "it takes too many steps on these texts; one without look-around and back references takes few";

/// A pattern as the plan writes it, and what became of it.
pub(crate) struct Pattern {
    text: String,
    regex: Result<Engine, String>,
}

/// What matches a pattern.
enum Engine {
    /// In time linear in the text.
    Linear(Regex),
    /// By backtracking, up to limits; with the bytes that it was matched with so far.
    Bounded(Box<fancy_regex::Regex>, AtomicUsize),
}

impl Pattern {
    /// One that must match the whole text.
    pub(crate) fn whole(text: &str) -> Self {
        Self::new(text, &format!(r"\A(?:{text})\z"))
    }

    /// One that may match anywhere in the text.
    pub(crate) fn anywhere(text: &str) -> Self {
        Self::new(text, text)
    }

    fn new(text: &str, expression: &str) -> Self {
        Self {
            text: inert(text, 200),
            regex: engine(text, expression),
        }
    }

    /// The pattern, printable.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Why the pattern cannot be read.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.regex.as_ref().err().map(String::as_str)
    }

    /// Whether it matches.
    ///
    /// # Errors
    /// Why the pattern cannot be read, or that it takes too long on this text.
    pub(crate) fn matches(&self, text: &str) -> Result<bool, &str> {
        match &self.regex {
            Ok(Engine::Linear(regex)) => Ok(regex.is_match(text)),
            Ok(Engine::Bounded(regex, spent)) => {
                let before = spent.fetch_add(text.len(), Ordering::Relaxed);
                if text.len() > LONGEST_BACKTRACKED || before > MOST_BACKTRACKED {
                    return Err(GIVEN_UP);
                }
                regex.is_match(text).map_err(|_| GIVEN_UP)
            }
            Err(problem) => Err(problem),
        }
    }
}

/// What matches `expression`, which has `text` in it; the error says why `text` cannot be read.
fn engine(text: &str, expression: &str) -> Result<Engine, String> {
    let linear = |expression: &str| {
        RegexBuilder::new(expression)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
    };
    let bounded = |expression: &str| {
        fancy_regex::RegexBuilder::new(expression)
            .backtrack_limit(MOST_STEPS)
            .delegate_size_limit(SIZE_LIMIT)
            .delegate_dfa_size_limit(SIZE_LIMIT)
            .build()
    };
    // The pattern alone must be readable, so that it cannot close the group around it.
    let refused = match linear(text).and_then(|_| linear(expression)) {
        Ok(regex) => return Ok(Engine::Linear(regex)),
        Err(error) => error,
    };
    // Whatever else the linear engine refuses is a mistake, which the other one may take for something.
    if !text.contains("(?") && !text.contains('\\') {
        return Err(unreadable(&refused));
    }
    // Java does not know it, and its steps are counted by nobody.
    if text.contains("(?~") {
        return Err(unreadable(&refused));
    }
    match bounded(text).and_then(|_| bounded(expression)) {
        Ok(regex) => Ok(Engine::Bounded(Box::new(regex), AtomicUsize::new(0))),
        Err(other) => Err(problem(&refused, &other)),
    }
}

/// Why neither engine reads a pattern. The linear one says it better, unless the pattern is about what it does not know.
fn problem(refused: &regex::Error, other: &fancy_regex::Error) -> String {
    let said = unreadable(refused);
    if said.starts_with("look-around") || said.starts_with("backreferences") {
        inert(&other.to_string(), 200)
    } else {
        said
    }
}

/// Why the linear engine does not read a pattern, and where.
fn unreadable(error: &regex::Error) -> String {
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return "it is too large".to_owned();
    }
    let text = error.to_string();
    let last = text.lines().last().unwrap_or("it cannot be read");
    let last = inert(last.trim_start_matches("error: "), 200);
    // The excerpt is indented by four, and has a mark below the mistake.
    let mark = text.lines().find(|line| line.trim_start().starts_with('^'));
    match mark.and_then(|line| line.find('^')) {
        Some(column) if column >= 4 => format!("{last} (character {})", column - 3),
        _ => last,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_java_knows_is_matched() {
        for (pattern, text, expected) in [
            ("^(?!main$).*", "feature/a", true),
            ("^(?!main$).*", "main", false),
            ("(?!.*(wip|draft)).+", "fix", true),
            ("(?!.*(wip|draft)).+", "my-wip", false),
            (r".*(?<!-snapshot)", "1.0", true),
            (r".*(?<!-snapshot)", "1.0-snapshot", false),
            (r"(\w+)/\1", "a/a", true),
            (r"(\w+)/\1", "a/b", false),
            ("a++b", "aab", true),
            ("release/(?=v).*", "release/v1", true),
        ] {
            assert_eq!(
                Pattern::whole(pattern).matches(text),
                Ok(expected),
                "{pattern} on {text}"
            );
        }
        assert_eq!(
            Pattern::anywhere(r"(?<=\[)skip(?=\])").matches("a [skip] b"),
            Ok(true)
        );
    }

    #[test]
    fn l1_backtracking_is_bounded_in_the_text_and_over_all_texts() {
        let pattern = Pattern::anywhere("(?=.*x)y");
        let long = "a".repeat(LONGEST_BACKTRACKED + 1);
        assert_eq!(pattern.matches(&long), Err(GIVEN_UP), "one long text");
        assert_eq!(pattern.matches("yx"), Ok(true), "the next text");
        let text = &long[..LONGEST_BACKTRACKED];
        let given_up = (0..=MOST_BACKTRACKED / LONGEST_BACKTRACKED)
            .position(|_| pattern.matches(text) == Err(GIVEN_UP) && pattern.matches("yx") == Err(GIVEN_UP));
        assert!(given_up.is_some(), "many texts");
        let linear = Pattern::anywhere("x.*y");
        assert_eq!(linear.matches(&"a".repeat(4 * MOST_BACKTRACKED)), Ok(false));
        let absent = Pattern::anywhere("(?~ab)(?=c)");
        assert!(absent.problem().is_some(), "what Java does not know");
    }

    #[test]
    fn l1_pathological_patterns_are_linear_or_given_up() {
        let long = format!("{}!", "a".repeat(50_000));
        let began = Instant::now();
        for pattern in ["(a+)+$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
            assert_eq!(Pattern::whole(pattern).matches(&long), Ok(false), "{pattern}");
        }
        for pattern in ["(?=a)(a+)+$", r"(a*)*\1$", "(?!b)(a|aa)+$"] {
            let pattern = Pattern::whole(pattern);
            assert!(pattern.problem().is_none(), "{}", pattern.text());
            assert_ne!(pattern.matches(&long), Ok(true), "{}", pattern.text());
        }
        // Unbounded, each would take longer than anybody waits.
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    }

    #[test]
    fn what_nobody_reads_says_why_and_where() {
        for (pattern, problem) in [
            ("src/(.*", "unclosed group (character 5)"),
            ("a{2,1}", "(character"),
            ("(?!a", "arenthes"),
            (r"(a)\2", "reference"),
            ("a)|(b", "unopened group"),
        ] {
            let pattern = Pattern::whole(pattern);
            let said = pattern.problem().unwrap_or("nothing");
            assert!(said.contains(problem), "{}: {said}", pattern.text());
        }
    }
}
