//! What every run has, whichever program it is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use super::{ProcessError, clean_diagnostic, ending};

/// Variables that every program is shown, if they are set: where programs and temporary files are, and the time zone.
const INHERITED: [&str; 4] = ["PATH", "TMPDIR", "TZ", "SYSTEMROOT"];

/// Variables that a program is shown that talks to other servers.
pub(super) const INHERITED_FOR_NETWORK: [&str; 11] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "SSH_AUTH_SOCK",
];

/// One run of a program, complete.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) program: PathBuf,
    pub(super) subcommand: &'static str,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) directory: Option<PathBuf>,
    pub(super) input: Vec<u8>,
    pub(super) timeout: Duration,
    pub(super) output_limit: usize,
    pub(super) secrets: Vec<String>,
    pub(super) stderr_discarded: bool,
    pub(super) file_size_limit: Option<u64>,
}

impl Run {
    pub(super) fn new(program: PathBuf, subcommand: &'static str) -> Self {
        let mut run = Self {
            program,
            subcommand,
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            input: Vec::new(),
            timeout: Duration::from_secs(60),
            output_limit: 64 * 1024 * 1024,
            secrets: Vec::new(),
            stderr_discarded: false,
            file_size_limit: None,
        };
        run.inherit(&INHERITED);
        run
    }

    /// Shows the program these variables of ours, if they are set.
    pub(super) fn inherit(&mut self, names: &[&str]) {
        let set = names
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        self.environment.extend(set);
    }

    pub(super) fn to_std(&self) -> std::process::Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = std::process::Command::new(&self.program);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(&self.arguments);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        // A group of its own, so that helpers which the program starts end with it.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command.stderr(if self.stderr_discarded {
            Stdio::null()
        } else {
            Stdio::piped()
        });
        command
    }

    pub(super) fn failure(&self, status: ExitStatus, stderr: &[u8]) -> ProcessError {
        ProcessError::Failed {
            subcommand: self.subcommand,
            code: status.code(),
            ending: ending(status),
            stderr: clean_diagnostic(stderr, &self.secrets),
        }
    }

    pub(super) fn start_error(&self, source: std::io::Error) -> ProcessError {
        ProcessError::Start {
            program: self.program.display().to_string(),
            source,
        }
    }

    pub(super) fn io_error(&self, source: std::io::Error) -> ProcessError {
        ProcessError::Io {
            subcommand: self.subcommand,
            source,
        }
    }

    pub(super) fn timed_out(&self) -> ProcessError {
        ProcessError::TimedOut {
            subcommand: self.subcommand,
            limit_ms: self.timeout.as_millis(),
        }
    }

    pub(super) fn too_large(&self) -> ProcessError {
        ProcessError::OutputTooLarge {
            subcommand: self.subcommand,
            limit_bytes: self.output_limit,
        }
    }
}
