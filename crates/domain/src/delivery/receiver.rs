//! The health of one receiver: when it is left alone, when it is disabled, and what its owner is told.
//!
//! After some failures in a row the receiver is paused: its deliveries wait, and one of them goes as a probe at
//! growing intervals, from 10 s to 10 h (push-payloads.md B.4). A success ends the pause. A 410, or five days of
//! nothing but failures, disables the receiver; its owner is warned at least a day before the latter
//! (push-payloads.md F.1, F.3 "silent auto-disable"). Nothing here ends a delivery.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Class, RetryAfter};
use super::lanes::Gate;
use super::progress::THROTTLE_WAIT_MS;
use super::schedule::LONGEST_RETRY_AFTER_MS;

const SECOND_MS: i64 = 1000;
const HOUR_MS: i64 = 3600 * SECOND_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The health of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Receiver {
    /// The last answer was good, or there was none yet.
    Healthy {
        /// No attempt before this moment (milliseconds since 1970), because the receiver asked for it.
        hold_until_ms: Option<i64>,
    },
    /// The last answers were failures.
    Failing {
        /// What has happened since the last success.
        failures: Failures,
        /// No attempt before this moment (milliseconds since 1970), because the receiver asked for it.
        hold_until_ms: Option<i64>,
    },
    /// Deliveries wait; one goes as a probe from time to time.
    Paused {
        /// What has happened since the last success.
        failures: Failures,
        /// The length of the present pause in milliseconds.
        pause_ms: i64,
        /// When the next probe may go, in milliseconds since 1970.
        probe_at_ms: i64,
    },
    /// Nothing is sent until somebody enables the receiver.
    Disabled {
        /// When it was disabled, in milliseconds since 1970.
        at_ms: i64,
        /// Why.
        reason: DisabledReason,
    },
}

/// Failures without a success between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// When the first was, in milliseconds since 1970.
    pub since_ms: i64,
    /// How many there were.
    pub count: u32,
    /// When the owner was warned, in milliseconds since 1970.
    pub warned_at_ms: Option<i64>,
}

/// Why a receiver is disabled; each reads as a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DisabledReason {
    /// It answered 410.
    Gone,
    /// Every attempt has failed for too long.
    OnlyFailures {
        /// When the first failure was, in milliseconds since 1970.
        since_ms: i64,
        /// How many there were.
        count: u32,
    },
    /// A person disabled it.
    ByHand,
}

/// When a receiver is paused, warned about and disabled. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Failures in a row after which it is paused; 0 counts as 1. Default: 5.
    pub pause_after: u32,
    /// The first pause; each further one is twice as long. Default: 10 s.
    pub first_pause_ms: i64,
    /// The longest pause. Default: 10 h.
    pub longest_pause_ms: i64,
    /// How long a paused receiver must have had nothing but failures before its owner is warned. Default: 1 day.
    pub warn_after_ms: i64,
    /// The least time between warning and disabling. Default: 1 day.
    pub notice_ms: i64,
    /// How long a paused receiver must have had nothing but failures before it is disabled. Default: 5 days.
    pub disable_after_ms: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            pause_after: 5,
            first_pause_ms: 10 * SECOND_MS,
            longest_pause_ms: 10 * HOUR_MS,
            warn_after_ms: DAY_MS,
            notice_ms: DAY_MS,
            disable_after_ms: 5 * DAY_MS,
        }
    }
}

/// What happens to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// An attempt has ended.
    Answered {
        /// How.
        answer: Answer,
        /// When the attempt began, in milliseconds since 1970: one that began before a pause is not its probe.
        began_ms: i64,
        /// What the receiver asked for.
        retry_after: Option<RetryAfter>,
    },
    /// A person enables it, with a clean record.
    Enable,
    /// A person disables it.
    Disable,
    /// A person wants a paused receiver to be tried now.
    ProbeNow,
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell the owner of the receiver.
    TellOwner(Notice),
    /// Deliveries of this receiver may go from this moment on (milliseconds since 1970).
    WakeAt(i64),
}

/// What the owner of a receiver is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// It will be disabled if nothing changes.
    Warning {
        /// When the first failure was, in milliseconds since 1970.
        failing_since_ms: i64,
        /// The earliest moment at which it is disabled, in milliseconds since 1970.
        disabled_at_ms: i64,
    },
    /// It has been disabled.
    Disabled(DisabledReason),
    /// It answers again, after a warning.
    Recovered {
        /// When the first failure was, in milliseconds since 1970.
        failing_since_ms: i64,
    },
}

