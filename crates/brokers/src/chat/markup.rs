//! The mark-up of each chat, and the escaping of strangers' words in it.

use madake_formats::text::line;

use super::Piece;
use crate::address::Address;
use crate::template::escape_markup;

/// Between the two halves of what a chat would turn into a mention or a link. It is not seen.
const JOINT: char = '\u{2060}';
/// The longest name or id, in bytes.
const MAX_NAME: usize = 120;
/// The longest text of a line, in bytes.
const MAX_TEXT: usize = 240;

/// How a chat writes things.
pub(crate) trait Markup {
    /// Strangers' words that are already one harmless line.
    fn text(&self, words: &str) -> String;
    /// The same, set off.
    fn strong(&self, words: &str) -> String;
    /// The same, in the type of a terminal.
    fn code(&self, words: &str) -> String;
    /// A link to an address of [`safe_link`].
    fn link(&self, label: &str, to: &str) -> String;

    /// One piece.
    fn piece(&self, piece: &Piece) -> String {
        match piece {
            Piece::Own(words) => words.clone(),
            Piece::Text(words) => self.text(&defused(words, MAX_TEXT)),
            Piece::Strong(words) => self.strong(&defused(words, MAX_NAME)),
            Piece::Code(words) => self.code(&defused(words, MAX_NAME)),
            Piece::Link { label, to } => self.link(&defused(label, MAX_NAME), to),
        }
    }
}

/// One line in which nothing mentions anybody or turns into a link by itself, in any chat: behind `@` and `<`, and
/// inside `://` and `www.`, stands a joint that is not seen. A text of blanks becomes a dash, as an empty one would
/// leave mark-up open.
pub(crate) fn defused(words: &str, most: usize) -> String {
    let words = line(words, most);
    let words = words.trim();
    if words.is_empty() {
        return "-".to_owned();
    }
    let mut safe = String::with_capacity(words.len() + 8);
    let mut rest = words.chars().peekable();
    while let Some(c) = rest.next() {
        safe.push(c);
        let next = rest.peek().copied();
        let splits = match c {
            '@' | '<' => true,
            ':' => next == Some('/'),
            'w' | 'W' => next == Some('.'),
            _ => false,
        };
        if splits {
            safe.push(JOINT);
        }
    }
    safe
}

/// An address fit for every mark-up, if it is one: `http` or `https`, no name and password, and the characters
/// that end a link somewhere percent-encoded.
pub(crate) fn safe_link(address: &str) -> Option<String> {
    let (address, fragment) = match address.split_once('#') {
        Some((address, fragment)) => (address, Some(fragment)),
        None => (address, None),
    };
    let address = Address::parse(address).ok()?;
    let mut link = address.as_str().to_owned();
    if let Some(fragment) = fragment.filter(|text| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "%-._~/=&".contains(c))
    }) {
        link.push('#');
        link.push_str(fragment);
    }
    let mut safe = String::with_capacity(link.len());
    for c in link.chars() {
        match c {
            '(' | ')' | '[' | ']' | '*' | '_' | '~' | '\'' | '@' | '!'
                if safe.len() >= address.origin().len() =>
            {
                safe.push_str(&format!("%{:02X}", u32::from(c)));
            }
            c => safe.push(c),
        }
    }
    (safe.len() <= 1000).then_some(safe)
}

/// No mark-up at all.
pub(crate) struct Plain;

impl Markup for Plain {
    fn text(&self, words: &str) -> String {
        words.to_owned()
    }
    fn strong(&self, words: &str) -> String {
        words.to_owned()
    }
    fn code(&self, words: &str) -> String {
        words.to_owned()
    }
    fn link(&self, label: &str, _: &str) -> String {
        label.to_owned()
    }
}

/// Slack's own: `&`, `<` and `>` are the only characters that make links and mentions, and are entities in text.
pub(crate) struct SlackMarkup;

