//! What the plan file of a branch makes of a plan: its own file where it has one, the overrides of the default branch's
//! file otherwise. Everything is read here, nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use madake_domain::change::{Arrival, Heads, MovedRef, News, RefKind, Source};
use madake_domain::plan::PlanConfiguration;
use madake_specs::{Diagnostic, Mention, MentionKind, Position, Severity};
use madake_store::plan::Plan;
use madake_store::repository::Repository;
use madake_vcs::name::ObjectId;

use super::judge::Loaded;
use crate::reading::FolderState;
use crate::{Engine, EngineError, specs};

/// What the plan is on a branch.
#[derive(Debug, Clone)]
pub(crate) enum Own {
    /// As the default branch has it.
    Inherited,
    /// This.
    Version(Box<PlanConfiguration>),
    /// The file of the branch has mistakes: what was in force for the branch stays.
    Broken,
}

/// The plan on a branch, and what was found in the branch's file.
#[derive(Debug, Clone)]
pub(crate) struct OwnFile {
    pub(crate) own: Own,
    pub(crate) revision: String,
    pub(crate) findings: Vec<Diagnostic>,
}

/// The state of the default branch's folder, which files of other branches are compared with.
pub(crate) async fn default_state(
    engine: &Engine,
    found: &Repository,
) -> Result<Option<FolderState>, EngineError> {
    let head = engine.local_head(found, &found.default_branch).await?;
    match head.and_then(|id| ObjectId::parse(&id).ok()) {
        Some(head) => specs::folder_state(engine, found, &head).await,
        None => Ok(None),
    }
}

/// What `plan`, which the default branch describes as `trusted`, is on a branch at a commit.
pub(crate) async fn of_branch(
    engine: &Engine,
    found: &Repository,
    plan: &Plan,
    trusted: &PlanConfiguration,
    (branch, commit): (&str, &ObjectId),
    default: Option<&FolderState>,
) -> Result<OwnFile, EngineError> {
    let here = trusted.on_branch(branch);
    let mut own = OwnFile {
        own: if here.branch_overrides == trusted.branch_overrides {
            Own::Inherited
        } else {
            Own::Version(Box::new(here.clone()))
        },
        revision: commit.to_string(),
        findings: Vec::new(),
    };
    let state = specs::folder_state(engine, found, commit).await?;
    if state.is_none() || state.as_ref() == default {
        return Ok(own);
    }
    let Some(reading) = specs::read_commit(engine, found, commit).await? else {
        return Ok(own);
    };
    let document = reading
        .plans
        .iter()
        .find(|document| document.configuration.key == plan.key);
    own.findings.clone_from(&reading.diagnostics);
    match document {
        Some(document) => {
            let (made, differing) = here.with_own_file(document.configuration.on_branch(branch));
            let place = Mention {
                kind: MentionKind::Plan,
                subject: Some(format!("plan {}", plan.key)),
                file: document.position.file.clone(),
                line: document.position.line,
                column: 1,
                end: Position {
                    line: document.position.line,
                    column: 1,
                },
            };
            own.findings.extend(differing.into_iter().map(|setting| {
                let message = format!(
                    "`{setting}` of {} is taken from the branch {}: what this branch says of it has no effect",
                    plan.key, found.default_branch
                );
                place.finding(Severity::Info, "protected-setting", message)
            }));
            own.own = Own::Version(Box::new(made));
        }
        None => {
            let subject = format!("plan {}", plan.key);
            let broken = reading.diagnostics.iter().any(|one| {
                one.severity == Severity::Error && one.subject.as_ref().is_none_or(|about| *about == subject)
            });
            if broken {
                own.own = Own::Broken;
            }
        }
    }
    Ok(own)
}

