//! What a text must not do to us, checked before a tree is built from it.
//!
//! * Control characters: saphyr takes a NUL for the end of the text, so what follows would be dropped silently.
//! * Depth: the parser recurses. A block level needs a column of its own, so lines that begin further right than
//!   [`MAX_COLUMN`] are refused; levels in flow style are limited to 255 by saphyr.
//! * Aliases: saphyr clones what an alias names and counts nodes only, not bytes, and only up to a fixed number.
//!   [`weigh`] loads the text into nodes whose clones cost nothing and adds up what the real ones would cost.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use saphyr::{
    AnnotatedMapping, AnnotatedNode, LoadableYamlNode, Marker, Scalar, ScanError, Tag, Yaml, YamlData,
};

/// The rightmost column, from 0, at which a block node may start.
pub(super) const MAX_COLUMN: usize = 160;

/// Texts up to this size cannot hold more nodes than allowed unless they use aliases.
const SMALL_TEXT_BYTES: usize = 64 * 1024;

/// The most bytes of scalars that aliases may expand a text to.
const MAX_EXPANDED_BYTES: u32 = 8 * 1024 * 1024;

/// What is wrong with a text, and where: line from 1, column from 1 in characters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextFault {
    pub(super) code: &'static str,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
}

/// Finds control characters and lines that start too far right.
pub(super) fn check_text(text: &str) -> Result<(), TextFault> {
    for (number, line) in (1u32..).zip(text.split('\n')) {
        let bad = |c: char| (c.is_control() && c != '\t') || c == '\u{feff}';
        if let Some((column, c)) = (1u32..).zip(line.chars()).find(|(_, c)| bad(*c)) {
            return Err(TextFault {
                code: "control-character",
                line: number,
                column,
                message: format!(
                    "the character U+{:04X} is not allowed in a plan file",
                    u32::from(c)
                ),
            });
        }
        let start = start_column(line.as_bytes());
        if start > MAX_COLUMN {
            return Err(TextFault {
                code: "too-deep",
                line: number,
                column: u32::try_from(start).unwrap_or(u32::MAX),
                message: format!("the line starts further right than column {MAX_COLUMN}"),
            });
        }
    }
    Ok(())
}

/// The column of what a line holds behind blanks and `- `, `? `, `: ` indicators, or of the last of those.
fn start_column(line: &[u8]) -> usize {
    let (mut at, mut indicator) = (0, 0);
    loop {
        match (line.get(at), line.get(at + 1)) {
            (Some(b' ' | b'\t'), _) => at += 1,
            (Some(b'-' | b'?' | b':'), Some(b' ' | b'\t')) => {
                indicator = at;
                at += 2;
            }
            (None, _) => return indicator,
            _ => return at,
        }
    }
}

/// Whether the text may be loaded as it is: `Ok` with the message of what is too large, if anything is. The error
/// is the parser's.
pub(super) fn weigh(text: &str, max_nodes: usize) -> Result<Option<String>, ScanError> {
    if text.len() <= SMALL_TEXT_BYTES && !has_alias(text) {
        return Ok(None);
    }
    MADE.set(0);
    let too_many = || MADE.get() > max_nodes;
    let loaded = Weight::load_from_iter(text.chars().take_while(|_| !too_many()));
    let weights = if too_many() { Vec::new() } else { loaded? };
    let sum = |part: fn(&Weight) -> u32| {
        weights
            .iter()
            .fold(0u32, |sum, weight| sum.saturating_add(part(weight)))
    };
    let (nodes, bytes) = (sum(|weight| weight.nodes), sum(|weight| weight.bytes));
    Ok(if too_many() || nodes as usize > max_nodes {
        Some(format!(
            "the document has more than {max_nodes} nodes after its aliases are expanded"
        ))
    } else if bytes > MAX_EXPANDED_BYTES.max(u32::try_from(text.len()).unwrap_or(u32::MAX)) {
        Some(format!(
            "the document has more than {MAX_EXPANDED_BYTES} bytes after its aliases are expanded"
        ))
    } else {
        None
    })
}

/// Whether some `*name` may be an alias of some `&name`. Errs towards yes.
fn has_alias(text: &str) -> bool {
    if !(text.contains('&') && text.contains('*')) {
        return false;
    }
    let names = |mark: char| {
        text.match_indices(mark)
            .filter(|(at, _)| {
                text[..*at]
                    .chars()
                    .next_back()
                    .is_none_or(|c| c.is_whitespace() || "[]{},:-?\"'".contains(c))
            })
            .map(|(at, _)| {
                let name = &text[at + 1..];
                let end = name.find(|c: char| c.is_whitespace() || "[]{},".contains(c));
                &name[..end.unwrap_or(name.len())]
            })
            .filter(|name| !name.is_empty())
    };
    let anchors: HashSet<&str> = names('&').collect();
    names('*').any(|name| anchors.contains(name) || anchors.contains(name.trim_end_matches(':')))
}

thread_local! {
    /// Nodes made while a text is weighed. The parser cannot be stopped, but its text can end early.
    static MADE: Cell<usize> = const { Cell::new(0) };
}

