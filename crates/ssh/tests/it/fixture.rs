//! A server on a free port, a gate that remembers, and clients that know nothing of this machine's configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use madake_ssh::{
    Answer, Gate, HostKeys, Identity, KeyAttempt, Limits, OfferedKey, OpenRequest, Refusal, Service, Session,
    SshServer,
};
use madake_vcs::git::host::create_repository;
use madake_vcs::git::smart_http::{PushReport, ReceiveLimits, ReceivePack};
use madake_vcs::git::ssh::{start_upload_archive, start_upload_pack};
use madake_vcs::name::BranchName;
use madake_vcs::process::GitProgram;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest that a client of a test may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place in a push at which it waits until the test lets it go on.
pub(crate) struct Stop {
    reached: Semaphore,
    free: Semaphore,
}

impl Stop {
    pub(crate) fn new(held: bool) -> Self {
        Self {
            reached: Semaphore::new(0),
            free: Semaphore::new(if held { 0 } else { Semaphore::MAX_PERMITS / 2 }),
        }
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        self.free.acquire().await.unwrap().forget();
    }

    pub(crate) async fn is_reached(&self) {
        let reached = self.reached.acquire();
        tokio::time::timeout(PATIENCE, reached)
            .await
            .unwrap()
            .unwrap()
            .forget();
    }

    pub(crate) fn let_go(&self) {
        self.free.add_permits(1);
    }
}

/// What the gate of a test does.
pub(crate) struct Behaviour {
    pub(crate) lines: Vec<String>,
    pub(crate) refuse: Option<String>,
    pub(crate) fail: Option<String>,
    pub(crate) before_pack: Stop,
    pub(crate) before_answer: Stop,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            refuse: None,
            fail: None,
            before_pack: Stop::new(false),
            before_answer: Stop::new(false),
        }
    }
}

pub(crate) struct TestGate {
    root: PathBuf,
    ann: OfferedKey,
    pub(crate) behaviour: Behaviour,
    pub(crate) tails: TaskTracker,
    attempts: Mutex<Vec<KeyAttempt>>,
    opened: Mutex<Vec<OpenRequest>>,
    refused: Mutex<Vec<String>>,
    pub(crate) reports: Mutex<Vec<PushReport>>,
}

impl TestGate {
    pub(crate) fn attempts(&self) -> Vec<KeyAttempt> {
        self.attempts.lock().unwrap().clone()
    }

    pub(crate) fn opened(&self) -> Vec<OpenRequest> {
        self.opened.lock().unwrap().clone()
    }

    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }

    pub(crate) fn reports(&self) -> Vec<PushReport> {
        self.reports.lock().unwrap().clone()
    }
}

/// The gate as the server sees it.
struct SharedGate(Arc<TestGate>);

impl Gate for SharedGate {
    fn authenticate<'a>(&'a self, attempt: &'a KeyAttempt) -> Answer<'a, Option<Identity>> {
        self.0.attempts.lock().unwrap().push(attempt.clone());
        let known = ["git", "hg"].contains(&attempt.user_name.as_str()) && attempt.key == self.0.ann;
        Box::pin(async move { known.then(|| Identity::new("ann", 7_u64)) })
    }

    fn open<'a>(
        &'a self,
        identity: &'a Identity,
        request: OpenRequest,
    ) -> Answer<'a, Result<Session, Refusal>> {
        assert_eq!(identity.value::<u64>(), Some(&7));
        self.0.opened.lock().unwrap().push(request.clone());
        Box::pin(async move {
            let name = request.path.trim_start_matches('/');
            let path = self.0.root.join(name);
            if name.contains("..") || !path.exists() {
                return Err(format!("there is no repository {name}, or you may not see it").into());
            }
            let git = GitProgram::default();
            let started = match request.service {
                Service::GitUploadPack => start_upload_pack(&git, &path, request.git_protocol.as_deref()),
                Service::GitUploadArchive => start_upload_archive(&git, &path),
                Service::GitReceivePack => return Ok(receive_pack(Arc::clone(&self.0), path)),
                Service::HgServeStdio => return Ok(crate::hg::serve(path)),
                Service::GitLfsAuthenticate(_) => {
                    return Ok(Session::sentence("Git LFS is not served by this fixture", 1));
                }
            };
            Ok(Session::program(started.unwrap(), Duration::ZERO))
        })
    }

    fn refused(&self, _: Option<&Identity>, _: SocketAddr, what: &str) {
        self.0.refused.lock().unwrap().push(what.to_owned());
    }
}

