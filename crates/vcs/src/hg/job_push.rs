//! Pushes what a job made to a Mercurial repository: a tag, a named branch, or commits, which come in a bundle.
//!
//! As with Git, nothing of the job's checkout takes part: it goes from a clone of the source. Tags are commits here, so
//! a build that tags moves the branch that it pushes to: what only changes tags is merged, and stands in nobody's way.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::name::{LabelKind, ref_name};
use crate::announce::Announce;
use crate::name::{ObjectId, RefName};
use crate::process::{HgCommand, HgProgram, ProcessError};
use crate::url::{Credential, RepositoryUrl};

/// The file with the tags of a repository.
const TAGS: &str = ".hgtags";

/// The most output of hg that is read, in bytes.
const LONGEST_LIST: usize = 4 << 20;

/// How hg says that somebody else pushed to the branch.
const NEW_HEAD: &str = "creates new remote head";

/// How hg says for certain that nothing was pushed. Of a connection that broke nobody knows.
const REFUSALS: [&str; 3] = [NEW_HEAD, "push failed on remote", "authorization failed"];

/// A ref that a push moves.
struct Moved {
    name: RefName,
    node: ObjectId,
    /// What others brought to it meanwhile.
    onto: Option<ObjectId>,
}

/// What is pushed, and where to.
#[derive(Debug, Clone)]
pub struct JobPush<'a> {
    /// The hg program.
    pub hg: &'a HgProgram,
    /// The repository on this machine that has the revision that was built.
    pub source: &'a Path,
    /// A folder that does not exist yet and that no job can write; it is removed again.
    pub scratch: &'a Path,
    /// The revision that was built.
    pub built: &'a ObjectId,
    /// The commit that is tagged or pushed, or that the branch begins at: the one that was built, or one of the bundle.
    pub revision: &'a ObjectId,
    /// Commits that the job made since. The file is out of its reach.
    pub bundle: Option<&'a Path>,
    /// What is pushed.
    pub what: Pushed<'a>,
    /// Who makes commits.
    pub author: &'a str,
    /// The server at the other end is ours and hears of each push, so that nobody asks what others pushed to it.
    pub hosted: bool,
    /// The address.
    pub url: &'a RepositoryUrl,
    /// As whom.
    pub credential: Option<&'a Credential>,
    /// Hears of it before anything goes over the network.
    pub announce: Announce<'a>,
    /// How long each run of hg may take.
    pub timeout: Duration,
}

