//! Builds that a parent holds back (`block-strategy`), until it has ended.
//!
//! Atlassian's page on dependency blocking says of a change that it is not built while a parent builds or waits to build, so
//! that a tree of plans is built from its root. Bamboo has not considered the change then, and its next look finds it
//! again: after a parent that was successful the child is built by the parent, and after one that failed or was stopped by
//! that look. Pushes are told once here, so what is held back is kept, and built when no parent is in its way any more.

use std::collections::BTreeSet;
use std::time::Duration;

use madake_store::event;
use madake_store::held_build::{self, HeldBuild};
use madake_store::{Millis, Tx, decision, plan};

use crate::dependencies::Starting;
use crate::enqueue::{BuildRequest, Enqueued, enqueue_change};
use crate::{Engine, EngineError, clock};

/// Keeps what is not built now in place of an older one of the same plan branch.
pub(crate) fn hold(
    tx: &Tx<'_>,
    request: &BuildRequest,
    (decision_id, revision): (i64, String),
    now: Millis,
) -> Result<(), EngineError> {
    let older = held_build::take(tx, request.plan_branch_id)?;
    if let Some(older) = &older {
        decision::set_outcome(
            tx,
            older.decision_id,
            None,
            "superseded: a newer change waits as well",
        )?;
    }
    let held = HeldBuild {
        plan_branch_id: request.plan_branch_id,
        decision_id,
        revision,
        considered: plan::branch_by_id(tx, request.plan_branch_id)?.last_revision,
        content: serde_json::to_string(request).map_err(madake_store::StoreError::from)?,
        since_ms: older.map_or(now, |older| older.since_ms),
    };
    held_build::insert(tx, &held)?;
    Ok(())
}

/// Forgets what is held back of a plan branch, as something newer is built or waits for a place.
pub(crate) fn overtaken(
    tx: &Tx<'_>,
    plan_branch_id: i64,
    build: Option<(i64, &str)>,
) -> Result<(), EngineError> {
    if let Some(held) = held_build::take(tx, plan_branch_id)? {
        let (id, outcome) = match build {
            Some((id, key)) => (Some(id), format!("became part of {key}")),
            None => (None, "superseded: a newer change is built".to_owned()),
        };
        decision::set_outcome(tx, held.decision_id, id, &outcome)?;
    }
    Ok(())
}

/// Starts what no parent holds back any more. Who waits is looked for without the writer.
pub(crate) async fn run(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    let free = engine.store().read(free).await?;
    let limit = engine.settings().concurrent_builds;
    for branch_id in free {
        let released = engine
            .store()
            .write(move |tx| match held_build::of(tx, branch_id)? {
                Some(one) => release(tx, &one, limit, clock::now_ms()),
                None => Ok(()),
            })
            .await;
        skip_unreadable(released)?;
    }
    Ok(None)
}

/// The plan branches whose held builds wait for nothing any more.
fn free(tx: &Tx<'_>) -> Result<Vec<i64>, EngineError> {
    let held = held_build::all(tx)?;
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let starting = Starting::read(tx, None)?;
    let mut free = Vec::new();
    for one in held {
        let now = skip_unreadable(standing(tx, &one, &starting))?;
        if now.is_some_and(|now| !matches!(now, Standing::Waits)) {
            free.push(one.plan_branch_id);
        }
    }
    Ok(free)
}

/// One that cannot be read holds back no other.
fn skip_unreadable<T>(done: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error @ EngineError::Unavailable(_)) => Err(error),
        Err(error) => {
            tracing::error!("a build that waited for its parents could not be released: {error}");
            Ok(None)
        }
    }
}

