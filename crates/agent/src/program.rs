//! Runs a program outside of any job: it gets bytes on standard input, and ends with the server, at the latest.
//!
//! Between server and program stands a supervisor, a process of its own, that takes in everything which the program
//! leaves behind. The server holds the supervisor's standard input open; when it closes, because the time is over or
//! the server died, the supervisor ends what it has started.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process, set_child_subreaper};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{environment, processes};

/// The argument with which this program is its own supervisor of a program.
pub const ENTRY: &str = "program-supervisor";

/// Of what the program writes, this much is kept.
const KEPT_OUTPUT: usize = 16 * 1024;
/// The exit code of a supervisor that could not start its program.
const NOT_STARTED: u8 = 127;
/// How long a supervisor that is to end may take.
const ENDING_TIME: Duration = Duration::from_secs(10);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramEnd {
    /// Its exit code; none if a signal ended it, ours at the end of its time among them.
    pub code: Option<i32>,
    /// The beginning of what it wrote, to standard output and standard error.
    pub output: Vec<u8>,
}

/// Runs `program` without arguments, with `input` on its standard input, for at most `limit`. `supervisor` is this very
/// program, which is called with [`ENTRY`]. When the future is dropped, the program ends too.
///
/// # Errors
/// When it cannot be started.
pub async fn run(supervisor: &Path, program: &Path, input: &[u8], limit: Duration) -> io::Result<ProgramEnd> {
    let mut child = tokio::process::Command::new(supervisor)
        .arg(ENTRY)
        .arg(program)
        .env_clear()
        .envs(environment::inheritable())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let gone = || io::Error::other("the supervisor has no pipes");
    let mut stdin = child.stdin.take().ok_or_else(gone)?;
    let mut stdout = child.stdout.take().ok_or_else(gone)?;
    let mut stderr = child.stderr.take().ok_or_else(gone)?;
    let length = u64::try_from(input.len()).unwrap_or(u64::MAX).to_le_bytes();
    let talk = async {
        // A program that does not read its input is none of our business.
        let _ = stdin.write_all(&length).await;
        let _ = stdin.write_all(input).await;
        let _ = stdin.flush().await;
        std::future::pending::<()>().await;
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let listen = async {
        tokio::join!(keep(&mut stdout, &mut out), keep(&mut stderr, &mut err));
    };
    let ended = async {
        tokio::select! {
            () = talk => {}
            () = listen => {}
        }
    };
    let in_time = tokio::time::timeout(limit, ended).await.is_ok();
    // From here on the supervisor ends what is left.
    drop(stdin);
    let status = match tokio::time::timeout(ENDING_TIME, child.wait()).await {
        Ok(status) => status?,
        Err(_) => {
            child.start_kill()?;
            child.wait().await?
        }
    };
    out.extend_from_slice(&err);
    out.truncate(KEPT_OUTPUT);
    if status.code() == Some(i32::from(NOT_STARTED)) && in_time {
        let said = String::from_utf8_lossy(&out).trim().to_owned();
        if let Some(reason) = said.strip_prefix(NOT_STARTED_WORDS) {
            return Err(io::Error::other(reason.trim().to_owned()));
        }
    }
    Ok(ProgramEnd {
        code: status.code().filter(|_| in_time && status.signal().is_none()),
        output: out,
    })
}

const NOT_STARTED_WORDS: &str = "madake cannot start it:";

/// Reads to the end and keeps the beginning.
async fn keep(pipe: &mut (impl tokio::io::AsyncRead + Unpin), kept: &mut Vec<u8>) {
    let mut part = vec![0; 8 * 1024];
    while let Ok(count @ 1..) = pipe.read(&mut part).await {
        let room = KEPT_OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&part[..count.min(room)]);
    }
}

/// The supervisor's side: starts the program, ends with its exit code, and leaves nothing running.
#[must_use]
pub fn supervise(program: &OsStr) -> ExitCode {
    // Without it, what the program leaves behind is found by its parent alone.
    let _ = set_child_subreaper(Some(getpid()));
    let mut length = [0; 8];
    let mut input = Vec::new();
    let mut stdin = io::stdin();
    let whole = stdin.read_exact(&mut length).is_ok()
        && (&mut stdin)
            .take(u64::from_le_bytes(length))
            .read_to_end(&mut input)
            .is_ok_and(|read| u64::try_from(read).is_ok_and(|read| read == u64::from_le_bytes(length)));
    if !whole {
        return ExitCode::from(NOT_STARTED);
    }
    let started = Command::new(program)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{NOT_STARTED_WORDS} {error}");
            return ExitCode::from(NOT_STARTED);
        }
    };
    let pipe = child.stdin.take();
    thread::spawn(move || {
        if let Some(mut pipe) = pipe {
            // A program that does not read its input is none of our business.
            let _ = pipe.write_all(&input);
        }
    });
    thread::spawn(|| {
        let mut rest = Vec::new();
        // It ends when the server lets go of us.
        let _ = io::stdin().read_to_end(&mut rest);
        loop {
            processes::kill_descendants_once();
            thread::sleep(Duration::from_millis(10));
        }
    });
    let status = child.wait();
    processes::end_descendants();
    match status {
        Ok(status) => match status.code() {
            Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
            None => {
                let _ = kill_process(getpid(), Signal::KILL);
                ExitCode::FAILURE
            }
        },
        Err(_) => ExitCode::FAILURE,
    }
}
