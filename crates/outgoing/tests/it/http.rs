//! Requests and answers of well-behaved and of hostile receivers.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use madake_domain::delivery::{ErrorKind, RetryAfter};
use madake_outgoing::Secret;
use madake_outgoing::client::{Authorization, BodyEnd, Client, Request};
use madake_outgoing::guard::AddressPolicy;
use tokio::net::TcpListener;

use crate::receiver::{Receiver, Script, client, ok, patient, post, quick};

fn with_headers(url: &str, headers: &[(&str, &str)]) -> Request {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Request { headers, ..post(url) }
}

#[tokio::test]
async fn request_arrives_and_the_answer_is_told() {
    let answer =
        "HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nX-Request-Id: 5\r\nContent-Length: 4\r\n\r\nwait";
    let receiver = Receiver::start(Script::Say(answer.to_owned())).await;
    let outcome = client(patient()).send(post(&receiver.url())).await.unwrap();
    assert_eq!(outcome.status, 429);
    assert_eq!(outcome.body_start, b"wait");
    assert_eq!(outcome.body_end, BodyEnd::Complete);
    assert_eq!(outcome.retry_after, Some(RetryAfter::AfterMs(7000)));
    assert_eq!(outcome.remote_address, Some(receiver.address.ip()));
    assert!(
        outcome
            .headers
            .contains(&("x-request-id".to_owned(), "5".to_owned()))
    );
    assert!(outcome.timings.connect.is_some());
    assert_eq!(outcome.timings.dns, None, "an address needs no name server");
    assert!(outcome.timings.first_byte.unwrap() <= outcome.timings.total);

    let request = &receiver.requests()[0];
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"push\":1}"), "{request}");
    let lower = request.to_ascii_lowercase();
    assert!(lower.contains("content-type: application/json\r\n"), "{request}");
    assert!(lower.contains("user-agent: madake/"), "{request}");
    assert!(!lower.contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn connection_is_used_again() {
    let receiver = Receiver::start(Script::Say(ok("fine"))).await;
    let client = client(patient());
    client.send(post(&receiver.url())).await.unwrap();
    let second = client.send(post(&receiver.url())).await.unwrap();
    assert_eq!((receiver.requests().len(), receiver.connections()), (2, 1));
    assert_eq!(second.timings.connect, None);
}

#[tokio::test]
async fn o3_redirect_is_an_answer_and_is_not_followed() {
    let inner = Receiver::start(Script::Say(ok("inner"))).await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        inner.url()
    );
    let receiver = Receiver::start(Script::Say(answer)).await;
    let outcome = client(patient()).send(post(&receiver.url())).await.unwrap();
    assert_eq!(outcome.status, 302);
    assert!(outcome.headers.contains(&("location".to_owned(), inner.url())));
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn o6_ten_gigabytes_are_cut_by_size() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n".to_owned();
    let flood = Script::Endless(head, "x".repeat(16 * 1024), Duration::ZERO);
    let receiver = Receiver::start(flood).await;
    let outcome = client(patient()).send(post(&receiver.url())).await.unwrap();
    assert_eq!((outcome.status, outcome.body_end), (200, BodyEnd::TooLong));
    assert_eq!(outcome.body_start.len(), 64 * 1024);
    // What fits into the buffers of two sockets, not what the receiver has.
    assert!(receiver.written() < 64 * 1024 * 1024, "{}", receiver.written());
}

#[tokio::test]
async fn o6_body_that_drips_is_cut_by_time_and_the_status_counts() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_owned();
    let slow = Receiver::start(Script::Endless(
        head.clone(),
        "x".to_owned(),
        Duration::from_secs(3600),
    ))
    .await;
    let outcome = client(quick()).send(post(&slow.url())).await.unwrap();
    assert_eq!((outcome.status, outcome.body_end), (200, BodyEnd::TooSlow));

    let drip = Receiver::start(Script::Endless(head, "x".to_owned(), Duration::from_millis(20))).await;
    let outcome = client(quick()).send(post(&drip.url())).await.unwrap();
    assert_eq!(outcome.body_end, BodyEnd::TooSlow);
    assert!(!outcome.body_start.is_empty());
}

#[tokio::test]
async fn o6_head_that_drips_or_never_comes_is_a_timeout() {
    let drip = Script::Endless(
        "HTTP/1.1 200 OK\r\n".to_owned(),
        "X".to_owned(),
        Duration::from_millis(20),
    );
    for script in [drip, Script::Silent] {
        let receiver = Receiver::start(script).await;
        let failure = client(quick()).send(post(&receiver.url())).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Timeout);
        let expected = format!("http://{} did not answer within 600 ms", receiver.address);
        assert_eq!(failure.sentence, expected);
        assert!(failure.timings.total >= Duration::from_millis(600));
    }
}

#[tokio::test]
async fn head_without_end_is_too_large() {
    let many: String = (0..101).map(|number| format!("X-{number}: y\r\n")).collect();
    let many = Script::Say(format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n"));
    let long = Script::Endless(
        "HTTP/1.1 200 OK\r\nX: ".to_owned(),
        "y".repeat(16 * 1024),
        Duration::ZERO,
    );
    for script in [many, long] {
        let receiver = Receiver::start(script).await;
        let failure = client(patient()).send(post(&receiver.url())).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::TooLarge, "{failure}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    for text in ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 200 OK\r\nConte", ""] {
        let receiver = Receiver::start(Script::SayAndClose(text.to_owned())).await;
        let failure = client(patient()).send(post(&receiver.url())).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Protocol, "{text}: {failure}");
    }
}

