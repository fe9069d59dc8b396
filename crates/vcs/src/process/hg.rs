//! Runs of Mercurial.
//!
//! The configuration is a file of ours and nothing else: no file of the system, of the user or of a repository is
//! read. Options stand before the subcommand, where alone they count (`HGPLAIN=+strictflags`): an argument after the
//! subcommand can never set one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::run::{INHERITED_FOR_NETWORK, Run};
use super::{Output, ProcessError, RunningProcess, UncheckedOutput, blocking, running};
use crate::url::{Credential, RepositoryUrl};

/// What we add to Mercurial.
const EXTENSION: &str = include_str!("../hg/madake.py");

/// Where the `hg` program is, where its settings lie, and the home directory that it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HgProgram {
    path: PathBuf,
    folder: PathBuf,
    home: PathBuf,
}

/// One run of hg, put together step by step.
#[derive(Clone)]
pub struct HgCommand {
    run: Run,
    global_options: Vec<OsString>,
}

impl HgProgram {
    /// A program by path or by name on the `PATH`, with its settings in `folder`, which is made, and belongs to hg
    /// alone. Several processes may share a folder.
    ///
    /// # Errors
    /// [`ProcessError::Settings`].
    pub fn new(path: impl Into<PathBuf>, folder: &Path) -> Result<Self, ProcessError> {
        let program = Self {
            path: path.into(),
            folder: folder.to_owned(),
            home: PathBuf::from("/nonexistent"),
        };
        let problem = |reason: String| program.settings_error(reason);
        let unusable = |text: &str| text.contains([':', '$', '\n', '\r', '%']) || text.trim() != text;
        if !folder.is_absolute() || folder.to_str().is_none_or(unusable) {
            return Err(problem(
                "its path must be absolute and without colon, dollar or percent sign, line feed and outer spaces: \
                 choose another"
                    .into(),
            ));
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| problem(error.to_string()))?;
        program.write_settings()?;
        Ok(program)
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

    /// Begins a run of `hg <subcommand>`; `subcommand` is given as `hg log`.
    ///
    /// # Panics
    /// If `subcommand` does not start with `hg `.
    #[must_use]
    pub fn command(&self, subcommand: &'static str) -> HgCommand {
        let run = self.run(subcommand, "hg.rc");
        let global_options = ["--cwd", "/"].map(OsString::from).to_vec();
        HgCommand { run, global_options }
    }

    /// Begins a run that serves the repository at `path` to others: every transaction is refused but those that our
    /// extension lets through.
    ///
    /// # Errors
    /// [`ProcessError::Settings`] if the settings that refuse are not in place.
    pub(crate) fn serving(&self, subcommand: &'static str) -> Result<HgCommand, ProcessError> {
        self.require_settings()?;
        let run = self.run(subcommand, "serve.rc");
        let global_options = ["--cwd", "/"].map(OsString::from).to_vec();
        Ok(HgCommand { run, global_options })
    }

    fn run(&self, subcommand: &'static str, settings: &str) -> Run {
        assert!(subcommand.starts_with("hg "), "a subcommand is given as `hg log`");
        let mut run = Run::new(self.path.clone(), subcommand);
        let ours: [(&str, &OsStr); 11] = [
            ("HOME", self.home.as_os_str()),
            ("LC_ALL", OsStr::new("C")),
            ("HGENCODING", OsStr::new("UTF-8")),
            ("HGPLAIN", OsStr::new("+strictflags")),
            ("HGRCSKIPREPO", OsStr::new("1")),
            ("HGEDITOR", OsStr::new("false")),
            ("HGMERGE", OsStr::new("internal:fail")),
            ("PYTHONNOUSERSITE", OsStr::new("1")),
            ("PYTHONDONTWRITEBYTECODE", OsStr::new("1")),
            ("SSH_ASKPASS", OsStr::new("")),
            ("HGUSER", OsStr::new("Madake <madake@localhost>")),
        ];
        run.environment
            .extend(ours.map(|(name, value)| (name.into(), value.into())));
        run.environment
            .push(("HGRCPATH".into(), self.folder.join(settings).into()));
        run
    }

    fn settings(&self) -> [(&'static str, String); 3] {
        let extension = self.folder.join("madake.py");
        let tools = format!("{SETTINGS}\n[extensions]\nmadake = {}\n", extension.display());
        let serving = format!("{tools}\n{SERVING_SETTINGS}");
        [
            ("madake.py", EXTENSION.to_owned()),
            ("hg.rc", tools),
            ("serve.rc", serving),
        ]
    }

    fn write_settings(&self) -> Result<(), ProcessError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        for (name, text) in self.settings() {
            let path = self.folder.join(name);
            if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
                continue;
            }
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let unfinished = self
                .folder
                .join(format!(".{name}.{}.{number}.new", std::process::id()));
            let written = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&unfinished)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .and_then(|()| fs::rename(&unfinished, &path));
            if let Err(error) = written {
                // It never had the name that hg reads.
                let _ = fs::remove_file(&unfinished);
                return Err(self.settings_error(error.to_string()));
            }
        }
        Ok(())
    }

    /// A lost file of settings would be a server without rules.
    fn require_settings(&self) -> Result<(), ProcessError> {
        for (name, text) in self.settings() {
            if fs::read(self.folder.join(name)).ok().as_deref() != Some(text.as_bytes()) {
                return self.write_settings();
            }
        }
        Ok(())
    }

    fn settings_error(&self, reason: String) -> ProcessError {
        ProcessError::Settings {
            folder: self.folder.display().to_string(),
            reason,
        }
    }
}

