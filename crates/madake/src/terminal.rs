//! What people see: colours, aligned tables, times, and the harmless form of text that strangers wrote.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use madake_domain::text::inert;
use serde_json::Value;

/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Worth a second look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What is going on.
pub(crate) const BUSY: Style = AnsiColor::Cyan.on_default();
/// What stands back.
pub(crate) const DIM: Style = Style::new().dimmed();
/// What stands out.
pub(crate) const BOLD: Style = Style::new().bold();

/// `text` in a style. Where it is printed, the style goes if the terminal shows none.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints a line to standard output.
///
/// # Errors
/// When nobody reads on.
pub(crate) fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(anstream::stdout().lock(), "{line}").context("cannot print")
}

/// Prints the server's answer for machines.
///
/// # Errors
/// When nobody reads on.
pub(crate) fn say_json(value: &Value) -> anyhow::Result<()> {
    say(format_args!("{value:#}"))
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Prints rows under headings, each column as wide as its widest cell.
///
/// # Errors
/// When nobody reads on.
pub(crate) fn say_table(headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(headings.get(column).map_or(0, |heading| heading.chars().count()))
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text.trim_end().to_owned()
    };
    let headings: Vec<String> = headings.iter().map(|heading| heading.to_uppercase()).collect();
    say(paint(DIM, line(&headings)))?;
    for row in rows {
        say(line(row))?;
    }
    Ok(())
}

/// A text of an answer, harmless to print; empty when there is none.
pub(crate) fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => inert(text, 500),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A list of an answer; empty when there is none.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A flag of an answer; off when there is none.
pub(crate) fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// A number of an answer.
pub(crate) fn number(value: &Value, name: &str) -> Option<i64> {
    value.get(name).and_then(Value::as_i64)
}

/// The first twelve digits of a commit.
pub(crate) fn short_revision(revision: &str) -> String {
    revision.chars().take(12).collect()
}

/// `2026-11-22 00:31:05`, in the time zone of this machine.
pub(crate) fn local_time(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(
        |_| "-".to_owned(),
        |at| {
            at.to_zoned(TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

/// `3 s ago`
pub(crate) fn ago(at_ms: i64, now_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(at_ms).max(0) / 1000;
    match seconds {
        0 => "just now".to_owned(),
        1..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// `840 ms`, `1.2 s`, `3 min 05 s`
pub(crate) fn duration(took_ms: i64) -> String {
    match took_ms.max(0) {
        took @ 0..1000 => format!("{took} ms"),
        took @ 1000..60_000 => format!("{}.{} s", took / 1000, took % 1000 / 100),
        took => format!("{} min {:02} s", took / 60_000, took % 60_000 / 1000),
    }
}

/// A line of a build's log: colours stay, everything else that a terminal would obey goes.
pub(crate) fn log_text(line: &str, max_chars: usize) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    let mut coloured = false;
    while let Some(at) = rest.find("\u{1b}[") {
        shown.push_str(&inert(&rest[..at], max_chars));
        let after = &rest[at + 2..];
        let end = after
            .bytes()
            .position(|byte| !(byte.is_ascii_digit() || byte == b';'));
        match end {
            Some(end) if after.as_bytes().get(end) == Some(&b'm') && end < 20 => {
                shown.push_str(&rest[at..at + 2 + end + 1]);
                coloured = true;
                rest = &after[end + 1..];
            }
            // Left for `inert`, which knows how far such a sequence goes.
            _ => {
                shown.push_str(&inert(&rest[at..], max_chars));
                rest = "";
            }
        }
    }
    shown.push_str(&inert(rest, max_chars));
    if coloured {
        shown.push_str("\u{1b}[0m");
    }
    shown
}

/// Reads a secret from standard input: all of it, without the line feed at its end.
///
/// # Errors
/// When there is none.
pub(crate) fn read_secret(what: &str) -> anyhow::Result<String> {
    let mut input = std::io::stdin();
    let mut text = String::new();
    let asked = if input.is_terminal() {
        let _ = write!(anstream::stderr().lock(), "{what}: ");
        input.read_line(&mut text).map(|_| ())
    } else {
        std::io::Read::read_to_string(&mut input, &mut text).map(|_| ())
    };
    asked.with_context(|| format!("the {what} cannot be read from standard input"))?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    anyhow::ensure!(
        !secret.is_empty(),
        "there is no {what} on standard input; pipe it in, for example: printf %s \"$SECRET\" | madake ..."
    );
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_log_lines_keep_colours_and_lose_what_moves_the_cursor() {
        assert_eq!(
            log_text("\u{1b}[32mok\u{1b}[0m done", 100),
            "\u{1b}[32mok\u{1b}[0m done\u{1b}[0m"
        );
        for hostile in ["a\u{1b}[2Jb", "a\u{1b}]0;title\u{7}b", "a\u{7}b", "a\u{9b}2Jb"] {
            assert_eq!(log_text(hostile, 100), "ab", "{hostile:?}");
        }
    }

    #[test]
    fn durations_and_distances_read_well() {
        assert_eq!(
            [840, 1240, 185_000].map(duration),
            ["840 ms", "1.2 s", "3 min 05 s"]
        );
        assert_eq!(ago(0, 500), "just now");
        assert_eq!(ago(0, 65_000), "65 s ago");
        assert_eq!(ago(0, 3 * 3600 * 1000), "3 h ago");
    }
}
