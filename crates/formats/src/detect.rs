//! Which product sent a delivery, by its headers and the shape of its body; and the way from bytes to a
//! push.
//!
//! The event header narrows the choice, the shape of the body decides: one header value is shared by
//! products whose bodies differ (push-payloads.md B.5, C.4; hostile-inputs.md W20).

use crate::error::{NotAPush, PushError};
use crate::json::{self, Value};
use crate::push::{Push, SenderFormat};
use crate::{Limits, bitbucket_cloud, bitbucket_dc, cloud_post, form, post_receive, post_webhooks, text};

const EVENT_KEY: &str = "X-Event-Key";
/// How much of a header an error repeats, in bytes.
const HEADER_SHOWN_BYTES: usize = 64;
/// Senders that have an event header of their own. The specific ones stand first, since Forgejo and Gitea
/// send the headers of their relatives, too (push-payloads.md D).
const UNSUPPORTED: [(&str, &str); 5] = [
    ("X-Forgejo-Event", "Forgejo"),
    ("X-Gitea-Event", "Gitea"),
    ("X-Gogs-Event", "Gogs"),
    ("X-GitHub-Event", "GitHub"),
    ("X-Gitlab-Event", "GitLab"),
];

/// Reads a delivery of any supported sender. `headers` are (name, value) pairs, names in any case.
///
/// # Errors
///
/// [`PushError`] when the body cannot be read, is no push, or breaks a rule of its format.
pub fn read_push(headers: &[(&str, &str)], body: &[u8], limits: &Limits) -> Result<Push, PushError> {
    if let Some(reason) = refusal_by_header(headers) {
        return Err(reason.into());
    }
    let text = form::json_text(header(headers, "Content-Type"), body, limits)?;
    let payload = json::parse(&text, limits)?;
    parse_as(sender_of(headers, &payload)?, &payload, limits)
}

/// Reads a delivery in the given format, whatever its shape suggests: for addresses that belong to one
/// sender.
///
/// # Errors
///
/// [`PushError`] when the headers say that it is no push, or the body cannot be read or breaks a rule of
/// the format.
pub fn read_push_as(
    sender: SenderFormat,
    headers: &[(&str, &str)],
    body: &[u8],
    limits: &Limits,
) -> Result<Push, PushError> {
    if let Some(reason) = refusal_by_header(headers) {
        return Err(reason.into());
    }
    let text = form::json_text(header(headers, "Content-Type"), body, limits)?;
    parse_as(sender, &json::parse(&text, limits)?, limits)
}

/// Says which sender a delivery is of.
///
/// # Errors
///
/// [`PushError::NotAPush`] says why nobody can tell or why it is no push; the other variants say why the
/// body cannot be read at all.
pub fn detect(headers: &[(&str, &str)], body: &[u8], limits: &Limits) -> Result<SenderFormat, PushError> {
    if let Some(reason) = refusal_by_header(headers) {
        return Err(reason.into());
    }
    let text = form::json_text(header(headers, "Content-Type"), body, limits)?;
    let payload = json::parse(&text, limits)?;
    Ok(sender_of(headers, &payload)?)
}

fn parse_as(sender: SenderFormat, payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    match sender {
        SenderFormat::PostReceive => post_receive::parse(payload, limits),
        SenderFormat::CloudPost => cloud_post::parse(payload, limits),
        SenderFormat::BitbucketDc => bitbucket_dc::parse(payload, limits),
        SenderFormat::BitbucketCloud => bitbucket_cloud::parse(payload, limits),
        SenderFormat::PostWebhooks => post_webhooks::parse(payload, limits),
    }
}

fn header<'a>(headers: &[(&str, &'a str)], wanted: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| *value)
}

/// What the headers alone rule out.
fn refusal_by_header(headers: &[(&str, &str)]) -> Option<NotAPush> {
    if let Some((_, sender)) = UNSUPPORTED
        .into_iter()
        .find(|(name, _)| header(headers, name).is_some())
    {
        return Some(NotAPush::UnsupportedSender(sender));
    }
    let event = header(headers, EVENT_KEY)?;
    let shown = || text::line(event, HEADER_SHOWN_BYTES);
    let is_event_key = |name: &str| name.eq_ignore_ascii_case(EVENT_KEY);
    if headers
        .iter()
        .any(|(name, value)| is_event_key(name) && *value != event)
    {
        return Some(NotAPush::HeaderMismatch(shown()));
    }
    match event {
        "repo:refs_changed" | "repo:push" => None,
        "diagnostics:ping" => Some(NotAPush::Ping),
        _ => Some(NotAPush::OtherEvent(shown())),
    }
}

fn sender_of(headers: &[(&str, &str)], payload: &Value<'_>) -> Result<SenderFormat, NotAPush> {
    let shape = shape_of(payload).ok_or(NotAPush::UnknownShape)?;
    let fits = |event| match shape {
        SenderFormat::BitbucketDc => event == "repo:refs_changed",
        SenderFormat::BitbucketCloud => event == "repo:push",
        SenderFormat::PostWebhooks => true,
        // Neither sends an event header: this is how receivers tell them apart (push-payloads.md A.1).
        SenderFormat::PostReceive | SenderFormat::CloudPost => false,
    };
    match header(headers, EVENT_KEY) {
        Some(event) if !fits(event) => Err(NotAPush::HeaderMismatch(text::line(event, HEADER_SHOWN_BYTES))),
        _ => Ok(shape),
    }
}

fn shape_of(payload: &Value<'_>) -> Option<SenderFormat> {
    let repository = payload.field("repository");
    let has = |key| repository.is_some_and(|repository| repository.field(key).is_some());
    if payload.field("refChanges").is_some() {
        Some(SenderFormat::PostReceive)
    } else if payload.field("push").is_some() {
        Some(if has("full_name") {
            SenderFormat::BitbucketCloud
        } else {
            SenderFormat::PostWebhooks
        })
    } else if payload.field("canon_url").is_some() && payload.field("commits").is_some() {
        Some(SenderFormat::CloudPost)
    } else if payload.field("changes").is_some() && repository.is_some() {
        Some(SenderFormat::BitbucketDc)
    } else {
        None
    }
}
