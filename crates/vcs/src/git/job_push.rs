//! Pushes what a job made: a tag or branch at the revision that was built, or commits that came in a bundle.
//!
//! Nothing of the job's checkout takes part, neither its configuration nor its hooks: the push goes from a scratch
//! repository that borrows the objects of the source, so that no setting of a job sees the credential.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::git_directory;
use crate::announce::Announce;
use crate::name::{ObjectId, RefName};
use crate::process::{GitProgram, ProcessError};
use crate::url::{Credential, RepositoryUrl};

/// How bundles begin (gitformat-bundle).
const SIGNATURES: [&[u8]; 2] = [b"# v2 git bundle\n", b"# v3 git bundle\n"];

const LONGEST_SIGNATURE: u64 = 16;

/// What is pushed, and where to.
#[derive(Debug, Clone)]
pub struct JobPush<'a> {
    /// The git program.
    pub git: &'a GitProgram,
    /// The repository on this machine that has the revision.
    pub source: &'a Path,
    /// A folder that does not exist yet and that no job can write; it is removed again.
    pub scratch: &'a Path,
    /// What is pushed.
    pub what: Pushed<'a>,
    /// The revision that was built.
    pub built: &'a ObjectId,
    /// The ref that moves there.
    pub target: &'a RefName,
    /// The server at the other end is ours and hears of each push, so that nobody asks where the ref is.
    pub hosted: bool,
    /// The address.
    pub url: &'a RepositoryUrl,
    /// As whom.
    pub credential: Option<&'a Credential>,
    /// Hears of it before anything goes over the network.
    pub announce: Announce<'a>,
    /// How long each run of git may take.
    pub timeout: Duration,
}

/// What is pushed.
#[derive(Debug, Clone, Copy)]
pub enum Pushed<'a> {
    /// A commit of the source.
    Revision(&'a ObjectId),
    /// The `HEAD` of a bundle that a job wrote, whose prerequisites the source has. The file is out of the job's reach.
    Bundle(&'a Path),
}

/// Why nothing was pushed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JobPushError {
    /// The source is no repository.
    #[error("{} is not a repository", .0.display())]
    NoSource(PathBuf),
    /// The file system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is something else, which git might take for the way to another repository.
    #[error("the commits are not in a bundle of git")]
    NotABundle,
    /// The ref is not where it would have to be for this.
    #[error("{}", not_moved(.target, .at.as_ref()))]
    NotMoved {
        /// The ref.
        target: RefName,
        /// Where it is, as far as that can be told.
        at: Option<ObjectId>,
    },
    /// Nobody could be told of the push.
    #[error("nothing is pushed, because the server cannot be told of it: {0}")]
    Announce(io::Error),
    /// Git, or the server at the other end, refused.
    #[error(transparent)]
    Git(#[from] ProcessError),
}

fn not_moved(target: &RefName, at: Option<&ObjectId>) -> String {
    let at = at.map_or_else(|| "another commit".to_owned(), ToString::to_string);
    match target.tag() {
        Some(tag) => format!("the tag {tag} is there already, at {at}; tags are not moved"),
        None => format!(
            "nothing is pushed: {} has moved to {at} meanwhile, which the commits do not follow",
            target.short()
        ),
    }
}

/// Pushes it; a ref that is there already is moved forward or not at all.
///
/// # Errors
/// [`JobPushError`]; nothing has moved then.
pub fn push(request: &JobPush<'_>) -> Result<(), JobPushError> {
    let pushed = push_from_scratch(request);
    // What is left behind goes with the job's folder.
    let _ = fs::remove_dir_all(request.scratch);
    pushed
}

/// Git takes a file that is no bundle for a repository, and one that says `gitdir:` leads to any on this machine.
fn require_bundle(path: &Path) -> Result<(), JobPushError> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_SIGNATURE).read_to_end(&mut start))
        .map_err(|source| JobPushError::Io {
            path: path.to_owned(),
            source,
        })?;
    if SIGNATURES.iter().any(|signature| start.starts_with(signature)) {
        Ok(())
    } else {
        Err(JobPushError::NotABundle)
    }
}

