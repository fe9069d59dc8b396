//! Pushes what a job made to a Mercurial repository: a tag, a named branch, or commits that came in a bundle.
//!
//! As with Git, nothing of the job's checkout takes part: it goes from a clone of the source.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::name::ObjectId;
use crate::process::{HgProgram, ProcessError};
use crate::url::{Credential, RepositoryUrl};

/// What is pushed, and where to.
#[derive(Debug, Clone)]
pub struct JobPush<'a> {
    /// The hg program.
    pub hg: &'a HgProgram,
    /// The repository on this machine that has the revision.
    pub source: &'a Path,
    /// A folder that does not exist yet and that no job can write; it is removed again.
    pub scratch: &'a Path,
    /// The revision that was built.
    pub revision: &'a ObjectId,
    /// What is pushed.
    pub what: Pushed<'a>,
    /// Who makes commits.
    pub author: &'a str,
    /// The address.
    pub url: &'a RepositoryUrl,
    /// As whom.
    pub credential: Option<&'a Credential>,
    /// How long each run of hg may take.
    pub timeout: Duration,
}

/// What is pushed.
#[derive(Debug, Clone, Copy)]
pub enum Pushed<'a> {
    /// A tag of this name at the revision, which is a commit of its own.
    Tag(&'a str),
    /// A named branch that begins at the revision, which is a commit of its own.
    Branch(&'a str),
    /// The commits of a bundle that a job wrote. The file is out of the job's reach.
    Bundle(&'a Path),
}

/// Pushes it.
///
/// # Errors
/// When hg, or the server at the other end, refuses; nothing has moved then.
pub fn push(request: &JobPush<'_>) -> Result<(), ProcessError> {
    let pushed = push_from_scratch(request);
    // What is left behind goes with the job's folder.
    let _ = fs::remove_dir_all(request.scratch);
    pushed
}

fn push_from_scratch(request: &JobPush<'_>) -> Result<(), ProcessError> {
    let revision = request.revision.to_string();
    let run = |subcommand| request.hg.command(subcommand).timeout(request.timeout);
    let inside = |subcommand| run(subcommand).repository(request.scratch);
    run("hg clone")
        .args(["--quiet", "--noupdate", "--pull", "--"])
        .args([request.source, request.scratch])
        .run_blocking()?;
    match request.what {
        Pushed::Tag(name) => {
            inside("hg update")
                .args(["--quiet", "--rev", &revision])
                .run_blocking()?;
            inside("hg tag")
                .args(["--user", request.author, "--rev", &revision, "--", name])
                .run_blocking()?;
        }
        Pushed::Branch(name) => {
            inside("hg update")
                .args(["--quiet", "--rev", &revision])
                .run_blocking()?;
            inside("hg branch").args(["--quiet", "--", name]).run_blocking()?;
            let message = format!("Begin the branch {name}");
            inside("hg commit")
                .args(["--user", request.author, "--message", &message])
                .run_blocking()?;
        }
        Pushed::Bundle(bundle) => {
            inside("hg unbundle")
                .args([PathBuf::from("--quiet"), PathBuf::from("--"), bundle.to_owned()])
                .run_blocking()?;
        }
    }
    inside("hg push")
        .network(
            request.url,
            request.credential.or_else(|| request.url.credential()),
        )
        .args(["--quiet", "--new-branch", "--", request.url.display()])
        .run_blocking()?;
    Ok(())
}
