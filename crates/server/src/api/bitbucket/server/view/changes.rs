//! What commits changed.

use madake_formats::object_id::ObjectIdText;
use madake_formats::outgoing::facts::{FileChange, PushFacts};
use madake_formats::outgoing::resource::server_change;
use serde_json::{Map, Value, json};

use crate::api::bitbucket::paging::Part;

/// `{fromHash, toHash, ...}` and a page of changes.
pub(crate) fn changes(
    facts: &PushFacts,
    from: Option<&ObjectIdText>,
    to: &ObjectIdText,
    part: Part<FileChange>,
) -> Value {
    let mut shown = Map::new();
    shown.insert("fromHash".into(), json!(from.map(ObjectIdText::as_str)));
    shown.insert("toHash".into(), json!(to.as_str()));
    let page = part.map(|file| change(facts, to, &file)).server();
    if let Value::Object(page) = page {
        shown.extend(page);
    }
    Value::Object(shown)
}

fn change(facts: &PushFacts, to: &ObjectIdText, file: &FileChange) -> Value {
    let mut shown = server_change(&facts.server, &facts.repository, to, file);
    let git_type = match shown["type"].as_str() {
        Some("MOVE") => "RENAME",
        Some("COPY") => "COPY",
        Some("ADD") => "ADD",
        Some("DELETE") => "DELETE",
        _ => "MODIFY",
    };
    shown["properties"] = json!({ "gitChangeType": git_type });
    shown
}
