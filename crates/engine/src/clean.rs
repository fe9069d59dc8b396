//! Removes what has had its time: plan branches by their plan's policy, old deliveries, results, and working directories.

use std::path::Path;
use std::time::Duration;

use madake_domain::branch_expiry::{BranchAge, expired};
use madake_domain::repository::RepositoryKind;
use madake_store::{build, plan, repository};
use madake_vcs::git::lfs::LfsObjects;

use crate::ops::keep_receiver::prune_deliveries;
use crate::{Engine, EngineError, clock, notifying, own_push, retention, workspaces};

/// An upload that nobody has written to for so long is over, whatever became of it.
const UPLOAD_REST: Duration = Duration::from_secs(24 * 3600);

/// Removes plan branches whose branch is gone or rests for longer than the plan allows, and deliveries that ended
/// long ago.
pub(crate) async fn run(engine: &Engine) -> Result<(), EngineError> {
    engine
        .store()
        .write(|tx| prune_deliveries(tx, clock::now_ms()))
        .await?;
    notifying::prune(engine).await?;
    remove_lfs_leftovers(engine).await?;
    let plans = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(plan::all(tx)?))
        .await?;
    for one in plans {
        let configuration = engine.configuration(one.version_id).await?;
        let policy = configuration.branches.clone();
        if policy.delete_after_deleted_days.is_none() && policy.delete_after_inactive_days.is_none() {
            continue;
        }
        let removed = engine
            .store()
            .write(move |tx| {
                let mut ages = Vec::new();
                for branch in plan::branches(tx, one.id)? {
                    let Some(vcs_branch) = branch.vcs_branch.clone() else {
                        continue;
                    };
                    ages.push(BranchAge {
                        busy: build::count_active(tx, branch.id)? > 0
                            || !build::waiting(tx, branch.id)?.is_empty(),
                        key: branch.key,
                        is_master: branch.is_master,
                        vcs_branch,
                        missing_since_ms: branch.missing_since_ms,
                        created_ms: branch.created_ms,
                        last_commit_ms: Some(branch.last_change_ms),
                        kept: !branch.cleanup_enabled,
                    });
                }
                let gone = expired(&ages, &policy, clock::now_ms());
                for one in &gone {
                    if let Some(branch) = plan::branch_by_key(tx, &one.key)? {
                        plan::remove_branch(tx, branch.id, clock::now_ms())?;
                    }
                }
                Ok::<_, EngineError>(gone)
            })
            .await?;
        for one in removed {
            tracing::info!(plan.key = %one.key, "removed plan branch {}: {}", one.key, one.sentence);
        }
    }
    // What goes with a branch goes in the same run.
    own_push::forget_old(engine).await?;
    // Each as far as it comes: neither waits for what keeps the other.
    let expired = retention::run(engine).await;
    workspaces::clean(engine).await?;
    expired
}

/// Removes what is left of uploads to Git LFS that ended with an earlier server.
async fn remove_lfs_leftovers(engine: &Engine) -> Result<(), EngineError> {
    let repositories = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(repository::all(tx)?))
        .await?;
    for one in repositories {
        if one.kind == RepositoryKind::Hosted
            && let Err(error) = LfsObjects::of(Path::new(&one.path)).remove_leftovers(UPLOAD_REST)
        {
            tracing::warn!(repository = %one.name, "what is left of uploads to {} stays: {error}", one.name);
        }
    }
    Ok(())
}
