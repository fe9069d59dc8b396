//! When a job hangs, and when it has waited too long for an agent (bamboo-specs.md 11, `buildHangingConfig`).
//!
//! A job hangs when two things come together: it has run for several times as long as such jobs usually take, and its
//! log has been silent for a while. Either alone is common: a slow machine, a long compilation. Where it is not known
//! how long such a job usually takes, the silence alone counts.

use crate::plan::HangingDetection;
use crate::text::counted;

/// The limits of one job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HangingRules {
    /// Whether anything is looked for.
    pub enabled: bool,
    /// How many times its usual length a job has run before it may hang; less than 1 counts as 1.
    pub multiplier: f64,
    /// Minutes without a line in the log from which a job may hang.
    pub minutes_between_logs: u32,
    /// Minutes in the queue that are too long; 0: any time is fine.
    pub minutes_queue_timeout: u32,
}

impl Default for HangingRules {
    /// Bamboo's own values.
    fn default() -> Self {
        Self {
            enabled: true,
            multiplier: 2.5,
            minutes_between_logs: 10,
            minutes_queue_timeout: 60,
        }
    }
}

impl HangingRules {
    /// The rules of a server with what a plan says in their place.
    #[must_use]
    pub fn with(self, own: &HangingDetection) -> Self {
        let multiplier = own.multiplier.filter(|it| it.is_finite());
        Self {
            enabled: own.enabled.unwrap_or(self.enabled),
            multiplier: multiplier.unwrap_or(self.multiplier),
            minutes_between_logs: own.minutes_between_logs.unwrap_or(self.minutes_between_logs),
            minutes_queue_timeout: own.minutes_queue_timeout.unwrap_or(self.minutes_queue_timeout),
        }
    }
}

/// What is known about a job that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningFacts {
    /// How long it has run, in milliseconds.
    pub running_ms: i64,
    /// How long ago its log had its last line, in milliseconds.
    pub silent_ms: i64,
    /// How long such jobs usually take, in milliseconds; `None`: there were none that succeeded.
    pub usual_ms: Option<i64>,
}

/// Why a running job hangs, as a sentence; `None`: it does not.
#[must_use]
pub fn hangs(rules: &HangingRules, facts: &RunningFacts) -> Option<String> {
    let silent_limit_ms = i64::from(rules.minutes_between_logs) * MINUTE;
    if !rules.enabled || facts.silent_ms < silent_limit_ms || facts.running_ms < silent_limit_ms {
        return None;
    }
    let silence = format!("its log has been silent for {}", length(facts.silent_ms));
    let Some(usual_ms) = facts.usual_ms else {
        return Some(format!("{silence}, and no such job has succeeded yet"));
    };
    let multiplier = rules.multiplier.max(1.0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a length of time in milliseconds is exact up to 285 000 years"
    )]
    let is_long = facts.running_ms as f64 >= usual_ms as f64 * multiplier;
    is_long.then(|| {
        format!(
            "{silence}, and it has run for {}, where such jobs take {} (limits: {}, {multiplier} times)",
            length(facts.running_ms),
            length(usual_ms),
            counted(rules.minutes_between_logs, "minute")
        )
    })
}

/// The agents of a server, when a job waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentFacts {
    /// How many there are.
    pub agents: usize,
    /// How many are at work.
    pub busy: usize,
    /// Whether an administrator holds new jobs back.
    pub paused: bool,
}

/// Why a job has waited too long for an agent, as a sentence; `None`: it has not.
#[must_use]
pub fn waits_too_long(rules: &HangingRules, queued_ms: i64, facts: AgentFacts) -> Option<String> {
    let limit = rules.minutes_queue_timeout;
    if !rules.enabled || limit == 0 || queued_ms < i64::from(limit) * MINUTE {
        return None;
    }
    let AgentFacts { agents, busy, paused } = facts;
    let why = if paused {
        "the server is paused".to_owned()
    } else if busy >= agents {
        match agents {
            1 => "the only agent is at work".to_owned(),
            _ => format!("all {agents} agents are at work"),
        }
    } else {
        format!("{busy} of {agents} agents are at work, and none of the others takes it")
    };
    Some(format!(
        "it has waited for an agent for {}, and the limit is {}: {why}",
        length(queued_ms),
        counted(limit, "minute")
    ))
}

