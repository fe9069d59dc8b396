//! Text from repositories and remote servers made inert, for people to read (hostile-inputs.md G8, G12, W23).
//!
//! What is stored keeps every character; only what is shown passes through here.

use std::iter::Peekable;
use std::str::Chars;

/// Stands where text was cut.
pub const CUT_MARK: char = '…';

/// Makes `text` safe to show and at most `max_characters` long, a cut being marked with [`CUT_MARK`].
///
/// Terminal sequences (CSI, OSC, DCS and their kin) go as a whole; other control codes, carriage returns,
/// backspaces and direction overrides go alone. Line feeds and tabs stay.
#[must_use]
pub fn display_text(text: &str, max_characters: usize) -> String {
    cut(inert(text), max_characters)
}

/// [`display_text`] on one line: line feeds and tabs become spaces.
#[must_use]
pub fn display_line(text: &str, max_characters: usize) -> String {
    cut(
        inert(text).map(|character| {
            if matches!(character, '\n' | '\t') {
                ' '
            } else {
                character
            }
        }),
        max_characters,
    )
}

fn cut(mut characters: impl Iterator<Item = char>, max_characters: usize) -> String {
    let mut shown = String::new();
    for _ in 0..max_characters {
        match characters.next() {
            Some(character) => shown.push(character),
            None => return shown,
        }
    }
    if characters.next().is_some() {
        shown.pop();
        if max_characters > 0 {
            shown.push(CUT_MARK);
        }
    }
    shown
}

fn inert(text: &str) -> impl Iterator<Item = char> + '_ {
    let mut characters = text.chars().peekable();
    std::iter::from_fn(move || {
        loop {
            let character = characters.next()?;
            match character {
                '\u{1b}' => skip_escape(&mut characters),
                '\u{9b}' => skip_control_sequence(&mut characters),
                '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_control_string(&mut characters),
                '\n' | '\t' => return Some(character),
                _ if character.is_control() || misleads_the_eye(character) => {}
                _ => return Some(character),
            }
        }
    })
}

/// Direction marks, overrides and isolates; line and paragraph separators; the byte order mark.
fn misleads_the_eye(character: char) -> bool {
    matches!(
        character,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

fn skip_escape(characters: &mut Peekable<Chars<'_>>) {
    match characters.peek() {
        Some('[') => {
            characters.next();
            skip_control_sequence(characters);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            characters.next();
            skip_control_string(characters);
        }
        Some(' '..='/') => {
            while characters
                .next_if(|character| (' '..='/').contains(character))
                .is_some()
            {}
            characters.next_if(|character| ('0'..='~').contains(character));
        }
        Some('0'..='~') => {
            characters.next();
        }
        _ => {}
    }
}

fn skip_control_sequence(characters: &mut Peekable<Chars<'_>>) {
    while characters
        .next_if(|character| (' '..='?').contains(character))
        .is_some()
    {}
    characters.next_if(|character| ('@'..='~').contains(character));
}

/// A control string ends at BEL, ST or the end of its line: an unfinished one must not swallow what follows.
fn skip_control_string(characters: &mut Peekable<Chars<'_>>) {
    while let Some(&character) = characters.peek() {
        match character {
            '\n' => return,
            '\u{7}' | '\u{9c}' => {
                characters.next();
                return;
            }
            '\u{1b}' => {
                characters.next();
                characters.next_if_eq(&'\\');
                return;
            }
            _ => {
                characters.next();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_codes_and_overrides_are_rendered_inert() {
        for (given, shown) in [
            ("plain text\n\tindented", "plain text\n\tindented"),
            ("\u{1b}[2J\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]8;;javascript:alert(1)\u{1b}\\link\u{1b}]8;;\u{7}", "link"),
            ("\u{1b}]52;c;aGk=\u{7}clip", "clip"),
            ("\u{1b}Pq#0\u{1b}\\dcs", "dcs"),
            ("\u{1b}]0;never finished\nnext line", "\nnext line"),
            ("\u{9b}31mc1\u{9d}0;x\u{9c}y", "c1y"),
            ("\u{1b}(Bset\u{1b}cend\u{1b}", "setend"),
            ("honest\rforged", "honestforged"),
            ("secret\u{8}\u{8}\u{8}", "secret"),
            ("windows\r\nlines", "windows\nlines"),
            ("evil\u{202e}txt.exe\u{202c}", "eviltxt.exe"),
            ("\u{7}\u{0}bell", "bell"),
            ("竹 ünïcode 👩‍👩‍👧", "竹 ünïcode 👩‍👩‍👧"),
        ] {
            assert_eq!(display_text(given, 200), shown, "{given:?}");
        }
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        assert_eq!(display_text("abcdef", 6), "abcdef");
        assert_eq!(display_text("abcdefg", 6), "abcde…");
        assert_eq!(display_text("abc", 0), "");
        assert_eq!(display_text(&"x".repeat(1_000_000), 100).chars().count(), 100);
    }

    #[test]
    fn one_line_form_has_no_line_breaks() {
        assert_eq!(display_line("first\nsecond\tthird", 100), "first second third");
    }
}
