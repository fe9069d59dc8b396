//! The local socket over which our extension asks: one socket for one session, in a folder of this process alone.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::{LabelChange, LabelFate, PushKeeper, PushReport, RefMove};
use crate::hg::name::{LabelKind, label, ref_name_from_bytes};
use crate::name::ObjectId;
use crate::text::display_line;

/// Longest question, in bytes: a push of some hundred thousand names.
const QUESTION_LIMIT: u64 = 64 * 1024 * 1024;

/// The folder of the sockets, while there are any.
static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Answers the questions of one session. Dropping it ends that.
pub(super) struct Questions {
    path: PathBuf,
    task: JoinHandle<()>,
    failure: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicBool>,
}

#[derive(Deserialize)]
struct Question {
    question: Kind,
    /// Kind, name in base 16, old and new id.
    moves: Vec<(MoveKind, String, Option<String>, Option<String>)>,
    /// Kind, name in base 16, what becomes of it.
    changes: Vec<(MoveKind, String, LabelFate)>,
    node: Option<String>,
    node_last: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Permit,
    Denied,
    Record,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MoveKind {
    Branch,
    Bookmark,
    Tag,
}

impl From<MoveKind> for LabelKind {
    fn from(kind: MoveKind) -> Self {
        match kind {
            MoveKind::Branch => Self::Branch,
            MoveKind::Bookmark => Self::Bookmark,
            MoveKind::Tag => Self::Tag,
        }
    }
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    lines: Vec<String>,
    error: Option<String>,
}

impl Questions {
    pub(super) fn answer_with<Keeper: PushKeeper>(
        keeper: Arc<Keeper>,
        pusher: Option<String>,
    ) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let (path, listener) = {
            // Held until the socket is there: an empty folder is removed.
            let mut folder = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
            let path = socket_folder(&mut folder)?.join(number.to_string());
            let listener = UnixListener::bind(&path)?;
            (path, listener)
        };
        let failure = Arc::new(Mutex::new(None));
        let asked = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(answer_all(
            listener,
            keeper,
            pusher,
            Arc::clone(&failure),
            Arc::clone(&asked),
        ));
        Ok(Self {
            path,
            task,
            failure,
            asked,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why the last push of the session could not be recorded, if so.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether anything was asked: a transaction has begun.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        self.task.abort();
        let mut folder = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
        // What stays is a name without anybody behind it.
        let _ = fs::remove_file(&self.path);
        // Other sessions may have theirs in it.
        if self
            .path
            .parent()
            .is_some_and(|parent| fs::remove_dir(parent).is_ok())
        {
            *folder = None;
        }
    }
}

async fn answer_all<Keeper: PushKeeper>(
    listener: UnixListener,
    keeper: Arc<Keeper>,
    pusher: Option<String>,
    failure: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicBool>,
) {
    while let Ok((connection, _)) = listener.accept().await {
        asked.store(true, Ordering::SeqCst);
        match answer_one(connection, &*keeper, pusher.clone()).await {
            Ok(outcome) => *failure.lock().unwrap_or_else(PoisonError::into_inner) = outcome,
            Err(error) => tracing::warn!(%error, "could not answer the extension of hg"),
        }
    }
}

/// Returns why a push could not be recorded.
async fn answer_one<Keeper: PushKeeper>(
    mut connection: UnixStream,
    keeper: &Keeper,
    pusher: Option<String>,
) -> io::Result<Option<String>> {
    let (input, mut output) = connection.split();
    let mut line = Vec::new();
    BufReader::new(input)
        .take(QUESTION_LIMIT)
        .read_until(b'\n', &mut line)
        .await?;
    let question: Question = serde_json::from_slice(&line)?;
    let kind = question.question;
    let push = question.into_report(pusher);
    let outcome = match kind {
        Kind::Permit => keeper.permit(push).await.map(|()| Vec::new()),
        Kind::Denied => {
            keeper.denied().await;
            Ok(Vec::new())
        }
        Kind::Record => keeper.record(push).await,
    };
    let failure = match (&outcome, kind) {
        (Err(sentence), Kind::Record) => Some(sentence.clone()),
        _ => None,
    };
    let answer = match outcome {
        Ok(lines) => Answer {
            ok: true,
            lines,
            error: None,
        },
        Err(error) => Answer {
            ok: false,
            lines: Vec::new(),
            error: Some(error),
        },
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    output.write_all(&line).await?;
    output.shutdown().await?;
    Ok(failure)
}

impl Question {
    fn into_report(self, pusher: Option<String>) -> PushReport {
        let mut report = PushReport {
            moves: Vec::new(),
            refused: Vec::new(),
            added: None,
            pusher,
            changes: Vec::with_capacity(self.changes.len()),
        };
        let id = |text: Option<String>| text.and_then(|text| ObjectId::parse(&text).ok());
        for (kind, name, fate) in self.changes {
            let raw = crate::hg::read::from_hex(name.as_bytes()).unwrap_or_default();
            report.changes.push(LabelChange {
                kind: kind.into(),
                label: String::from_utf8_lossy(&raw).into_owned(),
                fate,
            });
        }
        for (kind, name, old, new) in self.moves {
            let kind = LabelKind::from(kind);
            let raw = crate::hg::read::from_hex(name.as_bytes()).unwrap_or_default();
            match ref_name_from_bytes(kind, &raw) {
                Ok(name) => report.moves.push(RefMove {
                    label: label(&name).map(|(_, label)| label).unwrap_or_default(),
                    name,
                    kind,
                    old: id(old).unwrap_or(ObjectId::ZERO),
                    new: id(new).unwrap_or(ObjectId::ZERO),
                }),
                Err(reason) => {
                    let shown = display_line(&String::from_utf8_lossy(&raw), 200);
                    report.refused.push(format!("{shown}: {reason}"));
                }
            }
        }
        report.added = id(self.node.clone()).zip(id(self.node_last.or(self.node)));
        report
    }
}

/// A folder with a short path (sockets have at most 107 bytes of it) that no other user can enter.
fn socket_folder(known: &mut Option<PathBuf>) -> io::Result<PathBuf> {
    if let Some(folder) = known.as_ref().filter(|folder| folder.is_dir()) {
        return Ok(folder.clone());
    }
    let parent = std::env::temp_dir();
    for number in 0..1000 {
        let folder = parent.join(format!("madake-hg-{}-{number}", std::process::id()));
        // Only a folder that is made here is known to belong to us.
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {
                *known = Some(folder.clone());
                return Ok(folder);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
