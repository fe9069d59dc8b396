//! Sends messages: a few at once to the mail server and to each host of a webhook, each attempt recorded, each message
//! tried again alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use madake_domain::delivery::{Answer, Class, ErrorKind, Progress, RetryAfter, Schedule};
use madake_domain::mask::Masks;
use madake_domain::text::inert;
use madake_formats::outgoing::notification::{CONTENT_TYPE, addressed};
use madake_outgoing::client::{Request, RequestOptions};
use madake_outgoing::mail::Mail;
use madake_store::notification::{self as store, Message, MessageAttempt};
use madake_store::{Millis, StoreError, Topic, Tx, build, event};

use super::settle::Content;
use crate::telling::{NO_MAIL_SERVER, jitter, mail_answer};
use crate::{Engine, EngineError, clock};

/// How many due messages are looked at.
const LOOKED_AT: i64 = 500;
/// How many of them are of one line.
const LOOKED_AT_OF_LINE: i64 = 4;
/// How many mails are handed over at once.
const MAILS_AT_ONCE: usize = 4;
/// How many webhooks of one host are called at once.
const CALLS_AT_ONCE: usize = 2;
/// How long an attempt may take, with everything around it. A server that starts takes all leases back.
const LEASE_MS: Millis = 180_000;
/// The lane of all mails.
const MAIL: &str = "mail";

/// How many messages are under way in each lane: the mail server is one, each host of webhooks another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes {
    busy: Arc<Mutex<HashMap<String, usize>>>,
}

/// A place in a lane, free again when this is dropped.
#[derive(Debug)]
struct Place {
    lanes: Lanes,
    lane: String,
}

impl Lanes {
    fn take(&self, lane: &str) -> Option<Place> {
        let most = if lane == MAIL {
            MAILS_AT_ONCE
        } else {
            CALLS_AT_ONCE
        };
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let count = busy.entry(lane.to_owned()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place {
            lanes: self.clone(),
            lane: lane.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut busy = self.lanes.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = busy.get_mut(&self.lane) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.lane);
            }
        }
    }
}

/// Takes back what the last server left. A home is used by one process, so nobody else holds a lease.
///
/// # Errors
/// When the store cannot be read or written.
pub(crate) async fn recover(engine: &Engine) -> Result<(), EngineError> {
    engine
        .store()
        .write(|tx| {
            let now = clock::now_ms();
            for one in store::open_messages(tx)? {
                if let Ok(back) = one.progress.clone().abandon(&Schedule::standard(), now) {
                    store::advance(tx, one.id, &one.progress, &back)?;
                }
            }
            Ok::<_, EngineError>(())
        })
        .await
}

/// Sends what is due as far as there are places; says when something is due next.
pub(super) async fn dispatch(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    if engine.stopping().is_cancelled() {
        return Ok(None);
    }
    let now = clock::now_ms();
    let (due, next) = engine
        .store()
        .read(move |tx| {
            Ok::<_, EngineError>((
                store::due_messages(tx, now, LOOKED_AT_OF_LINE, LOOKED_AT)?,
                store::next_due_ms(tx, now)?,
            ))
        })
        .await?;
    let mut chosen = Vec::new();
    for one in due {
        let Some(place) = engine.notifying_lanes().take(&lane(&one.medium, &one.address)) else {
            continue;
        };
        let waiting = match one.progress.clone() {
            // The lease ran out: whoever held it is gone.
            leased @ Progress::Leased { .. } => leased.reclaim(&Schedule::standard(), now, 0.5).ok(),
            other => Some(other),
        };
        if let Some(lease) = waiting.and_then(|one| one.lease(now, now + LEASE_MS).ok()) {
            chosen.push((one, lease, place));
        }
    }
    if !chosen.is_empty() {
        let moves: Vec<(i64, Progress, Progress)> = chosen
            .iter()
            .map(|(one, lease, _)| (one.id, one.progress.clone(), lease.clone()))
            .collect();
        let taken = engine
            .store()
            .write(move |tx| {
                let mut taken = Vec::with_capacity(moves.len());
                for (id, from, to) in &moves {
                    taken.push(store::advance(tx, *id, from, to)?);
                }
                Ok::<_, EngineError>(taken)
            })
            .await?;
        for ((one, lease, place), got) in chosen.into_iter().zip(taken) {
            if got {
                let task = engine.clone();
                engine.loops().spawn(async move {
                    attempt(&task, one, lease).await;
                    drop(place);
                    task.store().wakes().ring(Topic::Notices);
                });
            }
        }
    }
    Ok(next.map(|next| {
        let pause = (next - clock::now_ms()).max(1);
        Duration::from_millis(u64::try_from(pause).unwrap_or(1))
    }))
}