/// How it stands with what is held back.
enum Standing {
    /// It is not built any more: why.
    Gone(&'static str),
    /// A parent holds it back, or starts it at its newest revision.
    Waits,
    /// It is to be built.
    Free,
}

fn standing(tx: &Tx<'_>, held: &HeldBuild, starting: &Starting) -> Result<Standing, EngineError> {
    let branch = plan::branch_by_id(tx, held.plan_branch_id)?;
    let found = plan::by_id(tx, branch.plan_id)?;
    let configuration = plan::configuration(tx, found.version_id)?;
    if plan::branch_by_key(tx, &branch.key)?.is_none() {
        return Ok(Standing::Gone("the plan branch is gone"));
    }
    if branch.missing_since_ms.is_some() {
        return Ok(Standing::Gone("the branch was deleted"));
    }
    if !found.enabled || !configuration.enabled || !branch.enabled {
        return Ok(Standing::Gone("it is disabled by now"));
    }
    if event::is_started_by_parent(tx, branch.key.as_str())? {
        return Ok(Standing::Waits);
    }
    let strategy = configuration.dependencies.block_strategy;
    let waits = starting.wait(tx, strategy, (&found, &branch), &BTreeSet::new())?;
    Ok(if waits.is_some() {
        Standing::Waits
    } else {
        Standing::Free
    })
}

fn release(tx: &Tx<'_>, held: &HeldBuild, limit: Option<u32>, now: Millis) -> Result<(), EngineError> {
    let branch = plan::branch_by_id(tx, held.plan_branch_id)?;
    let found = plan::by_id(tx, branch.plan_id)?;
    match standing(tx, held, &Starting::read(tx, Some(&found.key))?)? {
        Standing::Waits => return Ok(()),
        Standing::Gone(why) => {
            held_build::take(tx, held.plan_branch_id)?;
            decision::set_outcome(tx, held.decision_id, None, &format!("not built: {why}"))?;
            return Ok(());
        }
        Standing::Free => {}
    }
    let request: BuildRequest =
        serde_json::from_str(&held.content).map_err(madake_store::StoreError::from)?;
    let request = BuildRequest {
        version_id: branch.version_id.unwrap_or(found.version_id),
        ..request
    };
    held_build::take(tx, branch.id)?;
    // What was considered since is newer.
    if let Some(first) = request.revisions.first()
        && branch.last_revision == held.considered
    {
        plan::set_last_revision(tx, branch.id, &first.revision, now)?;
    }
    let (build_id, outcome) = match enqueue_change(tx, &request, held.decision_id, limit, now)? {
        Enqueued::Started(build) => {
            tracing::info!(build.key = %build.key, "queued build {}, which waited for its parents", build.key);
            (
                Some(build.id),
                format!("waited for its parents and became {}", build.key),
            )
        }
        Enqueued::Waiting => (
            None,
            "waited for its parents, and waits: as many builds of the plan branch run as may run at once"
                .to_owned(),
        ),
        Enqueued::Late(reason) => (None, format!("superseded: {reason}")),
    };
    decision::set_outcome(tx, held.decision_id, build_id, &outcome)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use madake_domain::plan::{BlockStrategy, PlanConfiguration, Trigger, TriggerKind};
    use madake_domain::repository::{RepositoryKind, Scm};
    use madake_store::build::Reason;
    use madake_store::plan::PlanRepositoryRow;
    use madake_store::repository::{self, NewRepository};
    use madake_store::{Store, project};

    use super::*;
    use crate::enqueue::RequestedRevision;

    const HEAD: &str = "b";

    fn triggers(kind: TriggerKind) -> Option<Vec<Trigger>> {
        Some(vec![Trigger {
            description: String::new(),
            repositories: Vec::new(),
            conditions: Vec::new(),
            other_conditions: Vec::new(),
            kind,
        }])
    }

    fn configuration(key: &str) -> PlanConfiguration {
        PlanConfiguration::new(key.parse().expect("a key"), key)
    }

    /// A plan of a hosted repository whose branch is at `HEAD`.
    fn plan_row(tx: &Tx<'_>, configuration: &PlanConfiguration) -> Result<i64, EngineError> {
        let repository_id = match repository::all(tx)?.first() {
            Some(found) => found.id,
            None => {
                let new = NewRepository {
                    kind: RepositoryKind::Hosted,
                    scm: Scm::Git,
                    name: "PROJ/app".into(),
                    owner: "PROJ".into(),
                    slug: "app".into(),
                    path: String::new(),
                    url: String::new(),
                    default_branch: "master".into(),
                };
                let id = repository::insert(tx, &new, 0)?;
                repository::set_ref(tx, id, "refs/heads/master", Some(HEAD), None, 0)?;
                id
            }
        };
        let project = project::ensure(tx, &configuration.project_key, 0)?;
        let id = plan::insert(tx, project.id, configuration, None, 0)?;
        let (version_id, _) = plan::ensure_version(tx, id, configuration, "", 0)?;
        plan::adopt_version(tx, id, version_id, configuration)?;
        let row = PlanRepositoryRow {
            name: "app".into(),
            repository_id: Some(repository_id),
        };
        plan::set_repositories(tx, id, &[row])?;
        Ok(id)
    }

    #[tokio::test]
    async fn child_waits_for_changes_that_its_parent_will_find_and_for_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("madake.db")).expect("a store");
        let polling = || TriggerKind::Polling {
            period_seconds: None,
            cron: None,
        };
        let cases = [
            (triggers(TriggerKind::Push), None, false),
            (triggers(TriggerKind::Push), Some("a"), true),
            (triggers(TriggerKind::Push), Some(HEAD), false),
            (triggers(polling()), None, true),
            (triggers(polling()), Some(HEAD), false),
            (None, None, false),
            (None, Some("a"), true),
        ];
        store
            .write(move |tx| {
                let child = plan_row(tx, &configuration("PROJ-CHILD"))?;
                let (child, child_branch) = (plan::by_id(tx, child)?, plan::master(tx, child)?);
                let waits = || {
                    let strategy = BlockStrategy::UnbuiltChanges;
                    let starting = Starting::read(tx, None)?;
                    let why = starting.wait(tx, strategy, (&child, &child_branch), &BTreeSet::new())?;
                    Ok::<_, EngineError>(why.is_some())
                };
                let mut parent = configuration("PROJ-PARENT");
                parent.dependencies.plans = vec![child.key.clone()];
                let id = plan_row(tx, &parent)?;
                let branch = plan::master(tx, id)?;
                for (triggers, considered, expected) in cases {
                    let told = format!("{triggers:?} {considered:?}");
                    parent.triggers = triggers;
                    let (version, _) = plan::ensure_version(tx, id, &parent, "", 0)?;
                    plan::adopt_version(tx, id, version, &parent)?;
                    plan::forget_revisions(tx, id)?;
                    if let Some(considered) = considered {
                        plan::set_last_revision(tx, branch.id, considered, 0)?;
                    }
                    assert_eq!(waits()?, expected, "{told}");
                }
                // What counts is what the branch of the parent is, and not what its plan is elsewhere.
                assert!(waits()?);
                let own = PlanConfiguration {
                    triggers: Some(Vec::new()),
                    ..parent.clone()
                };
                let (version, _) = plan::ensure_version(tx, id, &own, "", 0)?;
                plan::set_branch_version(tx, branch.id, Some(version))?;
                assert!(!waits()?, "the branch looks for no changes");
                let (version, _) = plan::ensure_version(tx, id, &configuration("PROJ-PARENT"), "", 0)?;
                plan::adopt_version(tx, id, version, &configuration("PROJ-PARENT"))?;
                plan::set_branch_version(tx, branch.id, None)?;
                assert!(!waits()?, "nothing starts the child");
                let (version, _) = plan::ensure_version(tx, id, &parent, "", 0)?;
                plan::set_branch_version(tx, branch.id, Some(version))?;
                assert!(waits()?, "the branch alone starts the child");
                Ok::<_, EngineError>(())
            })
            .await
            .expect("asked");
    }

    #[tokio::test]
    async fn what_was_considered_while_a_build_was_held_back_stays_considered() {
        for (meanwhile, expected) in [(None, HEAD), (Some("c"), "c")] {
            let folder = tempfile::tempdir().expect("a folder");
            let store = Store::open(&folder.path().join("madake.db")).expect("a store");
            let last = store
                .write(move |tx| {
                    let id = plan_row(tx, &configuration("PROJ-CHILD"))?;
                    let branch = plan::master(tx, id)?;
                    // It is put in line behind this one.
                    tx.execute(
                        "INSERT INTO build (id, plan_id, plan_branch_id, version_id, key, number, reason, triggered_by,
                           variables, once_off, schedule, life_cycle, state, continuable, restartable, active, created_ms)
                         VALUES (1, $1, $2, 1, 'PROJ-CHILD-1', 1, '', '', '', 0, '', '', '', 0, 0, 1, 0)",
                        &[&id, &branch.id],
                    )?;
                    plan::set_last_revision(tx, branch.id, "a", 0)?;
                    let request = BuildRequest {
                        plan_branch_id: branch.id,
                        version_id: plan::by_id(tx, id)?.version_id,
                        event_id: None,
                        reason: Reason::CodeChanged,
                        triggered_by: String::new(),
                        variables: Vec::new(),
                        once_off: false,
                        revisions: vec![RequestedRevision {
                            repository_id: None,
                            name: "app".into(),
                            revision: HEAD.into(),
                            previous: Some("a".into()),
                            branch: None,
                        }],
                    };
                    hold(tx, &request, (1, HEAD.into()), 0)?;
                    if let Some(meanwhile) = meanwhile {
                        plan::set_last_revision(tx, branch.id, meanwhile, 1)?;
                    }
                    assert_eq!(free(tx)?, [branch.id]);
                    let held = held_build::of(tx, branch.id)?.expect("held");
                    release(tx, &held, Some(1), 2)?;
                    assert_eq!(held_build::of(tx, branch.id)?, None);
                    Ok::<_, EngineError>(plan::master(tx, id)?.last_revision)
                })
                .await
                .expect("released");
            assert_eq!(last.as_deref(), Some(expected));
        }
    }
}
