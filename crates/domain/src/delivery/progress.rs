//! The life of one delivery.
//!
//! A delivery waits, is leased for an attempt, and waits again or ends: delivered, exhausted or cancelled. An attempt
//! is counted when its lease is taken, so that one whose holder died is counted too and no request can loop for ever.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::answer::{Answer, Class, RetryAfter};
use super::receiver::Receiver;
use super::schedule::{Schedule, next_attempt};

/// How long a delivery waits that could not be sent for want of a free connection, in milliseconds.
pub const BUSY_WAIT_MS: i64 = 5000;

/// How long an attempt waits at least after 429, 502, 503 or 504 when the receiver named no time, in milliseconds.
pub const THROTTLE_WAIT_MS: i64 = 60_000;

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// It waits for its next attempt.
    Waiting {
        /// Attempts made so far.
        attempts: u32,
        /// The earliest moment of the next attempt, in milliseconds since 1970.
        due_ms: i64,
    },
    /// An attempt is being made.
    Leased {
        /// The attempts made, this one included.
        attempts: u32,
        /// When the attempt began, in milliseconds since 1970.
        since_ms: i64,
        /// When the lease runs out, in milliseconds since 1970.
        until_ms: i64,
    },
    /// It has ended.
    Ended {
        /// The attempts made.
        attempts: u32,
        /// When it ended, in milliseconds since 1970.
        at_ms: i64,
        /// How it ended.
        ending: Ending,
    },
}

/// How a delivery ended; each reads as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Ending {
    /// The receiver took it.
    Delivered,
    /// The last attempt of the schedule failed.
    Exhausted {
        /// The answer to the last attempt.
        last: Answer,
    },
    /// The last attempt of the schedule was cut off by a stop of the server; whether it arrived is unknown.
    Interrupted,
    /// The receiver was disabled, and stayed so for as long as the schedule lasts.
    ReceiverDisabled,
    /// A person ended it.
    Cancelled,
    /// The receiver refused it, and another attempt would give the same.
    Refused,
    /// There was nothing to tell: the receiver's settings leave it out.
    NothingToSend,
}

/// A transition that the present state does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{action} a delivery that {state}")]
pub struct InvalidTransition {
    /// What was asked for.
    pub action: &'static str,
    /// What the delivery does.
    pub state: &'static str,
}

impl Progress {
    /// A new delivery, whose first attempt is due at once (or after the first step of the schedule).
    #[must_use]
    pub fn new(schedule: &Schedule, now_ms: i64, jitter: f64) -> Self {
        Self::Waiting {
            attempts: 0,
            due_ms: next_attempt(schedule, 0, now_ms, None, jitter).unwrap_or(now_ms),
        }
    }

    /// Takes the lease for an attempt until `until_ms`.
    ///
    /// # Errors
    /// When the delivery does not wait, or is not due yet.
    pub fn lease(self, now_ms: i64, until_ms: i64) -> Result<Self, InvalidTransition> {
        match self {
            Self::Waiting { attempts, due_ms } if due_ms <= now_ms => Ok(Self::Leased {
                attempts: attempts.saturating_add(1),
                since_ms: now_ms,
                until_ms,
            }),
            other => Err(other.invalid("send")),
        }
    }

