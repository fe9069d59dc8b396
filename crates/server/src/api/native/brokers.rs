//! Types of brokers and their settings, and what a broker would send.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::{Path, State};
use madake_brokers::catalogue::FieldKind;
use madake_brokers::{BrokerType, CATALOGUE, EventKind, Preview, Takes};
use madake_engine::EngineError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, id, invalid};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /brokers`: every type with its settings.
pub(super) async fn types(_: Visitor) -> Answer<Value> {
    let rows: Vec<Value> = CATALOGUE.iter().map(|of| type_view(of)).collect();
    Answer(json!({ "brokers": rows }))
}

/// What is to be shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    broker: String,
    #[serde(default)]
    settings: BTreeMap<String, Value>,
    #[serde(default)]
    event: Option<String>,
}

/// `POST /brokers/preview`: what a broker of these settings would send for a made-up event.
pub(super) async fn preview(
    State(app): State<App>,
    _: Visitor,
    Json(wanted): Json<Wanted>,
) -> Result<Answer<Value>, Failure> {
    let event = event_kind(wanted.event.as_deref())?;
    let shown = app
        .engine()
        .preview_broker(&wanted.broker, &wanted.settings, event)?;
    Ok(Answer(previews_view(&shown)))
}

/// For which event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct For {
    #[serde(default)]
    event: Option<String>,
}

/// `POST /receivers/{id}/preview`: the same for a broker that there is.
pub(super) async fn preview_receiver(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
    Json(wanted): Json<For>,
) -> Result<Answer<Value>, Failure> {
    let event = event_kind(wanted.event.as_deref())?;
    let shown = app
        .engine()
        .preview_receiver(&visitor.caller, id(&number)?, event)
        .await?;
    Ok(Answer(previews_view(&shown)))
}

fn event_kind(text: Option<&str>) -> Result<EventKind, EngineError> {
    match text {
        None | Some("push") => Ok(EventKind::Push),
        Some("build") => Ok(EventKind::Build),
        Some(_) => Err(invalid("`event` is `push` or `build`")),
    }
}

fn previews_view(shown: &[Preview]) -> Value {
    let rows: Vec<Value> = shown.iter().map(preview_view).collect();
    json!({ "calls": rows })
}

fn preview_view(one: &Preview) -> Value {
    match one {
        Preview::Http(call) => json!({
            "type": "http",
            "method": call.method,
            "url": call.url,
            "headers": call.headers,
            "body": call.body,
        }),
        Preview::Mail(mail) => json!({
            "type": "mail",
            "to": mail.to,
            "replyTo": mail.reply_to,
            "subject": mail.subject,
            "text": mail.text,
            "patch": mail.patch.is_some(),
        }),
        Preview::Execute { program, stdin } => json!({
            "type": "program",
            "program": program,
            "stdin": stdin,
        }),
    }
}

fn type_view(of: &BrokerType) -> Value {
    let settings: Vec<Value> = of
        .all_fields()
        .map(|field| {
            let mut shown = json!({
                "name": field.name,
                "title": field.title(),
                "kind": kind_name(field.kind),
                "secret": field.kind.is_secret(),
                "required": field.required,
                "default": field.default,
                "help": field.help,
                "aliases": field.aliases,
            });
            match field.kind {
                FieldKind::Choice(words) => shown["choices"] = json!(words),
                FieldKind::Number(least, most) => {
                    shown["least"] = json!(least);
                    shown["most"] = json!(most);
                }
                _ => {}
            }
            shown
        })
        .collect();
    json!({
        "type": of.key,
        "title": of.title,
        "aliases": of.aliases,
        "description": of.description,
        "tellsBuilds": of.takes == Takes::PushesAndBuilds,
        "settings": settings,
    })
}

fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Secret => "secret",
        FieldKind::Url => "url",
        FieldKind::SecretUrl => "secret url",
        FieldKind::Bool => "true or false",
        FieldKind::Number(..) => "number",
        FieldKind::List => "list",
        FieldKind::Choice(_) => "choice",
        FieldKind::TemplateLine => "template of one line",
        FieldKind::Template => "template",
        FieldKind::NamedTemplates => "named templates",
    }
}
