//! Clones of Mercurial repositories, made with the real `hg` and without the developer's own configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::kept_hg;

/// Runs hg in a folder.
///
/// # Panics
/// When it fails; its messages are in the panic.
pub fn hg(folder: &Path, arguments: &[&str]) -> String {
    let output = try_hg(folder, arguments);
    assert!(
        output.status.success(),
        "hg {arguments:?} in {} failed: {}{}",
        folder.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs hg in a folder and gives what it said. What talks to no server is run by a process that is kept.
///
/// # Panics
/// When hg cannot be started.
pub fn try_hg(folder: &Path, arguments: &[&str]) -> Output {
    kept_hg::run(client, folder, arguments).expect("these tests need Mercurial: install hg 6.1 or later")
}

fn client() -> Command {
    let mut command = Command::new("hg");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HG")) {
        command.env_remove(name);
    }
    command
        .env("HGRCPATH", "")
        .env("HGPLAIN", "1")
        .env("HGENCODING", "UTF-8")
        .env("HGUSER", "Joe Doe <joe@example.org>");
    command
}

/// A clone of a Mercurial repository.
#[derive(Debug, Clone)]
pub struct HgClone {
    /// The folder.
    pub path: PathBuf,
}

impl HgClone {
    /// Clones the repository at `url` to `path`.
    #[must_use]
    pub fn of(url: &str, path: PathBuf) -> Self {
        let text = path.to_str().expect("a path that is text");
        hg(Path::new("/"), &["clone", "--quiet", "--", url, text]);
        // A clone forgets the password.
        let address = format!("[paths]\ndefault = {url}\n");
        std::fs::write(path.join(".hg/hgrc"), address).expect("the settings of the clone");
        Self { path }
    }

    /// Commits files on the present branch and gives the commit.
    #[must_use]
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.path.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        hg(&self.path, &["commit", "--quiet", "--addremove", "-m", message]);
        self.tip()
    }

    /// The commit of the working folder.
    #[must_use]
    pub fn tip(&self) -> String {
        hg(&self.path, &["log", "-r", ".", "-T", "{node}"])
    }

    /// Commits files and pushes everything, new branches too; gives the commit.
    #[must_use]
    pub fn push(&self, message: &str, files: &[(&str, &str)]) -> String {
        let commit = self.commit(message, files);
        hg(&self.path, &["push", "--quiet", "--new-branch"]);
        commit
    }
}
