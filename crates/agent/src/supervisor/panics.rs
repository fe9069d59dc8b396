//! Panics of the supervisor, which are defects of madake: nobody reads what it writes to standard error, so the first one
//! is kept for the job's log and its outcome.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// The first panic of this process that nobody has asked for yet.
static FIRST: Mutex<Option<Panic>> = Mutex::new(None);

/// A panic: where it was, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Panic {
    place: String,
    message: String,
}

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        Self {
            place: info
                .location()
                .map_or_else(|| "a place that is not known".to_owned(), ToString::to_string),
            message: info.payload_as_str().unwrap_or("no message").to_owned(),
        }
    }

    /// Why the job could not be run. It has the place and not the message, which may hold whatever the job had.
    pub(super) fn reason(&self) -> String {
        format!(
            "the agent itself failed at {} while it ran the job; this is a defect of madake",
            self.place
        )
    }

    /// The same with the message, for a log that covers secrets.
    pub(super) fn sentence(&self) -> String {
        format!(
            "The agent itself failed at {}: {}. This is a defect of madake; please report this line",
            self.place, self.message
        )
    }
}

/// From now on panics are kept.
pub(super) fn keep() {
    let earlier = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| Panic::of(info));
        drop(first);
        earlier(info);
    }));
}

/// What the work gives, or how it broke off.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
        first.take().unwrap_or_else(|| Panic {
            place: "a place that is not known".to_owned(),
            message: "no message".to_owned(),
        })
    })
}
