//! Pages for people: how plans stand, builds, deployments, and what is in a repository, at the addresses that links of payloads name
//! (push-payloads.md A.3, C.2).
//!
//! Bitbucket Server's form `/projects/KEY/repos/SLUG/...` is where pages live; those of Bitbucket Cloud, `/OWNER/SLUG/...`,
//! show the same. Pages work without scripts, and are shown to those who have READ on the repository.

mod address;
mod artifact;
mod asked;
mod browse;
mod build;
mod build_facts;
mod commits;
mod configured;
mod credentials;
mod deployments;
mod differences;
pub(crate) mod form;
mod hearing;
mod home;
mod lists;
mod login;
mod plan;
mod plan_findings;
mod plan_standing;
mod raw;
mod refs;
mod shown;
mod standing;
mod template;
mod variables;
mod zip;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{Method, header};
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_store::repository::Repository;
use tokio::sync::{Semaphore, SemaphorePermit};

use self::address::RepositorySite;
use self::template::{RepositoryFrame, Tab};
use crate::App;
use crate::routes::{Access, Routes};

const READ: Access = Access::Permission("READ on the repository");

/// Pages that read a repository at once; others wait for their turn.
static READING: Semaphore = Semaphore::const_new(8);

/// Waits until one more page may read a repository.
async fn turn() -> Option<SemaphorePermit<'static>> {
    READING.acquire().await.ok()
}

/// The pages.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .merge(server_form())
        .merge(people_form())
        .merge(cloud_form())
        .merge(builds())
        .merge(deployments::routes())
        .add(Method::GET, "/", Access::Public, home::page)
        .add(Method::GET, "/repositories", Access::Public, lists::all)
        .add(Method::GET, "/assets/pages.css", Access::Public, style)
        .add(Method::GET, "/hearing", Access::Public, hearing::page)
        .add(
            Method::GET,
            "/browse/{key}/config",
            Access::Permission("READ on the plan"),
            plan::page,
        )
        .merge(settings())
        .add(Method::GET, "/login", Access::Public, login::form)
        .add(
            Method::POST,
            "/login",
            Access::Permission("a name and a password"),
            login::log_in,
        )
        .add(
            Method::POST,
            "/logout",
            Access::Permission("a session of one's own"),
            login::log_out,
        )
        .add(Method::GET, "/projects/{key}", READ, lists::project)
        .add(Method::GET, "/users/{user}", READ, lists::person)
        .add(Method::GET, "/scm/{owner}/{slug}", READ, lists::clone_address)
}

/// What administrators keep for plans.
fn settings() -> Routes {
    let access = Access::Permission("ADMINISTRATION on the server, the project or the plan");
    let own = Access::Permission("a login; it lists what the visitor may change or use");
    Routes::default()
        .add(Method::GET, "/variables", access, variables::page)
        .add(Method::POST, "/variables", access, variables::change)
        .add(Method::GET, "/credentials", own, credentials::page)
}

/// `/browse/KEY`: builds and their artifacts.
fn builds() -> Routes {
    let read = Access::Permission("READ on the plan");
    Routes::default()
        .add(Method::GET, "/browse/{key}", read, build::page)
        .add(
            Method::POST,
            "/browse/{key}",
            Access::Permission("BUILD on the plan"),
            plan::build,
        )
        .add(
            Method::GET,
            "/browse/{key}/artifact/{folder}/{name}",
            read,
            artifact::of_result,
        )
        .add(
            Method::GET,
            "/browse/{key}/artifact/{folder}/{name}/{*path}",
            read,
            artifact::of_result,
        )
        .add(
            Method::GET,
            "/browse/{key}/latest/artifact/{folder}/{name}",
            read,
            artifact::of_latest,
        )
        .add(
            Method::GET,
            "/browse/{key}/latest/artifact/{folder}/{name}/{*path}",
            read,
            artifact::of_latest,
        )
        .add(
            Method::GET,
            "/browse/{key}/latestSuccessful/artifact/{folder}/{name}",
            read,
            artifact::of_latest_successful,
        )
        .add(
            Method::GET,
            "/browse/{key}/latestSuccessful/artifact/{folder}/{name}/{*path}",
            read,
            artifact::of_latest_successful,
        )
}

