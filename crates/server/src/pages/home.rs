//! `/`: what there is and how it stands: plans by project with their last results, what waits or runs, deployments,
//! repositories. It shows what the visitor may read, and counts nothing else. `?project=PROJ` shows one project.

use axum::extract::State;
use http::StatusCode;
use madake_domain::key::ProjectKey;
use madake_domain::permission::Principal;
use madake_engine::clock;
use madake_engine::deploying::show::ShownProject;
use madake_engine::ops::show_overview::{Deploying, Overview};
use madake_store::repository::Repository;
use serde::Serialize;

use super::address::{Addresses, Site};
use super::asked::{Asked, Page, Refused};
use super::deployments::{Place, places};
use super::hearing::moment;
use super::lists::{self, Row};
use super::login::log_in_page;
use super::shown;
use super::standing::{ResultChip, UnderWayRow};
use super::template::render;
use crate::App;
use crate::auth::Visitor;

/// Plans that the page of the whole server shows; the page of a project shows all of its own.
const PLANS: usize = 1000;
/// Builds under way that the page shows.
const UNDER_WAY: usize = 10;
/// Repositories that the page shows.
const REPOSITORIES: usize = 10;

#[derive(Debug, Serialize)]
struct HomePage {
    heading: String,
    /// Where all projects are, on the page of one.
    all_url: String,
    under_way: Vec<UnderWayRow>,
    /// Builds under way that are not shown.
    more_under_way: usize,
    projects: Vec<ProjectRows>,
    /// Plans that are not shown.
    more_plans: usize,
    deployments: Vec<DeploymentRow>,
    /// Where the others are; empty where all are shown.
    deployments_url: String,
    repositories: Vec<Row>,
    /// Where the others are; empty where all are shown.
    repositories_url: String,
    /// How many repositories there are in all.
    all_repositories: usize,
    /// There is nothing at all.
    is_empty: bool,
    /// Who may make repositories and plans is told how.
    is_administrator: bool,
    is_stranger: bool,
    clone_url: String,
    others: Vec<Other>,
}

#[derive(Debug, Serialize)]
struct ProjectRows {
    key: String,
    name: String,
    url: String,
    plans: Vec<PlanRow>,
}

#[derive(Debug, Serialize)]
struct PlanRow {
    key: String,
    name: String,
    url: String,
    is_disabled: bool,
    last: Option<ResultChip>,
}

#[derive(Debug, Serialize)]
struct DeploymentRow {
    name: String,
    url: String,
    places: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Other {
    title: &'static str,
    url: String,
}

/// The page: for people who open the address, and for clients and probes that ask it for a 2xx before anything else.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let project = match asked.query.text("project").filter(|text| !text.is_empty()) {
        Some(text) => {
            let key: Result<ProjectKey, _> = text.to_uppercase().parse();
            Some(key.map_err(|_| missing(&app, &visitor, &asked))?)
        }
        None => None,
    };
    let found = app.engine().overview(&visitor.caller, project.as_ref()).await?;
    let mut repositories = app.engine().list_repositories(&visitor.caller).await?;
    // Linked ones have no pages, and no owner.
    repositories.retain(|one| !one.owner.is_empty());
    if let Some(key) = &project {
        repositories.retain(|one| one.owner.eq_ignore_ascii_case(key.as_str()));
        if found.plans.is_empty() && repositories.is_empty() && found.deployments.is_empty() {
            return Err(missing(&app, &visitor, &asked));
        }
    }
    let shown_repositories = &repositories[..repositories.len().min(REPOSITORIES)];
    let rows = lists::rows(&app, shown_repositories).await?;
    let page = described(&app, &visitor, project.as_ref(), found, &repositories, rows);
    let frame = asked.frame(&app, &visitor, &page.heading);
    Ok(render(StatusCode::OK, "home.html", &frame, &page))
}

fn missing(app: &App, visitor: &Visitor, asked: &Asked) -> Refused {
    if !visitor.caller.principal.is_logged_in() {
        let page = log_in_page(app, visitor, &asked.address, "Log in to see this page.");
        return Refused::Page(Box::new(page));
    }
    asked.missing(
        app,
        visitor,
        "There is no such project",
        "It does not exist, or has nothing that you may read.",
    )
}

