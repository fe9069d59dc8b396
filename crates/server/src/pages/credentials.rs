//! `/credentials`: shared credentials, who may use them and where they are used. What they hold is not shown.

use axum::extract::State;
use http::StatusCode;
use madake_engine::EngineError;
use madake_engine::clock;
use madake_engine::ops::keep_credential::ShownCredential;
use serde::Serialize;

use super::asked::{Asked, Page, Refused};
use super::hearing::{Moment, moment};
use super::login::log_in_page;
use super::shown;
use super::template::render;
use crate::App;
use crate::auth::Visitor;

#[derive(Debug, Serialize)]
struct CredentialsPage {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    project: String,
    kind: &'static str,
    username: String,
    fingerprint: String,
    may_change: bool,
    grants: Vec<String>,
    uses: Vec<String>,
    changed: Moment,
    changed_by: String,
    used: Option<Moment>,
    used_by: String,
}

/// The page. It lists what the visitor may change or use.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let found = match app.engine().list_credentials(&visitor.caller).await {
        Ok(found) => found,
        Err(EngineError::Unauthenticated { .. }) => {
            return Err(Refused::Page(Box::new(log_in_page(
                &app,
                &visitor,
                &asked.address,
                "Log in to see this page.",
            ))));
        }
        Err(other) => return Err(other.into()),
    };
    let now = clock::now_ms();
    let page = CredentialsPage {
        rows: found.iter().map(|one| row(one, now)).collect(),
    };
    let frame = asked.frame(&app, &visitor, "Credentials");
    Ok(render(StatusCode::OK, "credentials.html", &frame, &page))
}

fn row(one: &ShownCredential, now: i64) -> Row {
    let found = &one.credential;
    let lines = |all: &[String]| all.iter().map(|text| shown::line(text)).collect();
    let grants: Vec<String> = one
        .grants
        .iter()
        .map(|(to, name)| format!("{to} {name}"))
        .collect();
    Row {
        name: shown::line(&found.name),
        project: found.project.as_deref().map(shown::line).unwrap_or_default(),
        kind: found.kind.title(),
        username: shown::line(&found.username),
        fingerprint: found.fingerprint.clone(),
        may_change: one.may_change,
        grants: lines(&grants),
        uses: lines(&one.uses),
        changed: moment(found.changed_ms, now),
        changed_by: shown::line(&found.changed_by),
        used: found.last_used_ms.map(|at| moment(at, now)),
        used_by: found.last_used_by.as_deref().map(shown::line).unwrap_or_default(),
    }
}
