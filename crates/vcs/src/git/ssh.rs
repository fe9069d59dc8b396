//! Git's services over a connection with two directions, as SSH gives it (gitprotocol-pack, "SSH Transport").
//!
//! Fetches and archives are programs whose streams are the client's. A push keeps the promise of
//! [`super::smart_http`]: its report reaches the client only after the caller has made the push durable.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};

use super::smart_http::pkt_line::{self, Packet};
use super::smart_http::receive::{Admission, Tail, WAITING_PACKETS};
use super::smart_http::request::{Command, PushRequest};
use super::smart_http::{CHUNK_BYTES, PushReport, PushVerdict, ReceivePack, Received, ServeError};
use crate::process::{GitProgram, ProcessError, RunningProcess, read_diagnostic};

/// How long a client that is still sending gets to read why its push was not taken.
const DRAIN_TIME: Duration = Duration::from_secs(60);

/// How often a client that waits for its push to be recorded hears that the server is alive (git's own interval).
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Starts `git upload-pack`: clone and fetch. `git_protocol` is the client's `GIT_PROTOCOL`.
///
/// # Errors
/// [`ProcessError::Start`].
pub fn start_upload_pack(
    git: &GitProgram,
    git_directory: &Path,
    git_protocol: Option<&str>,
) -> Result<RunningProcess, ProcessError> {
    git.command("upload-pack")
        .args(["--strict", "--"])
        .arg(git_directory)
        .directory(git_directory)
        .trusted_owner(git_directory)
        .git_protocol(git_protocol)
        .start()
}

/// Starts `git upload-archive`: `git archive --remote`.
///
/// The configuration of a repository can name programs that pack archives (`tar.<format>.command`): start this only
/// for repositories whose configuration is the server's own.
///
/// # Errors
/// [`ProcessError::Start`].
pub fn start_upload_archive(git: &GitProgram, git_directory: &Path) -> Result<RunningProcess, ProcessError> {
    // It takes exactly one argument and would take `--` for it.
    git.command("upload-archive")
        .arg(git_directory)
        .directory(git_directory)
        .trusted_owner(git_directory)
        .start()
}

impl ReceivePack<'_> {
    /// Serves `git-receive-pack` over a connection: the refs are listed, then the push is read and answered.
    ///
    /// `permit` and `record` are those of [`ReceivePack::serve`]. While `record` works, the client is kept alive.
    ///
    /// A client that goes away, or whose future is dropped, before it has sent a whole pack moves nothing: git checks
    /// the end of the pack. One that goes away later has its push ended by a task of its own, and `record` is called
    /// in any case. A client need not end its stream to be answered; several never do.
    ///
    /// # Errors
    /// Git's failure to list the refs; [`ServeError::Malformed`]; [`ServeError::Client`] if the connection failed.
    pub async fn serve_connected<Permit, PermitFuture, Permitted, Record, RecordFuture>(
        &self,
        mut from_client: impl AsyncRead + Unpin,
        mut to_client: impl AsyncWrite + Unpin,
        permit: Permit,
        record: Record,
    ) -> Result<Received, ServeError>
    where
        Permit: FnOnce(Vec<Command>) -> PermitFuture,
        PermitFuture: Future<Output = Result<Permitted, String>>,
        Permitted: Into<PushVerdict>,
        Record: FnOnce(PushReport) -> RecordFuture + Send + 'static,
        RecordFuture: Future<Output = Result<Vec<String>, String>> + Send + 'static,
    {
        let command = self.command().arg("--").arg(self.git_directory);
        let mut process = command.start()?;
        let (Some(mut stdin), Some(mut stdout)) = (process.take_stdin(), process.take_stdout()) else {
            return Err(ServeError::Lost);
        };
        let mut stderr = process.take_stderr();
        if !pass_advertisement(&mut stdout, &mut to_client).await? {
            let diagnostic = read_diagnostic(stderr).await;
            return Err(command.failure(process.wait().await?, &diagnostic).into());
        }
        let (request, guarded) = match Admission::of(&mut from_client, &self.limits, permit).await? {
            Admission::Admitted(request, guarded) => (request, guarded),
            Admission::Probe => return Ok(Received::Probe),
            Admission::Refused { answer, sentence } => {
                return refuse(from_client, to_client, &answer, sentence).await;
            }
        };
        if guarded.is_forward_only() {
            // The one that listed the refs was started before anything was known of the push.
            process.end();
            process.wait().await?;
            process = self.start(&guarded)?;
            let (Some(input), Some(output)) = (process.take_stdin(), process.take_stdout()) else {
                return Err(ServeError::Lost);
            };
            (stdin, stdout, stderr) = (input, output, process.take_stderr());
        }
        let PushRequest {
            commands,
            push_options,
            capabilities,
            raw,
        } = request;
        let (frames, mut waiting_frames) = mpsc::channel(WAITING_PACKETS);
        let (all_sent, body_end) = oneshot::channel();
        let all_taken = Arc::new(AtomicBool::new(false));
        let alive = capabilities.side_band.map(|_| frames.clone());
        let taken = Arc::clone(&all_taken);
        let record = move |push: PushReport| {
            taken.store(push.unpack_error.is_none(), Ordering::Relaxed);
            kept_alive(record(push), alive)
        };
        let tail = Tail {
            git: self.git.clone(),
            git_directory: self.git_directory.to_owned(),
            stderr,
            process,
            commands,
            push_options,
            capabilities,
            guarded,
            frames,
            finish_timeout: self.limits.finish_timeout,
        };
        let tail = self.tails.spawn(tail.run(stdout, body_end, record));
        let to_git = ToGit {
            stdin: Some(stdin),
            all_sent: Some(all_sent),
        };
        let upstream = pass_request(raw, &mut from_client, to_git);
        tokio::pin!(upstream);
        let downstream = async {
            while let Some(frame) = waiting_frames.recv().await {
                to_client.write_all(&frame).await?;
                to_client.flush().await?;
            }
            Ok(())
        };
        let all_passed = AtomicBool::new(false);
        // The end is git's to say: the client may keep its side open, or close it long before.
        let answered: std::io::Result<()> = tokio::select! {
            answered = downstream => answered,
            never = async {
                (&mut upstream).await;
                all_passed.store(true, Ordering::Relaxed);
                std::future::pending::<Infallible>().await
            } => match never {},
        };
        answered.map_err(ServeError::Client)?;
        tail.await.map_err(|_| ServeError::Lost)?;
        if !all_taken.load(Ordering::Relaxed) && !all_passed.load(Ordering::Relaxed) {
            // A client that goes on sending has not read its answer yet; one that does not stop is cut off.
            let _ = tokio::time::timeout(DRAIN_TIME, upstream).await;
        }
        to_client.shutdown().await.map_err(ServeError::Client)?;
        Ok(Received::Answered)
    }
}

