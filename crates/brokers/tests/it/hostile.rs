//! Whatever an event holds, no call breaks out of its format, and nothing panics.

use madake_brokers::event::{
    BrokerEvent, BuildResult, BuildState, Commit, EventKind, File, FileAction, Person, RefAction, RefKind,
    RefMove, Repository, Scm,
};
use madake_brokers::{
    Action, Answer, Broker, Call, HttpCall, Settings, Step, Verdict, sample_build, sample_push,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixture::{SECRET, allowed, every_broker, json, request};

/// Texts that have hurt somebody, and any other.
fn words() -> impl Strategy<Value = String> {
    let nasty = [
        "<!channel> <!here|x> <@U012AB3CD> <http://evil.example|main>",
        "@everyone @here @channel @all @room <@&1> <@1>",
        "[main](http://evil.example) ![x](http://evil.example/x.png) <http://evil.example>",
        "\u{1b}[31mred\u{1b}]8;;http://evil.example\u{7}x\u{0}",
        "\r\nBcc: everybody@example.org\r\n\r\nbody",
        "\"}, \"text\": \"evil",
        "{{ token }}{% for x in y %}${env}",
        "\u{202e}gnp.exe\u{2066}\u{feff}\u{200b}",
        "</script><script>alert(1)</script>&amp;",
        "`*_~|\\ #heading\n- list\n> quote\n```",
        "[~admin] {noformat} h1. !http://evil.example/x.png! www.evil.example",
        "GROVE-1 GROVE-2 bug 1, 2 fixes #3",
        "../../etc/passwd",
        "",
        " ",
    ];
    prop_oneof![
        3 => prop::sample::select(nasty.map(str::to_owned).to_vec()),
        2 => any::<String>(),
        1 => "[a-z/.]{1,20}".prop_map(|text| text),
        1 => (0usize..9000).prop_map(|length| "@<*竹".repeat(length / 8)),
    ]
}

fn person() -> impl Strategy<Value = Person> {
    (words(), prop::option::of(words()), prop::option::of(words())).prop_map(|(name, display_name, email)| {
        Person {
            name,
            display_name,
            email,
        }
    })
}

fn link() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        words().prop_map(Some),
        words().prop_map(|text| Some(format!("https://madake.example/{text}"))),
        Just(Some("https://madake.example/x?a=b&c=(d)".to_owned())),
    ]
}

fn commit() -> impl Strategy<Value = Commit> {
    let files = prop::collection::vec(
        words().prop_map(|path| File {
            path,
            action: FileAction::Added,
        }),
        0..3,
    );
    (
        words(),
        person(),
        words(),
        any::<i64>(),
        files,
        any::<bool>(),
        link(),
    )
        .prop_map(
            |(id, author, message, time_ms, files, files_truncated, link)| Commit {
                id,
                author,
                message,
                time_ms,
                files,
                files_truncated,
                link,
            },
        )
}

fn moved() -> impl Strategy<Value = RefMove> {
    let kind = prop::sample::select(vec![
        RefKind::Branch,
        RefKind::Tag,
        RefKind::NamedBranch,
        RefKind::Bookmark,
    ]);
    let action = prop::sample::select(vec![RefAction::Add, RefAction::Update, RefAction::Delete]);
    let ids = (prop::option::of(words()), prop::option::of(words()));
    let commits = prop::collection::vec(commit(), 0..4);
    (
        kind,
        action,
        words(),
        words(),
        ids,
        any::<(bool, bool)>(),
        commits,
        link(),
    )
        .prop_map(
            |(kind, action, name, full_name, (old, new), (forced, commits_truncated), commits, link)| {
                RefMove {
                    kind,
                    name,
                    full_name,
                    action,
                    old,
                    new,
                    forced,
                    commits,
                    commits_truncated,
                    link,
                }
            },
        )
}

fn build() -> impl Strategy<Value = BuildResult> {
    let state = || {
        prop::sample::select(vec![
            BuildState::Successful,
            BuildState::Failed,
            BuildState::Stopped,
        ])
    };
    (
        (words(), words(), words(), words(), words(), words()),
        state(),
        prop::option::of(state()),
        prop::option::of(words()),
        any::<i64>(),
        prop::collection::vec(words(), 0..15),
    )
        .prop_map(
            |(
                (plan_key, plan_name, build_key, branch, reason, link),
                state,
                previous_state,
                revision,
                duration_ms,
                failed_jobs,
            )| {
                BuildResult {
                    plan_key,
                    plan_name,
                    build_key,
                    state,
                    previous_state,
                    branch,
                    revision,
                    reason,
                    duration_ms,
                    link,
                    failed_jobs,
                }
            },
        )
}

