//! When the next attempt of a delivery is made.
//!
//! The steps of Standard Webhooks 1.0, moved by up to a fifth either way, so that deliveries that failed together do
//! not come back together; a receiver's `Retry-After` may put an attempt off, never forward.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest that a `Retry-After` can put an attempt off, in milliseconds: 24 hours.
pub const LONGEST_RETRY_AFTER_MS: i64 = 24 * HOUR_MS;

/// How far an attempt is moved either way, as a part of its step.
const JITTER: f64 = 0.2;
const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const LONGEST_STEP_MS: i64 = 7 * 24 * HOUR_MS;
const MOST_STEPS: usize = 50;

/// The waiting times before each attempt, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<i64>", into = "Vec<i64>")]
pub struct Schedule {
    steps_ms: Vec<i64>,
}

/// Why a list of waiting times is no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// No steps, or too many.
    #[error("a retry schedule has {count} steps; write between 1 and {MOST_STEPS}")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// A step that is negative or longer than a week.
    #[error(
        "step {number} of the retry schedule is {step_ms} ms; write between 0 and {LONGEST_STEP_MS} (7 days)"
    )]
    Step {
        /// Which step, from 1.
        number: usize,
        /// Its length in milliseconds.
        step_ms: i64,
    },
}

impl Schedule {
    /// The schedule of Standard Webhooks: at once, then after 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            steps_ms: vec![
                0,
                5 * SECOND_MS,
                5 * MINUTE_MS,
                30 * MINUTE_MS,
                2 * HOUR_MS,
                5 * HOUR_MS,
                10 * HOUR_MS,
                14 * HOUR_MS,
                20 * HOUR_MS,
                24 * HOUR_MS,
            ],
        }
    }

    /// A schedule of one's own: the waiting time before each attempt, in milliseconds.
    ///
    /// # Errors
    /// When there are no steps or more than 50, or one is negative or longer than 7 days.
    pub fn new(steps_ms: Vec<i64>) -> Result<Self, ScheduleError> {
        if steps_ms.is_empty() || steps_ms.len() > MOST_STEPS {
            return Err(ScheduleError::Count {
                count: steps_ms.len(),
            });
        }
        match steps_ms
            .iter()
            .position(|step| !(0..=LONGEST_STEP_MS).contains(step))
        {
            Some(at) => Err(ScheduleError::Step {
                number: at + 1,
                step_ms: steps_ms[at],
            }),
            None => Ok(Self { steps_ms }),
        }
    }

    /// How many attempts there are at most.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.steps_ms.len()).expect("there are at most 50 steps")
    }

    /// The time from the first moment to the last attempt when each step is as long as it can be, in milliseconds.
    #[must_use]
    pub fn longest_span_ms(&self) -> i64 {
        self.steps_ms.iter().map(|step| moved(*step, 1.0)).sum()
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::standard()
    }
}

impl TryFrom<Vec<i64>> for Schedule {
    type Error = ScheduleError;

    fn try_from(steps_ms: Vec<i64>) -> Result<Self, ScheduleError> {
        Self::new(steps_ms)
    }
}

impl From<Schedule> for Vec<i64> {
    fn from(schedule: Schedule) -> Self {
        schedule.steps_ms
    }
}

/// When the next attempt is due, in milliseconds since 1970, or `None` when the schedule is used up.
///
/// `attempts` counts the attempts made so far (0 before the first). `retry_after_ms` is the wait that the receiver
/// asked for, counted from `now_ms`; it can put the attempt off by up to 24 hours, never forward. `jitter` is a random
/// number from 0 to 1 that moves the step by up to 20 % either way.
#[must_use]
pub fn next_attempt(
    schedule: &Schedule,
    attempts: u32,
    now_ms: i64,
    retry_after_ms: Option<i64>,
    jitter: f64,
) -> Option<i64> {
    let step_ms = *schedule.steps_ms.get(usize::try_from(attempts).ok()?)?;
    let asked_ms = retry_after_ms.unwrap_or(0).clamp(0, LONGEST_RETRY_AFTER_MS);
    Some(now_ms.saturating_add(moved(step_ms, jitter).max(asked_ms)))
}

