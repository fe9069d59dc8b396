//! Puts what a plan file says in force, in one transaction, with the findings in the ledger and beside the plans.

use std::collections::BTreeSet;

use madake_domain::permission::{Grantee, Scope};
use madake_domain::plan::{PlanConfiguration, PlanPermissions};
use madake_specs::{Diagnostic, Mention, MentionKind, Position, Reading, Severity};
use madake_store::plan::{self, PlanRepositoryRow};
use madake_store::repository::Repository;
use madake_store::{Millis, Tx, label, permission, plan_file, project};
use madake_vcs::name::ObjectId;

use super::examine::{Examined, deployment_permissions_finding, examine};
use super::left_out::file_is_gone;
use super::{findings, people, read_commit, repository_rows};
use crate::decide::own_file::Own;
use crate::decide::set_version;
use crate::{Engine, EngineError, clock, deploying};

/// Puts the plans of a default branch's plan file in force and notes findings in the entry.
pub(crate) async fn default_branch(
    engine: &Engine,
    found: &Repository,
    commit: &ObjectId,
    event_id: Option<i64>,
) -> Result<(), EngineError> {
    let reading = read_commit(engine, found, commit).await?;
    let (found, revision) = (found.clone(), commit.to_string());
    engine
        .store()
        .write(move |tx| match &reading {
            Some(reading) => put_in_force(tx, &found, &revision, reading, event_id, clock::now_ms()),
            None => file_is_gone(tx, &found, &revision, event_id, clock::now_ms()),
        })
        .await
}

/// Puts what was read of a default branch in force.
pub(crate) fn put_in_force(
    tx: &Tx<'_>,
    found: &Repository,
    revision: &str,
    reading: &Reading,
    event_id: Option<i64>,
    now: Millis,
) -> Result<(), EngineError> {
    let source = format!("{} at {revision}", found.name);
    let examined = examine(tx, found, reading)?;
    for document in &reading.plans {
        let configuration = &document.configuration;
        if !examined.refused.contains(&configuration.key) {
            put_plan_in_force(tx, found, configuration, &source, now)?;
        }
    }
    plan_file::drop_claims_but(tx, found.id, &examined.claimed)?;
    for plan_id in &examined.claimed {
        plan_file::claim(tx, *plan_id, found.id, revision, event_id, now)?;
    }
    for permissions in &reading.permissions {
        if !examined.permissions_refused.contains(&permissions.plan) {
            set_permissions(tx, permissions, now)?;
        }
    }
    let withheld = Withheld {
        projects: examined.deployments_refused.clone(),
        permissions: examined.deployment_permissions_refused.clone(),
    };
    let mut all = all_findings(reading, examined);
    all.extend(deployments_in_force(tx, found, reading, &withheld, &source, now)?);
    for one in &all {
        tracing::info!(repository = %found.name, "plan file of {}: {}", found.name, madake_specs::render_line(one));
    }
    findings::keep(tx, found, &found.default_branch, revision, &all, now)?;
    if let Some(event_id) = event_id {
        findings::note(tx, event_id, &all, now)?;
    }
    Ok(())
}

/// Deployment projects, by name, of which the file changes nothing.
struct Withheld {
    /// Their configuration.
    projects: BTreeSet<String>,
    /// Their permissions.
    permissions: BTreeSet<String>,
}

/// Puts deployment projects and their permissions in force; gives what stands in the way.
fn deployments_in_force(
    tx: &Tx<'_>,
    found: &Repository,
    reading: &Reading,
    withheld: &Withheld,
    source: &str,
    now: Millis,
) -> Result<Vec<Diagnostic>, EngineError> {
    let mut refused = Vec::new();
    for document in &reading.deployments {
        let configuration = &document.configuration;
        if withheld.projects.contains(&configuration.name) {
            continue;
        }
        if let Err(sentence) = deploying::put_in_force(tx, found, configuration, source, now)? {
            let place = Mention {
                kind: MentionKind::Plan,
                subject: Some(format!("deployment project {}", configuration.name)),
                file: document.position.file.clone(),
                line: document.position.line,
                column: 1,
                end: Position {
                    line: document.position.line,
                    column: 1,
                },
            };
            refused.push(place.finding(Severity::Error, "deployment-refused", sentence));
        }
    }
    for permissions in &reading.deployment_permissions {
        if withheld.permissions.contains(&permissions.deployment) {
            continue;
        }
        if let Err(sentence) = deploying::set_permissions(tx, found, permissions, now)? {
            let name = &permissions.deployment;
            refused.push(deployment_permissions_finding(reading, name, sentence));
        }
    }
    Ok(refused)
}