    /// Enters the answer to the attempt that is being made.
    ///
    /// `retry_after` is what the receiver asked for, `jitter` a random number from 0 to 1. After 429, 502, 503 and
    /// 504 without a time the next attempt waits a minute at least. A 410 uses the attempt like any failure: the receiver is
    /// disabled by [`super::receiver::step`], and the delivery waits in case it comes back.
    ///
    /// # Errors
    /// When no attempt is being made.
    pub fn answered(
        self,
        schedule: &Schedule,
        answer: Answer,
        now_ms: i64,
        retry_after: Option<RetryAfter>,
        jitter: f64,
    ) -> Result<Self, InvalidTransition> {
        let Self::Leased { attempts, .. } = self else {
            return Err(self.invalid("answer"));
        };
        let asked_ms = retry_after.map(|asked| asked.wait_ms(now_ms));
        let asked_ms = match answer.class() {
            Class::Success => {
                return Ok(Self::Ended {
                    attempts,
                    at_ms: now_ms,
                    ending: Ending::Delivered,
                });
            }
            Class::NotSent => {
                return Ok(Self::Waiting {
                    attempts: attempts.saturating_sub(1),
                    due_ms: now_ms.saturating_add(BUSY_WAIT_MS),
                });
            }
            Class::Refused | Class::Nothing => {
                let nothing = answer.class() == Class::Nothing;
                return Ok(Self::Ended {
                    attempts,
                    at_ms: now_ms,
                    ending: if nothing {
                        Ending::NothingToSend
                    } else {
                        Ending::Refused
                    },
                });
            }
            Class::Throttle => Some(asked_ms.unwrap_or(THROTTLE_WAIT_MS)),
            Class::Failure | Class::Gone => asked_ms,
        };
        let due_ms = next_attempt(schedule, attempts, now_ms, asked_ms, jitter);
        let exhausted = Ending::Exhausted { last: answer };
        Ok(Self::waiting_or_ended(attempts, due_ms, now_ms, exhausted))
    }

    /// Takes back a lease that has run out because its holder died.
    ///
    /// # Errors
    /// When there is no lease, or it still holds.
    pub fn reclaim(self, schedule: &Schedule, now_ms: i64, jitter: f64) -> Result<Self, InvalidTransition> {
        match self {
            Self::Leased {
                attempts, until_ms, ..
            } if until_ms <= now_ms => {
                let due_ms = next_attempt(schedule, attempts, now_ms, None, jitter);
                Ok(Self::waiting_or_ended(
                    attempts,
                    due_ms,
                    now_ms,
                    Ending::Interrupted,
                ))
            }
            other => Err(other.invalid("take back")),
        }
    }

    /// Takes back a lease whose holder is known to have died. Whether the attempt arrived is unknown, so it is made
    /// again at once, unless it was the last.
    ///
    /// # Errors
    /// When there is no lease.
    pub fn abandon(self, schedule: &Schedule, now_ms: i64) -> Result<Self, InvalidTransition> {
        match self {
            Self::Leased { attempts, .. } => {
                let due_ms = next_attempt(schedule, attempts, now_ms, None, 0.5).map(|_| now_ms);
                Ok(Self::waiting_or_ended(
                    attempts,
                    due_ms,
                    now_ms,
                    Ending::Interrupted,
                ))
            }
            other => Err(other.invalid("take back")),
        }
    }

