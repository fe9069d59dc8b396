//! What was found in a plan file, as the ledger, the plans and the pusher get it.

use madake_specs::{Diagnostic, Severity};
use madake_store::plan::Plan;
use madake_store::plan_file::{self, NewFinding};
use madake_store::repository::Repository;
use madake_store::{Millis, Tx, event};

use crate::{Engine, EngineError};

/// The most findings that are kept of one reading.
const KEPT: usize = 200;
/// The most lines that an entry of the ledger gets of one reading.
const NOTED: usize = 100;

/// Keeps what was found in the plan file of a branch in place of what was found before.
pub(crate) fn keep(
    tx: &Tx<'_>,
    found: &Repository,
    branch: &str,
    revision: &str,
    findings: &[Diagnostic],
    now: Millis,
) -> Result<(), EngineError> {
    let rows: Vec<NewFinding> = findings
        .iter()
        .take(KEPT)
        .map(|one| {
            Ok(NewFinding {
                plan_key: plan_of(one),
                severity: one.severity.as_str(),
                finding: serde_json::to_string(one).map_err(madake_store::StoreError::from)?,
            })
        })
        .collect::<Result<_, EngineError>>()?;
    plan_file::set_findings(tx, found.id, branch, revision, &rows, now)?;
    Ok(())
}

/// Whether the plan file of the default branch had errors when it was last read. What stood in the way may be gone though
/// the file is the same: another plan, a right, a linked repository. So such a file is read again with each push.
pub(crate) async fn had_errors(engine: &Engine, found: &Repository) -> Result<bool, EngineError> {
    let (id, branch) = (found.id, found.default_branch.clone());
    engine
        .store()
        .read(move |tx| Ok(plan_file::has_errors(tx, id, &branch)?))
        .await
}

/// Notes findings in an entry of the ledger.
pub(crate) fn note(
    tx: &Tx<'_>,
    event_id: i64,
    findings: &[Diagnostic],
    now: Millis,
) -> Result<(), EngineError> {
    for one in findings.iter().take(NOTED) {
        event::note(tx, event_id, level(one), &madake_specs::render_line(one), now)?;
    }
    Ok(())
}

fn level(finding: &Diagnostic) -> &'static str {
    match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        _ => "info",
    }
}

/// The key of the plan that a finding is about, from what its document is about.
pub(crate) fn plan_of(finding: &Diagnostic) -> Option<String> {
    let subject = finding.subject.as_deref()?;
    let key = subject
        .strip_prefix("permissions of plan ")
        .or_else(|| subject.strip_prefix("plan "))?;
    key.parse::<madake_domain::key::PlanKey>()
        .ok()
        .map(|key| key.to_string())
}

/// What is wrong with the plan file of a branch at the revision that is built, if that keeps the plan as it was.
pub(crate) fn keeps_back(
    tx: &Tx<'_>,
    plan: &Plan,
    repository: &Repository,
    branch: &str,
    revision: &str,
) -> Result<Option<String>, EngineError> {
    if plan.specs_repository_id != Some(repository.id) {
        return Ok(None);
    }
    let mut errors = plan_file::findings_of_branch(tx, repository.id, branch)?;
    errors.retain(|one| {
        one.severity == Severity::Error.as_str()
            && one.revision == revision
            && one.plan_key.as_deref().is_none_or(|key| key == plan.key.as_str())
    });
    let Some(first) = errors.first() else {
        return Ok(None);
    };
    let first: Diagnostic = serde_json::from_str(&first.finding).map_err(madake_store::StoreError::from)?;
    let more = match errors.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    // Readers of a plan see this who may not see its configuration, which the finding quotes.
    Ok(Some(format!(
        "it has errors at this revision, so the plan is built as it was before: {}:{}:{}{more}, see `madake plan show {}`",
        first.file, first.line, first.column, plan.key
    )))
}
