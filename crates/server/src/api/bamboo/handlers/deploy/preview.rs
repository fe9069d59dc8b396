//! What a release may be made of, and what its name would be.

use axum::extract::State;
use axum::response::Response;
use madake_domain::key::{EntityKey, PlanKey};
use madake_domain::permission::Permission;
use madake_engine::access::plan_for;
use madake_engine::deploying::rights;
use madake_store::build_query::{self, Filter};

use super::super::super::error::ApiError;
use super::super::super::node::{Document, List, Object};
use super::super::super::paging::{MAX_SIZE, Page};
use super::super::asked::Asked;
use super::super::{load, refuse};
use super::id;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// The id of nothing where none is named, so that strangers learn nothing from it.
fn project_of(asked: &Asked) -> i64 {
    asked.parameters.text("deploymentProjectId").map_or(-1, id)
}

/// `GET /deploy/preview/versionName?deploymentProjectId=&resultKey=`
pub(super) async fn version_name(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let result = asked.parameters.text("resultKey").unwrap_or_default().to_owned();
    let name = app
        .engine()
        .next_release_name(&visitor.caller, project_of(&asked), &result)
        .await?;
    let body = Object::new().element("nextVersionName", name);
    Ok(asked.ok(Document::new("nextVersion", body)))
}

/// `GET /deploy/preview/possibleResults?deploymentProjectId=&planKey=&searchTerm=`: a bare list of finished results of the
/// source plan, or of the plan branch, newest first.
pub(super) async fn possible_results(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let project = project_of(&asked);
    let page = Page::from_parameters(&asked.parameters, MAX_SIZE);
    let (start, limit) = (
        i64::try_from(page.start).unwrap_or(i64::MAX),
        i64::try_from(page.size).unwrap_or(i64::MAX),
    );
    let key: Option<Result<PlanKey, ()>> = asked.parameters.text("planKey").map(|text| match text.parse() {
        Ok(EntityKey::Plan(key)) => Ok(key),
        _ => Err(()),
    });
    let term = asked.parameters.text("searchTerm").unwrap_or_default().to_owned();
    let found = load::read(&app, &visitor, move |loader| {
        let found = rights::deployment_for(loader.tx, &loader.caller, project, Permission::Read)?;
        let key = match key {
            Some(Err(())) => return Ok(None),
            Some(Ok(key)) => key,
            None => found.plan.clone(),
        };
        let (plan, branch) = plan_for(loader.tx, &loader.caller, &key, Permission::Read)?;
        if plan.key != found.plan {
            return Ok(None);
        }
        let filter = Filter {
            key_part: term,
            ..Filter::default()
        };
        let (builds, _) = build_query::of_branch(loader.tx, branch.id, &filter, start, limit)?;
        Ok(Some(builds))
    })
    .await?;
    let Some(builds) = found else {
        return Err(refuse(ApiError::invalid("Please provide a valid plan key")));
    };
    let results = builds.iter().map(|build| {
        let summary = build.schedule.summary();
        Object::new()
            .element("planResultKey", Object::new().element("key", build.key.as_str()))
            .element("key", build.key.as_str())
            .element("buildNumber", build.number)
            .element("successful", summary.successful)
    });
    let list = List::new("possibleResult", results);
    Ok(asked.ok(Document::new("possibleResults", list)))
}