fn described(
    app: &App,
    visitor: &Visitor,
    project: Option<&ProjectKey>,
    found: Overview,
    repositories: &[Repository],
    rows: Vec<Row>,
) -> HomePage {
    let (site, now) = (Site::of(app), clock::now_ms());
    let to = Addresses::of(site.clone());
    let is_empty = found.plans.is_empty() && found.deployments.is_empty() && repositories.is_empty();
    let heading = match (project, found.plans.first()) {
        (Some(_), Some(first)) => shown::line(&first.project_name),
        (Some(key), None) => key.to_string(),
        (None, _) => "Builds".to_owned(),
    };
    let limit = if project.is_some() { usize::MAX } else { PLANS };
    let more_plans = found.plans.len().saturating_sub(limit);
    let mut under_way: Vec<UnderWayRow> = found
        .deploying
        .iter()
        .map(|one| deploying(one, &to, now))
        .collect();
    let builds = found.under_way.iter().take(UNDER_WAY);
    under_way.extend(builds.map(|one| UnderWayRow::of_build(one, &site, now)));
    let mut projects: Vec<ProjectRows> = Vec::new();
    for one in found.plans.into_iter().take(limit) {
        let key = one.key.project().to_string();
        if projects.last().is_none_or(|last| last.key != key) {
            projects.push(ProjectRows {
                name: shown::line(&one.project_name),
                url: site.project_plans(&key),
                plans: Vec::new(),
                key,
            });
        }
        let row = PlanRow {
            url: site.plan(&one.key),
            key: one.key.to_string(),
            name: shown::line(&one.name),
            is_disabled: !one.enabled,
            last: one.last.map(|last| ResultChip::of(&last, &site, now)),
        };
        if let Some(last) = projects.last_mut() {
            last.plans.push(row);
        }
    }
    let is_more = |more: bool, url: String| if more { url } else { String::new() };
    HomePage {
        heading,
        all_url: is_more(project.is_some(), site.home()),
        more_under_way: found.under_way.len().saturating_sub(UNDER_WAY),
        under_way,
        projects,
        more_plans,
        deployments: found.deployments.iter().map(|one| deployment(one, &to)).collect(),
        deployments_url: is_more(found.more_deployments, site.deployments()),
        all_repositories: repositories.len(),
        repositories_url: is_more(rows.len() < repositories.len(), site.repositories()),
        repositories: rows,
        is_empty,
        is_administrator: matches!(&visitor.caller.principal, Principal::User(user) if user.administrator),
        is_stranger: !visitor.caller.principal.is_logged_in(),
        clone_url: format!("{}/scm/proj/app.git", app.base_url().trim_end_matches('/')),
        others: others(&site, visitor),
    }
}

fn deploying(one: &Deploying, to: &Addresses, now: i64) -> UnderWayRow {
    let state = &one.shown.result.state;
    let started = state.started_ms();
    UnderWayRow::of_deployment(
        (
            to.result(one.shown.result.id),
            &one.shown.release.name,
            &format!("{} › {}", one.project, one.environment),
        ),
        started.is_some(),
        moment(started.unwrap_or(state.queued_ms()), now),
    )
}

fn deployment(one: &ShownProject, to: &Addresses) -> DeploymentRow {
    DeploymentRow {
        name: shown::line(&one.found.name),
        url: to.project(one.found.id),
        places: places(one, to),
    }
}

/// What else there is, for people and for programs.
fn others(site: &Site, visitor: &Visitor) -> Vec<Other> {
    let other = |title, path: &str| Other {
        title,
        url: site.at(path),
    };
    let mut others = Vec::new();
    if visitor.caller.principal.is_logged_in() {
        others.push(other("How we hear of pushes to linked repositories", "/hearing"));
        others.push(other("Credentials", "/credentials"));
    }
    others.push(other("Bamboo's REST API", "/rest/api/latest"));
    others.push(other("How the server stands", "/rest/api/latest/status"));
    if visitor.caller.principal.is_logged_in() {
        others.push(other("Madake's own REST interface", "/rest/madake/1.0/status"));
    }
    others
}
