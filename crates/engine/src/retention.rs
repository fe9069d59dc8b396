//! Results, artifacts and logs go when their plan's policy says so (bamboo-specs.md 11, `buildExpiryConfig`), else when
//! the server's does. The rows go first: bytes that nothing names are found later, whatever happens in between.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::Path;

use madake_domain::plan::{BuildExpiry, PlanConfiguration};
use madake_domain::retention::{
    ExpireReason, ExpiredParts, RetentionPolicy, RetentionVerdict, StoredResult, judge_results,
    judge_results_of_removed_branch, period_ms,
};
use madake_store::expiry::{self, AgingResult};
use madake_store::{Tx, artifact, label, plan};

use crate::{Engine, EngineError, clock};

/// Removes what has had its time.
pub(crate) async fn run(engine: &Engine) -> Result<(), EngineError> {
    let branches = engine
        .store()
        .read(|tx| {
            let mut all = Vec::new();
            for one in plan::all(tx)? {
                let there = plan::branches(tx, one.id)?
                    .into_iter()
                    .map(|branch| (branch, false));
                let removed = plan::removed_branches(tx, one.id)?.into_iter();
                for (branch, is_removed) in there.chain(removed.map(|branch| (branch, true))) {
                    let version_id = branch.version_id.unwrap_or(one.version_id);
                    all.push((branch.id, version_id, is_removed));
                }
            }
            Ok::<_, EngineError>(all)
        })
        .await?;
    let mut removed_any = false;
    for (branch_id, version_id, is_removed) in branches {
        let configuration = engine.configuration(version_id).await?;
        let server = engine.settings().results.retention.clone();
        if let Some(policy) = policy_of(&configuration, server) {
            removed_any |= expire(engine, branch_id, is_removed, &policy).await?;
        }
    }
    let is_first = engine.is_first_sweep();
    if removed_any || is_first {
        sweep(engine).await?;
    }
    if is_first {
        sweep_logs(engine).await?;
    }
    Ok(())
}

/// The policy that counts for a plan branch. `None`: all is kept.
fn policy_of(configuration: &PlanConfiguration, server: Option<RetentionPolicy>) -> Option<RetentionPolicy> {
    if configuration.branch_config.disable_expiry == Some(true) {
        return None;
    }
    match &configuration.other.build_expiry {
        Some(expiry) if expiry.enabled => Some(policy(expiry)),
        // A plan that turns it off keeps all.
        Some(_) => None,
        None => server,
    }
}

fn policy(expiry: &BuildExpiry) -> RetentionPolicy {
    let count = |number: Option<u32>| number.and_then(|number| usize::try_from(number).ok());
    RetentionPolicy {
        parts: ExpiredParts {
            result: expiry.results,
            artifacts: expiry.artifacts,
            logs: expiry.logs,
        },
        // Files that were written by Bamboo say 0 where age does not count; taken at its word, all would go at once.
        max_age_ms: expiry
            .duration
            .filter(|duration| *duration > 0)
            .map(|duration| period_ms(duration, expiry.period)),
        // The newest one says what was built last.
        min_results: count(expiry.builds_to_keep).unwrap_or(1).max(1),
        max_results: count(expiry.maximum_builds_to_keep).filter(|most| *most > 0),
        keep_labels: expiry.labels_to_keep.clone(),
    }
}

/// Removes what the policy says of the results of a plan branch; says whether artifacts were among it.
async fn expire(
    engine: &Engine,
    branch_id: i64,
    is_removed: bool,
    policy: &RetentionPolicy,
) -> Result<bool, EngineError> {
    let (results, stored) = engine
        .store()
        .read(move |tx| {
            let results = expiry::of_branch(tx, branch_id)?;
            let stored = results.iter().map(|one| {
                Ok(StoredResult {
                    build_number: one.number,
                    finished_ms: one.finished_ms,
                    is_successful: one.is_successful,
                    is_released: one.is_released,
                    labels: label::of_build(tx, one.build_id)?,
                })
            });
            let stored = stored.collect::<Result<Vec<_>, EngineError>>()?;
            Ok::<_, EngineError>((results, stored))
        })
        .await?;
    let judge = match is_removed {
        true => judge_results_of_removed_branch,
        false => judge_results,
    };
    let verdicts = judge(policy, &stored, clock::now_ms());
    let mut removed_any = false;
    for (one, verdict) in results.iter().zip(verdicts) {
        if let RetentionVerdict::Expire(reason) = verdict {
            removed_any |= remove(engine, one, policy.parts, reason).await?;
        }
    }
    Ok(removed_any)
}

