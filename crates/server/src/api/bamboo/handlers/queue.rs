//! The build queue: what waits, starting, continuing, stopping (bamboo-rest.md 6).

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use madake_domain::key::{EntityKey, JobKey, JobResultKey, PlanKey, ResultKey, ResultNumber};
use madake_domain::stage_selection::StageRequest;
use madake_engine::ops::trigger_build::TriggerBuild;
use madake_store::build::{self, Build};
use madake_store::build_query;

use super::super::query::Parameters;
use super::super::render;
use super::super::view::{QueuedBuildView, QueuedKey, Slice};
use super::asked::{Asked, AskedWithForm};
use super::{load, no_such_plan};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// So many waiting jobs are looked at.
const QUEUE_LIMIT: i64 = 10_000;

/// `GET /queue`: the jobs that wait for an agent, of plans that the caller may read.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let (views, window, total, asked) = load::read(&app, &visitor, move |loader| {
        let mut readable = Vec::new();
        for job in build_query::queued_jobs(loader.tx, QUEUE_LIMIT)? {
            let build = build::by_id(loader.tx, job.build_id)?;
            if loader.may_read(build.plan_id)? {
                readable.push((build, job));
            }
        }
        let total = readable.len();
        let window = asked.window("queuedBuilds", "queuedBuild", total);
        let wants_changes = asked.expand.contains("queuedBuilds.queuedBuild.changes");
        let mut views = Vec::new();
        for (build, job) in window.cut(readable) {
            let branch = loader.branch(build.plan_branch_id)?;
            views.push(QueuedBuildView {
                key: QueuedKey::Job(JobResultKey {
                    job: JobKey {
                        plan: branch.key.clone(),
                        job: job.key,
                    },
                    number: build.number,
                }),
                reason: loader.reason(&build.reason)?,
                changes: match wants_changes {
                    true => loader.changes(build.id)?,
                    false => Slice::default(),
                },
            });
        }
        Ok((views, window, total, asked))
    })
    .await?;
    Ok(asked.ok(render::queue_list(&window.page, &views, total, &ctx)))
}

/// `POST /queue/{plan}`: starts a build of a plan or plan branch. The answer's key can be asked for at once.
pub(super) async fn add(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    AskedWithForm(asked): AskedWithForm,
) -> Result<Response, Failure> {
    let Ok(EntityKey::Plan(key)) = key.parse() else {
        return Err(no_such_plan(&key));
    };
    let parameters = &asked.parameters;
    let trigger = TriggerBuild {
        stages: stage_request(parameters),
        custom_revision: parameters.text("customRevision").map(str::to_owned),
        variables: owned(parameters.variables()),
    };
    let made = app.engine().trigger_build(&visitor.caller, &key, trigger).await?;
    answer(&app, &visitor, &asked, made).await
}

/// `PUT /queue/{plan}-{number}`: continues at a manual stage, or runs failed jobs again. Reads the query alone.
pub(super) async fn go_on(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let Ok(EntityKey::Result(key)) = key.parse() else {
        return Err(no_such_plan(&key));
    };
    let parameters = &asked.parameters;
    let (stages, variables) = (stage_request(parameters), owned(parameters.query_variables()));
    let continued = app
        .engine()
        .continue_build(&visitor.caller, &key, stages, variables)
        .await?;
    answer(&app, &visitor, &asked, continued).await
}

/// `DELETE /queue/{plan}-{number}`, also by the key of one of its jobs: stops the build. One that has ended
/// stays as it is.
pub(super) async fn stop(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<StatusCode, Failure> {
    let key = match key.parse() {
        Ok(EntityKey::Result(key)) => key,
        Ok(EntityKey::JobResult(job)) => {
            let plan: PlanKey = job.job.plan.clone();
            let number = job.number;
            load::read(&app, &visitor, move |loader| {
                let build = loader.build_for(&job.job.plan, ResultNumber::Number(number), true)?;
                loader.job_row(&build, &job.job).map(|_| ())
            })
            .await?;
            ResultKey { plan, number }
        }
        _ => return Err(no_such_plan(&key)),
    };
    app.engine().stop_build(&visitor.caller, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn stage_request(parameters: &Parameters) -> StageRequest {
    StageRequest {
        stage: parameters.text("stage").map(str::to_owned),
        execute_all_stages: parameters.explicit_flag("executeAllStages"),
    }
}

fn owned(variables: Vec<(&str, &str)>) -> Vec<(String, String)> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    variables.into_iter().map(owned).collect()
}

async fn answer(app: &App, visitor: &Visitor, asked: &Asked, build: Build) -> Result<Response, Failure> {
    let ctx = asked.context(app);
    let view = load::read(app, visitor, move |loader| {
        Ok(QueuedBuildView {
            key: QueuedKey::Plan(load::result_key(&build)?),
            reason: loader.reason(&build.reason)?,
            changes: Slice::default(),
        })
    })
    .await?;
    Ok(asked.ok(render::queued_build(&view, &ctx)))
}
