//! Which product sent a delivery, by its headers and the shape of its body; and the way from bytes to a
//! push.
//!
//! GitHub, GitLab, Gitea, Forgejo and Gogs are known by the names of their event headers. The event header of
//! Bitbucket narrows the choice, and the shape of the body decides: one value of it is shared by products whose
//! bodies differ (push-payloads.md B.5, C.4, D; hostile-inputs.md W20).

use crate::error::{NotAPush, PushError};
use crate::forge::Event;
use crate::json::{self, Value};
use crate::push::{Push, SenderFormat};
use crate::{
    Limits, bitbucket_cloud, bitbucket_dc, cloud_post, form, gitea, github, gitlab, native, post_receive,
    post_webhooks, text,
};

const EVENT_KEY: &str = "X-Event-Key";
/// How much of a header an error repeats, in bytes.
const HEADER_SHOWN_BYTES: usize = 64;
/// Senders that have an event header of their own. The specific ones stand first, since Forgejo and Gitea
/// send the headers of their relatives, too (push-payloads.md D).
const FORGES: [(&str, SenderFormat); 5] = [
    ("X-Forgejo-Event", SenderFormat::Forgejo),
    ("X-Gitea-Event", SenderFormat::Gitea),
    ("X-Gogs-Event", SenderFormat::Gogs),
    ("X-GitHub-Event", SenderFormat::GitHub),
    ("X-Gitlab-Event", SenderFormat::GitLab),
];
/// Senders that are known by their header, and not read.
const UNSUPPORTED: [(&str, &str); 1] = [("X-Gitee-Event", "Gitee")];
/// Headers that name a delivery, the same over its retries. `X-Hook-UUID` of Bitbucket Cloud and `X-Gitlab-Event-UUID`
/// are none: the first names the webhook, and two refs of one push share the second.
const DELIVERY_IDS: [&str; 9] = [
    "webhook-id",
    "X-Forgejo-Delivery",
    "X-Gitea-Delivery",
    "X-Gogs-Delivery",
    "X-GitHub-Delivery",
    "Idempotency-Key",
    "X-Request-UUID",
    "X-Request-Id",
    "X-Delivery",
];
/// The longest id that is believed to be one, in bytes.
const DELIVERY_ID_BYTES: usize = 200;

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
    parse_as(sender_of(headers, &payload)?, headers, &payload, limits)
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
    parse_as(sender, headers, &json::parse(&text, limits)?, limits)
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

/// The id that the sender gave a delivery, the same over its retries; nothing where it gives none. It is unique among
/// the deliveries of one webhook at best.
pub fn delivery_id<'a>(headers: &[(&str, &'a str)]) -> Option<&'a str> {
    DELIVERY_IDS
        .into_iter()
        .filter_map(|name| header(headers, name))
        .find(|id| !id.is_empty() && id.len() <= DELIVERY_ID_BYTES)
}

fn parse_as(
    sender: SenderFormat,
    headers: &[(&str, &str)],
    payload: &Value<'_>,
    limits: &Limits,
) -> Result<Push, PushError> {
    let event = || forge_event(headers).and_then(|(_, event)| Event::from_name(event));
    match sender {
        SenderFormat::PostReceive => post_receive::parse(payload, limits),
        SenderFormat::CloudPost => cloud_post::parse(payload, limits),
        SenderFormat::BitbucketDc => bitbucket_dc::parse(payload, limits),
        SenderFormat::BitbucketCloud => bitbucket_cloud::parse(payload, limits),
        SenderFormat::PostWebhooks => post_webhooks::parse(payload, limits),
        SenderFormat::GitHub => github::parse(event(), payload, limits),
        SenderFormat::GitLab => gitlab::parse(payload, limits),
        SenderFormat::Gitea | SenderFormat::Forgejo | SenderFormat::Gogs => {
            gitea::parse(sender, event(), payload, limits)
        }
        SenderFormat::Native => native::parse(payload, limits),
    }
}

pub(crate) fn header<'a>(headers: &[(&str, &'a str)], wanted: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| *value)
}

/// The forge that has an event header of its own, and the event.
fn forge_event<'a>(headers: &[(&str, &'a str)]) -> Option<(SenderFormat, &'a str)> {
    FORGES
        .into_iter()
        .find_map(|(name, sender)| Some((sender, header(headers, name)?)))
}

/// What the headers alone rule out.
pub(crate) fn refusal_by_header(headers: &[(&str, &str)]) -> Option<NotAPush> {
    if let Some((sender, event)) = forge_event(headers) {
        return refusal_of_forge(sender, event);
    }
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

fn refusal_of_forge(sender: SenderFormat, event: &str) -> Option<NotAPush> {
    let moves_refs = match sender {
        // System hooks share one header: what happened stands in the body.
        SenderFormat::GitLab => matches!(event, "Push Hook" | "Tag Push Hook" | "System Hook"),
        _ => Event::from_name(event).is_some(),
    };
    if moves_refs {
        None
    } else if event == "ping" {
        Some(NotAPush::Ping)
    } else {
        Some(NotAPush::OtherEvent(text::line(event, HEADER_SHOWN_BYTES)))
    }
}

fn sender_of(headers: &[(&str, &str)], payload: &Value<'_>) -> Result<SenderFormat, NotAPush> {
    if let Some((sender, _)) = forge_event(headers) {
        return Ok(sender);
    }
    let shape = shape_of(payload).ok_or(NotAPush::UnknownShape)?;
    let fits = |event| match shape {
        SenderFormat::BitbucketDc => event == "repo:refs_changed",
        SenderFormat::BitbucketCloud => event == "repo:push",
        SenderFormat::PostWebhooks => true,
        // None of them sends this header: it is how receivers tell them apart (push-payloads.md A.1).
        _ => false,
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
    } else if native::fits(payload) {
        Some(SenderFormat::Native)
    } else if payload.field("changes").is_some() && repository.is_some() {
        Some(SenderFormat::BitbucketDc)
    } else {
        None
    }
}
