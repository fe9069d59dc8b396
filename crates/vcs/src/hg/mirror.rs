//! Linked repositories: looking at the heads of a remote server, and keeping a mirror of it.
//!
//! [`look`] asks for the heads of all named branches and for the bookmarks, which takes one process and three small
//! requests, and transfers no commit (`hg identify` tells one head only, `hg incoming` transfers commits). It cannot
//! tell which heads are closed: equal answers mean that nothing has changed; otherwise [`fetch`], and [`refs`] then
//! says what the names stand for. The server may be malicious (hostile-inputs.md G8): time and size are bounded,
//! redirects and clone bundles elsewhere are not followed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::host::{HostError, create_repository, recover};
use super::is_repository;
use super::read::{BranchHead, Heads, HgReader, ReadError, text_from_hex};
use crate::git::mirror::RemoteLimits;
use crate::git::read::refs::RefList;
use crate::name::ObjectId;
use crate::process::{HgProgram, ProcessError};
use crate::url::{Credential, RepositoryUrl, Scheme};

/// Bytes of one line of an answer, taken as an average, for the limit of the whole.
const LINE_BYTES: usize = 300;

/// What a remote repository has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteHeads {
    /// The heads of each named branch, closed ones among them, in the server's order: the newest last.
    pub branches: BTreeMap<String, Vec<ObjectId>>,
    /// The bookmarks.
    pub bookmarks: BTreeMap<String, ObjectId>,
}