/// Moves a receiver on. The returned effects are to be carried out once the new state is stored.
///
/// An answer 429 shows a living receiver: it holds all its deliveries back for the time that it asked for (a minute
/// if it named none), and counts neither for nor against it. 502, 503 and 504 hold back for the time asked for, and
/// count as failures.
#[must_use]
pub fn step(policy: &Policy, receiver: Receiver, input: Input, now_ms: i64) -> (Receiver, Vec<Effect>) {
    match input {
        Input::Answered {
            answer,
            began_ms,
            retry_after,
        } => {
            let asked_ms = retry_after.map(|asked| asked.wait_ms(now_ms).min(LONGEST_RETRY_AFTER_MS));
            match answer.class() {
                Class::NotSent | Class::Nothing => (receiver, Vec::new()),
                Class::Success => succeeded(receiver, now_ms),
                Class::Gone => gone(receiver, now_ms),
                Class::Throttle if answer == Answer::Status(429) => {
                    held(receiver, now_ms, asked_ms.unwrap_or(THROTTLE_WAIT_MS), began_ms)
                }
                Class::Throttle | Class::Failure | Class::Refused => {
                    failed(policy, receiver, began_ms, asked_ms, now_ms)
                }
            }
        }
        Input::Enable => (Receiver::default(), vec![Effect::WakeAt(now_ms)]),
        Input::Disable => (
            Receiver::Disabled {
                at_ms: now_ms,
                reason: DisabledReason::ByHand,
            },
            Vec::new(),
        ),
        Input::ProbeNow => match receiver {
            Receiver::Paused {
                failures,
                pause_ms,
                probe_at_ms,
            } => {
                let paused = Receiver::Paused {
                    failures,
                    pause_ms,
                    probe_at_ms: probe_at_ms.min(now_ms),
                };
                (paused, vec![Effect::WakeAt(now_ms)])
            }
            other => (other, Vec::new()),
        },
    }
}

impl Default for Receiver {
    /// A new receiver is healthy.
    fn default() -> Self {
        Self::Healthy { hold_until_ms: None }
    }
}

impl Receiver {
    /// Whether deliveries may go to it now.
    #[must_use]
    pub fn gate(&self, now_ms: i64) -> Gate {
        let hold = |until_ms: Option<i64>| {
            until_ms
                .filter(|until_ms| *until_ms > now_ms)
                .map(|until_ms| Gate::Hold { until_ms })
        };
        match self {
            Self::Healthy { hold_until_ms } => hold(*hold_until_ms).unwrap_or(Gate::Open),
            Self::Failing { hold_until_ms, .. } => hold(*hold_until_ms).unwrap_or(Gate::OneAtATime),
            Self::Paused { probe_at_ms, .. } => hold(Some(*probe_at_ms)).unwrap_or(Gate::OneAtATime),
            Self::Disabled { .. } => Gate::Closed,
        }
    }
}

impl fmt::Display for DisabledReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("it answered 410 (gone), which asks the sender to stop"),
            Self::OnlyFailures { count, .. } => write!(f, "each of its last {count} attempts failed"),
            Self::ByHand => f.write_str("it was disabled by hand"),
        }
    }
}

fn succeeded(receiver: Receiver, now_ms: i64) -> (Receiver, Vec<Effect>) {
    let recovered = |since_ms| {
        Effect::TellOwner(Notice::Recovered {
            failing_since_ms: since_ms,
        })
    };
    match receiver {
        Receiver::Healthy { .. } => (receiver, Vec::new()),
        Receiver::Failing { hold_until_ms, .. } => (Receiver::Healthy { hold_until_ms }, Vec::new()),
        Receiver::Paused { failures, .. } => {
            let mut effects = vec![Effect::WakeAt(now_ms)];
            if failures.warned_at_ms.is_some() {
                effects.push(recovered(failures.since_ms));
            }
            (Receiver::default(), effects)
        }
        // An attempt that was under way when the last failure was entered shows that the receiver lives.
        Receiver::Disabled {
            reason: DisabledReason::OnlyFailures { since_ms, .. },
            ..
        } => (
            Receiver::default(),
            vec![Effect::WakeAt(now_ms), recovered(since_ms)],
        ),
        Receiver::Disabled { .. } => (receiver, Vec::new()),
    }
}

fn gone(receiver: Receiver, now_ms: i64) -> (Receiver, Vec<Effect>) {
    if matches!(receiver, Receiver::Disabled { .. }) {
        return (receiver, Vec::new());
    }
    disabled(DisabledReason::Gone, now_ms)
}

fn disabled(reason: DisabledReason, now_ms: i64) -> (Receiver, Vec<Effect>) {
    let receiver = Receiver::Disabled {
        at_ms: now_ms,
        reason,
    };
    (receiver, vec![Effect::TellOwner(Notice::Disabled(reason))])
}

