//! The format of a job's log: one line of text per entry, `type<TAB>dd-MMM-yyyy HH:mm:ss<TAB>message`
//! (bamboo-rest.md 5.8).
//!
//! The type stands first and a message never holds a line feed, so that no output of a build can pass for
//! another kind of line.

use std::fmt;

/// The kind of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// A word of the agent about the job as a whole.
    Simple,
    /// Standard output of a task, or a word of the agent about a task.
    Build,
    /// A command that is about to run.
    Command,
    /// Standard error of a task, or a failure that the agent reports.
    Error,
}

impl LogKind {
    /// The word at the start of the line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Build => "build",
            Self::Command => "command",
            Self::Error => "error",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Simple, Self::Build, Self::Command, Self::Error]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for LogKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line of a log in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// The kind.
    pub kind: LogKind,
    /// The time, `31-Jan-2026 06:17:36`, in the time zone of the order.
    pub time: &'a str,
    /// The text. It may hold control characters that a build wrote: make them inert before showing them.
    pub message: &'a str,
}

impl<'a> LogLine<'a> {
    /// Takes a line (without its line feed) apart; `None` when it is no log line.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut parts = line.splitn(3, '\t');
        Some(Self {
            kind: LogKind::from_word(parts.next()?)?,
            time: parts.next()?,
            message: parts.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_taken_apart_and_keeps_tabs_of_its_message() {
        assert_eq!(
            LogLine::parse("error\t31-Jan-2026 06:17:36\ta\tb"),
            Some(LogLine {
                kind: LogKind::Error,
                time: "31-Jan-2026 06:17:36",
                message: "a\tb"
            })
        );
        for no_line in ["", "error", "other\t31-Jan-2026 06:17:36\tx", "build\tx"] {
            assert_eq!(LogLine::parse(no_line), None, "{no_line}");
        }
    }
}
