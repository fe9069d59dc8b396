//! Bitbucket Server's REST 1.0 below `/rest/api/1.0` and `/rest/api/latest`.

mod commits;
pub(crate) mod files;
mod hooks;
mod refs;
mod repositories;
pub(crate) mod view;
mod webhooks;

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

/// The key of Post-Receive Webhooks (push-payloads.md A).
pub(crate) const POST_RECEIVE_HOOK: &str =
    "com.atlassian.stash.plugin.stash-web-post-receive-hooks-plugin:postReceiveHook";

pub(crate) fn routes() -> Routes {
    Routes::default()
        .merge(hook_routes())
        .merge(webhook_routes())
        .merge(repository_routes())
        .merge(history_routes())
        .merge(file_routes())
}

fn repository_routes() -> Routes {
    const PROJECT: Access = Access::Permission("READ on a repository of the project");
    Routes::default()
        .add(
            Method::GET,
            "/rest/api/latest/projects",
            Access::Public,
            repositories::projects,
        )
        .add(
            Method::GET,
            "/rest/api/latest/repos",
            Access::Public,
            repositories::search,
        )
        .add(
            Method::GET,
            "/rest/api/latest/projects/{key}",
            PROJECT,
            repositories::project,
        )
        .add(
            Method::GET,
            "/rest/api/latest/projects/{key}/repos",
            PROJECT,
            repositories::of_one_project,
        )
        .add(
            Method::GET,
            "/rest/api/latest/projects/{key}/repos/{slug}",
            READ,
            repositories::show,
        )
}

fn history_routes() -> Routes {
    const COMMITS: &str = "/rest/api/latest/projects/{key}/repos/{slug}/commits";
    const COMMIT: &str = "/rest/api/latest/projects/{key}/repos/{slug}/commits/{id}";
    const CHANGES_OF: &str = "/rest/api/latest/projects/{key}/repos/{slug}/commits/{id}/changes";
    const CHANGES: &str = "/rest/api/latest/projects/{key}/repos/{slug}/changes";
    const COMPARE: &str = "/rest/api/latest/projects/{key}/repos/{slug}/compare/commits";
    const BRANCHES: &str = "/rest/api/latest/projects/{key}/repos/{slug}/branches";
    const DEFAULT: &str = "/rest/api/latest/projects/{key}/repos/{slug}/branches/default";
    const DEFAULT_BRANCH: &str = "/rest/api/latest/projects/{key}/repos/{slug}/default-branch";
    const TAGS: &str = "/rest/api/latest/projects/{key}/repos/{slug}/tags";
    const TAG: &str = "/rest/api/latest/projects/{key}/repos/{slug}/tags/{*name}";
    Routes::default()
        .add(Method::GET, COMMITS, READ, commits::list)
        .add(Method::GET, COMMIT, READ, commits::show)
        .add(Method::GET, CHANGES_OF, READ, commits::changes_of)
        .add(Method::GET, CHANGES, READ, commits::changes)
        .add(Method::GET, COMPARE, READ, commits::compare)
        .add(Method::GET, BRANCHES, READ, refs::branches)
        .add(Method::GET, DEFAULT, READ, refs::default_branch)
        .add(Method::GET, DEFAULT_BRANCH, READ, refs::default_branch)
        .add(Method::GET, TAGS, READ, refs::tags)
        .add(Method::GET, TAG, READ, refs::tag)
}

fn file_routes() -> Routes {
    const FILES: &str = "/rest/api/latest/projects/{key}/repos/{slug}/files";
    const FILES_BELOW: &str = "/rest/api/latest/projects/{key}/repos/{slug}/files/{*path}";
    const BROWSE: &str = "/rest/api/latest/projects/{key}/repos/{slug}/browse";
    const BROWSE_BELOW: &str = "/rest/api/latest/projects/{key}/repos/{slug}/browse/{*path}";
    const RAW: &str = "/rest/api/latest/projects/{key}/repos/{slug}/raw/{*path}";
    Routes::default()
        .add(Method::GET, FILES, READ, files::files)
        .add(Method::GET, FILES_BELOW, READ, files::files_below)
        .add(Method::GET, BROWSE, READ, files::browse)
        .add(Method::GET, BROWSE_BELOW, READ, files::browse_below)
        .add(Method::GET, RAW, READ, files::raw)
}

