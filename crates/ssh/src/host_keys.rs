//! The key by which clients know this server: made once, kept in a file that nobody else can read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey};
use thiserror::Error;

/// Longest key file that is read, in bytes: far more than an RSA key of 16384 bits needs.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The host key of the server.
#[derive(Clone)]
pub struct HostKeys {
    pub(crate) key: PrivateKey,
    created: bool,
}

/// Why the host key cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostKeyError {
    /// The file system refused.
    #[error("cannot read or write the SSH host key {path}: {source}")]
    Io {
        /// The file of the key.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Others can read the file, so the key may not be secret any more.
    #[error(
        "the SSH host key {path} has mode {mode:04o} and must be readable by its owner alone: run `chmod 600` on it, \
         or remove it for a new one if others may have read it (clients will ask about the new one)"
    )]
    Exposed {
        /// The file of the key.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The path is not a plain file.
    #[error("the SSH host key {path} is not a file: name a file, or a path where one can be made")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The key is protected by a passphrase.
    #[error("the SSH host key {path} is protected by a passphrase: remove it with `ssh-keygen -p`")]
    Encrypted {
        /// The file of the key.
        path: PathBuf,
    },
    /// The content is no key.
    #[error(
        "the SSH host key {path} is damaged ({reason}): restore it from a backup, or remove it for a new one (clients \
         will ask about the new one)"
    )]
    Damaged {
        /// The file of the key.
        path: PathBuf,
        /// What is wrong; nothing of the content.
        reason: String,
    },
    /// The system has no randomness, or the key cannot be put in its file's format.
    #[error("cannot make an SSH host key: {0}")]
    Make(String),
}

impl HostKeys {
    /// Loads the key from `path`, in OpenSSH's format and of any algorithm that this build knows; makes an Ed25519 key
    /// there if there is nothing. The file gets mode 0600 and appears complete or not at all.
    ///
    /// # Errors
    /// A file that others can read, that is damaged or protected by a passphrase; the file system's refusals.
    pub fn load_or_create(path: &Path) -> Result<Self, HostKeyError> {
        match Self::load(path) {
            Err(HostKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                if Self::create(path)? {
                    Self::load(path).map(|keys| Self {
                        created: true,
                        ..keys
                    })
                } else {
                    // Another start made one in between.
                    Self::load(path)
                }
            }
            loaded => loaded,
        }
    }

    /// Whether the key was made by this start.
    #[must_use]
    pub fn was_created(&self) -> bool {
        self.created
    }

    /// The fingerprint as clients show it: `SHA256:` and 43 characters of Base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// The public key as it stands in `known_hosts` after the host's name: `ssh-ed25519 AAAA...`.
    #[must_use]
    pub fn public_key(&self) -> String {
        crate::gate::openssh_text(self.key.public_key())
    }

    fn load(path: &Path) -> Result<Self, HostKeyError> {
        let io = |source| HostKeyError::Io {
            path: path.to_owned(),
            source,
        };
        let damaged = |reason: String| HostKeyError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(HostKeyError::NotAFile {
                path: path.to_owned(),
            });
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(HostKeyError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Vec::new();
        (&mut file)
            .take(MAX_FILE_BYTES)
            .read_to_end(&mut text)
            .map_err(io)?;
        if text.trim_ascii().is_empty() {
            return Err(damaged("it is empty".into()));
        }
        let key = PrivateKey::from_openssh(&text).map_err(|error| damaged(error.to_string()))?;
        if key.is_encrypted() {
            return Err(HostKeyError::Encrypted {
                path: path.to_owned(),
            });
        }
        Ok(Self { key, created: false })
    }

    /// False if there is a file by now.
    fn create(path: &Path) -> Result<bool, HostKeyError> {
        let io = |source| HostKeyError::Io {
            path: path.to_owned(),
            source,
        };
        let make = |error: russh::keys::ssh_key::Error| HostKeyError::Make(error.to_string());
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(make)?;
        let text = key.to_openssh(LineEnding::LF).map_err(make)?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = folder.join(format!(".{name}.{}.new", std::process::id()));
        // What a start with the same process number left behind is of no use.
        let _ = std::fs::remove_file(&unfinished);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            // A link never replaces what is there, so of two starts at once one wins.
            .and_then(|()| std::fs::hard_link(&unfinished, path));
        let _ = std::fs::remove_file(&unfinished);
        match written {
            Ok(()) => File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map(|()| true)
                .map_err(io),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(io(error)),
        }
    }
}

impl std::fmt::Debug for HostKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "HostKeys({})", self.fingerprint())
    }
}
