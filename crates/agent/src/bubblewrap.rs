//! A system of its own for the processes of a job, made by the program `bwrap`.
//!
//! What the job gets: processes, users and shared memory of its own; the machine's files to read; a home, a `/tmp`
//! and devices of its own; its working directory to write. What it does not see: the server's home with its store
//! and the orders of other jobs, and the sockets of the machine's services below `/run`. The order of the arguments
//! counts: each may cover what one before has shown.
//!
//! `bwrap` itself runs outside, as the server's user. The environment of a job is a plan's to choose (`LD_PRELOAD` among
//! it), so `bwrap` is not started with it: it is handed over as arguments in a file without a name, and set inside.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use madake_protocol::{Bubblewrap, Isolation};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::job_directory::make_private_directory;
use crate::processes::COOKIE_VARIABLE;

/// Places below `/run` where a machine may keep what `/etc/resolv.conf` points to, so that names are found.
const RESOLVERS: [&str; 4] = [
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/nscd",
];

/// The socket of a person's SSH agent, which a plain process may use as well.
pub(crate) const SSH_AGENT_VARIABLE: &str = "SSH_AUTH_SOCK";

/// The folders of one job.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxFolders {
    /// Where the private home and `/tmp` are kept; `None`: they are in memory.
    pub(crate) private: Option<PathBuf>,
    /// Where the job may write.
    pub(crate) writable: Vec<PathBuf>,
    /// What the job may read although it is hidden: the repositories that its checkouts borrow history from.
    pub(crate) readable: Vec<PathBuf>,
}

impl SandboxFolders {
    /// Makes the private folders.
    pub(crate) fn make(&self) -> io::Result<()> {
        for name in PRIVATE {
            if let Some(private) = &self.private {
                make_private_directory(&private.join(name))?;
            }
        }
        Ok(())
    }
}

const PRIVATE: [&str; 3] = ["home", "tmp", "var-tmp"];

/// The arguments that make the sandbox of one job.
#[derive(Debug, Clone)]
pub(crate) struct Sandbox {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Sandbox {
    /// The sandbox of a job. Looks at the machine's folders and makes none.
    pub(crate) fn new(settings: &Bubblewrap, folders: &SandboxFolders) -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let ssh_agent = std::env::var_os(SSH_AGENT_VARIABLE).map(PathBuf::from);
        let mut list = Arguments::default();
        for flag in ["--unshare-user", "--unshare-pid", "--unshare-ipc"] {
            list.flag(flag);
        }
        if !settings.network {
            list.flag("--unshare-net");
        }
        list.two("--ro-bind", "/", "/");
        list.one("--dev", "/dev");
        list.one("--proc", "/proc");
        if Path::new("/run").is_dir() {
            list.one("--tmpfs", "/run");
        }
        for resolver in RESOLVERS {
            list.same("--ro-bind-try", Path::new(resolver));
        }
        list.private(folders, "tmp", Path::new("/tmp"));
        list.private(folders, "var-tmp", Path::new("/var/tmp"));
        let home = home
            .filter(|home| is_a_home(home))
            .and_then(|home| home.canonicalize().ok());
        // What is not there needs no cover, and what the private home covers has one.
        let hidden: Vec<PathBuf> = settings
            .hidden
            .iter()
            .filter_map(|path| path.canonicalize().ok())
            .filter(|path| Some(path) != home.as_ref())
            .collect();
        let home_is_hidden = |home: &PathBuf| hidden.iter().any(|path| home.starts_with(path));
        let (inner_home, outer_home) = match home {
            Some(home) if home_is_hidden(&home) => (Some(home), None),
            outer => (None, outer),
        };
        if let Some(home) = &outer_home {
            list.private(folders, "home", home);
        }
        // What is shown must not uncover what lies below it and is hidden.
        let holds_hidden = |path: &&PathBuf| {
            let real = fs::canonicalize(path).unwrap_or_else(|_| (*path).clone());
            hidden.iter().any(|hidden| hidden.starts_with(&real))
        };
        let (outer_readable, readable): (Vec<_>, Vec<_>) = settings.readable.iter().partition(holds_hidden);
        let (outer_writable, writable): (Vec<_>, Vec<_>) = settings.writable.iter().partition(holds_hidden);
        for path in outer_readable {
            list.same("--ro-bind-try", path);
        }
        for path in outer_writable {
            list.same("--dev-bind-try", path);
        }
        let mut covered = Vec::new();
        for hidden in hidden {
            if hidden.is_dir() {
                list.one("--tmpfs", &hidden);
                covered.push(hidden);
            } else {
                list.two("--ro-bind", "/dev/null", &hidden);
            }
        }
        if let Some(home) = &inner_home {
            list.private(folders, "home", home);
        }
        for path in readable.into_iter().chain(&folders.readable) {
            list.same("--ro-bind-try", path);
        }
        for path in writable.into_iter().chain(&ssh_agent) {
            list.same("--dev-bind-try", path);
        }
        for path in &folders.writable {
            list.same("--bind", path);
        }
        for path in covered {
            list.one("--remount-ro", &path);
        }
        Self {
            program: settings.program.clone(),
            arguments: list.0,
        }
    }

