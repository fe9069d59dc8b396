//! The settings of repository hooks, of which there is one: Post-Receive Webhooks (push-payloads.md A.1).

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_domain::permission::Permission;
use madake_domain::text::inert;
use madake_engine::ops::post_receive_hook::PostReceiveHook;
use serde_json::{Map, Value};

use super::view::hook;
use super::{Below, POST_RECEIVE_HOOK, Repository, repository_name};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::api::bitbucket::body::Body;
use crate::api::bitbucket::paging::Asked;
use crate::api::bitbucket::refused::Refused;
use crate::auth::Visitor;

/// The largest settings, in bytes (push-payloads.md A.1).
const LARGEST_SETTINGS: usize = 32 * 1024;

/// `GET .../settings/hooks?type=`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = state(&app, &visitor, &key, &slug, Permission::Read).await?;
    let mut hooks = vec![hook::hook(&found)];
    hooks.retain(|_| {
        parameters
            .text("type")
            .is_none_or(|kind| kind.eq_ignore_ascii_case(hook::TYPE))
    });
    Ok(Json(Asked::server(&parameters, 1000).of(hooks).server()))
}

/// `GET .../settings/hooks/{hookKey}`
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, hook_key)): Below,
) -> Result<Json<Value>, Refused> {
    let found = state(&app, &visitor, &key, &slug, Permission::Read).await?;
    known(&hook_key)?;
    Ok(Json(hook::hook(&found)))
}

/// `PUT .../settings/hooks/{hookKey}/enabled`: a body is the settings.
pub(super) async fn enable(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, hook_key)): Below,
    body: Body,
) -> Result<Json<Value>, Refused> {
    state(&app, &visitor, &key, &slug, Permission::Administration).await?;
    known(&hook_key)?;
    let fields = settings_of(&body)?;
    let urls = if fields.is_empty() {
        None
    } else {
        Some(hook::urls(&fields)?)
    };
    let name = repository_name(&key, &slug);
    let found = app
        .engine()
        .enable_post_receive_hook(&visitor.caller, &name, true, urls)
        .await?;
    Ok(Json(hook::hook(&found)))
}

/// `DELETE .../settings/hooks/{hookKey}/enabled`: the settings stay.
pub(super) async fn disable(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, hook_key)): Below,
    _body: Body,
) -> Result<Json<Value>, Refused> {
    state(&app, &visitor, &key, &slug, Permission::Administration).await?;
    known(&hook_key)?;
    let name = repository_name(&key, &slug);
    let found = app
        .engine()
        .enable_post_receive_hook(&visitor.caller, &name, false, None)
        .await?;
    Ok(Json(hook::hook(&found)))
}

/// `GET .../settings/hooks/{hookKey}/settings`
pub(super) async fn settings(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, hook_key)): Below,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let found = state(&app, &visitor, &key, &slug, Permission::Administration).await?;
    known(&hook_key)?;
    Ok((StatusCode::OK, Json(hook::settings(&found))))
}

/// `PUT .../settings/hooks/{hookKey}/settings`: these addresses and no others.
pub(super) async fn set_settings(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, hook_key)): Below,
    body: Body,
) -> Result<Json<Value>, Refused> {
    state(&app, &visitor, &key, &slug, Permission::Administration).await?;
    known(&hook_key)?;
    let urls = hook::urls(&settings_of(&body)?)?;
    let name = repository_name(&key, &slug);
    let found = app
        .engine()
        .set_post_receive_urls(&visitor.caller, &name, urls)
        .await?;
    Ok(Json(hook::settings(&found)))
}

async fn state(
    app: &App,
    visitor: &Visitor,
    key: &str,
    slug: &str,
    needed: Permission,
) -> Result<PostReceiveHook, Refused> {
    let name = repository_name(key, slug);
    Ok(app
        .engine()
        .post_receive_hook(&visitor.caller, &name, needed)
        .await?)
}

fn known(hook_key: &str) -> Result<(), Refused> {
    if hook_key == POST_RECEIVE_HOOK {
        return Ok(());
    }
    Err(Refused::missing(
        "hook.repository.NoSuchRepositoryHookException",
        format!(
            "there is no hook {}; there is {POST_RECEIVE_HOOK}",
            inert(hook_key, 200)
        ),
    ))
}

fn settings_of(body: &Body) -> Result<Map<String, Value>, Refused> {
    if body.len() > LARGEST_SETTINGS {
        return Err(Refused::field(
            "settings",
            format!("settings: they have more than {LARGEST_SETTINGS} bytes"),
        ));
    }
    body.object()
}
