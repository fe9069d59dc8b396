//! One plan: what describes it, what was found wrong with it, and whose it is.

use axum::Json as Answer;
use axum::extract::{Path, State};
use madake_domain::key::PlanKey;
use madake_engine::ops::own_plan::{ShownClaim, ShownPlan};
use madake_engine::ops::show_triggers::ShownTriggers;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, parse};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /plans/{key}`: a plan or plan branch, the version in force, findings and claims.
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let key: PlanKey = parse(&key)?;
    let shown = app.engine().show_plan(&visitor.caller, &key).await?;
    let triggers = app.engine().show_triggers(&visitor.caller, &key).await?;
    Ok(Answer(view(&shown, &triggers)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Owner {
    repository: String,
}

/// `PUT /plans/{key}/owner`: decides whose plan it is.
pub(super) async fn decide(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    Json(asked): Json<Owner>,
) -> Result<Answer<Value>, Failure> {
    let key: PlanKey = parse(&key)?;
    let shown = app
        .engine()
        .set_plan_owner(&visitor.caller, &key, &asked.repository)
        .await?;
    let triggers = app.engine().show_triggers(&visitor.caller, &key).await?;
    Ok(Answer(view(&shown, &triggers)))
}

/// The claims about which nobody has decided.
pub(super) fn open_claims(shown: &ShownPlan) -> Vec<Value> {
    let open = shown.claims.iter().filter(|one| one.claim.settled_ms.is_none());
    open.map(claim_view).collect()
}

fn claim_view(one: &ShownClaim) -> Value {
    json!({
        "repository": one.repository,
        "revision": one.claim.revision,
        "event": one.claim.event_id,
        "claimedMs": one.claim.claimed_ms,
        "settledMs": one.claim.settled_ms,
    })
}

fn view(shown: &ShownPlan, triggers: &ShownTriggers) -> Value {
    let findings: Vec<Value> = shown
        .findings
        .iter()
        .map(|one| {
            let finding = &one.finding;
            json!({
                "repository": one.repository,
                "branch": one.branch,
                "revision": one.revision,
                "severity": finding.severity.as_str(),
                "code": finding.code,
                "file": finding.file,
                "line": finding.line,
                "column": finding.column,
                "message": finding.message,
                "expected": finding.expected,
                "suggestion": finding.suggestion,
                "note": finding.note,
                "about": finding.subject,
                "text": madake_specs::render_line(finding),
                "foundMs": one.found_ms,
            })
        })
        .collect();
    let claims: Vec<Value> = shown.claims.iter().map(claim_view).collect();
    json!({
        "key": shown.branch.key.to_string(),
        "plan": shown.plan.key.to_string(),
        "name": shown.plan.name,
        "branch": (!shown.branch.is_master).then_some(&shown.branch.display_name),
        "enabled": shown.plan.enabled && shown.branch.enabled,
        "repository": shown.owner,
        "version": shown.version,
        "versionMs": shown.version_ms,
        "findings": findings,
        "claims": claims,
        "ownTriggers": triggers.own,
        "triggers": triggers
            .triggers
            .iter()
            .map(|one| json!({ "words": one.words, "nextMs": one.next_ms }))
            .collect::<Vec<_>>(),
        "lastDecision": triggers.last.as_ref().map(|last| {
            json!({ "event": last.event_id, "sentence": last.sentence, "decidedMs": last.decided_ms })
        }),
    })
}
