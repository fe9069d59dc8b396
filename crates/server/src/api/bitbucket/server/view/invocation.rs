//! Attempts to reach a webhook: the newest, and statistics (push-payloads.md B.4).

use madake_engine::ops::test_address::TestedAddress;
use madake_engine::ops::webhook_history::{Invocation, InvocationHistory};
use madake_store::delivery::Attempt;
use madake_store::delivery_history::{Outcome, Tried, outcome_of};
use serde_json::{Map, Value, json};

use super::webhook::REFS_CHANGED;

/// The event of a connection test.
const PING: &str = "diagnostics:ping";

/// `SUCCESS`, `FAILURE` or `ERROR`.
pub(crate) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "SUCCESS",
        Outcome::Failure => "FAILURE",
        Outcome::Error => "ERROR",
    }
}

/// The outcome of that name.
pub(crate) fn outcome_named(name: &str) -> Option<Outcome> {
    Outcome::ALL
        .into_iter()
        .find(|one| outcome_name(*one).eq_ignore_ascii_case(name))
}

/// One attempt with what was sent and what came back.
pub(crate) fn invocation(one: &Invocation, repository_id: i64, url: &str) -> Value {
    let body = one
        .body
        .as_ref()
        .map(|body| String::from_utf8_lossy(&body.body).into_owned());
    let mut shown = short(&one.tried, repository_id);
    shown["request"] = request(&one.tried.attempt, url, body.as_deref());
    shown["result"] = result(&one.tried.attempt);
    shown
}

/// `{request, result}` of a connection test.
pub(crate) fn tested(one: &TestedAddress) -> Value {
    let body = String::from_utf8_lossy(&one.body);
    json!({
        "request": request(&one.attempt, &one.url, Some(&body)),
        "result": result(&one.attempt),
    })
}

/// Counts and the newest attempt of each outcome. What never happened is left out.
pub(crate) fn statistics(history: &InvocationHistory, repository_id: i64) -> Value {
    let mut shown = Map::new();
    shown.insert(
        "counts".into(),
        json!({
            "errors": history.counts.errors,
            "failures": history.counts.failures,
            "successes": history.counts.successes,
            "window": {
                "start": history.since_ms,
                "duration": history.until_ms - history.since_ms,
            },
        }),
    );
    for (outcome, tried) in &history.newest {
        let name = match outcome {
            Outcome::Success => "lastSuccess",
            Outcome::Failure => "lastFailure",
            Outcome::Error => "lastError",
        };
        let mut one = short(tried, repository_id);
        one["request"] = json!({ "method": "POST" });
        one["result"] = json!({
            "description": description(&tried.attempt),
            "outcome": outcome_name(*outcome),
        });
        shown.insert(name.into(), one);
    }
    Value::Object(shown)
}

fn short(tried: &Tried, repository_id: i64) -> Value {
    let attempt = &tried.attempt;
    json!({
        "id": tried.id,
        "event": if tried.is_ping { PING } else { REFS_CHANGED },
        "eventScope": { "id": repository_id.to_string(), "type": "repository" },
        "duration": attempt.duration_ms,
        "start": attempt.began_ms,
        "finish": attempt.began_ms.saturating_add(attempt.duration_ms),
    })
}

fn request(attempt: &Attempt, url: &str, body: Option<&str>) -> Value {
    json!({
        "url": url,
        "method": "POST",
        "headers": headers(&attempt.request_headers),
        "body": body,
    })
}

fn result(attempt: &Attempt) -> Value {
    let mut shown = json!({
        "description": description(attempt),
        "outcome": outcome_name(outcome_of(attempt.status)),
    });
    if let Some(status) = attempt.status {
        shown["response"] = json!({
            "statusCode": status,
            "headers": headers(&attempt.response_headers),
            "body": String::from_utf8_lossy(&attempt.response_body),
        });
    }
    shown
}

fn description(attempt: &Attempt) -> String {
    match attempt.status {
        Some(status) => status.to_string(),
        None => attempt.answer.clone(),
    }
}

/// A name that comes more than once keeps its last value.
fn headers(all: &[(String, String)]) -> Value {
    all.iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use madake_store::delivery::Body;
    use madake_store::delivery_history::Counts;

    use super::*;

    fn tried(status: Option<i64>) -> Tried {
        Tried {
            id: 5,
            delivery_id: 2,
            is_ping: false,
            attempt: Attempt {
                number: 1,
                began_ms: 1000,
                duration_ms: 20,
                address: "127.0.0.1".into(),
                request_headers: vec![("X-Event-Key".into(), REFS_CHANGED.into())],
                status,
                response_headers: vec![("Server".into(), "x".into())],
                response_body: b"ok".to_vec(),
                answer: "no answer (connect)".into(),
                timings: "{}".into(),
            },
        }
    }

    #[test]
    fn an_attempt_is_told_with_request_and_result() {
        let body = Body {
            content_type: "application/json".into(),
            headers: Vec::new(),
            body: b"{}".to_vec(),
        };
        let one = Invocation {
            tried: tried(Some(204)),
            body: Some(body),
        };
        assert_eq!(
            invocation(&one, 7, "http://x/").to_string(),
            r#"{"id":5,"event":"repo:refs_changed","eventScope":{"id":"7","type":"repository"},"duration":20,"start":1000,"finish":1020,"request":{"url":"http://x/","method":"POST","headers":{"X-Event-Key":"repo:refs_changed"},"body":"{}"},"result":{"description":"204","outcome":"SUCCESS","response":{"statusCode":204,"headers":{"Server":"x"},"body":"ok"}}}"#
        );
        let without_answer = Invocation {
            tried: tried(None),
            body: None,
        };
        assert_eq!(
            invocation(&without_answer, 7, "http://x/")["result"].to_string(),
            r#"{"description":"no answer (connect)","outcome":"ERROR"}"#
        );
    }

    #[test]
    fn statistics_leave_out_what_never_happened() {
        let history = InvocationHistory {
            counts: Counts {
                successes: 0,
                failures: 1,
                errors: 0,
            },
            since_ms: 100,
            until_ms: 300,
            newest: vec![(Outcome::Failure, tried(Some(500)))],
        };
        assert_eq!(
            statistics(&history, 7).to_string(),
            r#"{"counts":{"errors":0,"failures":1,"successes":0,"window":{"start":100,"duration":200}},"lastFailure":{"id":5,"event":"repo:refs_changed","eventScope":{"id":"7","type":"repository"},"duration":20,"start":1000,"finish":1020,"request":{"method":"POST"},"result":{"description":"500","outcome":"FAILURE"}}}"#
        );
    }

    #[test]
    fn outcomes_are_read_by_name() {
        for outcome in Outcome::ALL {
            assert_eq!(
                outcome_named(&outcome_name(outcome).to_lowercase()),
                Some(outcome)
            );
        }
        assert_eq!(outcome_named("SKIPPED"), None);
    }
}
