//! The webhooks of a repository: its receivers of the format `bitbucket-dc` (push-payloads.md B.4).

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use madake_domain::permission::Permission;
use madake_engine::ops::keep_receiver::ShownReceiver;
use madake_engine::ops::test_address::AddressTest;
use madake_engine::ops::webhook_history::InvocationHistory;
use madake_engine::telling::ReceiverSettings;
use madake_store::delivery_history::Kind;
use serde_json::Value;

use super::view::{invocation, webhook};
use super::{Below, Repository, number, repository_name};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::api::bitbucket::body::{Body, text};
use crate::api::bitbucket::paging::Asked;
use crate::api::bitbucket::receivers::{changed, settings_of};
use crate::api::bitbucket::refused::Refused;
use crate::auth::Visitor;

/// The format of webhooks.
const PROFILE: &str = "bitbucket-dc";
/// What a 404 is called.
const MISSING: &str = "webhook.NoSuchWebhookException";

/// `GET .../webhooks?event=&statistics=true`, and `GET .../webhooks/search`.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = all(&app, &visitor, &key, &slug).await?;
    let wanted = parameters.list("event");
    let mut shown = Vec::new();
    for one in &found {
        let settings = settings_of(one)?;
        let events = webhook::events(&settings);
        if wanted.is_empty()
            || wanted
                .iter()
                .any(|event| events.iter().any(|known| known == event))
        {
            shown.push((one, webhook::webhook(one, &settings)));
        }
    }
    let mut part = Asked::server(&parameters, 1000).of(shown);
    if parameters.explicit_flag("statistics") {
        for (one, value) in &mut part.items {
            let history = app
                .engine()
                .invocation_history(&visitor.caller, one.receiver.id, Kind::Any)
                .await?;
            value["statistics"] = invocation::statistics(&history, one.receiver.repository_id);
        }
    }
    Ok(Json(part.map(|(_, value)| value).server()))
}

/// `POST .../webhooks`
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let name = repository_name(&key, &slug);
    allowed(&app, &visitor, &name).await?;
    let fields = body.object_with(&["name", "url", "events"])?;
    let mut request = webhook::request(&fields, ReceiverSettings::default())?;
    request.profile = Some(PROFILE.into());
    let kept = app
        .engine()
        .create_receiver(&visitor.caller, &name, request)
        .await?;
    let shown = app.engine().receiver(&visitor.caller, kept.id).await?;
    Ok((StatusCode::CREATED, Json(view(&shown)?)))
}

/// `GET .../webhooks/{id}?statistics=true`
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, id)): Below,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let one = one(&app, &visitor, &key, &slug, &id).await?;
    let mut shown = view(&one)?;
    if parameters.explicit_flag("statistics") {
        let history = app
            .engine()
            .invocation_history(&visitor.caller, one.receiver.id, Kind::Any)
            .await?;
        shown["statistics"] = invocation::statistics(&history, one.receiver.repository_id);
    }
    Ok(Json(shown))
}

/// `PUT .../webhooks/{id}`: what is not said stays as it is.
pub(super) async fn change(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, id)): Below,
    body: Body,
) -> Result<Json<Value>, Refused> {
    let current = one(&app, &visitor, &key, &slug, &id).await?;
    let request = webhook::request(&body.object()?, settings_of(&current)?)?;
    Ok(Json(view(&changed(&app, &visitor, &current, request).await?)?))
}

