//! Results: lists, single ones, the status of a running one (bamboo-rest.md 5).

use std::rc::Rc;

use axum::extract::{Path, State};
use axum::response::Response;
use madake_domain::key::{EntityKey, JobKey, PlanKey, ProjectKey, ResultKey, ResultNumber};
use madake_domain::permission::Permission;
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_store::build::Build;
use madake_store::plan::{self, Plan, PlanBranch};
use madake_store::{build_query, label};

use super::super::error::ApiError;
use super::super::node::Document;
use super::super::paging::{MAX_LOG_LINES, Page};
use super::super::render;
use super::super::view::ResultView;
use super::asked::{Asked, Window};
use super::filter::ResultFilter;
use super::load::Loader;
use super::{load, log, no_such_plan, refuse};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /result`: the latest result of each plan that the caller may read.
pub(super) async fn latest_of_all(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let href = asked.context(&app).links.rest(&[&"result"]);
    list(&app, &visitor, asked, href, |loader, filter, _| {
        let plans = loader.readable_plans()?;
        latest_of(loader, &plans, filter)
    })
    .await
}

/// `GET /result/{key}` of a project, a plan, a plan branch, a job, or of one result of them.
pub(super) async fn by_key(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    show(&app, &visitor, &key, asked).await
}

/// `GET /result/{plan}/{number}`, `/result/{job}/latest`, `/result/{project}/{plan}`
pub(super) async fn by_two_parts(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, second)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    show(&app, &visitor, &format!("{key}-{second}"), asked).await
}

/// `GET /result/{project}/{plan}/{number}`
pub(super) async fn by_three_parts(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, second, third)): Path<(String, String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    show(&app, &visitor, &format!("{key}-{second}-{third}"), asked).await
}

async fn show(app: &App, visitor: &Visitor, key: &str, asked: Asked) -> Result<Response, Failure> {
    match key.parse() {
        Ok(EntityKey::Project(key)) => of_project(app, visitor, asked, key).await,
        Ok(EntityKey::Plan(key)) => of_plan(app, visitor, asked, key).await,
        Ok(EntityKey::Job(key)) => of_job(app, visitor, asked, key).await,
        Ok(EntityKey::Result(ResultKey { plan, number })) => {
            single(app, visitor, asked, plan, ResultNumber::Number(number)).await
        }
        Ok(EntityKey::LatestResult(plan)) => single(app, visitor, asked, plan, ResultNumber::Latest).await,
        Ok(EntityKey::JobResult(key)) => {
            single_of_job(app, visitor, asked, key.job, ResultNumber::Number(key.number)).await
        }
        Ok(EntityKey::LatestJobResult(key)) => {
            single_of_job(app, visitor, asked, key, ResultNumber::Latest).await
        }
        Err(_) => Err(no_such_plan(key)),
    }
}

async fn of_project(
    app: &App,
    visitor: &Visitor,
    asked: Asked,
    key: ProjectKey,
) -> Result<Response, Failure> {
    let href = asked.context(app).links.rest(&[&"result", &key]);
    list(app, visitor, asked, href, move |loader, filter, _| {
        let (_, plans) = loader.project_for(&key)?;
        latest_of(loader, &plans, filter)
    })
    .await
}

/// The latest result of each plan that passes the filter.
fn latest_of(
    loader: &mut Loader<'_, '_>,
    plans: &[Rc<Plan>],
    filter: &ResultFilter,
) -> Result<Found, EngineError> {
    let mut builds = Vec::new();
    for plan in plans {
        if filter.favourite && !loader.is_favourite(plan::master(loader.tx, plan.id)?.id)? {
            continue;
        }
        let master = plan::master(loader.tx, plan.id)?;
        builds.extend(build_query::latest(loader.tx, master.id, &filter.stored)?);
    }
    Ok(Found::Whole(builds))
}

async fn of_plan(app: &App, visitor: &Visitor, asked: Asked, key: PlanKey) -> Result<Response, Failure> {
    let href = asked.context(app).links.rest(&[&"result", &key]);
    list(app, visitor, asked, href, move |loader, filter, asked| {
        let (_, branch) = loader.plan_for(&key)?;
        results_of_branch(loader, &branch, filter, asked)
    })
    .await
}

/// `GET /result/{plan}/branch/{name}`: the results of a plan branch by its name.
pub(super) async fn of_branch(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    let href = asked
        .context(&app)
        .links
        .rest(&[&"result", &key, &"branch", &name]);
    list(&app, &visitor, asked, href, move |loader, filter, asked| {
        let (row, _) = loader.plan_for(&key)?;
        let branch = loader.branch_named_or_suffixed(&row.key, row.id, &name)?;
        results_of_branch(loader, &branch, filter, asked)
    })
    .await
}

fn results_of_branch(
    loader: &mut Loader<'_, '_>,
    branch: &PlanBranch,
    filter: &ResultFilter,
    asked: &Asked,
) -> Result<Found, EngineError> {
    if filter.favourite && !loader.is_favourite(branch.id)? {
        return Ok(Found::Whole(Vec::new()));
    }
    let (_, total) = build_query::of_branch(loader.tx, branch.id, &filter.stored, 0, 0)?;
    let total = usize::try_from(total).unwrap_or(0);
    let window = asked.window("results", "result", total);
    let (start, limit) = (row_count(window.items.start), row_count(window.items.len()));
    let (builds, _) = build_query::of_branch(loader.tx, branch.id, &filter.stored, start, limit)?;
    Ok(Found::Page {
        builds,
        window,
        total,
    })
}

fn row_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// `GET /result/byChangeset/{id}`: the results that contain a commit.
pub(super) async fn by_changeset(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let href = asked.context(&app).links.rest(&[&"result", &"byChangeset", &id]);
    of_changeset(&app, &visitor, asked, href, id, false).await
}

/// `GET /result/byCheckoutChangeset/{id}`: the results that were built of a commit.
pub(super) async fn by_checkout_changeset(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let href = asked
        .context(&app)
        .links
        .rest(&[&"result", &"byCheckoutChangeset", &id]);
    of_changeset(&app, &visitor, asked, href, id, true).await
}

async fn of_changeset(
    app: &App,
    visitor: &Visitor,
    asked: Asked,
    href: String,
    id: String,
    checked_out_only: bool,
) -> Result<Response, Failure> {
    list(app, visitor, asked, href, move |loader, filter, _| {
        let mut kept = Vec::new();
        for build in build_query::by_changeset(loader.tx, &id, checked_out_only)? {
            let summary = build.schedule.summary();
            if filter.admits(summary.life_cycle, summary.state, summary.continuable)
                && loader.may_read(build.plan_id)?
                && (!filter.favourite || loader.is_favourite(build.plan_branch_id)?)
                && has_one_of(loader, &build, &filter.stored.labels)?
                && loader.names_issue(build.id, &filter.stored.issues)?
            {
                kept.push(build);
            }
        }
        Ok(Found::Whole(kept))
    })
    .await
}

/// What a list has, of which one page is shown.
enum Found {
    /// All builds.
    Whole(Vec<Build>),
    /// The builds of the page alone.
    Page {
        /// Those builds.
        builds: Vec<Build>,
        /// The page.
        window: Window,
        /// How many there are in all.
        total: usize,
    },
}

/// Answers with a list of plan results that `find` looks up.
async fn list<F>(
    app: &App,
    visitor: &Visitor,
    asked: Asked,
    href: String,
    find: F,
) -> Result<Response, Failure>
where
    F: FnOnce(&mut Loader<'_, '_>, &ResultFilter, &Asked) -> Result<Found, EngineError> + Send + 'static,
{
    let ctx = asked.context(app);
    let filter = ResultFilter::read(&asked.parameters).map_err(refuse)?;
    let (mut entries, window, total, logs, asked) = load::read(app, visitor, move |loader| {
        let mut found = find(loader, &filter, &asked)?;
        if filter.nothing {
            found = Found::Whole(Vec::new());
        }
        let (builds, window, total) = match found {
            Found::Page {
                builds,
                window,
                total,
            } => (builds, window, total),
            Found::Whole(all) => {
                let total = all.len();
                let window = asked.window("results", "result", total);
                (window.cut(all), window, total)
            }
        };
        let below = asked.expand.below("results");
        let full = below.contains("result").then(|| below.below("result"));
        let mut entries = Vec::with_capacity(builds.len());
        for build in &builds {
            entries.push(loader.result_entry(build, full)?);
        }
        Ok((entries, window, total, loader.take_logs(), asked))
    })
    .await?;
    log::fill(app, log::jobs_of(&mut entries), logs, None).await?;
    Ok(asked.ok(render::result_list(&window.page, &entries, total, href, &ctx)))
}

async fn of_job(app: &App, visitor: &Visitor, asked: Asked, key: JobKey) -> Result<Response, Failure> {
    let ctx = asked.context(app);
    let href = ctx.links.rest(&[&"result", &key]);
    let filter = ResultFilter::read(&asked.parameters).map_err(refuse)?;
    let (mut entries, window, total, logs, asked) = load::read(app, visitor, move |loader| {
        let mut found = loader.results_of_job(&key, &filter)?;
        if filter.nothing {
            found.clear();
        }
        let total = found.len();
        let window = asked.window("results", "result", total);
        let below = asked.expand.below("results");
        let full = below.contains("result").then(|| below.below("result"));
        let mut entries = Vec::new();
        for (build, row) in window.cut(found) {
            entries.push(loader.job_result_entry(&build, &row, full)?);
        }
        Ok((entries, window, total, loader.take_logs(), asked))
    })
    .await?;
    log::fill(app, log::jobs_of(&mut entries), logs, None).await?;
    Ok(asked.ok(render::result_list(&window.page, &entries, total, href, &ctx)))
}

async fn single(
    app: &App,
    visitor: &Visitor,
    asked: Asked,
    plan: PlanKey,
    number: ResultNumber,
) -> Result<Response, Failure> {
    let ctx = asked.context(app);
    let expand = asked.expand.clone();
    let all_states = asked.parameters.flag("includeAllStates");
    let (mut view, logs) = load::read(app, visitor, move |loader| {
        let build = loader.build_for(&plan, number, all_states)?;
        let view = loader.result_view(&build, &expand, false)?;
        Ok((view, loader.take_logs()))
    })
    .await?;
    log::fill(app, log::jobs_in(&mut view), logs, None).await?;
    Ok(asked.ok(render::result_single(&view, &ctx)))
}

async fn single_of_job(
    app: &App,
    visitor: &Visitor,
    asked: Asked,
    job: JobKey,
    number: ResultNumber,
) -> Result<Response, Failure> {
    let ctx = asked.context(app);
    let expand = asked.expand.clone();
    let all_states = asked.parameters.flag("includeAllStates");
    let page = Page::from_parameters(&asked.parameters, MAX_LOG_LINES);
    let (mut view, logs) = load::read(app, visitor, move |loader| {
        let view = loader.job_result_for(&job, number, all_states, &expand)?;
        Ok((view, loader.take_logs()))
    })
    .await?;
    log::fill(app, vec![&mut view], logs, Some(page)).await?;
    Ok(asked.ok(render::job_result_single(&page, &view, &ctx)))
}

/// `GET /result/status/{plan}-{number}`: 404 as soon as the build is over (bamboo-rest.md 5.7).
pub(super) async fn status(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let Ok(EntityKey::Result(key)) = key.parse() else {
        return Err(no_such_plan(&key));
    };
    let view = load_whole(&app, &visitor, &asked, key.clone()).await?;
    let document: Option<Document> = render::result_status(&view, &ctx);
    match document {
        Some(document) => Ok(asked.ok(document)),
        None => Err(refuse(ApiError::not_found(format!(
            "Result {key} is not running."
        )))),
    }
}

/// A result with its stages, which the status names even where nobody expands them.
async fn load_whole(
    app: &App,
    visitor: &Visitor,
    asked: &Asked,
    key: ResultKey,
) -> Result<ResultView, Failure> {
    let expand = asked.expand.clone();
    load::read(app, visitor, move |loader| {
        let build = loader.build_for(&key.plan, ResultNumber::Number(key.number), true)?;
        loader.result_with_stages(&build, &expand)
    })
    .await
}

/// Whether a result has one of these labels, or none is asked for.
fn has_one_of(loader: &Loader<'_, '_>, build: &Build, labels: &[String]) -> Result<bool, EngineError> {
    if labels.is_empty() {
        return Ok(true);
    }
    let own = label::of_build(loader.tx, build.id)?;
    Ok(labels.iter().any(|label| own.contains(label)))
}

/// `GET /result/{key}/label`: the labels of a result.
pub(super) async fn labels(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let href = asked.context(&app).links.rest(&[&"result", &key, &"label"]);
    let labels = load::read(&app, &visitor, move |loader| {
        let build = loader.build_named(&key)?;
        loader.labels_of(build.id)
    })
    .await?;
    let total = labels.len();
    let window = asked.window("labels", "label", total);
    Ok(asked.ok(render::label_list(&window.page, &window.cut(labels), total, href)))
}

/// The plan result that is to be changed, by its own key, that of one of its jobs, or the latest.
///
/// # Errors
/// When there is none, or the caller may not see it or is nobody, who may change no result. A plan result's own key is not
/// looked up.
pub(super) async fn to_change(app: &App, visitor: &Visitor, text: &str) -> Result<ResultKey, Failure> {
    if !visitor.caller.principal.is_logged_in() {
        return Err(Failure::from(EngineError::Unauthenticated {
            needed: Permission::Read,
            subject: format!("result {}", inert(text, 80)),
        }));
    }
    if let Ok(EntityKey::Result(key)) = text.parse() {
        return Ok(key);
    }
    let text = text.to_owned();
    load::read(app, visitor, move |loader| {
        let build = loader.build_named(&text)?;
        Ok(load::result_key(&build)?)
    })
    .await
}
