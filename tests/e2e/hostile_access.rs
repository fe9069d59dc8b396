//! Hostile paths and credentials (hostile-inputs.md A1 to A9), towards the real binary. That each route keeps to what
//! it declares (A2) is tested over the router itself, in the tests of `madake-server`.
//!
//! A9: no route redirects anywhere, so there is no parameter to abuse; that no header can be broken in two is here.

use std::time::{Duration, Instant};

use madake_testkit::{PASSWORD, Server, ServerOptions};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{last_refusal, raw, refusals, settled, status_as, status_of, user};
use crate::plan_files::one_job;

const BASIC: &str = "Authorization: Basic YWRtaW46Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n";

fn request(method: &str, target: &str, headers: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

/// The body of an answer.
fn body_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_paths_a1_are_all_unknown() {
    let server = Server::start().await;
    for target in [
        "/x?jsp=/rest/api/latest/queue;.jsp",
        "/rest/api/latest/queue;.jsp",
        "/rest/madake/1.0/users;.css",
        "/rest/madake/1.0/users/..;/users",
        "/rest/..;/admin",
        "/%2e%2e/rest/madake/1.0/users",
        "/rest/api/latest/..%2f..%2fmadake/1.0/users",
        "/x/../rest/madake/1.0/users",
        "/x/%2e%2e/rest/madake/1.0/users",
        "//rest/madake/1.0/users",
        "/rest//madake/1.0/users",
        "/rest/madake/1.0/users%00",
        "/rest/madake/1.0/users%0d%0aX-Injected:1",
        "/rest\\madake\\1.0\\users",
        "/rest/madake/1.0/%75sers%5c",
        "/%72est/madake/1.0/Users",
        "/REST/madake/1.0/users",
        "/WEB-INF/web.xml",
        "/scm/../madake.db",
        "/scm/PROJ/%2e%2e/info/refs?service=git-upload-pack",
        "/scm/PROJ/..%2f..%2fmadake.db/info/refs?service=git-upload-pack",
        "/download/PROJ-PLAN-JOB1/build_logs/..%2f..%2fsecret.key",
    ] {
        for headers in ["", BASIC] {
            let answer = raw(&server, &request("GET", target, headers)).await;
            let status = status_of(&answer);
            // Repositories answer strangers with a challenge, whether they are there or not.
            let fine = matches!(status, 400 | 404) || (headers.is_empty() && status == 401);
            assert!(fine, "A1 {target}: {answer}");
            assert!(
                !answer.contains("X-Injected") && !answer.contains("administrator"),
                "A1 {target}: {answer}"
            );
        }
    }
    // What a proxy would send: the whole address in the first line. It is the path in it that counts.
    let answer = raw(&server, &request("GET", "http://evil/rest/madake/1.0/users", "")).await;
    assert!(matches!(status_of(&answer), 400 | 401 | 404), "A1: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_credentials_a4_and_a8_are_read_exactly() {
    let server = Server::start().await;
    user(&server, "joe", "with:colons:in it");
    let current = "/rest/api/latest/currentUser";
    // Each in base64: `joe:with:colons:in it`, and what is nearly that.
    let joe = "am9lOndpdGg6Y29sb25zOmluIGl0";
    let long = "x".repeat(1024 * 1024);
    let rows: Vec<(&str, String, &[u16])> = vec![
        (
            "A4 case of the scheme",
            format!("Authorization: bAsIc {joe}\r\n"),
            &[200],
        ),
        (
            "A4 colon in the password",
            format!("Authorization: Basic {joe}\r\n"),
            &[200],
        ),
        (
            "A4 wrong password",
            "Authorization: Basic am9lOndpdGg=\r\n".into(),
            &[401],
        ),
        (
            "A4 case of the password",
            "Authorization: Basic am9lOldpdGg6Y29sb25zOmluIGl0\r\n".into(),
            &[401],
        ),
        ("A4 no colon", "Authorization: Basic am9l\r\n".into(), &[401]),
        ("A4 not base64", "Authorization: Basic %%%\r\n".into(), &[401]),
        (
            "A4 another scheme",
            "Authorization: Negotiate abc\r\n".into(),
            &[401],
        ),
        ("A4 empty", "Authorization: \r\n".into(), &[401]),
        (
            "A4 NUL",
            "Authorization: Basic am9lADp3aXRoOmNvbG9uczppbiBpdA==\r\n".into(),
            &[401],
        ),
        ("A4 a megabyte", format!("X-Long: {long}\r\n"), &[431]),
        (
            "A4 a megabyte of credentials",
            format!("Authorization: Basic {long}\r\n"),
            &[431],
        ),
        (
            "A8 header alone",
            "X-Atlassian-Token: no-check\r\n".into(),
            &[401, 404],
        ),
        (
            "A8 with right credentials",
            format!("X-Atlassian-Token: no-check\r\nAuthorization: Basic {joe}\r\n"),
            &[200],
        ),
        (
            "A8 with wrong credentials",
            "X-Atlassian-Token: no-check\r\nAuthorization: Basic am9lOng=\r\n".into(),
            &[401],
        ),
    ];
    for (row, headers, expected) in rows {
        for query in ["", "?os_authType=basic"] {
            let answer = raw(&server, &request("GET", &format!("{current}{query}"), &headers)).await;
            assert!(
                expected.contains(&status_of(&answer)),
                "{row}{query}: {}",
                &answer[..answer.len().min(400)]
            );
            assert!(!body_of(&answer).contains("colons"), "{row}: {answer}");
        }
    }
    // Wrong credentials are refused also where strangers may pass.
    for path in ["/rest/api/latest/plan", "/rest/api/latest/plan?os_authType=basic"] {
        assert_eq!(
            status_as(&server, Method::GET, path, "joe", "wrong").await,
            401,
            "A8 {path}"
        );
    }
    // A9: a value from a request that comes back in a header does not break it.
    for target in [
        "/rest/api/latest/plan/a%0d%0aSet-Cookie:x=1",
        "/?redirect=%0d%0aSet-Cookie:x=1",
        "/rest/api/latest/plan?os_destination=//evil&redirect=//evil",
    ] {
        let answer = raw(&server, &request("GET", target, BASIC)).await;
        assert!(
            !answer.to_lowercase().contains("\r\nset-cookie") && !answer.contains("evil"),
            "A9: {answer}"
        );
    }
    assert!(!server.log().contains("colons"), "a password is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_guessing_a5_is_slowed_alike_for_users_that_are_there_and_not() {
    let server = Server::start().await;
    user(&server, "joe", "a password for joe");
    let current = "/rest/api/latest/currentUser";
    let mut times: Vec<Duration> = Vec::new();
    let mut outcomes = Vec::new();
    for name in ["joe", "nobody-here"] {
        let mut statuses = Vec::new();
        let mut spent = Duration::ZERO;
        for guess in 0..14 {
            let began = Instant::now();
            statuses.push(status_as(&server, Method::GET, current, name, &format!("guess {guess}")).await);
            if guess < 5 {
                spent += began.elapsed();
            }
        }
        assert_eq!(statuses[0], 401, "A5 {name}");
        assert_eq!(statuses.last(), Some(&429), "A5 {name}: {statuses:?}");
        times.push(spent);
        outcomes.push(statuses.iter().filter(|status| **status == 401).count());
    }
    assert_eq!(
        outcomes[0], outcomes[1],
        "A5: the same for a user that is not there"
    );
    let (there, not) = (times[0].as_secs_f64(), times[1].as_secs_f64());
    assert!(there / not < 4.0 && not / there < 4.0, "A5: {there} and {not}");
    // The right password is not tried either while guessing goes on; others are not slowed.
    assert_eq!(
        status_as(&server, Method::GET, current, "joe", "a password for joe").await,
        429
    );
    assert_eq!(
        status_as(&server, Method::GET, current, "admin", PASSWORD).await,
        200
    );
    let entry = last_refusal(&server).await;
    assert_eq!(entry["reason"], "too many tries to log in", "{entry}");
    assert!(!server.log().contains("guess 1"), "a guess is in the log");
}

fn token(server: &Server, arguments: &[&str]) -> (i64, String) {
    let mut all = vec!["token", "create", "--user", "joe", "--json"];
    all.extend(arguments);
    let made: Value = serde_json::from_str(&server.madake(&all)).expect("JSON");
    let text = made["token"].as_str().expect("a token").to_owned();
    (made["id"].as_i64().expect("a number"), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_tokens_a6_do_not_reach_beyond_what_they_are_for() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let _ = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job("echo built", ""))],
    );
    let other = server.hosted("OTHER/app");
    let plan = one_job("echo built", "").replace("project-key: PROJ", "project-key: OTHER");
    let _ = other.push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
    server.ended("PROJ-PLAN", 1).await;
    server.ended("OTHER-PLAN", 1).await;
    user(&server, "joe", "a password for joe");
    for project in ["PROJ", "OTHER"] {
        server.madake(&[
            "permission",
            "grant",
            "project",
            project,
            "READ",
            "BUILD",
            "--user",
            "joe",
        ]);
    }
    let (_, all) = token(&server, &[]);
    let (_, bound) = token(&server, &["--project", "PROJ"]);
    let (_, reading) = token(&server, &["--permission", "READ"]);
    let (revoked_id, revoked) = token(&server, &[]);
    server.madake(&["token", "revoke", &revoked_id.to_string()]);
    // No test waits for a day: a token that ends with the day on which it is made has ended.
    let (_, expired) = token(&server, &["--days", "0"]);
    let (get, post) = (Method::GET, Method::POST);
    let (plan, queue) = (
        "/rest/api/latest/plan/PROJ-PLAN",
        "/rest/api/latest/queue/PROJ-PLAN",
    );
    let (other_plan, other_queue) = (
        "/rest/api/latest/plan/OTHER-PLAN",
        "/rest/api/latest/queue/OTHER-PLAN",
    );
    let unknown = "mdk_00000000000000000000000000000000".to_owned();
    let rows: Vec<(&str, &str, &Method, &str, &[u16])> = vec![
        ("all", &all, &get, other_plan, &[200]),
        ("bound, own", &bound, &get, plan, &[200]),
        ("bound, other", &bound, &get, other_plan, &[403]),
        ("bound, other build", &bound, &post, other_queue, &[403]),
        (
            "bound, the server",
            &bound,
            &get,
            "/rest/madake/1.0/users",
            &[403],
        ),
        ("reading", &reading, &get, plan, &[200]),
        ("reading, build", &reading, &post, queue, &[403]),
        (
            "reading, new token",
            &reading,
            &post,
            "/rest/madake/1.0/tokens",
            &[403],
        ),
        (
            "reading, new password",
            &reading,
            &Method::PUT,
            "/rest/madake/1.0/users/joe/password",
            &[403],
        ),
        (
            "reading, tokens",
            &reading,
            &get,
            "/rest/madake/1.0/tokens?user=joe",
            &[403],
        ),
        (
            "all, tokens",
            &all,
            &get,
            "/rest/madake/1.0/tokens?user=joe",
            &[200],
        ),
        (
            "bound, new token",
            &bound,
            &post,
            "/rest/madake/1.0/tokens",
            &[403],
        ),
        ("revoked", &revoked, &get, plan, &[401]),
        ("expired", &expired, &get, plan, &[401]),
        ("unknown", &unknown, &get, plan, &[401]),
        ("empty", "", &get, plan, &[401]),
        ("cut", &all[..all.len() - 1], &get, plan, &[401]),
    ];
    for (row, token, method, path, expected) in rows {
        let before = refusals(&server).await;
        let request = server.anonymous(method.clone(), path).bearer_auth(token);
        let request = request
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(match path {
                "/rest/madake/1.0/tokens" => json!({"user": "joe", "name": "more"}).to_string(),
                "/rest/madake/1.0/users/joe/password" => {
                    json!({"password": "taken over by a token"}).to_string()
                }
                _ => String::new(),
            });
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        assert!(expected.contains(&status), "A6 {row}: {status} {text}");
        let entered = i64::from(status != 200);
        assert_eq!(refusals(&server).await, before + entered, "A6 {row}: one entry");
    }
    settled(&server).await;
    assert_eq!(server.results("PROJ-PLAN").await.len(), 1);
    assert_eq!(server.results("OTHER-PLAN").await.len(), 1);
    // As a password of Git: own name or none, never another's.
    for (name, secret, expected) in [
        ("joe", &all, 200),
        ("x-token-auth", &all, 200),
        ("admin", &all, 401),
        ("joe", &revoked, 401),
    ] {
        assert_eq!(
            status_as(&server, Method::GET, plan, name, secret).await,
            expected,
            "A6 {name}"
        );
    }
    for secret in [&all, &bound, &reading, &revoked] {
        assert!(!server.log().contains(secret.as_str()), "a token is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_sessions_a7_are_made_by_the_server_and_change_nothing_alone() {
    let server = Server::start_with(ServerOptions {
        environment: Vec::new(),
        configuration: "[server]\nbase-url = \"https://ci.example.org\"\n".into(),
    })
    .await;
    let login = "/rest/api/latest/currentUser?os_username=admin&os_password=correct%20horse%20battery";
    let fixed = "JSESSIONID=chosen-by-the-attacker";
    let mut cookies = Vec::new();
    for _ in 0..2 {
        let answer = server
            .anonymous(Method::GET, login)
            .header("cookie", fixed)
            .send()
            .await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure"] {
            assert!(cookie.contains(attribute), "A7: {cookie}");
        }
        cookies.push(cookie.split(';').next().expect("a pair").to_owned());
    }
    assert_ne!(cookies[0], cookies[1], "A7: each login has an id of its own");
    assert!(!cookies[0].contains("chosen"), "A7");
    let as_cookie = |cookie: String| {
        let server = &server;
        async move {
            let request = server
                .anonymous(Method::GET, "/rest/madake/1.0/users")
                .header("cookie", cookie);
            request.send().await.expect("an answer").status().as_u16()
        }
    };
    assert_eq!(as_cookie(fixed.to_owned()).await, 401, "A7: fixation");
    assert_eq!(as_cookie(cookies[0].clone()).await, 200);
    // Wrong credentials win over a good cookie, and end nothing.
    let wrong = "/rest/api/latest/currentUser?os_username=admin&os_password=wrong";
    let answer = server
        .anonymous(Method::GET, wrong)
        .header("cookie", &cookies[0])
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status(), 401);
    // A state-changing request with the cookie alone, or with a token that was guessed.
    for form_token in ["", "f_guess"] {
        let before = refusals(&server).await;
        let request = server
            .anonymous(Method::POST, "/rest/madake/1.0/pause")
            .header("cookie", &cookies[0])
            .header("content-type", "application/json")
            .header("x-madake-form-token", form_token);
        assert_eq!(request.send().await.expect("an answer").status(), 403, "A7");
        assert_eq!(refusals(&server).await, before + 1);
    }
    let status = server.get("/rest/madake/1.0/status").await;
    assert_eq!(status["paused"], false);
    for secret in [&cookies[0]["JSESSIONID=".len()..], "correct%20horse", PASSWORD] {
        assert!(!server.log().contains(secret), "A7: a secret is in the log");
    }
}
