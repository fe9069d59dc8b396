//! Our own interface, under `/rest/madake/1.0/`: JSON only. docs/native-api.md has every route with its fields.
//!
//! Handlers read a request, call one operation of the engine, and word what came of it. Times are milliseconds since
//! 1970 in fields whose names end in `Ms`.

mod body;
mod branch_permissions;
mod brokers;
mod builds;
mod capabilities;
mod credentials;
mod deployments;
mod events;
mod groups;
mod hearing;
mod hooks;
mod keys;
mod log;
mod log_purges;
mod mirrors;
mod notifications;
mod permissions;
mod plan_files;
mod plan_owner;
mod plans;
mod pull_requests;
mod receivers;
mod repositories;
mod server;
mod tests;
mod tokens;
mod users;
mod variables;
mod webhooks;

use http::Method;

use crate::routes::{Access, Routes};

const GLOBAL: Access = Access::Permission("ADMINISTRATION on the server");
const OWN: Access = Access::Permission("ADMINISTRATION on the server, except for one's own");
const SUBJECT: Access = Access::Permission("ADMINISTRATION on the thing that the permission is on");
const READ: Access = Access::Permission("READ on the plan");
const CONFIGURATION: Access = Access::Permission("VIEW_CONFIGURATION on the plan");
const BUILD: Access = Access::Permission("BUILD on the plan");

/// The routes of our own interface.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .merge(arrivals())
        .merge(mirrors())
        .merge(telling())
        .merge(notifying())
        .merge(people())
        .merge(credentials())
        .merge(purges())
        .merge(running())
        .merge(tested())
        .merge(deployments::routes())
}

/// Repositories and what tells us of pushes to them.
fn arrivals() -> Routes {
    let create = Access::Permission("CREATEREPOSITORY on the project");
    let write = Access::Permission("WRITE on the repository");
    let repository = Access::Permission("ADMINISTRATION on the repository");
    Routes::default()
        .add(
            Method::GET,
            "/rest/madake/1.0/repositories",
            Access::Public,
            repositories::list,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/repositories",
            create,
            repositories::create,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/repositories/attach",
            GLOBAL,
            repositories::attach,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/repositories/link",
            GLOBAL,
            repositories::link,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/repositories/credential",
            GLOBAL,
            repositories::set_credential,
        )
        .add(
            Method::DELETE,
            "/rest/madake/1.0/repositories",
            repository,
            repositories::remove,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/repositories/name",
            repository,
            repositories::rename,
        )
        .merge(attributes())
        .add(
            Method::GET,
            "/rest/madake/1.0/hearing",
            Access::Public,
            hearing::list,
        )
        .merge(proposals())
        .add(Method::POST, "/rest/madake/1.0/hooks", GLOBAL, hooks::install)
        .add(Method::DELETE, "/rest/madake/1.0/hooks", GLOBAL, hooks::remove)
        .add(
            Method::POST,
            "/rest/madake/1.0/hooks/receive",
            write,
            hooks::receive,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/plan-files/reread",
            write,
            plan_files::reread,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/webhooks",
            repository,
            webhooks::list,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/webhooks",
            repository,
            webhooks::create,
        )
        .add(
            Method::DELETE,
            "/rest/madake/1.0/webhooks/{id}",
            GLOBAL,
            webhooks::revoke,
        )
}

/// Tests of plans, and those of them that do not count for a while.
fn tested() -> Routes {
    let write = Access::Permission("WRITE on the plan");
    Routes::default()
        .add(
            Method::GET,
            "/rest/madake/1.0/plans/{key}/tests",
            READ,
            tests::list,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/plans/{key}/tests/{id}",
            READ,
            tests::show,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/plans/{key}/tests/{id}/quarantine",
            write,
            tests::quarantine,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/plans/{key}/tests/{id}/release",
            write,
            tests::release,
        )
}

/// Pull requests of linked repositories.
fn proposals() -> Routes {
    let read = Access::Permission("READ on the repository");
    let administer = Access::Permission("ADMINISTRATION on the repository");
    Routes::default()
        .add(
            Method::GET,
            "/rest/madake/1.0/pull-requests",
            read,
            pull_requests::list,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/pull-requests/allow",
            administer,
            pull_requests::allow,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/forks",
            administer,
            pull_requests::trust,
        )
}

