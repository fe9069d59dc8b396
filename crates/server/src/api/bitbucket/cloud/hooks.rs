//! The webhooks of a repository in the 2.0 interface: its receivers of the format `bitbucket-cloud`
//! (push-payloads.md C.4).

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_domain::permission::Permission;
use madake_engine::EngineError;
use madake_engine::ops::keep_receiver::ShownReceiver;
use madake_engine::telling::{ReceiverSettings, receiver_of_hook};
use serde_json::Value;

use super::view::subscription;
use super::{Below, Repository, repository_name};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::api::bitbucket::body::Body;
use crate::api::bitbucket::paging::Asked;
use crate::api::bitbucket::receivers::{changed, of_profile, settings_of};
use crate::api::bitbucket::refused::Refused;
use crate::auth::Visitor;

/// The format of webhooks of Bitbucket Cloud.
const PROFILE: &str = "bitbucket-cloud";

/// `GET .../hooks`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let name = repository_name(&owner, &slug);
    let found = of_profile(&app, &visitor, &name, PROFILE).await?;
    let shown: Vec<Value> = found
        .iter()
        .map(|one| view(&app, one))
        .collect::<Result<_, _>>()?;
    let address = subscription::address(app.base_url(), &name);
    Ok(Json(
        Asked::cloud(&parameters).of(shown).cloud(&address, &parameters),
    ))
}

/// `POST .../hooks`
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let name = repository_name(&owner, &slug);
    app.engine()
        .repository_for(&visitor.caller, &name, Permission::Administration)
        .await?;
    let fields = body.object_with(&["url", "events"])?;
    let mut request = subscription::request(&fields, ReceiverSettings::default())?;
    request.profile = Some(PROFILE.into());
    let kept = app
        .engine()
        .create_receiver(&visitor.caller, &name, request)
        .await?;
    let shown = app.engine().receiver(&visitor.caller, kept.id).await?;
    Ok((StatusCode::CREATED, Json(view(&app, &shown)?)))
}

/// `GET .../hooks/{uid}`
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, id)): Below,
) -> Result<Json<Value>, Refused> {
    let found = one(&app, &visitor, &owner, &slug, &id).await?;
    Ok(Json(view(&app, &found)?))
}

/// `PUT .../hooks/{uid}`: what is not said stays as it is.
pub(super) async fn change(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, id)): Below,
    body: Body,
) -> Result<Json<Value>, Refused> {
    let found = one(&app, &visitor, &owner, &slug, &id).await?;
    let request = subscription::request(&body.object()?, settings_of(&found)?)?;
    let shown = changed(&app, &visitor, &found, request).await?;
    Ok(Json(view(&app, &shown)?))
}

/// `DELETE .../hooks/{uid}`
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

fn view(app: &App, shown: &ShownReceiver) -> Result<Value, Refused> {
    Ok(subscription::subscription(
        app.base_url(),
        shown,
        &settings_of(shown)?,
    ))
}

/// The id may stand in braces, as answers have it, or without them.
async fn one(
    app: &App,
    visitor: &Visitor,
    owner: &str,
    slug: &str,
    id: &str,
) -> Result<ShownReceiver, Refused> {
    let name = repository_name(owner, slug);
    let found = of_profile(app, visitor, &name, PROFILE).await?;
    let number = id
        .trim_start_matches('{')
        .trim_end_matches('}')
        .parse()
        .ok()
        .and_then(receiver_of_hook);
    found
        .into_iter()
        .find(|one| Some(one.receiver.id) == number)
        .ok_or_else(|| EngineError::NotFound(format!("{name} has no webhook of that id")).into())
}
