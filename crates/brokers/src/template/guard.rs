//! What a template may not hold, looked at before it is compiled.
//!
//! Steps are counted while a template runs, but one step can make a text twice as long, and thirty such steps fill
//! the memory. So everything that makes new and larger values is refused: joining and arithmetic operators, lists,
//! tuples and maps written down, variables that change, captured blocks. What is left prints and picks. The check
//! is coarse on purpose: where it reads a template otherwise than the engine does, it refuses.

use super::filters::{FILTERS, TESTS};

/// The longest template, in bytes.
const MAX_SOURCE: usize = 16 * 1024;

/// Words that begin a construct that captures text, repeats itself, or reaches other templates.
const REFUSED_WORDS: &[&str] = &[
    "raw",
    "set",
    "endset",
    "filter",
    "endfilter",
    "macro",
    "call",
    "caller",
    "include",
    "import",
    "from",
    "extends",
    "block",
    "recursive",
    "do",
    "autoescape",
];

/// Words behind which a bracket groups, and does not call.
const KEYWORDS: &[&str] = &[
    "if", "elif", "else", "in", "and", "or", "not", "is", "for", "with",
];

/// Why a template is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// The line, from 1.
    pub(super) line: usize,
    /// What, and what to do.
    pub(super) sentence: String,
}

/// Looks at a whole template.
pub(super) fn check(source: &str) -> Result<(), Refused> {
    if source.len() > MAX_SOURCE {
        return Err(Refused {
            line: 1,
            sentence: "is longer than 16 KiB; shorten it".to_owned(),
        });
    }
    let mut at = 0;
    while let Some(found) = source[at..].find('{') {
        let open = at + found;
        let end = match source[open + 1..].chars().next() {
            Some('{') => check_code(source, open + 2, "}}", true)?,
            Some('%') => check_code(source, open + 2, "%}", false)?,
            Some('#') => match source[open + 2..].find("#}") {
                Some(length) => open + 2 + length + 2,
                None => return Err(refused(source, open, "a comment has no `#}`; add it")),
            },
            _ => open + 1,
        };
        at = end;
    }
    Ok(())
}

/// Looks at code from `at` to its closing mark, and tells where the code has ended.
fn check_code(source: &str, start: usize, close: &str, prints: bool) -> Result<usize, Refused> {
    let mut brackets: Vec<Bracket> = Vec::new();
    let mut at = start;
    let mut touching = Touching::Nothing;
    let mut commas_allowed = false;
    let mut named = Named::Value;
    while let Some(c) = source[at..].chars().next() {
        if source[at..].starts_with(close) && brackets.is_empty() {
            return Ok(at + close.len());
        }
        let here = |sentence: &str| refused(source, at, sentence);
        let next = at + c.len_utf8();
        match c {
            '"' | '\'' => {
                at =
                    string_end(source, next, c).ok_or_else(|| here("a text has no closing quote; add it"))?;
                touching = Touching::Value;
                continue;
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = source[at..]
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .map_or(source.len(), |length| at + length);
                let word = &source[at..end];
                if REFUSED_WORDS.contains(&word) && touching != Touching::Dot {
                    return Err(here(
                        "only `if`, `for` and `with` blocks may be used; give values with `with`, and print text where it stands",
                    ));
                }
                named = match (named, word) {
                    (Named::Filter, word) if !known(FILTERS, word) => {
                        return Err(here(&format!("there is no filter `{word}`; there are {FILTERS}")));
                    }
                    (Named::Test, "not") => Named::Test,
                    (Named::Test, word) if !known(TESTS, word) => {
                        return Err(here(&format!("there is no test `{word}`; there are {TESTS}")));
                    }
                    (Named::Value, "is") if touching != Touching::Dot => Named::Test,
                    _ => Named::Value,
                };
                match word {
                    "for" | "with" if !prints => commas_allowed = true,
                    "in" => commas_allowed = false,
                    _ => {}
                }
                touching = if KEYWORDS.contains(&word) {
                    Touching::Nothing
                } else {
                    Touching::Value
                };
                at = end;
                continue;
            }
            '(' => brackets.push(if touching == Touching::Value {
                Bracket::Call
            } else {
                Bracket::Group
            }),
            '[' if touching == Touching::Value => brackets.push(Bracket::Pick),
            '[' | '{' => {
                return Err(here(
                    "lists and maps cannot be written down in a template; loop over what the event has",
                ));
            }
            ')' | ']' => {
                let opened = brackets.pop();
                if (c == ')') == matches!(opened, Some(Bracket::Pick) | None) {
                    return Err(here("a bracket closes that was not opened; remove it"));
                }
                touching = Touching::Value;
                at = next;
                continue;
            }
            ',' => {
                let allowed = match brackets.last() {
                    Some(Bracket::Call) => true,
                    Some(_) => false,
                    None => commas_allowed,
                };
                if !allowed {
                    return Err(here(
                        "lists cannot be written down in a template; loop over what the event has",
                    ));
                }
            }
            '|' => named = Named::Filter,
            '~' | '*' | '+' => {
                return Err(here(
                    "`~`, `+` and `*` cannot be used; write the pieces one behind the other: `{{ a }}{{ b }}`",
                ));
            }
            _ => {}
        }
        touching = if c == '.' {
            Touching::Dot
        } else {
            Touching::Nothing
        };
        at = next;
    }
    Err(refused(
        source,
        start,
        "a `{{` or `{%` is not closed; add `}}` or `%}`",
    ))
}

