//! Branches and tags.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use madake_domain::text::inert;
use madake_engine::ops::read_repository::NamedRef;
use serde_json::Value;

use super::view::refs;
use super::{Below, Repository, readable};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::api::bitbucket::paging::Asked;
use crate::api::bitbucket::refused::Refused;
use crate::auth::Visitor;

/// The largest page.
const MOST: usize = 1000;

/// `GET .../branches?filterText=&orderBy=&details=&boostMatches=`
pub(super) async fn branches(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &key, &slug).await?;
    let all = found.refs(false, is_by_time(&parameters)).await?;
    let default_branch = found.default_branch();
    let details = parameters.explicit_flag("details");
    let part = wanted(&parameters, all).map(|one| refs::branch(&one, &default_branch, details));
    Ok(Json(part.server()))
}

/// `GET .../branches/default`, and `.../default-branch` as later versions call it; 204 while nothing was pushed to it.
pub(super) async fn default_branch(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
) -> Result<Response, Refused> {
    let found = readable(&app, &visitor, &key, &slug).await?;
    let name = found.default_branch();
    let all = found.refs(false, false).await?;
    Ok(match all.iter().find(|one| one.full_name == name) {
        Some(one) => Json(refs::branch(one, &name, false)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// `GET .../tags?filterText=&orderBy=`
pub(super) async fn tags(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &key, &slug).await?;
    let all = found.refs(true, is_by_time(&parameters)).await?;
    Ok(Json(wanted(&parameters, all).map(|one| refs::tag(&one)).server()))
}

/// `GET .../tags/{name}`
pub(super) async fn tag(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, name)): Below,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &key, &slug).await?;
    let short = name.strip_prefix("refs/tags/").unwrap_or(&name);
    let all = found.refs(true, false).await?;
    let one = all.iter().find(|one| one.name == short);
    one.map(|one| Json(refs::tag(one))).ok_or_else(|| {
        Refused::missing(
            "repository.NoSuchTagException",
            format!("{key}/{slug} has no tag {}", inert(short, 200)),
        )
    })
}

fn is_by_time(parameters: &Parameters) -> bool {
    parameters
        .text("orderBy")
        .is_some_and(|order| order.eq_ignore_ascii_case("MODIFICATION"))
}

fn wanted(parameters: &Parameters, all: Vec<NamedRef>) -> crate::api::bitbucket::paging::Part<NamedRef> {
    let boost = parameters.explicit_flag("boostMatches");
    let filtered = refs::filtered(all, parameters.text("filterText"), boost);
    Asked::server(parameters, MOST).of(filtered)
}
