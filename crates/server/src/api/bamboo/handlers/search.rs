//! The quick search, by which clients find keys and ids (bamboo-rest.md 8).

use axum::extract::{Path, State};
use axum::response::Response;
use madake_domain::key::{EntityKey, PlanKey};
use madake_domain::permission::Permission;
use madake_engine::EngineError;
use madake_engine::access::{Target, may};
use madake_engine::deploying::{rights, show};
use madake_store::deployment_release;

use super::super::error::ApiError;
use super::super::node::{Document, List, Object};
use super::super::paging::{MAX_SIZE, Page};
use super::asked::Asked;
use super::load::Loader;
use super::{load, no_such_plan, refuse};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// One thing that was found.
struct Hit {
    id: String,
    kind: &'static str,
    entity: Object,
}

impl Hit {
    fn new(id: &impl ToString, kind: &'static str, entity: Object) -> Self {
        Self {
            id: id.to_string(),
            kind,
            entity,
        }
    }
}

/// What is looked for: a part of a name, in whatever case.
struct Term(String);

impl Term {
    fn of(asked: &Asked) -> Self {
        Self(
            asked
                .parameters
                .text("searchTerm")
                .unwrap_or_default()
                .trim()
                .to_lowercase(),
        )
    }

    fn is_in(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| text.to_lowercase().contains(&self.0))
    }
}

/// A page of what `find` finds among all that the caller may see.
async fn answer<F>(app: &App, visitor: &Visitor, asked: Asked, find: F) -> Result<Response, Failure>
where
    F: FnOnce(&mut Loader<'_, '_>, &Term) -> Result<Vec<Hit>, EngineError> + Send + 'static,
{
    let (term, page) = (
        Term::of(&asked),
        Page::from_parameters(&asked.parameters, MAX_SIZE),
    );
    let found = load::read(app, visitor, move |loader| find(loader, &term)).await?;
    let total = found.len();
    let hits = found.into_iter().skip(page.start).take(page.size).map(|hit| {
        Object::new()
            .attribute("id", hit.id)
            .attribute("type", hit.kind)
            .element("searchEntity", hit.entity)
    });
    let body = Object::new()
        .attribute("size", total)
        .element("searchResults", List::new("searchResult", hits))
        .attribute("start-index", page.start)
        .attribute("max-result", page.echo(total))
        .attribute("mayHaveMore", page.start.saturating_add(page.size) < total);
    Ok(asked.ok(Document::new("searchResults", body)))
}

/// The permission that the caller must have; READ unless another is asked for.
fn permission(asked: &Asked) -> Result<Permission, ApiError> {
    match asked.parameters.text("permission") {
        None => Ok(Permission::Read),
        Some(text) => text.parse().map_err(|_| {
            let text = madake_domain::text::inert(text, 80);
            ApiError::invalid(format!("There is no permission called '{text}'"))
        }),
    }
}

/// A plan or plan branch.
fn plan_entity(key: &PlanKey, project: &str, plan: &str, branch: Option<&str>, description: &str) -> Object {
    Object::new()
        .element("id", key.to_string())
        .element("key", key.to_string())
        .element("projectName", project)
        .element("planName", plan)
        .optional_element("branchName", branch)
        .element("description", description)
        .element(
            "type",
            match branch {
                Some(_) => "chain_branch",
                None => "chain",
            },
        )
}

/// `GET /search/plans?searchTerm=&permission=`
pub(super) async fn plans(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let needed = permission(&asked).map_err(refuse)?;
    answer(&app, &visitor, asked, move |loader, term| {
        let mut hits = Vec::new();
        for row in loader.readable_plans()? {
            let project = loader.project(row.project_id)?.name;
            let whole = format!("{project} - {}", row.name);
            let texts = [row.key.as_str(), &whole, &row.description];
            // All of them may be read.
            let is_enough = needed == Permission::Read;
            if term.is_in(&texts)
                && (is_enough || may(loader.tx, &loader.caller, needed, Target::Plan(&row.key))?)
            {
                let entity = plan_entity(&row.key, &project, &row.name, None, &row.description);
                hits.push(Hit::new(&row.key, "plan", entity));
            }
        }
        Ok(hits)
    })
    .await
}

/// `GET /search/branches?masterPlanKey=&searchTerm=&includeMasterBranch=`
pub(super) async fn branches(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let text = asked.parameters.text("masterPlanKey").unwrap_or_default();
    if text.is_empty() {
        return Err(missing(&visitor, "masterPlanKey names the plan", "plan branches"));
    }
    let key: PlanKey = text.parse().map_err(|_| no_such_plan(text))?;
    let with_master = asked.parameters.flag("includeMasterBranch");
    let names_only = asked.parameters.flag("branchNameOnly");
    answer(&app, &visitor, asked, move |loader, term| {
        let (row, _) = loader.plan_for(&key)?;
        let project = loader.project(row.project_id)?.name;
        let mut rows = loader.branch_rows(row.id)?;
        if with_master {
            rows.insert(0, madake_store::plan::master(loader.tx, row.id)?);
        }
        let mut hits = Vec::new();
        for one in &rows {
            let branch = (!one.is_master).then_some(one.display_name.as_str());
            let name = branch.unwrap_or(&row.name);
            let in_repository = one.vcs_branch.as_deref().unwrap_or_default();
            let whole = format!("{project} - {} - {name}", row.name);
            if term.is_in(&[name, in_repository]) || !names_only && term.is_in(&[one.key.as_str(), &whole]) {
                let entity = plan_entity(&one.key, &project, &row.name, branch, &one.description);
                hits.push(Hit::new(&one.key, "branch", entity));
            }
        }
        Ok(hits)
    })
    .await
}

