//! Work trees and bare repositories, made with the real `git` and without the developer's own configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs git in a folder.
///
/// # Panics
/// When it fails; its messages are in the panic.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = try_git(folder, arguments);
    assert!(
        output.status.success(),
        "git {arguments:?} in {} failed: {}",
        folder.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs git in a folder and gives what it said.
///
/// # Panics
/// When git cannot be started.
pub fn try_git(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Joe Doe")
        .env("GIT_AUTHOR_EMAIL", "joe@example.org")
        .env("GIT_COMMITTER_NAME", "Joe Doe")
        .env("GIT_COMMITTER_EMAIL", "joe@example.org")
        .output()
        .expect("git is there")
}

/// A work tree with an origin.
#[derive(Debug, Clone)]
pub struct WorkTree {
    /// The folder.
    pub path: PathBuf,
}

impl WorkTree {
    /// A new work tree at `path` whose first branch is `master` and whose origin is `origin`.
    #[must_use]
    pub fn new(path: PathBuf, origin: &str) -> Self {
        std::fs::create_dir_all(&path).expect("a folder for the work tree");
        git(&path, &["init", "--quiet", "--initial-branch=master"]);
        git(&path, &["remote", "add", "origin", origin]);
        Self { path }
    }

    /// A new bare repository at `bare`, and a work tree beside it.
    #[must_use]
    pub fn with_bare(bare: &Path) -> Self {
        let text = bare.to_str().expect("a path that is text");
        git(
            Path::new("/"),
            &["init", "--quiet", "--bare", "--initial-branch=master", text],
        );
        Self::new(bare.with_extension("work"), text)
    }

    /// Goes to a branch, made here if it is new.
    pub fn switch(&self, branch: &str) {
        let reference = format!("refs/heads/{branch}");
        let known = try_git(&self.path, &["rev-parse", "--verify", "--quiet", &reference])
            .status
            .success();
        let unborn = !try_git(&self.path, &["rev-parse", "--verify", "--quiet", "HEAD"])
            .status
            .success();
        match (known, unborn) {
            (true, _) => git(&self.path, &["checkout", "--quiet", branch]),
            (false, true) => git(&self.path, &["symbolic-ref", "HEAD", &reference]),
            (false, false) => git(&self.path, &["checkout", "--quiet", "-b", branch]),
        };
    }

    /// Commits files on the present branch and gives the commit.
    #[must_use]
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.path.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        git(&self.path, &["add", "--all"]);
        git(
            &self.path,
            &["commit", "--quiet", "--allow-empty", "--message", message],
        );
        git(&self.path, &["rev-parse", "HEAD"])
    }

    /// Commits files on a branch, pushes it, and gives the commit.
    #[must_use]
    pub fn push(&self, branch: &str, files: &[(&str, &str)]) -> String {
        self.switch(branch);
        let commit = self.commit("a change", files);
        git(&self.path, &["push", "--quiet", "origin", branch]);
        commit
    }
}
