//! Parses a document although keys are given twice, so that every repeated key is found at once.
//!
//! saphyr stops at the first repeated key and knows only its second place. So that key is made unique (its first
//! character is replaced by one of the private use area) and the text is parsed again; the tree then holds both,
//! and the conversion sees by the place which one is the repetition.

use std::borrow::Cow;

use saphyr::{LoadableYamlNode, MarkedYaml, ScanError};

/// The most characters that may be parsed once more for the sake of a complete list.
const MAX_REPARSED_BYTES: usize = 256 * 1024;

/// A parsed document.
pub(super) struct Parsed {
    pub(super) nodes: Vec<MarkedYaml<'static>>,
    pub(super) repeated: Vec<RepeatedKey>,
}

/// A key that was made unique.
#[derive(Debug, Clone, Copy)]
pub(super) struct RepeatedKey {
    /// Line from 1 and column from 0, as the parser counts.
    pub(super) line: usize,
    pub(super) column: usize,
    /// The character that was replaced.
    pub(super) first: char,
}

/// Parses `text`. `check` looks at the text before each try.
pub(super) fn parse(
    text: &str,
    check: impl Fn(&str) -> Result<Option<String>, ScanError>,
) -> Result<Result<Parsed, String>, ScanError> {
    let mut text = Cow::Borrowed(text);
    let mut repeated: Vec<RepeatedKey> = Vec::new();
    let tries = MAX_REPARSED_BYTES / text.len().max(1);
    loop {
        let tried = match check(&text) {
            Ok(Some(message)) => return Ok(Err(message)),
            Ok(None) => MarkedYaml::load_from_iter(text.chars()),
            Err(error) => Err(error),
        };
        match tried {
            Ok(nodes) => return Ok(Ok(Parsed { nodes, repeated })),
            Err(error) if error.info().starts_with("duplicated key") && repeated.len() < tries.min(50) => {
                let Some((changed, key)) = make_unique(&text, &error, repeated.len()) else {
                    return Err(error);
                };
                repeated.push(key);
                text = Cow::Owned(changed);
            }
            Err(error) => return Err(error),
        }
    }
}

fn make_unique(text: &str, error: &ScanError, count: usize) -> Option<(String, RepeatedKey)> {
    let (line, column) = (error.marker().line(), error.marker().col());
    let line_start = match line {
        1 => 0,
        _ => text.match_indices('\n').nth(line.checked_sub(2)?)?.0 + 1,
    };
    let (mut at, mut first) = text[line_start..].char_indices().nth(column)?;
    if first == '\'' || first == '"' {
        (at, first) = text[line_start..].char_indices().nth(column + 1)?;
    } else if "&*!?|>".contains(first) {
        return None;
    }
    if first.is_whitespace() || "'\"\\:".contains(first) {
        return None;
    }
    let unique = char::from_u32(0xE000 + u32::try_from(count).ok()?)?;
    let at = line_start + at;
    let mut changed = String::with_capacity(text.len() + 4);
    changed.push_str(&text[..at]);
    changed.push(unique);
    changed.push_str(&text[at + first.len_utf8()..]);
    Some((changed, RepeatedKey { line, column, first }))
}
