//! Pushing refs of a repository here to a remote server.
//!
//! What the server answers is hostile text, bounded as that of a fetch.

use std::path::Path;

use super::mirror::{MirrorError, RemoteLimits, connected};
use crate::name::RefName;
use crate::process::GitProgram;
use crate::text::display_line;
use crate::url::{Credential, RepositoryUrl};

/// Refs of one run: they stand in the argument list, which the system bounds.
const REFS_PER_RUN: usize = 500;
/// Refused refs that a message names.
const NAMED: usize = 3;

/// Moves refs of the remote to where they are in `repository`, also backwards, and deletes others there.
///
/// Everything is tried: a ref that the remote refuses does not keep the others.
///
/// # Errors
/// [`MirrorError::Refused`] with the refs that the remote did not take and its reasons; git's failure; the time limit.
pub async fn push(
    git: &GitProgram,
    repository: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    (update, delete): (&[RefName], &[RefName]),
    limits: &RemoteLimits,
) -> Result<(), MirrorError> {
    // Deletions first: a branch `a` must be gone before `a/b` can be there.
    let delete = delete.iter().map(|name| format!(":{name}"));
    let update = update.iter().map(|name| format!("+{name}:{name}"));
    let mut refused = Vec::new();
    for refs in [delete.collect::<Vec<_>>(), update.collect()] {
        for some in refs.chunks(REFS_PER_RUN) {
            refused.extend(push_some(git, repository, url, credential, some, limits).await?);
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let mut text = refused.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if refused.len() > NAMED {
        text.push_str(&format!("; and {} more refs", refused.len() - NAMED));
    }
    Err(MirrorError::Refused(text))
}

/// One run; gives the refs that were refused, with reasons.
async fn push_some(
    git: &GitProgram,
    repository: &Path,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    refs: &[String],
    limits: &RemoteLimits,
) -> Result<Vec<String>, MirrorError> {
    let command = git
        .command("push")
        .repository(repository)
        .timeout(limits.timeout)
        .args([
            "--porcelain",
            "--no-verify",
            "--no-signed",
            "--recurse-submodules=no",
        ]);
    let command = connected(command, git, url, credential, "receive-pack")?
        .args(["--", url.display()])
        .args(refs);
    let output = command.clone().run_unchecked().await?.into_output();
    if output.status.success() {
        return Ok(Vec::new());
    }
    let refused = refused_refs(&output.stdout, |said| command.shown(said));
    if refused.is_empty() {
        return Err(command.failure(output.status, output.stderr.as_bytes()).into());
    }
    Ok(refused)
}

/// The refs that `git push --porcelain` says were not taken: lines of `!`, both names, and why, apart by tabs. `clean`
/// takes out of the remote's words what nobody is to see.
fn refused_refs(porcelain: &[u8], clean: impl Fn(&str) -> String) -> Vec<String> {
    let text = String::from_utf8_lossy(porcelain);
    text.lines()
        .filter_map(|line| {
            let mut parts = line.strip_prefix("!\t")?.splitn(2, '\t');
            let names = parts.next()?;
            let name = names.rsplit(':').next().unwrap_or(names);
            Some(display_line(
                &format!("{name}: {}", clean(parts.next().unwrap_or_default())),
                300,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_refs_are_told_with_the_reason() {
        let porcelain = b"To /srv/x.git\n*\trefs/heads/a:refs/heads/a\t[new branch]\n\
            !\trefs/heads/b:refs/heads/b\t[remote rejected] (hook \x1b[31mdeclined)\n\
            !\t:refs/heads/c\t[remote rejected] (deletion of the current branch prohibited)\nDone\n";
        let refused = refused_refs(porcelain, str::to_owned);
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(
            refused[0].starts_with("refs/heads/b: [remote rejected] (hook "),
            "{refused:?}"
        );
        assert!(!refused[0].contains('\x1b'));
        assert!(
            refused[1].starts_with("refs/heads/c: [remote rejected]"),
            "{refused:?}"
        );
        assert_eq!(refused_refs(b"To x\nDone\n", str::to_owned), Vec::<String>::new());
    }
}
