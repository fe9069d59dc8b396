//! Keeps tags that the parser would drop.
//!
//! saphyr ignores `!!name` on collections and quoted scalars, whatever the name. So before parsing, `!!name` is
//! turned into a local tag of the same length, `!~name` for instance, which it does report; the two characters
//! are chosen so that the text does not have them yet, and are turned back in every scalar.

use std::borrow::Cow;

const STAND_INS: [&str; 8] = ["!~", "!;", "!@", "!$", "!+", "!=", "!(", "!)"];

/// A text whose `!!` tags are visible to the parser.
#[derive(Debug)]
pub(super) struct Visible<'t> {
    pub(super) text: Cow<'t, str>,
    stand_in: Option<&'static str>,
}

/// Makes `!!` tags visible. `None`: the text has every stand-in already.
pub(super) fn make_visible(text: &str) -> Option<Visible<'_>> {
    let tags: Vec<usize> = text
        .match_indices("!!")
        .filter(|(at, _)| {
            let before = text[..*at].chars().next_back();
            let after = text[at + 2..].chars().next();
            before.is_none_or(|c| c.is_whitespace() || "[{,:".contains(c))
                && after.is_some_and(|c| !c.is_whitespace() && c != '!')
        })
        .map(|(at, _)| at)
        .collect();
    if tags.is_empty() {
        return Some(Visible {
            text: Cow::Borrowed(text),
            stand_in: None,
        });
    }
    let stand_in = STAND_INS.into_iter().find(|pair| !text.contains(pair))?;
    let mut changed = String::with_capacity(text.len());
    let mut from = 0;
    for at in tags {
        changed.push_str(&text[from..at]);
        changed.push_str(stand_in);
        from = at + 2;
    }
    changed.push_str(&text[from..]);
    Some(Visible {
        text: Cow::Owned(changed),
        stand_in: Some(stand_in),
    })
}

impl Visible<'_> {
    /// A scalar as it was written.
    pub(super) fn restore(&self, scalar: String) -> String {
        match self.stand_in {
            Some(stand_in) if scalar.contains(stand_in) => scalar.replace(stand_in, "!!"),
            _ => scalar,
        }
    }

    /// The name of a `!!name` tag, given the suffix of the local tag that stands in for it.
    pub(super) fn core_name<'s>(&self, suffix: &'s str) -> Option<&'s str> {
        suffix.strip_prefix(&self.stand_in?[1..])
    }
}

#[cfg(test)]
mod tests {
    use super::make_visible;

    #[test]
    fn tags_become_local_ones_and_scalars_come_back() {
        let visible = make_visible("a: !!java.Foo {}\nb: echo !!x !~\n").unwrap();
        assert_eq!(visible.text, "a: !;java.Foo {}\nb: echo !;x !~\n");
        assert_eq!(visible.restore("echo !;x !~".to_owned()), "echo !!x !~");
        assert_eq!(visible.core_name(";java.Foo"), Some("java.Foo"));
        assert_eq!(visible.core_name("include"), None);
    }

    #[test]
    fn texts_without_tags_are_not_copied() {
        let visible = make_visible("a: ! x\nb: a!!b\nc: wow!!\n").unwrap();
        assert!(matches!(visible.text, std::borrow::Cow::Borrowed(_)));
    }
}
