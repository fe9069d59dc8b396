//! Variables that a build wrote into a file: `inject-variables` (bamboo-specs.md 4.4).
//!
//! The file has lines `key=value`, which become `bamboo.NAMESPACE.key`. As in Bamboo, which has Java read it, `:` may
//! stand for `=`, a backslash at the end joins the next line, and backslashes begin escapes. Whoever can push can write
//! it, so its names and values are bounded, and nothing in them is put in or run.

use std::collections::BTreeMap;

use crate::plan::Variable;
use crate::text::inert;

use super::MAX_NAME;

/// The namespace where the task names none.
pub const DEFAULT_NAMESPACE: &str = "inject";
/// The most that is read of a file, in bytes.
const MAX_FILE: usize = 1 << 20;
/// The most variables of one file.
const MAX_VARIABLES: usize = 1000;
/// The longest value, in bytes: what one variable of an environment may have.
const MAX_VALUE: usize = 100 << 10;
/// The most problems that are told.
const MAX_PROBLEMS: usize = 20;

/// How far an injected variable reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InjectionScope {
    /// The rest of the job. The default.
    #[default]
    Local,
    /// The rest of the job, later stages, and releases made from the result.
    Result,
}

impl InjectionScope {
    /// The scope that a plan file names, in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word.trim() {
            word if word.eq_ignore_ascii_case("local") => Some(Self::Local),
            word if word.eq_ignore_ascii_case("result") => Some(Self::Result),
            _ => None,
        }
    }
}

/// What a file of variables holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injected {
    /// The variables with their namespace, each name once, in the order of the names.
    pub variables: Vec<Variable>,
    /// Lines that are no variable.
    pub problems: Vec<InjectionProblem>,
}

/// A line of a file of variables that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectionProblem {
    /// The line, from 1.
    pub line: usize,
    /// A sentence for people, without the value.
    pub message: String,
}

/// Reads a file of variables. Blank lines and those that begin with `#` or `!` mean nothing, blanks around keys and
/// values neither; a key that comes twice has its last value. `\\`, `\n`, `\t`, `\u00e4` and their like are escapes, and
/// any other letter behind a backslash stands for itself. Reading never fails as a whole. What cannot be part of a name
/// becomes `_` in the namespace.
#[must_use]
pub fn read_injected(file: &str, namespace: &str) -> Injected {
    let namespace = match namespace.trim() {
        "" => DEFAULT_NAMESPACE.to_owned(),
        named => named.replace(is_bad, "_"),
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut tell = |line: usize, message: String| {
        if problems.len() < MAX_PROBLEMS {
            problems.push(InjectionProblem { line, message });
        }
    };
    let read = &file[..file.floor_char_boundary(MAX_FILE)];
    for (line_number, line) in joined_lines(read.trim_start_matches('\u{feff}')) {
        let Some((key, value)) = split(&line) else {
            tell(line_number, "the line is not of the form key=value".to_owned());
            continue;
        };
        let (key, value) = (unescaped(key.trim_end()), unescaped(value.trim()));
        if let Err(problem) = check_key(&key, &namespace) {
            tell(line_number, problem);
        } else if value.contains('\0') {
            let message = format!(
                "the value of `{}` has a NUL, which no variable can hold",
                inert(&key, 80)
            );
            tell(line_number, message);
        } else if value.len() > MAX_VALUE {
            let message = format!(
                "the value of `{}` has more than {} KiB, the most that a variable can hold",
                inert(&key, 80),
                MAX_VALUE >> 10
            );
            tell(line_number, message);
        } else if found.len() >= MAX_VARIABLES && !found.contains_key(&key) {
            tell(
                line_number,
                format!("a file holds at most {MAX_VARIABLES} variables"),
            );
            break;
        } else {
            found.insert(key, value);
        }
    }
    if read.len() < file.len() {
        let line = read.lines().count();
        tell(
            line,
            format!(
                "the file has more than {} MiB; the rest was not read",
                MAX_FILE >> 20
            ),
        );
    }
    Injected {
        variables: found
            .into_iter()
            .map(|(key, value)| Variable {
                name: format!("{namespace}.{key}"),
                value,
            })
            .collect(),
        problems,
    }
}

/// The lines that mean something, with the number of their first, and with what a backslash joined to them.
fn joined_lines(text: &str) -> Vec<(usize, String)> {
    let mut joined = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        // A blank at the end may belong to a backslash, and then no line follows.
        let line = line.trim_start();
        if line.trim_end().is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while ends_open(&whole) {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next.trim_start());
        }
        joined.push((at + 1, whole));
    }
    joined
}

/// Whether the last backslash of a line is not itself behind one.
fn ends_open(line: &str) -> bool {
    let backslashes = line.bytes().rev().take_while(|&byte| byte == b'\\').count();
    backslashes % 2 == 1
}

/// The two sides of the first `=` or `:` that has no backslash in front.
fn split(line: &str) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    let at = line.bytes().position(|byte| {
        let ends = !is_escaped && matches!(byte, b'=' | b':');
        is_escaped = !is_escaped && byte == b'\\';
        ends
    })?;
    Some((&line[..at], &line[at + 1..]))
}

/// A text with its escapes replaced; what is no letter in `\u` becomes U+FFFD.
fn unescaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    // Letters that UTF-16 writes as two come as two escapes.
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    loop {
        let unit = rest
            .strip_prefix("\\u")
            .and_then(|behind| behind.get(..4))
            .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|hex| u16::from_str_radix(hex, 16).ok());
        if let Some(unit) = unit {
            units.push(unit);
            rest = &rest[6..];
            continue;
        }
        result.push_str(&String::from_utf16_lossy(&units));
        units.clear();
        let mut letters = rest.chars();
        match letters.next() {
            None => return result,
            Some('\\') => result.extend(letters.next().map(|letter| match letter {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                'f' => '\u{c}',
                other => other,
            })),
            Some(letter) => result.push(letter),
        }
        rest = letters.as_str();
    }
}

fn check_key(key: &str, namespace: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("the line has a value, but no key".to_owned());
    }
    if key.len() + namespace.len() >= MAX_NAME {
        return Err(format!(
            "a name has at most {MAX_NAME} bytes, its namespace among them"
        ));
    }
    if key.contains(is_bad) {
        return Err(format!(
            "`{}` is no name: blanks, control characters, `$`, `{{` and `}}` cannot be part of it",
            inert(key, 80)
        ));
    }
    Ok(())
}

/// Whether a letter cannot be part of a variable's name.
fn is_bad(letter: char) -> bool {
    letter.is_control() || letter.is_whitespace() || "${}".contains(letter)
}
