//! A work tree that commits are made in and pushed from, by the real git without anybody's own configuration.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::process::output_of;

/// A work tree with one remote.
#[derive(Debug)]
pub(crate) struct WorkTree {
    folder: PathBuf,
    remote: String,
    credentials: Option<String>,
    commits: u32,
}

/// A push that went well.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    /// The commit that the branch is at.
    pub(crate) revision: String,
    /// When `git push` was started, in seconds since 1970.
    pub(crate) began: f64,
    /// When it had ended.
    pub(crate) ended: f64,
    /// How long it took, in milliseconds.
    pub(crate) took_ms: f64,
}

impl WorkTree {
    /// An empty work tree in `folder` that pushes to `remote`, with `credentials` as its Authorization header.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn new(folder: &Path, remote: &str, credentials: Option<String>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let made = Self {
            folder: folder.to_owned(),
            remote: remote.to_owned(),
            credentials,
            commits: 0,
        };
        made.git(&["init", "-q", "-b", "main"])?;
        Ok(made)
    }

    /// A work tree as [`WorkTree::new`] makes it, on a branch `main` of so many commits, each of which changes one of
    /// fifty files.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn with_history(
        folder: &Path,
        remote: &str,
        credentials: Option<String>,
        commits: usize,
    ) -> anyhow::Result<Self> {
        let made = Self::new(folder, remote, credentials)?;
        let mut child = git(folder, None, &["fast-import", "--quiet"])
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start git")?;
        let mut pipe = child.stdin.take().context("git reads nothing")?;
        pipe.write_all(history(commits).as_bytes())?;
        drop(pipe);
        ensure!(child.wait()?.success(), "git fast-import failed");
        made.git(&["reset", "-q", "--hard", "main"])?;
        Ok(made)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        Ok(std::fs::write(path, text)?)
    }

    /// Commits everything, with a change of its own, and returns the commit.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn commit(&mut self) -> anyhow::Result<String> {
        self.commits += 1;
        self.write("change.txt", &format!("change {}\n", self.commits))?;
        self.git(&["add", "-A"])?;
        self.git(&["commit", "-q", "-m", &format!("change {}", self.commits)])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Pushes HEAD as the branch `branch`.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn push(&self, branch: &str) -> anyhow::Result<Pushed> {
        let revision = self.git(&["rev-parse", "HEAD"])?.trim().to_owned();
        let (began, clock) = (super::machine::wall_clock(), Instant::now());
        self.git(&["push", "-q", &self.remote, &format!("HEAD:refs/heads/{branch}")])?;
        Ok(Pushed {
            revision,
            began,
            took_ms: clock.elapsed().as_secs_f64() * 1000.0,
            ended: super::machine::wall_clock(),
        })
    }

    /// Pushes HEAD as many branches, some hundreds at a time.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn push_all(&self, branches: &[String]) -> anyhow::Result<()> {
        branches.chunks(500).try_for_each(|some| self.push_at_once(some))
    }

    fn push_at_once(&self, branches: &[String]) -> anyhow::Result<()> {
        let specs: Vec<String> = branches
            .iter()
            .map(|branch| format!("HEAD:refs/heads/{branch}"))
            .collect();
        let mut arguments = vec!["push", "-q", self.remote.as_str()];
        arguments.extend(specs.iter().map(String::as_str));
        self.git(&arguments).map(|_| ())
    }

    fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output_of(&mut git(&self.folder, self.credentials.as_deref(), arguments))
    }
}

/// Commits for `git fast-import`: the text of the files is hard to pack, as that of programs is not all alike.
fn history(commits: usize) -> String {
    let mut text = String::new();
    let mut state = 1_u64;
    for number in 0..commits {
        let mut lines = String::new();
        for line in 0..40 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            lines.push_str(&format!(
                "line {line} of {number}: {:016x} {state:x}\n",
                state.rotate_left(29)
            ));
        }
        let file = number % 50;
        let time = 1_700_000_000 + number;
        text.push_str(&format!(
            "commit refs/heads/main\ncommitter Bench <bench@example.com> {time} +0000\ndata <<END\nchange {number}\nEND\n\
             M 644 inline source/{file}.txt\ndata {}\n{lines}\n",
            lines.len()
        ));
    }
    text
}

/// A call of git in `folder` that reads nobody's configuration and asks nothing.
pub(crate) fn git(folder: &Path, credentials: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Bench")
        .env("GIT_AUTHOR_EMAIL", "bench@example.com")
        .env("GIT_COMMITTER_NAME", "Bench")
        .env("GIT_COMMITTER_EMAIL", "bench@example.com");
    if let Some(credentials) = credentials {
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env("GIT_CONFIG_VALUE_0", format!("Authorization: {credentials}"));
    }
    command
}
