//! Checks a repository out into the working directory (bamboo-specs.md 4.3).

use std::path::{Path, PathBuf};
use std::time::Duration;

use madake_domain::plan::CheckoutTask;
use madake_domain::repository::Scm;
use madake_protocol::{JobOrder, JobRepository};
use madake_vcs::git;
use madake_vcs::git::lfs::checkout::{FillRequest, fill, find_git_lfs};
use madake_vcs::hg;
use madake_vcs::name::{BranchName, NameError, ObjectId};
use madake_vcs::process::{GitProgram, HgProgram, ProcessError};

use super::confine::{self, Refused};
use super::interruption::{Interruption, Lookout, heard_while};
use super::script_environment::ScriptEnvironment;
use crate::workspaces::CHECKOUTS;

/// The longest time that one checkout may take, whatever the job's own limit is.
const LONGEST_CHECKOUT: Duration = Duration::from_secs(3600);

/// Why a checkout was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CheckoutFailure {
    /// The plan names no such repository.
    #[error("the plan has no repository `{0}`; add it to `repositories` of the plan")]
    UnknownRepository(String),
    /// The plan has no repository at all.
    #[error("the plan has no repository to check out; add one to `repositories` of the plan")]
    NoRepository,
    /// The folder is not where it may be.
    #[error("the checkout path {0}")]
    Path(#[from] Refused),
    /// The server gave no exact revision.
    #[error("`{revision}` is not a revision: {source}")]
    Revision {
        /// What it gave.
        revision: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// Git or the disk refused.
    #[error(transparent)]
    Git(#[from] git::checkout::CheckoutError),
    /// Mercurial or the disk refused.
    #[error(transparent)]
    Hg(#[from] hg::checkout::CheckoutError),
    /// The settings of Mercurial cannot be kept.
    #[error(transparent)]
    HgSettings(#[from] ProcessError),
    /// The job is ended.
    #[error("the checkout was {}", .0.reason())]
    Interrupted(Interruption),
}

/// A checkout that was made.
pub(crate) struct Made {
    /// What was done, for the log.
    pub(crate) lines: Vec<String>,
    /// The repository's name in the plan.
    pub(crate) repository: String,
    /// The folder with the files.
    pub(crate) folder: PathBuf,
}

/// Makes the checkout, and says what was done.
pub(crate) fn check_out(
    task: &CheckoutTask,
    order: &JobOrder,
    environment: &ScriptEnvironment,
    lookout: &Lookout<'_>,
) -> Result<Made, CheckoutFailure> {
    let repository = find(task.repository.as_deref(), order, environment)?;
    let path = environment.substituted(&task.path);
    let into = confine::to_be_made(&order.working_directory, if path == "/" { "" } else { &path })?;
    let revision = ObjectId::parse(&repository.revision).map_err(|source| CheckoutFailure::Revision {
        revision: repository.revision.clone(),
        source,
    })?;
    let mut lines = vec![format!(
        "Checking out revision {revision} of branch '{}' of repository '{}' into {}",
        repository.branch,
        repository.name,
        into.display()
    )];
    let work = Work {
        program: match repository.scm {
            Scm::Git => Program::Git(GitProgram::new(&order.git_program)),
            Scm::Hg => Program::Hg(HgProgram::new(&order.hg_program, &order.hg_settings)?),
        },
        source: repository.source.clone(),
        revision,
        branch: BranchName::parse(&repository.branch).ok(),
        origin: repository.origin.clone(),
        administration: administration(&order.working_directory, &into),
        into,
        clean: task.force_clean_build,
    };
    let folder = work.into.clone();
    lines.extend(heard_while(lookout, move || work.check_out()).map_err(CheckoutFailure::Interrupted)??);
    Ok(Made {
        lines,
        repository: repository.name.clone(),
        folder,
    })
}

/// The repository of this name in the plan; without a name the default one.
pub(crate) fn find<'a>(
    name: Option<&str>,
    order: &'a JobOrder,
    environment: &ScriptEnvironment,
) -> Result<&'a JobRepository, CheckoutFailure> {
    let Some(name) = name else {
        return order
            .repositories
            .iter()
            .find(|it| it.is_default)
            .ok_or(CheckoutFailure::NoRepository);
    };
    let name = environment.substituted(name);
    let found = order.repositories.iter().find(|it| it.name == name);
    found.ok_or(CheckoutFailure::UnknownRepository(name))
}

/// Where git works with a git directory of its own for a checkout: beside the working directory, so that it is there
/// for the next build and no job can write to it.
fn administration(working_directory: &Path, into: &Path) -> PathBuf {
    let mut folder = working_directory.as_os_str().to_owned();
    folder.push(CHECKOUTS);
    let inner = into.strip_prefix(working_directory).unwrap_or(into);
    // FNV-1a: a name for each path. Git's directory says itself which it is of, so two of one name do no harm.
    let hash = inner
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    PathBuf::from(folder).join(format!("{hash:016x}"))
}

enum Program {
    Git(GitProgram),
    Hg(HgProgram),
}

struct Work {
    program: Program,
    source: PathBuf,
    revision: ObjectId,
    branch: Option<BranchName>,
    origin: Option<String>,
    into: PathBuf,
    administration: PathBuf,
    clean: bool,
}

impl Work {
    fn check_out(&self) -> Result<Vec<String>, CheckoutFailure> {
        let source: &Path = &self.source;
        Ok(match &self.program {
            Program::Git(git) => {
                let request = git::checkout::CheckoutRequest {
                    git,
                    source,
                    revision: &self.revision,
                    branch: self.branch.as_ref(),
                    origin: self.origin.as_deref(),
                    into: &self.into,
                    administration: &self.administration,
                    clean: self.clean,
                    timeout: LONGEST_CHECKOUT,
                };
                let mut lines = git::checkout::checkout(&request)?.lines;
                lines.extend(fill(&FillRequest {
                    git,
                    git_lfs: find_git_lfs().as_deref(),
                    source,
                    work_tree: &self.into,
                    administration: &self.administration,
                    timeout: LONGEST_CHECKOUT,
                })?);
                lines
            }
            Program::Hg(hg) => {
                let request = hg::checkout::CheckoutRequest {
                    hg,
                    source,
                    revision: &self.revision,
                    origin: self.origin.as_deref(),
                    into: &self.into,
                    clean: self.clean,
                    timeout: LONGEST_CHECKOUT,
                };
                hg::checkout::checkout(&request)?.lines
            }
        })
    }
}
