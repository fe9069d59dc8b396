//! Plans as code: reads `bamboo-specs/` of a commit and puts its plans in force.
//!
//! The plan file of the default branch makes and changes plans and their permissions. The one of another branch
//! configures only the plan branch of that branch. A file with mistakes changes nothing of the plans that they
//! are in: the version in force stays, and each finding is noted in the ledger entry.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use madake_domain::address::AddressPattern;
use madake_domain::cron::CronSchedule;
use madake_domain::key::ProjectKey;
use madake_domain::permission::{Grantee, Scope};
use madake_domain::plan::{PlanConfiguration, PlanPermissions, RepositorySource};
use madake_specs::{IncludeError, Options, Reading, Severity};
use madake_store::plan::{self, PlanRepositoryRow};
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx, event, permission, project};
use madake_vcs::name::ObjectId;

use crate::reading::{FolderRequest, FolderState};
use crate::{Engine, EngineError, clock, deploying};

/// The folder that is looked at (bamboo-specs.md 1).
pub(crate) const FOLDER: &str = "bamboo-specs";
/// The largest file that is read, in bytes.
const FILE_LIMIT: u64 = 1024 * 1024;
/// The most files that are read.
const FILES_LIMIT: usize = 500;

/// The files of it that count.
const REQUEST: FolderRequest<'static> = FolderRequest {
    path: FOLDER,
    wanted: |name| name.ends_with(".yml") || name.ends_with(".yaml"),
    file_limit: FILE_LIMIT,
    files_limit: FILES_LIMIT,
};

/// What the folder is like in a commit, if the commit has one.
pub(crate) async fn folder_state(
    engine: &Engine,
    found: &Repository,
    commit: &ObjectId,
) -> Result<Option<FolderState>, EngineError> {
    engine
        .open_repository(found)?
        .folder_state(commit, &REQUEST)
        .await
}

/// Reads the plan file of a commit; `None` when it has none.
pub(crate) async fn read_commit(
    engine: &Engine,
    found: &Repository,
    commit: &ObjectId,
) -> Result<Option<Reading>, EngineError> {
    let Some(state) = folder_state(engine, found, commit).await? else {
        return Ok(None);
    };
    let files = engine
        .open_repository(found)?
        .folder_files(state, &REQUEST)
        .await?;
    let names = files
        .keys()
        .filter_map(|name| name.strip_prefix("bamboo-specs/"))
        .filter(|name| !name.contains('/'));
    let Some((entry, warning)) = madake_specs::entry_file(names) else {
        return Ok(None);
    };
    let entry = format!("{FOLDER}/{entry}");
    let server_name = engine.settings().server_name.clone();
    // Parsing is bounded but not instant; it must not hold up others on this thread.
    let reading = tokio::task::spawn_blocking(move || {
        let mut reading = read_text(
            &entry,
            files.get(&entry).map_or("", String::as_str),
            &files,
            &server_name,
        );
        reading.diagnostics.extend(warning);
        reading
    })
    .await
    .map_err(|error| EngineError::Internal(error.to_string()))?;
    Ok(Some(reading))
}

/// How plan files are read: with this server's name, and with the cron expressions, addresses and time zones that the
/// engine understands.
#[must_use]
pub fn reading_options(server_name: &str) -> Options<'_> {
    Options {
        server_name: Some(server_name),
        validate_cron: &|text| match CronSchedule::parse(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        validate_address: &|text| match AddressPattern::parse(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        validate_time_zone: &|text| TimeZone::get(text).map(|_| ()).map_err(|error| error.to_string()),
        ..Options::default()
    }
}

/// Reads a plan file whose includes are in `files`.
fn read_text(name: &str, text: &str, files: &BTreeMap<String, String>, server_name: &str) -> Reading {
    let tree = |path: &str| files.get(path).cloned().ok_or(IncludeError::NotFound);
    madake_specs::read(name, text, &tree, &reading_options(server_name))
}

/// Puts the plans of a default branch's plan file in force, in one transaction, and notes findings in the entry.
pub(crate) async fn apply_default_branch(
    engine: &Engine,
    found: &Repository,
    commit: &ObjectId,
    event_id: Option<i64>,
) -> Result<(), EngineError> {
    let Some(reading) = read_commit(engine, found, commit).await? else {
        return Ok(());
    };
    let (found, source) = (found.clone(), format!("{} at {commit}", found.name));
    engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            let mut notes = notes_of(&reading);
            for document in &reading.plans {
                if let Err(conflict) = put_in_force(tx, &found, &document.configuration, &source, now)? {
                    notes.push(("error", conflict));
                }
            }
            for permissions in &reading.permissions {
                if let Err(conflict) = set_permissions(tx, &found, permissions, now)? {
                    notes.push(("error", conflict));
                }
            }
            for document in &reading.deployments {
                if let Err(conflict) =
                    deploying::put_in_force(tx, &found, &document.configuration, &source, now)?
                {
                    notes.push(("error", conflict));
                }
            }
            for permissions in &reading.deployment_permissions {
                if let Err(conflict) = deploying::set_permissions(tx, &found, permissions, now)? {
                    notes.push(("error", conflict));
                }
            }
            for (level, text) in notes {
                tracing::info!(repository = %found.name, "plan file of {}: {text}", found.name);
                if let Some(event_id) = event_id {
                    event::note(tx, event_id, level, &text, now)?;
                }
            }
            Ok::<_, EngineError>(())
        })
        .await
}

fn notes_of(reading: &Reading) -> Vec<(&'static str, String)> {
    let level = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        _ => "info",
    };
    reading
        .diagnostics
        .iter()
        .take(100)
        .map(|one| (level(one.severity), madake_specs::render_line(one)))
        .collect()
}