#[tokio::test]
async fn body_that_breaks_off_keeps_its_status() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf".to_owned();
    let receiver = Receiver::start(Script::SayAndClose(answer)).await;
    let outcome = client(patient()).send(post(&receiver.url())).await.unwrap();
    assert_eq!((outcome.status, outcome.body_end), (200, BodyEnd::Broken));
    assert_eq!(outcome.body_start, b"half");
}

#[tokio::test]
async fn compressed_bomb_is_not_unpacked() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x08ab";
    let receiver = Receiver::start(Script::Say(answer.to_owned())).await;
    let outcome = client(patient()).send(post(&receiver.url())).await.unwrap();
    assert_eq!(outcome.body_start, b"\x1f\x08ab");
}

#[tokio::test]
async fn closed_port_is_a_connect_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/secret-path");
    let failure = client(patient()).send(post(&url)).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Connect);
    assert!(failure.sentence.contains("refused"), "{failure}");
    assert!(!failure.sentence.contains("secret-path"), "{failure}");
}

#[tokio::test]
async fn refused_address_is_never_connected_to() {
    let receiver = Receiver::start(Script::Say(ok(""))).await;
    let client = Client::new(AddressPolicy::default(), patient());
    let sent = client.send(post(&receiver.url())).await.unwrap_err();
    assert_eq!(sent.kind, ErrorKind::RefusedAddress);
    let saved = client.check(&receiver.url()).await.unwrap_err();
    assert_eq!(sent.sentence, saved.sentence);
    assert!(
        sent.sentence.contains("[outgoing] allow = [\"127.0.0.0/8\"]"),
        "{sent}"
    );
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn o8_line_breaks_and_framing_headers_are_refused() {
    let receiver = Receiver::start(Script::Say(ok(""))).await;
    let client = client(patient());
    for (name, value, part) in [
        ("X-Branch", "main\r\nX-Admin: 1", "line break"),
        ("X-Branch", "main\nX-Admin: 1", "line break"),
        ("X-Branch", "main\rX", "line break"),
        ("X-Branch", "main\0", "line break"),
        ("X-Branch\r\nX-Admin", "1", "not the name of a header"),
        ("X Branch", "1", "not the name of a header"),
        ("", "1", "not the name of a header"),
        ("Host", "internal", "set by the server itself"),
        ("content-length", "3", "set by the server itself"),
        ("Transfer-Encoding", "chunked", "set by the server itself"),
        ("Connection", "upgrade", "set by the server itself"),
        ("Proxy-Authorization", "Basic eA==", "set by the server itself"),
    ] {
        let request = with_headers(&receiver.url(), &[(name, value)]);
        let failure = client.send(request).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Request);
        assert!(failure.sentence.contains(part), "{name}: {failure}");
        assert!(!failure.sentence.contains("Admin: 1"), "{failure}");
    }
    let many: Vec<(&str, &str)> = vec![("X-A", "1"); 65];
    assert!(client.send(with_headers(&receiver.url(), &many)).await.is_err());
    let trace = Request {
        method: Method::TRACE,
        ..post(&receiver.url())
    };
    assert!(client.send(trace).await.is_err());
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn credentials_are_sent_once_and_never_shown() {
    let receiver = Receiver::start(Script::Reflect).await;
    let client = client(patient());
    let url = format!("http://bot:s3cret@{}/hook", receiver.address);
    let sent = |request: Request| {
        let client = client.clone();
        async move {
            assert!(!format!("{request:?}").contains("s3cret"), "{request:?}");
            let outcome = client.send(request).await.unwrap();
            let echo = String::from_utf8(outcome.body_start).unwrap();
            let lines: Vec<String> = echo
                .lines()
                .filter(|line| line.to_ascii_lowercase().starts_with("authorization:"))
                .map(|line| line.split_once(": ").unwrap().1.to_owned())
                .collect();
            assert!(!echo.contains("bot:s3cret@"), "{echo}");
            lines.join(",")
        }
    };
    assert_eq!(sent(post(&url)).await, "Basic Ym90OnMzY3JldA==");
    let mut bearer = post(&url);
    bearer.options.authorization = Some(Authorization::Bearer(Secret::new("s3cret")));
    assert_eq!(sent(bearer.clone()).await, "Bearer s3cret");
    bearer
        .headers
        .push(("authorization".to_owned(), "Token s3cret".to_owned()));
    assert_eq!(sent(bearer).await, "Token s3cret");
    let mut split = post(&url);
    split.options.authorization = Some(Authorization::Bearer(Secret::new("s3cret\r\nX: 1")));
    let failure = client.send(split).await.unwrap_err();
    assert!(!format!("{failure:?}").contains("s3cret"), "{failure:?}");
}

#[tokio::test]
async fn requests_to_one_host_wait_for_a_place_and_others_do_not() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let full = Receiver::start(Script::WaitFor(Arc::clone(&gate))).await;
    let free = Receiver::start(Script::Say(ok(""))).await;
    let mut settings = patient();
    settings.connections_per_host = 2;
    settings.queue_timeout = Duration::from_millis(200);
    let client = client(settings);
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let (client, request) = (client.clone(), post(&full.url()));
            tokio::spawn(async move { client.send(request).await })
        })
        .collect();
    while full.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    let busy = client.send(post(&full.url())).await.unwrap_err();
    assert_eq!(busy.kind, ErrorKind::Busy);
    assert!(busy.timings.queue >= Duration::from_millis(200));
    client.send(post(&free.url())).await.unwrap();
    assert_eq!(full.connections(), 2);
    gate.add_permits(2);
    for request in waiting {
        assert_eq!(request.await.unwrap().unwrap().status, 200);
    }
}