/// `GET /search/projects?searchTerm=&permission=`: those that the caller may read, or of which one plan.
pub(super) async fn projects(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let needed = permission(&asked).map_err(refuse)?;
    answer(&app, &visitor, asked, move |loader, term| {
        let mut hits = Vec::new();
        for project in loader.projects()? {
            let target = Target::Project(project.key.as_str());
            let allowed = may(loader.tx, &loader.caller, needed, target)?
                || needed == Permission::Read && !loader.readable_plans_of(project.id)?.is_empty();
            let texts = [project.key.as_str(), &project.name, &project.description];
            if allowed && term.is_in(&texts) {
                let entity = Object::new()
                    .element("id", project.key.to_string())
                    .element("key", project.key.to_string())
                    .element("projectName", project.name.as_str())
                    .element("description", project.description.as_str());
                hits.push(Hit::new(&project.key, "project", entity));
            }
        }
        Ok(hits)
    })
    .await
}

/// `GET /search/jobs/{plan}?searchTerm=`: the jobs of the plan's configuration.
pub(super) async fn jobs(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let key = plan_key(&key).ok_or_else(|| no_such_plan(&key))?;
    answer(&app, &visitor, asked, move |loader, term| {
        let (_, branch) = loader.plan_for(&key)?;
        let configuration = loader.configuration_of(&branch)?;
        let jobs = configuration.jobs.iter();
        let found = jobs.filter(|job| term.is_in(&[&job.name, &job.key])).map(|job| {
            let id = format!("{key}-{}", job.key);
            let entity = Object::new()
                .element("id", id.as_str())
                .element("key", id.as_str())
                .element("jobName", job.name.as_str());
            Hit::new(&id, "job", entity)
        });
        Ok(found.collect())
    })
    .await
}

/// `GET /search/stages/{plan}?searchTerm=`: the stages of the plan's configuration, in order. They have no ids of their
/// own, so their names are given.
pub(super) async fn stages(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let key = plan_key(&key).ok_or_else(|| no_such_plan(&key))?;
    answer(&app, &visitor, asked, move |loader, term| {
        let (_, branch) = loader.plan_for(&key)?;
        let configuration = loader.configuration_of(&branch)?;
        let stages = configuration.stages.iter();
        let found = stages.filter(|stage| term.is_in(&[&stage.name])).map(|stage| {
            let entity = Object::new()
                .element("id", stage.name.as_str())
                .element("stageName", stage.name.as_str());
            Hit::new(&stage.name, "stage", entity)
        });
        Ok(found.collect())
    })
    .await
}

/// What is missing is told to those who are logged in.
fn missing(visitor: &Visitor, message: &str, subject: &str) -> Failure {
    if visitor.caller.principal.is_logged_in() {
        return refuse(ApiError::invalid(message));
    }
    Failure::from(EngineError::Unauthenticated {
        needed: Permission::Read,
        subject: subject.to_owned(),
    })
}

fn plan_key(text: &str) -> Option<PlanKey> {
    match text.parse() {
        Ok(EntityKey::Plan(key)) => Some(key),
        _ => None,
    }
}

/// `GET /search/deployments?searchTerm=&permission=`: deployment projects.
pub(super) async fn deployments(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let needed = permission(&asked).map_err(refuse)?;
    answer(&app, &visitor, asked, move |loader, term| {
        let mut hits = Vec::new();
        for found in show::visible(loader.tx, &loader.caller)? {
            if term.is_in(&[&found.name]) && rights::may(loader.tx, &loader.caller, needed, &found)? {
                let entity = Object::new()
                    .element("id", found.id.to_string())
                    .element("projectName", found.name.as_str())
                    .element("description", found.description.as_str());
                hits.push(Hit::new(&found.id, "deployment", entity));
            }
        }
        Ok(hits)
    })
    .await
}

/// `GET /search/versions?deploymentProjectId=&branchKey=&searchTerm=&chronologicalOrder=`: releases, newest first unless asked
/// otherwise.
pub(super) async fn versions(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let text = asked.parameters.text("deploymentProjectId").unwrap_or_default();
    if text.is_empty() {
        let message = "deploymentProjectId names the deployment project";
        return Err(missing(&visitor, message, "releases"));
    }
    // What is no id is the id of nothing, so that strangers learn nothing from it.
    let project: i64 = text.parse().unwrap_or(-1);
    let branch = asked.parameters.text("branchKey").map(str::to_owned);
    let oldest_first = asked.parameters.flag("chronologicalOrder");
    answer(&app, &visitor, asked, move |loader, term| {
        let found = rights::deployment_for(loader.tx, &loader.caller, project, Permission::Read)?;
        let (mut releases, _) =
            deployment_release::of_project(loader.tx, found.id, branch.as_deref(), 0, i64::MAX)?;
        if oldest_first {
            releases.reverse();
        }
        let releases = releases.into_iter().filter(|one| term.is_in(&[&one.name]));
        let hit = |id: i64, name: &str| {
            let entity = Object::new().element("id", id.to_string()).element("name", name);
            Hit::new(&id, "version", entity)
        };
        Ok(releases.map(|one| hit(one.id, &one.name)).collect())
    })
    .await
}
