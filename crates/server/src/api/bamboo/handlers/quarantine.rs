//! Tests that do not count for a while (bamboo-rest.md 3.3).

use axum::extract::{Path, State};
use http::StatusCode;
use madake_domain::key::{EntityKey, PlanKey};

use super::no_such_plan;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// The number of no test: what is not a number is refused as an unknown one is, once it is known who asks.
const NO_TEST: i64 = 0;

/// `POST /plan/{plan}/test/{testId}/quarantine`; a job's key in place of the plan's will do.
pub(super) async fn quarantine(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, test_id)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let (plan, test_id) = named(&key, &test_id).ok_or_else(|| no_such_plan(&key))?;
    app.engine()
        .quarantine_test(&visitor.caller, &plan, test_id, None)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /plan/{plan}/test/{testId}/unleash`
pub(super) async fn unleash(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, test_id)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let (plan, test_id) = named(&key, &test_id).ok_or_else(|| no_such_plan(&key))?;
    app.engine().release_test(&visitor.caller, &plan, test_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The plan and the number of a test.
fn named(key: &str, test_id: &str) -> Option<(PlanKey, i64)> {
    let plan = match key.parse().ok()? {
        EntityKey::Plan(plan) => plan,
        EntityKey::Job(job) => job.plan,
        _ => return None,
    };
    Some((plan, test_id.parse().unwrap_or(NO_TEST)))
}
