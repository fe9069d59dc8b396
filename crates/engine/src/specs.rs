//! Plans as code: reads `bamboo-specs/` of a commit and puts its plans in force.
//!
//! The plan file of the default branch makes and changes plans and their permissions. The one of another branch
//! configures only the plan branch of that branch. A file with mistakes changes nothing of the plans that they
//! are in: the version in force stays, and each finding is noted in the ledger entry.

pub(crate) mod apply;
pub(crate) mod examine;
pub(crate) mod findings;
mod left_out;
pub(crate) mod people;
pub(crate) mod rights;
pub mod tell_pusher;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use madake_domain::address::AddressPattern;
use madake_domain::cron::CronSchedule;
use madake_domain::key::ProjectKey;
use madake_domain::plan::{PlanConfiguration, RepositorySource};
use madake_specs::{IncludeError, Options, Reading};
use madake_store::Tx;
use madake_store::plan::PlanRepositoryRow;
use madake_store::repository::{self, Repository};
use madake_vcs::name::ObjectId;

use crate::reading::{FolderRequest, FolderState};
use crate::{Engine, EngineError};

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
            Ok(schedule) if schedule.never_comes() => Err("no such day or time ever comes".to_owned()),
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

/// Whether a repository's plan file may make plans in a project, or release what its plans made. The inner error says
/// why not.
pub(crate) fn may_use_project(
    tx: &Tx<'_>,
    found: &Repository,
    key: &ProjectKey,
) -> Result<Result<(), String>, EngineError> {
    if rights::may_create_plans(tx, found, key)? {
        return Ok(Ok(()));
    }
    Ok(Err(format!(
        "the repository {} may not make plans in the project {key}, which others use; move it to {key}/{}, use a project \
         of its own, or ask an administrator to run `madake permission grant project {key} CREATE --repository {}`",
        found.name, found.slug, found.name
    )))
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