/// Why a remote operation failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// Mercurial failed; its message is inert and holds no credential.
    #[error(transparent)]
    Hg(#[from] ProcessError),
    /// The mirror could not be created.
    #[error(transparent)]
    Mirror(#[from] HostError),
    /// The mirror could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The local repository does not exist.
    #[error("there is no Mercurial repository at {0}")]
    NoRepository(PathBuf),
    /// Mercurial knows no such transport.
    #[error("Mercurial repositories are reached by http, https, ssh or a path, not by git://")]
    Scheme,
    /// The server now has another repository.
    #[error("the address now has another repository, with no commit in common: link it under another name")]
    Unrelated,
    /// The server sent more than allowed.
    #[error("the remote server sent more than {limit_bytes} bytes: raise the limit or refuse the repository")]
    TooLarge {
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// The answer is not as expected.
    #[error("the remote server's list of heads is malformed")]
    Malformed,
}

/// Asks a remote repository for its heads and bookmarks. `credential` wins over one that stood in the address.
///
/// # Errors
/// Mercurial's failure, the time limit.
pub async fn look(
    hg: &HgProgram,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    limits: &RemoteLimits,
) -> Result<RemoteHeads, MirrorError> {
    let output = hg
        .command("hg madake-look")
        .network(url, credential.or_else(|| url.credential()))
        .timeout(limits.timeout)
        .output_limit(limits.max_refs.saturating_mul(LINE_BYTES))
        .args(["--", &address(url)?])
        .run()
        .await?;
    let mut found = RemoteHeads::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        found.add(line).ok_or(MirrorError::Malformed)?;
    }
    Ok(found)
}

/// Brings the mirror at `mirror` up to date, creating it first if needed. Commits that the server has lost stay.
///
/// One fetch at a time per mirror: the caller takes turns.
///
/// # Errors
/// Mercurial's failure, the time limit, [`MirrorError::TooLarge`], [`MirrorError::Unrelated`].
pub async fn fetch(
    hg: &HgProgram,
    mirror: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    limits: &RemoteLimits,
) -> Result<(), MirrorError> {
    let address = address(url)?;
    if !is_repository(mirror) {
        create_repository(hg, mirror).await?;
    }
    recover(hg, mirror).await?;
    let command = hg
        .command("hg pull")
        .repository(mirror)
        .network(url, credential.or_else(|| url.credential()))
        .timeout(limits.timeout)
        .file_size_limit(limits.max_pack_bytes)
        .args(["--quiet", "--", &address]);
    match command.run().await {
        Ok(_) => Ok(()),
        Err(ProcessError::Failed { stderr, .. }) if stderr.contains("repository is unrelated") => {
            Err(MirrorError::Unrelated)
        }
        Err(ProcessError::Failed { stderr, .. }) if stderr.contains("File too large") => {
            Err(MirrorError::TooLarge {
                limit_bytes: limits.max_pack_bytes,
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// What the names of the remote repository stand for, once its commits are in the mirror: as
/// [`Heads::refs`](super::read::Heads::refs), but only what `remote` still has.
///
/// # Errors
/// [`MirrorError::Read`].
pub async fn refs(reader: &HgReader, mirror: &Path, remote: &RemoteHeads) -> Result<RefList, MirrorError> {
    let here = reader.heads(mirror).await?;
    let known: BTreeMap<ObjectId, bool> = here
        .branches
        .iter()
        .flat_map(|branch| branch.heads.iter().copied())
        .collect();
    let mut there = Heads {
        tags: here.tags,
        ..Heads::default()
    };
    for (name, ids) in &remote.branches {
        let mut heads = Vec::with_capacity(ids.len());
        for id in ids {
            let closed = match known.get(id) {
                Some(closed) => *closed,
                // The mirror has newer ones, which the server has lost.
                None => match reader.commit(mirror, id).await {
                    Ok(commit) => commit.closes_branch,
                    Err(ReadError::Missing(_)) => continue,
                    Err(error) => return Err(error.into()),
                },
            };
            heads.push((*id, closed));
        }
        let open = heads.iter().rev().find(|(_, closed)| !closed);
        if let Some(&(id, closed)) = open.or(heads.last()) {
            there.branches.push(BranchHead {
                name: name.clone(),
                id,
                closed,
                heads,
            });
        }
    }
    for (name, id) in &remote.bookmarks {
        if known.contains_key(id) || reader.exists(mirror, id).await? {
            there.bookmarks.push((name.clone(), *id));
        }
    }
    Ok(there.refs())
}

/// Where the mirror of a linked repository lies below `root`: name and address together are the key
/// (hostile-inputs.md G10).
#[must_use]
pub fn mirror_path(root: &Path, name: &str, url: &RepositoryUrl) -> PathBuf {
    crate::git::mirror::mirror_path(root, name, url).with_extension("hg")
}

impl RemoteHeads {
    fn add(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let name = text_from_hex(words.next()?.as_bytes())?;
        let ids: Option<Vec<ObjectId>> = words.map(|id| ObjectId::parse(id).ok()).collect();
        match (kind, ids?) {
            ("branch", ids) => {
                self.branches.insert(name, ids);
            }
            ("bookmark", ids) => {
                self.bookmarks.insert(name, *ids.first()?);
            }
            _ => return None,
        }
        Some(())
    }
}

/// The address as Mercurial writes it: it knows no `user@host:path`.
fn address(url: &RepositoryUrl) -> Result<String, MirrorError> {
    let text = url.display();
    match url.scheme() {
        Scheme::Git => Err(MirrorError::Scheme),
        Scheme::Local => match url.local_path() {
            // A file would be read as a bundle.
            Some(path) if is_repository(path) => Ok(text.to_owned()),
            path => Err(MirrorError::NoRepository(
                path.unwrap_or(Path::new(text)).to_owned(),
            )),
        },
        Scheme::Ssh if !text.contains("://") => {
            let split = match text.find("]:") {
                Some(bracket) => bracket + 1,
                None => text.find(':').ok_or(MirrorError::Scheme)?,
            };
            Ok(format!("ssh://{}/{}", &text[..split], &text[split + 1..]))
        }
        Scheme::Http | Scheme::Https | Scheme::Ssh => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::UrlPolicy;

    #[test]
    fn addresses_are_written_as_mercurial_reads_them() {
        for (given, expected) in [
            ("https://u:p@example.org/hg/a/", Some("https://example.org/hg/a")),
            ("ssh://hg@example.org/a", Some("ssh://hg@example.org/a")),
            ("hg@example.org:team/a", Some("ssh://hg@example.org/team/a")),
            ("example.org:/srv/a", Some("ssh://example.org//srv/a")),
            ("hg@[2001:db8::1]:a", Some("ssh://hg@[2001:db8::1]/a")),
            ("git://example.org/a", None),
        ] {
            let url = RepositoryUrl::parse(given, UrlPolicy::default()).expect(given);
            assert_eq!(address(&url).ok().as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn malformed_lists_are_refused() {
        let id = "1".repeat(40);
        for (line, good) in [
            (format!("branch 64 {id} {id}"), true),
            ("branch 64".to_owned(), true),
            (format!("bookmark 64 {id}"), true),
            ("bookmark 64".to_owned(), false),
            (format!("branch 6 {id}"), false),
            ("branch 64 xyz".to_owned(), false),
            (format!("other 64 {id}"), false),
            (String::new(), false),
        ] {
            assert_eq!(RemoteHeads::default().add(&line).is_some(), good, "{line}");
        }
    }
}
