//! Cuts a stream of bytes into lines.
//!
//! A line feed ends a line; so does a carriage return, alone or before a line feed: a progress bar becomes
//! lines that one can read, and nothing can be hidden by writing over it. Very long lines are cut.

use madake_domain::mask::Masks;
use memchr::memchr2;

/// The longest line in bytes; what is longer becomes several.
pub(crate) const LONGEST_LINE: usize = 64 * 1024;

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    pending: Vec<u8>,
    after_carriage_return: bool,
}

impl LineSplitter {
    /// Takes the next piece and hands out the lines that it completes. `masks` keep a cut from going through
    /// a secret.
    pub(crate) fn push(&mut self, mut piece: &[u8], masks: &Masks, mut line: impl FnMut(&[u8])) {
        while let Some(end) = memchr2(b'\n', b'\r', piece) {
            let (text, ending) = (&piece[..end], piece[end]);
            piece = &piece[end + 1..];
            if !text.is_empty() {
                self.after_carriage_return = false;
            }
            let is_blank = text.is_empty() && self.pending.is_empty();
            if ending == b'\r' {
                if is_blank {
                    continue;
                }
                self.after_carriage_return = true;
            } else if std::mem::take(&mut self.after_carriage_return) && is_blank {
                continue;
            }
            if self.pending.is_empty() {
                cut(text, masks, &mut line);
            } else {
                self.pending.extend_from_slice(text);
                cut(&self.pending, masks, &mut line);
                self.pending.clear();
            }
        }
        if !piece.is_empty() {
            self.after_carriage_return = false;
            self.pending.extend_from_slice(piece);
        }
        while self.pending.len() >= LONGEST_LINE + masks.longest() {
            let end = cut_position(&self.pending, masks);
            line(&self.pending[..end]);
            self.pending.drain(..end);
        }
    }

    /// Hands out what stands behind the last line end.
    pub(crate) fn finish(&mut self, masks: &Masks, mut line: impl FnMut(&[u8])) {
        if !self.pending.is_empty() {
            cut(&self.pending, masks, &mut line);
            self.pending.clear();
        }
    }
}

fn cut(mut text: &[u8], masks: &Masks, line: &mut impl FnMut(&[u8])) {
    while text.len() > LONGEST_LINE {
        let end = cut_position(text, masks);
        line(&text[..end]);
        text = &text[end..];
        if text.is_empty() {
            return;
        }
    }
    line(text);
}

/// Where to cut a text that is longer than a line: behind a secret, before a character.
fn cut_position(text: &[u8], masks: &Masks) -> usize {
    let mut end = LONGEST_LINE.min(text.len());
    while end < text.len() && end > LONGEST_LINE - 4 && text[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    let around = end.saturating_sub(masks.longest());
    let until = (end + masks.longest()).min(text.len());
    for (from, to) in masks.spans(&text[around..until]) {
        if around + from < end && end < around + to {
            return around + to;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let masks = Masks::new(["hunter22"]);
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        let mut keep = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
        for piece in pieces {
            splitter.push(piece, &masks, &mut keep);
        }
        splitter.finish(&masks, &mut keep);
        lines
    }

    #[test]
    fn lines_end_at_line_feeds_and_carriage_returns() {
        let table: &[(&[&[u8]], &[&str])] = &[
            (&[b""], &[]),
            (&[b"a\nb\n"], &["a", "b"]),
            (&[b"a\n\nb"], &["a", "", "b"]),
            (&[b"a\r\nb\r\n\r\nc"], &["a", "b", "", "c"]),
            (&[b"a\r", b"\nb"], &["a", "b"]),
            (&[b"10%\r20%\r100%\ndone\n"], &["10%", "20%", "100%", "done"]),
            (&[b"a\r\r\r\nb\n"], &["a", "b"]),
            (&[b"a\rb", b"c\r\n"], &["a", "bc"]),
            (&[b"one", b" line", b" in pieces\n"], &["one line in pieces"]),
            (&[b"\n"], &[""]),
        ];
        for (pieces, lines) in table {
            assert_eq!(&split(pieces), lines, "{pieces:?}");
        }
    }

    #[test]
    fn long_line_is_cut_without_losing_a_byte_or_splitting_a_character() {
        let text = "ä".repeat(100_000);
        for pieces in [vec![text.as_bytes()], text.as_bytes().chunks(999).collect()] {
            let lines = split(&pieces);
            assert_eq!(lines.len(), 4);
            assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE));
            assert_eq!(lines.concat(), text);
        }
    }

    #[test]
    fn long_line_is_not_cut_inside_a_secret() {
        for position in LONGEST_LINE - 10..LONGEST_LINE + 2 {
            let text = ["x".repeat(position).as_str(), "hunter22", &"y".repeat(70_000)].concat();
            for pieces in [vec![text.as_bytes()], text.as_bytes().chunks(1000).collect()] {
                let lines = split(&pieces);
                assert_eq!(lines.concat(), text);
                assert_eq!(
                    lines.iter().filter(|line| line.contains("hunter22")).count(),
                    1,
                    "{position}"
                );
            }
        }
    }
}
