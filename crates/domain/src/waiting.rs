//! Which builds start now and which wait, when a plan branch or plan allows only so many at a time.
//!
//! A change that finds no free slot waits instead of being lost. At most one revision waits for each plan branch: a
//! newer one takes the place of the older, which is recorded as superseded with the reason, never dropped
//! silently. Builds asked for by hand do not wait: at the limit they are refused (bamboo-rest.md 1.14). This
//! module decides only; callers store the decisions and call [`next_to_start`] whenever a slot may be free.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A change-triggered build that waits, or wants to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The id of the plan branch.
    pub branch: i64,
    /// The revision to build.
    pub revision: String,
    /// The id of the ledger entry that asked for it. Entries are numbered as they arrive: greater is newer.
    pub event: i64,
    /// The place in the line; smaller goes first. A newcomer brings its own event id; one that supersedes
    /// inherits the place, so that a busy branch does not fall back with each push.
    pub place: i64,
    /// It stands for itself, under this number of its own: no other revision takes its place and it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<i64>,
}

impl Waiting {
    /// A build that has just been asked for, at the end of the line.
    #[must_use]
    pub fn newcomer(branch: i64, revision: String, event: i64) -> Self {
        Self {
            branch,
            revision,
            event,
            place: event,
            alone: None,
        }
    }

    fn competes_with(&self, other: &Self) -> bool {
        self.branch == other.branch && self.alone.is_none() && other.alone.is_none()
    }
}

/// Who wants the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newcomer {
    /// A change, or any other cause that nobody watches: it can wait.
    Change(Waiting),
    /// A person or a client of the queue call: at the limit it is refused.
    Manual,
}

/// What becomes of a build that has just been asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// It starts now.
    Start,
    /// It waits; nothing waited for its branch before.
    Wait(Waiting),
    /// It waits in the place of what waited for its branch before.
    WaitSuperseding {
        /// The newcomer, with the place it inherits. It replaces the superseded ones.
        waiting: Waiting,
        /// Those that will not be built, each with the reason.
        superseded: Vec<Superseded>,
    },
    /// The same event waits already; nothing is to be done.
    AlreadyWaiting,
    /// It came late: a newer event already waits for its branch. It is not built.
    Late(Superseded),
}

/// A revision that is not built because a newer one took its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// What is not built.
    pub waiting: Waiting,
    /// The event that took its place.
    pub by_event: i64,
    /// The reason as a sentence for people.
    pub reason: String,
}

/// Why a build is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdmissionRefusal {
    /// As many builds run as are allowed.
    #[error("start the build: {running} of at most {limit} builds are running; wait for one to end")]
    LimitReached {
        /// How many run.
        running: usize,
        /// How many may.
        limit: usize,
    },
}

impl AdmissionRefusal {
    /// A stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::LimitReached { .. } => "concurrent-builds-limit",
        }
    }

    /// The sentence for the person who asked, as clients of the original know it (bamboo-rest.md 1.14).
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::LimitReached { .. } => {
                "Build requested but not started, you have reached the maximum number of concurrent builds allowed."
            }
        }
    }

    /// The HTTP status to answer with: always 400.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        400
    }
}

/// Decides about a build that has just been asked for. `running` counts the builds that the limit covers, `limit`
/// is `None` for "as many as come", and `waiting` holds everything that waits for the same slots.
///
/// A change starts at once only if a slot is left after all that wait have theirs.
///
/// # Errors
/// [`AdmissionRefusal::LimitReached`] for a build asked for by hand when no slot is free.
pub fn admit(
    running: usize,
    limit: Option<u32>,
    waiting: &[Waiting],
    newcomer: Newcomer,
) -> Result<Admission, AdmissionRefusal> {
    let newcomer = match newcomer {
        Newcomer::Change(newcomer) => newcomer,
        Newcomer::Manual => return admit_manual(running, limit),
    };
    if newcomer.alone.is_some() && waiting.iter().any(|other| other.alone == newcomer.alone) {
        return Ok(Admission::AlreadyWaiting);
    }
    let of_branch = || waiting.iter().filter(|other| other.competes_with(&newcomer));
    if of_branch().any(|other| other.event == newcomer.event) {
        return Ok(Admission::AlreadyWaiting);
    }
    if let Some(newest) = of_branch()
        .filter(|other| other.event > newcomer.event)
        .max_by_key(|other| other.event)
    {
        return Ok(Admission::Late(supersede(newcomer, newest)));
    }
    let older: Vec<Waiting> = of_branch().cloned().collect();
    if older.is_empty() {
        let starts = free_slots(running, limit).is_none_or(|free| waiting.len() < free);
        return Ok(if starts {
            Admission::Start
        } else {
            Admission::Wait(newcomer)
        });
    }
    let place = older
        .iter()
        .map(|other| other.place)
        .fold(newcomer.place, i64::min);
    let superseded = older
        .into_iter()
        .map(|other| supersede(other, &newcomer))
        .collect();
    Ok(Admission::WaitSuperseding {
        waiting: Waiting { place, ..newcomer },
        superseded,
    })
}

/// The waiting builds that may start now, first in line first. Call it when a build ends or pauses, when the limit
/// is raised, and after each admission that waits.
///
/// Should two wait for one branch, which [`admit`] prevents, only the newer is considered.
#[must_use]
pub fn next_to_start(waiting: &[Waiting], running: usize, limit: Option<u32>) -> Vec<&Waiting> {
    let mut line: Vec<&Waiting> = waiting
        .iter()
        .filter(|one| {
            !waiting
                .iter()
                .any(|other| other.competes_with(one) && other.event > one.event)
        })
        .collect();
    line.sort_by_key(|one| (one.place, one.event));
    line.truncate(free_slots(running, limit).unwrap_or(usize::MAX));
    line
}

fn admit_manual(running: usize, limit: Option<u32>) -> Result<Admission, AdmissionRefusal> {
    match slots(limit) {
        Some(limit) if running >= limit => Err(AdmissionRefusal::LimitReached { running, limit }),
        _ => Ok(Admission::Start),
    }
}

/// How many more may run; `None` means any number.
fn free_slots(running: usize, limit: Option<u32>) -> Option<usize> {
    slots(limit).map(|limit| limit.saturating_sub(running))
}

/// The limit as a count. 0 counts as 1: a plan that may never build would wait for ever without saying so.
fn slots(limit: Option<u32>) -> Option<usize> {
    limit.map(|limit| usize::try_from(limit.max(1)).unwrap_or(usize::MAX))
}

fn supersede(waiting: Waiting, by: &Waiting) -> Superseded {
    let Waiting { revision, event, .. } = &waiting;
    let by_event = by.event;
    let reason = if *revision == by.revision {
        format!(
            "Event {event} did not start a build of its own: event {by_event} asked for the same revision \
             {revision} of this plan branch while both waited for a free build slot."
        )
    } else {
        format!(
            "Revision {revision} (event {event}) was not built: while this plan branch waited for a free build \
             slot, the newer revision {} (event {by_event}) took its place.",
            by.revision
        )
    };
    Superseded {
        waiting,
        by_event,
        reason,
    }
}
