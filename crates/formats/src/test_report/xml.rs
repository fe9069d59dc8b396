//! A walk through an XML document that somebody else wrote, perhaps badly: balanced steps, bounded depth, no
//! document type, no entities but those of XML, and the line of everything.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::FindingKind;
use super::case::CaseSink;

/// After so many places that are no XML the rest is given up.
const MAX_RECOVERIES: usize = 16;
/// The most attributes of one element.
const MAX_ATTRIBUTES: usize = 100;
/// The most elements below one case.
const MAX_ELEMENTS_OF_A_CASE: usize = 10_000;

/// The beginning of an element.
#[derive(Debug, Clone, Default)]
pub(super) struct Tag {
    /// The name without its prefix.
    pub(super) name: String,
    pub(super) line: u32,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// The value of an attribute that is not blank.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.attribute(name).filter(|value| !value.trim().is_empty())
    }
}

/// An element with what is in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Element {
    pub(super) tag: Tag,
    /// The text directly in it.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.tag.name == name)
    }

    /// The text of the first child of this name; empty where there is none.
    pub(super) fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }
}

/// A step of the walk. Each `Open` is followed by its `Close`, whatever the document looks like.
#[derive(Debug)]
pub(super) enum Step {
    Open(Tag),
    Close,
    End,
}

/// One piece of the document.
enum Piece<'a> {
    Open(Tag),
    Close,
    Text(&'a str),
    Letter(char),
    End,
}

/// A walk through a document.
pub(super) struct XmlWalk<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    /// Where in the text the reader began.
    base: usize,
    lines: Lines<'a>,
    open: Vec<String>,
    /// Elements that are open below the deepest one that is looked at.
    too_deep: usize,
    /// Elements to close before anything else is read.
    to_close: usize,
    depth_limit: usize,
    recoveries: usize,
}

impl<'a> XmlWalk<'a> {
    pub(super) fn new(text: &'a str, depth_limit: usize) -> Self {
        let begin = text.find('<').unwrap_or(0);
        Self {
            text,
            reader: reader(&text[begin..]),
            base: begin,
            lines: Lines::new(text),
            open: Vec::new(),
            too_deep: 0,
            to_close: 0,
            depth_limit,
            recoveries: 0,
        }
    }

    /// The first element of the document.
    pub(super) fn root(&mut self, sink: &mut CaseSink<'_>) -> Option<Tag> {
        match self.step(sink) {
            Step::Open(tag) => Some(tag),
            Step::Close | Step::End => None,
        }
    }

    /// How many elements are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The next element that begins or ends.
    pub(super) fn step(&mut self, sink: &mut CaseSink<'_>) -> Step {
        loop {
            match self.piece(sink) {
                Piece::Open(tag) => return Step::Open(tag),
                Piece::Close => return Step::Close,
                Piece::End => return Step::End,
                Piece::Text(_) | Piece::Letter(_) => {}
            }
        }
    }

    /// All that is in the element that was just opened, up to and with its end. Of each text the beginning is kept.
    pub(super) fn element(&mut self, tag: Tag, sink: &mut CaseSink<'_>) -> Element {
        // Twice as much as is kept in the end, since what is cut then must be seen to be cut.
        let text_limit = sink.limits().text_bytes * 2;
        let mut elements_left = MAX_ELEMENTS_OF_A_CASE;
        let mut open = vec![Element {
            tag,
            ..Element::default()
        }];
        loop {
            match self.piece(sink) {
                Piece::Open(tag) => open.push(Element {
                    tag,
                    ..Element::default()
                }),
                Piece::Text(text) => {
                    if let Some(top) = open.last_mut() {
                        let left = text_limit.saturating_sub(top.text.len());
                        top.text.push_str(&text[..text.floor_char_boundary(left)]);
                    }
                }
                Piece::Letter(letter) => {
                    if let Some(top) = open.last_mut()
                        && top.text.len() < text_limit
                    {
                        top.text.push(letter);
                    }
                }
                Piece::Close | Piece::End => {
                    let Some(done) = open.pop() else {
                        return Element::default();
                    };
                    match open.last_mut() {
                        None => return done,
                        Some(parent) if elements_left > 0 => {
                            elements_left -= 1;
                            parent.children.push(done);
                        }
                        Some(_) => {}
                    }
                }
            }
        }
    }

    /// Passes over the element that was just opened.
    pub(super) fn skip(&mut self, sink: &mut CaseSink<'_>) {
        let outside = self.depth().saturating_sub(1);
        while self.depth() > outside {
            if matches!(self.piece(sink), Piece::End) {
                return;
            }
        }
    }