/// What is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed<'a> {
    /// A tag of this name at the revision, which is a commit of its own.
    Tag(&'a str),
    /// A named branch that begins at the revision, which is a commit of its own.
    Branch(&'a str),
    /// The revision, with the commits before it.
    Commits,
}

/// Why nothing was pushed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JobPushError {
    /// Somebody else has pushed to the branch.
    #[error("nothing is pushed: the branch has moved to {0} meanwhile, which the commits do not follow")]
    LeftBehind(String),
    /// Nobody could be told of the push.
    #[error("nothing is pushed, because the server cannot be told of it: {0}")]
    Announce(io::Error),
    /// Hg, or the server at the other end, refused.
    #[error(transparent)]
    Hg(#[from] ProcessError),
}

/// Pushes it.
///
/// # Errors
/// [`JobPushError`]; nothing has moved then.
pub fn push(request: &JobPush<'_>) -> Result<(), JobPushError> {
    let pushed = request.run();
    // What is left behind goes with the job's folder.
    let _ = fs::remove_dir_all(request.scratch);
    pushed
}

impl JobPush<'_> {
    fn run(&self) -> Result<(), JobPushError> {
        let revision = self.revision.to_string();
        self.hg
            .command("hg clone")
            .timeout(self.timeout)
            .args(["--quiet", "--noupdate", "--pull", "--"])
            .args([self.source, self.scratch])
            .run_blocking()?;
        if self.bundle.is_some() && !self.hosted {
            // A job that pulled has others' commits in its bundle, which the source may lack.
            self.network("hg pull")
                .args(["--quiet", "--", self.url.display()])
                .run_blocking()?;
        }
        let known = self.list("tip", "{rev}\n")?.pop().unwrap_or_default();
        if let Some(bundle) = self.bundle {
            self.inside("hg unbundle")
                .args([PathBuf::from("--quiet"), PathBuf::from("--"), bundle.to_owned()])
                .run_blocking()?;
        }
        match self.what {
            Pushed::Tag(name) => {
                let head = self.last(&format!(
                    "max(descendants({revision}) and branch({revision}) and head() and not closed())"
                ))?;
                self.update(head.as_deref().unwrap_or(&revision))?;
                self.inside("hg tag")
                    .args(["--user", self.author, "--rev", &revision, "--", name])
                    .run_blocking()?;
            }
            Pushed::Branch(name) => {
                self.update(&revision)?;
                self.inside("hg branch")
                    .args(["--quiet", "--", name])
                    .run_blocking()?;
                self.commit(&format!("Begin the branch {name}"))?;
            }
            Pushed::Commits => self.update(&revision)?,
        }
        match self.push_announced(&known) {
            Err(JobPushError::Hg(ProcessError::Failed { stderr, .. })) if stderr.contains(NEW_HEAD) => {
                self.merge_tags()?;
                self.push_announced(&known)
            }
            pushed => pushed,
        }
    }

    /// Tells of the branches that move with the commit that the working directory is at, and of the tag, and pushes it.
    fn push_announced(&self, known: &str) -> Result<(), JobPushError> {
        let moved = self.moved(known)?;
        for one in &moved {
            self.announce
                .push(&one.name, &one.node, one.onto.as_ref())
                .map_err(JobPushError::Announce)?;
        }
        let pushed = self.push_parent();
        if let Err(ProcessError::Failed { stderr, .. }) = &pushed
            && REFUSALS.iter().any(|words| stderr.contains(words))
        {
            for one in &moved {
                self.announce.refused(&one.name, &one.node);
            }
        }
        Ok(pushed?)
    }

    /// The refs that move; `known` is the number of the last commit that is not this push's own. What somebody else brought
    /// to a branch since the revision that was built is what the push goes onto, where anything that came is more than tags.
    fn moved(&self, known: &str) -> Result<Vec<Moved>, JobPushError> {
        // In the order of their numbers: what is later is the head. Lines that begin with a space are files.
        let of_others = self.list(
            &format!("only(., {}) and 0:{known}", self.built),
            "{node} {branch}\n{files % ' {file}\n'}",
        )?;
        // Of all branches together: a merge has no files of its own, what it brings is in commits of another branch.
        let mut is_more = false;
        let mut brought: BTreeMap<&str, &str> = BTreeMap::new();
        for line in &of_others {
            if let Some(file) = line.strip_prefix(' ') {
                is_more |= file != TAGS;
            } else if let Some((node, branch)) = line.split_once(' ') {
                brought.insert(branch, node);
            }
        }
        let mut moved = BTreeMap::new();
        for line in self.list(&format!("::. and not 0:{known}"), "{node} {branch}\n")? {
            if let Some((node, branch)) = line.split_once(' ') {
                moved.insert((LabelKind::Branch, branch.to_owned()), node.to_owned());
            }
        }
        if let Pushed::Tag(name) = self.what {
            moved.insert((LabelKind::Tag, name.to_owned()), self.revision.to_string());
        }
        // What cannot be a ref is found by nobody.
        let refs = moved.into_iter().filter_map(|((kind, name), node)| {
            let brought = brought.get(name.as_str());
            Some(Moved {
                name: ref_name(kind, &name).ok()?,
                node: ObjectId::parse(&node).ok()?,
                onto: brought
                    .filter(|_| is_more && kind == LabelKind::Branch)
                    .and_then(|node| ObjectId::parse(node).ok()),
            })
        });
        Ok(refs.collect())
    }

    /// Pushes the commit that the working directory is at.
    fn push_parent(&self) -> Result<(), ProcessError> {
        self.network("hg push")
            .args(["--quiet", "--new-branch", "--rev", ".", "--", self.url.display()])
            .run_blocking()?;
        Ok(())
    }

    /// Merges what came to the branch since the revision that was built, if that only changed tags.
    fn merge_tags(&self) -> Result<(), JobPushError> {
        self.network("hg pull")
            .args(["--quiet", "--", self.url.display()])
            .run_blocking()?;
        let meanwhile = format!("(descendants({}) and branch(.)) - ancestors(.)", self.built);
        let heads = self.list(&format!("heads({meanwhile})"), "{node}\n")?;
        // What a merge brings is in commits of other branches.
        let brought = format!("only(heads({meanwhile}), .)");
        let files = self.list(&brought, "{files % '{file}\n'}")?;
        if files.iter().any(|file| file != TAGS) {
            return Err(JobPushError::LeftBehind(heads.join(" and ")));
        }
        for head in heads {
            self.inside("hg merge")
                .args(["--quiet", "--tool", ":tagmerge", "--rev", &head])
                .run_blocking()?;
            self.commit("Merge tags")?;
        }
        Ok(())
    }

    fn update(&self, revision: &str) -> Result<(), ProcessError> {
        self.inside("hg update")
            .args(["--quiet", "--rev", revision])
            .run_blocking()?;
        Ok(())
    }

    fn commit(&self, message: &str) -> Result<(), ProcessError> {
        self.inside("hg commit")
            .args(["--user", self.author, "--message", message])
            .run_blocking()?;
        Ok(())
    }

    fn last(&self, revisions: &str) -> Result<Option<String>, ProcessError> {
        Ok(self.list(revisions, "{node}\n")?.pop())
    }

    fn list(&self, revisions: &str, template: &str) -> Result<Vec<String>, ProcessError> {
        let listed = self
            .inside("hg log")
            .output_limit(LONGEST_LIST)
            .args(["--rev", revisions, "--template", template])
            .run_blocking()?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn inside(&self, subcommand: &'static str) -> HgCommand {
        self.hg
            .command(subcommand)
            .timeout(self.timeout)
            .repository(self.scratch)
    }

    fn network(&self, subcommand: &'static str) -> HgCommand {
        let credential = self.credential.or_else(|| self.url.credential());
        self.inside(subcommand).network(self.url, credential)
    }
}