/// push-payloads.md A.1.
fn hook_routes() -> Routes {
    const HOOKS: &str = "/rest/api/latest/projects/{key}/repos/{slug}/settings/hooks";
    const HOOK: &str = "/rest/api/latest/projects/{key}/repos/{slug}/settings/hooks/{hook}";
    const ENABLED: &str = "/rest/api/latest/projects/{key}/repos/{slug}/settings/hooks/{hook}/enabled";
    const SETTINGS: &str = "/rest/api/latest/projects/{key}/repos/{slug}/settings/hooks/{hook}/settings";
    Routes::default()
        .add(Method::GET, HOOKS, READ, hooks::list)
        .add(Method::GET, HOOK, READ, hooks::show)
        .add(Method::PUT, ENABLED, ADMIN, hooks::enable)
        .add(Method::DELETE, ENABLED, ADMIN, hooks::disable)
        .add(Method::GET, SETTINGS, ADMIN, hooks::settings)
        .add(Method::PUT, SETTINGS, ADMIN, hooks::set_settings)
}

/// push-payloads.md B.4.
fn webhook_routes() -> Routes {
    const WEBHOOKS: &str = "/rest/api/latest/projects/{key}/repos/{slug}/webhooks";
    const SEARCH: &str = "/rest/api/latest/projects/{key}/repos/{slug}/webhooks/search";
    const TEST: &str = "/rest/api/latest/projects/{key}/repos/{slug}/webhooks/test";
    const WEBHOOK: &str = "/rest/api/latest/projects/{key}/repos/{slug}/webhooks/{id}";
    const LATEST: &str = "/rest/api/latest/projects/{key}/repos/{slug}/webhooks/{id}/latest";
    const STATISTICS: &str = "/rest/api/latest/projects/{key}/repos/{slug}/webhooks/{id}/statistics";
    const SUMMARY: &str = "/rest/api/latest/projects/{key}/repos/{slug}/webhooks/{id}/statistics/summary";
    Routes::default()
        .add(Method::GET, WEBHOOKS, ADMIN, webhooks::list)
        .add(Method::POST, WEBHOOKS, ADMIN, webhooks::create)
        .add(Method::GET, SEARCH, ADMIN, webhooks::list)
        .add(Method::POST, TEST, ADMIN, webhooks::test)
        .add(Method::GET, WEBHOOK, ADMIN, webhooks::show)
        .add(Method::PUT, WEBHOOK, ADMIN, webhooks::change)
        .add(Method::DELETE, WEBHOOK, ADMIN, webhooks::remove)
        .add(Method::GET, LATEST, ADMIN, webhooks::latest)
        .add(Method::GET, STATISTICS, ADMIN, webhooks::statistics)
        .add(Method::GET, SUMMARY, ADMIN, webhooks::summary)
}

/// The repository of a path: `OWNER/SLUG`.
fn repository_name(key: &str, slug: &str) -> String {
    format!("{key}/{slug}")
}

/// The repository of a path, for those who may read it.
async fn readable(
    app: &App,
    visitor: &Visitor,
    key: &str,
    slug: &str,
) -> Result<ReadableRepository, Refused> {
    let name = repository_name(key, slug);
    let found = app.engine().read_repository(&visitor.caller, &name).await?;
    Ok(found.with_ssh(app.ssh_address()))
}

/// The number of a webhook.
fn number(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| {
        Refused::missing(
            "webhook.NoSuchWebhookException",
            format!("there is no webhook {}", madake_domain::text::inert(text, 40)),
        )
    })
}

/// The parts of a path below a repository.
type Repository = Path<(String, String)>;
/// The same with one part more.
type Below = Path<(String, String, String)>;
