//! Step 11 of the walk, for brokers: the calls of an event are found, and one of them is carried out.

use std::time::Duration;

use madake_brokers::{
    Action, Answer as Reply, BrokerEvent, Call, Exchange, Execution, HttpCall, Mail as Letter, Step, Verdict,
};
use madake_domain::delivery::{Answer, ErrorKind, Progress, RetryAfter, Schedule};
use madake_outgoing::client::{Request, RequestOptions, TlsOptions};
use madake_outgoing::mail::{Attachment, Mail, MailError};
use madake_store::Millis;
use madake_store::delivery::{self, Attempt, Body, Delivery, NewDelivery};
use madake_store::receiver::Receiver;
use uuid::Uuid;

use super::broker::{self, BrokerSettings, CALL};
use super::deliver::{KEPT_BODY, Sent, shown_timings};
use super::patch;
use crate::{Engine, EngineError, clock};

/// The kind of deliveries that try a receiver out, whatever it asked for.
const TEST: &str = "test";

/// Makes the call of a delivery to a broker.
pub(super) async fn send(
    engine: &Engine,
    receiver: &Receiver,
    one: &Delivery,
    leased: &Progress,
    body: Body,
    mut attempt: Attempt,
) -> Sent {
    let (event, call) = match find_call(engine, receiver, one, leased, &body).await {
        Ok(Found::Call(event, call)) => (event, call),
        Ok(Found::Nothing(why)) => {
            attempt.answer = format!("nothing to send: {why}");
            return sent(Answer::Nothing, attempt);
        }
        Err(error) => {
            attempt.answer = format!("it could not be put together: {error}");
            return sent(Answer::Error(ErrorKind::Request), attempt);
        }
    };
    match call.action {
        Action::Http(exchange) => converse(engine, receiver, &exchange, attempt).await,
        Action::Mail(letter) => post(engine, receiver, one, &event, letter, attempt).await,
        Action::Execute(execution) => execute(engine, &execution, attempt).await,
    }
}

enum Found {
    Call(Box<BrokerEvent>, Call),
    Nothing(String),
}

/// The call that a delivery stands for. The first time, an event with several calls becomes several deliveries, so
/// that each is tried again alone.
async fn find_call(
    engine: &Engine,
    receiver: &Receiver,
    one: &Delivery,
    leased: &Progress,
    body: &Body,
) -> Result<Found, EngineError> {
    let event: BrokerEvent = serde_json::from_slice(&body.body)
        .map_err(|error| EngineError::Invalid(format!("the stored event cannot be read: {error}")))?;
    let broker = broker::open(engine, receiver)?;
    let planned = if one.kind == TEST {
        broker.all_calls(&event)
    } else {
        broker.calls(&event)
    };
    let planned = planned.map_err(|error| EngineError::Invalid(error.to_string()))?;
    let mut calls = planned.calls;
    let key = body
        .headers
        .iter()
        .find(|(name, _)| name == CALL)
        .map(|(_, key)| key);
    if let Some(key) = key {
        let found = calls.into_iter().find(|call| call.key == *key);
        return Ok(match found {
            Some(call) => Found::Call(Box::new(event), call),
            None => Found::Nothing(format!(
                "with the settings of now, the event has no call `{}` any more",
                madake_domain::text::inert(key, 100)
            )),
        });
    }
    if calls.is_empty() {
        let why = planned
            .why_fewer
            .unwrap_or_else(|| "the event has no call".into());
        return Ok(Found::Nothing(why));
    }
    let rest = calls.split_off(1);
    let first = calls.remove(0);
    if !rest.is_empty() {
        split(engine, receiver, one, leased, body, &first, &rest).await?;
    }
    Ok(Found::Call(Box::new(event), first))
}

