//! The one way to spawn a version control program.
//!
//! A [`GitCommand`] or [`HgCommand`] starts with an empty environment and adds only what is named here: no
//! configuration of the machine or the user, no prompts, no hooks, no file system monitor, no background maintenance,
//! English messages, and a limit on time and output. User text reaches the program only as an argument after `--` or
//! as an environment variable.

use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use crate::text::display_text;

mod blocking;
mod git;
mod hg;
mod run;
mod running;

pub use git::{GitCommand, GitProgram};
pub use hg::{HgCommand, HgProgram};
pub use running::RunningProcess;
pub(crate) use running::read_diagnostic;

/// Kept of what a program writes to standard error, in bytes.
const STDERR_LIMIT: usize = 16 * 1024;

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, complete.
    pub stdout: Vec<u8>,
    /// Its standard error: inert, without secrets, cut at 16 KiB.
    pub stderr: String,
}

/// Why a run failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program could not be started.
    #[error("cannot start {program}: {source}; is it installed and on the PATH?")]
    Start {
        /// The program.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Reading from or writing to the program failed.
    #[error("{}: {source}", full_name(subcommand))]
    Io {
        /// The subcommand of git, or `hg` and its subcommand.
        subcommand: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The program was ended because it took too long.
    #[error("{} was ended after {limit_ms} ms without finishing", full_name(subcommand))]
    TimedOut {
        /// The subcommand of git, or `hg` and its subcommand.
        subcommand: &'static str,
        /// The limit, in milliseconds.
        limit_ms: u128,
    },
    /// The program was ended because it wrote too much.
    #[error(
        "{} was ended after writing more than {limit_bytes} bytes",
        full_name(subcommand)
    )]
    OutputTooLarge {
        /// The subcommand of git, or `hg` and its subcommand.
        subcommand: &'static str,
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// A folder of settings of ours is not as it must be.
    #[error("cannot use {folder} for the settings of hg: {reason}")]
    Settings {
        /// The folder.
        folder: String,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// The program ended with a failure.
    #[error("{} {ending}: {stderr}", full_name(subcommand))]
    Failed {
        /// The subcommand of git, or `hg` and its subcommand.
        subcommand: &'static str,
        /// The exit code; none if a signal ended it.
        code: Option<i32>,
        /// "ended with code 1" or the like.
        ending: String,
        /// What it wrote to standard error: inert, without secrets.
        stderr: String,
    },
}

/// The [`Output`] of a run whose exit code has not been judged.
#[derive(Debug)]
pub struct UncheckedOutput {
    output: Output,
    subcommand: &'static str,
}

impl UncheckedOutput {
    /// The output, whatever the exit code.
    #[must_use]
    pub fn into_output(self) -> Output {
        self.output
    }

    /// The output of a successful run.
    ///
    /// # Errors
    /// [`ProcessError::Failed`].
    pub fn into_successful(self) -> Result<Output, ProcessError> {
        Output::require_success(self)
    }
}

impl Output {
    fn require_success(unchecked: UncheckedOutput) -> Result<Self, ProcessError> {
        if unchecked.output.status.success() {
            return Ok(unchecked.output);
        }
        let UncheckedOutput {
            output: Self { status, stderr, .. },
            subcommand,
        } = unchecked;
        Err(ProcessError::Failed {
            subcommand,
            code: status.code(),
            ending: ending(status),
            stderr,
        })
    }
}

/// The program and its subcommand, for messages.
fn full_name(subcommand: &str) -> String {
    if subcommand.starts_with("hg ") {
        subcommand.to_owned()
    } else {
        format!("git {subcommand}")
    }
}

fn ending(status: ExitStatus) -> String {
    status.code().map_or_else(
        || "was ended by a signal".to_owned(),
        |code| format!("ended with code {code}"),
    )
}

/// Text of a program's standard error that may be shown: inert, without `secrets` and without any `user:password@`.
#[must_use]
pub fn clean_diagnostic(raw: &[u8], secrets: &[String]) -> String {
    let mut text = display_text(&String::from_utf8_lossy(raw), STDERR_LIMIT);
    // Shorter ones would only garble the text, and could be guessed from where it is garbled.
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        text = text.replace(secret.as_str(), "***");
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        clean.push_str(before);
        let authority_end = after
            .find(|character: char| character == '/' || character.is_whitespace())
            .unwrap_or(after.len());
        rest = after[..authority_end]
            .rfind('@')
            .map_or(after, |at| &after[at + 1..]);
    }
    clean.push_str(rest);
    clean.trim().to_owned()
}

#[cfg(target_os = "linux")]
fn limit_file_size(leader: u32, limit_bytes: u64) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};
    let pid = i32::try_from(leader).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: Some(limit_bytes),
        maximum: Some(limit_bytes),
    };
    Ok(prlimit(pid, Resource::Fsize, limit).map(|_| ())?)
}

#[cfg(not(target_os = "linux"))]
fn limit_file_size(_leader: u32, _limit_bytes: u64) -> std::io::Result<()> {
    Ok(())
}

/// Ends a group of processes whose leader has not been waited for yet (so its number cannot belong to another).
fn end_group(leader: u32) {
    if let Some(pid) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // The only failure is that the group has ended by itself.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}
