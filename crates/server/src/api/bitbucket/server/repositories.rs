//! Projects and repositories.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use madake_domain::permission::{Permission, Principal};
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_engine::ops::read_repository::ReadableRepository;
use madake_formats::outgoing::resource::server_repository;
use serde_json::Value;

use super::{Repository, readable};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::api::bitbucket::paging::Asked;
use crate::api::bitbucket::refused::Refused;
use crate::auth::Visitor;

/// The largest page.
const MOST: usize = 1000;

/// `GET /projects?name=`: those of repositories that the caller may read.
pub(super) async fn projects(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let mut shown: Vec<Value> = Vec::new();
    for one in all(&app, &visitor).await? {
        let project = project_of(&one);
        let is_wanted = parameters
            .text("name")
            .is_none_or(|text| holds(project["name"].as_str(), text));
        if is_wanted && shown.iter().all(|known| known["key"] != project["key"]) {
            shown.push(project);
        }
    }
    Ok(Json(Asked::server(&parameters, MOST).of(shown).server()))
}

/// `GET /projects/{key}`
pub(super) async fn project(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<Json<Value>, Refused> {
    let found = of_project(&app, &visitor, &key).await?;
    Ok(Json(found.first().map(project_of).unwrap_or_default()))
}

/// `GET /projects/{key}/repos`
pub(super) async fn of_one_project(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = of_project(&app, &visitor, &key).await?;
    let shown = found.iter().map(view).collect();
    Ok(Json(Asked::server(&parameters, MOST).of::<Value>(shown).server()))
}

/// `GET /repos?name=&projectname=&projectkey=`
pub(super) async fn search(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let mut shown: Vec<Value> = all(&app, &visitor).await?.iter().map(view).collect();
    shown.retain(|one| {
        let is = |name: &str, value: &Value| {
            parameters
                .text(name)
                .is_none_or(|text| holds(value.as_str(), text))
        };
        let key = parameters.text("projectkey");
        is("name", &one["name"])
            && is("projectname", &one["project"]["name"])
            && key.is_none_or(|key| {
                one["project"]["key"]
                    .as_str()
                    .is_some_and(|known| known.eq_ignore_ascii_case(key))
            })
    });
    Ok(Json(Asked::server(&parameters, MOST).of(shown).server()))
}

/// `GET /projects/{key}/repos/{slug}`
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
) -> Result<Json<Value>, Refused> {
    Ok(Json(view(&readable(&app, &visitor, &key, &slug).await?)))
}

fn view(one: &ReadableRepository) -> Value {
    let facts = one.facts();
    server_repository(&facts.server, &facts.repository)
}

fn project_of(one: &ReadableRepository) -> Value {
    view(one)["project"].take()
}

fn holds(text: Option<&str>, part: &str) -> bool {
    text.is_some_and(|text| text.to_lowercase().contains(&part.to_lowercase()))
}

async fn all(app: &App, visitor: &Visitor) -> Result<Vec<ReadableRepository>, Refused> {
    let found = app.engine().readable_repositories(&visitor.caller).await?;
    Ok(found
        .into_iter()
        .map(|one| one.with_ssh(app.ssh_address()))
        .collect())
}

/// Strangers are not told whether there is a project in which they may read nothing.
async fn of_project(app: &App, visitor: &Visitor, key: &str) -> Result<Vec<ReadableRepository>, Refused> {
    let mut found = all(app, visitor).await?;
    found.retain(|one| one.repository().owner.eq_ignore_ascii_case(key));
    if !found.is_empty() {
        return Ok(found);
    }
    if visitor.caller.principal == Principal::Anonymous {
        return Err(EngineError::Unauthenticated {
            needed: Permission::Read,
            subject: format!("project {}", inert(key, 100)),
        }
        .into());
    }
    Err(Refused::missing(
        "project.NoSuchProjectException",
        format!(
            "there is no project {} with a repository that you may read",
            inert(key, 100)
        ),
    ))
}
