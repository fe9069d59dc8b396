//! The filters and tests of templates. Each refuses to make a text longer than a template may be, so that no chain
//! of them grows without end.

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};

use super::{Bounded, MAX_OUTPUT, text_of, too_long};
use crate::address::encode;
use crate::event::{first_line, short_id};

/// For sentences about a filter that does not exist.
pub(super) const FILTERS: &str = "default, first, first_line, iso_time, join, last, length, lower, replace, safe, short, tojson, trim, \
                                  truncate, upper, urlencode";
/// For sentences about a test that does not exist.
pub(super) const TESTS: &str =
    "defined, undefined, none, eq, ne, lt, gt, startingwith, endingwith, containing";

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_filter("default", minijinja::filters::default);
    environment.add_filter("first", minijinja::filters::first);
    environment.add_filter("last", minijinja::filters::last);
    environment.add_filter("length", minijinja::filters::length);
    environment.add_filter("safe", minijinja::filters::safe);
    environment.add_filter("first_line", |text: &str| first_line(text).to_owned());
    environment.add_filter("iso_time", iso_time);
    environment.add_filter("join", join);
    environment.add_filter("lower", |text: &str| bounded(text.to_lowercase()));
    environment.add_filter("upper", |text: &str| bounded(text.to_uppercase()));
    environment.add_filter("replace", replace);
    environment.add_filter("short", |id: &str| short_id(id).to_owned());
    environment.add_filter("tojson", |value: Value| {
        json_text(defined(&value)?).map(Value::from_safe_string)
    });
    environment.add_filter("trim", |text: &str| text.trim().to_owned());
    environment.add_filter("truncate", truncate);
    environment.add_filter("urlencode", |value: Value| {
        let text = encode(&text_of(defined(&value)?)?);
        bounded(text).map(Value::from_safe_string)
    });

    environment.add_test("defined", minijinja::tests::is_defined);
    environment.add_test("undefined", minijinja::tests::is_undefined);
    environment.add_test("none", minijinja::tests::is_none);
    environment.add_test("eq", |one: &Value, other: &Value| one == other);
    environment.add_test("ne", |one: &Value, other: &Value| one != other);
    environment.add_test("lt", |one: &Value, other: &Value| one < other);
    environment.add_test("gt", |one: &Value, other: &Value| one > other);
    environment.add_test("startingwith", |text: &str, start: &str| text.starts_with(start));
    environment.add_test("endingwith", |text: &str, end: &str| text.ends_with(end));
    environment.add_test("containing", |text: &str, part: &str| text.contains(part));
}

/// A value as JSON, safe inside HTML too.
pub(super) fn json_text(value: &Value) -> Result<String, Error> {
    let mut text = Bounded::default();
    serde_json::to_writer(&mut text, value).map_err(|error| {
        let sentence = if error.is_io() {
            too_long()
        } else {
            "the value has no JSON form".to_owned()
        };
        Error::new(ErrorKind::BadSerialization, sentence)
    })?;
    let text = String::from_utf8_lossy(&text.0);
    bounded(
        text.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
            .replace('\u{7f}', "\\u007f"),
    )
}

/// The value, if it exists. The engine looks at what is printed, not at what goes into a filter.
fn defined(value: &Value) -> Result<&Value, Error> {
    if value.is_undefined() {
        Err(Error::from(ErrorKind::UndefinedError))
    } else {
        Ok(value)
    }
}

fn bounded(text: String) -> Result<String, Error> {
    if text.len() > MAX_OUTPUT {
        return Err(Error::new(ErrorKind::InvalidOperation, too_long()));
    }
    Ok(text)
}

fn join(list: &Value, separator: Option<&str>) -> Result<String, Error> {
    let mut joined = String::new();
    for (at, item) in list.try_iter()?.enumerate() {
        if at > 0 {
            joined.push_str(separator.unwrap_or_default());
        }
        joined.push_str(&text_of(&item)?);
        if joined.len() > MAX_OUTPUT {
            break;
        }
    }
    bounded(joined)
}

fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    if from.is_empty() {
        return Ok(text.to_owned());
    }
    let times = text.matches(from).count();
    if text.len() + times.saturating_mul(to.len()) > MAX_OUTPUT + times * from.len() {
        return Err(Error::new(ErrorKind::InvalidOperation, too_long()));
    }
    Ok(text.replace(from, to))
}

/// At most `most` characters, with `…` behind a text that was cut.
fn truncate(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// Milliseconds since 1970 as `2026-03-02T11:34:56Z`.
fn iso_time(time_ms: i64) -> Result<String, Error> {
    jiff::Timestamp::from_millisecond(time_ms)
        .map(|time| time.to_string())
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, "no time is so far from 1970"))
}
