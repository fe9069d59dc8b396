//! Repositories, commits, branches and tags of the 2.0 interface.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use madake_domain::permission::{Permission, Principal};
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_engine::ops::read_repository::{ReadableRepository, WantedLog};
use serde_json::Value;

use super::view::repository as view;
use super::{Below, Repository, readable};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::api::bitbucket::paging::Asked;
use crate::api::bitbucket::refused::Refused;
use crate::auth::Visitor;

/// `GET /repositories/{owner}`
pub(super) async fn of_owner(
    State(app): State<App>,
    visitor: Visitor,
    Path(owner): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let mut found = app.engine().readable_repositories(&visitor.caller).await?;
    found.retain(|one| one.repository().owner.eq_ignore_ascii_case(&owner));
    if found.is_empty() {
        let subject = format!("project {}", inert(&owner, 100));
        return Err(match visitor.caller.principal {
            Principal::Anonymous => EngineError::Unauthenticated {
                needed: Permission::Read,
                subject,
            },
            _ => EngineError::NotFound(format!(
                "there is no {subject} with a repository that you may read"
            )),
        }
        .into());
    }
    let shown = found
        .into_iter()
        .map(|one| view::repository(one.with_ssh(app.ssh_address()).facts()))
        .collect();
    let address = format!("{}/api/2.0/repositories/{owner}", app.base_url());
    let part = Asked::cloud(&parameters).of::<Value>(shown);
    Ok(Json(part.cloud(&address, &parameters)))
}

/// `GET /repositories/{owner}/{slug}`
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    Ok(Json(view::repository(found.facts())))
}

/// `GET .../commits?include=&exclude=&path=`: of the default branch, or of what is included.
pub(super) async fn commits(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &owner, &slug).await?;
    history(&found, parameters.text("include"), "/commits", &parameters).await
}

/// `GET .../commits/{revision}`
pub(super) async fn commits_of(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, revision)): Below,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &owner, &slug).await?;
    history(
        &found,
        Some(&revision),
        &format!("/commits/{revision}"),
        &parameters,
    )
    .await
}

/// `GET .../commit/{revision}`
pub(super) async fn commit(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, revision)): Below,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    let revision = found.revision(Some(&revision)).await?;
    let facts = found.commit(&revision.id).await?;
    Ok(Json(view::commit(&facts, 0).unwrap_or_default()))
}

/// `GET .../refs?q=`: branches and tags.
pub(super) async fn refs(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    listed(&found, &[false, true], "/refs", query.as_deref()).await
}

/// `GET .../refs/branches`
pub(super) async fn branches(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    listed(&found, &[false], "/refs/branches", query.as_deref()).await
}

/// `GET .../refs/tags`
pub(super) async fn tags(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    listed(&found, &[true], "/refs/tags", query.as_deref()).await
}

/// `GET .../refs/branches/{name}`
pub(super) async fn branch(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, name)): Below,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    one(&found, false, &name).await
}

/// `GET .../refs/tags/{name}`
pub(super) async fn tag(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, name)): Below,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    one(&found, true, &name).await
}

async fn history(
    found: &ReadableRepository,
    revision: Option<&str>,
    below: &str,
    parameters: &Parameters,
) -> Result<Json<Value>, Refused> {
    let asked = Asked::cloud(parameters);
    let address = view::address(found, below);
    let until = match found.revision(revision).await {
        Ok(until) => until,
        // An empty repository has an empty history.
        Err(EngineError::NotFound(_)) if revision.is_none() => {
            return Ok(Json(asked.of::<Value>(Vec::new()).cloud(&address, parameters)));
        }
        Err(error) => return Err(error.into()),
    };
    let since = match parameters.text("exclude") {
        Some(text) => Some(found.revision(Some(text)).await?.id),
        None => None,
    };
    let wanted = WantedLog {
        since,
        path: parameters.text("path").map(str::to_owned),
        skip: asked.start,
        limit: asked.limit,
        ..WantedLog::default()
    };
    let (facts, more) = found.log(&until.id, &wanted).await?;
    let shown = (0..facts.commits.len())
        .filter_map(|place| view::commit(&facts, place))
        .collect();
    let mut part = asked.read::<Value>(shown);
    part.is_last = !more;
    Ok(Json(part.cloud(&address, parameters)))
}

async fn listed(
    found: &ReadableRepository,
    kinds: &[bool],
    below: &str,
    query: Option<&str>,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query);
    let mut all = Vec::new();
    for tags in kinds {
        all.extend(found.refs(*tags, false).await?);
    }
    let part = Asked::cloud(&parameters).of(all);
    let facts = found.tips(&part.items).await?;
    let mut shown = view::refs(&facts).into_iter();
    let part = part.map(|_| shown.next().unwrap_or_default());
    Ok(Json(part.cloud(&view::address(found, below), &parameters)))
}

async fn one(found: &ReadableRepository, is_tag: bool, name: &str) -> Result<Json<Value>, Refused> {
    let all = found.refs(is_tag, false).await?;
    let wanted: Vec<_> = all.into_iter().filter(|one| one.name == name).collect();
    let facts = found.tips(&wanted).await?;
    let shown = view::refs(&facts).into_iter().next();
    shown.map(Json).ok_or_else(|| {
        let kind = if is_tag { "tag" } else { "branch" };
        EngineError::NotFound(format!("there is no {kind} {}", inert(name, 200))).into()
    })
}