async fn remove(
    engine: &Engine,
    one: &AgingResult,
    parts: ExpiredParts,
    reason: ExpireReason,
) -> Result<bool, EngineError> {
    let artifacts = (parts.artifacts || parts.result) && !one.lacks_artifacts;
    let logs = (parts.logs || parts.result) && !one.lacks_logs;
    if !(artifacts || logs || parts.result) {
        return Ok(false);
    }
    let build_id = one.build_id;
    let lacks = (one.lacks_artifacts || artifacts, one.lacks_logs || logs);
    let gone = Gone {
        result: parts.result,
        artifacts,
        lacks,
    };
    let removed = engine
        .store()
        .write(move |tx| remove_rows(tx, build_id, gone))
        .await?;
    if !removed {
        return Ok(false);
    }
    if logs {
        remove_logs(engine, build_id).await;
    }
    let what = match (parts.result, artifacts, logs) {
        (true, ..) => "the result",
        (_, true, true) => "artifacts and logs",
        (_, true, false) => "the artifacts",
        _ => "the logs",
    };
    tracing::info!(build.key = %one.key, "removed {what} of {}: {reason}", one.key);
    Ok(artifacts)
}

/// What goes of a result.
#[derive(Debug, Clone, Copy)]
struct Gone {
    /// All of it.
    result: bool,
    /// Its artifacts.
    artifacts: bool,
    /// Whether it lacks its artifacts, and its logs, from now on.
    lacks: (bool, bool),
}

/// Removes the rows of a result, if it may still go; whether it did.
fn remove_rows(tx: &Tx<'_>, build_id: i64, gone: Gone) -> Result<bool, EngineError> {
    // Somebody may have made a release of it, or started it again, since the look.
    if expiry::is_released(tx, build_id)? || !expiry::rests(tx, build_id)? {
        return Ok(false);
    }
    if gone.result {
        expiry::remove(tx, build_id)?;
        return Ok(true);
    }
    if gone.artifacts {
        artifact::remove_of_build(tx, build_id)?;
    }
    expiry::note(tx, build_id, gone.lacks.0, gone.lacks.1)?;
    Ok(true)
}

/// Removes the bytes of artifacts that no table names.
async fn sweep(engine: &Engine) -> Result<(), EngineError> {
    let blobs = engine.blobs().clone();
    let listed = tokio::task::spawn_blocking(move || blobs.list())
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))?
        .map_err(|error| EngineError::Unavailable(format!("files of artifacts cannot be listed: {error}")))?;
    let candidates = engine
        .store()
        .read(move |tx| {
            let named: BTreeSet<String> = artifact::all_hashes(tx)?.into_iter().collect();
            Ok::<_, EngineError>(
                listed
                    .into_iter()
                    .map(|blob| blob.hash)
                    .filter(|hash| !named.contains(&hash.to_string()))
                    .collect::<Vec<_>>(),
            )
        })
        .await?;
    for hash in candidates {
        let (blobs, store) = (engine.blobs().clone(), engine.store().clone());
        let runtime = tokio::runtime::Handle::current();
        let removed = tokio::task::spawn_blocking(move || {
            blobs.remove(hash, || {
                // Asked anew: a job may have left the same bytes meanwhile.
                let name = hash.to_string();
                runtime
                    .block_on(store.read(move |tx| artifact::is_named(tx, &name)))
                    .map_err(io::Error::other)
            })
        })
        .await;
        match removed {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!("the file {hash} of an artifact stays: {error}"),
            Err(error) => return Err(EngineError::Internal(error.to_string())),
        }
    }
    Ok(())
}

/// Removes the logs that a server left behind when it died between the rows and the files.
async fn sweep_logs(engine: &Engine) -> Result<(), EngineError> {
    let logs = engine.home().logs();
    let builds = tokio::task::spawn_blocking(move || builds_with_logs(&logs))
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))?
        .map_err(|error| EngineError::Unavailable(format!("logs cannot be listed: {error}")))?;
    for some in builds.chunks(500) {
        let some = some.to_vec();
        let left = engine
            .store()
            .read(move |tx| {
                let mut left = Vec::new();
                for build_id in some {
                    if expiry::has_no_logs(tx, build_id)? {
                        left.push(build_id);
                    }
                }
                Ok::<_, EngineError>(left)
            })
            .await?;
        for build_id in left {
            remove_logs(engine, build_id).await;
        }
    }
    Ok(())
}

/// The ids of the builds that have a folder of logs: `logs/ID DIVIDED BY 1000/ID`.
fn builds_with_logs(logs: &Path) -> io::Result<Vec<i64>> {
    let mut ids = Vec::new();
    for thousand in numbered(logs)? {
        ids.extend(numbered(&logs.join(thousand.to_string()))?);
    }
    Ok(ids)
}

