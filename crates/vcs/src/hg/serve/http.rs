//! Serving Mercurial's HTTP protocol, without HTTP: a request in, an answer out.
//!
//! Who asks and whether they may is for the caller to find out, by [`HttpRequest::access`]. A process that reads can
//! write nothing, whatever a request says; pushes have processes of their own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::questions::Questions;
use super::{Access, CHUNK_BYTES, PushKeeper, ServeError, ServeLimits};
use crate::hg::host;
use crate::pool::{Place, Pool, PoolLimits};
use crate::process::HgProgram;

mod request;
mod worker;

pub use request::HttpRequest;
use worker::{Head, Part, Worker};

/// Longest answer to a push, in bytes; it is held back as a whole.
const PUSH_ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// Serves repositories over HTTP. Clones share their processes.
#[derive(Clone, Debug)]
pub struct HttpService {
    hg: HgProgram,
    limits: ServeLimits,
    readers: Pool<Worker>,
    writers: Pool<Worker>,
    tails: TaskTracker,
}

/// An answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Such as 200.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Its body; an error in it means that the answer is cut. Dropping it ends the work for a reader.
    pub body: AnswerBody,
}

/// The body of an answer, as it comes.
#[derive(Debug)]
pub struct AnswerBody {
    stream: DuplexStream,
    complete: Option<oneshot::Receiver<()>>,
}

impl HttpService {
    /// A service that starts its processes when needed: at most `pool.max_processes` for readers, and as many for
    /// pushes. `tails` holds the ends of pushes whose clients have gone; wait for it before the server stops.
    #[must_use]
    pub fn new(hg: HgProgram, pool: PoolLimits, limits: ServeLimits, tails: TaskTracker) -> Self {
        Self {
            hg,
            limits,
            readers: Pool::new(pool),
            writers: Pool::new(pool),
            tails,
        }
    }

    /// Processes alive now, idle or working.
    #[must_use]
    pub fn live_processes(&self) -> usize {
        self.readers.live() + self.writers.live()
    }

    /// Serves a request to the repository at the absolute path `repository`, for a client that may do what
    /// [`HttpRequest::access`] said.
    ///
    /// A client that goes away before it has sent everything moves nothing. After that the push ends in a task of its
    /// own: dropping this future does not stop it, and the keeper is asked in any case. If the keeper cannot record a
    /// push, the answer is an error with its sentence.
    ///
    /// # Errors
    /// [`ServeError::Malformed`] if the request is none of the protocol; Mercurial's failure before an answer began.
    pub async fn serve<Keeper: PushKeeper>(
        &self,
        repository: &Path,
        request: &HttpRequest<'_>,
        body: impl AsyncRead + Unpin + Send + 'static,
        pusher: Option<String>,
        keeper: Arc<Keeper>,
    ) -> Result<HttpAnswer, ServeError> {
        let access = request.access()?;
        if access == Access::Write {
            host::recover(&self.hg, repository).await?;
        }
        let (pool, questions) = match access {
            Access::Read => (&self.readers, None),
            Access::Write => (&self.writers, Some(Questions::answer_with(keeper, pusher)?)),
        };
        let socket = questions
            .as_ref()
            .map(|questions| questions.path().to_string_lossy());
        let environment = request.environment(socket.as_deref());
        let mut place = pool.take(repository, false).await;
        let mut worker = match place.kept.take() {
            Some(worker) => worker,
            None => Worker::start(&self.hg, repository, access, &self.limits)?,
        };
        if worker.input.request(&environment).await.is_err() {
            // A kept process may have died since.
            worker = Worker::start(&self.hg, repository, access, &self.limits)?;
            worker.input.request(&environment).await?;
        }
        let (answer, answered) = oneshot::channel();
        let task = Task {
            worker,
            place,
            pool: pool.clone(),
            repository: repository.to_owned(),
            limits: self.limits,
            questions,
        };
        self.tails.spawn(task.run(body, answer));
        answered.await.map_err(|_| ServeError::Lost)?
    }
}

struct Task {
    worker: Worker,
    place: Place<Worker>,
    pool: Pool<Worker>,
    repository: PathBuf,
    limits: ServeLimits,
    questions: Option<Questions>,
}

type Answer = oneshot::Sender<Result<HttpAnswer, ServeError>>;

impl Task {
    async fn run(self, body: impl AsyncRead + Unpin + Send, answer: Answer) {
        let Self {
            mut worker,
            place,
            pool,
            repository,
            limits,
            questions,
        } = self;
        let (fed, done) = oneshot::channel::<()>();
        let feeding = async {
            let handed = feed(body, &mut worker.input).await;
            drop(fed);
            handed
        };
        // Readers have no more to say after a mistake; a push that has begun is always waited for, because hg leaves a
        // repository to be repaired if it is ended inside a transaction.
        let outcome = match &questions {
            None => tokio::try_join!(feeding, stream(&mut worker.output, answer, &limits)).map(|_| ()),
            Some(questions) => {
                let answering = hold_back(&mut worker.output, answer, questions, done, &limits);
                let (fed, answered) = tokio::join!(feeding, answering);
                fed.and(answered)
            }
        };
        let well = match outcome {
            Ok(()) => true,
            Err(error) => {
                let repository = repository.display();
                tracing::debug!(%error, "a request to {repository} was not answered to its end");
                false
            }
        };
        if well {
            pool.give_back(&repository, worker, place);
        } else {
            worker.process.end();
        }
    }
}

