//! Deployment projects, environments and releases that people make, change and remove over REST.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use madake_domain::key::{EntityKey, PlanKey};
use madake_domain::permission::Permission;
use madake_engine::deploying::edit::{AskedEnvironment, AskedProject};
use madake_engine::deploying::{rights, show};
use serde::Deserialize;

use super::super::super::error::ApiError;
use super::super::super::node::{Document, Node};
use super::super::{load, refuse};
use super::{JsonBody, id, shape};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// What a project is to be (bamboo-rest.md 9). What is not named stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ProjectBody {
    name: Option<String>,
    description: Option<String>,
    plan_key: Option<Key>,
    public_access: bool,
}

/// `{"key":"PROJ-PLAN"}`
#[derive(Debug, Deserialize)]
struct Key {
    key: String,
}

/// What an environment is to be.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EnvironmentBody {
    name: Option<String>,
    description: Option<String>,
}

impl ProjectBody {
    /// `None`: what is named as the plan is none.
    fn asked(self) -> Option<AskedProject> {
        let plan: Option<PlanKey> = match self.plan_key.map(|key| key.key.parse()) {
            None => None,
            Some(Ok(EntityKey::Plan(key))) => Some(key),
            Some(_) => return None,
        };
        Some(AskedProject {
            name: self.name,
            description: self.description,
            plan,
            public: self.public_access,
        })
    }
}

fn no_plan() -> Failure {
    refuse(ApiError::invalid("Please provide a valid plan key"))
}

impl From<EnvironmentBody> for AskedEnvironment {
    fn from(body: EnvironmentBody) -> Self {
        Self {
            name: body.name,
            description: body.description,
        }
    }
}

/// The answer is JSON whatever was asked for: so was the question.
pub(super) fn json(name: &'static str, body: impl Into<Node>) -> Response {
    let headers = [(http::header::CONTENT_TYPE, "application/json;charset=UTF-8")];
    (StatusCode::OK, headers, Document::new(name, body).to_json()).into_response()
}

async fn project(app: &App, visitor: &Visitor, wanted: i64) -> Result<Response, Failure> {
    let found = load::read(app, visitor, move |loader| {
        show::project(loader.tx, &loader.caller, wanted)
    })
    .await?;
    Ok(json("deploymentProject", shape::project(&found)))
}

async fn environment(app: &App, visitor: &Visitor, wanted: i64) -> Result<Response, Failure> {
    let (_, found) = load::read(app, visitor, move |loader| {
        show::environment(loader.tx, &loader.caller, wanted)
    })
    .await?;
    Ok(json("environment", shape::environment(&found)))
}

/// Strangers are refused before anything is said of their body.
async fn may_change(app: &App, visitor: &Visitor, wanted: i64) -> Result<(), Failure> {
    let caller = visitor.caller.clone();
    app.engine()
        .store()
        .read(move |tx| rights::deployment_for(tx, &caller, wanted, Permission::Write).map(|_| ()))
        .await?;
    Ok(())
}

/// `PUT /deploy/project`, and POST: makes a project that no plan file describes.
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    JsonBody(body): JsonBody<ProjectBody>,
) -> Result<Response, Failure> {
    if !visitor.caller.principal.is_logged_in() {
        return Err(madake_engine::EngineError::Unauthenticated {
            needed: Permission::Create,
            subject: "deployment projects".to_owned(),
        }
        .into());
    }
    let made = app
        .engine()
        .create_deployment(&visitor.caller, body?.asked().ok_or_else(no_plan)?)
        .await?;
    project(&app, &visitor, made).await
}

/// `POST /deploy/project/{id}`, and PUT.
pub(super) async fn update(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<ProjectBody>,
) -> Result<Response, Failure> {
    let wanted = id(&text);
    may_change(&app, &visitor, wanted).await?;
    app.engine()
        .update_deployment(&visitor.caller, wanted, body?.asked().ok_or_else(no_plan)?)
        .await?;
    project(&app, &visitor, wanted).await
}

/// `POST /deploy/project/{id}/environment`
pub(super) async fn create_environment(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<EnvironmentBody>,
) -> Result<Response, Failure> {
    let wanted = id(&text);
    may_change(&app, &visitor, wanted).await?;
    let made = app
        .engine()
        .create_environment(&visitor.caller, wanted, body?.into())
        .await?;
    environment(&app, &visitor, made).await
}

/// `PUT /deploy/environment/{id}`
pub(super) async fn update_environment(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<EnvironmentBody>,
) -> Result<Response, Failure> {
    let (wanted, caller) = (id(&text), visitor.caller.clone());
    app.engine()
        .store()
        .read(move |tx| rights::environment_for(tx, &caller, wanted, Permission::Write).map(|_| ()))
        .await?;
    app.engine()
        .update_environment(&visitor.caller, wanted, body?.into())
        .await?;
    environment(&app, &visitor, wanted).await
}

/// `DELETE /deploy/environment/{id}`
pub(super) async fn remove_environment(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<StatusCode, Failure> {
    app.engine()
        .remove_environment(&visitor.caller, id(&text))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /deploy/version/{id}`: a release that was never deployed.
pub(super) async fn remove_release(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<StatusCode, Failure> {
    app.engine().remove_release(&visitor.caller, id(&text)).await?;
    Ok(StatusCode::NO_CONTENT)
}
