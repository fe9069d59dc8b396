//! Permissions: who may do what with which thing.

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use madake_domain::permission::{Grantee, Permission, Scope};
use madake_engine::EngineError;
use madake_engine::ops::change_permission::Subject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, invalid, parse};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /permissions?scope=&key=`: what is granted on the thing itself.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let subject = subject(
        parameters.text("scope").unwrap_or("global"),
        parameters.text("key"),
    )?;
    let grants = app.engine().list_grants(&visitor.caller, subject).await?;
    let rows: Vec<Value> = grants
        .iter()
        .map(|grant| {
            let (to, name) = words(&grant.grantee);
            json!({ "to": to, "name": name, "permission": grant.permission.as_str() })
        })
        .collect();
    Ok(Answer(json!({ "permissions": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    scope: String,
    key: Option<String>,
    to: String,
    name: Option<String>,
    permissions: Vec<String>,
}

/// `POST /permissions/grant`
pub(super) async fn grant(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Change>,
) -> Result<Answer<Value>, Failure> {
    change(&app, &visitor, &asked, true).await
}

/// `POST /permissions/revoke`
pub(super) async fn revoke(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Change>,
) -> Result<Answer<Value>, Failure> {
    change(&app, &visitor, &asked, false).await
}

async fn change(
    app: &App,
    visitor: &Visitor,
    asked: &Change,
    granting: bool,
) -> Result<Answer<Value>, Failure> {
    let subject = subject(&asked.scope, asked.key.as_deref())?;
    let grantee = match (asked.to.as_str(), &asked.name) {
        ("user", Some(name)) => Grantee::User(name.clone()),
        ("group", Some(name)) => Grantee::Group(name.clone()),
        ("logged-in", None) => Grantee::LoggedIn,
        ("anonymous", None) => Grantee::Anonymous,
        ("repository", Some(name)) => Grantee::Repository(name.clone()),
        _ => {
            return Err(invalid(
                "`to` is `user`, `group` or `repository` with a `name`, or `logged-in` or `anonymous` without one",
            )
            .into());
        }
    };
    // All names are read before the first change.
    let permissions = asked
        .permissions
        .iter()
        .map(|name| parse::<Permission>(name))
        .collect::<Result<Vec<_>, _>>()?;
    if permissions.is_empty() {
        return Err(invalid("`permissions` names at least one permission").into());
    }
    let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
    for permission in permissions {
        let engine = app.engine();
        let (subject, grantee) = (subject.clone(), grantee.clone());
        let is_new = if granting {
            engine
                .grant(&visitor.caller, subject, grantee, permission)
                .await?
        } else {
            engine
                .revoke(&visitor.caller, subject, grantee, permission)
                .await?
        };
        if is_new { &mut changed } else { &mut unchanged }.push(permission.as_str());
    }
    Ok(Answer(json!({ "changed": changed, "unchanged": unchanged })))
}

fn subject(scope: &str, key: Option<&str>) -> Result<Subject, EngineError> {
    let found = [
        Scope::Global,
        Scope::Project,
        Scope::Plan,
        Scope::Repository,
        Scope::Deployment,
        Scope::Environment,
    ]
    .into_iter()
    .find(|known| known.as_str() == scope)
    .ok_or_else(|| {
        invalid("`scope` is `global`, `project`, `plan`, `repository`, `deployment` or `environment`")
    })?;
    let key = key.unwrap_or_default();
    if (found == Scope::Global) != key.is_empty() {
        return Err(invalid(
            "`key` names the project, plan, repository, deployment project or environment; the scope `global` has none",
        ));
    }
    Ok(Subject {
        scope: found,
        key: key.to_owned(),
    })
}

fn words(grantee: &Grantee) -> (&'static str, Option<&str>) {
    match grantee {
        Grantee::User(name) => ("user", Some(name)),
        Grantee::Group(name) => ("group", Some(name)),
        Grantee::LoggedIn => ("logged-in", None),
        Grantee::Anonymous => ("anonymous", None),
        Grantee::Repository(name) => ("repository", Some(name)),
    }
}
