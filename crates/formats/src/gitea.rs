//! Reads deliveries of Gitea, Forgejo and Gogs: `push`, `create` and `delete` (push-payloads.md D).
//!
//! They list as many commits as their front page shows (five, usually), and no sign of a force push. Gogs sends no push
//! for a tag and for what is deleted: `create` and `delete` are all that is told then.

use crate::Limits;
use crate::error::PushError;
use crate::forge::{self, Dialect, Event};
use crate::json::Value;
use crate::push::{Push, SenderFormat};

/// Turns a payload of `sender`, one of the three, into a push.
pub(crate) fn parse(
    sender: SenderFormat,
    event: Option<Event>,
    payload: &Value<'_>,
    limits: &Limits,
) -> Result<Push, PushError> {
    forge::parse(&dialect(sender), event, payload, limits)
}

/// What one of the three calls things.
pub(crate) fn dialect(sender: SenderFormat) -> Dialect {
    Dialect {
        sender,
        addresses: &["clone_url", "ssh_url", "html_url"],
    }
}
