//! Serving a push, so that nothing is reported to the client before it is durable, and nothing durable gets lost.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::pkt_line::{self, Packet};
use super::report::{self, PushReport, RefUpdate, StatusReport, UpdateStatus};
use super::request::{Capabilities, Command, PushRequest};
use super::verdict::{self, Guarded, PushVerdict};
use super::{CHUNK_BYTES, ReceiveLimits, ServeError};
use crate::git::read::refs::read_ref;
use crate::process::{GitCommand, GitProgram, RunningProcess, read_diagnostic};

/// Read and thrown away of a refused push, so that the client gets to read the answer, in bytes.
const DRAIN_LIMIT: u64 = 256 * 1024 * 1024;

/// Packets of progress that wait for a slow client; more are dropped.
pub(in crate::git) const WAITING_PACKETS: usize = 256;

/// Serves pushes to one repository.
#[derive(Debug)]
pub struct ReceivePack<'a> {
    /// The git program.
    pub git: &'a GitProgram,
    /// The git directory of the repository.
    pub git_directory: &'a Path,
    /// The client's `Git-Protocol` header.
    pub git_protocol: Option<&'a str>,
    /// Bounds on the push.
    pub limits: ReceiveLimits,
    /// Holds the ends of pushes whose clients have gone; wait for it before the server stops.
    pub tails: &'a TaskTracker,
}

/// How serving a push ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// The client sent an empty request, as git does to find out whether it may push.
    Probe,
    /// Nothing was started, for this reason; the client has been told.
    Refused(String),
    /// The push ran, `record` was called, the client has its answer.
    Answered,
}

impl ReceivePack<'_> {
    /// Serves the body of `POST git-receive-pack` (already unzipped).
    ///
    /// `permit` sees the refs before anything starts and judges each; its `Err` refuses the push as a whole. `record`
    /// gets the outcome once git is done and before the client hears of it: it makes the push durable and returns lines
    /// for the user; its `Err` ends the client with that sentence.
    ///
    /// A client that goes away before it has sent everything moves nothing: the last bytes of the body reach git only
    /// when its end was seen. After that the push ends in a task of its own: dropping this future no longer stops it,
    /// and `record` is called in any case.
    ///
    /// # Errors
    /// [`ServeError::Malformed`] before anything was written; [`ServeError::Client`] if the connection failed.
    pub async fn serve<Permit, PermitFuture, Permitted, Record, RecordFuture>(
        &self,
        mut body: impl AsyncRead + Unpin,
        mut response: impl AsyncWrite + Unpin,
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
        let (request, guarded) = match Admission::of(&mut body, &self.limits, permit).await? {
            Admission::Admitted(request, guarded) => (request, guarded),
            Admission::Probe => return Ok(Received::Probe),
            Admission::Refused { answer, sentence } => {
                return refuse(body, response, &answer, sentence).await;
            }
        };
        let PushRequest {
            commands,
            push_options,
            capabilities,
            raw,
        } = request;
        let mut process = self.start(&guarded)?;
        let (Some(stdin), Some(stdout)) = (process.take_stdin(), process.take_stdout()) else {
            return Err(ServeError::Lost);
        };
        let (frames, mut waiting_frames) = mpsc::channel(WAITING_PACKETS);
        let (all_sent, body_end) = oneshot::channel();
        let tail = Tail {
            git: self.git.clone(),
            git_directory: self.git_directory.to_owned(),
            stderr: process.take_stderr(),
            process,
            commands,
            push_options,
            capabilities,
            guarded,
            frames,
            finish_timeout: self.limits.finish_timeout,
        };
        let tail = self.tails.spawn(tail.run(stdout, body_end, record));
        tokio::try_join!(
            async {
                hand_over(raw, &mut body, stdin).await?;
                // The tail may have ended already, if git refused early.
                let _ = all_sent.send(());
                Ok::<_, ServeError>(())
            },
            async {
                while let Some(frame) = waiting_frames.recv().await {
                    response.write_all(&frame).await.map_err(ServeError::Client)?;
                    response.flush().await.map_err(ServeError::Client)?;
                }
                Ok(())
            },
        )?;
        tail.await.map_err(|_| ServeError::Lost)?;
        response.shutdown().await.map_err(ServeError::Client)?;
        Ok(Received::Answered)
    }

    /// Starts git so that it reads a push at once, without listing the refs first.
    pub(in crate::git) fn start(&self, guarded: &Guarded) -> Result<RunningProcess, ServeError> {
        Ok(guarded
            .restrict(self.command())
            .args(["--stateless-rpc", "--"])
            .arg(self.git_directory)
            .start()?)
    }

    /// `git receive-pack` as far as it is the same over every transport.
    pub(in crate::git) fn command(&self) -> GitCommand {
        let command = self
            .git
            .command("receive-pack")
            .directory(self.git_directory)
            .trusted_owner(self.git_directory)
            .git_protocol(self.git_protocol);
        match self.limits.max_pack_bytes {
            Some(max_pack_bytes) => command.setting("receive.maxInputSize", max_pack_bytes.to_string()),
            None => command,
        }
    }
}

