//! Prose of strangers made inert: no control characters, no direction overrides, bounded length.
//!
//! Mark-up such as `<script>` stays as it is. It is text here; whoever renders it escapes it
//! (hostile-inputs.md W23, G12).

/// What follows text that was cut.
pub const CUT_MARK: &str = "… [cut]";

/// One line of inert text, at most `max_bytes` long plus [`CUT_MARK`]. Line breaks and tabs become spaces.
pub fn line(text: &str, max_bytes: usize) -> String {
    inert(text, max_bytes, |character| match character {
        '\n' | '\t' => Some(' '),
        _ => None,
    })
}

/// Inert text of several lines, at most `max_bytes` long plus [`CUT_MARK`]. `\n` and `\t` are kept,
/// other control characters (`\r` among them) go.
pub fn lines(text: &str, max_bytes: usize) -> String {
    inert(text, max_bytes, |character| {
        matches!(character, '\n' | '\t').then_some(character)
    })
}

/// Whether a character does something to a terminal, a log line or the reading direction.
pub fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Marks, embeddings, overrides and isolates of direction; line separators;
            // invisible joints and tags.
            '\u{061C}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

fn inert(text: &str, max_bytes: usize, replacement: impl Fn(char) -> Option<char>) -> String {
    // Most text begins with, and is, plain printable ASCII: taken as a whole.
    let plain = text
        .bytes()
        .take(max_bytes)
        .position(|byte| !(b' '..=b'~').contains(&byte))
        .unwrap_or_else(|| text.len().min(max_bytes));
    let (plain, rest) = text.split_at(plain);
    let mut kept = String::with_capacity(text.len().min(max_bytes));
    kept.push_str(plain);
    for character in rest.chars() {
        let shown = if is_active(character) {
            replacement(character)
        } else {
            Some(character)
        };
        let Some(shown) = shown else { continue };
        if kept.len() + shown.len_utf8() > max_bytes {
            kept.push_str(CUT_MARK);
            break;
        }
        kept.push(shown);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{CUT_MARK, line, lines};

    #[test]
    fn text_of_strangers_is_stripped_of_active_characters() {
        let table = [
            ("plain Name", "plain Name"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
            ("evil\u{202E}gnp.exe", "evilgnp.exe"),
            ("\u{2066}isolate\u{2069}", "isolate"),
            ("red\u{1b}[31m", "red[31m"),
            ("bell\u{7}\u{9b}31m", "bell31m"),
            ("two\r\nlines", "two lines"),
            ("zero\u{200B}width\u{FEFF}\u{E0041}", "zerowidth"),
            ("Ünïcödé 真竹", "Ünïcödé 真竹"),
        ];
        for (input, expected) in table {
            assert_eq!(line(input, 100), expected, "{input:?}");
        }
        assert_eq!(lines("first\r\n\tsecond\u{0}", 100), "first\n\tsecond");
    }

    #[test]
    fn long_text_is_cut_at_a_character_and_marked() {
        assert_eq!(line("真竹真竹", 7), format!("真竹{CUT_MARK}"));
        assert_eq!(line("exactly", 7), "exactly");
        let million = "x".repeat(1024 * 1024);
        assert_eq!(line(&million, 256).len(), 256 + CUT_MARK.len());
    }
}
