//! Reads deliveries of GitHub: `push`, and `create` and `delete`, which go with it (push-payloads.md D).
//!
//! A push names one ref and lists at most 2048 commits, in earlier years 20; a force push does not list what it took
//! away.

use crate::Limits;
use crate::error::PushError;
use crate::forge::{self, Dialect, Event};
use crate::json::Value;
use crate::push::{Push, SenderFormat};

pub(crate) const DIALECT: Dialect = Dialect {
    sender: SenderFormat::GitHub,
    addresses: &["clone_url", "ssh_url", "git_url", "html_url"],
};

/// Turns a payload into a push.
pub(crate) fn parse(event: Option<Event>, payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    forge::parse(&DIALECT, event, payload, limits)
}
