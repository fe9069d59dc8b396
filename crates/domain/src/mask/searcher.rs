//! Looks for many texts at once, fast where there are none of them: the search of Wu and Manber.
//!
//! A window as long as the shortest text moves over the bytes. The last three bytes in it say how far it can move before
//! they could be part of any text, which is nearly its whole length for most bytes of a log. Only where they end a text's
//! beginning are texts compared.

use std::collections::HashMap;

/// So many bytes say how far to move. No text is shorter.
const BLOCK: usize = 3;
/// How many different moves there are: one for each value of [`block_number`].
const MOVES: usize = 1 << 16;
/// Longer windows move hardly faster, and their moves would not fit into a byte.
const LONGEST_WINDOW: usize = 64;

/// Texts to look for.
pub(super) struct Searcher {
    texts: Vec<Vec<u8>>,
    window: usize,
    moves: Box<[u8]>,
    /// The texts by the block that their first window ends with.
    by_block: HashMap<u16, Vec<usize>>,
    longest: usize,
}

impl Searcher {
    /// A searcher for these texts; those shorter than three bytes are not found. `None`: there is no text.
    pub(super) fn new(texts: impl IntoIterator<Item = Vec<u8>>) -> Option<Self> {
        let texts: Vec<Vec<u8>> = texts.into_iter().filter(|text| text.len() >= BLOCK).collect();
        let shortest = texts.iter().map(Vec::len).min()?;
        let longest = texts.iter().map(Vec::len).max()?;
        let window = shortest.min(LONGEST_WINDOW);
        let farthest = narrow(window - BLOCK + 1);
        let mut moves = vec![farthest; MOVES].into_boxed_slice();
        let mut by_block: HashMap<u16, Vec<usize>> = HashMap::new();
        for (number, text) in texts.iter().enumerate() {
            for end in BLOCK..=window {
                let entry = &mut moves[usize::from(block_number(&text[end - BLOCK..end]))];
                *entry = narrow(window - end).min(*entry);
            }
            let last = block_number(&text[window - BLOCK..window]);
            by_block.entry(last).or_default().push(number);
        }
        Some(Self {
            texts,
            window,
            moves,
            by_block,
            longest,
        })
    }

    /// The length of the longest text, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Where the first text at or behind `from` begins and ends: the longest of those that begin there.
    pub(super) fn find(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut end = from + self.window;
        while end <= bytes.len() {
            let block = block_number(&bytes[end - BLOCK..end]);
            let step = usize::from(self.moves[usize::from(block)]);
            if step > 0 {
                end += step;
                continue;
            }
            let begin = end - self.window;
            let found = self.by_block.get(&block).and_then(|numbers| {
                numbers
                    .iter()
                    .map(|number| &self.texts[*number])
                    .filter(|text| bytes[begin..].starts_with(text))
                    .map(Vec::len)
                    .max()
            });
            if let Some(length) = found {
                return Some((begin, begin + length));
            }
            end += 1;
        }
        None
    }
}

/// A number for three bytes: different ones rarely share it.
fn block_number(block: &[u8]) -> u16 {
    let number = u32::from(block[0]) | u32::from(block[1]) << 8 | u32::from(block[2]) << 16;
    let [_, _, third, fourth] = number.wrapping_mul(0x9E37_79B1).to_le_bytes();
    u16::from_le_bytes([third, fourth])
}

fn narrow(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn finds_what_trying_everything_finds(
            texts in prop::collection::vec("[ab]{3,9}", 0..6),
            bytes in "[abc]{0,60}",
            from in 0usize..10,
        ) {
            let searcher = Searcher::new(texts.iter().map(|text| text.clone().into_bytes()));
            let expected = (from..bytes.len()).find_map(|at| {
                let longest = texts.iter().filter(|text| bytes[at..].starts_with(text.as_str())).map(String::len).max()?;
                Some((at, at + longest))
            });
            prop_assert_eq!(searcher.and_then(|searcher| searcher.find(bytes.as_bytes(), from)), expected);
        }

        #[test]
        fn long_texts_are_found_whole(text in "[a-z]{3,200}", before in "[a-z]{0,80}", after in "[a-z]{0,80}") {
            let searcher = Searcher::new([text.clone().into_bytes()]).unwrap();
            let bytes = format!("{before}{text}{after}");
            let at = bytes.find(&text).unwrap();
            prop_assert_eq!(searcher.find(bytes.as_bytes(), 0), Some((at, at + text.len())));
        }
    }
}
