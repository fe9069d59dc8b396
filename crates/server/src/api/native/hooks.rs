//! Hooks of attached repositories: put in place, taken out, and what they report.

use std::path::{Path, PathBuf};

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use madake_domain::text::inert;
use madake_engine::ops::install_hook::HookChange;
use madake_store::event::Received;
use madake_vcs::git::hook::HookState;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, invalid};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Install {
    path: PathBuf,
}

/// `POST /hooks`: installs the hook for the attached repository at `path`.
pub(super) async fn install(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Install>,
) -> Result<Answer<Value>, Failure> {
    change(&app, &visitor, &asked.path, false).await
}

/// `DELETE /hooks?path=`: takes it out again.
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let path = parameters
        .text("path")
        .ok_or_else(|| invalid("`path` names the repository that the hook is in"))?;
    change(&app, &visitor, Path::new(path), true).await
}

async fn change(app: &App, visitor: &Visitor, path: &Path, remove: bool) -> Result<Answer<Value>, Failure> {
    let change = app.engine().install_hook(&visitor.caller, path, remove).await?;
    Ok(Answer(match change {
        HookChange::Git(state) => {
            let (word, beside) = match &state {
                HookState::NotInstalled => ("not-installed", None),
                HookState::Installed => ("installed", None),
                HookState::InstalledBeside(name) => ("installed-beside", Some(name)),
            };
            json!({ "state": word, "beside": beside })
        }
        HookChange::Hg { installed, files } => json!({
            "state": if installed { "to-be-included" } else { "not-installed" },
            "beside": null,
            "configuration": files.configuration,
            "includeLine": files.include_line,
        }),
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    repository: String,
    lines: String,
    pusher: Option<String>,
}

/// `POST /hooks/receive`: what Git gave the hook, lines of `old new ref`; none: compare refs with the ledger.
pub(super) async fn receive(
    State(app): State<App>,
    visitor: Visitor,
    Json(report): Json<Report>,
) -> Result<Answer<Value>, Failure> {
    let pusher = report
        .pusher
        .map(|name| inert(&name, 200))
        .filter(|name| !name.is_empty());
    let received = app
        .engine()
        .receive_hook(&visitor.caller, &report.repository, &report.lines, pusher)
        .await?;
    let duplicate_of = match received {
        Some(Received::Repeat { first, .. }) => Some(first),
        Some(Received::Entered(_)) | None => None,
    };
    Ok(Answer(json!({
        "event": received.map(|received| received.id()),
        "duplicateOf": duplicate_of,
    })))
}
