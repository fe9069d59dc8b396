//! Plan files of repositories, as files: read again without a push.

use axum::Json as Answer;
use axum::extract::State;
use madake_engine::ops::reread_specs::RereadFile;
use madake_specs::render_line;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Json;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    repository: String,
}

/// `POST /plan-files/reread`: puts the plan file of a repository's default branch in force once more.
pub(super) async fn reread(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Which>,
) -> Result<Answer<Value>, Failure> {
    let reread = app
        .engine()
        .reread_specs(&visitor.caller, &asked.repository)
        .await?;
    Ok(Answer(view(&reread)))
}

/// A plan file that was read again.
pub(super) fn view(one: &RereadFile) -> Value {
    let findings: Vec<Value> = one
        .findings
        .iter()
        .map(|finding| {
            json!({ "severity": finding.severity.as_str(), "code": finding.code, "text": render_line(finding) })
        })
        .collect();
    json!({
        "repository": one.repository,
        "revision": one.revision,
        "plans": one.plans,
        "findings": findings,
    })
}
