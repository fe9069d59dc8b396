//! Deliveries to receivers: when an attempt is made, what an answer means, when a receiver is left alone, and which
//! deliveries may go now.
//!
//! The schedule and the meaning of answers follow Standard Webhooks; the circuit that opens after some failures and
//! its growing pauses follow Bitbucket Data Center (push-payloads.md F.1, B.4). Unlike there, nothing is skipped: a
//! delivery that cannot go stays queued, and ends in exactly one way.
//!
//! Five parts, each made of pure functions: [`schedule`] (when), [`answer`] (what it means),
//! [`progress`] (the life of one delivery), [`receiver`] (the health of one receiver) and [`lanes`] (who goes now).

pub mod answer;
pub mod lanes;
pub mod progress;
pub mod receiver;
pub mod schedule;

#[cfg(test)]
mod simulation;

pub use answer::{Answer, Class, ErrorKind, RetryAfter};
pub use lanes::{Candidate, Gate, Limits, sendable};
pub use progress::{Ending, InvalidTransition, Progress};
pub use receiver::{DisabledReason, Effect, Failures, Input, Notice, Policy, Receiver, step};
pub use schedule::{Schedule, ScheduleError, next_attempt};