impl SlackMarkup {
    /// Marks of style have no escape; characters that look alike stand in for them.
    fn escaped(words: &str) -> String {
        let mut safe = String::with_capacity(words.len());
        for c in words.chars() {
            match c {
                '&' => safe.push_str("&amp;"),
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '*' => safe.push('∗'),
                '~' => safe.push('∼'),
                '`' => safe.push('ˋ'),
                '|' => safe.push('¦'),
                c => safe.push(c),
            }
        }
        safe
    }
}

impl Markup for SlackMarkup {
    fn text(&self, words: &str) -> String {
        Self::escaped(words)
    }
    fn strong(&self, words: &str) -> String {
        format!("*{}*", Self::escaped(words))
    }
    fn code(&self, words: &str) -> String {
        format!("`{}`", Self::escaped(words))
    }
    fn link(&self, label: &str, to: &str) -> String {
        format!(
            "<{}|{}>",
            to.replace('&', "&amp;").replace('|', "%7C"),
            Self::escaped(label)
        )
    }
}

/// The Markdown of Mattermost and Discord: a backslash takes the meaning from every mark.
pub(crate) struct Markdown;

impl Markdown {
    fn escaped(words: &str) -> String {
        let mut safe = String::with_capacity(words.len() + 8);
        for c in words.chars() {
            if matches!(
                c,
                '\\' | '`'
                    | '*'
                    | '_'
                    | '{'
                    | '}'
                    | '['
                    | ']'
                    | '('
                    | ')'
                    | '#'
                    | '+'
                    | '-'
                    | '!'
                    | '>'
                    | '~'
                    | '|'
            ) {
                safe.push('\\');
            }
            safe.push(c);
        }
        safe
    }
}

impl Markup for Markdown {
    fn text(&self, words: &str) -> String {
        Self::escaped(words)
    }
    fn strong(&self, words: &str) -> String {
        format!("**{}**", Self::escaped(words))
    }
    fn code(&self, words: &str) -> String {
        format!("`{}`", words.replace('`', "ˋ"))
    }
    fn link(&self, label: &str, to: &str) -> String {
        format!("[{}]({to})", Self::escaped(label))
    }
}

/// HTML, as Matrix takes it.
pub(crate) struct Html;

impl Markup for Html {
    fn text(&self, words: &str) -> String {
        escape_markup(words)
    }
    fn strong(&self, words: &str) -> String {
        format!("<strong>{}</strong>", escape_markup(words))
    }
    fn code(&self, words: &str) -> String {
        format!("<code>{}</code>", escape_markup(words))
    }
    fn link(&self, label: &str, to: &str) -> String {
        format!("<a href=\"{}\">{}</a>", escape_markup(to), escape_markup(label))
    }
}

#[cfg(test)]
mod tests {
    use super::{Html, Markdown, Markup, SlackMarkup, defused, safe_link};

    #[test]
    fn words_of_strangers_mean_nothing_in_any_mark_up() {
        let words = defused(
            "<!channel> @all [x](http://evil) <@U1|you> `*_~\u{202e}\r\nwww.evil",
            240,
        );
        assert!(
            !words.contains("@a")
                && !words.contains("<!")
                && !words.contains("://")
                && !words.contains("www.")
        );
        let slack = SlackMarkup.text(&words);
        assert!(!slack.contains(['<', '>', '*', '`', '|']), "{slack}");
        let markdown = Markdown.text(&words);
        assert!(
            markdown.contains("\\[x\\]\\(") && markdown.contains("\\`\\*\\_\\~"),
            "{markdown}"
        );
        assert!(!Html.text(&words).contains('<'));
        assert_eq!(Markdown.code("a`b"), "`aˋb`");
        assert_eq!(defused(" \u{7}\n", 10), "-");
    }

    #[test]
    fn links_are_addresses_or_nothing() {
        assert_eq!(safe_link("javascript:alert(1)"), None);
        assert_eq!(safe_link("https://a/b c"), None);
        assert_eq!(
            safe_link("https://a/b)](x").as_deref(),
            Some("https://a/b%29%5D%28x")
        );
        assert_eq!(safe_link("https://u:p@a/b#L1").as_deref(), Some("https://a/b#L1"));
    }
}
