//! Repositories: hosted, attached, linked.

use std::path::PathBuf;

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use http::StatusCode;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_engine::EngineError;
use madake_engine::ops::edit_repository::{RepositoryDetails, RepositoryEdit};
use madake_engine::ops::link_repository::LinkRepository;
use madake_engine::order::served_url;
use madake_store::repository::Repository;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, invalid};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /repositories`: those that the caller may read.
pub(super) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Answer<Value>, Failure> {
    let found = app.engine().list_repositories(&visitor.caller).await?;
    let rows: Vec<Value> = found.iter().map(|one| view(&app, one)).collect();
    Ok(Answer(json!({ "repositories": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Create {
    name: String,
    default_branch: Option<String>,
    scm: Option<String>,
}

/// `POST /repositories`: makes a hosted one.
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Create>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let scm = scm(new.scm.as_deref())?.unwrap_or(Scm::Git);
    let made = app
        .engine()
        .create_repository(&visitor.caller, &new.name, scm, new.default_branch.as_deref())
        .await?;
    Ok((StatusCode::CREATED, Answer(view(&app, &made))))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attach {
    name: String,
    path: PathBuf,
}

/// `POST /repositories/attach`: a repository of this machine, a bare one of Git, that others push to.
pub(super) async fn attach(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Attach>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let made = app
        .engine()
        .attach_repository(&visitor.caller, &new.name, &new.path)
        .await?;
    Ok((StatusCode::CREATED, Answer(view(&app, &made))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    name: String,
    url: String,
    username: Option<String>,
    password: Option<String>,
    credential: Option<String>,
    branch: Option<String>,
    scm: Option<String>,
}

/// `POST /repositories/link`: one that lives elsewhere.
pub(super) async fn link(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Link>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let credential = match (new.username, new.password) {
        (None, None) => None,
        (Some(username), Some(password)) => Some((username, password)),
        _ => return Err(invalid("`username` and `password` go together").into()),
    };
    if credential.is_some() && new.credential.is_some() {
        return Err(invalid("give `credential`, or `username` and `password`").into());
    }
    let asked = LinkRepository {
        name: new.name,
        url: new.url,
        scm: scm(new.scm.as_deref())?,
        credential,
        shared: new.credential,
        default_branch: new.branch,
    };
    let made = app.engine().link_repository(&visitor.caller, asked).await?;
    Ok((StatusCode::CREATED, Answer(view(&app, &made))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCredential {
    name: String,
    username: Option<String>,
    password: Option<String>,
    credential: Option<String>,
}

/// `PUT /repositories/credential`: another user name and password of a linked one, or those of a shared credential.
pub(super) async fn set_credential(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<NewCredential>,
) -> Result<Answer<Value>, Failure> {
    let (engine, caller) = (app.engine(), &visitor.caller);
    let changed = match (&new.credential, &new.username, &new.password) {
        (Some(shared), None, None) => engine.set_shared_credential(caller, &new.name, shared).await?,
        (None, Some(username), Some(password)) => {
            engine
                .set_credential(caller, &new.name, username, password)
                .await?
        }
        _ => return Err(invalid("give `credential`, or `username` and `password`").into()),
    };
    Ok(Answer(view(&app, &changed)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Rename {
    name: String,
    new_name: String,
}

/// `PUT /repositories/name`: another name for a hosted or attached one.
pub(super) async fn rename(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Rename>,
) -> Result<Answer<Value>, Failure> {
    let renamed = app
        .engine()
        .rename_repository(&visitor.caller, &asked.name, &asked.new_name)
        .await?;
    Ok(Answer(view(&app, &renamed)))
}

/// `DELETE /repositories?name=`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let name = parameters
        .text("name")
        .ok_or_else(|| invalid("`name` names the repository"))?;
    let removed = app.engine().remove_repository(&visitor.caller, name).await?;
    Ok(Answer(json!({
        "name": removed.name,
        "trash": removed.trash,
        "note": removed.note,
    })))
}

fn scm(given: Option<&str>) -> Result<Option<Scm>, EngineError> {
    let parsed = given.map(str::parse).transpose();
    parsed.map_err(|reason: String| invalid(format!("`scm`: {reason}")))
}

/// `GET /repositories/attributes?name=`: one of them, and how it stands.
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let name = parameters
        .text("name")
        .ok_or_else(|| invalid("`name` names the repository"))?;
    let found = app.engine().repository_details(&visitor.caller, name).await?;
    Ok(Answer(details(&app, &found)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Edit {
    name: String,
    description: Option<String>,
    default_branch: Option<String>,
}

/// `PUT /repositories/attributes`: another description, another default branch; what is not named stays.
pub(super) async fn edit(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Edit>,
) -> Result<Answer<Value>, Failure> {
    let edit = RepositoryEdit {
        description: asked.description,
        default_branch: asked.default_branch,
    };
    let found = app
        .engine()
        .edit_repository(&visitor.caller, &asked.name, edit)
        .await?;
    Ok(Answer(details(&app, &found)))
}

fn details(app: &App, found: &RepositoryDetails) -> Value {
    let mut shown = view(app, &found.repository);
    shown["description"] = json!(found.description);
    shown["sizeBytes"] = json!(found.size_bytes);
    shown["createdMs"] = json!(found.created_ms);
    shown["lastPushMs"] = json!(found.last_push_ms);
    shown["lastPusher"] = json!(found.last_pusher);
    shown
}

fn view(app: &App, one: &Repository) -> Value {
    let address = match one.kind {
        RepositoryKind::Linked => one.url.clone(),
        RepositoryKind::Hosted | RepositoryKind::Attached => served_url(app.base_url(), one),
    };
    let ssh_address = app
        .ssh_address()
        .filter(|_| one.kind != RepositoryKind::Linked)
        .map(|base| {
            let (owner, slug) = (one.owner.to_lowercase(), one.slug.to_lowercase());
            match one.scm {
                Scm::Git => format!("{base}/{owner}/{slug}.git"),
                // Each system's people expect its name; the key says who comes.
                Scm::Hg => format!("{}/{owner}/{slug}", base.replacen("ssh://git@", "ssh://hg@", 1)),
            }
        });
    json!({
        "name": one.name,
        "kind": one.kind.as_str(),
        "scm": one.scm.as_str(),
        "defaultBranch": one.default_branch,
        "cloneUrl": address,
        "sshUrl": ssh_address,
        "path": (one.kind == RepositoryKind::Attached).then_some(&one.path),
        "hookInstalled": one.hook_installed,
        "pushesKnown": one.pushes_known(),
        "lastCheckedMs": one.last_checked_ms,
        "problem": one.problem,
    })
}