/// What repositories are about, and which of their branches are protected.
fn attributes() -> Routes {
    let read = Access::Permission("READ on the repository");
    let administer = Access::Permission("ADMINISTRATION on the repository");
    Routes::default()
        .add(
            Method::GET,
            "/rest/madake/1.0/repositories/attributes",
            read,
            repositories::show,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/repositories/attributes",
            administer,
            repositories::edit,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/branch-permissions",
            read,
            branch_permissions::list,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/branch-permissions",
            administer,
            branch_permissions::keep,
        )
        .add(
            Method::DELETE,
            "/rest/madake/1.0/branch-permissions",
            administer,
            branch_permissions::remove,
        )
}

/// Repositories that follow others, and others that follow them.
fn mirrors() -> Routes {
    let repository = Access::Permission("ADMINISTRATION on the repository");
    Routes::default()
        .add(
            Method::GET,
            "/rest/madake/1.0/mirrors",
            Access::Public,
            mirrors::list,
        )
        .add(Method::POST, "/rest/madake/1.0/mirrors", GLOBAL, mirrors::create)
        .add(
            Method::POST,
            "/rest/madake/1.0/mirrors/{id}/sync",
            repository,
            mirrors::sync,
        )
        .add(
            Method::DELETE,
            "/rest/madake/1.0/mirrors/{id}",
            GLOBAL,
            mirrors::remove,
        )
}

/// Who is told of pushes.
fn telling() -> Routes {
    let repository = Access::Permission("ADMINISTRATION on the repository");
    Routes::default()
        .add(
            Method::GET,
            "/rest/madake/1.0/receivers",
            repository,
            receivers::list,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/receivers",
            repository,
            receivers::create,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/receivers/{id}",
            repository,
            receivers::show,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/receivers/{id}",
            repository,
            receivers::change,
        )
        .add(
            Method::DELETE,
            "/rest/madake/1.0/receivers/{id}",
            repository,
            receivers::remove,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/receivers/{id}/enable",
            repository,
            receivers::enable,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/receivers/{id}/disable",
            repository,
            receivers::disable,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/receivers/{id}/test",
            repository,
            receivers::test,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/receivers/{id}/deliveries",
            repository,
            receivers::deliveries,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/receivers/{id}/redeliver",
            repository,
            receivers::redeliver_failed,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/deliveries/{id}",
            repository,
            receivers::delivery,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/deliveries/{id}/redeliver",
            repository,
            receivers::redeliver,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/receivers/{id}/preview",
            repository,
            brokers::preview_receiver,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/brokers",
            Access::LoggedIn,
            brokers::types,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/brokers/preview",
            Access::LoggedIn,
            brokers::preview,
        )
}

/// Who is told of builds.
fn notifying() -> Routes {
    let administer = Access::Permission("ADMINISTRATION on the plan, on the server for all plans");
    let own = Access::Permission("READ on the plan; ADMINISTRATION on it for others than oneself");
    Routes::default()
        .add(
            Method::GET,
            "/rest/madake/1.0/notifications",
            administer,
            notifications::list,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/notifications/{id}",
            administer,
            notifications::show,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/notifications/{id}/send",
            administer,
            notifications::send,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/plans/{key}/watchers",
            READ,
            notifications::watchers,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/plans/{key}/watchers/{user}",
            own,
            notifications::watch,
        )
        .add(
            Method::DELETE,
            "/rest/madake/1.0/plans/{key}/watchers/{user}",
            own,
            notifications::unwatch,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/plans/{key}/responsible",
            BUILD,
            notifications::assign,
        )
}

/// Users, groups, tokens, permissions.
fn people() -> Routes {
    Routes::default()
        .add(Method::GET, "/rest/madake/1.0/users", GLOBAL, users::list)
        .add(Method::POST, "/rest/madake/1.0/users", GLOBAL, users::create)
        .add(
            Method::PUT,
            "/rest/madake/1.0/users/{name}/password",
            OWN,
            users::set_password,
        )
        .add(Method::GET, "/rest/madake/1.0/groups", GLOBAL, groups::list)
        .add(Method::POST, "/rest/madake/1.0/groups", GLOBAL, groups::create)
        .add(
            Method::DELETE,
            "/rest/madake/1.0/groups/{name}",
            GLOBAL,
            groups::remove,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/groups/{name}/members/{user}",
            GLOBAL,
            groups::add_member,
        )
        .add(
            Method::DELETE,
            "/rest/madake/1.0/groups/{name}/members/{user}",
            GLOBAL,
            groups::remove_member,
        )
        .add(Method::GET, "/rest/madake/1.0/tokens", OWN, tokens::list)
        .add(Method::POST, "/rest/madake/1.0/tokens", OWN, tokens::create)
        .add(
            Method::DELETE,
            "/rest/madake/1.0/tokens/{id}",
            OWN,
            tokens::revoke,
        )
        .merge(keys())
        .add(
            Method::GET,
            "/rest/madake/1.0/permissions",
            SUBJECT,
            permissions::list,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/permissions/grant",
            SUBJECT,
            permissions::grant,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/permissions/revoke",
            SUBJECT,
            permissions::revoke,
        )
}

