//! The document tree behind every answer: built once, printed as JSON or as XML.
//!
//! JSON knows fields only; XML also wants to know which of them are attributes (bamboo-rest.md 12).
//! So a field carries its place, and both printers keep the order in which fields were added.

use std::borrow::Cow;
use std::io::Write;

use quick_xml::Writer;
use quick_xml::escape::partial_escape;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A whole answer: a tree and the name of its root element in XML.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Name of the XML root element; JSON does not show it.
    pub root: &'static str,
    /// The content.
    pub body: Node,
}

impl Document {
    /// A document with the given XML root element.
    #[must_use]
    pub fn new(root: &'static str, body: impl Into<Node>) -> Self {
        Self {
            root,
            body: body.into(),
        }
    }

    /// The document as compact JSON, fields in the order of the tree.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.body).expect("a tree of strings, numbers and lists always prints")
    }

    /// The document as XML 1.0 with a declaration; characters that XML cannot carry are left out.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut writer = Writer::new(Vec::new());
        let declaration = BytesDecl::new("1.0", Some("UTF-8"), Some("yes"));
        put(&mut writer, Event::Decl(declaration));
        write_element(&mut writer, self.root, &self.body);
        String::from_utf8(writer.into_inner()).expect("only texts are written")
    }
}

/// One value of the tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A text, number or boolean.
    Scalar(Scalar),
    /// Named fields in order.
    Object(Object),
    /// Items in order.
    List(List),
}

/// A value without parts; the only kind that fits into an XML attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A text.
    Text(Cow<'static, str>),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction; values that are not finite print as 0.
    Decimal(f64),
    /// `true` or `false`.
    Boolean(bool),
}

/// An object: fields in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object {
    fields: Vec<Field>,
}

/// A list and the name that its items have in XML.
///
/// As a field whose name is the item name, the items stand in the parent directly
/// (`"plan":[..]` is `<plan/><plan/>`); under any other name they get an element around them.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Element name of one item.
    pub item_name: &'static str,
    /// The items.
    pub items: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq)]
struct Field {
    name: Cow<'static, str>,
    place: Place,
    value: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Attribute,
    Element,
}

impl Object {
    /// An object without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field that XML shows as an attribute.
    #[must_use]
    pub fn attribute(self, name: &'static str, value: impl Into<Scalar>) -> Self {
        self.push(name.into(), Place::Attribute, Node::Scalar(value.into()))
    }

    /// Adds an attribute when there is a value.
    #[must_use]
    pub fn optional_attribute(self, name: &'static str, value: Option<impl Into<Scalar>>) -> Self {
        match value {
            Some(value) => self.attribute(name, value),
            None => self,
        }
    }

    /// Adds a field that XML shows as an element. A name that XML does not allow is mended there.
    #[must_use]
    pub fn element(self, name: impl Into<Cow<'static, str>>, value: impl Into<Node>) -> Self {
        self.push(name.into(), Place::Element, value.into())
    }

    /// Adds an element when there is a value.
    #[must_use]
    pub fn optional_element(self, name: &'static str, value: Option<impl Into<Node>>) -> Self {
        match value {
            Some(value) => self.element(name, value),
            None => self,
        }
    }

    /// Adds all fields of another object behind the own ones.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.fields.extend(other.fields);
        self
    }

    fn push(mut self, name: Cow<'static, str>, place: Place, value: Node) -> Self {
        self.fields.push(Field { name, place, value });
        self
    }
}

impl List {
    /// A list of the given items.
    #[must_use]
    pub fn new<N: Into<Node>>(item_name: &'static str, items: impl IntoIterator<Item = N>) -> Self {
        Self {
            item_name,
            items: items.into_iter().map(Into::into).collect(),
        }
    }
}

macro_rules! scalar_from {
    ($($from:ty => |$value:ident| $scalar:expr;)*) => {$(
        impl From<$from> for Scalar {
            fn from($value: $from) -> Self {
                $scalar
            }
        }

        impl From<$from> for Node {
            fn from(value: $from) -> Self {
                Self::Scalar(value.into())
            }
        }
    )*};
}

scalar_from! {
    &str => |text| Self::Text(Cow::Owned(text.to_owned()));
    &String => |text| Self::Text(Cow::Owned(text.clone()));
    String => |text| Self::Text(Cow::Owned(text));
    Cow<'static, str> => |text| Self::Text(text);
    i64 => |number| Self::Integer(number);
    u64 => |number| Self::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    usize => |number| Self::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    u32 => |number| Self::Integer(i64::from(number));
    u16 => |number| Self::Integer(i64::from(number));
    i32 => |number| Self::Integer(i64::from(number));
    f64 => |number| Self::Decimal(if number.is_finite() { number } else { 0.0 });
    bool => |flag| Self::Boolean(flag);
}

impl From<Scalar> for Node {
    fn from(scalar: Scalar) -> Self {
        Self::Scalar(scalar)
    }
}

impl From<Object> for Node {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<List> for Node {
    fn from(list: List) -> Self {
        Self::List(list)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Scalar(Scalar::Text(text)) => serializer.serialize_str(text),
            Self::Scalar(Scalar::Integer(number)) => serializer.serialize_i64(*number),
            Self::Scalar(Scalar::Decimal(number)) => serializer.serialize_f64(*number),
            Self::Scalar(Scalar::Boolean(flag)) => serializer.serialize_bool(*flag),
            Self::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.fields.len()))?;
                for field in &object.fields {
                    map.serialize_entry(field.name.as_ref(), &field.value)?;
                }
                map.end()
            }
            Self::List(list) => {
                let mut sequence = serializer.serialize_seq(Some(list.items.len()))?;
                for item in &list.items {
                    sequence.serialize_element(item)?;
                }
                sequence.end()
            }
        }
    }
}

