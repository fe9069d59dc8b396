//! The process that runs one job, apart from the server: `madake job-supervisor DIRECTORY`.
//!
//! It leads a session of its own, so no terminal and no end of the server reaches it, and adopts whatever its
//! job leaves behind. It needs no signal handler: it looks for a request to stop in the job's directory.
//! At most one supervisor ever runs an order: the lock keeps two apart, `started.json` keeps out all that come
//! after. The last thing it does is to write the outcome.

mod artifacts;
mod checkout;
pub(crate) mod clean;
mod confine;
mod container;
mod interruption;
mod job;
mod panics;
mod script;
mod script_environment;
mod surroundings;
mod task_process;
mod task_test_parser;
pub(crate) mod words;

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use madake_protocol::{FORMAT, JobOrder, JobOutcome, JobResult, JobStarted};
use rustix::process::{getpid, set_child_subreaper, setsid};

use crate::clock::now_ms;
use crate::container::remove_left_by;
use crate::job_directory::JobDirectory;
use crate::lock::JobLock;
use crate::processes;

/// How often and at which interval a supervisor tries to write an outcome that a full disk refuses.
const OUTCOME_ATTEMPTS: u32 = 60;
const OUTCOME_INTERVAL: Duration = Duration::from_secs(1);

/// How a supervisor ended. Each but the first means that it did not run the job, or could not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum SupervisorExit {
    /// The outcome is written, whatever it is.
    Finished = 0,
    /// Another process has the lock of this directory.
    AlreadyRunning = 70,
    /// Somebody ran this order before.
    AlreadyStarted = 71,
    /// There is no order, or it was withdrawn.
    NoOrder = 72,
    /// The system gave no session of its own.
    NoSession = 73,
    /// The job's directory cannot be read or written.
    DirectoryUnusable = 74,
    /// The job ended, but its outcome could not be written.
    OutcomeNotWritten = 75,
}

/// Runs the job of this directory to its end. The calling process must have no threads and no children: it
/// becomes the leader of a session and the reaper of all processes of the job.
#[must_use]
pub fn run(job_directory: &Path) -> ExitCode {
    ExitCode::from(supervise(job_directory) as u8)
}

/// As [`run`], with the reason by name.
#[must_use]
pub fn supervise(job_directory: &Path) -> SupervisorExit {
    if setsid().is_err() {
        return SupervisorExit::NoSession;
    }
    panics::keep();
    // Without it daemons of the job would escape to the system's first process; they are searched for as well.
    let _ = set_child_subreaper(Some(getpid()));
    let Ok(path) = std::path::absolute(job_directory) else {
        return SupervisorExit::DirectoryUnusable;
    };
    let directory = JobDirectory::at(path);
    let _lock = match JobLock::try_take(&directory.lock_path()) {
        Ok(Some(lock)) => lock,
        Ok(None) => return SupervisorExit::AlreadyRunning,
        Err(_) => return SupervisorExit::DirectoryUnusable,
    };
    if directory.started_path().exists() || directory.outcome_path().exists() {
        return SupervisorExit::AlreadyStarted;
    }
    let order = match directory.read_order() {
        Ok(Some(order)) => Ok(order),
        Ok(None) => return SupervisorExit::NoOrder,
        Err(error) => Err(error.to_string()),
    };
    let started_ms = now_ms();
    let Ok(mut reserved) = begin(&directory, started_ms) else {
        return SupervisorExit::DirectoryUnusable;
    };
    let outcome = match order {
        Ok(order) => run_guarded(&order, &directory, started_ms),
        Err(reason) => {
            let (job_id, attempt) = directory.ids().unwrap_or_default();
            unrunnable(job_id, attempt, started_ms, reason)
        }
    };
    // Only a job that broke off has left a note of its container.
    remove_left_by(&directory.container_path());
    match write_outcome(&directory, &mut reserved, &outcome) {
        Ok(()) => SupervisorExit::Finished,
        Err(_) => SupervisorExit::OutcomeNotWritten,
    }
}

/// Says that the job begins; from here on nobody else runs this order.
fn begin(directory: &JobDirectory, started_ms: i64) -> io::Result<File> {
    let pid = getpid().as_raw_nonzero().get();
    let started = JobStarted {
        format: FORMAT,
        pid,
        session: pid,
        start_ticks: processes::ProcessStat::of(pid).map_or(0, |stat| stat.start_ticks),
        boot_id: processes::boot_id(),
        started_ms,
    };
    directory.write_started(&started).map_err(io::Error::other)?;
    directory.reserve_outcome()
}

fn run_guarded(order: &JobOrder, directory: &JobDirectory, started_ms: i64) -> JobOutcome {
    panics::caught(|| job::run(order, directory, started_ms)).unwrap_or_else(|panic| {
        processes::kill_descendants_once();
        unrunnable(order.job_id, order.attempt, started_ms, panic.reason())
    })
}

/// The outcome of a job that could not be run.
fn unrunnable(job_id: i64, attempt: i64, started_ms: i64, reason: String) -> JobOutcome {
    JobOutcome {
        format: FORMAT,
        job_id,
        attempt,
        message: format!("the job could not be run: {reason}"),
        result: JobResult::Error(reason),
        exit_code: None,
        started_ms,
        finished_ms: now_ms(),
        checkout_ms: 0,
        first_command_started_ms: None,
        log_bytes: 0,
        log_lines: 0,
        variables: Vec::new(),
        log_problem: None,
    }
}

fn write_outcome(directory: &JobDirectory, reserved: &mut File, outcome: &JobOutcome) -> io::Result<()> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match directory.write_outcome(reserved, outcome) {
            Ok(()) => return Ok(()),
            Err(error) if attempts == OUTCOME_ATTEMPTS => return Err(error),
            Err(_) => thread::sleep(OUTCOME_INTERVAL),
        }
    }
}
