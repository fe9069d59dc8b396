//! Looks up whoever a plan's notifications name.

use std::collections::BTreeSet;

use madake_domain::key::PlanKey;
use madake_domain::notification::{Committer, People, Person, Wanted};
use madake_domain::permission::{Permission, Principal};
use madake_store::build::Change;
use madake_store::deployment::{Deployment, EnvironmentRow};
use madake_store::plan::PlanBranch;
use madake_store::user::User;
use madake_store::{Tx, plan, user, watcher};

use crate::EngineError;
use crate::access::{Caller, Target, may};
use crate::deploying::rights;

/// Where somebody is looked for.
pub(super) struct Where<'a> {
    /// What users must be able to see.
    pub(super) seen: Seen<'a>,
    /// The plan branch that is watched and has responsible users.
    pub(super) branch: Option<&'a PlanBranch>,
    /// The commits.
    pub(super) changes: &'a [Change],
}

/// What users must be able to see to be told of it.
#[derive(Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// A plan.
    Plan(&'a PlanKey),
    /// An environment of a deployment project.
    Environment(&'a Deployment, &'a EnvironmentRow),
}

/// Everybody who is wanted.
pub(super) fn look_up(tx: &Tx<'_>, wanted: &Wanted, place: &Where<'_>) -> Result<People, EngineError> {
    let mut people = People::default();
    let mut names: BTreeSet<String> = wanted.users.clone();
    if !wanted.groups.is_empty() {
        for (name, members) in user::groups(tx)? {
            if wanted.groups.iter().any(|one| one.eq_ignore_ascii_case(&name)) {
                names.extend(members.iter().cloned());
                people.groups.insert(name.to_lowercase(), members);
            }
        }
    }
    if let Some(branch) = place.branch {
        if wanted.watchers {
            people.watchers = watchers(tx, branch)?.into_iter().map(|one| one.name).collect();
            names.extend(people.watchers.iter().cloned());
        }
        if wanted.responsible {
            let responsible = watcher::responsible(tx, branch.id)?;
            people.responsible = responsible.into_iter().map(|one| one.name).collect();
            names.extend(people.responsible.iter().cloned());
        }
    }
    if wanted.committers {
        people.committers = committers(tx, place.changes)?;
        names.extend(people.committers.iter().filter_map(|one| one.user.clone()));
    }
    for name in names {
        if let Some(found) = user::by_name(tx, &name)? {
            let person = person(tx, &found, place.seen)?;
            people.users.insert(found.name.to_lowercase(), person);
        }
    }
    Ok(people)
}

/// Those who watch a plan branch: itself, or the whole plan.
fn watchers(tx: &Tx<'_>, branch: &PlanBranch) -> Result<Vec<User>, EngineError> {
    let mut found = watcher::watchers(tx, branch.id)?;
    if !branch.is_master {
        let master = plan::master(tx, branch.plan_id)?;
        found.extend(watcher::watchers(tx, master.id)?);
    }
    Ok(found)
}

/// The authors of commits, each once, with the users who have their addresses.
pub(super) fn committers(tx: &Tx<'_>, changes: &[Change]) -> Result<Vec<Committer>, EngineError> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for change in changes {
        if seen.insert((change.author.as_str(), change.email.to_lowercase())) {
            found.push(Committer {
                author: change.author.clone(),
                user: user::by_email(tx, &change.email)?.map(|user| user.name),
            });
        }
    }
    Ok(found)
}

/// Whether a user may see what is told of.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn may_read(tx: &Tx<'_>, found: &User, seen: Seen<'_>) -> Result<bool, EngineError> {
    let caller = Caller {
        principal: Principal::User(user::principal(tx, found, None)?),
        address: String::new(),
    };
    match seen {
        Seen::Plan(key) => may(tx, &caller, Permission::Read, Target::Plan(key)),
        Seen::Environment(project, environment) => {
            rights::may_there(tx, &caller, Permission::Read, project, environment)
        }
    }
}

fn person(tx: &Tx<'_>, found: &User, seen: Seen<'_>) -> Result<Person, EngineError> {
    let may_read = may_read(tx, found, seen)?;
    Ok(Person {
        name: found.name.clone(),
        email: found.email.clone(),
        enabled: found.enabled,
        may_read,
    })
}
