//! `/browse/PROJ-PLAN/config`: what describes a plan, what was found wrong with it, and who else claims it.

use axum::extract::State;
use http::StatusCode;
use jiff::tz::TimeZone;
use madake_domain::key::PlanKey;
use madake_engine::EngineError;
use madake_engine::ops::own_plan::ShownPlan;
use madake_engine::ops::show_triggers::ShownTriggers;
use serde::Serialize;

use super::address::Site;
use super::asked::{Asked, Page, Refused};
use super::login::log_in_page;
use super::shown;
use super::template::render;
use crate::App;
use crate::auth::Visitor;

#[derive(Debug, Serialize)]
struct PlanPage {
    heading: String,
    owner: String,
    version: String,
    variables_url: String,
    state: &'static str,
    conflicts: Vec<String>,
    decided: Vec<String>,
    own_triggers: bool,
    triggers: Vec<TriggerRow>,
    last: String,
    findings: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct TriggerRow {
    words: String,
    next: String,
}

#[derive(Debug, Serialize)]
struct Row {
    severity: &'static str,
    place: String,
    message: String,
    help: String,
    from: String,
}

/// The page.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let missing = || {
        asked.missing(
            &app,
            &visitor,
            "There is no such plan",
            "It does not exist, or you may not read it.",
        )
    };
    let key: PlanKey = asked.part("key").parse().map_err(|_| missing())?;
    let found = match app.engine().show_plan(&visitor.caller, &key).await {
        Ok(found) => found,
        Err(EngineError::NotFound(_) | EngineError::Forbidden { .. }) => return Err(missing()),
        Err(EngineError::Unauthenticated { .. }) => {
            return Err(Refused::Page(Box::new(log_in_page(
                &app,
                &visitor,
                &asked.address,
                "Log in to see this page.",
            ))));
        }
        Err(other) => return Err(other.into()),
    };
    let triggers = app.engine().show_triggers(&visitor.caller, &key).await?;
    let zone = app.engine().settings().time_zone.clone();
    let frame = asked.frame(&app, &visitor, found.branch.key.as_str());
    Ok(render(
        StatusCode::OK,
        "plan.html",
        &frame,
        &described(&found, &triggers, &zone, &Site::of(&app)),
    ))
}

/// A moment of the server's time zone.
fn moment(time_ms: i64, zone: &TimeZone) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let zoned = time.to_zoned(zone.clone());
    zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

fn described(found: &ShownPlan, triggers: &ShownTriggers, zone: &TimeZone, site: &Site) -> PlanPage {
    let (open, settled): (Vec<_>, Vec<_>) = found
        .claims
        .iter()
        .partition(|one| one.claim.settled_ms.is_none());
    let names = |claims: Vec<&madake_engine::ops::own_plan::ShownClaim>| {
        claims.iter().map(|one| shown::line(&one.repository)).collect()
    };
    let heading = if found.branch.is_master {
        format!("{} ({})", found.plan.name, found.plan.key)
    } else {
        format!(
            "{} - {} ({})",
            found.plan.name, found.branch.display_name, found.branch.key
        )
    };
    PlanPage {
        heading: shown::line(&heading),
        owner: found.owner.as_deref().map(shown::line).unwrap_or_default(),
        version: shown::line(&found.version),
        variables_url: site.at(&format!("/variables?plan={}", found.plan.key)),
        state: if found.plan.enabled && found.branch.enabled {
            ""
        } else {
            "disabled"
        },
        conflicts: names(open),
        decided: names(settled),
        own_triggers: triggers.own,
        triggers: triggers
            .triggers
            .iter()
            .map(|one| TriggerRow {
                words: shown::line(&one.words),
                next: one.next_ms.map(|next| moment(next, zone)).unwrap_or_default(),
            })
            .collect(),
        last: triggers.last.as_ref().map_or_else(String::new, |last| {
            shown::line(&format!("{} ({})", last.sentence, moment(last.decided_ms, zone)))
        }),
        findings: found
            .findings
            .iter()
            .map(|one| {
                let finding = &one.finding;
                let expected = finding.expected.as_ref().map(|text| format!("expected {text}"));
                let suggestion = finding
                    .suggestion
                    .as_ref()
                    .map(|text| format!("did you mean `{text}`?"));
                let help: Vec<String> = [expected, suggestion, finding.note.clone()]
                    .into_iter()
                    .flatten()
                    .collect();
                Row {
                    severity: finding.severity.as_str(),
                    place: shown::line(&format!("{}:{}:{}", finding.file, finding.line, finding.column)),
                    message: shown::line(&finding.message),
                    help: shown::line(&help.join("; ")),
                    from: shown::line(&format!("{}, {}", one.repository, one.branch)),
                }
            })
            .collect(),
    }
}
