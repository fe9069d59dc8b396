//! Plans that start other plans: a build that comes to rest enters an arrival for each child, in the same transaction, and
//! a plan that waits for its parents is not built before them.

use std::collections::{BTreeMap, BTreeSet};

use madake_domain::key::PlanKey;
use madake_domain::plan::{BlockStrategy, PlanConfiguration};
use madake_domain::plan_dependency::{
    ParentEnd, ParentState, find_loop, is_polled, looks_for_changes, starts_children, waits_for,
};
use madake_store::build::{self, Build, Reason};
use madake_store::event::{self, Content, NewEvent};
use madake_store::plan::{self, Plan, PlanBranch};
use madake_store::{Millis, Tx};
use madake_store::{held_build, repository};

use crate::EngineError;
use crate::listening::forks;
use crate::reading::refs_of_branch;
use crate::specs::rights;

/// The most builds that follow from one another.
pub(crate) const CHAIN: usize = 50;

/// Starts the children of the plan of a build that came to rest, `all_stages_passed` or at a manual stage.
pub(crate) fn start_children(
    tx: &Tx<'_>,
    ended: &Build,
    all_stages_passed: bool,
    now: Millis,
) -> Result<(), EngineError> {
    if !plan::has_dependencies(tx, ended.version_id)? {
        return Ok(());
    }
    let configuration = plan::configuration(tx, ended.version_id)?;
    if configuration.dependencies.plans.is_empty() {
        return Ok(());
    }
    let branch = plan::branch_by_id(tx, ended.plan_branch_id)?;
    let end = ParentEnd {
        successful: ended.schedule.summary().successful,
        all_stages_passed,
        of_branch: !branch.is_master,
        once_off: ended.once_off,
    };
    let note = |level: &str, text: &str| match ended.event_id {
        Some(event_id) => event::note(tx, event_id, level, text, now),
        None => Ok(()),
    };
    if let Err(why) = starts_children(&configuration.dependencies, end) {
        note("info", &format!("{} starts no children: {why}", ended.key))?;
        return Ok(());
    }
    if forks::is_of_fork(tx, &branch)? {
        let text = format!("{} starts no children: it built what a fork brings", ended.key);
        note("info", &text)?;
        return Ok(());
    }
    let parent = plan::by_id(tx, ended.plan_id)?;
    let mut chain = chain_of(ended);
    chain.push(parent.key.clone());
    for key in &configuration.dependencies.plans {
        if let Err(why) = start_child(tx, ended, (&parent, &branch), key, &chain, now)? {
            note("warning", &format!("{} does not start {key}: {why}", ended.key))?;
        }
    }
    Ok(())
}

pub(crate) fn chain_of(build: &Build) -> Vec<PlanKey> {
    match &build.reason {
        Reason::Parent { chain, .. } | Reason::Deployment { chain, .. } => {
            chain.iter().filter_map(|key| key.parse().ok()).collect()
        }
        _ => Vec::new(),
    }
}

/// Enters the arrival that starts one child. The inner error says why not.
fn start_child(
    tx: &Tx<'_>,
    ended: &Build,
    (parent, branch): (&Plan, &PlanBranch),
    key: &PlanKey,
    chain: &[PlanKey],
    now: Millis,
) -> Result<Result<(), String>, EngineError> {
    let Some(child) = plan::by_key(tx, key)? else {
        return Ok(Err("there is no such plan".into()));
    };
    if chain.contains(key) || chain.len() >= CHAIN {
        return Ok(Err("it would start itself".into()));
    }
    let owner = match parent.specs_repository_id {
        Some(id) => repository::by_id(tx, id)?,
        None => None,
    };
    if let Some(owner) = owner
        && !rights::may_start(tx, &owner, &child)?
    {
        return Ok(Err(format!("plans of {} may not start it", owner.name)));
    }
    let target = if branch.is_master {
        plan::master(tx, child.id)?
    } else {
        let same = plan::branches(tx, child.id)?.into_iter().find(|one| {
            !one.is_master
                && match &branch.vcs_branch {
                    Some(name) => one.vcs_branch.as_ref() == Some(name),
                    None => one.display_name == branch.display_name,
                }
        });
        match same {
            Some(target) => target,
            None => return Ok(Err(format!("it has no plan branch {}", branch.display_name))),
        }
    };
    // A build that rested at a manual stage ends once more, and starts nothing twice.
    let delivery_id = format!("parent:{}:{}", ended.key, target.key);
    if event::is_delivered(tx, &delivery_id)? {
        return Ok(Ok(()));
    }
    let new = NewEvent {
        kind: "parent",
        delivery_id: Some(delivery_id),
        address: String::new(),
        principal: "dependencies".into(),
        repository_id: plan::repositories(tx, child.id)?
            .first()
            .and_then(|row| row.repository_id),
        plan_key: Some(target.key.to_string()),
        summary: format!("{} was successful, and starts {}", ended.key, target.key),
        raw: Vec::new(),
        content: Content::Parent {
            plan_id: child.id,
            target: target.key.to_string(),
            build: ended.key.clone(),
            chain: chain.iter().map(ToString::to_string).collect(),
        },
    };
    event::receive(tx, new, now)?;
    Ok(Ok(()))
}