    /// Gives back a lease whose attempt was not begun, as if it had never been taken.
    ///
    /// # Errors
    /// When there is no lease.
    pub fn give_back(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Leased {
                attempts, since_ms, ..
            } => Ok(Self::Waiting {
                attempts: attempts.saturating_sub(1),
                due_ms: since_ms,
            }),
            other => Err(other.invalid("give back")),
        }
    }

    /// Ends a waiting delivery whose receiver has been disabled for as long as the schedule lasts, and leaves every
    /// other one as it is.
    #[must_use]
    pub fn expire(self, schedule: &Schedule, receiver: &Receiver, created_ms: i64, now_ms: i64) -> Self {
        match (&self, receiver) {
            (
                Self::Waiting { attempts, .. },
                Receiver::Disabled {
                    at_ms: disabled_ms, ..
                },
            ) if created_ms
                .max(*disabled_ms)
                .saturating_add(schedule.longest_span_ms())
                <= now_ms =>
            {
                Self::Ended {
                    attempts: *attempts,
                    at_ms: now_ms,
                    ending: Ending::ReceiverDisabled,
                }
            }
            _ => self,
        }
    }

    /// Ends a delivery by hand. The answer to an attempt that is being made will no longer be entered.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn cancel(self, now_ms: i64) -> Result<Self, InvalidTransition> {
        match self {
            Self::Waiting { attempts, .. } | Self::Leased { attempts, .. } => Ok(Self::Ended {
                attempts,
                at_ms: now_ms,
                ending: Ending::Cancelled,
            }),
            ended @ Self::Ended { .. } => Err(ended.invalid("cancel")),
        }
    }

    /// Sends again by hand, at once: an ended delivery starts a new schedule under the same id, a waiting one keeps
    /// its count of attempts and becomes due.
    ///
    /// # Errors
    /// While an attempt is being made.
    pub fn redeliver(self, now_ms: i64) -> Result<Self, InvalidTransition> {
        match self {
            Self::Waiting { attempts, due_ms } => Ok(Self::Waiting {
                attempts,
                due_ms: due_ms.min(now_ms),
            }),
            Self::Ended { .. } => Ok(Self::Waiting {
                attempts: 0,
                due_ms: now_ms,
            }),
            leased @ Self::Leased { .. } => Err(leased.invalid("send again")),
        }
    }

    /// The attempts made, one that is being made included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Waiting { attempts, .. } | Self::Leased { attempts, .. } | Self::Ended { attempts, .. } => {
                *attempts
            }
        }
    }

    fn waiting_or_ended(attempts: u32, due_ms: Option<i64>, now_ms: i64, ending: Ending) -> Self {
        match due_ms {
            Some(due_ms) => Self::Waiting { attempts, due_ms },
            None => Self::Ended {
                attempts,
                at_ms: now_ms,
                ending,
            },
        }
    }

    fn invalid(&self, action: &'static str) -> InvalidTransition {
        let state = match self {
            Self::Waiting { .. } => "waits for its time",
            Self::Leased { .. } => "is being sent",
            Self::Ended { .. } => "has ended",
        };
        InvalidTransition { action, state }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered => f.write_str("delivered"),
            Self::Exhausted { last } => write!(f, "given up after the last attempt: {last}"),
            Self::Interrupted => f.write_str(
                "given up: the last attempt was cut off by a stop of the server; it may have arrived",
            ),
            Self::ReceiverDisabled => {
                f.write_str("given up: the receiver stayed disabled for as long as the retry schedule lasts")
            }
            Self::Cancelled => f.write_str("cancelled by hand"),
            Self::Refused => f.write_str("refused: another attempt would give the same"),
            Self::NothingToSend => f.write_str("nothing to send"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::ErrorKind;
    use super::super::receiver::DisabledReason;
    use super::*;

    fn schedule() -> Schedule {
        Schedule::new(vec![0, 1000]).unwrap()
    }

    fn leased(attempts: u32) -> Progress {
        Progress::Leased {
            attempts,
            since_ms: 0,
            until_ms: 100,
        }
    }

    fn waiting(attempts: u32, due_ms: i64) -> Progress {
        Progress::Waiting { attempts, due_ms }
    }

    fn ended(attempts: u32, at_ms: i64, ending: Ending) -> Progress {
        Progress::Ended {
            attempts,
            at_ms,
            ending,
        }
    }

    #[test]
    fn answers_lead_where_they_should() {
        let exhausted = |last| ended(2, 50, Ending::Exhausted { last });
        let refused = Answer::Error(ErrorKind::Connect);
        for (attempts, answer, asked, expected) in [
            (1, Answer::Status(204), None, ended(1, 50, Ending::Delivered)),
            (1, Answer::Status(500), None, waiting(1, 1050)),
            (1, Answer::Status(302), None, waiting(1, 1050)),
            (1, Answer::Status(410), None, waiting(1, 1050)),
            (1, Answer::Status(503), None, waiting(1, 60_050)),
            (
                1,
                Answer::Status(429),
                Some(RetryAfter::AfterMs(90_000)),
                waiting(1, 90_050),
            ),
            (
                1,
                Answer::Status(500),
                Some(RetryAfter::AtMs(7000)),
                waiting(1, 7000),
            ),
            (1, Answer::Error(ErrorKind::Busy), None, waiting(0, 5050)),
            (2, Answer::Status(500), None, exhausted(Answer::Status(500))),
            (2, refused, None, exhausted(refused)),
            (1, Answer::Taken, None, ended(1, 50, Ending::Delivered)),
            (1, Answer::Later, None, waiting(1, 1050)),
            (1, Answer::Refused, None, ended(1, 50, Ending::Refused)),
            (1, Answer::Nothing, None, ended(1, 50, Ending::NothingToSend)),
        ] {
            let next = leased(attempts).answered(&schedule(), answer, 50, asked, 0.5);
            assert_eq!(next, Ok(expected), "{answer:?} after {attempts}");
        }
    }

    #[test]
    fn attempt_before_its_time_is_refused() {
        assert!(waiting(0, 51).lease(50, 100).is_err());
        assert_eq!(
            waiting(0, 50).lease(50, 100),
            Ok(Progress::Leased {
                attempts: 1,
                since_ms: 50,
                until_ms: 100
            })
        );
        assert!(leased(1).lease(500, 600).is_err());
    }

    #[test]
    fn lost_lease_uses_its_attempt() {
        assert!(leased(1).reclaim(&schedule(), 99, 0.5).is_err());
        assert_eq!(leased(1).reclaim(&schedule(), 100, 0.5), Ok(waiting(1, 1100)));
        assert_eq!(
            leased(2).reclaim(&schedule(), 100, 0.5),
            Ok(ended(2, 100, Ending::Interrupted))
        );
    }

    #[test]
    fn abandoned_attempt_is_made_again_at_once_unless_it_was_the_last() {
        assert_eq!(leased(1).abandon(&schedule(), 7), Ok(waiting(1, 7)));
        assert_eq!(
            leased(2).abandon(&schedule(), 7),
            Ok(ended(2, 7, Ending::Interrupted))
        );
        assert!(waiting(1, 0).abandon(&schedule(), 7).is_err());
    }

    #[test]
    fn lease_that_is_given_back_leaves_no_trace() {
        let given_back = waiting(3, 50).lease(60, 100).and_then(Progress::give_back);
        assert_eq!(given_back, Ok(waiting(3, 60)));
        assert!(waiting(3, 50).give_back().is_err());
    }

    #[test]
    fn ended_delivery_takes_no_answer_and_no_cancelling() {
        let done = ended(1, 5, Ending::Delivered);
        assert_eq!(
            done.clone().cancel(6).unwrap_err().to_string(),
            "cancel a delivery that has ended"
        );
        assert!(
            done.clone()
                .answered(&schedule(), Answer::Status(200), 6, None, 0.5)
                .is_err()
        );
        assert_eq!(done.redeliver(6), Ok(waiting(0, 6)));
    }

    #[test]
    fn redelivery_makes_a_waiting_one_due_and_leaves_a_running_one() {
        assert_eq!(waiting(3, 900).redeliver(10), Ok(waiting(3, 10)));
        assert!(leased(1).redeliver(10).is_err());
    }

    #[test]
    fn only_those_of_a_disabled_receiver_expire() {
        let schedule = Schedule::new(vec![0, 1000]).unwrap();
        let disabled = Receiver::Disabled {
            at_ms: 500,
            reason: DisabledReason::Gone,
        };
        assert_eq!(waiting(1, 0).expire(&schedule, &disabled, 0, 1699), waiting(1, 0));
        assert_eq!(
            waiting(1, 0).expire(&schedule, &disabled, 0, 1700),
            ended(1, 1700, Ending::ReceiverDisabled)
        );
        assert_eq!(
            waiting(1, 0).expire(&schedule, &Receiver::default(), 0, i64::MAX),
            waiting(1, 0)
        );
    }
}
