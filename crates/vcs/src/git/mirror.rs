//! Linked repositories: asking a remote server for its refs, and keeping a bare mirror of it.
//!
//! The server may be malicious (hostile-inputs.md G8): everything it sends is bounded in time and size.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::checkout::path_line;
use super::host::{HostError, create_bare};
use super::read::ReadError;
use super::read::refs::{RefList, read_ref};
use super::{LEGACY_FSCK_CHECKS, git_directory, shell_word};
use crate::name::{BranchName, ObjectId, RefName};
use crate::process::{GitCommand, GitProgram, ProcessError, read_diagnostic};
use crate::url::{Credential, RepositoryUrl};

/// Longest line of a ref listing, in bytes.
const MAX_LINE_BYTES: u64 = 4096;

/// Bounds on what a remote server may cost.
#[derive(Clone, Copy, Debug)]
pub struct RemoteLimits {
    /// How long one operation may take.
    pub timeout: Duration,
    /// Refs that are listed; of more, the rest is left out and the list says so.
    pub max_refs: usize,
    /// Size of one file of the mirror, so of one fetched pack, in bytes.
    pub max_pack_bytes: u64,
}

/// Which refs to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefScope {
    /// `refs/heads/` and `refs/tags/`, which is what builds look at. `HEAD` is not told.
    BranchesAndTags,
    /// All that the server shows, and `HEAD`.
    Everything,
}

/// The refs of a remote repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteRefs {
    /// The branch that `HEAD` names, if asked for and told.
    pub head: Option<RefName>,
    /// The refs.
    pub list: RefList,
}

/// Why a remote operation failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// Git failed; its message is inert and holds no credential.
    #[error(transparent)]
    Git(#[from] ProcessError),
    /// The mirror could not be created.
    #[error(transparent)]
    Mirror(#[from] HostError),
    /// The local repository does not exist.
    #[error("there is no repository at {0}")]
    NoRepository(PathBuf),
    /// The server sent more than allowed.
    #[error(
        "the remote server sent a pack of more than {limit_bytes} bytes: raise the limit or refuse the repository"
    )]
    TooLarge {
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// What was fetched cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The server could not be listened to.
    #[error("cannot read the list of refs, or write the mirror: {0}")]
    Io(std::io::Error),
    /// The server took some refs of a push, or none.
    #[error("the remote server refused {0}")]
    Refused(String),
}

impl Default for RemoteLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(600),
            max_refs: 100_000,
            max_pack_bytes: 16 << 30,
        }
    }
}

/// Asks a remote repository for its refs. `credential` wins over one that stood in the address.
///
/// # Errors
/// Git's failure, the time limit.
pub async fn ls_remote(
    git: &GitProgram,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    scope: RefScope,
    limits: &RemoteLimits,
) -> Result<RemoteRefs, MirrorError> {
    let mut command = git
        .command("ls-remote")
        .timeout(limits.timeout)
        .directory(Path::new("/"));
    command = match scope {
        RefScope::BranchesAndTags => command.args(["--heads", "--tags"]),
        RefScope::Everything => command.arg("--symref"),
    };
    let command = remote(command, git, url, credential)?.args(["--", url.display()]);
    let mut process = command.start()?;
    drop(process.take_stdin());
    let stderr = process.take_stderr();
    let stdout = process
        .take_stdout()
        .ok_or_else(|| MirrorError::Io(std::io::ErrorKind::BrokenPipe.into()))?;
    let talk = async {
        let listing = async {
            let refs = read_listing(BufReader::new(stdout), limits.max_refs).await;
            if !matches!(&refs, Ok(refs) if !refs.list.truncated) {
                process.end();
            }
            refs
        };
        let (refs, diagnostic) = tokio::join!(listing, read_diagnostic(stderr));
        let status = process.wait().await?;
        Ok::<_, MirrorError>((refs.map_err(MirrorError::Io)?, diagnostic, status))
    };
    let timed_out = |_| ProcessError::TimedOut {
        subcommand: "ls-remote",
        limit_ms: limits.timeout.as_millis(),
    };
    let (refs, diagnostic, status) = tokio::time::timeout(limits.timeout, talk)
        .await
        .map_err(timed_out)??;
    if status.success() || refs.list.truncated {
        return Ok(refs);
    }
    Err(command.failure(status, &diagnostic).into())
}

