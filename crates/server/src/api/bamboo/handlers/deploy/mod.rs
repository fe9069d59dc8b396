//! Deployments: projects, environments, releases, results, and their queue (bamboo-rest.md 6.1, 9).

mod edit;
mod environment;
mod preview;
mod project;
mod queue;
mod release;
mod result;
mod shape;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::super::error::ApiError;
use super::refuse;
use crate::refusal::Failure;
use crate::router::BODY_LIMIT;
use crate::routes::{Access, Routes};

const READ: Access = Access::Permission("READ on the deployment project");
const THERE: Access = Access::Permission("READ on the environment");
const DEPLOY: Access = Access::Permission("BUILD on the environment");
const CREATE: Access = Access::Permission("CREATE_RELEASE on the deployment project");
const APPROVE: Access = Access::Permission("APPROVE_RELEASE on the deployment project");
const CHANGE: Access = Access::Permission("WRITE on the deployment project");
const CHANGE_THERE: Access = Access::Permission("WRITE on the environment");
const MAKE: Access = Access::Permission("CREATE on the plan's project");
const ADMINISTER: Access = Access::Permission("ADMINISTRATION on the deployment project");

/// The routes of deployments.
pub(super) fn routes() -> Routes {
    let public = Access::Public;
    Routes::default()
        .add(
            Method::GET,
            "/rest/api/latest/deploy/project/all",
            public,
            project::all,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/project/forPlan",
            public,
            project::for_plan,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/project/{id}",
            READ,
            project::single,
        )
        .add(
            Method::DELETE,
            "/rest/api/latest/deploy/project/{id}",
            ADMINISTER,
            project::remove,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/project/{id}/versions",
            READ,
            release::list,
        )
        .add(
            Method::POST,
            "/rest/api/latest/deploy/project/{id}/version",
            CREATE,
            release::create,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/projectVersioning/{id}/nextVersion",
            READ,
            release::next_name,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/dashboard",
            public,
            project::dashboard,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/dashboard/paginate",
            public,
            project::dashboard_page,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/dashboard/{id}",
            READ,
            project::dashboard_of_one,
        )
        .merge(releases_and_results())
        .merge(changes())
        .merge(looks_ahead())
}

/// Projects that people keep. Bamboo's description and its clients do not agree on POST and PUT: both are served.
fn changes() -> Routes {
    let mut routes = Routes::default();
    for method in [Method::PUT, Method::POST] {
        routes = routes
            .add(
                method.clone(),
                "/rest/api/latest/deploy/project",
                MAKE,
                edit::create,
            )
            .add(
                method.clone(),
                "/rest/api/latest/deploy/project/{id}",
                CHANGE,
                edit::update,
            )
            .add(
                method.clone(),
                "/rest/api/latest/deploy/project/{id}/environment",
                CHANGE,
                edit::create_environment,
            )
            .add(
                method,
                "/rest/api/latest/deploy/environment/{id}",
                CHANGE_THERE,
                edit::update_environment,
            );
    }
    routes
        .add(
            Method::DELETE,
            "/rest/api/latest/deploy/environment/{id}",
            CHANGE_THERE,
            edit::remove_environment,
        )
        .add(
            Method::DELETE,
            "/rest/api/latest/deploy/version/{id}",
            CHANGE,
            edit::remove_release,
        )
}

/// What is asked before a release is made, and the dashboard in parts.
fn looks_ahead() -> Routes {
    Routes::default()
        .add(
            Method::GET,
            "/rest/api/latest/deploy/project/{id}/version",
            READ,
            release::list,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/preview/versionName",
            READ,
            preview::version_name,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/preview/possibleResults",
            READ,
            preview::possible_results,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/dashboard/paginate/{id}",
            READ,
            project::dashboard_page_of_one,
        )
        .add(
            Method::POST,
            "/rest/api/latest/deploy/dashboard/status",
            Access::Public,
            project::dashboard_status,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/environment/{id}/requirement",
            THERE,
            environment::requirements,
        )
}

fn releases_and_results() -> Routes {
    Routes::default()
        .add(
            Method::GET,
            "/rest/api/latest/deploy/environment/{id}",
            THERE,
            environment::single,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/environment/{id}/results",
            THERE,
            environment::results,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/version/{id}",
            READ,
            release::single,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/version/{id}/build-result",
            READ,
            release::build_result,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/version/{id}/status",
            READ,
            release::status,
        )
        .add(
            Method::POST,
            "/rest/api/latest/deploy/version/{id}/status/{name}",
            APPROVE,
            release::judge,
        )
        .add(
            Method::GET,
            "/rest/api/latest/deploy/result/{id}",
            THERE,
            result::single,
        )
        .add(
            Method::GET,
            "/rest/api/latest/queue/deployment",
            Access::Public,
            queue::list,
        )
        .add(
            Method::POST,
            "/rest/api/latest/queue/deployment",
            DEPLOY,
            queue::add,
        )
        .add(
            Method::DELETE,
            "/rest/api/latest/queue/deployment/{id}",
            DEPLOY,
            queue::stop,
        )
}

/// The id of a path. What is none is the id of nothing, so that strangers learn nothing from it.
fn id(text: &str) -> i64 {
    text.parse().unwrap_or(-1)
}

/// A body of JSON, under any content type; nothing is an empty object.
struct JsonBody<T>(Result<T, Failure>);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = to_bytes(request.into_body(), BODY_LIMIT).await.map_err(|_| {
            refuse(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too large or was cut off",
            ))
        })?;
        let text = match bytes.trim_ascii() {
            b"" => b"{}".as_slice(),
            text => text,
        };
        // A body that cannot be read is told only to those who may come so far.
        Ok(Self(serde_json::from_slice(text).map_err(|error| {
            refuse(ApiError::invalid(format!("the body cannot be read: {error}")))
        })))
    }
}
