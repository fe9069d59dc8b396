//! The right of a job to push: what tasks such as `vcs-tag` push with, to repositories of the job's own plan.
//!
//! It is sealed text that names the attempt and the repositories, so nothing of it is stored, and it is good only as
//! long as that attempt runs. The job itself never sees it.

use madake_domain::permission::{JobPrincipal, Principal};
use madake_domain::repository::RepositoryKind;
use madake_protocol::{PushRight, Secret};
use madake_store::repository::Repository;
use madake_store::{build, build_query};
use serde::{Deserialize, Serialize};

use crate::order::served_url;
use crate::{Engine, EngineError, clock};

/// What every right starts with.
const PREFIX: &str = "mdkj_";
/// Where rights are sealed for: nothing else opens there.
const PLACE: &str = "job.right";
/// The name that goes with it.
const USERNAME: &str = "x-job-auth";
/// No attempt takes longer, in milliseconds.
const LONGEST_MS: i64 = 7 * 24 * 3600 * 1000;
/// How names of builds begin that push.
const BUILD: &str = "build ";

#[derive(Serialize, Deserialize)]
struct JobRight {
    job: i64,
    attempt: i64,
    repositories: Vec<i64>,
    until_ms: i64,
}

/// Whether a password looks like a job's right; whether it is good is another question.
#[must_use]
pub fn is_job_right(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The key of the build that pushed under this name, `PROJ-PLAN-7`; `None`: a person did.
pub(crate) fn pushing_build(pusher: &str) -> Option<&str> {
    pusher.strip_prefix(BUILD)
}

/// The rights of an attempt to push to these repositories, by their names in the plan.
pub(crate) fn push_rights(
    engine: &Engine,
    job: &build::Job,
    attempt: i64,
    repositories: &[(&str, &Repository)],
) -> Result<Vec<PushRight>, EngineError> {
    let hosted = repositories
        .iter()
        .filter(|(_, found)| found.kind == RepositoryKind::Hosted);
    let right = JobRight {
        job: job.id,
        attempt,
        repositories: hosted.map(|(_, found)| found.id).collect(),
        until_ms: clock::now_ms() + LONGEST_MS,
    };
    let password = Secret::new(engine.sealed(PREFIX, PLACE, &right)?);
    repositories
        .iter()
        .map(|(name, found)| {
            let (repository, repository_id) = ((*name).to_owned(), found.id);
            Ok(match found.kind {
                RepositoryKind::Hosted => PushRight {
                    repository,
                    repository_id,
                    url: served_url(&engine.settings().base_url, found),
                    username: USERNAME.to_owned(),
                    password: Some(password.clone()),
                    hosted: true,
                },
                // It is on this machine, and its hook tells of the push.
                RepositoryKind::Attached => PushRight {
                    repository,
                    repository_id,
                    url: found.path.clone(),
                    username: String::new(),
                    password: None,
                    hosted: false,
                },
                RepositoryKind::Linked => {
                    let credential = engine.credential(found)?;
                    PushRight {
                        repository,
                        repository_id,
                        url: found.url.clone(),
                        username: credential
                            .as_ref()
                            .map(|one| one.username().to_owned())
                            .unwrap_or_default(),
                        password: credential.map(|one| Secret::new(one.password())),
                        hosted: false,
                    }
                }
            })
        })
        .collect()
}

impl Engine {
    /// The principal that a job's right stands for, or `None` when it is no good or the attempt has ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn log_in_by_job_right(&self, raw: &str) -> Result<Option<Principal>, EngineError> {
        let Some(right) = self.opened::<JobRight>(PREFIX, PLACE, raw) else {
            return Ok(None);
        };
        if right.until_ms < clock::now_ms() {
            return Ok(None);
        }
        self.store()
            .read(move |tx| {
                let job = build_query::job(tx, right.job)?;
                let runs = job.attempt == right.attempt && matches!(job.state.as_str(), "leased" | "running");
                if !runs {
                    return Ok(None);
                }
                let key = build::by_id(tx, job.build_id)?.key;
                Ok::<_, EngineError>(Some(Principal::Job(JobPrincipal {
                    name: format!("{BUILD}{key}"),
                    repositories: right.repositories,
                })))
            })
            .await
    }
}