/// What the next word names.
#[derive(Clone, Copy)]
enum Named {
    Value,
    Filter,
    Test,
}

fn known(names: &str, word: &str) -> bool {
    names.split(", ").any(|name| name == word)
}

#[derive(Clone, Copy)]
enum Bracket {
    Call,
    Group,
    Pick,
}

#[derive(Clone, Copy, PartialEq)]
enum Touching {
    Nothing,
    Value,
    Dot,
}

fn string_end(source: &str, start: usize, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in source[start..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(start + at + 1),
            _ => {}
        }
    }
    None
}

fn refused(source: &str, at: usize, sentence: &str) -> Refused {
    Refused {
        line: source[..at].matches('\n').count() + 1,
        sentence: sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn templates_that_print_and_pick_are_let_through() {
        for source in [
            "plain { text } with + and ~ and [lists]",
            "{{ repository.name }}",
            "{% for ref in refs %}{{ loop.index }}{{ ref.commits[0].id | short }}{% endfor %}",
            "{% for key, value in pairs %}{{ key }}{% endfor %}",
            "{% if (build is none) and (kind == 'push') %}x{% endif %}",
            "{{ x | replace('+', \"~ }} {\") | join(', ') }}",
            "{# anything [1, 2] ~ + goes #}",
            "{%- with a = b.c, d = e -%}{{ a.set }}{% endwith %}",
            "{{ refs[:3] | length }}",
        ] {
            assert_eq!(check(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn whatever_makes_larger_values_is_refused() {
        for source in [
            "{{ a ~ a }}",
            "{{ a + a }}",
            "{{ a * 9 }}",
            "{{ [a, a] }}",
            "{{ (a, a) }}",
            "{{ a[0, 1] }}",
            "{% for b in [a, a] %}{% endfor %}",
            "{% for b in[a, a] %}{% endfor %}",
            "{% for b in(a, a) %}{% endfor %}",
            "{% for b in a, a %}{% endfor %}",
            "{{ {'a': a} }}",
            "{% set a = b, b %}",
            "{% set a %}{{ b }}{% endset %}",
            "{%- set a = b -%}",
            "{% filter upper %}{% endfilter %}",
            "{% raw %}{{ \" {% endraw %}{{ a ~ a }}",
            "{% for a in b recursive %}{% endfor %}",
            "{{ (a ~ a) }}",
            "{{ ('}}' ~ a) }}",
            "{{ a | shout }}",
            "{% if a is not loud %}{% endif %}",
            "{{ a",
            "{# a",
            "{{ 'a }}",
            "{{ a) }}",
        ] {
            assert!(check(source).is_err(), "{source}");
        }
        assert_eq!(check("one\ntwo\n{{ a ~ b }}").unwrap_err().line, 3);
    }
}