/// The delivery keeps the first call; each other one becomes a delivery of its own, in one transaction.
async fn split(
    engine: &Engine,
    receiver: &Receiver,
    one: &Delivery,
    leased: &Progress,
    body: &Body,
    first: &Call,
    rest: &[Call],
) -> Result<(), EngineError> {
    let header = |call: &Call| vec![(CALL.to_owned(), call.key.clone())];
    let others: Vec<NewDelivery> = rest
        .iter()
        .map(|call| NewDelivery {
            uid: Uuid::now_v7().to_string(),
            receiver_id: receiver.id,
            event_id: one.event_id,
            kind: one.kind.clone(),
            summary: format!("{}: {}", one.summary, call.title),
            ordering: one.ordering,
            content_type: body.content_type.clone(),
            headers: header(call),
            body: body.body.clone(),
        })
        .collect();
    let (id, leased) = (one.id, leased.clone());
    let (headers, summary) = (header(first), format!("{}: {}", one.summary, first.title));
    engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            // Somebody else may have it since.
            if delivery::by_id(tx, id)?.is_none_or(|now| now.progress != leased) {
                return Err(EngineError::Conflict("the lease is lost".into()));
            }
            delivery::set_headers(tx, id, &headers, &summary)?;
            let progress = Progress::new(&Schedule::standard(), now, 0.5);
            for other in &others {
                delivery::insert(tx, other, &progress, now)?;
            }
            Ok(())
        })
        .await
}

/// Sends the requests of an exchange, each after the answer of the one before.
async fn converse(engine: &Engine, receiver: &Receiver, exchange: &Exchange, mut attempt: Attempt) -> Sent {
    let options = match request_options(receiver) {
        Ok(options) => options,
        Err(error) => {
            attempt.answer = format!("it could not be put together: {error}");
            return sent(Answer::Error(ErrorKind::Request), attempt);
        }
    };
    let mut replies: Vec<Reply> = Vec::new();
    let mut retry_after: Option<RetryAfter> = None;
    loop {
        let call = match exchange.next(&replies) {
            Step::Send(call) => call,
            Step::End(verdict) => {
                let status = replies.last().map(|reply| reply.status);
                let (answer, sentence) = judged(verdict, status);
                attempt.answer = sentence;
                return Sent {
                    answer,
                    retry_after,
                    attempt,
                };
            }
        };
        note_request(&mut attempt, &call);
        let outcome = engine.outgoing().send(request_of(&call, &options)).await;
        let timings = match &outcome {
            Ok(outcome) => &outcome.timings,
            Err(failure) => &failure.timings,
        };
        attempt.duration_ms += i64::try_from(timings.total.as_millis()).unwrap_or(i64::MAX);
        attempt.timings = shown_timings(timings);
        match outcome {
            Ok(outcome) => {
                let text = String::from_utf8_lossy(&outcome.body_start).into_owned();
                attempt.status = Some(i64::from(outcome.status));
                attempt.response_headers = outcome
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone(), shown_header(name, &call.cover(value))))
                    .collect();
                attempt.response_body = call.cover(&text).into_bytes();
                attempt.response_body.truncate(KEPT_BODY);
                attempt.address = outcome
                    .remote_address
                    .map_or_else(String::new, |address| address.to_string());
                retry_after = outcome.retry_after;
                replies.push(Reply {
                    status: outcome.status,
                    headers: outcome.headers,
                    body: text,
                });
            }
            Err(failure) => {
                attempt.answer = failure.sentence;
                return sent(Answer::Error(failure.kind), attempt);
            }
        }
    }
}

/// A session of the receiver is as good as a password.
fn shown_header(name: &str, value: &str) -> String {
    if name.eq_ignore_ascii_case("set-cookie") {
        madake_brokers::COVER.to_owned()
    } else {
        value.to_owned()
    }
}

fn note_request(attempt: &mut Attempt, call: &HttpCall) {
    let shown = call.shown();
    attempt.request_headers = vec![("Request".to_owned(), format!("{} {}", shown.method, shown.url))];
    attempt.request_headers.extend(shown.headers);
    attempt.status = None;
    attempt.response_headers.clear();
    attempt.response_body.clear();
}

fn request_of(call: &HttpCall, options: &RequestOptions) -> Request {
    use madake_brokers::Method;
    Request {
        method: match call.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        },
        url: call.url.clone(),
        headers: call.headers.clone(),
        body: call.body.clone(),
        options: options.clone(),
    }
}

fn request_options(receiver: &Receiver) -> Result<RequestOptions, EngineError> {
    let kept = BrokerSettings::of(receiver)?;
    Ok(RequestOptions {
        tls: TlsOptions {
            verify: kept.verify_tls,
            extra_ca_pem: kept.authorities,
            identity_pem: None,
        },
        authorization: None,
        total_timeout: kept.timeout_seconds.map(Duration::from_secs),
    })
}

