//! Pull requests of linked repositories, and which forks may be built.

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use http::StatusCode;
use madake_domain::pull_request::{ForkPolicy, ForkTrust};
use madake_store::pull_request::PullRequest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, invalid, parse};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /pull-requests?repository=`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let name = parameters
        .text("repository")
        .ok_or_else(|| invalid("say which repository: `?repository=NAME`"))?;
    let (trust, known) = app.engine().pull_requests(&visitor.caller, name).await?;
    let rows: Vec<Value> = known.iter().map(view).collect();
    Ok(Answer(
        json!({ "forks": trust_view(&trust), "pullRequests": rows }),
    ))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trust {
    repository: String,
    policy: String,
    #[serde(default, rename = "trustedAuthors")]
    trusted_authors: Vec<String>,
}

/// `PUT /forks`
pub(super) async fn trust(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Trust>,
) -> Result<Answer<Value>, Failure> {
    let trust = ForkTrust {
        policy: parse::<ForkPolicy>(&asked.policy)?,
        trusted_authors: asked.trusted_authors,
    };
    let kept = app
        .engine()
        .trust_forks(&visitor.caller, &asked.repository, trust)
        .await?;
    Ok(Answer(trust_view(&kept)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Allow {
    repository: String,
    number: i64,
    head: String,
}

/// `POST /pull-requests/allow`: 202 with the entry in the ledger that says what comes of it.
pub(super) async fn allow(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Allow>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let event = app
        .engine()
        .allow_pull_request(&visitor.caller, &asked.repository, asked.number, &asked.head)
        .await?;
    Ok((StatusCode::ACCEPTED, Answer(json!({ "event": event }))))
}

fn trust_view(trust: &ForkTrust) -> Value {
    json!({ "policy": trust.policy, "trustedAuthors": trust.trusted_authors })
}

fn view(one: &PullRequest) -> Value {
    json!({
        "number": one.number,
        "open": one.open,
        "title": one.title,
        "author": one.author,
        "fromFork": one.from_fork,
        "sourceRepository": one.source_repository,
        "sourceBranch": one.source_branch,
        "targetBranch": one.target_branch,
        "head": one.head,
        "allowedHead": one.allowed_head,
        "allowedBy": one.allowed_by,
        "toldMs": one.told_ms,
    })
}