/// Makes or changes one plan. The inner error says why the repository may not.
fn put_in_force(
    tx: &Tx<'_>,
    found: &Repository,
    configuration: &PlanConfiguration,
    source: &str,
    now: Millis,
) -> Result<Result<(), String>, EngineError> {
    let existing = plan::by_key(tx, &configuration.key)?;
    let plan_id = match existing {
        Some(existing) if existing.specs_repository_id != Some(found.id) => {
            let owner = match existing.specs_repository_id {
                Some(owner) => {
                    repository::by_id(tx, owner)?.map_or_else(|| "another repository".into(), |one| one.name)
                }
                None => "this server's administrators".to_owned(),
            };
            return Ok(Err(format!(
                "plan {} belongs to {owner}: nothing is changed; give the plan another key",
                configuration.key
            )));
        }
        Some(existing) => existing.id,
        None => {
            if let Err(refusal) = may_use_project(tx, found, &configuration.project_key)? {
                return Ok(Err(format!("plan {} is not made: {refusal}", configuration.key)));
            }
            if plan::branch_by_key(tx, &configuration.key)?.is_some() {
                return Ok(Err(format!(
                    "plan {} is not made: the key is that of a plan branch",
                    configuration.key
                )));
            }
            let project = project::ensure(tx, &configuration.project_key, now)?;
            plan::insert(tx, project.id, configuration, Some(found.id), now)?
        }
    };
    let (version_id, _) = plan::ensure_version(tx, plan_id, configuration, source, now)?;
    if plan::by_id(tx, plan_id)?.version_id != version_id {
        plan::adopt_version(tx, plan_id, version_id, configuration)?;
        plan::set_repositories(tx, plan_id, &repository_rows(tx, found, configuration)?)?;
        plan::clear_timers(tx, plan_id)?;
    }
    Ok(Ok(()))
}

/// Whether a repository's plan file may make plans in a project: its own, a new one, or one whose plans all come
/// from it. A linked repository was linked by an administrator, who answers for it.
pub(crate) fn may_use_project(
    tx: &Tx<'_>,
    found: &Repository,
    key: &ProjectKey,
) -> Result<Result<(), String>, EngineError> {
    if found
        .project()
        .is_none_or(|owner| owner.eq_ignore_ascii_case(key.as_str()))
    {
        return Ok(Ok(()));
    }
    let Some(project) = project::by_key(tx, key)? else {
        return Ok(Ok(()));
    };
    let foreign = plan::of_project(tx, project.id)?
        .into_iter()
        .any(|one| one.specs_repository_id != Some(found.id));
    if foreign || !permission::on(tx, Scope::Project, key.as_str())?.is_empty() {
        return Ok(Err(format!(
            "the repository {} may not make plans in the project {key}, which others use; move it to {key}/{} or use a \
             project of its own",
            found.name, found.slug
        )));
    }
    Ok(Ok(()))
}

/// The repositories of a plan as rows; names that the server does not know stay open until they are linked.
pub(crate) fn repository_rows(
    tx: &Tx<'_>,
    found: &Repository,
    configuration: &PlanConfiguration,
) -> Result<Vec<PlanRepositoryRow>, EngineError> {
    let Some(list) = &configuration.repositories else {
        return Ok(vec![PlanRepositoryRow {
            name: found.name.clone(),
            repository_id: Some(found.id),
        }]);
    };
    list.iter()
        .map(|one| {
            let known = match &one.source {
                RepositorySource::Named => repository::by_name(tx, &one.name)?,
                RepositorySource::Url(url) => repository::by_url(tx, url)?,
            };
            Ok(PlanRepositoryRow {
                name: one.name.clone(),
                repository_id: known.map(|known| known.id),
            })
        })
        .collect()
}

/// Replaces what is granted on a plan. The inner error says why the repository may not.
fn set_permissions(
    tx: &Tx<'_>,
    found: &Repository,
    permissions: &PlanPermissions,
    now: Millis,
) -> Result<Result<(), String>, EngineError> {
    let key = &permissions.plan;
    let Some(existing) = plan::by_key(tx, key)? else {
        return Ok(Err(format!("permissions of {key}: there is no such plan")));
    };
    if existing.specs_repository_id != Some(found.id) {
        return Ok(Err(format!(
            "permissions of {key}: the plan belongs to another repository; nothing is changed"
        )));
    }
    permission::revoke_all(tx, Scope::Plan, key.as_str())?;
    for entry in &permissions.entries {
        let users = entry.users.iter().cloned().map(Grantee::User);
        let groups = entry.groups.iter().cloned().map(Grantee::Group);
        let roles = entry.logged_in.then_some(Grantee::LoggedIn).into_iter();
        let grantees = users
            .chain(groups)
            .chain(roles)
            .chain(entry.anonymous.then_some(Grantee::Anonymous));
        for grantee in grantees {
            for granted in &entry.permissions {
                permission::grant(tx, Scope::Plan, key.as_str(), &grantee, *granted, now)?;
            }
        }
    }
    Ok(Ok(()))
}

/// The versions that plan branches take from the plan file of their own branch: plan id to configuration, or the
/// findings when it has mistakes.
pub(crate) async fn branch_configurations(
    engine: &Engine,
    found: &Repository,
    commit: &ObjectId,
) -> Result<(Vec<PlanConfiguration>, Vec<(&'static str, String)>), EngineError> {
    match read_commit(engine, found, commit).await? {
        Some(reading) => {
            let notes = notes_of(&reading);
            Ok((
                reading
                    .plans
                    .into_iter()
                    .map(|document| document.configuration)
                    .collect(),
                notes,
            ))
        }
        None => Ok((Vec::new(), Vec::new())),
    }
}
