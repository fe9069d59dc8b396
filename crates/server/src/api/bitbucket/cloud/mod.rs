//! Bitbucket Cloud's REST interfaces 1.0 and 2.0 below `/api`, and where scripts name our address in place of
//! `https://api.bitbucket.org`.

mod hooks;
mod repositories;
mod services;
mod source;
pub(crate) mod view;

use axum::extract::Path;
use http::Method;
use madake_engine::ops::read_repository::ReadableRepository;

use super::refused::Refused;
use crate::App;
use crate::auth::Visitor;
use crate::routes::{Access, Routes};

/// What reading a repository needs.
const READ: Access = Access::Permission("READ on the repository");
/// What administering a repository needs.
const ADMIN: Access = Access::Permission("ADMINISTRATION on the repository");

pub(crate) fn routes() -> Routes {
    Routes::default()
        .merge(service_routes())
        .merge(hook_routes())
        .merge(repository_routes())
        .merge(source_routes())
}

fn repository_routes() -> Routes {
    const OWNER: Access = Access::Permission("READ on a repository of the owner");
    const COMMITS: &str = "/api/2.0/repositories/{owner}/{slug}/commits";
    const COMMITS_OF: &str = "/api/2.0/repositories/{owner}/{slug}/commits/{*revision}";
    const COMMIT: &str = "/api/2.0/repositories/{owner}/{slug}/commit/{*revision}";
    const REFS: &str = "/api/2.0/repositories/{owner}/{slug}/refs";
    const BRANCHES: &str = "/api/2.0/repositories/{owner}/{slug}/refs/branches";
    const BRANCH: &str = "/api/2.0/repositories/{owner}/{slug}/refs/branches/{*name}";
    const TAGS: &str = "/api/2.0/repositories/{owner}/{slug}/refs/tags";
    const TAG: &str = "/api/2.0/repositories/{owner}/{slug}/refs/tags/{*name}";
    Routes::default()
        .add(
            Method::GET,
            "/api/2.0/repositories/{owner}",
            OWNER,
            repositories::of_owner,
        )
        .add(
            Method::GET,
            "/api/2.0/repositories/{owner}/{slug}",
            READ,
            repositories::show,
        )
        .add(Method::GET, COMMITS, READ, repositories::commits)
        .add(Method::GET, COMMITS_OF, READ, repositories::commits_of)
        .add(Method::GET, COMMIT, READ, repositories::commit)
        .add(Method::GET, REFS, READ, repositories::refs)
        .add(Method::GET, BRANCHES, READ, repositories::branches)
        .add(Method::GET, BRANCH, READ, repositories::branch)
        .add(Method::GET, TAGS, READ, repositories::tags)
        .add(Method::GET, TAG, READ, repositories::tag)
}

fn source_routes() -> Routes {
    const ROOT: &str = "/api/2.0/repositories/{owner}/{slug}/src";
    const REVISION: &str = "/api/2.0/repositories/{owner}/{slug}/src/{revision}";
    const PATH: &str = "/api/2.0/repositories/{owner}/{slug}/src/{revision}/{*path}";
    const RAW: &str = "/api/1.0/repositories/{owner}/{slug}/raw/{revision}/{*path}";
    Routes::default()
        .add(Method::GET, ROOT, READ, source::root)
        .add(Method::GET, REVISION, READ, source::revision)
        .add(Method::GET, PATH, READ, source::path)
        .add(Method::GET, RAW, READ, source::raw)
}

/// push-payloads.md C.3.
fn service_routes() -> Routes {
    const SERVICES: &str = "/api/1.0/repositories/{owner}/{slug}/services";
    const SERVICE: &str = "/api/1.0/repositories/{owner}/{slug}/services/{id}";
    Routes::default()
        .add(Method::GET, SERVICES, ADMIN, services::list)
        .add(Method::POST, SERVICES, ADMIN, services::create)
        .add(Method::GET, SERVICE, ADMIN, services::show)
        .add(Method::PUT, SERVICE, ADMIN, services::change)
        .add(Method::DELETE, SERVICE, ADMIN, services::remove)
}

/// push-payloads.md C.4.
fn hook_routes() -> Routes {
    const HOOKS: &str = "/api/2.0/repositories/{owner}/{slug}/hooks";
    const HOOK: &str = "/api/2.0/repositories/{owner}/{slug}/hooks/{id}";
    Routes::default()
        .add(Method::GET, HOOKS, ADMIN, hooks::list)
        .add(Method::POST, HOOKS, ADMIN, hooks::create)
        .add(Method::GET, HOOK, ADMIN, hooks::show)
        .add(Method::PUT, HOOK, ADMIN, hooks::change)
        .add(Method::DELETE, HOOK, ADMIN, hooks::remove)
}

/// The repository of a path: `OWNER/SLUG`.
fn repository_name(owner: &str, slug: &str) -> String {
    format!("{owner}/{slug}")
}

/// The repository of a path, for those who may read it.
async fn readable(
    app: &App,
    visitor: &Visitor,
    owner: &str,
    slug: &str,
) -> Result<ReadableRepository, Refused> {
    let name = repository_name(owner, slug);
    let found = app.engine().read_repository(&visitor.caller, &name).await?;
    Ok(found.with_ssh(app.ssh_address()))
}

/// The parts of a path below a repository.
type Repository = Path<(String, String)>;
/// The same with one part more.
type Below = Path<(String, String, String)>;
