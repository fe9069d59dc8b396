//! Pages of deployments, at Bamboo's addresses (bamboo-rest.md 11): projects, what is where, releases, and results with
//! their logs. They show what the visitor may see.

use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use axum::extract::State;
use http::{Method, StatusCode};
use madake_domain::deployment::{DeploymentOutcome, ReleaseStatus};
use madake_domain::permission::Permission;
use madake_domain::plan::{EnvironmentTriggerKind, ReleaseApproval};
use madake_engine::deploying::show::{self, ShownEnvironment, ShownProject, ShownResult, result_key};
use madake_engine::deploying::start::sentence;
use madake_engine::{EngineError, clock};
use madake_protocol::log::{LogKind, LogLine};
use madake_store::deployment_release::{self, Release};
use madake_store::{Tx, deployment, deployment_result};
use serde::Serialize;

use super::address::{Addresses, Site};
use super::asked::{Asked, Page, Refused};
use super::configured::{self, Source};
use super::hearing::{Moment, moment, span};
use super::login::log_in_page;
use super::shown;
use super::template::render;
use crate::App;
use crate::auth::Visitor;
use crate::routes::{Access, Routes};

/// Releases, deployments and notes on one page.
const ROWS: i64 = 100;
/// Bytes of a log on a page, from its end.
const LOG: u64 = 256 * 1024;
/// Characters of one line of a log.
const LINE: usize = 4096;

/// The pages of deployments.
pub(super) fn routes() -> Routes {
    let read = Access::Permission("READ on the deployment project");
    let there = Access::Permission("READ on the environment");
    Routes::default()
        .add(
            Method::GET,
            "/deploy/viewAllDeploymentProjects.action",
            Access::Public,
            all,
        )
        .add(
            Method::GET,
            "/deploy/viewDeploymentProjectEnvironments.action",
            read,
            project,
        )
        .add(Method::GET, "/deploy/viewEnvironment.action", there, environment)
        .add(Method::GET, "/deploy/viewDeploymentResult.action", there, result)
        .add(Method::GET, "/deploy/viewDeploymentVersion.action", read, release)
}

#[derive(Debug, Serialize)]
struct ListPage {
    projects: Vec<ProjectRow>,
}

#[derive(Debug, Serialize)]
struct ProjectRow {
    name: String,
    url: String,
    plan: String,
    plan_url: String,
    description: String,
    environments: Vec<Place>,
}

/// An environment in a list: what is there.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    name: String,
    url: String,
    release: String,
    /// The newest deployment there failed: the release that was to go there.
    failed: String,
    failed_url: String,
}

#[derive(Debug, Serialize)]
struct ProjectPage {
    name: String,
    description: String,
    plan: String,
    plan_url: String,
    source: Source,
    next_name: String,
    environments: Vec<EnvironmentRow>,
    releases: Vec<ReleaseRow>,
    notes: Vec<NoteRow>,
}

#[derive(Debug, Serialize)]
struct EnvironmentRow {
    name: String,
    url: String,
    description: String,
    rules: Vec<String>,
    deployed: Option<Deployed>,
    newest: Option<Deployed>,
}

#[derive(Debug, Serialize)]
struct ReleaseRow {
    name: String,
    url: String,
    build: String,
    build_url: String,
    status: String,
    made: Moment,
    creator: String,
}

#[derive(Debug, Serialize)]
struct NoteRow {
    level: String,
    text: String,
    at: Moment,
}

/// A deployment in a list.
#[derive(Debug, Serialize)]
struct Deployed {
    url: String,
    id: i64,
    release: String,
    release_url: String,
    environment: String,
    state: &'static str,
    words: String,
    at: Moment,
}

#[derive(Debug, Serialize)]
struct EnvironmentPage {
    project: String,
    project_url: String,
    name: String,
    description: String,
    rules: Vec<String>,
    deployed: Option<Deployed>,
    rows: Vec<Deployed>,
    truncated: bool,
}

