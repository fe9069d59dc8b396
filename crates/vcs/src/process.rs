//! The one way to spawn a version control program.
//!
//! A [`GitCommand`] starts with an empty environment and adds only what is named here: no configuration of the machine
//! or the user, no prompts, no hooks, no file system monitor, no background maintenance, English messages, and a limit
//! on time and output. User text reaches the program only as an argument after `--` or as an environment variable.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use crate::text::display_text;
use crate::url::{Credential, RepositoryUrl, Scheme};

mod blocking;
mod running;

pub use running::RunningProcess;
pub(crate) use running::read_diagnostic;

/// Kept of what a program writes to standard error, in bytes.
const STDERR_LIMIT: usize = 16 * 1024;

/// Where the `git` program is, and the home directory that it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitProgram {
    path: PathBuf,
    home: PathBuf,
}

/// One run of git, put together step by step.
#[derive(Clone)]
pub struct GitCommand {
    program: PathBuf,
    subcommand: &'static str,
    global_options: Vec<OsString>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    hidden_settings: Vec<(String, String)>,
    directory: Option<PathBuf>,
    input: Vec<u8>,
    timeout: Duration,
    output_limit: usize,
    secrets: Vec<String>,
    stderr_discarded: bool,
    file_size_limit: Option<u64>,
}

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
    #[error("git {subcommand}: {source}")]
    Io {
        /// The subcommand of git.
        subcommand: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The program was ended because it took too long.
    #[error("git {subcommand} was ended after {limit_ms} ms without finishing")]
    TimedOut {
        /// The subcommand of git.
        subcommand: &'static str,
        /// The limit, in milliseconds.
        limit_ms: u128,
    },
    /// The program was ended because it wrote too much.
    #[error("git {subcommand} was ended after writing more than {limit_bytes} bytes")]
    OutputTooLarge {
        /// The subcommand of git.
        subcommand: &'static str,
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The program ended with a failure.
    #[error("git {subcommand} {ending}: {stderr}")]
    Failed {
        /// The subcommand of git.
        subcommand: &'static str,
        /// The exit code; none if a signal ended it.
        code: Option<i32>,
        /// "ended with code 1" or the like.
        ending: String,
        /// What it wrote to standard error: inert, without secrets.
        stderr: String,
    },
}

impl Default for GitProgram {
    fn default() -> Self {
        Self::new("git")
    }
}

impl GitProgram {
    /// A git program by path, or by name on the `PATH`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        // A folder that does not exist is an empty one that nobody can fill.
        Self {
            path: path.into(),
            home: PathBuf::from("/nonexistent"),
        }
    }

    /// Shows the program another home directory, for instance one with `.ssh` in it.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = home.into();
        self
    }

    /// The path or name of the program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a run of `git <subcommand>`.
    #[must_use]
    pub fn command(&self, subcommand: &'static str) -> GitCommand {
        let command = GitCommand {
            program: self.path.clone(),
            subcommand,
            global_options: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            hidden_settings: Vec::new(),
            directory: None,
            input: Vec::new(),
            timeout: Duration::from_secs(60),
            output_limit: 64 * 1024 * 1024,
            secrets: Vec::new(),
            stderr_discarded: false,
            file_size_limit: None,
        };
        let inherited = ["PATH", "TMPDIR", "TZ", "SYSTEMROOT"]
            .into_iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        let mut command = command
            .environment("HOME", &self.home)
            .environment("LC_ALL", "C")
            .environment("GIT_CONFIG_NOSYSTEM", "1")
            .environment("GIT_CONFIG_GLOBAL", "/dev/null")
            .environment("GIT_ATTR_NOSYSTEM", "1")
            .environment("GIT_TERMINAL_PROMPT", "0")
            .environment("GIT_ASKPASS", "")
            .environment("SSH_ASKPASS", "")
            .environment("GIT_OPTIONAL_LOCKS", "0")
            .environment("GIT_NO_LAZY_FETCH", "1")
            .environment("GIT_NO_REPLACE_OBJECTS", "1")
            // No transport at all unless `network` allows some.
            .environment("GIT_ALLOW_PROTOCOL", "")
            // Without a name git asks the resolver for this machine's, which can take seconds.
            .environment("GIT_COMMITTER_NAME", "Madake")
            .environment("GIT_COMMITTER_EMAIL", "madake@localhost")
            .setting("core.hooksPath", "/dev/null")
            .setting("core.fsmonitor", "false")
            .setting("core.attributesFile", "/dev/null")
            .setting("core.excludesFile", "/dev/null")
            .setting("gc.auto", "0")
            .setting("maintenance.auto", "false");
        command.environment.extend(inherited);
        command
    }
}

