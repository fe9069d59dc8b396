//! Bytes of a report to text: UTF-8, UTF-16, and the Latin alphabets that old programs declare.

use std::borrow::Cow;

use super::FindingKind;
use super::case::CaseSink;

/// The text; bytes that are none become replacement characters, with a note.
pub(super) fn decode<'a>(bytes: &'a [u8], sink: &mut CaseSink<'_>) -> Cow<'a, str> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf_16(rest, u16::from_le_bytes, sink)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf_16(rest, u16::from_be_bytes, sink)),
        [b'<' | b'{', 0, ..] => Cow::Owned(utf_16(bytes, u16::from_le_bytes, sink)),
        [0, b'<' | b'{', ..] => Cow::Owned(utf_16(bytes, u16::from_be_bytes, sink)),
        _ => eight_bit(bytes, sink),
    }
}

fn eight_bit<'a>(bytes: &'a [u8], sink: &mut CaseSink<'_>) -> Cow<'a, str> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Cow::Borrowed(text),
        Err(error) => error,
    };
    if declares_latin(bytes) {
        return Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    // A character that the end of what is read cuts in two is no fault of the report.
    if error.error_len().is_none() {
        let whole = &bytes[..error.valid_up_to()];
        return String::from_utf8_lossy(whole);
    }
    let before = &bytes[..error.valid_up_to()];
    let line = 1 + memchr::memchr_iter(b'\n', before).count();
    note_not_text(u32::try_from(line).unwrap_or(u32::MAX), sink);
    String::from_utf8_lossy(bytes)
}

/// Whether the declaration at the beginning names ISO 8859-1, -15 or Windows 1252, which differ in a few signs only.
fn declares_latin(bytes: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_lowercase();
    let declaration = start.split("?>").next().unwrap_or("");
    declaration.contains("iso-8859-1")
        || declaration.contains("windows-1252")
        || declaration.contains("cp1252")
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16, sink: &mut CaseSink<'_>) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len() / 2);
    let mut lines = 1;
    let mut bad_line = None;
    for letter in char::decode_utf16(units) {
        let letter = letter.unwrap_or_else(|_| {
            bad_line.get_or_insert(lines);
            char::REPLACEMENT_CHARACTER
        });
        lines += u32::from(letter == '\n');
        text.push(letter);
    }
    if let Some(line) = bad_line {
        note_not_text(line, sink);
    }
    text
}

fn note_not_text(line: u32, sink: &mut CaseSink<'_>) {
    sink.find_once(
        line,
        FindingKind::UnknownEntity,
        "some bytes are no text in the encoding of the file; they are shown as \u{fffd}",
    );
}
