//! Templates of outgoing calls: strict, bounded, and escaped for the place where their text goes.
//!
//! The language is that of Jinja, cut down to what cannot grow: `{{ value }}`, `if`, `for`, `with`, filters and
//! tests. `guard` refuses the rest before anything is compiled. A value that does not exist is an error, never an
//! empty text. What is printed is escaped by [`Escape`]: inside JSON, `{{ name }}` prints a whole JSON string with
//! its quotes.
//!
//! A template sees the fields of [`BrokerEvent`](crate::event::BrokerEvent), `change` (`name`, `full_name`,
//! `revision`: what is to be built, where a call is about one ref) and, in a generic broker, `token`.

mod filters;
mod guard;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use crate::address::encode;

/// The longest text that a template makes, in bytes; also the longest value inside.
pub(crate) const MAX_OUTPUT: usize = 64 * 1024;
/// The most steps that a template takes.
pub(crate) const MAX_STEPS: u64 = 20_000;
/// The deepest nesting of calls and blocks.
const MAX_DEPTH: usize = 40;

/// Where the text of a template goes, and so how values are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// JSON: values print as JSON, strings with their quotes.
    Json,
    /// XML and HTML: `<`, `>`, `&` and quotes become entities.
    Markup,
    /// Addresses and form bodies: everything but letters, digits and `-._~` is percent-encoded.
    Url,
    /// Headers, form values that are encoded later, plain text: nothing is escaped.
    Plain,
}

impl Escape {
    /// The escaping for a body of this content type.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Self {
        let kind = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if kind == "application/json" || kind.ends_with("+json") {
            Self::Json
        } else if kind == "text/html"
            || kind == "application/xml"
            || kind == "text/xml"
            || kind.ends_with("+xml")
        {
            Self::Markup
        } else if kind == "application/x-www-form-urlencoded" {
            Self::Url
        } else {
            Self::Plain
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Markup => "markup",
            Self::Url => "url",
            Self::Plain => "plain",
        }
    }
}

/// What is wrong with a template, or with what it made of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {}", self.sentence_with_line())]
pub struct TemplateError {
    /// The setting that holds the template.
    pub field: &'static str,
    /// The line in it, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong, and how to mend it.
    pub sentence: String,
}

impl TemplateError {
    /// The sentence with the line in front.
    #[must_use]
    pub fn sentence_with_line(&self) -> String {
        match self.line {
            Some(line) => format!("line {line}: {}", self.sentence),
            None => self.sentence.clone(),
        }
    }

    fn from_engine(field: &'static str, error: &Error) -> Self {
        let detail = error.detail().unwrap_or_default();
        let sentence = match error.kind() {
            ErrorKind::UndefinedError => {
                "uses a value that this event does not have; ask `if ... is defined` and `is not none`, or give it with \
                 `default`"
                    .to_owned()
            }
            ErrorKind::OutOfFuel => format!("takes more than {MAX_STEPS} steps; loop over less"),
            ErrorKind::WriteFailure => too_long(),
            ErrorKind::UnknownFunction => format!("{detail}; there are filters and tests, and no functions"),
            kind => format!("{kind}: {detail}"),
        };
        Self {
            field,
            line: error.line(),
            sentence: madake_formats::text::line(&sentence, 500),
        }
    }
}

fn too_long() -> String {
    format!("makes more than {} KiB of text; print less", MAX_OUTPUT / 1024)
}

/// A template that compiles.
#[derive(Debug, Clone)]
pub struct Template {
    field: &'static str,
    source: String,
    escape: Escape,
}

impl Template {
    /// Reads a template of the setting `field`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its line.
    pub fn new(field: &'static str, source: &str, escape: Escape) -> Result<Self, TemplateError> {
        guard::check(source).map_err(|refused| TemplateError {
            field,
            line: Some(refused.line),
            sentence: refused.sentence,
        })?;
        environment(escape)
            .template_from_named_str(escape.name(), source)
            .map_err(|error| TemplateError::from_engine(field, &error))?;
        Ok(Self {
            field,
            source: source.to_owned(),
            escape,
        })
    }

    /// The text that it makes of `context`.
    ///
    /// # Errors
    /// A value that does not exist, a filter that does not fit, or a limit.
    pub fn render(&self, context: &Value) -> Result<String, TemplateError> {
        let engine = environment(self.escape);
        let failed = |error: &Error| TemplateError::from_engine(self.field, error);
        let template = engine
            .template_from_named_str(self.escape.name(), &self.source)
            .map_err(|error| failed(&error))?;
        let mut text = Bounded::default();
        template
            .render_captured_to(context, &mut text)
            .map_err(|error| failed(&error))?;
        String::from_utf8(text.0).map_err(|_| self.error(None, too_long()))
    }

    /// An error about what this template made.
    pub(crate) fn error(&self, line: Option<usize>, sentence: impl Into<String>) -> TemplateError {
        TemplateError {
            field: self.field,
            line,
            sentence: sentence.into(),
        }
    }
}

/// A new environment: minijinja keeps the fuel of a render apart, and building one costs microseconds.
fn environment(escape: Escape) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_recursion_limit(MAX_DEPTH);
    environment.set_keep_trailing_newline(true);
    environment.set_auto_escape_callback(move |_| AutoEscape::Custom(escape.name()));
    environment.set_formatter(print);
    filters::install(&mut environment);
    environment
}

/// Prints a value for its place.
fn print(out: &mut Output<'_>, state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let place = match state.auto_escape() {
        AutoEscape::Custom(name) => name,
        _ => Escape::Plain.name(),
    };
    if value.is_safe() {
        return Ok(out.write_str(value.as_str().unwrap_or_default())?);
    }
    if place == Escape::Json.name() {
        return Ok(out.write_str(&filters::json_text(value)?)?);
    }
    let text = text_of(value)?;
    let text = match place {
        "markup" => Cow::Owned(escape_markup(&text)),
        "url" => Cow::Owned(encode(&text)),
        _ => text,
    };
    Ok(out.write_str(&text)?)
}

/// The text of a value, at most [`MAX_OUTPUT`] long. `none` prints as nothing.
fn text_of(value: &Value) -> Result<Cow<'_, str>, Error> {
    if let Some(text) = value.as_str() {
        return Ok(Cow::Borrowed(text));
    }
    match value.kind() {
        ValueKind::None => return Ok(Cow::Borrowed("")),
        // As JSON and most receivers write it, and not as the engine does.
        ValueKind::Bool => return Ok(Cow::Borrowed(if value.is_true() { "true" } else { "false" })),
        _ => {}
    }
    let mut text = Bounded::default();
    write!(text, "{value}").map_err(|_| Error::new(ErrorKind::WriteFailure, too_long()))?;
    Ok(Cow::Owned(String::from_utf8_lossy(&text.0).into_owned()))
}

/// `text` with what means something in HTML and XML made an entity, and control characters left out, which XML
/// cannot hold at all.
pub(crate) fn escape_markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// Bytes up to [`MAX_OUTPUT`]; more is an error.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Bounded {
    fn take(&mut self, bytes: &[u8]) -> bool {
        let fits = self.0.len() + bytes.len() <= MAX_OUTPUT;
        if fits {
            self.0.extend_from_slice(bytes);
        }
        fits
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.take(bytes) {
            Ok(bytes.len())
        } else {
            Err(io::Error::other(too_long()))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.take(text.as_bytes()) {
            Ok(())
        } else {
            Err(std::fmt::Error)
        }
    }
}
