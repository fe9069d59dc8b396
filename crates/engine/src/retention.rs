//! Results, artifacts and logs go when their plan's policy says so (bamboo-specs.md 11, `buildExpiryConfig`), else when
//! the server's does. The rows go first: bytes that nothing names are found later, whatever happens in between.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

use madake_domain::plan::{BuildExpiry, PlanConfiguration};
use madake_domain::retention::{
    ExpireReason, ExpiredParts, RetentionPolicy, RetentionVerdict, StoredResult, judge_results, period_ms,
};
use madake_store::expiry::{self, AgingResult};
use madake_store::{artifact, label, plan};

use crate::{Engine, EngineError, clock};

/// Removes what has had its time.
pub(crate) async fn run(engine: &Engine) -> Result<(), EngineError> {
    let branches = engine
        .store()
        .read(|tx| {
            let mut all = Vec::new();
            for one in plan::all(tx)? {
                for branch in plan::branches(tx, one.id)? {
                    all.push((branch.id, branch.version_id.unwrap_or(one.version_id)));
                }
            }
            Ok::<_, EngineError>(all)
        })
        .await?;
    let mut removed_any = false;
    for (branch_id, version_id) in branches {
        let configuration = engine.configuration(version_id).await?;
        let server = engine.settings().results.retention.clone();
        if let Some(policy) = policy_of(&configuration, server) {
            removed_any |= expire(engine, branch_id, &policy).await?;
        }
    }
    if removed_any || engine.is_first_sweep() {
        sweep(engine).await?;
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
        max_age_ms: expiry.duration.map(|duration| period_ms(duration, expiry.period)),
        // The newest one says what was built last.
        min_results: count(expiry.builds_to_keep).unwrap_or(1).max(1),
        max_results: count(expiry.maximum_builds_to_keep).filter(|most| *most > 0),
        keep_labels: expiry.labels_to_keep.clone(),
    }
}

/// Removes what the policy says of the results of a plan branch; says whether artifacts were among it.
async fn expire(engine: &Engine, branch_id: i64, policy: &RetentionPolicy) -> Result<bool, EngineError> {
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
    let verdicts = judge_results(policy, &stored, clock::now_ms());
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
    let removed = engine
        .store()
        .write(move |tx| {
            // Somebody may have made a release of it, or started it again, since the look.
            if expiry::is_released(tx, build_id)? || !expiry::rests(tx, build_id)? {
                return Ok(false);
            }
            if parts.result {
                expiry::remove(tx, build_id)?;
            } else {
                artifact_rows(tx, build_id, artifacts)?;
                expiry::note(tx, build_id, lacks.0, lacks.1)?;
            }
            Ok::<_, EngineError>(true)
        })
        .await?;
    if !removed {
        return Ok(false);
    }
    if logs {
        let folder = engine.home().build_logs(build_id);
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!("{} stays: {error}", folder.display());
            }
            _ => {}
        }
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

fn artifact_rows(tx: &madake_store::Tx<'_>, build_id: i64, gone: bool) -> Result<(), EngineError> {
    if gone {
        artifact::remove_of_build(tx, build_id)?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use madake_domain::plan::ExpiryPeriod;

    use super::*;

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