fn event() -> impl Strategy<Value = BrokerEvent> {
    let repository = (
        words(),
        words(),
        words(),
        words(),
        words(),
        prop::option::of(words()),
    )
        .prop_map(
            |(owner, slug, name, browse_url, clone_url, default_branch)| Repository {
                owner,
                slug,
                name,
                scm: Scm::Hg,
                browse_url,
                clone_url,
                default_branch,
            },
        );
    (
        "[a-z0-9-]{1,40}",
        any::<i64>(),
        prop::option::of(repository),
        prop::option::of(person()),
        prop::collection::vec(moved(), 0..13),
        prop::option::weighted(0.3, build()),
    )
        .prop_map(|(id, time_ms, repository, pusher, refs, build)| BrokerEvent {
            version: 1,
            id,
            kind: if build.is_some() {
                EventKind::Build
            } else {
                EventKind::Push
            },
            time_ms,
            repository,
            pusher,
            refs: if build.is_some() { Vec::new() } else { refs },
            build,
        })
}

/// Every text of a JSON value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(items) => items.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn check_request(kind: &str, request: &HttpCall) {
    assert!(
        request.url.chars().all(|c| c.is_ascii_graphic()),
        "{kind}: {}",
        request.url
    );
    for (name, value) in &request.headers {
        assert!(!value.chars().any(char::is_control), "{kind}: {name}: {value:?}");
    }
    let shown = format!("{request:?}");
    assert!(!shown.contains(SECRET), "{kind} shows a secret: {shown}");
    let content_type = request
        .headers
        .iter()
        .find(|(name, _)| name == "Content-Type")
        .map(|(_, value)| value.as_str());
    match content_type {
        Some("application/json") => {
            assert!(
                !request.body.iter().any(|byte| *byte < 0x20 || *byte == 0x7f),
                "{kind}: raw control character"
            );
            let body = json(request);
            if ["slack", "mattermost", "teams", "discord", "matrix", "jira"].contains(&kind) {
                check_chat(kind, &body);
            }
        }
        Some("application/x-www-form-urlencoded") => {
            assert!(
                request.body.iter().all(u8::is_ascii_graphic),
                "{kind}: {:?}",
                request.shown().body
            );
        }
        _ => assert!(request.body.is_empty(), "{kind}"),
    }
}

/// No mention, no link but ours, no control character, and not longer than the receiver takes.
fn check_chat(kind: &str, body: &Value) {
    for text in texts(body) {
        let hostile = |c: char| {
            c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.chars().any(hostile), "{kind}: {text:?}");
        for (at, _) in text.match_indices('@') {
            let next = text[at + 1..].chars().next();
            assert!(
                matches!(next, None | Some('\u{2060}')),
                "{kind} may mention somebody: {text:?}"
            );
        }
        for start in ["http://evil", "https://evil", "www.evil", "<!", "javascript:"] {
            let linked = text.contains(start);
            assert!(!linked, "{kind} has a stranger's link: {text:?}");
        }
        if kind == "slack" {
            for (at, _) in text.match_indices('<') {
                assert!(text[at + 1..].starts_with("http"), "{text:?}");
            }
        }
    }
    let most = match kind {
        "teams" => 28_000,
        "matrix" => 60_000,
        "discord" => 6000 * 4,
        _ => 16_383 * 2,
    };
    assert!(
        body.to_string().len() <= most,
        "{kind}: {} bytes",
        body.to_string().len()
    );
    if kind == "discord" {
        assert!(body["content"].as_str().unwrap().chars().count() <= 2000);
        assert!(
            body["embeds"][0]["description"]
                .as_str()
                .unwrap_or_default()
                .chars()
                .count()
                <= 4096
        );
        assert_eq!(body["allowed_mentions"]["parse"], serde_json::json!([]));
    }
}

fn check_call(kind: &str, call: &Call) {
    match &call.action {
        Action::Http(_) => check_request(kind, &request(call)),
        Action::Mail(mail) => {
            assert!(!mail.subject.chars().any(char::is_control), "{:?}", mail.subject);
            assert!(
                mail.text
                    .chars()
                    .all(|c| !c.is_control() || matches!(c, '\n' | '\t')),
                "{:?}",
                mail.text
            );
            assert!(
                mail.reply_to
                    .iter()
                    .all(|address| !address.contains([' ', '\r', '\n', ',', '<']))
            );
        }
        Action::Execute(execution) => {
            let event = serde_json::from_slice::<BrokerEvent>(&execution.stdin);
            assert!(event.is_ok() && execution.stdin.iter().filter(|byte| **byte == b'\n').count() == 1);
        }
    }
}