#[derive(Debug, Serialize)]
struct ResultPage {
    project: String,
    project_url: String,
    environment: String,
    environment_url: String,
    one: Deployed,
    key: String,
    reason: String,
    agent: String,
    message: String,
    took: String,
    is_cut: bool,
    lines: Vec<Line>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Line {
    time: String,
    text: String,
    is_error: bool,
}

#[derive(Debug, Serialize)]
struct ReleasePage {
    project: String,
    project_url: String,
    name: String,
    build: String,
    build_url: String,
    branch: String,
    creator: String,
    status: String,
    status_by: String,
    made: Moment,
    rows: Vec<Deployed>,
    variables: Vec<VariableRow>,
}

#[derive(Debug, Serialize)]
struct VariableRow {
    name: String,
    value: String,
}

/// Runs a question with what the visitor may see; strangers are asked to log in, others are told that there is nothing.
async fn ask<T, F>(app: &App, visitor: &Visitor, asked: &Asked, question: F) -> Result<T, Refused>
where
    T: Send + 'static,
    F: FnOnce(&Tx<'_>, &Visitor, &Addresses) -> Result<T, EngineError> + Send + 'static,
{
    let (caller, addresses) = (visitor.clone(), Addresses::of(Site::of(app)));
    let answer = app
        .engine()
        .store()
        .read(move |tx| question(tx, &caller, &addresses))
        .await;
    answer.map_err(|error| match error {
        EngineError::Unauthenticated { .. } => Refused::Page(Box::new(log_in_page(
            app,
            visitor,
            &asked.address,
            "Log in to see this page.",
        ))),
        EngineError::NotFound(_) | EngineError::Forbidden { .. } => asked.missing(
            app,
            visitor,
            "There is no such page",
            "It does not exist, or you may not see it.",
        ),
        other => other.into(),
    })
}

fn id(asked: &Asked, name: &str) -> i64 {
    let text = asked.query.text(name);
    text.and_then(|text| text.parse().ok()).unwrap_or(-1)
}

/// All projects.
async fn all(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let page = ask(&app, &visitor, &asked, |tx, visitor, to| {
        let projects = show::projects(tx, &visitor.caller)?;
        let projects = projects
            .iter()
            .map(|one| ProjectRow {
                name: shown::line(&one.found.name),
                url: to.project(one.found.id),
                plan: one.found.plan.to_string(),
                description: shown::line(&one.found.description),
                plan_url: to.plan(&one.found.plan),
                environments: places(one, to),
            })
            .collect();
        Ok(ListPage { projects })
    })
    .await?;
    let frame = asked.frame(&app, &visitor, "Deployments");
    Ok(render(StatusCode::OK, "deployments.html", &frame, &page))
}

/// The environments of a project that the visitor may see, and what is there.
pub(super) fn places(one: &ShownProject, to: &Addresses) -> Vec<Place> {
    let place = |each: &ShownEnvironment| {
        let failed = each
            .newest
            .as_ref()
            .filter(|one| matches!(one.result.state.outcome(), Some(DeploymentOutcome::Failed { .. })));
        Place {
            name: shown::line(&each.row.name),
            url: to.environment(each.row.id),
            release: each
                .deployed
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), |there| shown::line(&there.release.name)),
            failed: failed.map_or_else(String::new, |one| shown::line(&one.release.name)),
            failed_url: failed.map_or_else(String::new, |one| to.result(one.result.id)),
        }
    };
    one.environments.iter().map(place).collect()
}

/// One project: what is where, its releases, and what happened.
async fn project(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let wanted = id(&asked, "id");
    let now = clock::now_ms();
    let page = ask(&app, &visitor, &asked, move |tx, visitor, to| {
        let one = show::project(tx, &visitor.caller, wanted)?;
        let (releases, _) = deployment_release::of_project(tx, one.found.id, None, 0, ROWS)?;
        let notes = show::notes(tx, &visitor.caller, one.found.id, ROWS)?;
        Ok(ProjectPage {
            name: shown::line(&one.found.name),
            description: shown::several_lines(&one.found.description, 4096),
            plan: one.found.plan.to_string(),
            plan_url: to.plan(&one.found.plan),
            source: configured::source(tx, &visitor.caller, to.site(), &one.source)?,
            next_name: shown::line(&one.found.naming.next),
            environments: one
                .environments
                .iter()
                .map(|each| EnvironmentRow {
                    name: shown::line(&each.row.name),
                    url: to.environment(each.row.id),
                    description: shown::line(&each.row.description),
                    rules: rules(each),
                    deployed: each.deployed.as_ref().map(|there| deployed(there, "", to, now)),
                    newest: each.newest.as_ref().map(|newest| deployed(newest, "", to, now)),
                })
                .collect(),
            releases: releases.iter().map(|one| release_row(one, to, now)).collect(),
            notes: notes
                .into_iter()
                .map(|note| NoteRow {
                    text: shown::line(&note.text),
                    at: moment(note.at_ms, now),
                    level: note.level,
                })
                .collect(),
        })
    })
    .await?;
    let frame = asked.frame(&app, &visitor, &page.name);
    Ok(render(StatusCode::OK, "deployment.html", &frame, &page))
}

