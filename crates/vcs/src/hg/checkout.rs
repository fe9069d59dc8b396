//! The work tree of a job: a clone of its own, with the files of one commit. Without tokio, because it runs inside the
//! job's process.
//!
//! Nothing is shared with the hosted repository, not even by hard links: a job may write and break what it likes. Of
//! an earlier job only the files stay; its `.hg` is thrown away, so no configuration, hook or changed history of it
//! takes part. Subrepositories are not followed, and no path reaches into `.hg` or out of the folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::folder::{Room, make_room, remove};
use crate::name::ObjectId;
use crate::process::{HgCommand, HgProgram, ProcessError};

/// Says whose checkout a `.hg` folder is, and of which commit: two lines.
const MARKER: &str = "madake-checkout";

/// Where the clone is made, inside the folder, so that it is on the same file system.
const UNFINISHED: &str = ".madake-clone";

/// What shows that a folder is a checkout, or began to be one.
const MARKS: [&str; 3] = [".hg", ".git", UNFINISHED];

/// What to check out, and how.
#[derive(Clone, Debug)]
pub struct CheckoutRequest<'a> {
    /// The hg program.
    pub hg: &'a HgProgram,
    /// A repository on this machine.
    pub source: &'a Path,
    /// The commit.
    pub revision: &'a ObjectId,
    /// The address that `hg paths default` shows, without credential; none for the path of `source`.
    pub origin: Option<&'a str>,
    /// The folder. It is created, re-used if it is a checkout of the same source, and emptied if it is one of another.
    pub into: &'a Path,
    /// Whether to empty the folder in any case. Otherwise files that Mercurial does not know stay.
    pub clean: bool,
    /// How long each step may take.
    pub timeout: Duration,
}

/// What a checkout did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutReport {
    /// Lines for the log of the job.
    pub lines: Vec<String>,
    /// Whether the folder was a checkout of the same source and its files were kept.
    pub reused: bool,
}

/// Why a checkout failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckoutError {
    /// The commit is not in the source.
    #[error("the commit {revision} is not in the repository: it may have been stripped")]
    MissingRevision {
        /// The commit.
        revision: ObjectId,
    },
    /// The folder is a symbolic link or a file.
    #[error("{path} is not a folder of its own: a link or a file is never checked out into")]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The address would not fit into one line of configuration.
    #[error("the address of the repository has a line feed")]
    Origin,
    /// The file system refused.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Mercurial refused, for instance a path that would reach into `.hg`.
    #[error(transparent)]
    Hg(#[from] ProcessError),
}

/// Makes the work tree exactly that of the revision; files that Mercurial does not know stay unless `clean`.
///
/// # Errors
/// See [`CheckoutError`].
pub fn checkout(request: &CheckoutRequest<'_>) -> Result<CheckoutReport, CheckoutError> {
    let into = request.into;
    let in_folder = |source| CheckoutError::Io {
        path: into.to_owned(),
        source,
    };
    let found = match fs::symlink_metadata(into) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(into).and_then(|()| fs::symlink_metadata(into))
        }
        found => found,
    };
    if !found.map_err(in_folder)?.is_dir() {
        return Err(CheckoutError::NotAFolder {
            path: into.to_owned(),
        });
    }
    let into = into.canonicalize().map_err(in_folder)?;
    let source = request.source.canonicalize().map_err(|error| CheckoutError::Io {
        path: request.source.to_owned(),
        source: error,
    })?;
    let checkout = Checkout {
        request,
        source,
        hg_folder: into.join(".hg"),
        into,
    };
    let earlier = checkout.earlier_revision().filter(|_| !request.clean);
    if let Some(earlier) = earlier {
        checkout.clone_history()?;
        let kept = checkout
            .work("hg debugrebuilddirstate", &["--rev", &format!("id({earlier})")])
            .and_then(|()| checkout.update());
        if kept.is_ok() {
            return checkout.done("in the folder of an earlier build", true);
        }
        // Something in the folder is in the way, or the earlier commit is gone: begin anew.
    }
    let mut room = checkout.make_room(request.clean)?;
    checkout.clone_history()?;
    let mut updated = checkout.update();
    if updated.is_err() && room == Room::Beside {
        room = checkout.make_room(true)?;
        checkout.clone_history()?;
        updated = checkout.update();
    }
    if let Err(error) = updated {
        return Err(checkout.explained(error));
    }
    checkout.done(room.shown(), false)
}