fn is_harmless(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Ok(None) => true,
        Verdict::Ok(Some(words)) | Verdict::Retry(words) | Verdict::Refused(words) => {
            !words.is_empty() && words.len() < 2000 && !words.contains(char::is_control)
        }
    }
}

#[test]
fn calls_of_one_event_have_keys_of_their_own() {
    for broker in every_broker() {
        for event in [sample_push(), sample_build()] {
            let calls = broker.calls(&event).unwrap().calls;
            let keys: std::collections::BTreeSet<_> = calls.iter().map(|call| &call.key).collect();
            assert_eq!(keys.len(), calls.len(), "{}", broker.kind().key);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_events_do_nothing_to_any_receiver(event in event()) {
        for broker in every_broker() {
            // A template may not fit an event; that is an error and not a call.
            let Ok(planned) = broker.calls(&event) else {
                prop_assert_eq!(broker.kind().key, "http");
                continue;
            };
            for call in &planned.calls {
                check_call(broker.kind().key, call);
            }
            let again: Vec<_> = broker.calls(&event).unwrap().calls.into_iter().map(|call| call.key).collect();
            prop_assert_eq!(again, planned.calls.iter().map(|call| call.key.clone()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn any_answer_ends_or_goes_on_and_shows_no_control_character(
        status in any::<u16>(),
        body in prop_oneof![any::<String>(), Just("{\"message\":\"a\\u0007b\"}".to_owned())],
        header in any::<(String, String)>(),
    ) {
        let answer = Answer { status, headers: vec![header], body };
        for broker in every_broker() {
            for call in broker.calls(&sample_push()).unwrap().calls {
                let Action::Http(exchange) = &call.action else { continue };
                for count in 1..=4 {
                    match exchange.next(&vec![answer.clone(); count]) {
                        Step::Send(_) => prop_assert!(count < 3),
                        Step::End(verdict) => prop_assert!(is_harmless(&verdict), "{verdict:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn any_settings_are_taken_or_refused(
        kind in prop::sample::select(madake_brokers::CATALOGUE.iter().map(|of| of.key).collect::<Vec<_>>()),
        values in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![words(), Just("https://a.example/b".to_owned()), Just("1".to_owned())]), 0..8),
        stranger in prop::option::of(words()),
    ) {
        let fields: Vec<_> = madake_brokers::find(kind).unwrap().all_fields().collect();
        let mut settings: Settings = values.into_iter().map(|(at, value)| (at.get(&fields).name.to_owned(), value)).collect();
        if let Some(name) = stranger {
            settings.insert(name, "x".to_owned());
        }
        match Broker::new(kind, &settings, &allowed()) {
            Ok(broker) => {
                for event in [sample_push(), sample_build()] {
                    if let Ok(planned) = broker.calls(&event) {
                        for call in planned.calls.iter().filter(|call| matches!(call.action, Action::Http(_))) {
                            let request = request(call);
                            prop_assert!(request.url.starts_with("http"));
                        }
                    }
                }
            }
            Err(problems) => {
                for problem in problems {
                    prop_assert!(!problem.to_string().contains(char::is_control), "{problem:?}");
                }
            }
        }
    }

    #[test]
    fn any_template_is_taken_or_refused(source in prop_oneof![
        any::<String>(),
        "[{}%#a-z|.,()\\[\\]'\" ~+=-]{0,60}",
        prop::collection::vec(prop::sample::select(vec!["{{", "}}", "{%", "%}", " refs ", " for a in ", " endfor ", " if ", " endif ", "| tojson", "| join", "'", "(", ")", "[0]", ".name", "kind", " with a = ", " endwith ", " set ", "-", "{#", "#}"]), 0..14).prop_map(|parts| parts.concat()),
    ]) {
        let settings: Settings = [("url", "https://a.example/"), ("body", source.as_str()), ("content_type", "text/plain")]
            .into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if let Ok(broker) = Broker::new("http", &settings, &allowed()) {
            for event in [sample_push(), sample_build()] {
                if let Err(error) = broker.preview(&event) {
                    prop_assert!(!error.sentence.is_empty());
                }
            }
        }
    }
}