/// What a verdict means for the delivery, and the sentence for the log.
fn judged(verdict: Verdict, status: Option<u16>) -> (Answer, String) {
    match verdict {
        Verdict::Ok(note) => {
            let answer = match status {
                Some(status @ 200..=299) => Answer::Status(status),
                _ => Answer::Taken,
            };
            let sentence = note.map_or_else(|| answer.to_string(), |note| format!("{answer}: {note}"));
            (answer, sentence)
        }
        Verdict::Retry(why) => {
            let answer = match status {
                Some(status @ 411..=599) => Answer::Status(status),
                _ => Answer::Later,
            };
            (answer, why)
        }
        Verdict::Refused(why) => (Answer::Refused, why),
    }
}

/// Hands a mail to the mail server.
async fn post(
    engine: &Engine,
    receiver: &Receiver,
    one: &Delivery,
    event: &BrokerEvent,
    letter: Letter,
    mut attempt: Attempt,
) -> Sent {
    let Some(mailer) = engine.mailer() else {
        attempt.answer = NO_MAIL_SERVER.into();
        return sent(Answer::Later, attempt);
    };
    let mut text = letter.text;
    let mut attachment = None;
    if let Some(wanted) = &letter.patch {
        match patch::make(engine, receiver.repository_id, event, wanted).await {
            Ok(content) => {
                attachment = Some(Attachment {
                    name: wanted.file_name.clone(),
                    content,
                });
            }
            Err(error) => text.push_str(&format!("\nThe patch could not be made: {error}\n")),
        }
    }
    attempt.request_headers = vec![
        ("To".to_owned(), letter.to.join(", ")),
        ("Subject".to_owned(), letter.subject.clone()),
    ];
    let began = std::time::Instant::now();
    let outcome = mailer
        .send(&Mail {
            to: letter.to,
            reply_to: letter.reply_to,
            subject: letter.subject,
            text,
            html: None,
            attachment,
            message_id: Some(engine.message_id(&one.uid)),
            in_reply_to: None,
            date_ms: event.time_ms,
        })
        .await;
    attempt.duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    let (answer, sentence) = match outcome {
        Ok(()) => (Answer::Taken, "taken by the mail server".to_owned()),
        Err(error) => (mail_answer(&error), error.to_string()),
    };
    attempt.answer = sentence;
    sent(answer, attempt)
}

/// What it means that a mail server did not take a message.
pub(crate) fn mail_answer(error: &MailError) -> Answer {
    match error {
        MailError::Timeout { .. } => Answer::Error(ErrorKind::Timeout),
        MailError::Connection { .. } => Answer::Error(ErrorKind::Connect),
        MailError::Rejected { permanent: false, .. } => Answer::Later,
        _ => Answer::Refused,
    }
}

/// Why no mail is sent.
pub(crate) const NO_MAIL_SERVER: &str =
    "this server has no mail server; an administrator names one in the section [mail] of its configuration";

/// Runs a program that an administrator allowed.
async fn execute(engine: &Engine, execution: &Execution, mut attempt: Attempt) -> Sent {
    attempt.request_headers = vec![("Program".to_owned(), execution.program.clone())];
    let began = std::time::Instant::now();
    let run = madake_agent::program::run(
        &engine.settings().program,
        execution.program.as_ref(),
        &execution.stdin,
        Duration::from_secs(execution.timeout_s),
    );
    let ended = tokio::select! {
        ended = run => ended,
        // The program ends with the server; the delivery is taken up by the next one.
        () = engine.stopping().cancelled() => {
            attempt.answer = "the server stopped while the program ran".into();
            return sent(Answer::Later, attempt);
        }
    };
    attempt.duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    let (answer, sentence) = match ended {
        Ok(ended) => {
            attempt.response_body = ended.output;
            judged(execution.judge(ended.code), None)
        }
        Err(error) => (
            Answer::Refused,
            format!("the program could not be started: {error}"),
        ),
    };
    attempt.answer = sentence;
    sent(answer, attempt)
}

fn sent(answer: Answer, attempt: Attempt) -> Sent {
    Sent {
        answer,
        retry_after: None,
        attempt,
    }
}

/// An attempt that has not been made yet.
pub(super) fn blank_attempt(number: u32, began_ms: Millis) -> Attempt {
    Attempt {
        number: i64::from(number),
        began_ms,
        duration_ms: 0,
        address: String::new(),
        request_headers: Vec::new(),
        status: None,
        response_headers: Vec::new(),
        response_body: Vec::new(),
        answer: String::new(),
        timings: "{}".into(),
    }
}
