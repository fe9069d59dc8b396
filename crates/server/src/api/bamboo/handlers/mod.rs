//! The resources of Bamboo's REST API: each loads what the caller may see and hands it to [`super::render`].
//!
//! Handlers decide nothing: operations of the engine check permissions, `load` fills views inside one read of
//! the store, and the renderers know the shapes (bamboo-rest.md 2 to 6).

mod asked;
mod branch;
mod comment;
mod deploy;
mod favourite;
mod fields;
mod filter;
mod load;
mod log;
mod plan;
mod project;
mod quarantine;
mod queue;
mod result;
mod search;
mod server;
mod set_label;
mod set_variable;
mod stop_plan;
mod variable;

use http::Method;

use super::error::ApiError;
use crate::refusal::Failure;
use crate::routes::{Access, Routes};

const READ: Access = Access::Permission("READ on the plan");
const BUILD: Access = Access::Permission("BUILD on the plan");
const WRITE: Access = Access::Permission("WRITE on the plan");
const CREATE_BRANCH: Access = Access::Permission("CREATE PLAN BRANCH on the plan");
const ADMINISTRATION: Access = Access::Permission("ADMINISTRATION on the server");

/// The routes of Bamboo's REST API, and of the logs and the web action that its clients use beside it.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .merge(server_routes())
        .merge(plan_routes())
        .merge(result_routes())
        .merge(queue_routes())
        .merge(deploy::routes())
        .merge(variable_routes())
        .merge(label_routes())
        .merge(search_routes())
}

/// The quick search.
fn search_routes() -> Routes {
    let public = Access::Public;
    let deployment = Access::Permission("READ on the deployment project");
    let of_server = Routes::default()
        .add(
            Method::GET,
            "/rest/api/latest/search/plans",
            public,
            search::plans,
        )
        .add(
            Method::GET,
            "/rest/api/latest/search/projects",
            public,
            search::projects,
        )
        .add(
            Method::GET,
            "/rest/api/latest/search/deployments",
            public,
            search::deployments,
        );
    of_server
        .add(
            Method::GET,
            "/rest/api/latest/search/branches",
            READ,
            search::branches,
        )
        .add(
            Method::GET,
            "/rest/api/latest/search/jobs/{key}",
            READ,
            search::jobs,
        )
        .add(
            Method::GET,
            "/rest/api/latest/search/stages/{key}",
            READ,
            search::stages,
        )
        .add(
            Method::GET,
            "/rest/api/latest/search/versions",
            deployment,
            search::versions,
        )
}

/// Labels that people give and take away.
fn label_routes() -> Routes {
    let result = "/rest/api/latest/result/{key}/label";
    let plan = "/rest/api/latest/plan/{key}/label";
    Routes::default()
        .add(Method::POST, result, BUILD, set_label::label_result)
        .add(
            Method::DELETE,
            "/rest/api/latest/result/{key}/label/{name}",
            BUILD,
            set_label::unlabel_result,
        )
        .add(Method::POST, plan, WRITE, set_label::label_plan)
        .add(
            Method::DELETE,
            "/rest/api/latest/plan/{key}/label/{name}",
            WRITE,
            set_label::unlabel_plan,
        )
}

/// Variables that people set.
fn variable_routes() -> Routes {
    let project = Access::Permission("ADMINISTRATION on the project");
    let plan = Access::Permission("ADMINISTRATION on the plan");
    let global = "/rest/admin/latest/globalVariables";
    let one_global = "/rest/admin/latest/globalVariables/{id}";
    let of_project = "/rest/api/latest/project/{key}/variable/{name}";
    let mut routes = Routes::default()
        .add(Method::GET, global, ADMINISTRATION, set_variable::globals)
        .add(Method::POST, global, ADMINISTRATION, set_variable::make_global)
        .add(Method::GET, one_global, ADMINISTRATION, set_variable::global)
        .add(
            Method::PUT,
            one_global,
            ADMINISTRATION,
            set_variable::change_global,
        )
        .add(
            Method::DELETE,
            one_global,
            ADMINISTRATION,
            set_variable::remove_global,
        )
        .add(
            Method::GET,
            "/rest/api/latest/project/{key}/variables",
            project,
            set_variable::of_project,
        )
        .add(
            Method::POST,
            "/rest/api/latest/project/{key}/variable",
            project,
            set_variable::make_of_project,
        )
        .add(Method::GET, of_project, project, set_variable::single_of_project)
        .add(Method::PUT, of_project, project, set_variable::change_of_project)
        .add(
            Method::DELETE,
            of_project,
            project,
            set_variable::remove_of_project,
        );
    for (list, single) in [
        (
            "/rest/api/latest/plan/{key}/variables",
            "/rest/api/latest/plan/{key}/variables/{name}",
        ),
        (
            "/rest/api/latest/plan/{key}/variable",
            "/rest/api/latest/plan/{key}/variable/{name}",
        ),
    ] {
        routes = routes
            .add(Method::POST, list, plan, set_variable::make_of_plan)
            .add(Method::PUT, single, plan, set_variable::change_of_plan)
            .add(Method::DELETE, single, plan, set_variable::remove_of_plan);
    }
    routes
}

fn server_routes() -> Routes {
    let public = Access::Public;
    Routes::default()
        .add(Method::GET, "/rest/api/latest", public, server::root)
        .add(Method::GET, "/rest/api/1.0", public, server::root)
        .add(Method::GET, "/rest/api/latest/info", public, server::info)
        .add(Method::GET, "/rest/api/latest/server", public, server::server)
        .add(Method::GET, "/rest/api/latest/status", public, server::status)
        .add(
            Method::POST,
            "/rest/api/latest/server/pause",
            ADMINISTRATION,
            server::pause,
        )
        .add(
            Method::POST,
            "/rest/api/latest/server/resume",
            ADMINISTRATION,
            server::resume,
        )
        .add(
            Method::GET,
            "/rest/api/latest/currentUser",
            Access::LoggedIn,
            server::current_user,
        )
}

