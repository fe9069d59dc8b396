//! Runs one process of a job: reads its output into the log, waits for its end, ends it when it must end.
//!
//! The process leads a group of its own. Three threads block, two on its pipes and one on its end, so that
//! nothing is noticed late; only interruptions are looked for at intervals.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use madake_protocol::log::LogKind;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process_group, wait, waitid,
};

use crate::log::{LineSplitter, Log};
use crate::processes::{self, Children};

use super::interruption::{Interruption, Lookout};

/// How often interruptions are looked for.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long the pipes of an ended process may stay open before we go on without their end: somebody in the
/// background holds them. Their output is read on until the job ends.
const PIPES_STAY_OPEN: Duration = Duration::from_millis(100);

/// The longest time that output of an ended process is waited for while a background process keeps writing.
const LONGEST_DRAIN: Duration = Duration::from_secs(2);

/// Reading threads need little.
const STACK_SIZE: usize = 128 * 1024;

const READ_SIZE: usize = 64 * 1024;

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProcessEnd {
    /// By itself.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// By us.
    Interrupted(Interruption),
}

/// A thread that reads a pipe into the log until everybody has closed it.
#[derive(Debug)]
pub(crate) struct PipeReader {
    pipe: Arc<File>,
    thread: JoinHandle<()>,
}

