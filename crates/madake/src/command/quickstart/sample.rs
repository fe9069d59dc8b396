//! The sample: a work tree that is committed and pushed with the real Git.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

const FILES: [(&str, &str); 3] = [
    ("README.md", include_str!("sample/README.md")),
    ("hello.sh", include_str!("sample/hello.sh")),
    (
        "bamboo-specs/bamboo.yml",
        include_str!("sample/bamboo-specs/bamboo.yml"),
    ),
];

/// A work tree with one commit; gone when it is dropped.
pub(super) struct Sample {
    folder: TempDir,
}

impl Sample {
    /// Writes and commits it.
    ///
    /// # Errors
    /// When the files cannot be written, or Git is missing.
    pub(super) fn make() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the sample")?;
        let sample = Self { folder };
        for (name, text) in FILES {
            let path = sample.path().join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).context("the sample cannot be written")?;
            }
            std::fs::write(path, text).context("the sample cannot be written")?;
        }
        sample.git(&["init", "--quiet", "--initial-branch=main"], None)?;
        sample.git(&["add", "--all"], None)?;
        sample.git(&["commit", "--quiet", "--message=Say hello"], None)?;
        Ok(sample)
    }

    /// Pushes it to `url`.
    ///
    /// # Errors
    /// With what Git said.
    pub(super) fn push(&self, url: &str, token: &str) -> anyhow::Result<()> {
        self.git(&["push", "--quiet", "--", url, "main"], Some(token))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, arguments: &[&str], token: Option<&str>) -> anyhow::Result<()> {
        let mut command = Command::new("git");
        command
            // The user's own configuration signs, rewrites addresses and runs hooks; the sample wants none of it.
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Madake")
            .env("GIT_AUTHOR_EMAIL", "admin@localhost")
            .env("GIT_COMMITTER_NAME", "Madake")
            .env("GIT_COMMITTER_EMAIL", "admin@localhost")
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            // The server is this process: no proxy lies between.
            .args(["-c", "http.proxy="])
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null());
        if let Some(token) = token {
            // Configuration by environment: neither arguments nor files ever hold the token.
            command
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", "http.extraHeader")
                .env("GIT_CONFIG_VALUE_0", format!("Authorization: Bearer {token}"));
        }
        let done = command.output().context("the program `git` cannot be started")?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        bail!(
            "git {} failed: {}",
            arguments.first().copied().unwrap_or_default(),
            madake_domain::text::inert(said.trim(), 500)
        )
    }
}
