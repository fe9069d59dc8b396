//! Variables that people set: `/rest/admin/latest/globalVariables`, and those of projects and plans (bamboo-rest.md 2, 3.3, 10).

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_engine::ops::keep_variable::NewVariable;
use madake_store::variable::{StoredVariable, VariableScope};

use super::super::answer::Answer;
use super::super::error::ApiError;
use super::super::render::{self, SetVariableView};
use super::asked::Asked;
use super::fields::Fields;
use super::refuse;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /rest/admin/latest/globalVariables`
pub(super) async fn globals(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let all = app
        .engine()
        .list_variables(&visitor.caller, VariableScope::Global)
        .await?;
    let views: Vec<SetVariableView> = all.iter().map(|one| view(&app, one)).collect();
    let total = views.len();
    let window = asked.window("globalVariables", "globalVariable", total);
    let href = format!("{}/rest/admin/latest/globalVariables", app.base_url());
    Ok(asked.ok(render::global_variables(
        &window.page,
        &window.cut(views),
        total,
        href,
    )))
}

/// `GET /rest/admin/latest/globalVariables/{id}`
pub(super) async fn global(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let found = by_id(&app, &visitor, &id).await?;
    Ok(asked.ok(render::global_variable(&view(&app, &found))))
}

/// `POST /rest/admin/latest/globalVariables`: 201.
pub(super) async fn make_global(
    State(app): State<App>,
    visitor: Visitor,
    asked: AskedBody,
) -> Result<Response, Failure> {
    let AskedBody(asked, fields) = asked;
    let all = app
        .engine()
        .list_variables(&visitor.caller, VariableScope::Global)
        .await?;
    let name = fields.need("name")?;
    if all.iter().any(|one| one.name == name) {
        let name = inert(name, 80);
        return Err(refuse(ApiError::invalid(format!(
            "A global variable named {name} exists already."
        ))));
    }
    let set = set(&app, &visitor, VariableScope::Global, name, &fields).await?;
    let document = render::global_variable(&view(&app, &set));
    Ok(Answer::with_status(StatusCode::CREATED, document, asked.format).into_response())
}

/// `PUT /rest/admin/latest/globalVariables/{id}`: another value.
pub(super) async fn change_global(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: AskedBody,
) -> Result<Response, Failure> {
    let AskedBody(asked, fields) = asked;
    let found = by_id(&app, &visitor, &id).await?;
    let set = set(&app, &visitor, VariableScope::Global, &found.name, &fields).await?;
    Ok(asked.ok(render::global_variable(&view(&app, &set))))
}

/// `DELETE /rest/admin/latest/globalVariables/{id}`: 204.
pub(super) async fn remove_global(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let found = by_id(&app, &visitor, &id).await?;
    app.engine()
        .remove_variable(&visitor.caller, VariableScope::Global, &found.name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /project/{key}/variables`: a bare list.
pub(super) async fn of_project(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let scope = VariableScope::Project(key.to_uppercase());
    let all = app.engine().list_variables(&visitor.caller, scope).await?;
    let views: Vec<SetVariableView> = all.iter().map(|one| view(&app, one)).collect();
    Ok(asked.ok(render::set_variables(&views)))
}

/// `GET /project/{key}/variable/{name}`
pub(super) async fn single_of_project(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    let scope = VariableScope::Project(key.to_uppercase());
    let all = app.engine().list_variables(&visitor.caller, scope).await?;
    let found = all.iter().find(|one| one.name == name);
    let found = found.ok_or_else(|| missing(&name))?;
    Ok(asked.ok(render::set_variable(&view(&app, found))))
}

/// `POST /project/{key}/variable`: 201.
pub(super) async fn make_of_project(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: AskedBody,
) -> Result<Response, Failure> {
    let scope = VariableScope::Project(key.to_uppercase());
    make(&app, &visitor, scope, &asked).await
}