/// Mails share a lane; each host of webhooks has its own, so that none waits for another.
pub(super) fn lane(medium: &str, address: &str) -> String {
    if medium == MAIL {
        return MAIL.to_owned();
    }
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!(
        "to {}",
        authority.rsplit('@').next().unwrap_or_default().to_lowercase()
    )
}

/// What came of an attempt.
struct Outcome {
    answer: Answer,
    retry_after: Option<RetryAfter>,
    sentence: String,
}

impl Outcome {
    fn new(answer: Answer, sentence: impl Into<String>) -> Self {
        Self {
            answer,
            retry_after: None,
            sentence: sentence.into(),
        }
    }
}

async fn attempt(engine: &Engine, one: Message, lease: Progress) {
    let began_ms = clock::now_ms();
    let began = Instant::now();
    let outcome = match serde_json::from_str(&one.content) {
        Ok(Content::Mail { text, html, at_ms }) => post(engine, &one, text, html, at_ms).await,
        Ok(Content::Webhook { body: Some(body), .. }) => call(engine, &one, body).await,
        Ok(Content::Webhook { name, body: None }) => match body_of(engine, &one, name.as_deref()).await {
            Ok(body) => call(engine, &one, body).await,
            Err(outcome) => outcome,
        },
        Err(error) => Outcome::new(
            Answer::Error(ErrorKind::Request),
            format!("the stored message cannot be read: {error}"),
        ),
    };
    let record = MessageAttempt {
        number: i64::from(lease.attempts()),
        began_ms,
        duration_ms: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
        answer: outcome.sentence.clone(),
    };
    let failed = !matches!(outcome.answer.class(), Class::Success | Class::Nothing);
    if failed {
        tracing::warn!(
            message = one.id,
            "message {} to {} was not taken: {}",
            one.id,
            one.recipient,
            outcome.sentence
        );
    } else {
        tracing::info!(
            message = one.id,
            "told {} by {}: {}",
            one.recipient,
            one.medium,
            one.subject
        );
    }
    let id = one.id;
    // What a receiver says is for those who may see the attempts; the ledger is read by more.
    let told = outcome.answer.to_string();
    let stored = engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            let next = lease.clone().answered(
                &Schedule::standard(),
                outcome.answer,
                now,
                outcome.retry_after,
                jitter(),
            );
            let Ok(next) = next else { return Ok(()) };
            if store::advance(tx, one.id, &lease, &next)? {
                store::insert_attempt(tx, one.id, &record)?;
                if failed && matches!(next, Progress::Ended { .. }) {
                    note_end(tx, &one, &told, now)?;
                }
            }
            Ok::<_, EngineError>(())
        })
        .await;
    if let Err(error) = stored {
        tracing::error!(
            message = id,
            "what came of message {id} could not be stored: {error}"
        );
    }
}