/// A node that knows only how much it weighs. Children are added up and dropped when a collection ends, so a
/// clone is always cheap.
#[derive(Debug)]
struct Weight {
    nodes: u32,
    bytes: u32,
    /// Stands for the content, so that repeated keys are found as in the real tree.
    content: u64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Bad,
    Scalar,
    List(Vec<Weight>),
    Map(Box<AnnotatedMapping<'static, Weight>>),
}

impl Weight {
    fn close(&mut self) {
        let mut hasher = DefaultHasher::new();
        let (mut nodes, mut bytes) = (1u32, 0u32);
        let mut add = |child: &Weight| {
            nodes = nodes.saturating_add(child.nodes);
            bytes = bytes.saturating_add(child.bytes);
            child.content.hash(&mut hasher);
        };
        match &mut self.body {
            Body::List(items) => {
                items.iter().for_each(&mut add);
                *items = Vec::new();
            }
            Body::Map(map) => {
                for (key, value) in map.iter() {
                    add(key);
                    add(value);
                }
                **map = AnnotatedMapping::<'static, Weight>::default();
            }
            Body::Bad | Body::Scalar => {}
        }
        (self.nodes, self.bytes, self.content) = (nodes, bytes, hasher.finish());
    }
}

impl Clone for Weight {
    fn clone(&self) -> Self {
        let body = match &self.body {
            Body::Bad => Body::Bad,
            Body::Scalar => Body::Scalar,
            Body::List(_) => Body::List(Vec::new()),
            Body::Map(_) => Body::Map(Box::default()),
        };
        Self { body, ..*self }
    }
}

impl PartialEq for Weight {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Eq for Weight {}

impl Hash for Weight {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.content.hash(state);
    }
}

impl<'input> From<YamlData<'input, Weight>> for Weight {
    fn from(_: YamlData<'input, Weight>) -> Self {
        Self::from_bare_yaml(Yaml::BadValue)
    }
}

impl AnnotatedNode for Weight {
    type HashKey<'a> = Weight;

    fn parse_representation_recursive(&mut self) -> bool {
        true
    }
}

impl<'input> LoadableYamlNode<'input> for Weight {
    type HashKey = Weight;

    fn from_bare_yaml(yaml: Yaml<'input>) -> Self {
        MADE.set(MADE.get() + 1);
        let mut hasher = DefaultHasher::new();
        let mut bytes = 0;
        let body = match yaml {
            Yaml::Sequence(_) => Body::List(Vec::new()),
            Yaml::Mapping(_) => Body::Map(Box::default()),
            Yaml::Value(scalar) => {
                scalar.hash(&mut hasher);
                if let Scalar::String(text) = &scalar {
                    bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
                }
                Body::Scalar
            }
            Yaml::Tagged(_, inner) => return Self::from_bare_yaml(*inner),
            Yaml::Representation(text, ..) => {
                text.hash(&mut hasher);
                bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
                Body::Scalar
            }
            Yaml::Alias(_) | Yaml::BadValue => Body::Bad,
        };
        Self {
            nodes: 1,
            bytes,
            content: hasher.finish(),
            body,
        }
    }

    fn is_sequence(&self) -> bool {
        matches!(self.body, Body::List(_))
    }

    fn is_mapping(&self) -> bool {
        matches!(self.body, Body::Map(_))
    }

    fn is_badvalue(&self) -> bool {
        matches!(self.body, Body::Bad)
    }

    fn sequence_mut(&mut self) -> &mut Vec<Self> {
        if !self.is_sequence() {
            self.body = Body::List(Vec::new());
        }
        match &mut self.body {
            Body::List(items) => items,
            _ => unreachable!("the body was made a list just above"),
        }
    }

    fn mapping_mut(&mut self) -> &mut AnnotatedMapping<'static, Self> {
        if !self.is_mapping() {
            self.body = Body::Map(Box::default());
        }
        match &mut self.body {
            Body::Map(map) => map,
            _ => unreachable!("the body was made a map just above"),
        }
    }

    fn into_tagged(self, _: Cow<'input, Tag>) -> Self {
        self
    }

    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::from_bare_yaml(Yaml::BadValue))
    }

    fn with_end_marker(mut self, _: Marker) -> Self {
        self.close();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_bomb_weighs_what_it_would_cost() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let message = weigh(&bomb, 50_000).expect("parses").expect("too large");
        assert!(message.contains("50000 nodes"), "{message}");
    }

    #[test]
    fn aliases_of_one_large_scalar_weigh_their_bytes() {
        let text = format!(
            "a: &a '{}'\nb: [{}]\n",
            "x".repeat(9000),
            vec!["*a"; 2000].join(", ")
        );
        let message = weigh(&text, 50_000).expect("parses").expect("too large");
        assert!(message.contains("bytes"), "{message}");
    }

    #[test]
    fn modest_aliases_pass_and_globs_are_not_aliases() {
        assert_eq!(weigh("a: &x {b: 1}\nc: *x\n", 100), Ok(None));
        assert!(!has_alias("a: rm *.jar && ls &\nb: '**/*.jar'\n"));
        assert!(has_alias("a: &x 1\nb: {\"c\":*x}\n"));
    }

    #[test]
    fn lines_far_right_and_control_characters_are_refused() {
        assert!(check_text(&"- ".repeat(60)).is_ok());
        assert!(check_text(&" ".repeat(300)).is_ok());
        assert!(check_text(&"- ".repeat(90)).is_err());
        assert_eq!(
            check_text(&format!("a:\n{}x", "- ".repeat(90))).unwrap_err().code,
            "too-deep"
        );
        let fault = check_text("a: 1\nb: x\0y\n").unwrap_err();
        assert_eq!(
            (fault.code, fault.line, fault.column),
            ("control-character", 2, 5)
        );
    }
}