fn release_row(one: &Release, to: &Addresses, now: i64) -> ReleaseRow {
    ReleaseRow {
        name: shown::line(&one.name),
        url: to.release(one.id),
        build: one.build_key.clone(),
        build_url: to.build(&one.build_key),
        status: status(one.status).to_owned(),
        made: moment(one.created_ms, now),
        creator: one
            .creator
            .as_deref()
            .map_or_else(String::new, |creator| format!("by {}", shown::line(creator))),
    }
}

fn status(status: ReleaseStatus) -> &'static str {
    match status {
        ReleaseStatus::Unknown => "",
        ReleaseStatus::Approved => "Approved",
        ReleaseStatus::Broken => "Broken",
        ReleaseStatus::Incomplete => "Incomplete",
    }
}

/// What starts a deployment to an environment, and what a release needs before one.
fn rules(one: &ShownEnvironment) -> Vec<String> {
    let Some(definition) = &one.definition else {
        return vec!["It is not listed any more; nothing is deployed there.".to_owned()];
    };
    let mut rules: Vec<String> = definition
        .triggers
        .iter()
        .map(|trigger| match &trigger.kind {
            EnvironmentTriggerKind::BuildSuccess { branch: None } => "after a successful build".to_owned(),
            EnvironmentTriggerKind::BuildSuccess { branch: Some(branch) } => {
                format!("after a successful build of {}", shown::line(branch))
            }
            EnvironmentTriggerKind::StageSuccess { stage, branch } => {
                let of = branch
                    .as_deref()
                    .map_or_else(String::new, |one| format!(" of {one}"));
                shown::line(&format!("after the stage {stage}{of}"))
            }
            EnvironmentTriggerKind::EnvironmentSuccess { environment } => {
                shown::line(&format!("after {environment}"))
            }
            EnvironmentTriggerKind::Cron { expression, .. } => shown::line(&format!("at {expression}")),
        })
        .collect();
    if rules.is_empty() {
        rules.push("by people only".to_owned());
    }
    match definition.release_approval {
        ReleaseApproval::NotBroken => {}
        ReleaseApproval::Approved => rules.push("approved releases only".to_owned()),
        ReleaseApproval::None => rules.push("broken releases too".to_owned()),
    }
    rules
}

fn deployed(one: &ShownResult, environment: &str, to: &Addresses, now: i64) -> Deployed {
    let state = &one.result.state;
    let (class, words) = match (state.life_cycle(), state.outcome()) {
        ("QUEUED", _) => ("waits", "waits for an agent"),
        ("IN_PROGRESS", _) => ("runs", "is on its way"),
        (_, Some(DeploymentOutcome::Successful)) => ("successful", "was successful"),
        (_, Some(DeploymentOutcome::Failed { .. })) => ("failed", "failed"),
        _ => ("stopped", "was stopped"),
    };
    Deployed {
        url: to.result(one.result.id),
        id: one.result.id,
        release: shown::line(&one.release.name),
        release_url: to.release(one.release.id),
        environment: shown::line(environment),
        state: class,
        words: words.to_owned(),
        at: moment(
            state
                .finished_ms()
                .or(state.started_ms())
                .unwrap_or(state.queued_ms()),
            now,
        ),
    }
}

/// An environment with its history.
async fn environment(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let wanted = id(&asked, "id");
    let now = clock::now_ms();
    let page = ask(&app, &visitor, &asked, move |tx, visitor, to| {
        let (found, one) = show::environment(tx, &visitor.caller, wanted)?;
        let (_, rows, total) = show::history(tx, &visitor.caller, wanted, 0, ROWS)?;
        Ok(EnvironmentPage {
            project: shown::line(&found.name),
            project_url: to.project(found.id),
            name: shown::line(&one.row.name),
            description: shown::several_lines(&one.row.description, 4096),
            rules: rules(&one),
            deployed: one.deployed.as_ref().map(|there| deployed(there, "", to, now)),
            rows: rows.iter().map(|row| deployed(row, "", to, now)).collect(),
            truncated: total > ROWS,
        })
    })
    .await?;
    let frame = asked.frame(&app, &visitor, &page.name);
    Ok(render(StatusCode::OK, "environment.html", &frame, &page))
}

