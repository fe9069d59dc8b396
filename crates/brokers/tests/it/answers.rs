//! What the answers of receivers mean. The wording of the receivers is theirs, the sentences are ours.

use madake_brokers::{Action, Answer, Step, Verdict, sample_push};

use crate::fixture::{broker, calls, every_broker, good};

fn verdict(kind: &str, pairs: &[(&str, &str)], answer: Answer) -> Verdict {
    let call = calls(&broker(kind, pairs), &sample_push()).remove(0);
    match call.action {
        Action::Http(exchange) => match exchange.next(&[answer]) {
            Step::End(verdict) => verdict,
            Step::Send(request) => panic!("another request: {request:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.to_owned(),
    }
}

#[test]
fn refusals_say_how_to_mend_them() {
    let table: &[(&str, u16, &str, &str)] = &[
        ("bamboo", 401, "", "check `username` and `password`"),
        (
            "bamboo",
            403,
            r#"{"message":"You need to be allowed to build","status-code":403}"#,
            "give the permission Build",
        ),
        ("bamboo", 404, "<html>", "check `base_url` and the plan keys"),
        ("bamboo", 302, "", "page for logging in"),
        ("bamboo", 415, "", "check `base_url`"),
        ("jenkins", 400, "", "check `parameters`"),
        ("jenkins", 401, "", "API token"),
        (
            "jenkins",
            403,
            "No valid crumb was included in the request",
            "set `csrf_enabled`",
        ),
        ("jenkins", 404, "", "`folder/job`"),
        ("jenkins", 409, "", "disabled"),
        (
            "jenkins_git",
            401,
            "An access token is required.",
            "make a notifyCommit access token",
        ),
        ("jenkins_git", 403, "", "check `token`"),
        ("jenkins_git", 200, "No git jobs found\n", "`repository_url`"),
        (
            "jenkins_git",
            200,
            "No Git consumers using SCM API plugin for: x\n",
            "Poll SCM",
        ),
        ("buildbot", 401, "", "change_hook_auth"),
        ("buildbot", 404, "", "change_hook_dialects"),
        (
            "teamcity",
            404,
            "Responding with error, status code: 404",
            "build_type_id",
        ),
        ("teamcity", 401, "", "check `token`"),
        (
            "gitlab",
            400,
            r#"{"message":{"base":["Reference not found"]}}"#,
            "Reference not found",
        ),
        (
            "gitlab",
            404,
            r#"{"message":"404 Not Found"}"#,
            "check `project` and `token`",
        ),
        (
            "github",
            401,
            r#"{"message":"Bad credentials"}"#,
            "Bad credentials; check `token`",
        ),
        (
            "github",
            403,
            r#"{"message":"Resource not accessible by personal access token"}"#,
            "write contents",
        ),
        ("github", 422, r#"{"message":"No ref found for: x"}"#, "`ref`"),
        ("slack", 200, "invalid_payload", "incoming webhook"),
        (
            "slack",
            200,
            "<html>welcome</html>",
            "address of an incoming webhook",
        ),
        ("slack", 404, "no_service", "make a new one"),
        ("slack", 403, "action_prohibited", "administrator of Slack"),
        ("slack", 410, "channel_is_archived", "archived"),
        (
            "mattermost",
            400,
            r#"{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook."}"#,
            "make a new one",
        ),
        (
            "mattermost",
            404,
            r#"{"message":"Couldn't find the channel."}"#,
            "Couldn't find the channel.; there is no such channel",
        ),
        ("mattermost", 501, "", "switched off"),
        (
            "teams",
            400,
            r#"{"error":{"code":"WorkflowTriggerIsNotEnabled"}}"#,
            "switch it on",
        ),
        ("teams", 401, "", "Anyone"),
        (
            "teams",
            200,
            "Webhook message delivery failed with error: 400",
            "delivery failed",
        ),
        (
            "discord",
            404,
            r#"{"message": "Unknown Webhook", "code": 10015}"#,
            "Unknown Webhook; the webhook was removed",
        ),
        (
            "matrix",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"x"}"#,
            "log the account in again",
        ),
        (
            "matrix",
            403,
            r#"{"errcode":"M_FORBIDDEN","error":"x"}"#,
            "has not joined",
        ),
        (
            "jira",
            404,
            r#"{"errorMessages":["Issue Does Not Exist"]}"#,
            "Issue Does Not Exist",
        ),
        ("jira", 401, "", "API token"),
        (
            "bugzilla",
            401,
            r#"{"error":true,"code":306,"message":"The API key is invalid"}"#,
            "check `api_key`",
        ),
        (
            "bugzilla",
            200,
            r#"{"error":true,"code":101,"message":"Bug #7 does not exist."}"#,
            "there is no such bug",
        ),
        (
            "read_the_docs",
            404,
            r#"{"detail":"Project not found"}"#,
            "Project not found; check `webhook_url`",
        ),
        ("http", 301, "", "redirects are not followed"),
        (
            "http",
            400,
            "no \u{1b}[31mred\r\nplease",
            "the receiver answered 400: no [31mred please",
        ),
    ];
    for (kind, status, body, part) in table {
        match verdict(kind, &good(kind), answer(*status, body)) {
            Verdict::Refused(sentence) => assert!(sentence.contains(part), "{kind} {status}: {sentence}"),
            other => panic!("{kind} {status}: {other:?}"),
        }
    }
}

#[test]
fn what_was_taken_says_what_came_of_it() {
    let table: &[(&str, u16, &str, Option<&str>)] = &[
        (
            "bamboo",
            200,
            r#"{"planKey":"GROVE-TRUNK","buildResultKey":"GROVE-TRUNK-7"}"#,
            Some("queued GROVE-TRUNK-7"),
        ),
        ("bamboo", 204, "", None),
        ("jenkins", 201, "", None),
        (
            "jenkins_git",
            200,
            "Scheduled harvest\n",
            Some("Scheduled harvest"),
        ),
        ("buildbot", 200, "", None),
        (
            "teamcity",
            200,
            r#"{"id":42,"state":"queued"}"#,
            Some("queued build 42"),
        ),
        ("gitlab", 201, r#"{"id":9}"#, Some("created pipeline 9")),
        ("github", 204, "", None),
        ("slack", 200, "ok", None),
        ("mattermost", 200, "ok", None),
        ("teams", 202, "", None),
        ("teams", 200, "1", None),
        ("discord", 204, "", None),
        ("matrix", 200, r#"{"event_id":"$x"}"#, None),
        ("jira", 201, r#"{"id":"10000"}"#, None),
        ("bugzilla", 201, r#"{"id":5}"#, None),
        (
            "read_the_docs",
            200,
            r#"{"build_triggered":true,"versions":["latest"]}"#,
            Some("builds [\"latest\"]"),
        ),
        (
            "read_the_docs",
            200,
            r#"{"build_triggered":false}"#,
            Some("nothing to build: no active version has this name"),
        ),
        ("http", 202, "whatever", None),
    ];
    for (kind, status, body, note) in table {
        assert_eq!(
            verdict(kind, &good(kind), answer(*status, body)),
            Verdict::Ok(note.map(str::to_owned)),
            "{kind} {status}"
        );
    }
}

#[test]
fn every_receiver_in_trouble_gets_another_attempt() {
    for broker in every_broker() {
        for call in calls(&broker, &sample_push()) {
            let Action::Http(exchange) = &call.action else {
                continue;
            };
            for status in [408, 429, 500, 502, 503, 504] {
                let step = exchange.next(&[answer(status, "busy")]);
                assert!(
                    matches!(step, Step::End(Verdict::Retry(_))),
                    "{} {status}: {step:?}",
                    broker.kind().key
                );
            }
        }
    }
}

#[test]
fn limits_of_receivers_are_worth_another_attempt() {
    let limited = Answer {
        status: 403,
        headers: vec![("X-RateLimit-Remaining".to_owned(), "0".to_owned())],
        body: String::new(),
    };
    let table = [
        ("github", limited),
        (
            "github",
            answer(403, r#"{"message":"You have exceeded a secondary rate limit"}"#),
        ),
        (
            "bamboo",
            answer(
                400,
                r#"{"message":"Build requested but not started, you have reached the maximum number of concurrent builds allowed."}"#,
            ),
        ),
        (
            "matrix",
            answer(429, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":100}"#),
        ),
        (
            "teams",
            answer(
                200,
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429",
            ),
        ),
        ("slack", answer(500, "rollup_error")),
        (
            "bugzilla",
            answer(400, r#"{"error":true,"code":32000,"message":"x"}"#),
        ),
    ];
    for (kind, answer) in table {
        let verdict = verdict(kind, &good(kind), answer);
        assert!(matches!(verdict, Verdict::Retry(_)), "{kind}: {verdict:?}");
    }
}

#[test]
fn receiver_that_repeats_a_secret_does_not_spread_it() {
    for broker in every_broker() {
        for call in calls(&broker, &sample_push()) {
            let Action::Http(exchange) = &call.action else {
                continue;
            };
            let Step::Send(request) = exchange.next(&[]) else {
                panic!()
            };
            let mut sent = request.url.clone();
            request
                .headers
                .iter()
                .for_each(|(_, value)| sent.push_str(&format!(" {value}")));
            let reflected = sent
                .split(['/', '?', '&', '=', ' '])
                .filter(|part| part.contains("S3cret"))
                .collect::<Vec<_>>();
            let step = exchange.next(&[answer(400, &format!("bad: {}", reflected.join(" ")))]);
            assert!(
                !format!("{step:?}").contains("S3cret"),
                "{}: {step:?}",
                broker.kind().key
            );
        }
    }
}

#[test]
fn success_can_be_named_by_the_settings() {
    let pairs = [("url", "https://any.example/"), ("success", "200, 409")];
    assert!(verdict("http", &pairs, answer(409, "")).is_ok());
    assert!(matches!(
        verdict("http", &pairs, answer(202, "")),
        Verdict::Refused(_)
    ));
}

#[test]
fn program_says_by_its_exit_code_what_became_of_the_event() {
    let call = calls(&broker("executable", &good("executable")), &sample_push()).remove(0);
    let Action::Execute(execution) = call.action else {
        panic!()
    };
    assert_eq!(execution.judge(Some(0)), Verdict::Ok(None));
    assert!(matches!(execution.judge(Some(75)), Verdict::Retry(_)));
    assert!(matches!(execution.judge(Some(1)), Verdict::Refused(_)));
    assert!(matches!(execution.judge(None), Verdict::Retry(_)));
}
