//! What comes in from outside: remote triggers and push webhooks.

mod remote_trigger;
mod webhook;

use http::Method;

use crate::routes::{Access, Routes};

/// The routes of intake.
pub(crate) fn routes() -> Routes {
    let plan = Access::Permission("READ on the plan, and an address on the trigger's list");
    Routes::default()
        .add(
            Method::GET,
            "/updateAndBuild.action",
            plan,
            remote_trigger::update_and_build,
        )
        .add(
            Method::POST,
            "/updateAndBuild.action",
            plan,
            remote_trigger::update_and_build,
        )
        .add(
            Method::GET,
            "/api/rest/updateAndBuild.action",
            plan,
            remote_trigger::update_and_build,
        )
        .add(
            Method::POST,
            "/api/rest/updateAndBuild.action",
            plan,
            remote_trigger::update_and_build,
        )
        .add(
            Method::POST,
            "/rest/triggers/latest/remote/changeDetection",
            plan,
            remote_trigger::change_detection,
        )
        .add(
            Method::POST,
            "/intake/{token}",
            Access::PathToken,
            webhook::receive,
        )
}
