//! JSON text in the two spellings that receivers know, with nothing active left unescaped.
//!
//! Plain JSON escapes the control characters below U+0020 only. Names and messages of strangers also hold
//! DEL, the C1 controls and marks that turn the reading direction; written as `\uXXXX` they stay the same
//! data for every parser and do nothing to a terminal or a log (hostile-inputs.md W23, G12).

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::text;

/// Without spaces, as Java writes it.
pub(super) fn compact(value: &impl Serialize) -> Vec<u8> {
    write(value, Compact)
}

/// With a space behind each comma and colon and in ASCII alone, as Python writes it.
pub(super) fn ascii(value: &impl Serialize) -> Vec<u8> {
    write(value, Ascii)
}

fn write(value: &impl Serialize, formatter: impl Formatter) -> Vec<u8> {
    let mut text = Vec::with_capacity(1024);
    value
        .serialize(&mut Serializer::with_formatter(&mut text, formatter))
        .expect("bodies have text keys, and a vector takes every byte");
    text
}

struct Compact;

impl Formatter for Compact {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        write_escaped(writer, text, text::is_active)
    }
}

struct Ascii;

impl Formatter for Ascii {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        write_escaped(writer, text, |character| {
            !character.is_ascii() || text::is_active(character)
        })
    }
}

fn write_escaped<W: ?Sized + io::Write>(
    writer: &mut W,
    text: &str,
    is_escaped: impl Fn(char) -> bool,
) -> io::Result<()> {
    let mut rest = text;
    while let Some(place) = rest.find(&is_escaped) {
        let (plain, from_escaped) = rest.split_at(place);
        writer.write_all(plain.as_bytes())?;
        let mut characters = from_escaped.chars();
        for unit in characters.next().into_iter().flat_map(utf16) {
            write!(writer, "\\u{unit:04x}")?;
        }
        rest = characters.as_str();
    }
    writer.write_all(rest.as_bytes())
}

fn utf16(character: char) -> Vec<u16> {
    character.encode_utf16(&mut [0; 2]).to_vec()
}

#[cfg(test)]
mod tests {
    use super::{ascii, compact};

    #[test]
    fn active_characters_are_escaped_and_mean_the_same() {
        let hostile = "a\u{202e}b\u{1b}[31m\u{7f}\u{9b}\u{0}\u{2028}\"\\ Ünï 真竹 🎋\u{e0041}";
        let value = serde_json::json!({"k": [hostile, 1, null]});
        for text in [compact(&value), ascii(&value)] {
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&text).unwrap(), value);
            let text = String::from_utf8(text).unwrap();
            assert!(!text.chars().any(crate::text::is_active), "{text:?}");
        }
        assert_eq!(compact(&["Ü\u{202e}", "x"]), "[\"Ü\\u202e\",\"x\"]".as_bytes());
        assert_eq!(
            ascii(&serde_json::json!({"a": ["Ü🎋", true], "b": {}})),
            br#"{"a": ["\u00dc\ud83c\udf8b", true], "b": {}}"#
        );
    }
}
