//! Templates of generic calls.

use std::time::Instant;

use madake_brokers::{BrokerEvent, HttpCall, sample_build, sample_push};

use crate::fixture::{broker, requests, text};

fn sent(pairs: &[(&str, &str)], event: &BrokerEvent) -> HttpCall {
    let mut all = vec![("url", "https://any.example/")];
    all.extend_from_slice(pairs);
    all.push(("events", "push, build"));
    requests("http", &all, event).remove(0)
}

fn body(content_type: &str, template: &str) -> String {
    text(&sent(
        &[("content_type", content_type), ("body", template)],
        &sample_push(),
    ))
}

fn error(pairs: &[(&str, &str)], event: &BrokerEvent) -> String {
    let mut all = vec![("url", "https://any.example/"), ("events", "push, build")];
    all.extend_from_slice(pairs);
    broker("http", &all).calls(event).unwrap_err().to_string()
}

#[test]
fn values_are_escaped_for_the_declared_type() {
    let template = "{{ refs[0].commits[0].message | first_line | replace('weigh', '<\"&') }}";
    let table = [
        (
            "application/json",
            "\"GROVE-12: \\u003c\\\"\\u0026 each culm twice\"",
        ),
        (
            "application/vnd.x+json; charset=utf-8",
            "\"GROVE-12: \\u003c\\\"\\u0026 each culm twice\"",
        ),
        ("application/xml", "GROVE-12: &lt;&quot;&amp; each culm twice"),
        ("text/html", "GROVE-12: &lt;&quot;&amp; each culm twice"),
        (
            "application/x-www-form-urlencoded",
            "GROVE-12%3A%20%3C%22%26%20each%20culm%20twice",
        ),
        ("text/plain", "GROVE-12: <\"& each culm twice"),
    ];
    for (content_type, expected) in table {
        assert_eq!(body(content_type, template), expected, "{content_type}");
    }
}

#[test]
fn filters_do_what_their_names_say() {
    let table = [
        ("{{ refs[0].new | short }}", "7c1f0c9"),
        (
            "{{ refs[0].commits[0].message | first_line }}",
            "GROVE-12: weigh each culm twice",
        ),
        (
            "{{ refs[0].commits[0].time_ms | iso_time }}",
            "2026-03-02T11:33:20Z",
        ),
        (
            "{{ repository.name | upper }}{{ repository.name | lower }}",
            "HARVESTharvest",
        ),
        ("{{ refs[0].full_name | urlencode }}", "refs%2Fheads%2Fmain"),
        ("{{ refs[0].commits | length }}", "2"),
        ("{{ repository.name | truncate(3) }}", "Har…"),
        ("{{ repository.website | default('none') }}", "none"),
        ("{{ refs[0] | tojson | length > 100 }}", "true"),
        (
            "{% for ref in refs %}{{ ref.name }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "main, v1.4",
        ),
        (
            "{% if refs[0].name is startingwith('ma') and (refs[0].kind == 'branch') %}yes{% endif %}",
            "yes",
        ),
        ("{{ build }}", ""),
        (
            "{% with who = pusher %}{{ who.display_name }}{% endwith %}",
            "Mei Grove",
        ),
    ];
    for (template, expected) in table {
        assert_eq!(body("text/plain", template), expected, "{template}");
    }
}

#[test]
fn address_values_are_encoded_and_cannot_leave_their_place() {
    let mut event = sample_push();
    event.refs.truncate(1);
    event.refs[0].name = "a/../b?c=d&e#f@g h\r\n".to_owned();
    let request = requests(
        "http",
        &[(
            "url",
            "https://any.example/x/{{ change.name }}?y={{ change.name }}",
        )],
        &event,
    )
    .remove(0);
    let name = "a%2F..%2Fb%3Fc%3Dd%26e%23f%40g%20h%0D%0A";
    assert_eq!(request.url, format!("https://any.example/x/{name}?y={name}"));
}