impl Scalar {
    fn xml_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => without_forbidden(text),
            Self::Integer(number) => number.to_string().into(),
            Self::Decimal(number) => number.to_string().into(),
            Self::Boolean(flag) => flag.to_string().into(),
        }
    }
}

fn put<W: Write>(writer: &mut Writer<W>, event: Event<'_>) {
    writer
        .write_event(event)
        .expect("writing into memory cannot fail");
}

fn write_element<W: Write>(writer: &mut Writer<W>, name: &str, node: &Node) {
    let name = element_name(name);
    let mut start = BytesStart::new(name.as_ref());
    if let Node::Object(object) = node {
        for field in object.fields.iter().filter(|f| f.place == Place::Attribute) {
            let Node::Scalar(scalar) = &field.value else {
                continue;
            };
            start.push_attribute((field.name.as_ref(), scalar.xml_text()));
        }
    }
    if is_empty(node) {
        put(writer, Event::Empty(start));
        return;
    }
    put(writer, Event::Start(start));
    match node {
        Node::Scalar(scalar) => {
            let text = escaped_text(&scalar.xml_text());
            put(writer, Event::Text(BytesText::from_escaped(text)));
        }
        Node::Object(object) => {
            for field in object.fields.iter().filter(|f| f.place == Place::Element) {
                match &field.value {
                    Node::List(list) if list.item_name == field.name => write_items(writer, list),
                    other => write_element(writer, &field.name, other),
                }
            }
        }
        Node::List(list) => write_items(writer, list),
    }
    put(writer, Event::End(BytesEnd::new(name.as_ref())));
}

fn write_items<W: Write>(writer: &mut Writer<W>, list: &List) {
    for item in &list.items {
        write_element(writer, list.item_name, item);
    }
}

fn is_empty(node: &Node) -> bool {
    match node {
        Node::Scalar(scalar) => scalar.xml_text().is_empty(),
        Node::Object(object) => object.fields.iter().all(|f| f.place == Place::Attribute),
        Node::List(list) => list.items.is_empty(),
    }
}

/// Only what text needs: quotes stay, as clients with regular expressions expect. A carriage return becomes
/// a reference, because a reader would turn it into a line feed.
fn escaped_text(text: &str) -> String {
    partial_escape(text).replace('\r', "&#13;")
}

fn without_forbidden(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_xml_character) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().filter(|c| is_xml_character(*c)).collect())
    }
}

/// The `Char` production of XML 1.0.
fn is_xml_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// Names of fields are constants, apart from those of refused request parameters.
fn element_name(name: &str) -> Cow<'_, str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && name.chars().all(allowed) {
        return Cow::Borrowed(name);
    }
    let mended: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    Cow::Owned(if starts { mended } else { format!("_{mended}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Document {
        Document::new(
            "plans",
            Object::new()
                .attribute("expand", "plan")
                .element("link", Object::new().attribute("href", "http://a/?x=1&y=\"2\""))
                .element(
                    "plan",
                    List::new("plan", [Object::new().attribute("enabled", true)]),
                )
                .element("errors", List::new("error", ["a < b", ""]))
                .attribute("size", 1_usize),
        )
    }

    #[test]
    fn json_keeps_the_order_of_fields() {
        assert_eq!(
            sample().to_json(),
            r#"{"expand":"plan","link":{"href":"http://a/?x=1&y=\"2\""},"plan":[{"enabled":true}],"errors":["a < b",""],"size":1}"#
        );
    }

    #[test]
    fn xml_splits_attributes_from_elements_and_wraps_foreign_lists() {
        assert_eq!(
            sample().to_xml(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\
             <plans expand=\"plan\" size=\"1\"><link href=\"http://a/?x=1&amp;y=&quot;2&quot;\"/>\
             <plan enabled=\"true\"/><errors><error>a &lt; b</error><error/></errors></plans>"
        );
    }

    #[test]
    fn xml_leaves_out_what_it_cannot_carry() {
        let text = "a\u{0}b\u{1b}[31mc\u{fffe}\u{ffff}\u{7f}d\te\r\nf";
        let document = Document::new("x", Object::new().attribute("a", text).element("e", text));
        assert!(
            document
                .to_xml()
                .ends_with("<x a=\"ab[31mc\u{7f}d&#9;e&#13;&#10;f\"><e>ab[31mc\u{7f}d\te&#13;\nf</e></x>")
        );
        assert!(document.to_json().contains("\\u0000"));
    }

    #[test]
    fn numbers_that_are_not_finite_print_as_zero() {
        let document = Document::new("x", Object::new().element("a", f64::NAN).element("b", 0.5));
        assert_eq!(document.to_json(), r#"{"a":0.0,"b":0.5}"#);
        assert!(document.to_xml().ends_with("<x><a>0</a><b>0.5</b></x>"));
    }

    #[test]
    fn element_names_made_of_user_text_are_mended() {
        let document = Document::new("x", Object::new().element("1 <b>", "v").element("", "w"));
        assert!(document.to_xml().ends_with("<x><_1__b_>v</_1__b_><_>w</_></x>"));
    }
}