fn plan_routes() -> Routes {
    let public = Access::Public;
    let project = Access::Permission("READ on the project or on one of its plans");
    Routes::default()
        .add(Method::GET, "/rest/api/latest/project", public, project::list)
        .add(
            Method::GET,
            "/rest/api/latest/project/{key}",
            project,
            project::single,
        )
        .add(Method::GET, "/rest/api/latest/plan", public, plan::list)
        .add(Method::GET, "/rest/api/latest/plan/{key}", READ, plan::single)
        .add(
            Method::GET,
            "/rest/api/latest/plan/{key}/{second}",
            READ,
            plan::single_in_two_parts,
        )
        .add(
            Method::POST,
            "/rest/api/latest/plan/{key}/enable",
            WRITE,
            plan::enable,
        )
        .add(
            Method::DELETE,
            "/rest/api/latest/plan/{key}/enable",
            WRITE,
            plan::disable,
        )
        .add(
            Method::POST,
            "/rest/api/latest/plan/{key}/favourite",
            READ,
            favourite::add,
        )
        .add(
            Method::DELETE,
            "/rest/api/latest/plan/{key}/favourite",
            READ,
            favourite::remove,
        )
        .add(
            Method::GET,
            "/rest/api/latest/plan/{key}/label",
            READ,
            plan::labels,
        )
        .add(
            Method::GET,
            "/rest/api/latest/plan/{key}/variables",
            READ,
            variable::list,
        )
        .add(
            Method::GET,
            "/rest/api/latest/plan/{key}/variable",
            READ,
            variable::list,
        )
        .add(
            Method::GET,
            "/rest/api/latest/plan/{key}/variables/{name}",
            READ,
            variable::single,
        )
        .add(
            Method::GET,
            "/rest/api/latest/plan/{key}/variable/{name}",
            READ,
            variable::single,
        )
        .add(
            Method::GET,
            "/rest/api/latest/plan/{key}/branch",
            READ,
            branch::list,
        )
        .add(
            Method::GET,
            "/rest/api/latest/plan/{key}/branch/{*name}",
            READ,
            branch::single,
        )
        .add(
            Method::PUT,
            "/rest/api/latest/plan/{key}/branch/{*name}",
            CREATE_BRANCH,
            branch::create,
        )
        .add(
            Method::POST,
            "/rest/api/latest/plan/{key}/test/{id}/quarantine",
            WRITE,
            quarantine::quarantine,
        )
        .add(
            Method::POST,
            "/rest/api/latest/plan/{key}/test/{id}/unleash",
            WRITE,
            quarantine::unleash,
        )
        .add(
            Method::GET,
            "/rest/api/latest/plan/{key}/vcsBranches",
            READ,
            branch::vcs_branches,
        )
}

fn result_routes() -> Routes {
    let public = Access::Public;
    Routes::default()
        .add(
            Method::GET,
            "/rest/api/latest/result",
            public,
            result::latest_of_all,
        )
        .add(Method::GET, "/rest/api/latest/result/{key}", READ, result::by_key)
        .add(
            Method::GET,
            "/rest/api/latest/result/{key}/{second}",
            READ,
            result::by_two_parts,
        )
        .add(
            Method::GET,
            "/rest/api/latest/result/{key}/{second}/{third}",
            READ,
            result::by_three_parts,
        )
        .add(
            Method::GET,
            "/rest/api/latest/result/{key}/branch/{*name}",
            READ,
            result::of_branch,
        )
        .add(
            Method::GET,
            "/rest/api/latest/result/{key}/label",
            READ,
            result::labels,
        )
        .add(
            Method::GET,
            "/rest/api/latest/result/{key}/comment",
            READ,
            comment::list,
        )
        .add(
            Method::POST,
            "/rest/api/latest/result/{key}/comment",
            READ,
            comment::add,
        )
        .add(
            Method::DELETE,
            "/rest/api/latest/result/{key}/comment/{id}",
            READ,
            comment::remove,
        )
        .add(
            Method::GET,
            "/rest/api/latest/result/byChangeset/{id}",
            public,
            result::by_changeset,
        )
        .add(
            Method::GET,
            "/rest/api/latest/result/byCheckoutChangeset/{id}",
            public,
            result::by_checkout_changeset,
        )
        .add(
            Method::GET,
            "/rest/api/latest/result/status/{key}",
            READ,
            result::status,
        )
        .add(
            Method::GET,
            "/download/{key}/build_logs/{file}",
            READ,
            log::download,
        )
}

fn queue_routes() -> Routes {
    Routes::default()
        .add(Method::GET, "/rest/api/latest/queue", Access::Public, queue::list)
        .add(Method::POST, "/rest/api/latest/queue/{key}", BUILD, queue::add)
        .add(Method::PUT, "/rest/api/latest/queue/{key}", BUILD, queue::go_on)
        .add(Method::DELETE, "/rest/api/latest/queue/{key}", BUILD, queue::stop)
        .add(
            Method::POST,
            "/build/admin/stopPlan.action",
            BUILD,
            stop_plan::stop_plan,
        )
}

/// A refusal that no administrator needs to hear of.
fn refuse(error: ApiError) -> Failure {
    Failure { error, trace: None }
}

/// 404 for a text that names no plan, made harmless, since it may be anything.
fn no_such_plan(text: &str) -> Failure {
    refuse(ApiError::plan_not_found(&madake_domain::text::inert(text, 80)))
}
