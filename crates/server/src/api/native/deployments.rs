//! Deployments: projects by name, releases, what is where and why.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use http::{Method, StatusCode};
use madake_domain::deployment::{DeploymentOutcome, ReleaseStatus};
use madake_domain::permission::Permission;
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_engine::access::Caller;
use madake_engine::deploying::create_release::AskedRelease;
use madake_engine::deploying::show::{self, ShownProject, ShownResult};
use madake_engine::deploying::start::sentence;
use madake_engine::deploying::{rights, show::result_key};
use madake_store::deployment_release::{self, Release};
use madake_store::{Tx, deployment, deployment_result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::{Json, Nothing, id, invalid};
use super::log::{Line, piece};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;
use crate::routes::{Access, Routes};

/// Releases of a project in one answer.
const RELEASES: i64 = 25;

/// The routes of deployments.
pub(super) fn routes() -> Routes {
    let read = Access::Permission("READ on the deployment project");
    let there = Access::Permission("READ on the environment");
    let deploy = Access::Permission("BUILD on the environment");
    Routes::default()
        .add(Method::GET, "/rest/madake/1.0/deployments", Access::Public, list)
        .add(Method::GET, "/rest/madake/1.0/deployments/project", read, project)
        .add(Method::GET, "/rest/madake/1.0/deployments/why", read, why)
        .add(
            Method::POST,
            "/rest/madake/1.0/deployments/releases",
            Access::Permission("CREATE_RELEASE on the deployment project"),
            create_release,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/deployments/releases/status",
            Access::Permission("APPROVE_RELEASE on the deployment project"),
            judge,
        )
        .add(Method::POST, "/rest/madake/1.0/deployments/start", deploy, start)
        .add(
            Method::GET,
            "/rest/madake/1.0/deployments/results/{id}",
            there,
            result,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/deployments/results/{id}/log",
            there,
            log,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/deployments/results/{id}/stop",
            deploy,
            stop,
        )
}

/// `GET /deployments`: those that the caller may see.
async fn list(State(app): State<App>, visitor: Visitor) -> Result<Answer<Value>, Failure> {
    let rows = app
        .engine()
        .store()
        .read(move |tx| {
            let shown = show::projects(tx, &visitor.caller)?;
            Ok::<_, EngineError>(shown.iter().map(project_view).collect::<Vec<_>>())
        })
        .await?;
    Ok(Answer(json!({ "deployments": rows })))
}

/// `GET /deployments/project?name=`: one, with its newest releases. `name` is a name or an id.
async fn project(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let name = named(query.as_deref());
    let answer = app
        .engine()
        .store()
        .read(move |tx| {
            let found = rights::deployment_named(tx, &visitor.caller, &name, Permission::Read)?;
            let shown = show::project(tx, &visitor.caller, found.id)?;
            let (releases, total) = deployment_release::of_project(tx, found.id, None, 0, RELEASES)?;
            let mut answer = project_view(&shown);
            answer["source"] = json!(shown.source);
            answer["nextReleaseName"] = json!(shown.found.naming.next);
            answer["releases"] = json!(releases.iter().map(release_view).collect::<Vec<_>>());
            answer["releaseCount"] = json!(total);
            Ok::<_, EngineError>(answer)
        })
        .await?;
    Ok(Answer(answer))
}

fn named(query: Option<&str>) -> String {
    Parameters::from_query(query)
        .text("name")
        .unwrap_or_default()
        .to_owned()
}

/// `GET /deployments/why?name=&limit=`: what was and was not deployed, and why; newest first.
async fn why(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let name = named(query.as_deref());
    let parameters = Parameters::from_query(query.as_deref());
    let limit = match parameters.text("limit") {
        Some(text) => id(text)?.clamp(1, 500),
        None => 30,
    };
    let rows = app
        .engine()
        .store()
        .read(move |tx| {
            let found = rights::deployment_named(tx, &visitor.caller, &name, Permission::Read)?;
            let mut rows = Vec::new();
            for note in show::notes(tx, &visitor.caller, found.id, limit)? {
                let environment = match note.environment_id {
                    Some(id) => deployment::environment(tx, id)?.map(|one| one.name),
                    None => None,
                };
                let release = match note.release_id {
                    Some(id) => deployment_release::by_id(tx, id)?.map(|one| one.name),
                    None => None,
                };
                rows.push(json!({
                    "atMs": note.at_ms,
                    "level": note.level,
                    "text": note.text,
                    "environment": environment,
                    "release": release,
                }));
            }
            Ok::<_, EngineError>(rows)
        })
        .await?;
    Ok(Answer(json!({ "notes": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewRelease {
    project: String,
    build: String,
    name: Option<String>,
    next_name: Option<String>,
}

/// `POST /deployments/releases`: 201 with the release.
async fn create_release(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<NewRelease>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let project = app
        .engine()
        .deployment_id(&visitor.caller, &asked.project)
        .await?;
    let new = AskedRelease {
        build: asked.build,
        name: asked.name,
        next_name: asked.next_name,
    };
    let made = app
        .engine()
        .create_release(&visitor.caller, project, new)
        .await
        .map_err(EngineError::from)?;
    Ok((StatusCode::CREATED, Answer(release_view(&made))))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Judgement {
    project: String,
    release: String,
    status: String,
}

/// `POST /deployments/releases/status`
async fn judge(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Judgement>,
) -> Result<Answer<Value>, Failure> {
    let (caller, project, release) = (visitor.caller.clone(), asked.project, asked.release);
    let release = app
        .engine()
        .store()
        .read(move |tx| release_named(tx, &caller, &project, &release).map(|one| one.id))
        .await?;
    let status = ReleaseStatus::named(&asked.status)
        .ok_or_else(|| invalid("`status` is `approved`, `broken`, `incomplete` or `unknown`"))?;
    let judged = app
        .engine()
        .judge_release(&visitor.caller, release, status)
        .await?;
    Ok(Answer(release_view(&judged)))
}

fn release_named(tx: &Tx<'_>, caller: &Caller, project: &str, name: &str) -> Result<Release, EngineError> {
    let found = rights::deployment_named(tx, caller, project, Permission::Read)?;
    deployment_release::by_name(tx, found.id, name)?
        .ok_or_else(|| EngineError::NotFound(format!("{} has no release {}.", found.name, inert(name, 80))))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDeployment {
    project: String,
    environment: String,
    release: String,
    #[serde(default)]
    variables: Map<String, Value>,
}

/// `POST /deployments/start`: 201 with the deployment that waits now.
async fn start(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<NewDeployment>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let variables = asked
        .variables
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            _ => Err(invalid(format!(
                "the variable `{}` is not a text",
                inert(name, 80)
            ))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let caller = visitor.caller.clone();
    let (environment, release) = app
        .engine()
        .store()
        .read(move |tx| {
            let release = release_named(tx, &caller, &asked.project, &asked.release)?;
            let environment = deployment::environment_by_name(tx, release.deployment_id, &asked.environment)?;
            let environment = environment.ok_or_else(|| {
                EngineError::NotFound(format!(
                    "There is no environment {}.",
                    inert(&asked.environment, 80)
                ))
            })?;
            Ok::<_, EngineError>((environment.id, release.id))
        })
        .await?;
    let queued = app
        .engine()
        .deploy(&visitor.caller, environment, release, variables)
        .await?;
    let answer = app
        .engine()
        .store()
        .read(move |tx| view_of(tx, &show::with_release(tx, queued)?))
        .await?;
    Ok((StatusCode::CREATED, Answer(answer)))
}

/// `GET /deployments/results/{id}`
async fn result(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let wanted = id(&text)?;
    let answer = app
        .engine()
        .store()
        .read(move |tx| {
            let found = show::result_for(tx, &visitor.caller, wanted)?;
            view_of(tx, &show::with_release(tx, found)?)
        })
        .await?;
    Ok(Answer(answer))
}

/// `GET /deployments/results/{id}/log?after=`: whole lines behind the place `after`, a number of bytes.
async fn log(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let wanted = id(&text)?;
    let parameters = Parameters::from_query(query.as_deref());
    let after: u64 = parameters
        .text("after")
        .unwrap_or("0")
        .parse()
        .map_err(|_| invalid("`after` is the `next` of an earlier answer"))?;
    let found = app
        .engine()
        .store()
        .read(move |tx| show::result_for(tx, &visitor.caller, wanted))
        .await?;
    let finished = found.state.finished_ms().is_some();
    let path = app.engine().home().deployment_log(found.id);
    let answer = tokio::task::spawn_blocking(move || {
        let (text, end) = piece(&path, after, finished).map_err(|error| {
            EngineError::Unavailable(format!("{} cannot be read: {error}", path.display()))
        })?;
        let lines: Vec<Line<'_>> = text.lines().map(Line::of).collect();
        Ok::<_, EngineError>(json!({ "finished": finished, "lines": lines, "next": end.to_string() }))
    })
    .await
    .map_err(|error| EngineError::Internal(error.to_string()))??;
    Ok(Answer(answer))
}

/// `POST /deployments/results/{id}/stop`
async fn stop(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<StatusCode, Failure> {
    app.engine().stop_deployment(&visitor.caller, id(&text)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view_of(tx: &Tx<'_>, shown: &ShownResult) -> Result<Value, EngineError> {
    let environment = deployment::environment(tx, shown.result.environment_id)?;
    let project = deployment::by_id(tx, shown.result.deployment_id)?;
    let previous = deployment_result::last_success(tx, shown.result.environment_id, shown.result.id)?;
    let previous = match previous {
        Some(before) => deployment_release::by_id(tx, before.release_id)?,
        None => None,
    };
    let mut answer = result_view(shown);
    answer["project"] = json!(project.map(|one| one.name));
    answer["environment"] = json!(environment.map(|one| one.name));
    answer["previousRelease"] = json!(previous.as_ref().map(|one| &one.name));
    answer["rollback"] = json!(previous.is_some_and(|one| one.id > shown.release.id));
    Ok(answer)
}

fn project_view(shown: &ShownProject) -> Value {
    let environments: Vec<Value> = shown
        .environments
        .iter()
        .map(|one| {
            json!({
                "id": one.row.id,
                "name": one.row.name,
                "description": one.row.description,
                "mayDeploy": one.operations.execute,
                "deployed": one.deployed.as_ref().map(result_view),
                "newest": one.newest.as_ref().map(result_view),
                "active": one.active.iter().map(result_view).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "id": shown.found.id,
        "name": shown.found.name,
        "description": shown.found.description,
        "plan": shown.found.plan.to_string(),
        "environments": environments,
    })
}

fn release_view(one: &Release) -> Value {
    json!({
        "id": one.id,
        "name": one.name,
        "build": one.build_key,
        "branch": one.branch_name,
        "creator": one.creator,
        "status": one.status.as_str(),
        "statusBy": one.status_by,
        "createdMs": one.created_ms,
    })
}

fn result_view(shown: &ShownResult) -> Value {
    let ShownResult { result, release } = shown;
    let state = &result.state;
    let message = match state.outcome() {
        Some(DeploymentOutcome::Failed { reason }) => Some(reason.clone()),
        Some(DeploymentOutcome::Stopped { by }) => Some(format!("stopped by {by}")),
        _ => None,
    };
    json!({
        "id": result.id,
        "key": result_key(result),
        "release": release.name,
        "build": release.build_key,
        "lifeCycleState": state.life_cycle(),
        "state": state.verdict(),
        "finished": state.finished_ms().is_some(),
        "successful": state.is_successful(),
        "message": message,
        "reason": sentence(&result.reason),
        "triggeredBy": result.triggered_by,
        "agent": state.agent(),
        "queuedMs": state.queued_ms(),
        "startedMs": state.started_ms(),
        "finishedMs": state.finished_ms(),
    })
}
