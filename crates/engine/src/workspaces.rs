//! Removes the working directories of jobs and environments that are no more, with what git keeps beside them. Those that
//! are removed by hand leave git's directories behind, which then go too.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use madake_agent::workspaces::{remove_set_aside, set_aside, unneeded};
use madake_domain::key::EntityKey;
use madake_store::{Topic, Tx, build_query, deployment, deployment_result, plan};

use crate::blocking::change_files;
use crate::{Engine, EngineError};

/// What the working directory of an environment begins with.
const DEPLOY: &str = "DEPLOY-";

/// Looks at the folder of each agent.
pub(crate) async fn clean(engine: &Engine) -> Result<(), EngineError> {
    let needed = needed(engine).await?;
    let root = engine.home().workspaces();
    for (slot, folder) in change_files("working directories", move || slots(&root)).await? {
        let (path, known) = (folder.clone(), needed.clone());
        let gone = change_files("working directories", move || {
            unneeded(&path, |name| !is_ours(name) || known.contains(name))
        })
        .await?;
        if !gone.is_empty() {
            if !engine.slots().take_this(slot) {
                // A job runs there: the next look finds the same.
                continue;
            }
            let (path, moved) = (folder.clone(), gone.clone());
            let done = change_files("working directories", move || set_aside(&path, &moved)).await;
            engine.slots().release(slot);
            engine.store().wakes().ring(Topic::Queue);
            done?;
            tracing::info!("removing what nothing is built in any more: {}", gone.join(", "));
        }
        if let Err(error) = change_files("working directories", move || remove_set_aside(&folder)).await {
            tracing::debug!("working directories stay: {error}");
        }
    }
    Ok(())
}

/// The folder for an environment.
pub(crate) fn of_environment(deployment_id: i64, environment_id: i64) -> String {
    format!("{DEPLOY}{deployment_id}-{environment_id}")
}

/// Whether a name is one that we give.
fn is_ours(name: &str) -> bool {
    match name.strip_prefix(DEPLOY).and_then(|rest| rest.split_once('-')) {
        Some((project, environment)) if project.parse::<i64>().is_ok() => environment.parse::<i64>().is_ok(),
        _ => matches!(name.parse(), Ok(EntityKey::Job(_))),
    }
}

/// The folders of agents, also of those that there are no more, with their numbers. Before the first job there are none.
fn slots(root: &Path) -> io::Result<Vec<(usize, PathBuf)>> {
    let mut slots = Vec::new();
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(slots),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number {
            slots.push((number, entry.path()));
        }
    }
    Ok(slots)
}

/// The names of the working directories that something may be built in again.
async fn needed(engine: &Engine) -> Result<BTreeSet<String>, EngineError> {
    let (mut names, branches) = engine
        .store()
        .read(|tx| {
            let mut branches = Vec::new();
            for one in plan::all(tx)? {
                for branch in plan::branches(tx, one.id)? {
                    branches.push((
                        branch.key.to_string(),
                        branch.version_id.unwrap_or(one.version_id),
                    ));
                }
            }
            Ok::<_, EngineError>((busy(tx)?, branches))
        })
        .await?;
    for (branch, version) in branches {
        let configuration = engine.configuration(version).await?;
        names.extend(
            configuration
                .jobs
                .iter()
                .map(|job| format!("{branch}-{}", job.key)),
        );
    }
    Ok(names)
}

/// Those of environments, and of the builds and deployments that wait or run.
fn busy(tx: &Tx<'_>) -> Result<BTreeSet<String>, EngineError> {
    let mut names = BTreeSet::new();
    for one in build_query::active(tx)? {
        let branch = one.key.rsplit_once('-').map_or("", |(branch, _)| branch);
        let jobs = build_query::jobs(tx, one.id)?;
        names.extend(jobs.iter().map(|job| format!("{branch}-{}", job.key)));
    }
    for one in deployment::all(tx)? {
        let environments = deployment::environments(tx, one.id)?;
        names.extend(environments.iter().map(|row| of_environment(one.id, row.id)));
    }
    let waiting = deployment_result::queued(tx)?.into_iter();
    for one in waiting.chain(deployment_result::held(tx)?) {
        names.insert(of_environment(one.deployment_id, one.environment_id));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_give_are_ours() {
        for (name, ours) in [
            ("PROJ-PLAN-JOB1", true),
            ("PROJ-PLAN12-JOB1", true),
            ("DEPLOY-3-14", true),
            ("DEPLOY-3-JOB1", false),
            ("DEPLOY-PLAN-JOB1", true),
            ("PROJ-PLAN", false),
            ("PROJ-PLAN-JOB1-7", false),
            ("lost+found", false),
            ("notes", false),
        ] {
            assert_eq!(is_ours(name), ours, "{name}");
        }
    }

    #[test]
    fn folder_that_is_not_there_yet_has_no_agents() {
        let home = tempfile::tempdir().expect("a folder");
        assert_eq!(slots(&home.path().join("workspaces")).expect("a list"), []);
        std::fs::create_dir(home.path().join("2")).expect("a folder");
        assert_eq!(slots(home.path()).expect("a list"), [(2, home.path().join("2"))]);
    }
}