/// `PUT /project/{key}/variable/{name}`
pub(super) async fn change_of_project(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
    asked: AskedBody,
) -> Result<Response, Failure> {
    let scope = VariableScope::Project(key.to_uppercase());
    change(&app, &visitor, scope, &name, &asked).await
}

/// `DELETE /project/{key}/variable/{name}`: 204.
pub(super) async fn remove_of_project(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let scope = VariableScope::Project(key.to_uppercase());
    app.engine()
        .remove_variable(&visitor.caller, scope, &name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /plan/{key}/variables`: 201. Where the plan file names the variable, the file's value counts, unless it is empty
/// or another server's secret.
pub(super) async fn make_of_plan(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: AskedBody,
) -> Result<Response, Failure> {
    let scope = VariableScope::Plan(key.to_uppercase());
    make(&app, &visitor, scope, &asked).await
}

/// `PUT /plan/{key}/variables/{name}`
pub(super) async fn change_of_plan(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
    asked: AskedBody,
) -> Result<Response, Failure> {
    let scope = VariableScope::Plan(key.to_uppercase());
    change(&app, &visitor, scope, &name, &asked).await
}

/// `DELETE /plan/{key}/variables/{name}`: 204.
pub(super) async fn remove_of_plan(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let scope = VariableScope::Plan(key.to_uppercase());
    app.engine()
        .remove_variable(&visitor.caller, scope, &name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is asked for in the query, and the texts of the body.
pub(super) struct AskedBody(Asked, Fields);

impl<S: Send + Sync> axum::extract::FromRequest<S> for AskedBody {
    type Rejection = Failure;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Failure> {
        let asked = Asked::of(&request);
        Ok(Self(asked, Fields::from_request(request, state).await?))
    }
}

async fn make(
    app: &App,
    visitor: &Visitor,
    scope: VariableScope,
    asked: &AskedBody,
) -> Result<Response, Failure> {
    let AskedBody(asked, fields) = asked;
    let name = fields.need("name")?;
    let set = set(app, visitor, scope, name, fields).await?;
    let document = render::set_variable(&view(app, &set));
    Ok(Answer::with_status(StatusCode::CREATED, document, asked.format).into_response())
}

async fn change(
    app: &App,
    visitor: &Visitor,
    scope: VariableScope,
    name: &str,
    asked: &AskedBody,
) -> Result<Response, Failure> {
    let AskedBody(asked, fields) = asked;
    let set = set(app, visitor, scope, name, fields).await?;
    Ok(asked.ok(render::set_variable(&view(app, &set))))
}

async fn set(
    app: &App,
    visitor: &Visitor,
    scope: VariableScope,
    name: &str,
    fields: &Fields,
) -> Result<StoredVariable, Failure> {
    let secret = fields.get("encrypted").or_else(|| fields.get("secret"));
    let new = NewVariable {
        for_coming_plan: false,
        name: name.to_owned(),
        value: fields.need("value")?.to_owned(),
        secret: secret.map(|text| text.eq_ignore_ascii_case("true")),
    };
    Ok(app
        .engine()
        .set_variable(&visitor.caller, scope, new)
        .await?
        .variable)
}

async fn by_id(app: &App, visitor: &Visitor, id: &str) -> Result<StoredVariable, Failure> {
    let all = app
        .engine()
        .list_variables(&visitor.caller, VariableScope::Global)
        .await?;
    let found = all.into_iter().find(|one| one.id.to_string() == id);
    found.ok_or_else(|| missing(id))
}

fn missing(name: &str) -> Failure {
    EngineError::NotFound(format!("Variable {} not found.", inert(name, 80))).into()
}

fn view(app: &App, one: &StoredVariable) -> SetVariableView {
    use madake_store::variable::StoredValue;
    SetVariableView {
        id: one.id,
        name: one.name.clone(),
        value: match &one.value {
            StoredValue::Plain(text) => Some(text.clone()),
            StoredValue::Sealed(_) => None,
        },
        href: format!("{}/rest/admin/latest/globalVariables/{}", app.base_url(), one.id),
    }
}
