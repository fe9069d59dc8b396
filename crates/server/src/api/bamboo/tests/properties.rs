//! Whatever a client sends, reading it does not panic and pages stay inside their bounds.

use http::HeaderMap;
use http::header::{ACCEPT, HeaderValue};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use super::super::error::ApiError;
use super::super::expand::Expand;
use super::super::negotiate::{Format, Formats, negotiate, split_suffix};
use super::super::paging::{MAX_SIZE, Page};
use super::super::query::Parameters;
use super::super::reason::escape_html;
use super::super::render::{job_result_single, result_single};
use super::samples::{context, job_result, result};

const ROUNDS: usize = 2_000;

/// A small generator with a fixed seed, so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    /// Up to 20 pieces, mostly from the words that mean something to the reader.
    fn text(&mut self, words: &[&str]) -> String {
        let mut text = String::new();
        for _ in 0..self.below(20) {
            if self.below(5) == 0 {
                let code = u32::try_from(self.below(0x11_0000)).unwrap();
                text.extend(char::from_u32(code));
            } else {
                text.push_str(words[self.below(words.len())]);
            }
        }
        text
    }
}

#[track_caller]
fn assert_well_formed(xml: &str) {
    let mut reader = Reader::from_str(xml);
    while reader.read_event().expect("well-formed XML") != Event::Eof {}
}

#[test]
fn any_expand_parameter_can_be_read_and_rendered() {
    let words = [
        "stages",
        "stage",
        "results",
        "result",
        "changes",
        "change",
        "logEntries",
        "files",
        "plan",
        ".",
        ",",
        "[",
        "]",
        ":",
        "-",
        "0",
        "1",
        "9223372036854775807",
        "[0:1]",
        "[-1:]",
        "[3]",
        " ",
        "testResults",
        "failedTests",
    ];
    let mut random = Random(0x00c0_ffee);
    for _ in 0..ROUNDS / 10 {
        let text = random.text(&words);
        let expand = Expand::parse(&text);
        for path in ["", ".", "stages", "stages.stage", text.as_str()] {
            let total = random.below(50);
            if let Some(range) = expand.range(path) {
                let (start, count) = range.resolve(total);
                assert!(start + count <= total, "{text}");
                assert!(expand.contains(path), "{text}");
            }
        }
        let ctx = context(&text);
        for document in [
            result_single(&result(), &ctx),
            job_result_single(&Page { start: 0, size: 25 }, &job_result(), &ctx),
        ] {
            let json: Value = serde_json::from_str(&document.to_json()).unwrap();
            assert!(json.is_object());
            assert_well_formed(&document.to_xml());
        }
    }
}

#[test]
fn any_paging_parameters_give_a_page_inside_the_bounds() {
    let words = [
        "start-index=",
        "max-results=",
        "max-result=",
        "&",
        "0",
        "7",
        "25",
        "-",
        "%",
        "%00",
        "99999999999",
        "+",
        "true",
        "=",
    ];
    let mut random = Random(0x5eed);
    for _ in 0..ROUNDS {
        let text = random.text(&words);
        let page = Page::from_parameters(&Parameters::from_query(Some(&text)), MAX_SIZE);
        assert!((1..=MAX_SIZE).contains(&page.size), "{text}");
        let total = random.below(100);
        let echo = page.echo(total);
        assert!(echo <= total && (echo > 0) == (total > 0), "{text}");
        assert!(page.start.checked_add(echo).is_some(), "{text}");
    }
}

#[test]
fn any_path_and_accept_header_give_a_format() {
    let words = [
        "application/json",
        "application/xml",
        "*/*",
        ";q=",
        "0.5",
        "1",
        ",",
        ";",
        "=",
        "/",
        ".json",
        ".xml",
        "PROJ-PLAN",
        "NaN",
        "-1",
    ];
    let mut random = Random(0xabcd);
    for _ in 0..ROUNDS {
        let (path, accept) = (random.text(&words), random.text(&words));
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(accept.as_bytes()) {
            headers.insert(ACCEPT, value);
        }
        let suffixed = split_suffix(&path);
        assert!(
            path.starts_with(suffixed.path) && !suffixed.path.ends_with('/'),
            "{path}"
        );
        let format = negotiate(&path, &headers, Formats::XmlAndJson);
        assert_eq!(suffixed.format.unwrap_or(format), format, "{path} {accept}");
        assert_eq!(negotiate(&path, &headers, Formats::JsonOnly), Format::Json);
    }
}

#[test]
fn any_body_is_read_or_refused() {
    let words = [
        "{",
        "}",
        "\"",
        "bamboo.variable.",
        "a",
        "=",
        "&",
        "%",
        "%ff",
        "null",
        " ",
        "<a/>",
    ];
    let types = [
        None,
        Some("application/json"),
        Some("application/x-www-form-urlencoded"),
        Some(";"),
    ];
    let mut random = Random(0x1234);
    for _ in 0..ROUNDS {
        let body = random.text(&words);
        let content_type = types[random.below(types.len())];
        if let Ok(parameters) = Parameters::from_query(Some(&body)).with_body(content_type, body.as_bytes()) {
            let variables = parameters.variables();
            assert!(variables.iter().all(|(name, _)| !name.is_empty()), "{body}");
        }
    }
}

#[test]
fn any_text_survives_both_formats() {
    let words = [
        "<", ">", "&", "'", "\"", "]]>", "\u{0}", "\u{1b}", "\r", "\n", "\t", "\u{fffe}", "&amp;",
    ];
    let mut random = Random(0xfeed);
    for _ in 0..ROUNDS {
        let text = random.text(&words);
        let document = ApiError::invalid(text.clone()).to_document();
        let json: Value = serde_json::from_str(&document.to_json()).unwrap();
        assert_eq!(json["message"], text.as_str());
        assert_well_formed(&document.to_xml());
        let html = escape_html(&text);
        assert!(!html.contains(['<', '>', '"', '\'']));
    }
}