/// Adds a line to the build's entry in the ledger: somebody was not told after all.
fn note_end(tx: &Tx<'_>, one: &Message, answer: &str, now: Millis) -> Result<(), EngineError> {
    let Some(build_id) = store::notice(tx, one.notice_id)?.and_then(|notice| notice.build_id) else {
        return Ok(());
    };
    let event_id = match build::by_id(tx, build_id) {
        Ok(build) => build.event_id,
        Err(StoreError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(event_id) = event_id {
        // An address of the plan file is for its administrators.
        let who = if one.recipient.contains('@') {
            "an address of the plan"
        } else {
            &one.recipient
        };
        let text = format!("{who} could not be told by {}: {answer}", one.medium);
        event::note(tx, event_id, "warning", &text, now)?;
    }
    Ok(())
}

/// The body of a call.
async fn body_of(engine: &Engine, one: &Message, name: Option<&str>) -> Result<String, Outcome> {
    let id = one.body_id;
    let found = engine
        .store()
        .read(move |tx| id.map_or(Ok(None), |id| store::body(tx, id)))
        .await
        .map_err(|error| Outcome::new(Answer::Later, format!("its body cannot be read yet: {error}")))?;
    found
        .and_then(|body| as_sent(&body, &one.uid, name))
        .ok_or_else(|| {
            let sentence = "the stored message cannot be read: it has no body";
            Outcome::new(Answer::Error(ErrorKind::Request), sentence)
        })
}

/// The body that all calls of a notice have, as this one is sent it; `None`: it is none.
fn as_sent(body: &str, uid: &str, name: Option<&str>) -> Option<String> {
    match name {
        None => Some(body.to_owned()),
        Some(name) => {
            let body = serde_json::from_str(body).ok()?;
            Some(addressed(body, uid, name).to_string())
        }
    }
}

/// The body of a call, for people; `None`: the message is no call.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn shown_body(tx: &Tx<'_>, one: &Message) -> Result<Option<String>, StoreError> {
    let (Some(id), Ok(Content::Webhook { name, .. })) = (one.body_id, serde_json::from_str(&one.content))
    else {
        return Ok(None);
    };
    Ok(store::body(tx, id)?.and_then(|body| as_sent(&body, &one.uid, name.as_deref())))
}

async fn post(engine: &Engine, one: &Message, text: String, html: String, at_ms: Millis) -> Outcome {
    let Some(mailer) = engine.mailer() else {
        return Outcome::new(Answer::Later, NO_MAIL_SERVER);
    };
    let mail = Mail {
        to: vec![one.address.clone()],
        subject: one.subject.clone(),
        text,
        html: Some(html),
        message_id: Some(engine.message_id(&one.uid)),
        date_ms: at_ms,
        ..Mail::default()
    };
    match mailer.send(&mail).await {
        Ok(()) => Outcome::new(Answer::Taken, "taken by the mail server"),
        Err(error) => Outcome::new(mail_answer(&error), error.to_string()),
    }
}

async fn call(engine: &Engine, one: &Message, body: String) -> Outcome {
    let cover = cover_of(&one.address);
    let request = Request {
        method: Method::POST,
        url: one.address.clone(),
        headers: vec![
            ("Content-Type".to_owned(), CONTENT_TYPE.to_owned()),
            ("X-Madake-Delivery".to_owned(), one.uid.clone()),
        ],
        body: body.into_bytes(),
        options: RequestOptions::default(),
    };
    match engine.outgoing().send(request).await {
        Ok(outcome) => {
            let answer = Answer::Status(outcome.status);
            let said = inert(&String::from_utf8_lossy(&outcome.body_start), 200);
            let sentence = if answer.class() == Class::Success || said.is_empty() {
                answer.to_string()
            } else {
                format!("{answer}: {said}")
            };
            Outcome {
                answer,
                retry_after: outcome.retry_after,
                sentence: cover.apply_to_text(&sentence).into_owned(),
            }
        }
        Err(failure) => Outcome::new(
            Answer::Error(failure.kind),
            cover.apply_to_text(&failure.sentence).into_owned(),
        ),
    }
}

/// Covers what lets others call a webhook: the end of its path, and its query.
fn cover_of(url: &str) -> Masks {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    Masks::new(path.split(['/', '?', '&', '=']).filter(|part| part.len() >= 8))
}

/// The address of a webhook for people: scheme and host, and that there is more.
pub(crate) fn shown_address(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "an address that is none".to_owned();
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = inert(authority.rsplit('@').next().unwrap_or_default(), 200);
    let scheme = inert(scheme, 10);
    if path.is_empty() {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}/…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_share_a_lane_and_each_host_has_its_own() {
        let rows = [
            ("mail", "a@example.org", "mail"),
            (
                "webhook",
                "https://u:p@Chat.example:8443/hooks/x",
                "to chat.example:8443",
            ),
            ("webhook", "https://other.example?x=1", "to other.example"),
        ];
        for (medium, address, expected) in rows {
            assert_eq!(lane(medium, address), expected);
        }
    }

    #[test]
    fn lane_has_few_places_and_gets_them_back() {
        let lanes = Lanes::default();
        let first = lanes.take("to x").expect("a place");
        let second = lanes.take("to x").expect("a place");
        assert!(lanes.take("to x").is_none());
        assert!(lanes.take("to y").is_some(), "another host waits for nobody");
        drop(first);
        assert!(lanes.take("to x").is_some());
        drop(second);
        assert!(lanes.busy.lock().expect("a look").is_empty());
    }

    #[test]
    fn addresses_of_webhooks_are_shown_without_their_secrets() {
        let rows = [
            (
                "https://hooks.slack.com/services/T0/B0/abcdefgh",
                "https://hooks.slack.com/…",
            ),
            ("https://user:secret@chat.example", "https://chat.example"),
            ("nonsense", "an address that is none"),
        ];
        for (url, expected) in rows {
            assert_eq!(shown_address(url), expected);
        }
        let cover = cover_of("https://hooks.slack.com/services/T0/B0/abcdefghijkl?sig=0123456789abcdef");
        let text = cover.apply_to_text("no abcdefghijkl at 0123456789abcdef");
        assert_eq!(text, "no ******** at ********");
    }
}