fn push_from_scratch(request: &JobPush<'_>) -> Result<(), JobPushError> {
    let source =
        git_directory(request.source).ok_or_else(|| JobPushError::NoSource(request.source.to_owned()))?;
    let run = |subcommand| request.git.command(subcommand).timeout(request.timeout);
    run("init")
        .args(["--quiet", "--bare", "--template=", "--"])
        .arg(request.scratch)
        .run_blocking()?;
    let alternates = request.scratch.join("objects/info/alternates");
    let text = [source.join("objects").as_os_str().as_encoded_bytes(), b"\n"].concat();
    fs::create_dir_all(request.scratch.join("objects/info"))
        .and_then(|()| fs::write(&alternates, text))
        .map_err(|source| JobPushError::Io {
            path: alternates,
            source,
        })?;
    let from = match request.what {
        Pushed::Revision(revision) => *revision,
        Pushed::Bundle(bundle) => {
            require_bundle(bundle)?;
            run("fetch")
                .repository(request.scratch)
                .setting("fetch.fsckObjects", "true")
                .args(["--quiet", "--no-tags", "--"])
                .arg(bundle)
                .arg("HEAD:refs/madake/job")
                .environment("GIT_ALLOW_PROTOCOL", "file")
                .run_blocking()?;
            let read = run("rev-parse")
                .repository(request.scratch)
                .args(["--verify", "refs/madake/job^{commit}"])
                .run_blocking()?;
            ObjectId::parse(String::from_utf8_lossy(&read.stdout).trim())
                .map_err(|_| JobPushError::NotABundle)?
        }
    };
    let credential = request.credential.or_else(|| request.url.credential());
    let place = if request.hosted {
        None
    } else {
        place_of_target(request, credential)?
    };
    // Nothing of what somebody else put there is the job's.
    let moves = place != Some(from);
    if moves {
        let onto = place.as_ref().filter(|place| *place != request.built);
        request
            .announce
            .push(request.target, &from, onto)
            .map_err(JobPushError::Announce)?;
    }
    let pushed = run("push")
        .repository(request.scratch)
        .network(request.url, credential)
        .args([
            "--quiet",
            "--no-verify",
            "--no-signed",
            "--recurse-submodules=no",
            "--",
        ])
        .arg(request.url.display())
        .arg(format!("{from}:{}", request.target))
        .run_blocking();
    if let Err(ProcessError::Failed { stderr, .. }) = &pushed
        && moves
        && is_refused(stderr)
    {
        request.announce.refused(request.target, &from);
    }
    match pushed {
        Ok(_) => Ok(()),
        Err(ProcessError::Failed { stderr, .. }) if is_left_behind(&stderr) => Err(JobPushError::NotMoved {
            target: request.target.clone(),
            at: place_of_target(request, credential).unwrap_or_default(),
        }),
        Err(error) => Err(error.into()),
    }
}

/// Whether git says that the ref is elsewhere than the push supposes: seen before it was sent, or while it was.
fn is_left_behind(stderr: &str) -> bool {
    stderr.contains("[rejected]")
        || (stderr.contains("[remote rejected]")
            && ["non-fast-forward", "cannot lock ref", "failed to update ref"]
                .iter()
                .any(|reason| stderr.contains(reason)))
}

/// Whether git says for certain that the ref has not moved. Of a connection that broke nobody knows.
fn is_refused(stderr: &str) -> bool {
    [
        "[rejected]",
        "[remote rejected]",
        "Authentication failed",
        "returned error: 401",
        "returned error: 403",
    ]
    .iter()
    .any(|words| stderr.contains(words))
}

/// Where the target is over there; `None`: it is new.
fn place_of_target(
    request: &JobPush<'_>,
    credential: Option<&Credential>,
) -> Result<Option<ObjectId>, ProcessError> {
    let listed = request
        .git
        .command("ls-remote")
        .timeout(request.timeout)
        .repository(request.scratch)
        .network(request.url, credential)
        .args(["--quiet", "--", request.url.display(), request.target.as_str()])
        .run_blocking()?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let found = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .find(|(_, name)| *name == request.target.as_str());
    Ok(found.and_then(|(id, _)| ObjectId::parse(id).ok()))
}