struct Checkout<'a> {
    request: &'a CheckoutRequest<'a>,
    source: PathBuf,
    into: PathBuf,
    hg_folder: PathBuf,
}

impl Checkout<'_> {
    /// The commit that an earlier checkout of the same source left in the folder.
    fn earlier_revision(&self) -> Option<ObjectId> {
        let is_folder = fs::symlink_metadata(&self.hg_folder).is_ok_and(|found| found.is_dir());
        let marker = self.hg_folder.join(MARKER);
        let is_file = fs::symlink_metadata(&marker).is_ok_and(|found| found.is_file());
        if !is_folder || !is_file {
            return None;
        }
        let text = fs::read(marker).ok()?;
        let source = text.strip_prefix(self.source.as_os_str().as_encoded_bytes())?;
        let revision = std::str::from_utf8(source.strip_prefix(b"\n")?).ok()?;
        ObjectId::parse(revision.trim_end()).ok()
    }

    fn make_room(&self, clean: bool) -> Result<Room, CheckoutError> {
        make_room(&self.into, &MARKS, clean).map_err(|source| self.io(source))
    }

    /// Puts a new `.hg` into the folder, with all history and no files.
    fn clone_history(&self) -> Result<(), CheckoutError> {
        let io = |source| self.io(source);
        for name in [".hg", UNFINISHED] {
            let old = self.into.join(name);
            if let Ok(found) = fs::symlink_metadata(&old) {
                remove(&old, found.file_type()).map_err(io)?;
            }
        }
        let unfinished = self.into.join(UNFINISHED);
        self.limited(self.request.hg.command("hg clone"))
            .environment("MADAKE_HG_COPIES", "1")
            .args(["--quiet", "--noupdate", "--"])
            .args([&self.source, &unfinished])
            .run_blocking()?;
        fs::rename(unfinished.join(".hg"), &self.hg_folder).map_err(io)?;
        fs::remove_dir(&unfinished).map_err(io)?;
        let source = self.source.to_string_lossy();
        let origin = self.request.origin.unwrap_or(&source);
        if origin.contains(['\n', '\r']) {
            return Err(CheckoutError::Origin);
        }
        fs::write(
            self.hg_folder.join("hgrc"),
            format!("[paths]\ndefault = {origin}\n"),
        )
        .map_err(io)
    }

    fn update(&self) -> Result<(), CheckoutError> {
        let revision = format!("id({})", self.request.revision);
        self.work("hg update", &["--quiet", "--clean", "--rev", &revision])
    }

    fn work(&self, subcommand: &'static str, arguments: &[&str]) -> Result<(), CheckoutError> {
        let command = self
            .limited(self.request.hg.command(subcommand))
            .repository(&self.into);
        command.args(arguments).run_blocking()?;
        Ok(())
    }

    fn limited(&self, command: HgCommand) -> HgCommand {
        command.timeout(self.request.timeout)
    }

    /// A failure, said better if the commit is not there.
    fn explained(&self, error: CheckoutError) -> CheckoutError {
        let revision = format!("id({})", self.request.revision);
        let command = self
            .limited(self.request.hg.command("hg log"))
            .repository(&self.into);
        let found = command
            .args(["--rev", &revision, "--template", "{node}"])
            .run_blocking();
        match found {
            Ok(output) if output.stdout.is_empty() => CheckoutError::MissingRevision {
                revision: *self.request.revision,
            },
            _ => error,
        }
    }

    fn done(&self, how: &str, reused: bool) -> Result<CheckoutReport, CheckoutError> {
        let revision = self.request.revision;
        // Only now is the folder worth keeping for the next job.
        let mut marker = self.source.as_os_str().as_encoded_bytes().to_vec();
        marker.extend_from_slice(format!("\n{revision}\n").as_bytes());
        fs::write(self.hg_folder.join(MARKER), marker).map_err(|source| self.io(source))?;
        Ok(CheckoutReport {
            lines: vec![format!("checked out {revision} {how}")],
            reused,
        })
    }

    fn io(&self, source: io::Error) -> CheckoutError {
        CheckoutError::Io {
            path: self.into.clone(),
            source,
        }
    }
}
