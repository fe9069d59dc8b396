//! The services of a repository, of which there is one kind: POST, a receiver of the format `cloud-post`
//! (push-payloads.md C.3).

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use madake_domain::permission::Permission;
use madake_engine::EngineError;
use madake_engine::ops::keep_receiver::{ReceiverRequest, ShownReceiver};
use serde_json::Value;

use super::view::service;
use super::{Below, Repository, repository_name};
use crate::App;
use crate::api::bitbucket::body::Body;
use crate::api::bitbucket::receivers::{changed, of_profile};
use crate::api::bitbucket::refused::Refused;
use crate::auth::Visitor;

/// The format of the POST service.
const PROFILE: &str = "cloud-post";

/// `GET .../services`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
) -> Result<Json<Value>, Refused> {
    let found = of_profile(&app, &visitor, &repository_name(&owner, &slug), PROFILE).await?;
    Ok(Json(found.iter().map(service::service).collect()))
}

/// `POST .../services`: `type=post;URL=http://...`
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
    body: Body,
) -> Result<Json<Value>, Refused> {
    let name = repository_name(&owner, &slug);
    app.engine()
        .repository_for(&visitor.caller, &name, Permission::Administration)
        .await?;
    let asked = service::asked(&body.fields()?, true)?;
    let url = asked
        .url
        .ok_or_else(|| Refused::field("URL", "URL: the POST service needs an address"))?;
    let request = ReceiverRequest {
        profile: Some(PROFILE.into()),
        url: Some(url),
        ..ReceiverRequest::default()
    };
    let kept = app
        .engine()
        .create_receiver(&visitor.caller, &name, request)
        .await?;
    let shown = app.engine().receiver(&visitor.caller, kept.id).await?;
    Ok(Json(service::service(&shown)))
}

/// `GET .../services/{id}`: a list with one item, as the original answers.
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, id)): Below,
) -> Result<Json<Value>, Refused> {
    let found = one(&app, &visitor, &owner, &slug, &id).await?;
    Ok(Json(Value::Array(vec![service::service(&found)])))
}

/// `PUT .../services/{id}`: another address.
pub(super) async fn change(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, id)): Below,
    body: Body,
) -> Result<Json<Value>, Refused> {
    let found = one(&app, &visitor, &owner, &slug, &id).await?;
    let asked = service::asked(&body.fields()?, false)?;
    let request = ReceiverRequest {
        url: asked.url,
        ..ReceiverRequest::default()
    };
    let shown = changed(&app, &visitor, &found, request).await?;
    Ok(Json(service::service(&shown)))
}

/// `DELETE .../services/{id}`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, id)): Below,
    _body: Body,
) -> Result<StatusCode, Refused> {
    let found = one(&app, &visitor, &owner, &slug, &id).await?;
    app.engine()
        .remove_receiver(&visitor.caller, found.receiver.id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn one(
    app: &App,
    visitor: &Visitor,
    owner: &str,
    slug: &str,
    id: &str,
) -> Result<ShownReceiver, Refused> {
    let name = repository_name(owner, slug);
    let found = of_profile(app, visitor, &name, PROFILE).await?;
    found
        .into_iter()
        .find(|one| one.receiver.id.to_string() == id)
        .ok_or_else(|| EngineError::NotFound(format!("{name} has no service of that number")).into())
}
