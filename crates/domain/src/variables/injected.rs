//! Variables that a build wrote into a file: `inject-variables` (bamboo-specs.md 4.4).
//!
//! The file has lines `key=value`, which become `bamboo.NAMESPACE.key`. Whoever can push can write it, so its names
//! and values are bounded and taken literally.

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
/// values neither; a key that comes twice has its last value. Reading never fails as a whole. What cannot be part of a
/// name becomes `_` in the namespace.
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
    for (at, line) in read.trim_start_matches('\u{feff}').lines().enumerate() {
        let line_number = at + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            tell(line_number, "the line is not of the form key=value".to_owned());
            continue;
        };
        let (key, value) = (key.trim_end(), value.trim_start());
        if let Err(problem) = check_key(key, &namespace) {
            tell(line_number, problem);
        } else if value.len() > MAX_VALUE {
            let message = format!(
                "the value of `{}` has more than {} KiB, the most that a variable can hold",
                inert(key, 80),
                MAX_VALUE >> 10
            );
            tell(line_number, message);
        } else if found.len() >= MAX_VARIABLES && !found.contains_key(key) {
            tell(
                line_number,
                format!("a file holds at most {MAX_VARIABLES} variables"),
            );
            break;
        } else {
            found.insert(key.to_owned(), value.to_owned());
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
