//! Plans that start other plans: when a build starts its children, when a plan waits for its parents, and which plans would
//! start themselves (bamboo-specs.md 9).

use std::collections::BTreeSet;

use crate::key::PlanKey;
use crate::plan::{BlockStrategy, Dependencies, Trigger, TriggerKind};

/// The most plans that are looked at for a loop.
const MAX_PLANS: usize = 10_000;

/// How a build came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParentEnd {
    /// All that ran was successful.
    pub successful: bool,
    /// No stage is left that a person may still let run.
    pub all_stages_passed: bool,
    /// It is of a plan branch and not of the plan itself.
    pub of_branch: bool,
    /// It was of a revision that somebody chose, and says nothing about the branch as it is.
    pub once_off: bool,
}

/// Whether a build that came to rest like this starts the children of its plan.
///
/// # Errors
/// Why it does not, as the end of a sentence.
pub fn starts_children(dependencies: &Dependencies, end: ParentEnd) -> Result<(), &'static str> {
    if !end.successful {
        return Err("it was not successful");
    }
    if end.once_off {
        return Err("it was a build of a chosen revision");
    }
    if end.of_branch && !dependencies.enabled_for_branches {
        return Err("plan branches start no children");
    }
    if dependencies.require_all_stages_passing && !end.all_stages_passed {
        return Err("not all of its stages have passed");
    }
    Ok(())
}

/// How it stands with a parent of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentState {
    /// Its key.
    pub key: PlanKey,
    /// It builds, or waits to build.
    pub in_progress: bool,
    /// It has changes that it has not built.
    pub unbuilt_changes: bool,
}

/// Whether a plan with these triggers builds changes by itself: a child waits for no others, as Atlassian's page on dependency
/// blocking says that parents are looked at for unbuilt changes where a trigger names their repository.
#[must_use]
pub fn looks_for_changes(triggers: Option<&[Trigger]>) -> bool {
    // A plan that names no triggers is built on push, or polled.
    triggers.is_none_or(|triggers| {
        triggers.iter().any(|one| {
            matches!(
                one.kind,
                TriggerKind::Push | TriggerKind::Remote { .. } | TriggerKind::Polling { .. }
            )
        })
    })
}

/// Whether changes of a plan with these triggers are found by looks at its repository, and need nobody to tell of them.
#[must_use]
pub fn is_polled(triggers: Option<&[Trigger]>, pushes_known: bool) -> bool {
    match triggers {
        // A plan that names no triggers is polled where pushes are not known.
        None => !pushes_known,
        Some(triggers) => triggers
            .iter()
            .any(|one| matches!(one.kind, TriggerKind::Polling { .. })),
    }
}

/// The parent that a build waits for, and why; none if it may start.
#[must_use]
pub fn waits_for(strategy: BlockStrategy, parents: &[ParentState]) -> Option<(&ParentState, &'static str)> {
    let in_progress = || {
        let found = parents.iter().find(|parent| parent.in_progress)?;
        Some((found, "builds or waits to build"))
    };
    let unbuilt = || {
        let found = parents.iter().find(|parent| parent.unbuilt_changes)?;
        Some((found, "has changes that it has not built"))
    };
    match strategy {
        BlockStrategy::None => None,
        BlockStrategy::ParentInProgress => in_progress(),
        BlockStrategy::UnbuiltChanges => in_progress().or_else(unbuilt),
    }
}