/// What becomes of a push before anything is started, whatever it came over.
pub(in crate::git) enum Admission {
    /// It may go to git, which is to keep to this.
    Admitted(PushRequest, Guarded),
    /// The client only asks whether it may push.
    Probe,
    /// It may not: what the client is answered, and the sentence in it.
    Refused { answer: Vec<u8>, sentence: String },
}

impl Admission {
    /// Reads the head of a push and asks whether it may be made.
    pub(in crate::git) async fn of<Permit, PermitFuture, Permitted>(
        client: &mut (impl AsyncRead + Unpin),
        limits: &ReceiveLimits,
        permit: Permit,
    ) -> Result<Self, ServeError>
    where
        Permit: FnOnce(Vec<Command>) -> PermitFuture,
        PermitFuture: Future<Output = Result<Permitted, String>>,
        Permitted: Into<PushVerdict>,
    {
        let mut capabilities = None;
        let mut request = match PushRequest::read(client, limits, &mut capabilities).await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(Self::Probe),
            Err(ServeError::Refused(sentence)) => {
                let answer = report::fatal(&capabilities.unwrap_or_default(), &[], &sentence);
                return Ok(Self::Refused { answer, sentence });
            }
            Err(error) => return Err(error),
        };
        let verdict = match permit(request.commands.clone()).await {
            Ok(permitted) => permitted.into(),
            Err(sentence) => {
                return Ok(Self::Refused {
                    answer: report::refusal(&request.capabilities, &request.commands, &sentence),
                    sentence,
                });
            }
        };
        Ok(match Guarded::apply(verdict, &mut request) {
            Ok(guarded) => Self::Admitted(request, guarded),
            Err(reasons) => Self::Refused {
                answer: verdict::refusal(&request.capabilities, &request.commands, &reasons),
                sentence: reasons.join("; "),
            },
        })
    }
}

/// Answers without having started anything.
async fn refuse(
    body: impl AsyncRead + Unpin,
    mut response: impl AsyncWrite + Unpin,
    answer: &[u8],
    sentence: String,
) -> Result<Received, ServeError> {
    tokio::io::copy(&mut body.take(DRAIN_LIMIT), &mut tokio::io::sink())
        .await
        .map_err(ServeError::Client)?;
    response.write_all(answer).await.map_err(ServeError::Client)?;
    response.shutdown().await.map_err(ServeError::Client)?;
    Ok(Received::Refused(sentence))
}

/// Hands the request to git, always one chunk behind: the last one only after the body has ended well.
async fn hand_over(
    head: Vec<u8>,
    body: &mut (impl AsyncRead + Unpin),
    stdin: ChildStdin,
) -> Result<(), ServeError> {
    let mut stdin = Some(stdin);
    let mut held = head;
    let mut next = vec![0; CHUNK_BYTES];
    loop {
        let read = body.read(&mut next).await.map_err(ServeError::Client)?;
        if let Some(pipe) = &mut stdin
            && pipe.write_all(&held).await.is_err()
        {
            // Git has ended and its report says why; the rest of the body is only read.
            stdin = None;
        }
        if read == 0 {
            return Ok(());
        }
        held.clear();
        held.extend_from_slice(&next[..read]);
    }
}

/// The end of a push, which outlives its client.
pub(in crate::git) struct Tail {
    pub(in crate::git) git: GitProgram,
    pub(in crate::git) git_directory: PathBuf,
    pub(in crate::git) process: RunningProcess,
    pub(in crate::git) stderr: Option<ChildStderr>,
    pub(in crate::git) commands: Vec<Command>,
    pub(in crate::git) push_options: Vec<String>,
    pub(in crate::git) capabilities: Capabilities,
    pub(in crate::git) guarded: Guarded,
    pub(in crate::git) frames: mpsc::Sender<Vec<u8>>,
    pub(in crate::git) finish_timeout: Duration,
}

/// What git wrote, apart from progress.
#[derive(Default)]
struct Collected {
    report: Vec<u8>,
    fatal: Option<String>,
}