/// A deployment with the end of its log.
async fn result(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let wanted = id(&asked, "deploymentResultId");
    let now = clock::now_ms();
    let mut page = ask(&app, &visitor, &asked, move |tx, visitor, to| {
        let found = show::result_for(tx, &visitor.caller, wanted)?;
        let (project, environment) = show::environment(tx, &visitor.caller, found.environment_id)?;
        let one = show::with_release(tx, found)?;
        let state = &one.result.state;
        Ok(ResultPage {
            project: shown::line(&project.name),
            project_url: to.project(project.id),
            environment: shown::line(&environment.row.name),
            environment_url: to.environment(environment.row.id),
            key: result_key(&one.result),
            reason: shown::line(&sentence(&one.result.reason)),
            agent: state.agent().map_or_else(String::new, shown::line),
            message: match state.outcome() {
                Some(DeploymentOutcome::Failed { reason }) => shown::line(reason),
                Some(DeploymentOutcome::Stopped { by }) => format!("Stopped by {}.", shown::line(by)),
                _ => String::new(),
            },
            took: match (state.started_ms(), state.finished_ms()) {
                (Some(from), Some(to)) => span(to - from),
                _ => String::new(),
            },
            one: deployed(&one, "", to, now),
            is_cut: false,
            lines: Vec::new(),
        })
    })
    .await?;
    let path = app.engine().home().deployment_log(wanted);
    let (lines, is_cut) = tokio::task::spawn_blocking(move || end_of_log(&path))
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|error| EngineError::Internal(format!("a log cannot be read: {error}")))?;
    (page.lines, page.is_cut) = (lines, is_cut);
    let frame = asked.frame(
        &app,
        &visitor,
        &format!("{}: {}", page.environment, page.one.release),
    );
    Ok(render(StatusCode::OK, "deployed.html", &frame, &page))
}

/// The last lines of a log, and whether there are more before them.
fn end_of_log(path: &Path) -> std::io::Result<(Vec<Line>, bool)> {
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), false)),
        file => file?,
    };
    let length = file.metadata()?.len();
    let start = length.saturating_sub(LOG);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LOG).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text
        .lines()
        // What stands before the first line feed is the rest of a line.
        .skip(usize::from(start > 0))
        .map(|line| match LogLine::parse(line) {
            Some(line) => Line {
                time: line.time.to_owned(),
                text: shown::several_lines(line.message, LINE),
                is_error: line.kind == LogKind::Error,
            },
            None => Line {
                time: String::new(),
                text: shown::several_lines(line, LINE),
                is_error: false,
            },
        })
        .collect();
    Ok((lines, start > 0))
}

/// A release, where it went, and the variables that it keeps.
async fn release(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let wanted = id(&asked, "versionId");
    let now = clock::now_ms();
    let page = ask(&app, &visitor, &asked, move |tx, visitor, to| {
        let (project, one) = show::release_for(tx, &visitor.caller, wanted, Permission::Read)?;
        let mut rows = Vec::new();
        for result in deployment_result::of_release(tx, one.id)? {
            if show::result_for(tx, &visitor.caller, result.id).is_err() {
                continue;
            }
            let environment = deployment::environment(tx, result.environment_id)?;
            let name = environment.map_or_else(String::new, |row| row.name);
            rows.push(deployed(&show::with_release(tx, result)?, &name, to, now));
        }
        Ok(ReleasePage {
            project: shown::line(&project.name),
            project_url: to.project(project.id),
            name: shown::line(&one.name),
            build_url: to.build(&one.build_key),
            branch: one.branch_name.as_deref().map_or_else(String::new, shown::line),
            creator: one.creator.as_deref().map_or_else(String::new, shown::line),
            status: status(one.status).to_owned(),
            status_by: one.status_by.as_deref().map_or_else(String::new, shown::line),
            made: moment(one.created_ms, now),
            rows,
            variables: one
                .variables
                .iter()
                .map(|(name, value)| VariableRow {
                    name: shown::line(name),
                    value: shown::line(value),
                })
                .collect(),
            build: one.build_key,
        })
    })
    .await?;
    let frame = asked.frame(&app, &visitor, &page.name);
    Ok(render(StatusCode::OK, "release.html", &frame, &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_shown_in_whole_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        assert_eq!(end_of_log(&path).expect("no log"), (Vec::new(), false));
        std::fs::write(&path, "error\t31-Jan-2026 06:17:36\tno such file\nwithout form\n").expect("a log");
        let (lines, is_cut) = end_of_log(&path).expect("a log");
        assert!(!is_cut && lines[0].is_error && lines[0].text == "no such file");
        assert_eq!(
            (lines[1].time.as_str(), lines[1].text.as_str()),
            ("", "without form")
        );
        std::fs::write(&path, "0123456789\n".repeat(30_000)).expect("a log");
        let (lines, is_cut) = end_of_log(&path).expect("a log");
        assert!(is_cut && lines.len() < 30_000);
        assert!(lines.iter().all(|line| line.text == "0123456789"));
    }
}
