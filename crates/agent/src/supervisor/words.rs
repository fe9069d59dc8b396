//! Splits a text into words as a shell does, without any other power of a shell, and writes words so that they can be told
//! apart.

/// Why a text cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {quote} is opened but never closed")]
pub(crate) struct OpenQuote {
    quote: &'static str,
}

/// The words of a text: separated by white space, which single quotes, double quotes and a backslash keep.
/// Inside double quotes a backslash keeps its meaning only before `"`, `\`, `$` and a backtick.
pub(crate) fn split(text: &str) -> Result<Vec<String>, OpenQuote> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => {
                            return Err(OpenQuote {
                                quote: "single quote",
                            });
                        }
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('"') => break,
                        Some('\\') => match characters.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => {
                                return Err(OpenQuote {
                                    quote: "double quote",
                                });
                            }
                        },
                        Some(c) => word.push(c),
                        None => {
                            return Err(OpenQuote {
                                quote: "double quote",
                            });
                        }
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(characters.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Words as a person would type them: those that a shell would read as something else are quoted.
pub(crate) fn shown(words: &[String]) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-./=:,@%+".contains(letter);
    let words: Vec<String> = words
        .iter()
        .map(|word| {
            if !word.is_empty() && word.chars().all(is_plain) {
                word.clone()
            } else {
                quoted(word)
            }
        })
        .collect();
    words.join(" ")
}

/// A text as one word of a shell, whatever it has.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_shown_can_be_told_apart() {
        let table: &[(&[&str], &str)] = &[
            (&["node", "one", "two three"], "node one 'two three'"),
            (&["mvn", "-Dname=a b", ""], "mvn '-Dname=a b' ''"),
            (&["it's $(id)", "~", "#"], r"'it'\''s $(id)' '~' '#'"),
            (&["C:\\x", "ä/b.c", "a\nb"], "'C:\\x' ä/b.c 'a\nb'"),
        ];
        for (words, line) in table {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(shown(&words), *line);
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  \t\n ", &[]),
            ("--fast \"two words\"", &["--fast", "two words"]),
            ("A=1 B=\"two words\" C='it''s'", &["A=1", "B=two words", "C=its"]),
            (r#"a\ b "c\"d" '\n' "\n""#, &["a b", "c\"d", "\\n", "\\n"]),
            ("'' \"\"", &["", ""]),
            (
                "$HOME `id` $(id) ; | >x",
                &["$HOME", "`id`", "$(id)", ";", "|", ">x"],
            ),
        ];
        for (text, words) in table {
            assert_eq!(split(text).unwrap(), *words, "{text}");
        }
    }

    #[test]
    fn open_quote_is_an_error() {
        for text in ["'a", "\"a", "\"a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