    /// A command that runs in the sandbox with this environment; a later entry wins over an earlier.
    ///
    /// # Errors
    /// When the environment cannot be handed over.
    pub(crate) fn command<T: AsRef<OsStr>>(
        &self,
        directory: &Path,
        line: &[T],
        environment: &[(OsString, OsString)],
    ) -> io::Result<SandboxCommand> {
        let handed_over = handed_over(environment)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg("--args")
            .arg(handed_over.as_raw_fd().to_string())
            .arg("--chdir")
            .arg(directory)
            .arg("--")
            .args(line)
            .env_clear();
        // By it the processes of a job are found whose supervisor is gone.
        if let Some((name, value)) = environment.iter().rfind(|(name, _)| name == COOKIE_VARIABLE) {
            command.env(name, value);
        }
        Ok(SandboxCommand {
            command,
            _handed_over: handed_over,
        })
    }
}

/// A command in a sandbox, with what is handed over to it.
#[derive(Debug)]
pub(crate) struct SandboxCommand {
    /// It is to be started while this exists.
    pub(crate) command: Command,
    _handed_over: OwnedFd,
}

/// The arguments that set an environment, in a file that a process started from here inherits.
fn handed_over(environment: &[(OsString, OsString)]) -> io::Result<OwnedFd> {
    let last: BTreeMap<&OsString, &OsString> =
        environment.iter().map(|(name, value)| (name, value)).collect();
    let mut text = Vec::new();
    for (name, value) in last {
        let (name, value) = (name.as_encoded_bytes(), value.as_encoded_bytes());
        // What ends an argument would let a value be further arguments.
        if name.is_empty() || name.contains(&b'=') || name.contains(&0) || value.contains(&0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the environment variable `{}` has a name or a value that no process can have",
                    name.escape_ascii()
                ),
            ));
        }
        for part in [b"--setenv", name, value] {
            text.extend_from_slice(part);
            text.push(0);
        }
    }
    let mut file = File::from(memfd_create("environment", MemfdFlags::CLOEXEC)?);
    file.write_all(&text)?;
    file.rewind()?;
    Ok(rustix::io::dup(&file)?)
}

/// The folders of a `PATH` that a job sees, in their order. A program in another one is not there for it.
pub(crate) fn seen_of_path(path: &OsStr, isolation: &Isolation) -> OsString {
    let seen = std::env::split_paths(path).filter(|folder| sees(folder, isolation));
    // What was split holds no separator.
    std::env::join_paths(seen).unwrap_or_default()
}