/// The folders whose names are numbers, as we write them. A folder that is gone has none.
fn numbered(folder: &Path) -> io::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(numbers),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.parse::<i64>().ok());
        if let Some(number) = number.filter(|number| name.to_str() == Some(&number.to_string()))
            && entry.file_type()?.is_dir()
        {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// Removes the logs of a build that has none any more. Whoever started it again meanwhile writes to the same folder.
async fn remove_logs(engine: &Engine, build_id: i64) {
    let folder = engine.home().build_logs(build_id);
    match engine
        .store()
        .read(move |tx| expiry::has_no_logs(tx, build_id))
        .await
    {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            tracing::warn!("{} stays until the next start: {error}", folder.display());
            return;
        }
    }
    match tokio::fs::remove_dir_all(&folder).await {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!("{} stays until the next start: {error}", folder.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use madake_domain::plan::ExpiryPeriod;
    use madake_domain::stage_selection::StageRequest;
    use madake_store::build::{self, NewBuild, Reason, StageToBuild};
    use madake_store::{Store, StoreError};

    use super::*;

    /// A plan with a build of this id that is active, can go on, and has a release, or not.
    fn build_row(
        tx: &Tx<'_>,
        id: i64,
        active: bool,
        continuable: bool,
        released: bool,
    ) -> Result<(), StoreError> {
        if id == 1 {
            for sql in [
                "INSERT INTO project (id, key, name, description, created_ms) VALUES (1, 'PROJ', 'P', '', 0)",
                "INSERT INTO plan (id, project_id, key, name, description, enabled, next_branch_number, created_ms)
                 VALUES (1, 1, 'PROJ-PLAN', 'P', '', 1, 0, 0)",
                "INSERT INTO plan_version (id, plan_id, configuration, digest, source, created_ms)
                 VALUES (1, 1, '', '', '', 0)",
                "INSERT INTO plan_branch (id, plan_id, key, is_master, display_name, description, enabled, cleanup_enabled,
                   automatic, next_build_number, last_change_ms, created_ms)
                 VALUES (1, 1, 'PROJ-PLAN', 1, '', '', 1, 1, 0, 9, 0, 0)",
            ] {
                tx.execute(sql, &[])?;
            }
        }
        tx.execute(
            "INSERT INTO build (id, plan_id, plan_branch_id, version_id, key, number, reason, triggered_by, variables,
               once_off, schedule, life_cycle, state, continuable, restartable, active, created_ms)
             VALUES ($1, 1, 1, 1, $2, $1, '', '', '', 0, '', '', '', $3, 0, $4, 0)",
            &[&id, &format!("PROJ-PLAN-{id}"), &continuable, &active],
        )?;
        if released {
            tx.execute(
                "INSERT INTO deployment_project (id, name, description, plan_key, version_id, naming, created_ms)
                 VALUES (1, 'Ship', '', 'PROJ-PLAN', 1, '', 0)",
                &[],
            )?;
            tx.execute(
                "INSERT INTO deployment_release (deployment_id, name, build_id, build_key, variables, status, created_ms)
                 VALUES (1, 'r', $1, 'PROJ-PLAN-4', '', '', 0)",
                &[&id],
            )?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn result_that_was_released_or_started_again_since_the_look_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("madake.db")).expect("a store");
        let whole = Gone {
            result: true,
            artifacts: true,
            lacks: (true, true),
        };
        let parts = Gone {
            result: false,
            ..whole
        };
        let removed = store
            .write(move |tx| {
                let rows = [
                    (false, false, false, true),
                    (true, false, false, false),
                    (false, true, false, false),
                    (false, false, true, false),
                ];
                for (id, (active, continuable, released, _)) in (1..).zip(rows) {
                    build_row(tx, id, active, continuable, released)?;
                }
                for (id, (.., goes)) in (1..).zip(rows) {
                    assert_eq!(remove_rows(tx, id, parts)?, goes, "parts of build {id}");
                    assert_eq!(expiry::removed_of(tx, id)?, (goes, goes));
                    assert_eq!(remove_rows(tx, id, whole)?, goes, "build {id}");
                }
                let left = expiry::of_branch(tx, 1)?;
                Ok::<_, EngineError>(left.into_iter().map(|one| one.number).collect::<Vec<_>>())
            })
            .await
            .expect("removed");
        assert_eq!(removed, [2, 3, 4]);
    }

    #[test]
    fn folders_of_logs_are_found_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["0/7", "0/12", "12/12001", "deployments/0", "0/007", "0/x", "x/1"] {
            std::fs::create_dir_all(folder.path().join(path)).expect("a folder");
        }
        std::fs::write(folder.path().join("0/9"), "").expect("a file");
        let mut found = builds_with_logs(folder.path()).expect("a list");
        found.sort_unstable();
        assert_eq!(found, [7, 12, 12001]);
        let none = builds_with_logs(&folder.path().join("gone")).expect("a list");
        assert_eq!(none, [0_i64; 0]);
    }

    #[tokio::test]
    async fn logs_of_a_build_that_is_gone_or_lost_them_are_of_no_use_until_it_starts_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("madake.db")).expect("a store");
        let seen = store
            .write(|tx| {
                build_row(tx, 1, false, false, false)?;
                build_row(tx, 2, false, false, false)?;
                expiry::note(tx, 2, false, true)?;
                let useless = |id| expiry::has_no_logs(tx, id);
                Ok::<_, EngineError>([useless(1)?, useless(2)?, useless(3)?])
            })
            .await
            .expect("read");
        assert_eq!(seen, [false, true, true]);
    }

    #[tokio::test]
    async fn artifacts_that_were_kept_since_the_others_went_go_as_well() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("madake.db")).expect("a store");
        let seen = store
            .write(|tx| {
                build_row(tx, 1, false, false, false)?;
                expiry::note(tx, 1, true, true)?;
                let lacks = || {
                    let all = expiry::of_branch(tx, 1)?;
                    Ok::<_, EngineError>((all[0].lacks_artifacts, expiry::removed_of(tx, 1)?))
                };
                let before = lacks()?;
                tx.execute("PRAGMA defer_foreign_keys = ON", &[])?;
                tx.execute(
                    "INSERT INTO artifact (build_id, job_id, name, shared, files, bytes, created_ms)
                     VALUES (1, 1, 'jar', 0, 0, 0, 0)",
                    &[],
                )?;
                let after = lacks()?;
                tx.execute("DELETE FROM artifact", &[])?;
                Ok::<_, EngineError>((before, after))
            })
            .await
            .expect("read");
        assert_eq!(seen, ((true, (true, true)), (false, (true, true))));
    }

    #[tokio::test]
    async fn result_that_starts_again_has_logs_again_and_lacks_what_else_went() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("madake.db")).expect("a store");
        store
            .write(|tx| {
                build_row(tx, 1, false, false, false)?;
                let new = NewBuild {
                    plan_id: 1,
                    plan_branch_id: 1,
                    version_id: 1,
                    key: "PROJ-PLAN-2".into(),
                    number: 2,
                    revision: None,
                    vcs_branch: None,
                    event_id: None,
                    reason: Reason::CodeChanged,
                    triggered_by: String::new(),
                    variables: Vec::new(),
                    once_off: false,
                    stages: vec![StageToBuild {
                        name: "Build".into(),
                        manual: false,
                        final_stage: false,
                        jobs: vec![("Compile".into(), "JOB1".into(), true)],
                    }],
                    request: StageRequest::default(),
                    revisions: Vec::new(),
                };
                let made = build::insert(tx, &new, 0)?;
                for (artifacts, logs) in [(true, true), (true, false), (false, true), (false, false)] {
                    expiry::note(tx, made.id, artifacts, logs)?;
                    build::save(tx, &made, &made.schedule, 0)?;
                    assert_eq!(expiry::removed_of(tx, made.id)?, (artifacts, false));
                }
                Ok::<_, EngineError>(())
            })
            .await
            .expect("started again");
    }

    #[test]
    fn a_plan_says_what_goes_and_the_newest_result_stays() {
        let expiry = BuildExpiry {
            enabled: true,
            duration: Some(2),
            period: ExpiryPeriod::Weeks,
            artifacts: true,
            maximum_builds_to_keep: Some(0),
            labels_to_keep: vec!["release".into()],
            ..BuildExpiry::default()
        };
        let read = policy(&expiry);
        assert_eq!(read.max_age_ms, Some(14 * 86_400_000));
        assert_eq!((read.min_results, read.max_results), (1, None));
        assert!(read.parts.artifacts && !read.parts.result && !read.parts.logs);
        assert_eq!(read.keep_labels, ["release"]);
        let ageless = BuildExpiry {
            duration: Some(0),
            ..expiry
        };
        assert_eq!(policy(&ageless).max_age_ms, None);
    }

    #[test]
    fn a_plan_or_branch_that_turns_expiry_off_keeps_all() {
        let mut configuration = PlanConfiguration::new("PROJ-PLAN".parse().expect("a key"), "Plan");
        let server = policy(&BuildExpiry {
            enabled: true,
            results: true,
            duration: Some(1),
            ..BuildExpiry::default()
        });
        assert_eq!(
            policy_of(&configuration, Some(server.clone())),
            Some(server.clone())
        );
        configuration.other.build_expiry = Some(BuildExpiry::default());
        assert_eq!(policy_of(&configuration, Some(server.clone())), None);
        configuration.other.build_expiry = None;
        configuration.branch_config.disable_expiry = Some(true);
        assert_eq!(policy_of(&configuration, Some(server)), None);
    }
}