/// Brings the mirror at `mirror` up to date, creating it first if needed.
///
/// Without `wanted` all branches and tags are fetched and those that are gone are removed; with it only these refs.
/// One fetch at a time per mirror: the caller takes turns.
///
/// # Errors
/// Git's failure, the time limit, [`MirrorError::TooLarge`].
pub async fn fetch(
    git: &GitProgram,
    mirror: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    wanted: &[RefName],
    limits: &RemoteLimits,
) -> Result<(), MirrorError> {
    if !mirror.join("HEAD").is_file() {
        let branch = BranchName::parse("master").map_err(|_| MirrorError::NoRepository(mirror.to_owned()))?;
        create_bare(git, mirror, &branch, MIRROR_CONFIGURATION).await?;
    }
    fetch_refs(git, mirror, url, credential, wanted, wanted.is_empty(), limits).await
}

/// Brings all branches and tags of a repository that is there to where the remote has them, also backwards. With `prune`
/// those that the remote does not have are removed.
///
/// # Errors
/// As [`fetch`].
pub async fn fetch_everything(
    git: &GitProgram,
    repository: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    prune: bool,
    limits: &RemoteLimits,
) -> Result<(), MirrorError> {
    if !repository.join("HEAD").is_file() {
        return Err(MirrorError::NoRepository(repository.to_owned()));
    }
    fetch_refs(git, repository, url, credential, &[], prune, limits).await
}

async fn fetch_refs(
    git: &GitProgram,
    mirror: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    wanted: &[RefName],
    prune: bool,
    limits: &RemoteLimits,
) -> Result<(), MirrorError> {
    let mut command = git
        .command("fetch")
        .repository(mirror)
        .timeout(limits.timeout)
        .setting("fetch.fsckObjects", "true")
        .args([
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
        ])
        .args(["--force", "--update-head-ok"]);
    for check in LEGACY_FSCK_CHECKS {
        command = command.setting(&format!("fetch.fsck.{check}"), "ignore");
    }
    if prune {
        command = command.arg("--prune");
    }
    let mut command = remote(command, git, url, credential)?.args(["--", url.display()]);
    if wanted.is_empty() {
        command = command.args(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]);
    }
    let command = command.args(wanted.iter().map(|name| format!("+{name}:{name}")));
    let fetched = command.file_size_limit(limits.max_pack_bytes).run().await;
    if let Err(error) = fetched {
        let too_large = matches!(&error, ProcessError::Failed { stderr, .. } if stderr.contains("died of signal 25")
            || stderr.contains("File too large"));
        remove_unfinished_packs(mirror);
        let limit_bytes = limits.max_pack_bytes;
        return Err(if too_large {
            MirrorError::TooLarge { limit_bytes }
        } else {
            error.into()
        });
    }
    Ok(())
}

/// Fetches one ref into the repository at `beside`, which borrows the objects of the mirror at `mirror` and lends it
/// none, and gives the commit; `None`: the server shows no such ref. One fetch at a time: the caller takes turns.
///
/// # Errors
/// As [`fetch`].
pub async fn fetch_beside(
    git: &GitProgram,
    mirror: &Path,
    beside: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    wanted: &RefName,
    limits: &RemoteLimits,
) -> Result<Option<ObjectId>, MirrorError> {
    if !beside.join("HEAD").is_file() {
        let branch = BranchName::parse("master").map_err(|_| MirrorError::NoRepository(beside.to_owned()))?;
        create_bare(git, beside, &branch, MIRROR_CONFIGURATION).await?;
    }
    let lenders = beside.join("objects/info/alternates");
    if !lenders.is_file() && mirror.join("objects").is_dir() {
        let mut line = path_line(&mirror.join("objects"));
        line.push(b'\n');
        fs::create_dir_all(beside.join("objects/info")).map_err(MirrorError::Io)?;
        fs::write(&lenders, line).map_err(MirrorError::Io)?;
    }
    match fetch(git, beside, url, credential, std::slice::from_ref(wanted), limits).await {
        Err(MirrorError::Git(ProcessError::Failed { stderr, .. }))
            if stderr.contains("couldn't find remote ref") =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(read_ref(git, beside, wanted).await?),
    }
}