fn held(receiver: Receiver, now_ms: i64, wait_ms: i64, began_ms: i64) -> (Receiver, Vec<Effect>) {
    let until_ms = now_ms.saturating_add(wait_ms);
    let later = |present: Option<i64>| Some(present.map_or(until_ms, |present| present.max(until_ms)));
    let receiver = match receiver {
        Receiver::Healthy { hold_until_ms } => Receiver::Healthy {
            hold_until_ms: later(hold_until_ms),
        },
        Receiver::Failing {
            failures,
            hold_until_ms,
        } => Receiver::Failing {
            failures,
            hold_until_ms: later(hold_until_ms),
        },
        Receiver::Paused {
            failures,
            pause_ms,
            probe_at_ms,
        } => {
            let pause_until_ms = if began_ms < probe_at_ms {
                probe_at_ms
            } else {
                now_ms.saturating_add(pause_ms)
            };
            Receiver::Paused {
                failures,
                pause_ms,
                probe_at_ms: pause_until_ms.max(until_ms),
            }
        }
        Receiver::Disabled { .. } => return (receiver, Vec::new()),
    };
    let effects = match receiver.gate(now_ms) {
        Gate::Hold { until_ms } => vec![Effect::WakeAt(until_ms)],
        _ => Vec::new(),
    };
    (receiver, effects)
}

fn failed(
    policy: &Policy,
    receiver: Receiver,
    began_ms: i64,
    asked_ms: Option<i64>,
    now_ms: i64,
) -> (Receiver, Vec<Effect>) {
    let asked_until_ms = asked_ms.map(|asked_ms| now_ms.saturating_add(asked_ms));
    let later = |one: Option<i64>, other: Option<i64>| one.max(other);
    let (mut failures, hold_until_ms, pause) = match receiver {
        Receiver::Healthy { hold_until_ms } => {
            let failures = Failures {
                since_ms: now_ms,
                count: 0,
                warned_at_ms: None,
            };
            (failures, hold_until_ms, None)
        }
        Receiver::Failing {
            failures,
            hold_until_ms,
        } => (failures, hold_until_ms, None),
        Receiver::Paused {
            failures,
            pause_ms,
            probe_at_ms,
        } => (failures, None, Some((pause_ms, probe_at_ms))),
        Receiver::Disabled { .. } => return (receiver, Vec::new()),
    };
    failures.count = failures.count.saturating_add(1);
    let hold_until_ms = later(hold_until_ms, asked_until_ms);
    let (pause_ms, probe_at_ms) = match pause {
        // It began before the pause, so it tells nothing new.
        Some((pause_ms, probe_at_ms)) if began_ms < probe_at_ms => (pause_ms, probe_at_ms),
        Some((pause_ms, _)) => {
            let pause_ms = pause_ms.saturating_mul(2).clamp(
                policy.first_pause_ms,
                policy.longest_pause_ms.max(policy.first_pause_ms),
            );
            (pause_ms, now_ms.saturating_add(pause_ms))
        }
        None if failures.count >= policy.pause_after => (
            policy.first_pause_ms,
            now_ms.saturating_add(policy.first_pause_ms),
        ),
        None => {
            let failing = Receiver::Failing {
                failures,
                hold_until_ms,
            };
            return (failing, Vec::new());
        }
    };
    let probe_at_ms = hold_until_ms.map_or(probe_at_ms, |until_ms| probe_at_ms.max(until_ms));
    let mut effects = vec![Effect::WakeAt(probe_at_ms)];
    let disabled_at_ms = |warned_at_ms: i64| {
        failures
            .since_ms
            .saturating_add(policy.disable_after_ms)
            .max(warned_at_ms.saturating_add(policy.notice_ms))
    };
    match failures.warned_at_ms {
        Some(warned_at_ms) if now_ms >= disabled_at_ms(warned_at_ms) => {
            let reason = DisabledReason::OnlyFailures {
                since_ms: failures.since_ms,
                count: failures.count,
            };
            return disabled(reason, now_ms);
        }
        None if now_ms.saturating_sub(failures.since_ms) >= policy.warn_after_ms => {
            effects.push(Effect::TellOwner(Notice::Warning {
                failing_since_ms: failures.since_ms,
                disabled_at_ms: disabled_at_ms(now_ms),
            }));
            failures.warned_at_ms = Some(now_ms);
        }
        _ => {}
    }
    let paused = Receiver::Paused {
        failures,
        pause_ms,
        probe_at_ms,
    };
    (paused, effects)
}

#[cfg(test)]
mod tests;
