//! Runs of git.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::run::{INHERITED_FOR_NETWORK, Run};
use super::{Output, ProcessError, RunningProcess, UncheckedOutput, blocking, clean_diagnostic, running};
use crate::url::{Credential, RepositoryUrl, Scheme};

/// Where the `git` program is, and the home directory that it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitProgram {
    path: PathBuf,
    home: PathBuf,
}

/// One run of git, put together step by step.
#[derive(Clone)]
pub struct GitCommand {
    run: Run,
    global_options: Vec<OsString>,
    hidden_settings: Vec<(String, String)>,
}

impl Default for GitProgram {
    fn default() -> Self {
        Self::new("git")
    }
}

impl GitProgram {
    /// A git program by path, or by name on the `PATH`. A name is looked up here and not at each start: with a path
    /// in hand the system starts a process without copying this one first.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        // A folder that does not exist is an empty one that nobody can fill.
        Self {
            path: on_path(path.into()),
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
            run: Run::new(self.path.clone(), subcommand),
            global_options: Vec::new(),
            hidden_settings: Vec::new(),
        };
        command
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
            .setting("maintenance.auto", "false")
    }
}

impl GitCommand {
    /// Adds an argument after the subcommand. Text of users goes behind an argument `--`.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.run.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.run
            .arguments
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
        self.run
            .environment
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
        self.run.directory = Some(directory.to_owned());
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
        self.run.input = input;
        self
    }

    /// Throws away what the program writes to standard error.
    #[must_use]
    pub fn discard_stderr(mut self) -> Self {
        self.run.stderr_discarded = true;
        self
    }

    /// Ends the run after this long. Default: a minute.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.run.timeout = limit;
        self
    }

    /// Ends the run when it has written more than this to standard output, in bytes. Default: 64 MiB.
    #[must_use]
    pub fn output_limit(mut self, limit_bytes: usize) -> Self {
        self.run.output_limit = limit_bytes;
        self
    }

    /// Lets the program, and what it starts, write no file of more than this many bytes (Linux; elsewhere no bound).
    #[must_use]
    pub fn file_size_limit(mut self, limit_bytes: u64) -> Self {
        self.run.file_size_limit = Some(limit_bytes);
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
        self.run.inherit(&INHERITED_FOR_NETWORK);
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
            command.run.secrets.push(secret.to_owned());
        }
        command
    }

    /// Runs to the end without tokio, for processes that have no runtime.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_blocking(self) -> Result<Output, ProcessError> {
        blocking::run(self.finished()).and_then(Output::require_success)
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
        running::run(self.finished()).await
    }

    /// Starts the program with pipes for its three streams.
    ///
    /// # Errors
    /// [`ProcessError::Start`].
    pub fn start(&self) -> Result<RunningProcess, ProcessError> {
        RunningProcess::start(&self.finished())
    }

    /// The subcommand, for messages.
    #[must_use]
    pub fn subcommand(&self) -> &'static str {
        self.run.subcommand
    }

    /// The error for a process that was started with [`Self::start`] and failed.
    pub(crate) fn failure(&self, status: ExitStatus, stderr: &[u8]) -> ProcessError {
        self.run.failure(status, stderr)
    }

    /// What another side said, as it may be shown: inert, and without the credential that it was sent.
    pub(crate) fn shown(&self, said: &str) -> String {
        clean_diagnostic(said.as_bytes(), &self.run.secrets)
    }

    /// The run with everything in its place.
    fn finished(&self) -> Run {
        let mut run = self.run.clone();
        let count = self.hidden_settings.len().to_string();
        run.environment.push(("GIT_CONFIG_COUNT".into(), count.into()));
        for (index, (key, value)) in self.hidden_settings.iter().enumerate() {
            run.environment
                .push((format!("GIT_CONFIG_KEY_{index}").into(), key.into()));
            run.environment
                .push((format!("GIT_CONFIG_VALUE_{index}").into(), value.into()));
        }
        let after = std::mem::take(&mut run.arguments);
        run.arguments = self.global_options.clone();
        run.arguments.push(run.subcommand.into());
        run.arguments.extend(after);
        run
    }
}

/// The file that a bare name means on the `PATH` of this process; anything else as it is.
fn on_path(path: PathBuf) -> PathBuf {
    let is_name = path.components().count() == 1 && !path.is_absolute();
    std::env::var_os("PATH")
        .filter(|_| is_name)
        .and_then(|list| {
            std::env::split_paths(&list)
                .map(|folder| folder.join(&path))
                .find(|file| file.is_file())
        })
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_on_the_path_and_a_path_is_not() {
        assert!(GitProgram::default().path().is_absolute());
        for kept in ["/nowhere/git", "./git", "no-such-program-anywhere"] {
            assert_eq!(GitProgram::new(kept).path(), Path::new(kept));
        }
    }
}