/// Whether a job sees a file or folder of the machine: where it is, and where its links lead.
pub(crate) fn sees(path: &Path, isolation: &Isolation) -> bool {
    let Isolation::Bubblewrap(settings) = isolation else {
        return true;
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let home = home.filter(|home| is_a_home(home));
    let private = ["/run", "/tmp", "/var/tmp"].map(PathBuf::from);
    let covered: Vec<_> = private.iter().chain(&home).chain(&settings.hidden).collect();
    let shown: Vec<_> = settings.readable.iter().chain(&settings.writable).collect();
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    longest_above(&covered, &real) <= longest_above(&shown, &real)
}

/// How many parts the longest of these paths has that holds a folder; 0: none does.
fn longest_above(paths: &[&PathBuf], folder: &Path) -> usize {
    let real = paths.iter().filter_map(|path| path.canonicalize().ok());
    real.filter(|path| folder.starts_with(path))
        .map(|path| path.components().count())
        .max()
        .unwrap_or(0)
}

/// A home that can be covered without taking the system with it.
fn is_a_home(path: &Path) -> bool {
    const SYSTEM: [&str; 9] = [
        "/", "/usr", "/etc", "/bin", "/sbin", "/lib", "/dev", "/proc", "/var",
    ];
    path.is_absolute() && path.is_dir() && !SYSTEM.iter().any(|system| path == Path::new(system))
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, name: &str) {
        self.0.push(name.into());
    }

    fn one(&mut self, name: &str, path: impl AsRef<Path>) {
        self.flag(name);
        self.0.push(path.as_ref().into());
    }

    fn two(&mut self, name: &str, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        self.one(name, from);
        self.0.push(to.as_ref().into());
    }

    /// Shows a path at its own place, which is where its links lead: a link on the way still works inside.
    fn same(&mut self, name: &str, path: &Path) {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.two(name, &real, &real);
    }

    /// Puts a private folder, or memory, in the place of a folder of the machine.
    fn private(&mut self, folders: &SandboxFolders, name: &str, place: &Path) {
        let Ok(place) = place.canonicalize() else {
            return;
        };
        match &folders.private {
            Some(private) => self.two("--bind", private.join(name), &place),
            None => self.one("--tmpfs", &place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sandbox: &Sandbox) -> String {
        let words: Vec<_> = sandbox.arguments.iter().map(|it| it.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn folders_of_a_path_that_are_covered_are_left_out() {
        let place = tempfile::tempdir_in("/var")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let place = place.path().canonicalize().unwrap();
        for folder in ["hidden/bin", "hidden/tools/bin", "other/bin"] {
            fs::create_dir_all(place.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(place.join("hidden/bin"), place.join("link")).unwrap();
        let settings = Bubblewrap {
            program: "bwrap".into(),
            hidden: vec![place.join("hidden")],
            readable: vec![place.join("hidden/tools"), place.join("other")],
            writable: Vec::new(),
            network: true,
        };
        let at = |folder: &str| place.join(folder);
        let path = std::env::join_paths([
            at("hidden/bin"),
            at("link"),
            at("hidden/tools/bin"),
            "/usr/bin".into(),
            at("other/bin"),
        ])
        .unwrap();
        let seen = seen_of_path(&path, &Isolation::Bubblewrap(settings));
        let expected = [at("hidden/tools/bin"), "/usr/bin".into(), at("other/bin")];
        assert_eq!(std::env::split_paths(&seen).collect::<Vec<_>>(), expected);
        assert_eq!(seen_of_path(&path, &Isolation::default()), path);
    }

    #[test]
    fn what_is_hidden_is_covered_before_what_is_shown_inside_of_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for folder in ["work", "mirror", "private"] {
            fs::create_dir(home.join(folder)).unwrap();
        }
        fs::write(home.join("key"), "secret").unwrap();
        let settings = Bubblewrap {
            program: "bwrap".into(),
            hidden: vec![home.clone(), home.join("key"), home.join("missing")],
            ..Bubblewrap::default()
        };
        let folders = SandboxFolders {
            private: Some(home.join("private")),
            writable: vec![home.join("work")],
            readable: vec![home.join("mirror")],
        };
        let line = shown(&Sandbox::new(&settings, &folders));
        let home = home.display();
        let place = |text: &str| {
            line.find(text)
                .unwrap_or_else(|| panic!("`{text}` is not in {line}"))
        };
        let in_order = [
            place("--ro-bind / /"),
            place(&format!("--bind {home}/private/tmp /tmp")),
            place(&format!("--tmpfs {home}")),
            place(&format!("--ro-bind /dev/null {home}/key")),
            place(&format!("--ro-bind-try {home}/mirror {home}/mirror")),
            place(&format!("--bind {home}/work {home}/work")),
            place(&format!("--remount-ro {home}")),
        ];
        assert!(in_order.is_sorted(), "{line}");
        assert!(!line.contains("missing"), "{line}");
        assert!(line.contains("--unshare-net"), "{line}");
    }

    #[test]
    fn folder_that_is_shown_does_not_uncover_what_is_hidden_in_it() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let home = outer.join("home");
        fs::create_dir(&home).unwrap();
        let settings = Bubblewrap {
            program: "bwrap".into(),
            hidden: vec![home.clone()],
            writable: vec![outer.clone()],
            ..Bubblewrap::default()
        };
        let line = shown(&Sandbox::new(&settings, &SandboxFolders::default()));
        let (outer, home) = (outer.display(), home.display());
        let shows = line.find(&format!("--dev-bind-try {outer} {outer}")).unwrap();
        assert!(shows < line.find(&format!("--tmpfs {home}")).unwrap(), "{line}");
    }

    #[test]
    fn homes_that_hold_the_system_are_not_covered() {
        for (home, covered) in [("/", false), ("/usr", false), ("relative", false), ("/tmp", true)] {
            assert_eq!(is_a_home(Path::new(home)), covered, "{home}");
        }
    }
}
