//! Shared credentials: what they are, who may use them, where they are used. What they hold is never given.

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use http::StatusCode;
use madake_domain::credential::CredentialKind;
use madake_engine::EngineError;
use madake_engine::ops::keep_credential::{
    CredentialName, CredentialSecret, CredentialUser, KeepCredential, ShownCredential,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, invalid, parse, set_answer};
use super::plan_files;
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /credentials`: those that the caller may change or use.
pub(super) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Answer<Value>, Failure> {
    let all = app.engine().list_credentials(&visitor.caller).await?;
    let rows: Vec<Value> = all.iter().map(view).collect();
    Ok(Answer(json!({ "credentials": rows })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keep {
    name: String,
    project: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    username: String,
    password: Option<String>,
    key: Option<String>,
    passphrase: Option<String>,
    #[serde(default)]
    replace: bool,
}

/// `PUT /credentials`: adds one, or with `replace` gives one of this name another content.
pub(super) async fn keep(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Keep>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let kind = asked.kind.as_deref().map(parse::<CredentialKind>).transpose()?;
    let secret = match (kind, asked.password, asked.key, asked.passphrase) {
        (None | Some(CredentialKind::Password), Some(password), None, None) => {
            CredentialSecret::Password(password)
        }
        (None | Some(CredentialKind::SshKey), None, Some(key), passphrase) => {
            CredentialSecret::Key { key, passphrase }
        }
        _ => {
            return Err(invalid(
                "a credential of the kind `password` has a `password`, one of the kind `ssh-key` a `key` and perhaps its \
                 `passphrase`",
            )
            .into());
        }
    };
    let new = KeepCredential {
        name: CredentialName {
            project: asked.project,
            name: asked.name,
        },
        username: asked.username,
        secret,
        replace: asked.replace,
    };
    let kept = app.engine().keep_credential(&visitor.caller, new).await?;
    Ok(set_answer(
        view(&kept.shown),
        kept.warning.as_deref(),
        kept.is_new,
    ))
}

/// `DELETE /credentials?name=&project=&force=`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let name = CredentialName {
        project: parameters.text("project").map(str::to_owned),
        name: parameters
            .text("name")
            .ok_or_else(|| invalid("`name` says which credential"))?
            .to_owned(),
    };
    let force = parameters.text("force") == Some("true");
    app.engine()
        .remove_credential(&visitor.caller, name, force)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    name: String,
    project: Option<String>,
    to: String,
    grantee: String,
}

/// `POST /credentials/grant`
pub(super) async fn grant(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Change>,
) -> Result<Answer<Value>, Failure> {
    change(&app, &visitor, asked, true).await
}

/// `POST /credentials/revoke`
pub(super) async fn revoke(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Change>,
) -> Result<Answer<Value>, Failure> {
    change(&app, &visitor, asked, false).await
}

async fn change(
    app: &App,
    visitor: &Visitor,
    asked: Change,
    granting: bool,
) -> Result<Answer<Value>, Failure> {
    let to = grantee(&asked.to, asked.grantee)?;
    let name = CredentialName {
        project: asked.project,
        name: asked.name,
    };
    let granted = app
        .engine()
        .grant_credential(&visitor.caller, name, to, granting)
        .await?;
    let reread: Vec<Value> = granted.reread.iter().map(plan_files::view).collect();
    Ok(Answer(json!({ "changed": granted.changed, "reread": reread })))
}

/// Whom a word and a name mean.
pub(crate) fn grantee(to: &str, name: String) -> Result<CredentialUser, EngineError> {
    match to {
        "user" => Ok(CredentialUser::User(name)),
        "group" => Ok(CredentialUser::Group(name)),
        "project" => Ok(CredentialUser::Project(name)),
        "repository" => Ok(CredentialUser::Repository(name)),
        _ => Err(invalid("`to` is `repository`, `project`, `user` or `group`")),
    }
}

fn view(one: &ShownCredential) -> Value {
    let found = &one.credential;
    let grants: Vec<Value> = one
        .grants
        .iter()
        .map(|(to, name)| json!({ "to": to, "grantee": name }))
        .collect();
    json!({
        "id": found.id,
        "name": found.name,
        "project": found.project,
        "kind": found.kind.as_str(),
        "username": found.username,
        "fingerprint": (!found.fingerprint.is_empty()).then_some(&found.fingerprint),
        "mayChange": one.may_change,
        "grants": one.may_change.then_some(grants),
        "uses": one.may_change.then_some(&one.uses),
        "changedBy": one.may_change.then_some(&found.changed_by),
        "changedMs": found.changed_ms,
        "lastUsedMs": one.may_change.then_some(found.last_used_ms).flatten(),
        "lastUsedBy": one.may_change.then_some(found.last_used_by.as_ref()).flatten(),
    })
}
