//! Keeps secrets out of a log: plainly written, and in the forms that programs give them on the way.
//!
//! Found are the text itself, each of its longer lines, base64 in any alignment, hexadecimal, percent-encoded,
//! as a JSON string and as `set -x` quotes it. Not found is what a program takes apart on purpose: reversed,
//! or one character per line.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands in place of a secret.
const COVER: &[u8] = b"********";

/// Secrets with fewer characters are left alone: they would blank out ordinary words.
const SHORTEST_SECRET: usize = 4;

/// Lines of a secret of several lines count from this length.
const SHORTEST_LINE: usize = 8;

/// Shorter pieces of base64 would hit by chance.
const SHORTEST_BASE64: usize = 6;

/// All that must not appear in a log.
#[derive(Default)]
pub(crate) struct Masks {
    /// Patterns by their first byte, the longest first.
    by_first_byte: Vec<Vec<Vec<u8>>>,
    longest: usize,
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks(..)")
    }
}

impl Masks {
    /// Masks for these secrets.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut patterns = BTreeSet::new();
        for secret in secrets {
            add_secret(secret, &mut patterns);
        }
        if patterns.is_empty() {
            return Self::default();
        }
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        let mut by_first_byte = vec![Vec::new(); 256];
        for pattern in patterns {
            by_first_byte[usize::from(pattern[0])].push(pattern);
        }
        for bucket in &mut by_first_byte {
            bucket.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        }
        Self {
            by_first_byte,
            longest,
        }
    }

    /// The length of the longest pattern in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The text with each secret covered.
    pub(crate) fn apply<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let spans = self.spans(text);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = Vec::with_capacity(text.len());
        let mut kept = 0;
        for (from, to) in spans {
            masked.extend_from_slice(&text[kept..from]);
            masked.extend_from_slice(COVER);
            kept = to;
        }
        masked.extend_from_slice(&text[kept..]);
        Cow::Owned(masked)
    }

    /// Where secrets stand, from the first to the last; those that overlap are one, so no remainder shows.
    pub(crate) fn spans(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        if self.by_first_byte.is_empty() {
            return spans;
        }
        for (from, byte) in text.iter().enumerate() {
            let bucket = &self.by_first_byte[usize::from(*byte)];
            let Some(found) = bucket.iter().find(|pattern| text[from..].starts_with(pattern)) else {
                continue;
            };
            let to = from + found.len();
            match spans.last_mut() {
                Some(last) if from < last.1 => last.1 = last.1.max(to),
                _ => spans.push((from, to)),
            }
        }
        spans
    }
}

fn add_secret(secret: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    if secret.chars().count() < SHORTEST_SECRET {
        return;
    }
    add_forms(secret, patterns);
    let trimmed = secret.trim_end_matches(['\n', '\r']);
    if trimmed.contains('\n') {
        for line in trimmed
            .lines()
            .filter(|line| line.chars().count() >= SHORTEST_LINE)
        {
            add_forms(line, patterns);
        }
    } else if trimmed.len() < secret.len() && trimmed.chars().count() >= SHORTEST_SECRET {
        add_forms(trimmed, patterns);
    }
}

fn add_forms(secret: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    let bytes = secret.as_bytes();
    patterns.insert(bytes.to_vec());
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    patterns.insert(hexadecimal.to_uppercase().into_bytes());
    patterns.insert(hexadecimal.into_bytes());
    for keeps in [is_unreserved, is_kept_by_encode_uri] {
        let encoded = percent_encoded(bytes, keeps);
        patterns.insert(encoded.replace("%20", "+").into_bytes());
        patterns.insert(lower_case_escapes(&encoded).into_bytes());
        patterns.insert(encoded.into_bytes());
    }
    if let Ok(json) = serde_json::to_string(secret) {
        patterns.insert(json[1..json.len() - 1].replace('/', "\\/").into_bytes());
        patterns.insert(json.as_bytes()[1..json.len() - 1].to_vec());
    }
    patterns.insert(secret.replace('\'', "'\\''").into_bytes());
    patterns.insert(secret.replace('\'', "'\"'\"'").into_bytes());
    for alignment in 0..3 {
        for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let stable = stable_base64(bytes, alignment, alphabet);
            if stable.len() >= SHORTEST_BASE64 {
                patterns.insert(stable.into_bytes());
            }
        }
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

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_kept_by_encode_uri(byte: u8) -> bool {
    is_unreserved(byte) || b"!*'();/?:@&=+$,#".contains(&byte)
}

fn percent_encoded(bytes: &[u8], keeps: fn(u8) -> bool) -> String {
    bytes
        .iter()
        .map(|byte| {
            if keeps(*byte) {
                char::from(*byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn masked(secrets: &[&str], text: &str) -> String {
        String::from_utf8(
            Masks::new(secrets.iter().copied())
                .apply(text.as_bytes())
                .into_owned(),
        )
        .unwrap()
    }

    #[test]
    fn secret_is_covered_in_each_form() {
        let secret = "p@ss w'rd/\"ü?";
        for form in [
            secret,
            "7040737320772772642f22c3bc3f",
            "7040737320772772642F22C3BC3F",
            "p%40ss%20w%27rd%2F%22%C3%BC%3F",
            "p%40ss%20w%27rd%2f%22%c3%bc%3f",
            "p%40ss+w%27rd%2F%22%C3%BC%3F",
            "p@ss w'rd/\\\"ü?",
            "p@ss w'\\''rd/\"ü?",
        ] {
            assert_eq!(
                masked(&[secret], &format!("a {form} b")),
                "a ******** b",
                "{form}"
            );
        }
    }

    #[test]
    fn base64_is_covered_in_all_alignments() {
        let secret = "hunter22hunter";
        for prefix in ["", "u", "us", "use", "user:"] {
            for suffix in ["", "\n", "xy", "xyz"] {
                let encoded = STANDARD.encode(format!("{prefix}{secret}{suffix}"));
                let shown = masked(&[secret], &encoded);
                assert!(shown.contains("********"), "{prefix} {suffix}");
                let left = shown.replace("********", "").len();
                assert!(left <= (prefix.len() + suffix.len() + 6) * 4 / 3 + 2, "{shown}");
            }
        }
    }

    #[test]
    fn overlapping_secrets_leave_no_remainder() {
        assert_eq!(masked(&["abcdef", "defghi"], "1 abcdefghi 2"), "1 ******** 2");
        assert_eq!(
            masked(&["token", "token-long"], "token-long token"),
            "******** ********"
        );
    }

    #[test]
    fn short_secrets_are_left_alone_and_lines_of_long_ones_are_not() {
        assert_eq!(masked(&["abc", ""], "abc"), "abc");
        let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkq\n-----END KEY-----\n";
        assert_eq!(masked(&[key], "MIIEvQIBADAN"), "********");
        assert_eq!(masked(&[key], "Bgkq"), "Bgkq");
        assert_eq!(masked(&["hunter22\n"], "hunter22"), "********");
    }
}