/// `/projects/KEY/repos/SLUG`
fn server_form() -> Routes {
    Routes::default()
        .add(Method::GET, "/projects/{key}/repos", READ, lists::project)
        .add(Method::GET, "/projects/{key}/repos/{slug}", READ, browse::root)
        .add(
            Method::GET,
            "/projects/{key}/repos/{slug}/browse",
            READ,
            browse::page,
        )
        .add(
            Method::GET,
            "/projects/{key}/repos/{slug}/browse/{*path}",
            READ,
            browse::page,
        )
        .add(Method::GET, "/projects/{key}/repos/{slug}/raw", READ, raw::page)
        .add(
            Method::GET,
            "/projects/{key}/repos/{slug}/raw/{*path}",
            READ,
            raw::page,
        )
        .add(
            Method::GET,
            "/projects/{key}/repos/{slug}/commits",
            READ,
            commits::history,
        )
        .add(
            Method::GET,
            "/projects/{key}/repos/{slug}/commits/{hash}",
            READ,
            commits::commit,
        )
        .add(
            Method::GET,
            "/projects/{key}/repos/{slug}/branches",
            READ,
            refs::branches,
        )
        .add(Method::GET, "/projects/{key}/repos/{slug}/tags", READ, refs::tags)
}

/// `/users/NAME/repos/SLUG`, for projects of people.
fn people_form() -> Routes {
    Routes::default()
        .add(Method::GET, "/users/{user}/repos", READ, lists::person)
        .add(Method::GET, "/users/{user}/repos/{slug}", READ, browse::root)
        .add(
            Method::GET,
            "/users/{user}/repos/{slug}/browse",
            READ,
            browse::page,
        )
        .add(
            Method::GET,
            "/users/{user}/repos/{slug}/browse/{*path}",
            READ,
            browse::page,
        )
        .add(Method::GET, "/users/{user}/repos/{slug}/raw", READ, raw::page)
        .add(
            Method::GET,
            "/users/{user}/repos/{slug}/raw/{*path}",
            READ,
            raw::page,
        )
        .add(
            Method::GET,
            "/users/{user}/repos/{slug}/commits",
            READ,
            commits::history,
        )
        .add(
            Method::GET,
            "/users/{user}/repos/{slug}/commits/{hash}",
            READ,
            commits::commit,
        )
        .add(
            Method::GET,
            "/users/{user}/repos/{slug}/branches",
            READ,
            refs::branches,
        )
        .add(Method::GET, "/users/{user}/repos/{slug}/tags", READ, refs::tags)
}

/// `/OWNER/SLUG`
fn cloud_form() -> Routes {
    Routes::default()
        .add(Method::GET, "/{owner}/{slug}", READ, browse::page)
        .add(Method::GET, "/{owner}/{slug}/src", READ, browse::page)
        .add(Method::GET, "/{owner}/{slug}/src/{at}", READ, browse::page)
        .add(
            Method::GET,
            "/{owner}/{slug}/src/{at}/{*path}",
            READ,
            browse::page,
        )
        .add(Method::GET, "/{owner}/{slug}/raw/{at}/{*path}", READ, raw::page)
        .add(Method::GET, "/{owner}/{slug}/commits", READ, commits::history)
        .add(
            Method::GET,
            "/{owner}/{slug}/commits/{hash}",
            READ,
            commits::commit,
        )
        .add(
            Method::GET,
            "/{owner}/{slug}/commits/tag/{*tag}",
            READ,
            commits::history,
        )
        .add(
            Method::GET,
            "/{owner}/{slug}/commits/branch/{*branch}",
            READ,
            commits::history,
        )
        .add(
            Method::GET,
            "/{owner}/{slug}/branch/{*branch}",
            READ,
            commits::history,
        )
        .add(Method::GET, "/{owner}/{slug}/branches", READ, refs::branches)
        .add(
            Method::GET,
            "/{owner}/{slug}/branches/compare/{*range}",
            READ,
            commits::compare,
        )
        .add(
            Method::GET,
            "/{owner}/{slug}/compare/{*range}",
            READ,
            commits::compare,
        )
}

/// Leads a person who opened a clone address to the pages of the repository, which has an owner.
pub(crate) fn of_repository(app: &App, found: &Repository) -> Response {
    let site = address::Site::of(app);
    let to = site
        .repository(found)
        .map_or_else(|| site.home(), |site| site.browse_root());
    login::see_other(&to)
}

async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, template::STYLE).into_response()
}

/// The head of a repository's pages, with the tab that is shown.
async fn head(
    State(app): State<App>,
    found: &Repository,
    site: &RepositorySite,
    here: &str,
) -> Result<RepositoryFrame, EngineError> {
    let description = app.engine().repository_description(found).await?;
    let tab = |title, url| Tab {
        title,
        url,
        is_here: title == here,
    };
    Ok(RepositoryFrame {
        owner: found.owner.clone(),
        slug: found.slug.clone(),
        url: site.browse_root(),
        project_url: address::Site::of(&app).owner(&found.owner),
        description: shown::several_lines(&description, 4096),
        tabs: vec![
            tab("Files", site.browse_root()),
            tab("Commits", site.history("", None, 0)),
            tab("Branches", site.branches()),
            tab("Tags", site.tags()),
        ],
    })
}

/// The title of a page of a repository.
fn title(found: &Repository, what: &str) -> String {
    format!("{} - {}", inert(what, 120), found.name)
}
