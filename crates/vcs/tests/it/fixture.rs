//! A folder with repositories, and a git that knows nothing of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use madake_vcs::git::host::create_repository;
use madake_vcs::name::{BranchName, ObjectId};
use madake_vcs::process::GitProgram;
use tempfile::TempDir;

pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// Runs git in `folder` and returns how it went.
    pub(crate) fn try_git(&self, folder: &Path, arguments: &[&str]) -> Output {
        Command::new("git")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Ann Author")
            .env("GIT_AUTHOR_EMAIL", "ann@example.org")
            .env("GIT_AUTHOR_DATE", "1700000000 +0100")
            .env("GIT_COMMITTER_NAME", "Carl Committer")
            .env("GIT_COMMITTER_EMAIL", "carl@example.org")
            .env("GIT_COMMITTER_DATE", "1700000001 +0000")
            .args(["-c", "advice.detachedHead=false"])
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap()
    }

    /// Runs git in `folder`, which must succeed, and returns what it wrote.
    pub(crate) fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.try_git(folder, arguments);
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// A work tree with one commit that has `files`.
    pub(crate) fn work_tree(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        self.git(&folder, &["init", "--quiet", "--initial-branch=master"]);
        self.commit(&folder, files, "first");
        folder
    }

    /// Writes `files`, commits all and returns the commit.
    pub(crate) fn commit(&self, folder: &Path, files: &[(&str, &str)], message: &str) -> ObjectId {
        for (name, content) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.git(folder, &["add", "--all"]);
        self.git(
            folder,
            &[
                "commit",
                "--quiet",
                "--allow-empty",
                "--cleanup=verbatim",
                "--message",
                message,
            ],
        );
        self.revision(folder, "HEAD")
    }

    pub(crate) fn revision(&self, folder: &Path, expression: &str) -> ObjectId {
        ObjectId::parse(&self.git(folder, &["rev-parse", expression])).unwrap()
    }

    /// A hosted repository, empty.
    pub(crate) async fn hosted(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        create_repository(
            &GitProgram::default(),
            &path,
            &BranchName::parse("master").unwrap(),
        )
        .await
        .unwrap();
        path
    }

    /// A hosted repository with everything that `work_tree` has.
    pub(crate) async fn hosted_from(&self, name: &str, work_tree: &Path) -> PathBuf {
        let path = self.hosted(name).await;
        self.git(
            work_tree,
            &["push", "--quiet", "--mirror", path.to_str().unwrap()],
        );
        path
    }

    /// The object that a ref points at, if it exists.
    pub(crate) fn ref_in(&self, repository: &Path, name: &str) -> Option<ObjectId> {
        let output = self.try_git(repository, &["rev-parse", "--verify", "--quiet", name]);
        ObjectId::parse(String::from_utf8_lossy(&output.stdout).trim()).ok()
    }
}

/// A script that people may run.
pub(crate) fn write_script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
