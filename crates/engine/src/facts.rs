//! What a decision wants to know of commits, read only where a rule asks for it.

use std::collections::BTreeMap;

use madake_domain::change::{Candidate, ChangeFacts, Commit, FactsNeeded};
use madake_domain::condition::{LatestResult, Person};
use madake_store::build_query::{self, Filter};
use madake_store::plan;
use madake_store::repository::Repository;
use madake_vcs::name::ObjectId;

use crate::{Engine, EngineError};

/// Commits and paths that are read for one decision at most; of more, the facts count as unknown.
const LIMIT: usize = 5000;

/// Reads what `needed` asks for of a candidate.
pub(crate) async fn gather(
    engine: &Engine,
    repository: Option<&Repository>,
    candidate: &Candidate,
    needed: &FactsNeeded,
) -> Result<ChangeFacts, EngineError> {
    let mut facts = ChangeFacts {
        latest_results: latest_results(engine, needed).await?,
        ..ChangeFacts::default()
    };
    let id = |revision: &madake_domain::change::Revision| ObjectId::parse(revision.as_str()).ok();
    let (Some(repository), Some(new)) = (repository, candidate.revision.as_ref().and_then(id)) else {
        return Ok(facts);
    };
    let old = candidate.previous.as_ref().and_then(id);
    let reader = engine.open_repository(repository)?;
    // A revision that is gone (force push and clean-up) makes its range unknown, which never keeps a build back.
    let old_exists = match &old {
        Some(old) => reader.exists(old).await?,
        None => true,
    };
    if needed.ancestry
        && old_exists
        && let Some(old) = &old
    {
        let follows = reader.is_ancestor(old, &new).await?;
        facts.history_rewritten = !follows;
        if !follows {
            let precedes = reader.is_ancestor(&new, old).await?;
            facts.revision_precedes_previous = Some(precedes);
        }
    }
    if needed.on_branch
        && let Some(name) = &candidate.vcs_branch
        && let Some(head) = reader.branch_head(name).await?
        && let Ok(head) = ObjectId::parse(&head)
    {
        facts.on_branch = Some(head == new || reader.is_ancestor(&new, &head).await?);
    }
    if (needed.commits || needed.commits_since_build) && old_exists {
        let range = reader.commits_between(old.as_ref(), &new, &[], LIMIT).await?;
        facts.commits_since_build = Some(range.commits.len());
        if !range.truncated {
            let commits = range.commits.into_iter().map(|commit| Commit {
                author: Person {
                    name: commit.author.name,
                    email: Some(commit.author.email),
                },
                message: commit.message,
            });
            facts.commits = Some(commits.collect());
        }
    }
    if needed.paths && old_exists {
        let changed = reader.changed_paths(old.as_ref(), &new, LIMIT).await?;
        if !changed.truncated {
            facts.paths = Some(changed.paths.into_iter().map(|path| path.path).collect());
        }
    }
    Ok(facts)
}

async fn latest_results(
    engine: &Engine,
    needed: &FactsNeeded,
) -> Result<BTreeMap<madake_domain::key::PlanKey, LatestResult>, EngineError> {
    if needed.latest_results.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys = needed.latest_results.clone();
    engine
        .store()
        .read(move |tx| {
            let mut results = BTreeMap::new();
            for key in keys {
                let Some(branch) = plan::branch_by_key(tx, &key)? else {
                    continue;
                };
                let latest = build_query::latest(tx, branch.id, &Filter::default())?;
                let result = match latest {
                    None => LatestResult::NeverBuilt,
                    Some(build) if build.schedule.summary().successful => LatestResult::Successful,
                    Some(_) => LatestResult::Failed,
                };
                results.insert(key, result);
            }
            Ok::<_, EngineError>(results)
        })
        .await
}
