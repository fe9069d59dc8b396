//! Releases, which Bamboo's REST API calls versions.

use axum::extract::{Path, State};
use axum::response::Response;
use madake_domain::deployment::ReleaseStatus;
use madake_domain::permission::Permission;
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_engine::deploying::create_release::{AskedRelease, ReleaseError};
use madake_engine::deploying::{rights, show};
use madake_store::deployment_release;
use serde::Deserialize;

use super::super::super::error::ApiError;
use super::super::super::link::Links;
use super::super::super::node::{Document, List, Object};
use super::super::super::paging::{MAX_SIZE, Page};
use super::super::asked::Asked;
use super::super::{load, refuse};
use super::edit::json;
use super::shape::Shapes;
use super::{JsonBody, id};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /deploy/project/{id}/versions`: newest first.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let page = Page::from_parameters(&asked.parameters, MAX_SIZE);
    let (wanted, start, limit) = (
        id(&text),
        i64::try_from(page.start).unwrap_or(i64::MAX),
        i64::try_from(page.size).unwrap_or(i64::MAX),
    );
    let branch = asked.parameters.text("branchKey").map(str::to_owned);
    let links = asked.context(&app).links;
    let (releases, total) = load::read(&app, &visitor, move |loader| {
        let found = rights::deployment_for(loader.tx, &loader.caller, wanted, Permission::Read)?;
        let branch = branch.as_deref();
        let (releases, total) = deployment_release::of_project(loader.tx, found.id, branch, start, limit)?;
        let mut shapes = Shapes::new(loader, &links);
        let shaped: Result<Vec<_>, _> = releases.iter().map(|one| shapes.release(one)).collect();
        Ok((shaped?, total))
    })
    .await?;
    let body = Object::new()
        .attribute("size", total)
        .attribute("start-index", page.start)
        .attribute("max-result", page.echo(usize::try_from(total).unwrap_or(0)))
        .element("versions", List::new("version", releases));
    Ok(asked.ok(Document::new("versions", body)))
}

/// What a release is asked to be made of.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    #[serde(default)]
    plan_result_key: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    next_version_name: Option<String>,
}

/// `POST /deploy/project/{id}/version`: 200 with the release.
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Response, Failure> {
    let project = id(&text);
    let caller = visitor.caller.clone();
    app.engine()
        .store()
        .read(move |tx| rights::deployment_for(tx, &caller, project, Permission::CreateRelease).map(|_| ()))
        .await?;
    let body = body?;
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let asked = AskedRelease {
        build: body.plan_result_key.unwrap_or_default(),
        name: given(body.name),
        next_name: given(body.next_version_name),
    };
    let made = app
        .engine()
        .create_release(&visitor.caller, project, asked)
        .await
        .map_err(refusal)?;
    let shaped = shaped(&app, &visitor, move |shapes| shapes.release(&made)).await?;
    Ok(json("version", shaped))
}

/// A shape that is made inside a read of the store.
async fn shaped(
    app: &App,
    visitor: &Visitor,
    shape: impl FnOnce(&mut Shapes<'_, '_, '_>) -> Result<Object, EngineError> + Send + 'static,
) -> Result<Object, Failure> {
    let links = Links::new(app.base_url());
    load::read(app, visitor, move |loader| {
        shape(&mut Shapes::new(loader, &links))
    })
    .await
}

/// A release that was not made, with the field whose value is to blame.
fn refusal(error: ReleaseError) -> Failure {
    match error {
        ReleaseError::Name(reason) => refuse(ApiError::bad_request(
            Vec::new(),
            vec![("versionName".to_owned(), vec![reason])],
        )),
        ReleaseError::Other(error) => error.into(),
    }
}

/// `GET /deploy/projectVersioning/{id}/nextVersion?resultKey=`
pub(super) async fn next_name(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let result = asked.parameters.text("resultKey").unwrap_or_default().to_owned();
    let name = app
        .engine()
        .next_release_name(&visitor.caller, id(&text), &result)
        .await?;
    let body = Object::new().element("nextVersionName", name);
    Ok(asked.ok(Document::new("nextVersion", body)))
}

/// `GET /deploy/version/{id}`
pub(super) async fn single(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let found = app.engine().release(&visitor.caller, id(&text)).await?;
    let shaped = shaped(&app, &visitor, move |shapes| shapes.release(&found)).await?;
    Ok(asked.ok(Document::new("version", shaped)))
}

/// `GET /deploy/version/{id}/build-result`: the release, and where its result is.
pub(super) async fn build_result(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let found = app.engine().release(&visitor.caller, id(&text)).await?;
    let shaped = shaped(&app, &visitor, move |shapes| shapes.release_and_result(&found)).await?;
    Ok(asked.ok(Document::new("buildResult", shaped)))
}

/// `GET /deploy/version/{id}/status`
pub(super) async fn status(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let found = app.engine().release(&visitor.caller, id(&text)).await?;
    let shaped = shaped(&app, &visitor, move |shapes| shapes.status(&found)).await?;
    Ok(asked.ok(Document::new("versionStatus", shaped)))
}

/// `POST /deploy/version/{id}/status/{APPROVED|BROKEN|INCOMPLETE}`
pub(super) async fn judge(
    State(app): State<App>,
    visitor: Visitor,
    Path((text, word)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    let (release, caller) = (id(&text), visitor.caller.clone());
    app.engine()
        .store()
        .read(move |tx| show::release_for(tx, &caller, release, Permission::ApproveRelease).map(|_| ()))
        .await?;
    let status = ReleaseStatus::named(&word).ok_or_else(|| {
        EngineError::Invalid(format!(
            "`{}` is not a status; there are APPROVED, BROKEN, INCOMPLETE and UNKNOWN",
            inert(&word, 40)
        ))
    })?;
    let found = app
        .engine()
        .judge_release(&visitor.caller, release, status)
        .await?;
    let shaped = shaped(&app, &visitor, move |shapes| shapes.status(&found)).await?;
    Ok(asked.ok(Document::new("versionStatus", shaped)))
}
