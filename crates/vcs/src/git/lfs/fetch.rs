//! The content of files of Git LFS from and to the server of another repository, by the git-lfs of this machine.

use std::path::Path;

use crate::git::mirror::RemoteLimits;
use crate::name::{ObjectId, RefName};
use crate::process::{GitCommand, GitProgram, ProcessError};
use crate::url::{Credential, RepositoryUrl, Scheme};

/// Refs of one run: they stand in the argument list, which the system bounds.
const REFS_PER_RUN: usize = 500;

/// Brings what `revision` needs into the objects of the mirror at `mirror`; what is there is not asked for again.
///
/// The server is that of `url`, whatever a commit says (`.lfsconfig`). It names the addresses that objects come from.
///
/// # Errors
/// The failure of git-lfs, which also is that it is not installed; the time limit.
pub async fn fetch_content(
    git: &GitProgram,
    mirror: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    revision: &ObjectId,
    limits: &RemoteLimits,
) -> Result<(), ProcessError> {
    command(git, mirror, url, credential, limits)
        .args(["fetch", "origin"])
        .arg(revision.to_string())
        .run()
        .await
        .map(|_| ())
}

/// Brings everything that the history of `refs` needs into the objects of the repository at `repository`.
///
/// # Errors
/// As [`fetch_content`].
pub async fn fetch_history(
    git: &GitProgram,
    repository: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    refs: &[RefName],
    limits: &RemoteLimits,
) -> Result<(), ProcessError> {
    for some in refs.chunks(REFS_PER_RUN) {
        command(git, repository, url, credential, limits)
            .args(["fetch", "--all", "origin"])
            .args(some.iter().map(ToString::to_string))
            .run()
            .await?;
    }
    Ok(())
}

/// Sends everything that the history of `refs` needs, as far as the server does not have it.
///
/// # Errors
/// As [`fetch_content`].
pub async fn push_history(
    git: &GitProgram,
    repository: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    refs: &[RefName],
    limits: &RemoteLimits,
) -> Result<(), ProcessError> {
    for some in refs.chunks(REFS_PER_RUN) {
        command(git, repository, url, credential, limits)
            // What never came here cannot be sent on, and keeps nothing else.
            .setting("lfs.allowincompletepush", "true")
            .args(["push", "origin"])
            .args(some.iter().map(ToString::to_string))
            .run()
            .await?;
    }
    Ok(())
}

fn command(
    git: &GitProgram,
    repository: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    limits: &RemoteLimits,
) -> GitCommand {
    git.command("lfs")
        .repository(repository)
        .timeout(limits.timeout)
        .network(url, credential.or_else(|| url.credential()))
        .setting("remote.origin.url", address(url))
        .setting("lfs.url", server_of(url))
        .setting("lfs.locksverify", "false")
        .setting("lfs.concurrentTransfers", "4")
        // Whoever asks for this asks again later.
        .setting("lfs.transfer.maxretries", "3")
        .setting("lfs.transfer.maxretrydelay", "1")
        .setting("lfs.fetchinclude", "")
        .setting("lfs.fetchexclude", "")
        .file_size_limit(limits.max_pack_bytes)
}

fn address(url: &RepositoryUrl) -> String {
    match url.local_path() {
        Some(path) => format!("file://{}", path.display()),
        None => url.display().to_owned(),
    }
}

/// Where git-lfs itself looks for the server of a repository (git-lfs `docs/api/server-discovery.md`).
fn server_of(url: &RepositoryUrl) -> String {
    let address = address(url);
    match url.scheme() {
        Scheme::Http | Scheme::Https if address.ends_with(".git") => format!("{address}/info/lfs"),
        Scheme::Http | Scheme::Https => format!("{address}.git/info/lfs"),
        Scheme::Ssh | Scheme::Git | Scheme::Local => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::UrlPolicy;

    #[test]
    fn servers_are_where_git_lfs_looks_for_them() {
        let policy = UrlPolicy {
            allow_local_paths: true,
            allow_private_hosts: true,
        };
        for (text, expected) in [
            ("https://host/a/b.git", "https://host/a/b.git/info/lfs"),
            ("https://joe:secret@host/a/b", "https://host/a/b.git/info/lfs"),
            ("ssh://git@host/a/b.git", "ssh://git@host/a/b.git"),
            ("git@host:a/b.git", "git@host:a/b.git"),
            ("/srv/git/b.git", "file:///srv/git/b.git"),
        ] {
            let url = RepositoryUrl::parse(text, policy).unwrap();
            assert_eq!(server_of(&url), expected, "{text}");
        }
    }
}
