//! A folder with Mercurial repositories, an hg that knows nothing of this machine, and servers for real clients.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use madake_vcs::hg::PoolLimits;
use madake_vcs::hg::host::create_repository;
use madake_vcs::hg::name::LabelKind;
use madake_vcs::hg::read::HgReader;
use madake_vcs::hg::serve::http::{HttpRequest, HttpService};
use madake_vcs::hg::serve::stdio::{StdioSession, repository_of_command};
use madake_vcs::hg::serve::{Access, PushKeeper, PushReport, ServeError, ServeLimits};
use madake_vcs::name::ObjectId;
use madake_vcs::process::HgProgram;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

use crate::fixture::write_script;
use crate::kept_hg;

pub(crate) struct HgSandbox {
    folder: TempDir,
    pub(crate) hg: HgProgram,
}

impl HgSandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().canonicalize().unwrap().join("settings");
        let hg = HgProgram::new("hg", &settings).unwrap();
        Self { folder, hg }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn reader(&self) -> HgReader {
        HgReader::new(self.hg.clone(), PoolLimits::for_hg())
    }

    /// The command of a developer, with nothing of this machine in it.
    pub(crate) fn client(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = client_of_nobody();
        command.args(arguments).current_dir(folder);
        command
    }

    /// Runs hg in `folder` and returns how it went. What talks to no server is run by a process that is kept.
    pub(crate) fn try_hg(&self, folder: &Path, arguments: &[&str]) -> Output {
        let run = kept_hg::run(client_of_nobody, folder, arguments);
        run.expect("these tests need Mercurial: install hg 6.1 or later")
    }

    /// Runs hg in `folder`, which must succeed, and returns what it wrote.
    pub(crate) fn hg(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.try_hg(folder, arguments);
        assert!(output.status.success(), "hg {arguments:?}: {}", text_of(&output));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// [`Self::try_hg`] for commands that talk to a server of the test.
    pub(crate) async fn talk(self: &Arc<Self>, folder: &Path, arguments: &[&str]) -> (bool, String) {
        let (sandbox, folder) = (Arc::clone(self), folder.to_owned());
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = sandbox.try_hg(&folder, &arguments);
            (output.status.success(), text_of(&output))
        })
        .await
        .unwrap()
    }

    /// A repository with one commit that has `files`.
    pub(crate) fn work_tree(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        self.hg(&folder, &["init"]);
        self.commit(&folder, files, "first");
        folder
    }

    /// Writes `files`, commits all and returns the commit.
    pub(crate) fn commit(&self, folder: &Path, files: &[(&str, &str)], message: &str) -> ObjectId {
        for (name, content) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.hg(
            folder,
            &[
                "commit",
                "--addremove",
                "-q",
                "-d",
                "1700000000 -3600",
                "-m",
                message,
            ],
        );
        self.revision(folder, ".")
    }

    pub(crate) fn revision(&self, folder: &Path, expression: &str) -> ObjectId {
        ObjectId::parse(&self.hg(folder, &["log", "-r", expression, "-T", "{node}"])).unwrap()
    }

    /// A hosted repository, empty.
    pub(crate) async fn hosted(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        create_repository(&self.hg, &path).await.unwrap();
        path
    }

    /// A hosted repository with everything that `work_tree` has.
    pub(crate) async fn hosted_from(&self, name: &str, work_tree: &Path) -> PathBuf {
        let path = self.hosted(name).await;
        self.hg(work_tree, &["push", "-q", "-f", path.to_str().unwrap()]);
        path
    }
}

fn client_of_nobody() -> Command {
    let mut command = Command::new("hg");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .env("HGRCPATH", "")
        .env("HGENCODING", "UTF-8")
        .env("HGPLAIN", "1")
        .env("HGUSER", "Ann Author <ann@example.org>");
    command
}

