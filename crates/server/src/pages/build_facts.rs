//! What the page of a build says of it at a glance: its plan, when it ran and for how long, and the commits in it.

use madake_domain::key::ResultKey;
use madake_domain::schedule::ResultState;
use madake_engine::{EngineError, clock};
use madake_store::build::Build;
use madake_store::{Tx, build_query, plan};
use serde::Serialize;

use super::hearing::{Moment, moment, span};
use super::shown;
use crate::api::bamboo::link::Links;

/// Commits that the page names.
const MOST_COMMITS: usize = 50;

#[derive(Debug, Serialize)]
pub(super) struct BuildFacts {
    /// `successful` or `failed` once it has ended so; else empty. A class of the style sheet.
    verdict: &'static str,
    plan: String,
    plan_url: String,
    began: Option<Moment>,
    took: String,
    commits: Vec<CommitRow>,
    more_commits: usize,
}

#[derive(Debug, Serialize)]
struct CommitRow {
    id: String,
    author: String,
    subject: String,
}

/// What there is to say.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn facts(
    tx: &Tx<'_>,
    found: &Build,
    key: &ResultKey,
    links: &Links,
) -> Result<BuildFacts, EngineError> {
    let now = clock::now_ms();
    let branch = plan::branch_by_id(tx, found.plan_branch_id)?;
    let master = plan::by_id(tx, found.plan_id)?;
    let name = if branch.is_master {
        master.name
    } else {
        format!("{} › {}", master.name, branch.display_name)
    };
    let changes = build_query::changes(tx, found.id)?;
    let more_commits = changes.len().saturating_sub(MOST_COMMITS);
    Ok(BuildFacts {
        verdict: verdict(found.schedule.summary().state),
        plan: shown::line(&name),
        plan_url: links.browse(&[&key.plan]),
        began: found.started_ms.map(|started| moment(started, now)),
        took: match (found.started_ms, found.finished_ms) {
            // Not what passed before its failed jobs ran again.
            (Some(_), Some(_)) => span(found.schedule.ran_ms()),
            _ => String::new(),
        },
        commits: changes
            .iter()
            .take(MOST_COMMITS)
            .map(|one| CommitRow {
                id: shown::line(&one.changeset)
                    .chars()
                    .take(shown::SHORT_ID)
                    .collect(),
                author: shown::line(&one.author),
                subject: shown::subject(&one.message),
            })
            .collect(),
        more_commits,
    })
}

/// The class of the style sheet for a result.
pub(super) fn verdict(state: ResultState) -> &'static str {
    match state {
        ResultState::Successful => "successful",
        ResultState::Failed => "failed",
        ResultState::Unknown => "",
    }
}