/// SSH keys of users and repositories.
fn keys() -> Routes {
    let access = Access::Permission(
        "ADMINISTRATION on the server, except for one's own; on the repository for its own",
    );
    Routes::default()
        .add(Method::GET, "/rest/madake/1.0/keys", access, keys::list)
        .add(Method::POST, "/rest/madake/1.0/keys", access, keys::add)
        .add(Method::DELETE, "/rest/madake/1.0/keys/{id}", access, keys::remove)
}

/// Variables that people set.
fn variables() -> Routes {
    let access = Access::Permission("ADMINISTRATION on the server, the project or the plan");
    let path = "/rest/madake/1.0/variables";
    Routes::default()
        .add(
            Method::GET,
            "/rest/madake/1.0/variables/missing",
            Access::LoggedIn,
            variables::missing,
        )
        .add(Method::GET, path, access, variables::list)
        .add(Method::PUT, path, access, variables::set)
        .add(Method::DELETE, path, access, variables::remove)
}

/// Lines that are taken out of logs.
fn purges() -> Routes {
    let path = "/rest/madake/1.0/logs/{key}/purges";
    let administer = Access::Permission("ADMINISTRATION on the plan or the deployment project");
    Routes::default()
        .add(Method::GET, path, READ, log_purges::list)
        .add(Method::POST, path, administer, log_purges::purge)
}

/// What plans log in with elsewhere.
fn credentials() -> Routes {
    let access = Access::Permission("ADMINISTRATION on the server or the project");
    let path = "/rest/madake/1.0/credentials";
    Routes::default()
        .add(Method::GET, path, Access::LoggedIn, credentials::list)
        .add(Method::PUT, path, access, credentials::keep)
        .add(Method::DELETE, path, access, credentials::remove)
        .add(
            Method::POST,
            "/rest/madake/1.0/credentials/grant",
            access,
            credentials::grant,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/credentials/revoke",
            access,
            credentials::revoke,
        )
}

/// Plans, builds, the ledger, the server.
fn running() -> Routes {
    Routes::default()
        .merge(variables())
        .add(Method::GET, "/rest/madake/1.0/plans", Access::Public, plans::list)
        .add(
            Method::GET,
            "/rest/madake/1.0/plans/{key}",
            READ,
            plan_owner::show,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/plans/{key}/owner",
            GLOBAL,
            plan_owner::decide,
        )
        .add(Method::GET, "/rest/madake/1.0/plans/{key}/why", READ, plans::why)
        .add(
            Method::GET,
            "/rest/madake/1.0/plans/{key}/specs",
            CONFIGURATION,
            plans::specs,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/plans/{key}/trigger",
            READ,
            plans::trigger,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/plans/{key}/builds",
            BUILD,
            builds::queue,
        )
        .add(Method::GET, "/rest/madake/1.0/builds/{key}", READ, builds::status)
        .add(
            Method::POST,
            "/rest/madake/1.0/builds/{key}/continue",
            BUILD,
            builds::go_on,
        )
        .add(
            Method::POST,
            "/rest/madake/1.0/builds/{key}/stop",
            BUILD,
            builds::stop,
        )
        .add(Method::GET, "/rest/madake/1.0/builds/{key}/log", READ, log::read)
        .add(
            Method::GET,
            "/rest/madake/1.0/events",
            Access::Public,
            events::list,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/events/{id}",
            Access::Permission("READ on what it is about"),
            events::explain,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/events/{id}/raw",
            GLOBAL,
            events::raw,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/status",
            Access::LoggedIn,
            server::status,
        )
        .add(
            Method::GET,
            "/rest/madake/1.0/capabilities",
            GLOBAL,
            capabilities::list,
        )
        .add(
            Method::PUT,
            "/rest/madake/1.0/capabilities",
            GLOBAL,
            capabilities::set,
        )
        .add(
            Method::DELETE,
            "/rest/madake/1.0/capabilities",
            GLOBAL,
            capabilities::remove,
        )
        .add(Method::POST, "/rest/madake/1.0/pause", GLOBAL, server::pause)
        .add(Method::POST, "/rest/madake/1.0/resume", GLOBAL, server::resume)
}
