//! The queue of deployments (bamboo-rest.md 6.1).

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use madake_domain::permission::Permission;
use madake_engine::access::Caller;
use madake_engine::deploying::{rights, show};

use super::super::super::error::ApiError;
use super::super::super::link::self_link;
use super::super::super::node::{Document, Node, Object};
use super::super::super::paging::{collection, named_list_document, unexpanded};
use super::super::asked::{Asked, AskedWithForm};
use super::super::{load, refuse};
use super::id;
use super::shape::Shapes;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /queue/deployment?expand=queuedDeployments`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let links = asked.context(&app).links;
    let (inner, asked) = load::read(&app, &visitor, move |loader| {
        let waiting = show::waiting(loader.tx, &loader.caller)?;
        let total = waiting.len();
        if !asked.expand.contains("queuedDeployments") {
            return Ok((unexpanded(total), asked));
        }
        let window = asked.window("queuedDeployments", "queuedDeployment", total);
        let page = show::with_releases(loader.tx, window.cut(waiting))?;
        let mut shapes = Shapes::new(loader, &links);
        let mut items: Vec<Node> = Vec::with_capacity(page.len());
        for one in &page {
            items.push(shapes.queued(one)?.into());
        }
        Ok((collection(total, window.page, "queuedDeployment", items), asked))
    })
    .await?;
    let href = asked.context(&app).links.rest(&[&"queue", &"deployment"]);
    Ok(asked.ok(named_list_document("queue", "queuedDeployments", href, inner)))
}

/// `POST /queue/deployment?environmentId=&versionId=`
pub(super) async fn add(
    State(app): State<App>,
    visitor: Visitor,
    AskedWithForm(asked): AskedWithForm,
) -> Result<Response, Failure> {
    let number = |name: &str| asked.parameters.text(name).map(id);
    let environment = number("environmentId").unwrap_or(-1);
    may_deploy(
        &app,
        &visitor.caller,
        environment,
        number("environmentId").is_some(),
    )
    .await?;
    let release =
        number("versionId").ok_or_else(|| refuse(ApiError::invalid("versionId names the release")))?;
    let variables = asked
        .parameters
        .variables()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let queued = app
        .engine()
        .deploy(&visitor.caller, environment, release, variables)
        .await?;
    let href = asked
        .context(&app)
        .links
        .rest(&[&"deploy", &"result", &queued.id]);
    let body = Object::new()
        .element("deploymentResultId", queued.id)
        .element("link", self_link(href));
    Ok(asked.ok(Document::new("queuedDeployment", body)))
}

/// What is missing is told to those who are logged in.
async fn may_deploy(app: &App, caller: &Caller, environment: i64, is_named: bool) -> Result<(), Failure> {
    if !is_named && caller.principal.is_logged_in() {
        return Err(refuse(ApiError::invalid("environmentId names the environment")));
    }
    let caller = caller.clone();
    app.engine()
        .store()
        .read(move |tx| rights::environment_for(tx, &caller, environment, Permission::Build).map(|_| ()))
        .await?;
    Ok(())
}

/// `DELETE /queue/deployment/{id}`: one that has ended stays as it is.
pub(super) async fn stop(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<StatusCode, Failure> {
    app.engine().stop_deployment(&visitor.caller, id(&text)).await?;
    Ok(StatusCode::NO_CONTENT)
}
