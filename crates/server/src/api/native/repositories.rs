//! Repositories: hosted, attached, linked.

use std::path::PathBuf;

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use http::StatusCode;
use madake_domain::repository::RepositoryKind;
use madake_engine::ops::link_repository::LinkRepository;
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
    match new.scm.as_deref() {
        None | Some("git") => {}
        Some("hg") => {
            return Err(invalid(
                "hosting Mercurial repositories comes in a later version; Git is what can be hosted now",
            )
            .into());
        }
        Some(_) => return Err(invalid("`scm` is `git`").into()),
    }
    let branch = new.default_branch.as_deref().unwrap_or("main");
    let made = app
        .engine()
        .create_repository(&visitor.caller, &new.name, branch)
        .await?;
    Ok((StatusCode::CREATED, Answer(view(&app, &made))))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attach {
    name: String,
    path: PathBuf,
}

/// `POST /repositories/attach`: a bare repository of this machine that others push to.
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
    branch: Option<String>,
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
    let asked = LinkRepository {
        name: new.name,
        url: new.url,
        credential,
        default_branch: new.branch,
    };
    let made = app.engine().link_repository(&visitor.caller, asked).await?;
    Ok((StatusCode::CREATED, Answer(view(&app, &made))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCredential {
    name: String,
    username: String,
    password: String,
}

/// `PUT /repositories/credential`: another user name and password of a linked one.
pub(super) async fn set_credential(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<NewCredential>,
) -> Result<Answer<Value>, Failure> {
    let changed = app
        .engine()
        .set_credential(&visitor.caller, &new.name, &new.username, &new.password)
        .await?;
    Ok(Answer(view(&app, &changed)))
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

fn view(app: &App, one: &Repository) -> Value {
    let address = match one.kind {
        RepositoryKind::Linked => one.url.clone(),
        // Clone addresses are lower case, as Bitbucket Server writes them.
        RepositoryKind::Hosted | RepositoryKind::Attached => format!(
            "{}/scm/{}/{}.git",
            app.base_url(),
            one.owner.to_lowercase(),
            one.slug.to_lowercase()
        ),
    };
    let ssh_address = app
        .ssh_address()
        .filter(|_| one.kind != RepositoryKind::Linked)
        .map(|base| {
            format!(
                "{base}/{}/{}.git",
                one.owner.to_lowercase(),
                one.slug.to_lowercase()
            )
        });
    json!({
        "name": one.name,
        "kind": one.kind.as_str(),
        "scm": "git",
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
