//! What becomes of a cron trigger whose next moment was kept, when somebody looks at the clock.
//!
//! Clocks jump. A moment that passed unseen, however long ago, is made up for once. A clock that is set back by a little
//! runs nothing twice; one that is set back by an hour or more, or a server whose time zone was changed, begins anew with
//! the next moment from there: otherwise a trigger that was set while the clock was years ahead would sleep for years.

use jiff::Zoned;

use super::CronSchedule;

/// How far back a clock may go, in milliseconds, without anything being counted anew.
const SMALL_STEP_MS: i64 = 3_600_000;

/// The next moment of a trigger as it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptMoment {
    /// The moment, in milliseconds since 1970; `None`: there is none.
    pub next_ms: Option<i64>,
    /// When that was found out, in milliseconds since 1970.
    pub set_ms: i64,
}

/// What a look at the clock comes to. Moments are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// Nothing is to be done before the moment, if there is one.
    Wait(Option<i64>),
    /// The next moment is to be kept, and nothing runs now.
    Set(Option<i64>),
    /// It runs now, and the next moment is to be kept.
    Run(Option<i64>),
}

impl CronSchedule {
    /// What is to be done at `now`, in the time zone of `now`. A trigger of which nothing was kept is new: it runs at
    /// its first moment after now.
    #[must_use]
    pub fn tick(&self, kept: Option<KeptMoment>, now: &Zoned) -> Tick {
        let now_ms = now.timestamp().as_millisecond();
        let next = || self.next_after(now).map(|next| next.timestamp().as_millisecond());
        let Some(kept) = kept else {
            return Tick::Set(next());
        };
        match kept.next_ms {
            Some(due) if due <= now_ms => Tick::Run(next()),
            due => {
                let set_back = now_ms < kept.set_ms && kept.set_ms - now_ms < SMALL_STEP_MS;
                let next = next();
                let comes_earlier = next.is_some_and(|next| due.is_none_or(|due| next < due));
                if comes_earlier && !set_back {
                    Tick::Set(next)
                } else {
                    Tick::Wait(due)
                }
            }
        }
    }
}
