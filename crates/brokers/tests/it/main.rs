//! Tests of the brokers from outside.

#![expect(clippy::unwrap_used, reason = "a helper of a test may end the test")]

mod answers;
mod build_status;
mod events;
mod fixture;
mod golden;
mod hostile;
mod mail;
mod settings;
mod steps;
mod templates;