fn receive_pack(gate: Arc<TestGate>, path: PathBuf) -> Session {
    Session::handler(move |input, output, mut error| async move {
        let git = GitProgram::default();
        let tails = gate.tails.clone();
        let service = ReceivePack {
            git: &git,
            git_directory: &path,
            git_protocol: None,
            limits: ReceiveLimits::default(),
            tails: &tails,
        };
        let permitting = Arc::clone(&gate);
        let permit = |_| async move {
            permitting.behaviour.before_pack.pass().await;
            permitting.behaviour.refuse.clone().map_or(Ok(()), Err)
        };
        let record = move |report| async move {
            gate.reports.lock().unwrap().push(report);
            gate.behaviour.before_answer.pass().await;
            match &gate.behaviour.fail {
                Some(sentence) => Err(sentence.clone()),
                None => Ok(gate.behaviour.lines.clone()),
            }
        };
        match service.serve_connected(input, output, permit, record).await {
            Ok(_) => 0,
            Err(problem) => {
                let _ = error.write_all(format!("{problem}\n").as_bytes()).await;
                1
            }
        }
    })
}

/// A server, its gate, and a folder for everything.
pub(crate) struct House {
    folder: TempDir,
    pub(crate) gate: Arc<TestGate>,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<()>,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Behaviour::default(), Limits::default()).await
    }

    pub(crate) async fn with(behaviour: Behaviour, limits: Limits) -> Self {
        Self::build(behaviour, limits, &["-t", "ed25519"]).await
    }

    /// A house whose user has a key that `ssh-keygen` makes with these options.
    pub(crate) async fn with_key(options: &[&str]) -> Self {
        Self::build(Behaviour::default(), Limits::default(), options).await
    }

    async fn build(behaviour: Behaviour, limits: Limits, key: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("repositories");
        std::fs::create_dir(&root).unwrap();
        make_key(&folder.path().join("ann"), key).await;
        let ann = std::fs::read_to_string(folder.path().join("ann.pub")).unwrap();
        let gate = Arc::new(TestGate {
            root,
            ann: OfferedKey::parse(&ann).unwrap(),
            behaviour,
            tails: TaskTracker::new(),
            attempts: Mutex::default(),
            opened: Mutex::default(),
            refused: Mutex::default(),
            reports: Mutex::default(),
        });
        let keys = HostKeys::load_or_create(&folder.path().join("host_key")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = format!("[127.0.0.1]:{} {}\n", address.port(), keys.public_key());
        std::fs::write(folder.path().join("known_hosts"), known).unwrap();
        let stop = CancellationToken::new();
        let server = SshServer::new(
            &keys,
            Arc::new(SharedGate(Arc::clone(&gate))),
            limits,
            stop.clone(),
        );
        let running = tokio::spawn(server.run(listener));
        Self {
            folder,
            gate,
            address,
            stop,
            running,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("ssh://git@{}/{name}", self.address)
    }

    /// A hosted repository, empty.
    pub(crate) async fn hosted(&self, name: &str) -> PathBuf {
        let path = self.gate.root.join(name);
        create_repository(
            &GitProgram::default(),
            &path,
            &BranchName::parse("master").unwrap(),
        )
        .await
        .unwrap();
        path
    }

    /// A work tree with one commit.
    pub(crate) async fn work_tree(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        std::fs::create_dir(&folder).unwrap();
        self.git(&folder, &["init", "--quiet", "--initial-branch=master"])
            .await;
        self.commit(&folder, "a", b"first\n").await;
        folder
    }

    pub(crate) async fn commit(&self, folder: &Path, file: &str, content: &[u8]) -> String {
        std::fs::write(folder.join(file), content).unwrap();
        self.git(folder, &["add", "--all"]).await;
        self.git(folder, &["commit", "--quiet", "--message", "a commit"])
            .await;
        self.git(folder, &["rev-parse", "HEAD"]).await
    }

    /// The words of an `ssh` that has this key, and nobody's configuration.
    pub(crate) fn ssh_words(&self, key: &str) -> Vec<String> {
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        let key = self.path(key).display().to_string();
        let options = [
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            known.as_str(),
        ];
        let mut words = vec![
            "ssh".to_owned(),
            "-F".into(),
            "/dev/null".into(),
            "-i".into(),
            key,
        ];
        for option in options {
            words.extend(["-o".to_owned(), option.to_owned()]);
        }
        words
    }

    /// A git client, ready to start.
    pub(crate) fn git_command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSH_COMMAND", self.ssh_words("ann").join(" "))
            .envs(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "Ann")))
            .envs(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "ann@example.org")))
            .args(arguments)
            .current_dir(folder);
        command
    }

    pub(crate) async fn try_git(&self, folder: &Path, arguments: &[&str]) -> (bool, String) {
        heard(&output(self.git_command(folder, arguments)).await)
    }

    /// Runs git, which must succeed, and returns what it wrote.
    pub(crate) async fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = output(self.git_command(folder, arguments)).await;
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {text}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Starts git in a group of its own, so that its `ssh` can be ended with it.
    pub(crate) fn start_git(&self, folder: &Path, arguments: &[&str]) -> Child {
        self.git_command(folder, arguments)
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// An `ssh` client of ann, ready to start.
    pub(crate) fn ssh_command(&self, key: &str, user: &str, options: &[&str], command: &[&str]) -> Command {
        let words = self.ssh_words(key);
        let mut ssh = Command::new(&words[0]);
        ssh.args(&words[1..])
            .args(["-p", &self.address.port().to_string()])
            .args(options)
            .arg(format!("{user}@127.0.0.1"))
            .args(command)
            .stdin(Stdio::null())
            .env("LC_ALL", "C")
            .env_remove("SSH_AUTH_SOCK");
        ssh
    }

    pub(crate) async fn ssh(&self, options: &[&str], command: &[&str]) -> Output {
        output(self.ssh_command("ann", "git", options, command)).await
    }

    /// The commit that a ref of a hosted repository points at.
    pub(crate) async fn ref_in(&self, repository: &Path, name: &str) -> Option<String> {
        let command = self.git_command(repository, &["rev-parse", "--verify", "--quiet", name]);
        let output = output(command).await;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }
}

/// Runs a client to its end.
pub(crate) async fn output(mut command: Command) -> Output {
    let running = command.kill_on_drop(true).output();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap()
}

/// Whether a client succeeded, and what it told its user.
pub(crate) fn heard(output: &Output) -> (bool, String) {
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Ends a client and everything that it started, at once.
pub(crate) async fn kill_group(child: &mut Child) {
    let group = format!("-{}", child.id().unwrap());
    let killed = Command::new("kill")
        .args(["-KILL", "--", &group])
        .status()
        .await
        .unwrap();
    assert!(killed.success());
    child.wait().await.unwrap();
}

/// Makes a pair of keys with `ssh-keygen`.
pub(crate) async fn make_key(path: &Path, options: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command
        .args(options)
        .args(["-q", "-N", "", "-C", "a comment", "-f"])
        .arg(path);
    let output = output(command).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Bytes that no compression makes smaller.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    use std::io::Read as _;
    let mut bytes = vec![0; length];
    std::fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut bytes)
        .unwrap();
    bytes
}
