//! Findings as SARIF 2.1.0, which code hosts and editors show beside the lines.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Position, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// All findings as one SARIF log. `version` is that of the program.
#[must_use]
pub fn render_sarif<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>, version: &str) -> Value {
    let mut codes = BTreeSet::new();
    let mut results = Vec::new();
    for diagnostic in diagnostics {
        codes.insert(diagnostic.code.as_str());
        results.push(result(diagnostic));
    }
    let rules: Vec<Value> = codes.into_iter().map(|code| json!({ "id": code })).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "madake", "version": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(diagnostic: &Diagnostic) -> Value {
    let start = Position {
        line: diagnostic.line,
        column: diagnostic.column,
    };
    let mut result = json!({
        "ruleId": diagnostic.code,
        "level": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "note",
        },
        "message": { "text": message(diagnostic) },
        "locations": [location(&diagnostic.file, start, diagnostic.end)],
        "properties": {
            "document": diagnostic.subject,
            "documentation": diagnostic.documentation,
        },
    });
    if let Some(related) = &diagnostic.related {
        let start = Position {
            line: related.line,
            column: related.column,
        };
        let mut place = location(&related.file, start, related.end);
        place["message"] = json!({ "text": related.message });
        result["relatedLocations"] = json!([place]);
    }
    result
}

/// Everything that is said, in sentences.
fn message(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.clone();
    if let Some(expected) = &diagnostic.expected {
        text.push_str("; expected ");
        text.push_str(expected);
    }
    if let Some(suggestion) = &diagnostic.suggestion {
        text.push_str("; did you mean `");
        text.push_str(suggestion);
        text.push_str("`?");
    }
    if let Some(note) = &diagnostic.note {
        text.push_str("; ");
        text.push_str(note);
    }
    text
}

fn location(file: &str, start: Position, end: Position) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            "region": {
                "startLine": start.line,
                "startColumn": start.column,
                "endLine": end.line,
                "endColumn": end.column,
            },
        },
    })
}

/// A path as the reference that it is relative to.
fn uri(file: &str) -> String {
    let mut uri = String::with_capacity(file.len());
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
