//! The home: one folder with everything that a server keeps.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Paths inside a home.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Another process uses it.
    #[error(
        "the home {path} is in use by another Madake (process {holder}); stop that one first, or name another home \
         with --home"
    )]
    InUse {
        /// The home.
        path: PathBuf,
        /// The process id that the other wrote down, or `unknown`.
        holder: String,
    },
    /// The folder cannot be made or written.
    #[error("the home {path} cannot be used: {source}")]
    Unusable {
        /// The home.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Holds a home for one process; let go by dropping it, or by the death of the process.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}

impl Home {
    /// The home at `root`, made if it is not there, with an absolute path.
    ///
    /// # Errors
    /// [`HomeError::Unusable`] when the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        let unusable = |source| HomeError::Unusable {
            path: root.to_owned(),
            source,
        };
        if !root.exists() {
            std::fs::create_dir_all(root).map_err(unusable)?;
            // It holds password hashes, logs and the key of secrets; a home that is there keeps what its owner set.
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(root, private).map_err(unusable)?;
        }
        let home = Self {
            root: root.canonicalize().map_err(unusable)?,
        };
        for folder in [
            home.repositories(),
            home.mirrors(),
            home.jobs(),
            home.logs(),
            home.workspaces(),
            home.empty(),
        ] {
            std::fs::create_dir_all(&folder)
                .map_err(|source| HomeError::Unusable { path: folder, source })?;
        }
        Ok(home)
    }

    /// Takes the home for this process.
    ///
    /// # Errors
    /// [`HomeError::InUse`] when another process has it.
    pub fn lock(&self) -> Result<HomeLock, HomeError> {
        let path = self.root.join("madake.lock");
        let unusable = |source| HomeError::Unusable {
            path: self.root.clone(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&path)
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                let holder = if holder.is_empty() {
                    "unknown".to_owned()
                } else {
                    holder
                };
                return Err(HomeError::InUse {
                    path: self.root.clone(),
                    holder,
                });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(unusable(source)),
        }
        file.set_len(0).map_err(unusable)?;
        io::Write::write_all(&mut &file, format!("{}\n", std::process::id()).as_bytes()).map_err(unusable)?;
        Ok(HomeLock { _file: file })
    }

    /// The folder itself, as an absolute path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The store.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("madake.db")
    }

    /// The key that secrets are sealed with.
    #[must_use]
    pub fn secret_key(&self) -> PathBuf {
        self.root.join("secret.key")
    }

    /// The key by which SSH clients know this server.
    #[must_use]
    pub fn ssh_host_key(&self) -> PathBuf {
        self.root.join("ssh_host_ed25519_key")
    }

    /// The socket by which commands on this machine find the server.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.root.join("madake.sock")
    }

    /// Hosted repositories.
    #[must_use]
    pub fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    /// Our copies of linked repositories.
    #[must_use]
    pub fn mirrors(&self) -> PathBuf {
        self.root.join("mirrors")
    }

    /// Hosted repositories that were removed, each under a name of its own.
    #[must_use]
    pub fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// One folder for each job that an agent has.
    #[must_use]
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Logs of jobs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The logs of a build.
    #[must_use]
    pub fn build_logs(&self, build_id: i64) -> PathBuf {
        self.logs()
            .join((build_id / 1000).to_string())
            .join(build_id.to_string())
    }

    /// The log of one attempt of a job.
    #[must_use]
    pub fn job_log(&self, build_id: i64, job_id: i64, attempt: i64) -> PathBuf {
        self.build_logs(build_id).join(format!("{job_id}-{attempt}.log"))
    }

    /// Files of artifacts.
    #[must_use]
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// Working directories of the built-in agents.
    #[must_use]
    pub fn workspaces(&self) -> PathBuf {
        self.root.join("workspaces")
    }

    /// A folder that stays empty: the home of the `git` and `hg` programs that we start.
    #[must_use]
    pub fn empty(&self) -> PathBuf {
        self.root.join("empty")
    }

    /// The settings that the `hg` programs run with which the server starts; nobody else writes there.
    #[must_use]
    pub fn hg_settings(&self) -> PathBuf {
        self.root.join("hg/server")
    }

    /// The same for the checkouts of jobs: a supervisor may be older than the server.
    #[must_use]
    pub fn hg_job_settings(&self) -> PathBuf {
        self.root.join("hg/jobs")
    }

    /// The hook that owners of attached Mercurial repositories include.
    #[must_use]
    pub fn hg_hook(&self) -> PathBuf {
        self.root.join("hg-hook")
    }

    /// The configuration file.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.root.join("madake.toml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::open(&folder.path().join("home")).expect("a home");
        let mode = std::fs::metadata(home.root()).expect("the home").permissions();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
            0o700,
            "a new home is its owner's alone"
        );
        let lock = home.lock().expect("free");
        let error = home.lock().expect_err("taken").to_string();
        assert!(
            error.contains("in use by another Madake") && error.contains("--home"),
            "{error}"
        );
        drop(lock);
        home.lock().expect("free again");
    }
}