pub(crate) fn text_of(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What the server does with pushes, and what it saw.
#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) refuse: Option<String>,
    pub(crate) fail: Option<String>,
    pub(crate) lines: Vec<String>,
    pub(crate) reports: Mutex<Vec<PushReport>>,
    pub(crate) permits: Mutex<Vec<PushReport>>,
    pub(crate) denials: AtomicUsize,
    /// Set: `record` says here that it was reached, and waits for a place in `may_go_on`.
    pub(crate) waits: bool,
    pub(crate) reached: Notify,
    pub(crate) may_go_on: Barrier,
}

/// A semaphore without places, until some are added.
pub(crate) struct Barrier(pub(crate) Semaphore);

impl Default for Barrier {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Keeper {
    pub(crate) fn reports(&self) -> Vec<PushReport> {
        self.reports.lock().unwrap().clone()
    }

    /// Waits until a push is about to be recorded.
    pub(crate) async fn wait_until_reached(&self) {
        let limit = std::time::Duration::from_secs(60);
        let reached = tokio::time::timeout(limit, self.reached.notified()).await;
        reached.expect("no push arrives");
    }

    pub(crate) fn take_only_report(&self) -> PushReport {
        let mut reports = self.reports.lock().unwrap();
        assert_eq!(reports.len(), 1, "{reports:?}");
        reports.pop().unwrap()
    }
}

impl PushKeeper for Keeper {
    async fn permit(&self, push: PushReport) -> Result<(), String> {
        self.permits.lock().unwrap().push(push);
        self.refuse.clone().map_or(Ok(()), Err)
    }

    async fn denied(&self) {
        self.denials.fetch_add(1, Ordering::SeqCst);
    }

    async fn record(&self, push: PushReport) -> Result<Vec<String>, String> {
        if self.waits {
            self.reached.notify_one();
            self.may_go_on.0.acquire().await.unwrap().forget();
        }
        self.reports.lock().unwrap().push(push);
        self.fail.clone().map_or(Ok(self.lines.clone()), Err)
    }
}

/// `(kind, name, old, new)` of every move, in order; ids cut to what a test compares.
pub(crate) fn moves(report: &PushReport) -> Vec<(LabelKind, &str, ObjectId, ObjectId)> {
    report
        .moves
        .iter()
        .map(|moved| (moved.kind, moved.label.as_str(), moved.old, moved.new))
        .collect()
}

pub(crate) fn service(hg: &HgProgram) -> HttpService {
    HttpService::new(
        hg.clone(),
        PoolLimits::for_hg(),
        ServeLimits::default(),
        TaskTracker::new(),
    )
}

/// Serves `repository` over HTTP, for clients that may do `allowed`; returns the address.
pub(crate) async fn serve_http(
    service: HttpService,
    repository: PathBuf,
    allowed: Access,
    keeper: Arc<Keeper>,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (service, repository, keeper) = (service.clone(), repository.clone(), Arc::clone(&keeper));
            tokio::spawn(answer(connection, service, repository, allowed, keeper));
        }
    });
    format!("http://{address}/hg/owner/slug")
}

async fn answer(
    connection: TcpStream,
    service: HttpService,
    repository: PathBuf,
    allowed: Access,
    keeper: Arc<Keeper>,
) {
    let (input, mut output) = connection.into_split();
    let mut input = BufReader::new(input);
    let mut line = String::new();
    input.read_line(&mut line).await.unwrap();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let (mut headers, mut length) = (Vec::new(), 0);
    loop {
        let mut header = String::new();
        input.read_line(&mut header).await.unwrap();
        let Some((name, value)) = header.trim().split_once(": ") else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let request = HttpRequest {
        method: &method,
        query,
        headers: &headers,
        address: Some([127, 0, 0, 1].into()),
        secure: false,
    };
    let refused = |status: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
    };
    match request.access() {
        Ok(Access::Write) if allowed == Access::Read => {
            output.write_all(&refused("403 Forbidden")).await.unwrap();
            return;
        }
        Ok(_) => {}
        Err(_) => {
            output.write_all(&refused("400 Bad Request")).await.unwrap();
            return;
        }
    }
    let body = Exactly {
        inner: input,
        left: length,
    };
    let pusher = Some("ann".to_owned());
    let mut answer = match service.serve(&repository, &request, body, pusher, keeper).await {
        Ok(answer) => answer,
        Err(_) => {
            // A client that has gone does not read this.
            let _ = output.write_all(&refused("500 Internal Server Error")).await;
            return;
        }
    };
    let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    if output.write_all(head.as_bytes()).await.is_ok() {
        let _ = tokio::io::copy(&mut answer.body, &mut output).await;
        let _ = output.shutdown().await;
    }
}

