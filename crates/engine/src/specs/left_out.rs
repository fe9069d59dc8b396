//! Plans that belong to a repository and that its plan file does not describe any more: they stay as they were, and go on
//! being built, which is to be said.

use madake_specs::{Diagnostic, Mention, MentionKind, Position, Reading, Severity};
use madake_store::plan_file;
use madake_store::repository::Repository;
use madake_store::{Millis, Tx, plan};

use super::{FOLDER, findings};
use crate::EngineError;

/// What is worth knowing of plans that are not described any more; `None` for the reading: the plan file is gone. A file
/// with errors may describe plans that were not understood, and says nothing about them.
pub(super) fn left_out(
    tx: &Tx<'_>,
    found: &Repository,
    reading: Option<&Reading>,
) -> Result<Vec<Diagnostic>, EngineError> {
    let broken = |reading: &Reading| {
        let mut all = reading.diagnostics.iter();
        all.any(|one| one.severity == Severity::Error)
    };
    if reading.is_some_and(broken) {
        return Ok(Vec::new());
    }
    let described = reading.map_or(&[][..], |reading| &reading.plans);
    let file = described.first().map_or_else(
        || format!("{FOLDER}/bamboo.yml"),
        |first| first.position.file.clone(),
    );
    let mut findings = Vec::new();
    for one in plan::all(tx)? {
        let is_own = one.specs_repository_id == Some(found.id);
        if !is_own || described.iter().any(|plan| plan.configuration.key == one.key) {
            continue;
        }
        let (version, _) = plan::version_source(tx, one.version_id)?;
        let what = if reading.is_some() {
            format!("the plan file of {} does not describe", found.name)
        } else {
            format!("{} has no plan file that describes", found.name)
        };
        let builds = if one.enabled {
            ", and it goes on being built; switch it off if that is not meant"
        } else {
            ""
        };
        let place = Mention {
            kind: MentionKind::Plan,
            subject: Some(format!("plan {}", one.key)),
            file: file.clone(),
            line: 1,
            column: 1,
            end: Position { line: 1, column: 1 },
        };
        findings.push(place.finding(
            Severity::Warning,
            "plan-left-out",
            format!(
                "{what} plan {} any more: {version} stays in force{builds}",
                one.key
            ),
        ));
    }
    Ok(findings)
}

/// Notes that the default branch has no plan file at a revision: what was found in it before concerns nobody any more.
pub(super) fn file_is_gone(
    tx: &Tx<'_>,
    found: &Repository,
    revision: &str,
    event_id: Option<i64>,
    now: Millis,
) -> Result<(), EngineError> {
    let all = left_out(tx, found, None)?;
    let before = plan_file::findings_of_branch(tx, found.id, &found.default_branch)?;
    if all.is_empty() && before.is_empty() {
        return Ok(());
    }
    plan_file::drop_claims_but(tx, found.id, &[])?;
    findings::keep(tx, found, &found.default_branch, revision, &all, now)?;
    if let Some(event_id) = event_id {
        findings::note(tx, event_id, &all, now)?;
    }
    Ok(())
}