/// What the plan is on each branch that the arrival may have changed, where the plan's own repository arrived.
pub(super) async fn of_arrival(
    engine: &Engine,
    found: Option<&Repository>,
    loaded: &Loaded,
    arrival: &Arrival,
) -> Result<BTreeMap<String, OwnFile>, EngineError> {
    let mut all = BTreeMap::new();
    let Some(found) = found else { return Ok(all) };
    // What builds a stranger's commit is the plan as its own people wrote it.
    let of_fork = matches!(&arrival.source, Source::PullRequest(news) if news.fork.is_some());
    if of_fork || !loaded.is_default || loaded.plan.specs_repository_id != Some(found.id) {
        return Ok(all);
    }
    let changed = changed_branches(found, loaded, arrival);
    if changed.is_empty() {
        return Ok(all);
    }
    let default = default_state(engine, found).await?;
    // As it is written: that a person switched the plan off is no part of its versions.
    let trusted = engine.configuration(loaded.plan.version_id).await?;
    for (branch, revision) in changed.into_iter().take(arrival.max_candidates) {
        let Ok(commit) = ObjectId::parse(&revision) else {
            continue;
        };
        let own = of_branch(
            engine,
            found,
            &loaded.plan,
            &trusted,
            (&branch, &commit),
            default.as_ref(),
        )
        .await?;
        all.insert(branch, own);
    }
    Ok(all)
}

/// Branches other than the default one, with the revision that the arrival brings. At fixed times all plan branches are
/// built, changed or not.
fn changed_branches(found: &Repository, loaded: &Loaded, arrival: &Arrival) -> Vec<(String, String)> {
    let fixed_time = matches!(
        arrival.source,
        Source::Cron { .. } | Source::Parent { .. } | Source::Deployment { .. }
    );
    let of_plan = |name: &str| {
        let mut rows = loaded.rows.iter();
        name == found.default_branch || rows.any(|row| row.is_master && row.vcs_branch == name)
    };
    let off_default = |name: &str| !of_plan(name);
    match &arrival.news {
        News::Moved(moved) => moved
            .iter()
            .filter(|one| one.kind == RefKind::Branch && off_default(&one.name))
            .filter_map(|one| Some((one.name.clone(), one.new.as_ref()?.to_string())))
            .collect(),
        News::Heads(heads) => heads
            .heads
            .iter()
            .filter(|(name, head)| {
                let row = loaded.rows.iter().find(|row| row.vcs_branch == **name);
                off_default(name)
                    && match row {
                        Some(row) => fixed_time || row.last_revision.as_ref() != Some(*head),
                        None => !fixed_time && heads.known.get(*name) != Some(*head),
                    }
            })
            .map(|(name, head)| (name.clone(), head.to_string()))
            .collect(),
        News::NoRepository => Vec::new(),
    }
}

/// The part of an arrival that is about one branch alone, or about all but some.
pub(super) fn part_of(arrival: &Arrival, keep: &dyn Fn(&str) -> bool) -> Arrival {
    let news = match &arrival.news {
        News::Moved(moved) => {
            let kept = moved
                .iter()
                .filter(|one| one.kind != RefKind::Branch || keep(&one.name));
            News::Moved(kept.cloned().collect::<Vec<MovedRef>>())
        }
        News::Heads(heads) => {
            let mut heads = heads.clone();
            heads.heads.retain(|name, _| keep(name));
            News::Heads(Heads { ..heads })
        }
        News::NoRepository => News::NoRepository,
    };
    Arrival {
        news,
        ..arrival.clone()
    }
}

/// The branches on which something else starts builds than what the plan says, each with what its builds are of.
pub(super) async fn with_own_triggers(
    engine: &Engine,
    loaded: &Loaded,
    own: &BTreeMap<String, OwnFile>,
) -> Result<BTreeMap<String, Arc<PlanConfiguration>>, EngineError> {
    let versions = own.iter().filter_map(|(name, file)| match &file.own {
        Own::Version(version) => Some((name.clone(), Arc::new((**version).clone()))),
        Own::Inherited | Own::Broken => None,
    });
    let mut apart: BTreeMap<_, _> = versions.collect();
    // The default branch has no file beside the plan's, but may have an override.
    for row in loaded
        .rows
        .iter()
        .filter(|row| row.is_master && loaded.is_default)
    {
        let branch = loaded.branches.iter().find(|branch| branch.key == row.key);
        if let Some(version_id) = branch.and_then(|branch| branch.version_id) {
            apart.insert(row.vcs_branch.clone(), engine.configuration(version_id).await?);
        }
    }
    apart.retain(|_, version| version.triggers != loaded.configuration.triggers);
    Ok(apart)
}