impl Tail {
    pub(in crate::git) async fn run<Record, RecordFuture>(
        mut self,
        mut stdout: ChildStdout,
        mut body_end: oneshot::Receiver<()>,
        record: Record,
    ) where
        Record: FnOnce(PushReport) -> RecordFuture,
        RecordFuture: Future<Output = Result<Vec<String>, String>>,
    {
        let mut collected = Collected::default();
        let stderr = self.stderr.take();
        let frames = self.frames.clone();
        let side_band = self.capabilities.side_band.is_some();
        let mut client_left = false;
        {
            let reading = collect(&mut stdout, side_band, &self.guarded, &frames, &mut collected);
            let reading = async { tokio::join!(reading, read_diagnostic(stderr)).0 };
            tokio::pin!(reading);
            let finished_early = tokio::select! {
                biased;
                _ = &mut reading => true,
                sent = &mut body_end => {
                    client_left = sent.is_err();
                    false
                }
            };
            if client_left {
                self.process.end();
            }
            if !finished_early
                && tokio::time::timeout(self.finish_timeout, &mut reading)
                    .await
                    .is_err()
            {
                self.process.end();
                // After the end its pipes close; what it had said until then counts.
                let _ = tokio::time::timeout(Duration::from_secs(5), &mut reading).await;
            }
        }
        if let Err(error) = self.process.wait().await {
            tracing::warn!(%error, "could not wait for git receive-pack");
        }
        let status = StatusReport::parse(&collected.report);
        let complete = status.is_some();
        if client_left && !complete {
            return;
        }
        let status = match status {
            Some(status) => Some(self.complete(status, &mut collected.report).await),
            None => None,
        };
        let push = self.outcome(status).await;
        let answer = match record(push).await {
            Ok(lines) if complete => report::answer(
                &self.capabilities,
                &lines,
                collected.fatal.as_deref(),
                &collected.report,
            ),
            Ok(_) => {
                let sentence = collected
                    .fatal
                    .unwrap_or_else(|| "git ended without a report".into());
                report::fatal(&self.capabilities, &self.commands, &sentence)
            }
            Err(sentence) => report::fatal(&self.capabilities, &self.commands, &sentence),
        };
        // A client that has gone cannot be told.
        let _ = self.frames.send(answer).await;
    }

    /// The report on all refs of the push, those that git was not to see among them; `raw` is changed with it.
    async fn complete(&self, status: StatusReport, raw: &mut Vec<u8>) -> StatusReport {
        let (git, repository, atomic) = (&self.git, &self.git_directory, self.capabilities.atomic);
        if !self.guarded.is_needed() {
            return status;
        }
        let status = self
            .guarded
            .complete(
                git,
                repository,
                status,
                &self.commands,
                atomic,
                self.finish_timeout,
            )
            .await;
        *raw = status.render(&self.commands);
        status
    }

    /// Without a report (git was ended, or died) the refs themselves tell what moved.
    async fn outcome(&self, status: Option<StatusReport>) -> PushReport {
        let mut updates = Vec::with_capacity(self.commands.len());
        for command in &self.commands {
            let status = match &status {
                Some(report) => report.status_of(command),
                None => self.status_by_ref(command).await,
            };
            updates.push(RefUpdate {
                name: command.name.clone(),
                old: command.old,
                new: command.new,
                status,
            });
        }
        PushReport {
            updates,
            push_options: self.push_options.clone(),
            atomic: self.capabilities.atomic,
            unpack_error: status.and_then(|report| report.unpack_error),
        }
    }

    async fn status_by_ref(&self, command: &Command) -> UpdateStatus {
        let expected = (!command.new.is_zero()).then_some(command.new);
        match read_ref(&self.git, &self.git_directory, &command.name).await {
            Ok(found) if found == expected && command.old != command.new => UpdateStatus::Ok,
            _ => UpdateStatus::Rejected("git ended without a report".into()),
        }
    }
}

/// Reads git's output to its end: progress goes through at once, the report is kept.
async fn collect(
    stdout: &mut ChildStdout,
    side_band: bool,
    guarded: &Guarded,
    frames: &mpsc::Sender<Vec<u8>>,
    collected: &mut Collected,
) -> io::Result<()> {
    if !side_band {
        stdout.read_to_end(&mut collected.report).await?;
        return Ok(());
    }
    while let Some(packet) = pkt_line::read_packet(stdout).await? {
        let Packet::Data(payload) = packet else { continue };
        match payload.split_first() {
            Some((1, report)) => collected.report.extend_from_slice(report),
            Some((2, progress)) if !guarded.passes(progress) => {}
            Some((2, _)) => {
                // A client too slow for its progress misses some of it; git is never held up.
                let _ = frames.try_send(pkt_line::packet(&payload));
            }
            Some((3, fatal)) => collected.fatal = Some(String::from_utf8_lossy(fatal).trim().to_owned()),
            _ => {}
        }
    }
    Ok(())
}