#[test]
fn header_values_with_line_breaks_are_refused() {
    let told = error(
        &[("headers", "X-Message: {{ refs[0].commits[0].message }}")],
        &sample_push(),
    );
    assert_eq!(
        told,
        "`headers` makes a line break or another control character in `X-Message`; use `first_line` or `urlencode`"
    );
    let request = sent(
        &[(
            "headers",
            "X-Message: {{ refs[0].commits[0].message | first_line }}",
        )],
        &sample_push(),
    );
    assert!(request.headers.contains(&(
        "X-Message".to_owned(),
        "GROVE-12: weigh each culm twice".to_owned()
    )));
}

#[test]
fn mistakes_that_only_an_event_shows_are_told_with_their_line() {
    assert!(
        error(&[("body", "{\n\"a\": {{ refs[0].nme }}\n}")], &sample_push())
            .starts_with("`body` line 2: uses a value")
    );
    assert!(
        error(&[("body", "{\"a\": {{ build.state }}}")], &sample_push())
            .starts_with("`body` line 1: uses a value")
    );
    assert!(
        error(&[("body", "{\"a\": \"{{ kind }}\"}")], &sample_build()).contains("values bring their quotes")
    );
    assert!(
        error(
            &[(
                "body",
                "{% for a in refs[0].commits %}{{ a.time_ms | upper }}{% endfor %}"
            )],
            &sample_push()
        )
        .starts_with("`body` line 1: ")
    );
}

#[test]
fn without_a_body_the_whole_event_is_sent() {
    let request = sent(&[], &sample_push());
    assert_eq!(
        serde_json::from_slice::<BrokerEvent>(&request.body).unwrap(),
        sample_push()
    );
    assert!(sent(&[("method", "get")], &sample_push()).body.is_empty());
}

#[test]
fn each_ref_can_have_its_own_call() {
    let pairs = [
        ("url", "https://any.example/{{ change.name }}"),
        ("per_ref", "yes"),
        ("method", "put"),
    ];
    let urls: Vec<_> = requests("http", &pairs, &sample_push())
        .into_iter()
        .map(|request| request.url)
        .collect();
    assert_eq!(urls, ["https://any.example/main", "https://any.example/v1.4"]);
}

#[test]
fn templates_that_run_away_are_stopped() {
    let mut event = sample_push();
    let commit = event.refs[0].commits[0].clone();
    event.refs[0].commits = vec![commit; 300];
    let long = "x".repeat(60_000);
    event.refs[0].commits[0].message = long;
    let loops = |depth: usize| {
        let mut template = String::new();
        for level in 0..depth {
            template.push_str(&format!("{{% for a{level} in refs[0].commits %}}"));
        }
        template.push('x');
        for _ in 0..depth {
            template.push_str("{% endfor %}");
        }
        template
    };
    let json_tower = format!("{{{{ refs[0].commits[0].message{} }}}}", " | tojson".repeat(900));
    let table = [
        (loops(2), "steps"),
        (loops(4), "steps"),
        (
            "{% for a in refs[0].commits %}{{ refs[0].commits[0].message }}{% endfor %}".to_owned(),
            "KiB of text",
        ),
        ("{{ refs }}".to_owned(), "KiB of text"),
        ("{{ refs | tojson }}".to_owned(), "KiB of text"),
        (json_tower, "KiB of text"),
        (
            "{{ refs[0].commits | join(refs[0].commits[0].message) }}".to_owned(),
            "KiB of text",
        ),
        (
            "{{ refs[0].commits[0].message | replace('x', 'xxxxxxxxxx') }}".to_owned(),
            "KiB of text",
        ),
    ];
    for (template, part) in table {
        let start = Instant::now();
        let told = error(&[("content_type", "text/plain"), ("body", &template)], &event);
        assert!(told.contains(part), "{told}");
        assert!(
            start.elapsed().as_secs() < 20,
            "{}",
            &template[..60.min(template.len())]
        );
    }
}