/// A body of known length: an early end is an error, as HTTP servers have it.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: AsyncRead + Unpin> AsyncRead for Exactly<R> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if self.left == 0 {
            return std::task::Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let capped = usize::try_from(self.left).unwrap().min(buffer.remaining());
        let mut part = buffer.take(capped);
        std::task::ready!(std::pin::Pin::new(&mut self.inner).poll_read(context, &mut part))?;
        let read = part.filled().len();
        if read == 0 {
            return std::task::Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into()));
        }
        // What was read into the part is initialised.
        buffer.set_filled(before);
        buffer.advance(read);
        self.left -= read as u64;
        std::task::Poll::Ready(Ok(()))
    }
}

/// A server that real clients reach by an `ssh` of ours; `ssh` is to be given to them as `ui.ssh`.
pub(crate) struct FakeSsh {
    pub(crate) ssh: String,
    pub(crate) tails: TaskTracker,
    pub(crate) ended: Arc<Mutex<Vec<Result<i32, ServeError>>>>,
    /// What would reach the users as lines that start with `remote: `.
    pub(crate) said: Arc<Mutex<String>>,
}

impl FakeSsh {
    pub(crate) async fn serve(
        sandbox: &HgSandbox,
        repository: PathBuf,
        access: Access,
        keeper: Arc<Keeper>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ssh = sandbox.path(&format!("ssh-{port}"));
        write_script(&ssh, &SSH.replace("PORT", &port.to_string()));
        let tails = TaskTracker::new();
        let ended = Arc::new(Mutex::new(Vec::new()));
        let said = Arc::new(Mutex::new(String::new()));
        let (hg, tracker, results) = (sandbox.hg.clone(), tails.clone(), Arc::clone(&ended));
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (hg, repository, keeper) = (hg.clone(), repository.clone(), Arc::clone(&keeper));
                let (tails, results) = (tracker.clone(), Arc::clone(&results));
                let heard = Arc::clone(&heard);
                tokio::spawn(async move {
                    let (input, output) = connection.into_split();
                    let mut input = BufReader::new(input);
                    let mut command = String::new();
                    input.read_line(&mut command).await.unwrap();
                    assert_eq!(
                        repository_of_command(command.trim_end()).as_deref(),
                        Some("owner/my slug")
                    );
                    let session = StdioSession {
                        hg: &hg,
                        repository: &repository,
                        access,
                        pusher: Some("ann".into()),
                        limits: ServeLimits::default(),
                        tails: &tails,
                    };
                    let (errors, theirs) = tokio::io::duplex(100_000);
                    let served = session.serve(input, output, errors, keeper).await;
                    results.lock().unwrap().push(served);
                    let bytes = all_of(theirs).await;
                    heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes));
                });
            }
        });
        let ssh = ssh.to_str().unwrap().to_owned();
        Self {
            ssh,
            tails,
            ended,
            said,
        }
    }
}

const SSH: &str = r#"#!/usr/bin/python3
import os, socket, sys, threading
connection = socket.create_connection(('127.0.0.1', PORT))
connection.sendall(sys.argv[-1].encode() + b'\n')
def send():
    while True:
        data = os.read(0, 65536)
        if not data:
            connection.shutdown(socket.SHUT_WR)
            return
        connection.sendall(data)
threading.Thread(target=send, daemon=True).start()
while True:
    data = connection.recv(65536)
    if not data:
        break
    while data:
        data = data[os.write(1, data):]
"#;

/// Reads a stream to its end.
async fn all_of(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}
