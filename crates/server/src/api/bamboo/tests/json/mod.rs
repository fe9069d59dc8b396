//! JSON documents, field by field and in order.

mod configuration;
mod results;
mod server;

use serde_json::Value;

use super::super::node::Document;
use super::super::paging::Page;

const PAGE: Page = Page { start: 0, size: 25 };

/// Compares texts, not values, so that the order of fields counts.
#[track_caller]
fn assert_json(document: &Document, expected: &str) {
    let expected: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(document.to_json(), expected.to_string());
}

fn parsed(document: &Document) -> Value {
    serde_json::from_str(&document.to_json()).unwrap()
}

const SHORT_PLAN: &str = r#"{"id":360449,"shortName":"Build","shortKey":"PLAN","type":"chain","enabled":true,
 "link":{"href":"http://ci.example/rest/api/latest/plan/PROJ-PLAN","rel":"self"},
 "key":"PROJ-PLAN","name":"My project - Build","planKey":{"key":"PROJ-PLAN"}}"#;