/// What was found in the text, and what was found by looking at the server.
pub(crate) fn all_findings(reading: &Reading, examined: Examined) -> Vec<Diagnostic> {
    let mut all = reading.diagnostics.clone();
    // Whether a credential is there and may be used is known now as well.
    all.retain(|one| one.code != "specs::credential-of-server");
    // Whether a value was entered here is known now, and said by a finding of its own.
    all.retain(|one| one.code != "specs::foreign-secret" || !is_plan_variable(reading, one));
    all.extend(examined.findings);
    all
}

/// Whether a finding is at the value of a plan's variable.
fn is_plan_variable(reading: &Reading, finding: &Diagnostic) -> bool {
    reading.mentions.iter().any(|one| {
        matches!(one.kind, MentionKind::Variable(_))
            && (one.line, one.column, &one.file) == (finding.line, finding.column, &finding.file)
            && finding
                .subject
                .as_deref()
                .is_some_and(|subject| subject.starts_with("plan "))
    })
}

/// Makes or changes one plan.
fn put_plan_in_force(
    tx: &Tx<'_>,
    found: &Repository,
    configuration: &PlanConfiguration,
    source: &str,
    now: Millis,
) -> Result<(), EngineError> {
    let plan_id = match plan::by_key(tx, &configuration.key)? {
        Some(existing) => existing.id,
        None => {
            let project = project::ensure(tx, &configuration.project_key, now)?;
            plan::insert(tx, project.id, configuration, Some(found.id), now)?
        }
    };
    let (version_id, _) = plan::ensure_version(tx, plan_id, configuration, source, now)?;
    if plan::by_id(tx, plan_id)?.version_id != version_id {
        plan::adopt_version(tx, plan_id, version_id, configuration)?;
    }
    let (before, rows) = (
        plan::repositories(tx, plan_id)?,
        repository_rows(tx, found, configuration)?,
    );
    if before != rows {
        let default = |rows: &[PlanRepositoryRow]| rows.first().and_then(|first| first.repository_id);
        if default(&before).is_some_and(|former| default(&rows) != Some(former)) {
            // Commits of one repository say nothing about those of another.
            plan::forget_revisions(tx, plan_id)?;
        }
        plan::set_repositories(tx, plan_id, &rows)?;
    }
    override_default(tx, found, plan_id, configuration, now)?;
    // A file that says nothing of labels leaves them alone.
    if let Some(labels) = &configuration.labels {
        label::set_of_plan(tx, plan_id, labels)?;
    }
    Ok(())
}

/// Gives the default branch what an override says of it: overrides are for every branch that a file is read on, and real
/// files end with `^.*` (bamboo-specs.md 8.1). The plan itself keeps what its file says, for its other branches.
fn override_default(
    tx: &Tx<'_>,
    found: &Repository,
    plan_id: i64,
    configuration: &PlanConfiguration,
    now: Millis,
) -> Result<(), EngineError> {
    let overridden = configuration.on_branch(&found.default_branch);
    let own = if overridden.branch_overrides == configuration.branch_overrides {
        Own::Inherited
    } else {
        Own::Version(Box::new(overridden))
    };
    let master = plan::master(tx, plan_id)?;
    set_version(tx, plan_id, &master, &own, found, now)
}

/// Replaces what is granted to people on a plan.
fn set_permissions(tx: &Tx<'_>, permissions: &PlanPermissions, now: Millis) -> Result<(), EngineError> {
    let key = &permissions.plan;
    permission::revoke_from_people(tx, Scope::Plan, key.as_str())?;
    for entry in &permissions.entries {
        let users = entry.users.iter().cloned().map(Grantee::User);
        let groups = entry.groups.iter().cloned().map(Grantee::Group);
        let roles = entry.logged_in.then_some(Grantee::LoggedIn).into_iter();
        let grantees = users
            .chain(groups)
            .chain(roles)
            .chain(entry.anonymous.then_some(Grantee::Anonymous));
        for grantee in grantees {
            for granted in &entry.permissions {
                people::grant(tx, Scope::Plan, key.as_str(), &grantee, *granted, now)?;
            }
        }
    }
    Ok(())
}
