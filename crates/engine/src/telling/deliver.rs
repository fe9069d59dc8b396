//! Step 11 of the walk: deliveries are leased, signed and sent, each attempt is recorded, and what failed is tried
//! again on the schedule. A receiver that keeps failing is left alone for longer and longer; it delays no other.

use std::time::Duration;

use madake_domain::delivery::{Answer, Effect, Input, Policy, Progress, RetryAfter, step};
use madake_formats::outgoing::{Profile, Signing};
use madake_formats::signature;
use madake_formats::signature::standard_webhooks::{self, SigningSecret};
use madake_outgoing::client::{Request, Timings};
use madake_store::delivery::{Attempt, Body, Delivery};
use madake_store::receiver::{self, Receiver};
use madake_store::{Millis, Tx};

use super::broker::BROKER;
use super::{ReceiverSecrets, carry_out, profile_and_settings};
use crate::{Engine, EngineError};

/// The longest that a request may take: settings are held to it.
pub(crate) const LONGEST_TIMEOUT_SECONDS: u64 = 120;
/// Of an answer's body, this much is kept in the log.
pub(super) const KEPT_BODY: usize = 16 * 1024;

/// Moves the health of a receiver on and says what follows.
pub(crate) fn note_health(
    tx: &Tx<'_>,
    receiver_id: i64,
    input: Input,
    now: Millis,
) -> Result<Vec<Effect>, EngineError> {
    let Some(current) = receiver::by_id(tx, receiver_id)? else {
        return Ok(Vec::new());
    };
    let (health, effects) = step(&Policy::default(), current.health.clone(), input, now);
    if health != current.health {
        receiver::set_health(tx, receiver_id, &health)?;
    }
    Ok(effects)
}

/// An attempt and what it came to.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) answer: Answer,
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) attempt: Attempt,
}

/// Signs and sends one delivery. Nothing is stored.
pub(crate) async fn send(
    engine: &Engine,
    receiver: &Receiver,
    one: &Delivery,
    leased: &Progress,
    body: Body,
    began_ms: Millis,
) -> Sent {
    let number = leased.attempts();
    let mut attempt = carry_out::blank_attempt(number, began_ms);
    if receiver.kind == BROKER {
        return carry_out::send(engine, receiver, one, leased, body, attempt).await;
    }
    let request = match request(engine, receiver, one, number, body, began_ms) {
        Ok(request) => request,
        Err(error) => {
            attempt.answer = format!("it could not be put together: {error}");
            return Sent {
                answer: Answer::Error(madake_domain::delivery::ErrorKind::Request),
                retry_after: None,
                attempt,
            };
        }
    };
    attempt.request_headers.clone_from(&request.headers);
    let outcome = engine.outgoing().send(request).await;
    let (answer, retry_after, timings) = match outcome {
        Ok(outcome) => {
            attempt.status = Some(i64::from(outcome.status));
            attempt.response_headers = outcome.headers;
            attempt.response_body = outcome.body_start;
            attempt.response_body.truncate(KEPT_BODY);
            attempt.address = outcome
                .remote_address
                .map_or_else(String::new, |address| address.to_string());
            let answer = Answer::Status(outcome.status);
            attempt.answer = answer.to_string();
            (answer, outcome.retry_after, outcome.timings)
        }
        Err(failure) => {
            attempt.answer = failure.sentence;
            (Answer::Error(failure.kind), None, failure.timings)
        }
    };
    attempt.duration_ms = i64::try_from(timings.total.as_millis()).unwrap_or(i64::MAX);
    attempt.timings = shown_timings(&timings);
    Sent {
        answer,
        retry_after,
        attempt,
    }
}

pub(super) fn shown_timings(timings: &Timings) -> String {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    serde_json::json!({
        "queueMs": ms(timings.queue),
        "dnsMs": timings.dns.map(ms),
        "connectMs": timings.connect.map(ms),
        "firstByteMs": timings.first_byte.map(ms),
        "totalMs": ms(timings.total),
    })
    .to_string()
}

fn request(
    engine: &Engine,
    receiver: &Receiver,
    one: &Delivery,
    number: u32,
    body: Body,
    now: Millis,
) -> Result<Request, EngineError> {
    let (profile, settings) = profile_and_settings(receiver)?;
    let secrets = secrets_of(engine, receiver)?;
    let mut headers = vec![("Content-Type".to_owned(), body.content_type)];
    headers.extend(body.headers);
    if let Some(name) = profile.delivery_id_header() {
        headers.push((name.to_owned(), one.uid.clone()));
    }
    if let Some(name) = profile.attempt_header() {
        headers.push((name.to_owned(), number.to_string()));
    }
    if one.kind != "ping" {
        headers.extend(signatures(profile, &secrets, &one.uid, &body.body, now)?);
    }
    Ok(Request {
        method: http::Method::POST,
        url: receiver.url.clone(),
        headers,
        body: body.body,
        options: settings.request_options(&secrets),
    })
}

fn signatures(
    profile: Profile,
    secrets: &ReceiverSecrets,
    uid: &str,
    body: &[u8],
    now: Millis,
) -> Result<Vec<(String, String)>, EngineError> {
    let texts: Vec<&str> = [&secrets.secret, &secrets.previous_secret]
        .into_iter()
        .filter_map(|one| one.as_deref())
        .collect();
    let bytes: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    Ok(match profile.signing() {
        Signing::None => Vec::new(),
        Signing::Hub(name) => signature::sign_first(&bytes, body)
            .map(|value| (name.to_owned(), value))
            .into_iter()
            .collect(),
        Signing::GitHub => signature::sign_as_github(&bytes, body)
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        Signing::StandardWebhooks => {
            let keys: Vec<SigningSecret> = texts
                .iter()
                .filter_map(|text| SigningSecret::parse(text).ok())
                .collect();
            let keys: Vec<&SigningSecret> = keys.iter().collect();
            if keys.is_empty() {
                vec![("webhook-id".to_owned(), uid.to_owned())]
            } else {
                standard_webhooks::headers(uid, now, body, &keys)
                    .map_err(|error| EngineError::Internal(format!("it could not be signed: {error:?}")))?
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }
        }
    })
}

/// The secrets of a receiver.
pub(crate) fn secrets_of(engine: &Engine, receiver: &Receiver) -> Result<ReceiverSecrets, EngineError> {
    let Some(sealed) = &receiver.secrets else {
        return Ok(ReceiverSecrets::default());
    };
    let opened = engine
        .sealer()
        .open_sealed(&receiver::secrets_place(receiver.id), sealed)?;
    serde_json::from_slice(&opened)
        .map_err(|_| EngineError::Internal(format!("the secrets of receiver {} cannot be read", receiver.id)))
}

/// Between 0 and 1: how far off the schedule an attempt is made, so that many do not come at once.
pub(crate) fn jitter() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// A result with this answer.
#[cfg(test)]
pub(super) fn sent_for_tests(answer: Answer) -> Sent {
    Sent {
        answer,
        retry_after: None,
        attempt: Attempt {
            number: 1,
            began_ms: 0,
            duration_ms: 0,
            address: String::new(),
            request_headers: Vec::new(),
            status: None,
            response_headers: Vec::new(),
            response_body: Vec::new(),
            answer: String::new(),
            timings: "{}".into(),
        },
    }
}
