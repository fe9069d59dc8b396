//! Exchanges of several requests.

use madake_brokers::{Action, Answer, Call, HttpCall, Method, Step, Verdict, sample_push};

use crate::fixture::{broker, calls};

fn crumbed() -> Call {
    let pairs = [
        ("endpoint", "https://mei:word@jenkins.example"),
        ("project_name", "harvest"),
        ("csrf_enabled", "true"),
    ];
    calls(&broker("jenkins", &pairs), &sample_push()).remove(0)
}

fn step(call: &Call, answers: &[Answer]) -> Step {
    match &call.action {
        Action::Http(exchange) => exchange.next(answers),
        other => panic!("{other:?}"),
    }
}

fn sent(step: Step) -> HttpCall {
    match step {
        Step::Send(request) => request,
        Step::End(verdict) => panic!("{verdict:?}"),
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: body.to_owned(),
    }
}

#[test]
fn jenkins_is_asked_for_a_crumb_which_goes_along_with_its_session() {
    let call = crumbed();
    let first = sent(step(&call, &[]));
    assert_eq!(
        (first.method, first.url.as_str()),
        (Method::Get, "https://jenkins.example/crumbIssuer/api/json")
    );
    let crumb = answer(
        200,
        &[
            ("Set-Cookie", "JSESSIONID.1=node0; Path=/; HttpOnly"),
            ("set-cookie", "lb=2"),
        ],
        r#"{"crumb":"c0ffee","crumbRequestField":"Jenkins-Crumb"}"#,
    );
    let second = sent(step(&call, std::slice::from_ref(&crumb)));
    assert_eq!(second.method, Method::Post);
    assert!(
        second
            .url
            .starts_with("https://jenkins.example/job/harvest/build?cause="),
        "{}",
        second.url
    );
    let header = |name: &str| {
        second
            .headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("Jenkins-Crumb"), Some("c0ffee"));
    assert_eq!(header("Cookie"), Some("JSESSIONID.1=node0; lb=2"));
    assert_eq!(header("Authorization"), Some("Basic bWVpOndvcmQ="));
    assert!(
        !format!("{second:?}").contains("node0"),
        "the session is shown: {second:?}"
    );
    let queued = answer(201, &[("Location", "https://jenkins.example/queue/item/7/")], "");
    assert_eq!(
        step(&call, &[crumb, queued]),
        Step::End(Verdict::Ok(Some(
            "queued as https://jenkins.example/queue/item/7/".to_owned()
        )))
    );
}

#[test]
fn jenkins_without_protection_is_called_without_a_crumb() {
    let call = crumbed();
    let second = sent(step(&call, &[answer(404, &[], "")]));
    assert!(
        second
            .headers
            .iter()
            .all(|(name, _)| name != "Jenkins-Crumb" && name != "Cookie")
    );
}

#[test]
fn crumb_that_is_none_ends_the_exchange() {
    let call = crumbed();
    let table = [
        answer(200, &[], "<html>"),
        answer(200, &[], r#"{"crumb":"x","crumbRequestField":"A: b\r\nEvil"}"#),
        answer(401, &[], ""),
        answer(503, &[], ""),
    ];
    for first in table {
        let shown = format!("{first:?}");
        let ended = step(&call, &[first]);
        assert!(
            matches!(ended, Step::End(Verdict::Refused(_) | Verdict::Retry(_))),
            "{shown}: {ended:?}"
        );
    }
    let split = answer(
        200,
        &[("set-cookie", "a=b\r\nX-Evil: 1")],
        r#"{"crumb":"x\r\nX-Evil: 1","crumbRequestField":"Jenkins-Crumb"}"#,
    );
    for (name, value) in sent(step(&call, &[split])).headers {
        assert!(!value.contains(['\r', '\n']), "{name}: {value:?}");
    }
}

#[test]
fn alias_of_a_matrix_room_is_looked_up_first() {
    let pairs = [
        ("homeserver", "https://matrix.example"),
        ("room", "#grove:matrix.example"),
        ("access_token", "t0ken"),
    ];
    let call = calls(&broker("matrix", &pairs), &sample_push()).remove(0);
    let first = sent(step(&call, &[]));
    assert_eq!(
        first.url,
        "https://matrix.example/_matrix/client/v3/directory/room/%23grove%3Amatrix.example"
    );
    let found = answer(200, &[], r#"{"room_id":"!abc:matrix.example","servers":[]}"#);
    let second = sent(step(&call, std::slice::from_ref(&found)));
    assert_eq!(
        (second.method, second.url.as_str()),
        (
            Method::Put,
            "https://matrix.example/_matrix/client/v3/rooms/%21abc%3Amatrix.example/send/m.room.message/madake-sample-push"
        )
    );
    assert!(matches!(
        step(&call, &[answer(404, &[], r#"{"errcode":"M_NOT_FOUND"}"#)]),
        Step::End(Verdict::Refused(_))
    ));
    assert!(matches!(
        step(&call, &[answer(200, &[], r#"{"room_id":"../../x"}"#)]),
        Step::End(Verdict::Refused(_))
    ));
    assert_eq!(
        step(&call, &[found, answer(200, &[], "{}")]),
        Step::End(Verdict::Ok(None))
    );
}