/// How long such jobs usually take: the middle one of the lengths of those that succeeded, in milliseconds. One that
/// took a night for once moves an average, and not this.
#[must_use]
pub fn usual_length(lengths_ms: &[i64]) -> Option<i64> {
    let mut sorted: Vec<i64> = lengths_ms.iter().copied().filter(|length| *length >= 0).collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

const MINUTE: i64 = 60_000;

fn length(ms: i64) -> String {
    match ms / 1000 {
        seconds @ ..120 => counted(seconds, "second"),
        seconds @ 120..7200 => counted(seconds / 60, "minute"),
        seconds => counted(seconds / 3600, "hour"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(running_minutes: i64, silent_minutes: i64, usual_minutes: Option<i64>) -> RunningFacts {
        RunningFacts {
            running_ms: running_minutes * MINUTE,
            silent_ms: silent_minutes * MINUTE,
            usual_ms: usual_minutes.map(|it| it * MINUTE),
        }
    }

    #[test]
    fn job_hangs_when_it_is_long_and_silent() {
        let table = [
            (facts(25, 10, Some(10)), true),
            (facts(25, 9, Some(10)), false),
            (facts(24, 24, Some(10)), false),
            (facts(600, 10, Some(10)), true),
            (facts(600, 0, Some(10)), false),
            (facts(10, 10, None), true),
            (facts(9, 9, None), false),
            (facts(10, 10, Some(0)), true),
            // A clock that was set back.
            (facts(-5, 10, Some(1)), false),
            (facts(25, -3, Some(1)), false),
        ];
        let rules = HangingRules::default();
        for (facts, expected) in table {
            assert_eq!(hangs(&rules, &facts).is_some(), expected, "{facts:?}");
            assert_eq!(
                hangs(
                    &HangingRules {
                        enabled: false,
                        ..rules
                    },
                    &facts
                ),
                None
            );
        }
        assert_eq!(
            hangs(&rules, &facts(30, 11, Some(10))).as_deref(),
            Some(
                "its log has been silent for 11 minutes, and it has run for 30 minutes, where such jobs take 10 minutes \
                 (limits: 10 minutes, 2.5 times)"
            )
        );
    }

    fn only_multiplier(multiplier: f64) -> HangingDetection {
        HangingDetection {
            multiplier: Some(multiplier),
            ..HangingDetection::default()
        }
    }

    #[test]
    fn what_a_plan_says_stands_before_what_the_server_says() {
        let server = HangingRules::default();
        assert_eq!(server.with(&HangingDetection::default()), server);
        let plan = server.with(&HangingDetection {
            enabled: Some(true),
            multiplier: Some(1.0),
            minutes_between_logs: Some(2),
            minutes_queue_timeout: Some(5),
        });
        assert!(hangs(&plan, &facts(2, 2, Some(2))).is_some());
        assert!(hangs(&server, &facts(2, 2, Some(2))).is_none());
        assert_eq!(server.with(&only_multiplier(f64::NAN)), server);
        let low = server.with(&only_multiplier(-7.0));
        assert!(
            hangs(&low, &facts(20, 20, Some(30))).is_none(),
            "less than once is once"
        );
        assert!(
            !server
                .with(&HangingDetection {
                    enabled: Some(false),
                    ..HangingDetection::default()
                })
                .enabled
        );
    }

    #[test]
    fn waiting_is_too_long_from_the_limit_on_and_the_reason_names_the_agents() {
        let rules = HangingRules::default();
        let facts = |busy, paused| AgentFacts {
            agents: 2,
            busy,
            paused,
        };
        for (minutes, expected) in [(60, true), (59, false), (0, false), (-1, false)] {
            let found = waits_too_long(&rules, minutes * MINUTE, facts(0, false));
            assert_eq!(found.is_some(), expected, "{minutes}");
        }
        for (busy, paused, why) in [
            (2, false, "all 2 agents are at work"),
            (
                1,
                false,
                "1 of 2 agents are at work, and none of the others takes it",
            ),
            (2, true, "the server is paused"),
        ] {
            let expected =
                format!("it has waited for an agent for 3 hours, and the limit is 60 minutes: {why}");
            let found = waits_too_long(&rules, 180 * MINUTE, facts(busy, paused));
            assert_eq!(found, Some(expected));
        }
        let never = HangingRules {
            minutes_queue_timeout: 0,
            ..rules
        };
        assert_eq!(waits_too_long(&never, i64::MAX, facts(0, false)), None);
    }

    #[test]
    fn usual_length_is_that_of_the_middle() {
        for (lengths, usual) in [
            (&[][..], None),
            (&[7], Some(7)),
            (&[1, 1000, 3], Some(3)),
            (&[-5], None),
            (&[4, 2], Some(4)),
        ] {
            assert_eq!(usual_length(lengths), usual, "{lengths:?}");
        }
    }
}