impl HgCommand {
    /// Adds an argument after the subcommand. Text of users goes behind an argument `--`.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.run.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter();
        self.run
            .arguments
            .extend(arguments.map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Works on the repository at this absolute path.
    #[must_use]
    pub fn repository(mut self, path: &Path) -> Self {
        self.global_options
            .extend([OsString::from("-R"), path.as_os_str().to_owned()]);
        self
    }

    /// Nothing stands before `-R PATH`, as `hg serve --stdio` asks.
    pub(crate) fn bare_repository(mut self, path: &Path) -> Self {
        self.global_options.clear();
        self.run.directory = Some(PathBuf::from("/"));
        self.repository(path)
    }

    /// Sets an environment variable for this run.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref().to_owned();
        self.run.environment.push((OsString::from(name), value));
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

    /// Shows the program proxies, certificates and the ssh agent, and hands `credential` over through the environment,
    /// bound to the host of `url`; the programs that hg starts do not inherit it.
    #[must_use]
    pub fn network(mut self, url: &RepositoryUrl, credential: Option<&Credential>) -> Self {
        self.run.inherit(&INHERITED_FOR_NETWORK);
        let (Some(credential), Some(origin)) = (credential, url.origin()) else {
            return self;
        };
        // A user name without password is a token; with one it is no secret.
        let secret = if credential.password().is_empty() {
            credential.username()
        } else {
            credential.password()
        };
        self.run.secrets.push(secret.to_owned());
        self.environment("MADAKE_HG_ORIGIN", origin)
            .environment("MADAKE_HG_USERNAME", credential.username())
            .environment("MADAKE_HG_PASSWORD", credential.password())
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

    /// The run with everything in its place.
    fn finished(&self) -> Run {
        let mut run = self.run.clone();
        let after = std::mem::take(&mut run.arguments);
        run.arguments = self.global_options.clone();
        let subcommand = run.subcommand.trim_start_matches("hg ");
        run.arguments.push(subcommand.into());
        run.arguments.extend(after);
        run
    }
}

const SETTINGS: &str = "\
[ui]
interactive = false
username = Madake <madake@localhost>
merge = internal:fail
clonebundles = false
relative-paths = false
paginate = never
color = never
timeout = 120
ssh = ssh -o BatchMode=yes -o ConnectTimeout=15 -o PermitLocalCommand=no -o ClearAllForwardings=yes
report_untrusted = false
[http]
timeout = 120
[subrepos]
allowed = false
[paths]
*:bookmarks.mode = mirror
[phases]
publish = true
[progress]
disable = true
";

const SERVING_SETTINGS: &str = "\
[hooks]
# Should our extension not be loaded, nothing may change. It puts its own rules in these places.
prepushkey.madake = exit 1
pretxnopen.madake = exit 1
pretxnclose.madake = exit 1
[server]
bundle1 = false
validate = true
[web]
push_ssl = false
";