/// Hands the client's body to the process.
async fn feed(mut body: impl AsyncRead + Unpin, input: &mut worker::WorkerInput) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match body.read(&mut buffer).await {
            Ok(0) => return input.end_of_body(true).await,
            Ok(read) => input.body(&buffer[..read]).await?,
            Err(error) => {
                input.end_of_body(false).await?;
                return Err(error);
            }
        }
    }
}

/// Passes an answer on as it comes.
async fn stream(
    output: &mut worker::WorkerOutput,
    answer: Answer,
    limits: &ServeLimits,
) -> Result<(), io::Error> {
    let head = match head_of(output).await {
        Ok(head) => head,
        Err(error) => {
            let kind = error.kind();
            // The client may have gone.
            let _ = answer.send(Err(error.into()));
            return Err(kind.into());
        }
    };
    let (mut ours, theirs) = tokio::io::duplex(CHUNK_BYTES);
    let (complete, completed) = oneshot::channel();
    let body = AnswerBody {
        stream: theirs,
        complete: Some(completed),
    };
    let sent = answer.send(Ok(HttpAnswer {
        status: head.status,
        headers: head.headers,
        body,
    }));
    sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
    loop {
        match output.part().await? {
            Part::Body(bytes) => tokio::time::timeout(limits.stall_timeout, ours.write_all(&bytes))
                .await
                .map_err(|_| io::ErrorKind::TimedOut)??,
            Part::End => {
                // The reader may have seen enough.
                let _ = complete.send(());
                return Ok(());
            }
            Part::Head(_) | Part::Unrecorded => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Gives the answer to a push only once it is complete, so that nothing of it is said too early.
async fn hold_back(
    output: &mut worker::WorkerOutput,
    answer: Answer,
    questions: &Questions,
    fed: oneshot::Receiver<()>,
    limits: &ServeLimits,
) -> Result<(), io::Error> {
    let whole = async {
        let head = head_of(output).await?;
        let mut body = Vec::new();
        loop {
            match output.part().await? {
                Part::Body(bytes) if body.len() + bytes.len() <= PUSH_ANSWER_LIMIT => {
                    body.extend_from_slice(&bytes);
                }
                Part::End => return Ok((head, body)),
                Part::Unrecorded => {
                    let sentence = questions.failure();
                    let sentence = sentence.unwrap_or_else(|| "the push could not be stored".into());
                    return Ok(refusal(&sentence));
                }
                Part::Head(_) | Part::Body(_) => return Err(io::Error::from(io::ErrorKind::InvalidData)),
            }
        }
    };
    let deadline = async {
        // It is never sent to: dropping it tells.
        let _ = fed.await;
        tokio::time::sleep(limits.finish_timeout).await;
    };
    let outcome = tokio::select! {
        outcome = whole => outcome,
        () = deadline => Err(io::ErrorKind::TimedOut.into()),
    };
    let (head, body) = match outcome {
        Ok(whole) => whole,
        Err(error) => {
            if questions.asked() {
                tracing::warn!(%error, "hg broke off after a push had begun: reconciliation finds what it did");
            }
            let kind = io::Error::from(error.kind());
            let _ = answer.send(Err(error.into()));
            return Err(kind);
        }
    };
    let (mut ours, theirs) = tokio::io::duplex(body.len().max(1));
    ours.write_all(&body).await?;
    // A client that has gone cannot be told.
    let _ = answer.send(Ok(HttpAnswer {
        status: head.status,
        headers: head.headers,
        body: AnswerBody {
            stream: theirs,
            complete: None,
        },
    }));
    Ok(())
}

async fn head_of(output: &mut worker::WorkerOutput) -> io::Result<Head> {
    match output.part().await? {
        Part::Head(head) => Ok(head),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// An answer that clients of Mercurial show as an error with this sentence; they do so only if the status is 200.
fn refusal(sentence: &str) -> (Head, Vec<u8>) {
    let head = Head {
        status: 200,
        headers: vec![("Content-Type".into(), "application/hg-error".into())],
    };
    (head, format!("{sentence}\n").into_bytes())
}

impl AsyncRead for AnswerBody {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        use std::task::{Poll, ready};
        let before = buffer.filled().len();
        ready!(std::pin::Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // The end of the stream is the end of the answer only if the process said so.
        let Some(complete) = &mut self.complete else {
            return Poll::Ready(Ok(()));
        };
        let outcome = ready!(std::future::Future::poll(std::pin::Pin::new(complete), context));
        self.complete = None;
        Poll::Ready(outcome.map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof)))
    }
}