    fn piece(&mut self, sink: &mut CaseSink<'_>) -> Piece<'a> {
        loop {
            if self.to_close > 0 {
                self.to_close -= 1;
                self.open.pop();
                return Piece::Close;
            }
            let at = self.position();
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    self.recover(at, &error.to_string(), sink);
                    continue;
                }
            };
            match event {
                Event::Start(start) => {
                    if self.open.len() >= self.depth_limit {
                        self.too_deep += 1;
                        let message = format!(
                            "elements that lie more than {} deep in each other are left out",
                            self.depth_limit
                        );
                        sink.find_once(self.lines.at(at), FindingKind::TooDeep, &message);
                        continue;
                    }
                    let tag = self.tag(&start, at, sink);
                    self.open.push(tag.name.clone());
                    return Piece::Open(tag);
                }
                Event::End(end) => {
                    if self.too_deep > 0 {
                        self.too_deep -= 1;
                        continue;
                    }
                    let name = end.local_name();
                    match self.open.iter().rposition(|open| open == name.as_ref()) {
                        Some(place) => {
                            self.to_close = self.open.len() - place;
                            if self.to_close > 1 {
                                let message = format!(
                                    "</{}> ends an element inside which <{}> is still open",
                                    name.as_ref(),
                                    self.open[self.open.len() - 1]
                                );
                                sink.find(self.lines.at(at), FindingKind::Damaged, &message);
                            }
                        }
                        None => {
                            let message = format!("</{}> ends an element that is not open", name.as_ref());
                            sink.find(self.lines.at(at), FindingKind::Damaged, &message);
                        }
                    }
                }
                Event::Text(_) | Event::CData(_) if self.too_deep > 0 => {}
                // Events of a text that is in memory borrow from it.
                Event::Text(_) => return Piece::Text(&self.text[at..self.position()]),
                Event::CData(_) => {
                    let whole = &self.text[at..self.position()];
                    let inside = whole.strip_prefix("<![CDATA[").unwrap_or(whole);
                    return Piece::Text(inside.strip_suffix("]]>").unwrap_or(inside));
                }
                Event::GeneralRef(name) => match meaning(&name) {
                    Some(letter) => return Piece::Letter(letter),
                    None => {
                        self.note_entity(&name, at, sink);
                        return Piece::Text(&self.text[at..self.position()]);
                    }
                },
                Event::DocType(_) => {
                    sink.find_once(
                        self.lines.at(at),
                        FindingKind::DocumentType,
                        "the report has a document type, which is passed over; no entity of it is expanded",
                    );
                }
                Event::Eof => {
                    if let Some(last) = self.open.last() {
                        let message = format!("the report ends inside of <{last}>; what came before is kept");
                        sink.find(self.lines.at(at), FindingKind::Damaged, &message);
                        self.to_close = self.open.len();
                        continue;
                    }
                    return Piece::End;
                }
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    fn position(&self) -> usize {
        let in_reader = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        self.base.saturating_add(in_reader).min(self.text.len())
    }

    /// Goes on behind something that is no XML.
    fn recover(&mut self, at: usize, problem: &str, sink: &mut CaseSink<'_>) {
        sink.find(self.lines.at(at), FindingKind::Damaged, problem);
        self.recoveries += 1;
        let from = self.text.ceil_char_boundary((at + 1).min(self.text.len()));
        let next = self.text[from..].find('<').map(|offset| from + offset);
        self.base = match next {
            Some(next) if self.recoveries < MAX_RECOVERIES => next,
            _ => self.text.len(),
        };
        self.reader = reader(&self.text[self.base..]);
    }

    fn tag(&mut self, start: &BytesStart<'_>, at: usize, sink: &mut CaseSink<'_>) -> Tag {
        let line = self.lines.at(at);
        let mut attributes = Vec::new();
        let longest = sink.limits().text_bytes * 2;
        for attribute in start.attributes().with_checks(false).take(MAX_ATTRIBUTES) {
            match attribute {
                Ok(attribute) => {
                    let name = attribute.key.local_name().as_ref().to_owned();
                    let value = self.value(&attribute.value, at, longest, sink);
                    attributes.push((name, value));
                }
                Err(error) => {
                    sink.find_once(line, FindingKind::Damaged, &format!("an attribute: {error}"));
                }
            }
        }
        Tag {
            name: start.local_name().as_ref().to_owned(),
            line,
            attributes,
        }
    }

    /// The value of an attribute: references of XML replaced, others left, cut to a length.
    fn value(&mut self, raw: &str, at: usize, longest: usize, sink: &mut CaseSink<'_>) -> String {
        let raw = &raw[..raw.floor_char_boundary(longest)];
        let mut pieces = raw.split('&');
        let mut value = pieces.next().unwrap_or("").to_owned();
        for piece in pieces {
            match piece.split_once(';') {
                Some((name, rest)) => match meaning(name) {
                    Some(letter) => {
                        value.push(letter);
                        value.push_str(rest);
                        continue;
                    }
                    None => self.note_entity(name, at, sink),
                },
                None => self.note_entity("", at, sink),
            }
            value.push('&');
            value.push_str(piece);
        }
        value
    }

    fn note_entity(&mut self, name: &str, at: usize, sink: &mut CaseSink<'_>) {
        let shown: String = name.chars().take(40).collect();
        let message = format!("`&{shown}` is no entity of XML; it is left as it is written");
        sink.find_once(self.lines.at(at), FindingKind::UnknownEntity, &message);
    }
}

fn reader(text: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    config.expand_empty_elements = true;
    reader
}

/// What a reference stands for: one of the five names of XML, or the number of a character.
fn meaning(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// The line of a place of a text, from 1.
pub(super) fn line_of(text: &str, at: usize) -> u32 {
    Lines::new(text).at(at)
}

/// Counts lines while the places asked for go forward, as they do but for a few.
struct Lines<'a> {
    text: &'a [u8],
    counted: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            counted: 0,
            line: 1,
        }
    }

    fn at(&mut self, place: usize) -> u32 {
        let place = place.min(self.text.len());
        let between = &self.text[self.counted.min(place)..self.counted.max(place)];
        let count = u32::try_from(memchr::memchr_iter(b'\n', between).count()).unwrap_or(u32::MAX);
        self.line = if place >= self.counted {
            self.line.saturating_add(count)
        } else {
            self.line.saturating_sub(count)
        };
        self.counted = place;
        self.line
    }
}
