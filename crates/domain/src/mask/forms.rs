//! The forms in which a secret may be written.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::weakness::weakness;

/// Lines of a secret of several lines count from this length, in characters (hostile-inputs.md S2).
const SHORTEST_LINE: usize = 8;
/// Shorter pieces of base64 would hit by chance.
const SHORTEST_BASE64: usize = 6;
/// Lengths at which `base64` and `openssl` break lines.
const BASE64_LINES: [usize; 2] = [76, 64];

/// Adds all forms of a secret, and of each of its longer lines.
pub(super) fn add(secret: &str, forms: &mut BTreeSet<Vec<u8>>) {
    if weakness(secret).is_some() {
        return;
    }
    add_text(secret, forms);
    let trimmed = secret.trim_end_matches(['\n', '\r']);
    if trimmed.contains('\n') {
        for line in trimmed.lines() {
            if line.chars().count() >= SHORTEST_LINE {
                add_text(line, forms);
            }
        }
    } else if trimmed.len() < secret.len() && weakness(trimmed).is_none() {
        add_text(trimmed, forms);
    }
}

/// Secrets with fewer characters stand in large files by chance.
const SHORTEST_WHOLE: usize = 8;

/// Adds all forms of a secret as a whole.
pub(super) fn add_whole(secret: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let whole = secret.trim();
    if weakness(whole).is_none() && whole.chars().count() >= SHORTEST_WHOLE {
        add_text(whole, forms);
        // The lines in which keys are written as base64 are, at both ends, those of other keys.
        if whole.contains('\n') {
            for piece in broken_base64(whole.as_bytes()) {
                forms.remove(piece.as_bytes());
            }
        }
    }
}

fn add_text(secret: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let bytes = secret.as_bytes();
    let mut add = |form: String| {
        forms.insert(form.into_bytes());
    };
    add(secret.to_owned());
    add(secret.chars().rev().collect());
    add(hexadecimal(bytes).to_uppercase());
    add(hexadecimal(bytes));
    for keeps in [is_unreserved, is_kept_by_encode_uri] {
        let encoded = percent_encoded(bytes, keeps);
        add(encoded.replace("%20", "+"));
        add(lower_case_escapes(&encoded));
        add(encoded);
    }
    for json in [
        json_escaped(secret, |_| false),
        json_escaped(secret, |letter| !letter.is_ascii()),
        json_escaped(secret, |letter| matches!(letter, '<' | '>' | '&')),
    ] {
        add(json.replace('/', "\\/"));
        add(json);
    }
    add(xml_escaped(secret, "&quot;", "&apos;"));
    add(xml_escaped(secret, "&#34;", "&#39;"));
    add(xml_escaped(secret, "\"", "'"));
    add(secret.replace('\'', "'\\''"));
    add(secret.replace('\'', "'\"'\"'"));
    for alignment in 0..3 {
        for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let stable = stable_base64(bytes, alignment, alphabet);
            if stable.len() >= SHORTEST_BASE64 {
                add(stable);
                for end in ["", "\n"] {
                    add(last_base64(bytes, alignment, end, alphabet));
                }
            }
        }
    }
    for piece in broken_base64(bytes) {
        add(piece);
    }
}

/// The characters that stand for the secret whatever comes before and behind it, when the encoder meets its
/// first byte at this place in a group of three.
fn stable_base64(secret: &[u8], alignment: usize, alphabet: &impl Engine) -> String {
    let mut bytes = vec![0; alignment];
    bytes.extend_from_slice(secret);
    let encoded = alphabet.encode(&bytes);
    // Characters with bits of a neighbour: two of the first group after one byte, three after two bytes.
    let first = if alignment == 0 { 0 } else { alignment + 1 };
    let last = bytes.len() * 8 / 6;
    encoded.get(first..last).unwrap_or("").to_owned()
}

/// The same with the character that the secret shares with what comes behind it, where that is nothing or a line feed.
fn last_base64(secret: &[u8], alignment: usize, end: &str, alphabet: &impl Engine) -> String {
    let mut bytes = vec![0; alignment];
    bytes.extend_from_slice(secret);
    let last = (bytes.len() * 8).div_ceil(6);
    bytes.extend_from_slice(end.as_bytes());
    let encoded = alphabet.encode(&bytes);
    let first = if alignment == 0 { 0 } else { alignment + 1 };
    encoded.get(first..last).unwrap_or("").to_owned()
}

/// The lines in which `base64` writes a secret that is too long for one.
fn broken_base64(secret: &[u8]) -> Vec<String> {
    let encoded = STANDARD_NO_PAD.encode(secret);
    BASE64_LINES
        .iter()
        .filter(|length| encoded.len() > **length)
        .flat_map(|length| encoded.as_bytes().chunks(*length))
        .filter(|line| line.len() >= SHORTEST_LINE)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_kept_by_encode_uri(byte: u8) -> bool {
    is_unreserved(byte) || b"!*'();/?:@&=+$,#".contains(&byte)
}

fn percent_encoded(bytes: &[u8], keeps: fn(u8) -> bool) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if keeps(*byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

fn lower_case_escapes(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut text = pieces.next().unwrap_or("").to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at(piece.len().min(2));
        text.push('%');
        text.push_str(&digits.to_lowercase());
        text.push_str(rest);
    }
    text
}

/// The inside of a JSON string. Characters that `also` names are written by their numbers, as some writers do.
fn json_escaped(text: &str, also: fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\u{8}' => escaped.push_str("\\b"),
            '\u{c}' => escaped.push_str("\\f"),
            letter if letter < ' ' || also(letter) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

fn xml_escaped(text: &str, quote: &str, apostrophe: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', quote)
        .replace('\'', apostrophe)
}