/// `DELETE .../webhooks/{id}`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, id)): Below,
    _body: Body,
) -> Result<StatusCode, Refused> {
    let current = one(&app, &visitor, &key, &slug, &id).await?;
    app.engine()
        .remove_receiver(&visitor.caller, current.receiver.id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST .../webhooks/test?url=&sslVerificationRequired=&webhookId=`: waits for the answer.
pub(super) async fn test(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Json<Value>, Refused> {
    let name = repository_name(&key, &slug);
    allowed(&app, &visitor, &name).await?;
    let parameters = Parameters::from_query(query.as_deref());
    let fields = body.object()?;
    let known = match parameters.text("webhookId") {
        Some(id) => Some(one(&app, &visitor, &key, &slug, id).await?),
        None => None,
    };
    let url = parameters
        .text("url")
        .or_else(|| known.as_ref().map(|known| known.receiver.url.as_str()))
        .ok_or_else(|| Refused::field("url", "url: it is missing"))?;
    let test = AddressTest {
        url: url.to_owned(),
        verify_tls: parameters.boolean("sslVerificationRequired").unwrap_or(true),
        credentials: text(&fields, "username")?.zip(text(&fields, "password")?),
        receiver_id: known.as_ref().map(|known| known.receiver.id),
    };
    let tested = app.engine().test_address(&visitor.caller, &name, test).await?;
    Ok(Json(invocation::tested(&tested)))
}

/// `GET .../webhooks/{id}/latest?event=&outcome=`; 204 when there is none.
pub(super) async fn latest(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, id)): Below,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let one = one(&app, &visitor, &key, &slug, &id).await?;
    let outcome =
        match parameters.text("outcome") {
            None => None,
            Some(name) => Some(invocation::outcome_named(name).ok_or_else(|| {
                Refused::field("outcome", "outcome: it is one of SUCCESS, FAILURE and ERROR")
            })?),
        };
    let found = app
        .engine()
        .newest_invocation(&visitor.caller, one.receiver.id, kind_of(&parameters), outcome)
        .await?;
    Ok(match found {
        Some(found) => {
            let shown = invocation::invocation(&found, one.receiver.repository_id, &one.receiver.url);
            Json(shown).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// `GET .../webhooks/{id}/statistics?event=`
pub(super) async fn statistics(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, id)): Below,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let one = one(&app, &visitor, &key, &slug, &id).await?;
    let history = app
        .engine()
        .invocation_history(&visitor.caller, one.receiver.id, kind_of(&parameters))
        .await?;
    Ok(Json(invocation::statistics(&history, one.receiver.repository_id)))
}

/// `GET .../webhooks/{id}/statistics/summary`; 204 when nothing was ever sent.
pub(super) async fn summary(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, id)): Below,
) -> Result<Response, Refused> {
    let one = one(&app, &visitor, &key, &slug, &id).await?;
    let history: InvocationHistory = app
        .engine()
        .invocation_history(&visitor.caller, one.receiver.id, Kind::Any)
        .await?;
    Ok(if history.newest.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Json(invocation::statistics(&history, one.receiver.repository_id)).into_response()
    })
}

fn kind_of(parameters: &Parameters) -> Kind {
    match parameters.text("event") {
        None => Kind::Any,
        Some("diagnostics:ping") => Kind::Pings,
        Some(_) => Kind::Pushes,
    }
}

fn view(shown: &ShownReceiver) -> Result<Value, Refused> {
    Ok(webhook::webhook(shown, &settings_of(shown)?))
}

async fn allowed(app: &App, visitor: &Visitor, name: &str) -> Result<(), Refused> {
    app.engine()
        .repository_for(&visitor.caller, name, Permission::Administration)
        .await?;
    Ok(())
}

async fn all(app: &App, visitor: &Visitor, key: &str, slug: &str) -> Result<Vec<ShownReceiver>, Refused> {
    let name = repository_name(key, slug);
    crate::api::bitbucket::receivers::of_profile(app, visitor, &name, PROFILE).await
}

async fn one(
    app: &App,
    visitor: &Visitor,
    key: &str,
    slug: &str,
    id: &str,
) -> Result<ShownReceiver, Refused> {
    let found = all(app, visitor, key, slug).await?;
    let number = number(id)?;
    found
        .into_iter()
        .find(|one| one.receiver.id == number)
        .ok_or_else(|| Refused::missing(MISSING, format!("{key}/{slug} has no webhook {number}")))
}