/// Why a build of a plan branch waits for a parent. `building` are the plan branches that are built because of the same
/// arrival.
pub(crate) fn wait_for_parents(
    tx: &Tx<'_>,
    strategy: BlockStrategy,
    plan: &Plan,
    branch: &PlanBranch,
    building: &BTreeSet<PlanKey>,
) -> Result<Option<String>, EngineError> {
    if strategy == BlockStrategy::None {
        return Ok(None);
    }
    Starting::read(tx, Some(&plan.key))?.wait(tx, strategy, (plan, branch), building)
}

/// What starts other plans. To read it costs as much as there are such plans, so it is read once for many questions.
pub(crate) struct Starting {
    /// Plans; their plan branches are as they are, unless they have a version of their own.
    plans: Vec<(i64, PlanConfiguration)>,
    /// Plan branches that have one.
    branches: Vec<(i64, PlanConfiguration)>,
}

impl Starting {
    /// Reads it; with a `child`, what may start that one.
    pub(crate) fn read(tx: &Tx<'_>, child: Option<&PlanKey>) -> Result<Self, EngineError> {
        Ok(Self {
            plans: plan::with_dependencies(tx, child)?,
            branches: plan::branches_with_dependencies(tx, child)?,
        })
    }

    /// Why a build of a plan branch waits for a parent, as [`wait_for_parents`].
    pub(crate) fn wait(
        &self,
        tx: &Tx<'_>,
        strategy: BlockStrategy,
        (plan, branch): (&Plan, &PlanBranch),
        building: &BTreeSet<PlanKey>,
    ) -> Result<Option<String>, EngineError> {
        let starts_it = |configuration: &PlanConfiguration| {
            let dependencies = &configuration.dependencies;
            dependencies.plans.contains(&plan.key) && (branch.is_master || dependencies.enabled_for_branches)
        };
        let mut parents = Vec::new();
        for (id, configuration) in self.plans.iter().filter(|(_, one)| starts_it(one)) {
            let parent = if branch.is_master {
                Some(plan::master(tx, *id)?)
            } else {
                match &branch.vcs_branch {
                    Some(name) => plan::branch_by_vcs(tx, *id, name)?,
                    None => None,
                }
            };
            parents.extend(
                parent
                    .filter(|parent| parent.version_id.is_none())
                    .map(|parent| (parent, configuration)),
            );
        }
        for (id, configuration) in self.branches.iter().filter(|(_, one)| starts_it(one)) {
            let parent = plan::branch_by_id(tx, *id)?;
            let is_same_branch = parent.is_master == branch.is_master
                && (branch.is_master
                    || (branch.vcs_branch.is_some() && parent.vcs_branch == branch.vcs_branch));
            if is_same_branch {
                parents.push((parent, configuration));
            }
        }
        let mut states = Vec::new();
        for (parent, configuration) in parents {
            states.push(ParentState {
                in_progress: building.contains(&parent.key)
                    || build::count_active(tx, parent.id)? > 0
                    || !build::waiting(tx, parent.id)?.is_empty()
                    || held_build::of(tx, parent.id)?.is_some(),
                unbuilt_changes: configuration.enabled
                    && looks_for_changes(configuration.triggers.as_deref())
                    && has_unbuilt_changes(tx, &parent, configuration)?,
                key: parent.key,
            });
        }
        Ok(waits_for(strategy, &states).map(|(parent, why)| {
            format!(
                "{} is not built now, because its parent {} {why}: it is built after that",
                branch.key, parent.key
            )
        }))
    }
}

/// Whether something arrived for a parent's default repository, or its branch is elsewhere than what was considered last.
/// A parent of which nothing was considered yet has changes where a look will find them; one that is told of pushes has
/// none before the next push.
fn has_unbuilt_changes(
    tx: &Tx<'_>,
    parent: &PlanBranch,
    configuration: &PlanConfiguration,
) -> Result<bool, EngineError> {
    if !parent.enabled || !plan::by_id(tx, parent.plan_id)?.enabled {
        return Ok(false);
    }
    let rows = plan::repositories(tx, parent.plan_id)?;
    let Some(id) = rows.first().and_then(|row| row.repository_id) else {
        return Ok(false);
    };
    if repository::is_awaited(tx, id)? {
        return Ok(true);
    }
    let Some(found) = repository::by_id(tx, id)? else {
        return Ok(false);
    };
    if parent.last_revision.is_none() && !is_polled(configuration.triggers.as_deref(), found.pushes_known()) {
        return Ok(false);
    }
    let branch = parent.vcs_branch.as_ref().unwrap_or(&found.default_branch);
    for name in refs_of_branch(found.scm, branch) {
        if let Some(head) = repository::ref_value(tx, id, &name)? {
            return Ok(parent.last_revision.as_ref() != Some(&head));
        }
    }
    Ok(false)
}

/// The way from a child back to a plan that wants to start it. `described` are plans as they are about to be.
pub(crate) fn loop_of(
    tx: &Tx<'_>,
    parent: &PlanKey,
    child: &PlanKey,
    described: &[&PlanConfiguration],
) -> Result<Option<Vec<PlanKey>>, EngineError> {
    let mut edges: BTreeMap<PlanKey, Vec<PlanKey>> = plan::with_dependencies(tx, None)?
        .into_iter()
        .map(|(_, one)| (one.key.clone(), one.dependencies.plans))
        .collect();
    for one in described {
        edges.insert(one.key.clone(), one.dependencies.plans.clone());
    }
    Ok(find_loop(parent, child, &|of| {
        edges.get(of).cloned().unwrap_or_default()
    }))
}
