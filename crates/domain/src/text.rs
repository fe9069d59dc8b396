//! Text from strangers, made harmless for one line of a page, a terminal or a log.
//!
//! Names, commit messages and branch names come from whoever can push. What is shown of them carries no control
//! character, no terminal sequence and nothing that changes the direction of the text (hostile-inputs W23, G12,
//! S8). What is stored stays as it came.

/// The mark at the end of a text that was cut.
pub const CUT_MARK: char = '…';

/// A number and what is counted: `1 ref`, `2 refs`, `0 branches`. `one` is the word for one of them.
pub fn counted<N: Copy + std::fmt::Display + PartialEq + From<u8>>(count: N, one: &str) -> String {
    if count == N::from(1) {
        return format!("1 {one}");
    }
    match one.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{count} {stem}ies"),
        _ if one.ends_with(['s', 'x']) || one.ends_with("ch") || one.ends_with("sh") => {
            format!("{count} {one}es")
        }
        _ => format!("{count} {one}s"),
    }
}

/// `text` on one line of at most `max_chars` characters, the mark of a cut included.
///
/// Control characters (C0 and C1, but not the tab), terminal sequences (CSI, OSC, DCS and their kin, in both
/// the seven and the eight bit form) and characters that steer the direction of text are left out; a line break
/// becomes a space, so that words of two lines do not run together.
#[must_use]
pub fn inert(text: &str, max_chars: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(max_chars.saturating_mul(4)));
    let mut count = 0;
    let mut last_kept_start = 0;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let (shown, next) = match c {
            '\u{1b}' => (None, after_escape(after)),
            '\u{9b}' => (None, after_control_sequence(after)),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => (None, after_string(after)),
            '\r' if after.starts_with('\n') => (None, after),
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => (Some(' '), after),
            '\t' => (Some('\t'), after),
            c if c.is_control() || steers_direction(c) => (None, after),
            c => (Some(c), after),
        };
        rest = next;
        let Some(shown) = shown else { continue };
        if count == max_chars {
            kept.truncate(last_kept_start);
            if max_chars > 0 {
                kept.push(CUT_MARK);
            }
            return kept;
        }
        last_kept_start = kept.len();
        kept.push(shown);
        count += 1;
    }
    kept
}

/// Marks, embeddings, overrides and isolates of the bidirectional algorithm, the byte order mark and the
/// invisible tag characters.
fn steers_direction(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What follows the escape sequence whose ESC was just read.
fn after_escape(text: &str) -> &str {
    let Some(c) = text.chars().next() else { return text };
    let after = &text[c.len_utf8()..];
    match c {
        '[' => after_control_sequence(after),
        ']' | 'P' | 'X' | '^' | '_' => after_string(after),
        ' '..='/' => {
            let final_at = after.trim_start_matches(|c| matches!(c, ' '..='/'));
            match final_at.chars().next() {
                Some('0'..='~') => &final_at[1..],
                _ => final_at,
            }
        }
        '0'..='~' => after,
        _ => text,
    }
}

/// What follows a control sequence: parameters, intermediates, one final character.
fn after_control_sequence(text: &str) -> &str {
    let rest = text.trim_start_matches(|c| matches!(c, '0'..='?'));
    let rest = rest.trim_start_matches(|c| matches!(c, ' '..='/'));
    match rest.chars().next() {
        Some('@'..='~') => &rest[1..],
        _ => rest,
    }
}

/// What follows a string sequence. One that never ends hides nothing: only its start is left out.
fn after_string(text: &str) -> &str {
    let bell = text.find('\u{7}').map(|at| (at, 1));
    let eight_bit = text.find('\u{9c}').map(|at| (at, 2));
    let seven_bit = text.find("\u{1b}\\").map(|at| (at, 2));
    match [bell, eight_bit, seven_bit].into_iter().flatten().min() {
        Some((at, length)) => &text[at + length..],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_is_one_and_everything_else_is_several() {
        let refs = [0_usize, 1, 2].map(|count| counted(count, "ref"));
        assert_eq!(refs, ["0 refs", "1 ref", "2 refs"]);
        let many = ["branch", "address", "entry", "day", "fix"].map(|one| counted(7_i64, one));
        assert_eq!(
            many,
            ["7 branches", "7 addresses", "7 entries", "7 days", "7 fixes"]
        );
        assert_eq!(counted(-1_i64, "second"), "-1 seconds");
    }

    #[test]
    fn s8_terminal_sequences_and_direction_marks_are_left_out() {
        let rows = [
            ("plain", "plain"),
            ("a\tb", "a\tb"),
            ("a\nb\r\nc\rd", "a b cd"),
            ("\u{1b}[2J\u{1b}[31;1mred\u{1b}[0m", "red"),
            ("\u{1b}]8;;javascript:alert(1)\u{1b}\\link\u{1b}]8;;\u{7}", "link"),
            ("\u{1b}]52;c;ZWNobw==\u{7}clip", "clip"),
            ("\u{1b}Pq#0\u{1b}\\dcs", "dcs"),
            ("\u{9b}31mred", "red"),
            ("\u{9d}0;title\u{9c}text", "text"),
            ("\u{1b}(Bx\u{1b}cy\u{1b}", "xy"),
            ("never ends \u{1b}]0;shown", "never ends 0;shown"),
            ("bell\u{7}\u{8}\u{8}back", "bellback"),
            ("user\u{202e}gpj.exe\u{2066}x", "usergpj.exex"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ];
        for (text, expected) in rows {
            assert_eq!(inert(text, 100), expected, "{text:?}");
        }
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        assert_eq!(inert("abcdef", 6), "abcdef");
        assert_eq!(inert("abcdefg", 6), "abcde…");
        assert_eq!(inert("ääääää", 3), "ää…");
        assert_eq!(inert("ab", 1), "…");
        assert_eq!(inert("ab", 0), "");
        assert_eq!(inert(&"x".repeat(1 << 20), 80).chars().count(), 80);
    }

    proptest! {
        #[test]
        fn nothing_active_is_left(text in "(\\PC|[\u{0}-\u{9f}\u{1b}\\[\\]PX;m\u{202e}]){0,60}", max in 0usize..50) {
            let shown = inert(&text, max);
            prop_assert!(shown.chars().count() <= max);
            prop_assert!(shown.chars().all(|c| c == '\t' || !(c.is_control() || steers_direction(c))));
            prop_assert_eq!(inert(&shown, max), shown);
        }
    }
}