impl PipeReader {
    /// Waits until all is read; false when the pipe is still open when the time is over.
    pub(crate) fn finish(self, patience: Duration) -> bool {
        let began = Instant::now();
        while !self.thread.is_finished() {
            if began.elapsed() > patience {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.thread.join().is_ok()
    }

    fn has_more(&self) -> bool {
        !self.thread.is_finished() && rustix::io::ioctl_fionread(&*self.pipe).is_ok_and(|bytes| bytes > 0)
    }
}

enum Event {
    PipeClosed,
    Ended,
}

/// How the process ended, set under the lock in which it is taken from the system: whoever holds the lock and
/// finds nothing may signal the group, its number cannot have been used again.
type End = Arc<Mutex<Option<WaitStatus>>>;

/// Starts a process that leads a group of its own, with pipes for its output.
pub(crate) fn start(command: &mut Command, stdin: Stdio) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    command
        .process_group(0)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Returns when the process has ended and its output is in the log. Readers of pipes that are still open are
/// added to `readers`.
pub(crate) fn run(
    mut child: Child,
    log: &Arc<Log>,
    lookout: &Lookout<'_>,
    grace: Duration,
    readers: &mut Vec<PipeReader>,
    once_started: impl FnOnce(),
) -> io::Result<ProcessEnd> {
    let group = Pid::from_child(&child);
    let (events, incoming) = channel();
    let end: End = Arc::default();
    let pipes = [
        (LogKind::Build, child.stdout.take().map(OwnedFd::from)),
        (LogKind::Error, child.stderr.take().map(OwnedFd::from)),
    ];
    let mut open_pipes = 0;
    let mut own_readers = Vec::new();
    for (kind, pipe) in pipes {
        if let Some(pipe) = pipe {
            own_readers.push(read_pipe(pipe, kind, log, events.clone())?);
            open_pipes += 1;
        }
    }
    wait_for_end(group, &end, events)?;
    once_started();

    let mut ending: Option<Ending> = None;
    let mut ended_at: Option<Instant> = None;
    while ended_at.is_none() || open_pipes > 0 {
        match incoming.recv_timeout(LOOK_INTERVAL) {
            Ok(Event::PipeClosed) => open_pipes -= 1,
            Ok(Event::Ended) => ended_at = Some(Instant::now()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        match (ended_at, &mut ending) {
            (Some(ended_at), _) => {
                let waited = ended_at.elapsed();
                let is_busy = waited < LONGEST_DRAIN && own_readers.iter().any(PipeReader::has_more);
                if ending.is_some() || (waited >= PIPES_STAY_OPEN && !is_busy) {
                    break;
                }
            }
            (None, None) => {
                if let Some(interruption) = lookout.look() {
                    log.say(LogKind::Error, &format!("The task is {}", interruption.reason()));
                    ending = Some(Ending::begin(interruption, group, &end));
                }
            }
            (None, Some(ending)) => ending.go_on(grace, group, &end),
        }
    }
    if let Some(ending) = ending {
        ending.finish(grace, group);
        for reader in own_readers {
            // Whoever could not be ended keeps its pipe; what it writes then comes late or not at all.
            let _ = reader.finish(PIPES_STAY_OPEN);
        }
        return Ok(ProcessEnd::Interrupted(ending.interruption));
    }
    readers.extend(own_readers);
    let status = *end.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(
        match status.map(|status| (status.exit_status(), status.terminating_signal())) {
            Some((Some(code), _)) => ProcessEnd::Exited(code),
            Some((None, Some(signal))) => ProcessEnd::Signalled(signal),
            _ => return Err(io::Error::other("the system does not say how the process ended")),
        },
    )
}

/// The end that we make to a process: friendly first, by force after the grace.
struct Ending {
    interruption: Interruption,
    began: Instant,
    forced: bool,
}

impl Ending {
    fn begin(interruption: Interruption, group: Pid, end: &End) -> Self {
        // A stopped process would not hear the first signal without the second.
        signal_group(group, end, &[Signal::TERM, Signal::CONT]);
        Self {
            interruption,
            began: Instant::now(),
            forced: false,
        }
    }

    fn go_on(&mut self, grace: Duration, group: Pid, end: &End) {
        if !self.forced && self.began.elapsed() >= grace {
            signal_group(group, end, &[Signal::KILL]);
            self.forced = true;
        }
    }

    /// Gives the rest of the group the rest of the grace, then ends everything that the job has running.
    fn finish(&self, grace: Duration, group: Pid) {
        while !self.forced && self.began.elapsed() < grace {
            if processes::reap_dead_children() == Children::None || !processes::works_in_group(group) {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        processes::end_descendants();
    }
}

fn signal_group(group: Pid, end: &End, signals: &[Signal]) {
    let end = end.lock().unwrap_or_else(PoisonError::into_inner);
    if end.is_none() {
        for signal in signals {
            // A group that is gone needs no signal.
            let _ = kill_process_group(group, *signal);
        }
    }
}

fn read_pipe(pipe: OwnedFd, kind: LogKind, log: &Arc<Log>, events: Sender<Event>) -> io::Result<PipeReader> {
    let pipe = Arc::new(File::from(pipe));
    let (source, log) = (Arc::clone(&pipe), Arc::clone(log));
    let thread = thread::Builder::new().stack_size(STACK_SIZE).spawn(move || {
        let mut splitter = LineSplitter::default();
        let mut buffer = vec![0; READ_SIZE];
        loop {
            match (&*source).read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => log.output(kind, &mut splitter, &buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        log.end_of_output(kind, &mut splitter);
        // Nobody listens any more when the task was given up.
        let _ = events.send(Event::PipeClosed);
    })?;
    Ok(PipeReader { pipe, thread })
}

/// Waits for the process on a thread of its own, and takes in whatever else ends below us meanwhile.
fn wait_for_end(process: Pid, end: &End, events: Sender<Event>) -> io::Result<()> {
    let end = Arc::clone(end);
    thread::Builder::new().stack_size(STACK_SIZE).spawn(move || {
        loop {
            match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(Errno::INTR) => continue,
                Err(_) => break,
                Ok(_) => {}
            }
            let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG)
                && pid == process
            {
                *end = Some(status);
                break;
            }
        }
        // Nobody listens any more when the task was given up.
        let _ = events.send(Event::Ended);
    })?;
    Ok(())
}

/// The usual name of a signal.
pub(crate) fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    format!("{name} (signal {signal})")
}