/// Where the mirror of a linked repository lies below `root`.
///
/// Name and address together are the key, so that two links with one name but different addresses never share a
/// folder, nor do two links with different rights to one address (hostile-inputs.md G10, CVE-2022-25175).
#[must_use]
pub fn mirror_path(root: &Path, name: &str, url: &RepositoryUrl) -> PathBuf {
    let mut digest = Sha256::new();
    digest.update((name.len() as u64).to_be_bytes());
    digest.update(name);
    digest.update(url.display());
    let mut key = String::with_capacity(68);
    for byte in digest.finalize() {
        key.push_str(&format!("{byte:02x}"));
    }
    key.push_str(".git");
    root.join(key)
}

const MIRROR_CONFIGURATION: &str = "\
[core]
	hooksPath = /dev/null
	protectNTFS = true
	protectHFS = true
[gc]
	auto = 0
[maintenance]
	auto = false
";

/// What every command needs that reads from `url`.
fn remote(
    command: GitCommand,
    git: &GitProgram,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
) -> Result<GitCommand, MirrorError> {
    connected(command, git, url, credential, "upload-pack")
}

/// What every command needs that talks to the service `service` at `url`.
pub(super) fn connected(
    command: GitCommand,
    git: &GitProgram,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    service: &str,
) -> Result<GitCommand, MirrorError> {
    let mut command = command.network(url, credential.or_else(|| url.credential()));
    if let Some(path) = url.local_path() {
        let folder = git_directory(path).ok_or_else(|| MirrorError::NoRepository(path.to_owned()))?;
        let folder = folder.canonicalize().unwrap_or(folder);
        // Git starts the other side with a clean configuration, so the trust in another owner goes with the program.
        let program = shell_word(&git.path().to_string_lossy());
        let trusted = shell_word(&format!("safe.directory={}", folder.display()));
        command = command.arg(format!("--{service}={program} -c {trusted} {service}"));
    }
    Ok(command)
}

async fn read_listing(
    mut stdout: impl tokio::io::AsyncBufRead + Unpin,
    max_refs: usize,
) -> std::io::Result<RemoteRefs> {
    let mut found = RemoteRefs::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut stdout)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
            .await?;
        if line.is_empty() {
            return Ok(found);
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "a line is too long or cut",
            ));
        };
        let Some(tab) = text.iter().position(|&byte| byte == b'\t') else {
            continue;
        };
        let (value, name) = (String::from_utf8_lossy(&text[..tab]), &text[tab + 1..]);
        if let Some(target) = value.strip_prefix("ref: ") {
            if name == b"HEAD" {
                found.head = RefName::parse(target).ok();
            }
            continue;
        }
        let id = ObjectId::parse(&value).ok();
        if let Some(tag) = name.strip_suffix(b"^{}") {
            if let Some(last) = found
                .list
                .refs
                .last_mut()
                .filter(|last| last.name.as_str().as_bytes() == tag)
            {
                last.peeled = id;
            }
            continue;
        }
        if name == b"HEAD" {
            continue;
        }
        if found.list.refs.len() + found.list.refused.len() == max_refs {
            found.list.truncated = true;
            return Ok(found);
        }
        found.list.add(name, id, None);
    }
}

/// An interrupted fetch leaves its half pack behind.
fn remove_unfinished_packs(mirror: &Path) {
    let Ok(entries) = fs::read_dir(mirror.join("objects/pack")) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("tmp_") {
            // Best effort: git's own clean-up finds the rest.
            let _ = fs::remove_file(entry.path());
        }
    }
}