/// The plans from `child` back to `parent`, if `parent` may not start `child` because that would start `parent` again.
/// `children` gives the children of a plan as they are now.
#[must_use]
pub fn find_loop(
    parent: &PlanKey,
    child: &PlanKey,
    children: &dyn Fn(&PlanKey) -> Vec<PlanKey>,
) -> Option<Vec<PlanKey>> {
    let mut seen = BTreeSet::from([child.clone()]);
    let mut paths = vec![vec![child.clone()]];
    while let Some(path) = paths.pop() {
        let last = path.last()?;
        if last == parent {
            return Some(path);
        }
        for next in children(last) {
            if seen.len() < MAX_PLANS && seen.insert(next.clone()) {
                let mut longer = path.clone();
                longer.push(next);
                paths.push(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> PlanKey {
        text.parse().expect("a key")
    }

    #[test]
    fn success_starts_children_as_far_as_the_plan_says() {
        let good = ParentEnd {
            successful: true,
            all_stages_passed: true,
            of_branch: false,
            once_off: false,
        };
        let all = Dependencies {
            require_all_stages_passing: true,
            ..Dependencies::default()
        };
        let master_only = Dependencies {
            enabled_for_branches: false,
            ..Dependencies::default()
        };
        let rest = Dependencies::default();
        let waiting = ParentEnd {
            all_stages_passed: false,
            ..good
        };
        let branch = ParentEnd {
            of_branch: true,
            ..good
        };
        for (dependencies, end, starts) in [
            (&rest, good, true),
            (&rest, waiting, true),
            (&all, waiting, false),
            (&all, good, true),
            (&rest, branch, true),
            (&master_only, branch, false),
            (&master_only, good, true),
            (
                &rest,
                ParentEnd {
                    successful: false,
                    ..good
                },
                false,
            ),
            (
                &rest,
                ParentEnd {
                    once_off: true,
                    ..good
                },
                false,
            ),
        ] {
            assert_eq!(starts_children(dependencies, end).is_ok(), starts, "{end:?}");
        }
    }

    #[test]
    fn plan_waits_for_its_parents_as_its_strategy_says() {
        let parent = |name, in_progress, unbuilt_changes| ParentState {
            key: key(name),
            in_progress,
            unbuilt_changes,
        };
        let idle = parent("P-IDLE", false, false);
        let busy = parent("P-BUSY", true, false);
        let changed = parent("P-CHANGED", false, true);
        let (none, progress, unbuilt) = (
            BlockStrategy::None,
            BlockStrategy::ParentInProgress,
            BlockStrategy::UnbuiltChanges,
        );
        for (strategy, parents, waits) in [
            (none, vec![busy.clone(), changed.clone()], None),
            (progress, vec![idle.clone(), changed.clone()], None),
            (progress, vec![idle.clone(), busy.clone()], Some("P-BUSY")),
            (unbuilt, vec![idle.clone(), changed.clone()], Some("P-CHANGED")),
            (unbuilt, vec![changed, busy], Some("P-BUSY")),
            (unbuilt, vec![idle], None),
            (unbuilt, Vec::new(), None),
        ] {
            let found = waits_for(strategy, &parents).map(|(parent, _)| parent.key.to_string());
            assert_eq!(found.as_deref(), waits, "{strategy:?} {parents:?}");
        }
    }

    #[test]
    fn children_wait_for_changes_that_a_parent_builds_by_itself() {
        let trigger = |kind: TriggerKind| Trigger::from(kind);
        let cron = || {
            trigger(TriggerKind::Cron {
                expression: "0 0 3 * * ?".into(),
            })
        };
        assert!(looks_for_changes(None));
        for (triggers, looks) in [
            (vec![], false),
            (vec![cron()], false),
            (vec![cron(), trigger(TriggerKind::Push)], true),
            (vec![trigger(TriggerKind::Remote { addresses: vec![] })], true),
            (
                vec![trigger(TriggerKind::Polling {
                    period_seconds: None,
                    cron: None,
                })],
                true,
            ),
        ] {
            assert_eq!(looks_for_changes(Some(&triggers)), looks, "{triggers:?}");
        }
    }

    #[test]
    fn l3_loops_of_any_length_are_found_with_their_way() {
        let children = |of: &PlanKey| -> Vec<PlanKey> {
            let names: &[&str] = match of.as_str() {
                "P-A" => &["P-B", "P-C"],
                "P-B" => &["P-D"],
                "P-C" => &["P-D"],
                "P-D" => &["P-E"],
                "P-E" => &["P-B"],
                _ => &[],
            };
            names.iter().map(|name| key(name)).collect()
        };
        let way = |parent, child| -> Option<Vec<String>> {
            let way = find_loop(&key(parent), &key(child), &children)?;
            Some(way.iter().map(ToString::to_string).collect())
        };
        assert_eq!(way("P-A", "P-A"), Some(vec!["P-A".into()]));
        assert_eq!(way("P-D", "P-B"), Some(vec!["P-B".into(), "P-D".into()]));
        assert_eq!(way("P-E", "P-A").map(|way| way.len()), Some(4));
        assert_eq!(way("P-A", "P-B"), None, "a loop elsewhere is not this plan's");
        assert_eq!(way("P-X", "P-A"), None);
    }
}