/// The step moved by up to a fifth: earlier for a `jitter` of 0, later for 1.
fn moved(step_ms: i64, jitter: f64) -> i64 {
    let jitter = if jitter.is_finite() {
        jitter.clamp(0.0, 1.0)
    } else {
        0.5
    };
    let factor = 1.0 - JITTER + 2.0 * JITTER * jitter;
    (step_ms as f64 * factor).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn standard_schedule_is_that_of_standard_webhooks() {
        let schedule = Schedule::standard();
        let waits: Vec<i64> = (0..schedule.attempts())
            .map(|made| next_attempt(&schedule, made, 0, None, 0.5).unwrap() / 1000)
            .collect();
        assert_eq!(
            waits,
            [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
        );
        assert_eq!(next_attempt(&schedule, 10, 0, None, 0.5), None);
        assert_eq!(next_attempt(&schedule, u32::MAX, 0, None, 0.5), None);
    }

    #[test]
    fn jitter_moves_by_a_fifth_either_way() {
        let schedule = Schedule::new(vec![1000]).unwrap();
        for (jitter, due) in [
            (0.0, 10_800),
            (0.5, 11_000),
            (1.0, 11_200),
            (7.0, 11_200),
            (-1.0, 10_800),
            (f64::NAN, 11_000),
        ] {
            assert_eq!(
                next_attempt(&schedule, 0, 10_000, None, jitter),
                Some(due),
                "{jitter}"
            );
        }
        assert_eq!(schedule.longest_span_ms(), 1200);
    }

    #[test]
    fn retry_after_puts_off_and_never_forward() {
        let schedule = Schedule::new(vec![60_000]).unwrap();
        for (asked, due) in [
            (Some(30_000), 60_000),
            (Some(90_000), 90_000),
            (Some(-5), 60_000),
            (Some(i64::MIN), 60_000),
            (Some(i64::MAX), LONGEST_RETRY_AFTER_MS),
            (None, 60_000),
        ] {
            assert_eq!(next_attempt(&schedule, 0, 0, asked, 0.5), Some(due), "{asked:?}");
        }
    }

    #[test]
    fn impossible_schedules_are_refused() {
        assert_eq!(Schedule::new(vec![]), Err(ScheduleError::Count { count: 0 }));
        assert_eq!(
            Schedule::new(vec![0; 51]),
            Err(ScheduleError::Count { count: 51 })
        );
        assert_eq!(
            Schedule::new(vec![0, -1]),
            Err(ScheduleError::Step {
                number: 2,
                step_ms: -1
            })
        );
        assert!(Schedule::new(vec![LONGEST_STEP_MS + 1]).is_err());
        assert!(serde_json::from_str::<Schedule>("[]").is_err());
        let stored = serde_json::to_string(&Schedule::standard()).unwrap();
        assert_eq!(
            serde_json::from_str::<Schedule>(&stored).unwrap(),
            Schedule::standard()
        );
    }

    proptest! {
        #[test]
        fn due_time_stays_within_its_bounds(
            attempts in 0u32..12,
            now in 0i64..4_000_000_000_000,
            asked in proptest::option::of(any::<i64>()),
            jitter in 0.0f64..=1.0,
        ) {
            let schedule = Schedule::standard();
            let Some(due) = next_attempt(&schedule, attempts, now, asked, jitter) else {
                prop_assert!(attempts >= schedule.attempts());
                return Ok(());
            };
            let step = Vec::from(schedule.clone())[attempts as usize];
            prop_assert!(due - now >= step * 8 / 10);
            prop_assert!(due - now <= (step * 12 / 10).max(LONGEST_RETRY_AFTER_MS));
            if let Some(asked) = asked {
                prop_assert!(due - now >= asked.clamp(0, LONGEST_RETRY_AFTER_MS));
            }
        }
    }
}