/// Passes the list of refs on. False if git ended before the list did.
async fn pass_advertisement(
    stdout: &mut ChildStdout,
    to_client: &mut (impl AsyncWrite + Unpin),
) -> Result<bool, ServeError> {
    let mut waiting = Vec::with_capacity(CHUNK_BYTES);
    loop {
        let Ok(Some(packet)) = pkt_line::read_packet(stdout).await else {
            return Ok(false);
        };
        match &packet {
            Packet::Data(payload) => waiting.extend_from_slice(&pkt_line::packet(payload)),
            Packet::Flush => waiting.extend_from_slice(pkt_line::FLUSH),
        }
        if packet == Packet::Flush || waiting.len() >= CHUNK_BYTES {
            to_client.write_all(&waiting).await.map_err(ServeError::Client)?;
            to_client.flush().await.map_err(ServeError::Client)?;
            waiting.clear();
        }
        if packet == Packet::Flush {
            return Ok(true);
        }
    }
}

/// Answers a push that git never saw.
async fn refuse(
    mut from_client: impl AsyncRead + Unpin,
    mut to_client: impl AsyncWrite + Unpin,
    answer: &[u8],
    sentence: String,
) -> Result<Received, ServeError> {
    to_client.write_all(answer).await.map_err(ServeError::Client)?;
    to_client.flush().await.map_err(ServeError::Client)?;
    // The client reads the answer once it has sent its pack. What fails after that is not worth telling.
    let mut rest = tokio::io::sink();
    let _ = tokio::time::timeout(DRAIN_TIME, tokio::io::copy(&mut from_client, &mut rest)).await;
    to_client.shutdown().await.map_err(ServeError::Client)?;
    Ok(Received::Refused(sentence))
}

/// Git's end of a push. Dropping it ends git's input first and tells the tail then.
struct ToGit {
    stdin: Option<ChildStdin>,
    all_sent: Option<oneshot::Sender<()>>,
}

impl ToGit {
    /// Writes; after git has stopped reading, its report says why and the rest is thrown away.
    async fn write(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin
            && stdin.write_all(bytes).await.is_err()
        {
            self.stdin = None;
        }
    }
}

impl Drop for ToGit {
    fn drop(&mut self) {
        self.stdin = None;
        if let Some(all_sent) = self.all_sent.take() {
            // The tail may have ended already.
            let _ = all_sent.send(());
        }
    }
}

/// Passes the push on until the client ends it or goes away: git tells a whole pack from a cut one.
async fn pass_request(head: Vec<u8>, from_client: &mut (impl AsyncRead + Unpin), mut to_git: ToGit) {
    to_git.write(&head).await;
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(read @ 1..) = from_client.read(&mut chunk).await {
        to_git.write(&chunk[..read]).await;
    }
}

/// Waits for the push to be recorded. Meanwhile the client gets empty packets of progress, as git sends them while it
/// unpacks.
async fn kept_alive(
    recording: impl Future<Output = Result<Vec<String>, String>>,
    alive: Option<mpsc::Sender<Vec<u8>>>,
) -> Result<Vec<String>, String> {
    tokio::pin!(recording);
    loop {
        if let Ok(recorded) = tokio::time::timeout(KEEP_ALIVE, &mut recording).await {
            return recorded;
        }
        if let Some(frames) = &alive {
            // A client that does not read has packets waiting already.
            let _ = frames.try_send(pkt_line::packet(&[2]));
        }
    }
}