impl GitCommand {
    /// Adds an argument after the subcommand. Text of users goes behind an argument `--`.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a configuration value for this run. It stands in the argument list, so it must not be secret.
    #[must_use]
    pub fn setting(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        let mut pair = OsString::from(key);
        pair.push("=");
        pair.push(value);
        self.global_options.extend([OsString::from("-c"), pair]);
        self
    }

    /// Sets an environment variable for this run.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((OsString::from(name), value.as_ref().to_owned()));
        self
    }

    /// Works on the repository whose git directory this is, and only on it, whoever owns it.
    #[must_use]
    pub fn repository(mut self, git_directory: &Path) -> Self {
        let mut option = OsString::from("--git-dir=");
        option.push(git_directory);
        self.global_options.push(option);
        self.directory(git_directory).trusted_owner(git_directory)
    }

    /// Accepts this repository although another user may own it (the default is git's: only our own).
    #[must_use]
    pub fn trusted_owner(self, git_directory: &Path) -> Self {
        let exact = git_directory
            .canonicalize()
            .unwrap_or_else(|_| git_directory.to_owned());
        self.setting("safe.directory", exact)
    }

    /// Runs in this directory.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Works on this work tree.
    #[must_use]
    pub fn work_tree(mut self, work_tree: &Path) -> Self {
        let mut option = OsString::from("--work-tree=");
        option.push(work_tree);
        self.global_options.push(option);
        self.directory(work_tree)
    }

    /// Bytes for standard input.
    #[must_use]
    pub fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// Throws away what the program writes to standard error.
    #[must_use]
    pub fn discard_stderr(mut self) -> Self {
        self.stderr_discarded = true;
        self
    }

    /// Ends the run after this long. Default: a minute.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Ends the run when it has written more than this to standard output, in bytes. Default: 64 MiB.
    #[must_use]
    pub fn output_limit(mut self, limit_bytes: usize) -> Self {
        self.output_limit = limit_bytes;
        self
    }

    /// Lets the program, and what it starts, write no file of more than this many bytes (Linux; elsewhere no bound).
    #[must_use]
    pub fn file_size_limit(mut self, limit_bytes: u64) -> Self {
        self.file_size_limit = Some(limit_bytes);
        self
    }

    /// Passes a client's `Git-Protocol` header on, if it looks like one (`version=2`).
    #[must_use]
    pub fn git_protocol(self, header: Option<&str>) -> Self {
        let well_formed = |value: &&str| {
            value.len() <= 100
                && value
                    .chars()
                    .all(|char| char.is_ascii_alphanumeric() || "=:.-_".contains(char))
        };
        match header.filter(well_formed) {
            Some(value) => self.environment("GIT_PROTOCOL", value),
            None => self,
        }
    }

    /// Allows exactly the transport that `url` needs, and hands `credential` over through the environment, bound to
    /// the host of `url`: a redirect or a submodule elsewhere is never offered it.
    #[must_use]
    pub fn network(mut self, url: &RepositoryUrl, credential: Option<&Credential>) -> Self {
        let transport = match url.scheme() {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Ssh => "ssh",
            Scheme::Git => "git",
            Scheme::Local => "file",
        };
        let inherited = [
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "all_proxy",
            "HTTPS_PROXY",
            "NO_PROXY",
            "ALL_PROXY",
        ]
        .into_iter()
        .chain(["SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "SSH_AUTH_SOCK"]);
        for name in inherited {
            if let Some(value) = std::env::var_os(name) {
                self.environment.push((OsString::from(name), value));
            }
        }
        let mut command = self
            .environment("GIT_ALLOW_PROTOCOL", transport)
            .environment(
                "GIT_SSH_COMMAND",
                "ssh -o BatchMode=yes -o ConnectTimeout=15 -o PermitLocalCommand=no -o ClearAllForwardings=yes",
            )
            .setting("http.followRedirects", "false")
            .setting("http.lowSpeedLimit", "1000")
            .setting("http.lowSpeedTime", "60");
        // An empty helper resets the list: no other helper is asked.
        command
            .hidden_settings
            .push(("credential.helper".into(), String::new()));
        if let (Some(credential), Some(origin)) = (credential, url.origin()) {
            let helper = "!f() { test \"$1\" = get && \
                          printf 'username=%s\\npassword=%s\\n' \"$MADAKE_VCS_USERNAME\" \"$MADAKE_VCS_PASSWORD\"; }; f";
            command
                .hidden_settings
                .push((format!("credential.{origin}.helper"), helper.into()));
            command = command
                .environment("MADAKE_VCS_USERNAME", credential.username())
                .environment("MADAKE_VCS_PASSWORD", credential.password());
            // A user name without password is a token; with one it is no secret.
            let secret = if credential.password().is_empty() {
                credential.username()
            } else {
                credential.password()
            };
            command.secrets.push(secret.to_owned());
        }
        command
    }

    /// Runs to the end without tokio, for processes that have no runtime.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_blocking(self) -> Result<Output, ProcessError> {
        blocking::run(self).and_then(Output::require_success)
    }

    /// Runs to the end; a run whose future is dropped is ended, with everything that it started.
    ///
    /// # Errors
    /// Start, time and output limits, and a failure of the program itself.
    pub async fn run(self) -> Result<Output, ProcessError> {
        self.run_unchecked().await.and_then(Output::require_success)
    }

    /// [`Self::run`] for programs whose exit code is an answer.
    ///
    /// # Errors
    /// Start, time and output limits.
    pub async fn run_unchecked(self) -> Result<UncheckedOutput, ProcessError> {
        running::run(self).await
    }

    /// Starts the program with pipes for its three streams.
    ///
    /// # Errors
    /// [`ProcessError::Start`].
    pub fn start(&self) -> Result<RunningProcess, ProcessError> {
        RunningProcess::start(self)
    }

    /// The subcommand, for messages.
    #[must_use]
    pub fn subcommand(&self) -> &'static str {
        self.subcommand
    }

    /// The error for a process that was started with [`Self::start`] and failed.
    pub(crate) fn failure(&self, status: ExitStatus, stderr: &[u8]) -> ProcessError {
        let stderr = clean_diagnostic(stderr, &self.secrets);
        ProcessError::Failed {
            subcommand: self.subcommand,
            code: status.code(),
            ending: ending(status),
            stderr,
        }
    }

    fn to_std(&self) -> std::process::Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = std::process::Command::new(&self.program);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("GIT_CONFIG_COUNT", self.hidden_settings.len().to_string());
        for (index, (key, value)) in self.hidden_settings.iter().enumerate() {
            command
                .env(format!("GIT_CONFIG_KEY_{index}"), key)
                .env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        command
            .args(&self.global_options)
            .arg(self.subcommand)
            .args(&self.arguments);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        // A group of its own, so that helpers which git starts end with it.
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

    fn start_error(&self, source: std::io::Error) -> ProcessError {
        ProcessError::Start {
            program: self.program.display().to_string(),
            source,
        }
    }

    fn io_error(&self, source: std::io::Error) -> ProcessError {
        ProcessError::Io {
            subcommand: self.subcommand,
            source,
        }
    }

    fn timed_out(&self) -> ProcessError {
        ProcessError::TimedOut {
            subcommand: self.subcommand,
            limit_ms: self.timeout.as_millis(),
        }
    }

    fn too_large(&self) -> ProcessError {
        ProcessError::OutputTooLarge {
            subcommand: self.subcommand,
            limit_bytes: self.output_limit,
        }
    }
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
