//! Hostile remote triggers and address lists (hostile-inputs.md R1 to R14), towards the real binary.
//!
//! A repository that is a folder of this machine has 127.0.0.1 as its own host, which may always call; strangers
//! call from 127.0.0.2. R13 is about queueing and stands in `hostile_rest`.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use madake_testkit::{PASSWORD, Server, ServerOptions, WorkTree, git, wait_for};
use reqwest::header::HeaderValue;
use reqwest::{Client, Method};

use crate::hostile_support::{
    calls, last_refusal, ledger, peak_kib, raw, refusals, settled, status_as, status_of, user, watched,
};
use crate::plan_files::one_job;

/// A client whose connections come from this loopback address.
fn client_at(address: &str) -> Client {
    let address: IpAddr = address.parse().expect("an address");
    Client::builder()
        .no_proxy()
        .local_address(address)
        .build()
        .expect("a client")
}

async fn configured(configuration: &str) -> Server {
    Server::start_with(ServerOptions {
        environment: Vec::new(),
        configuration: configuration.to_owned(),
    })
    .await
}

/// A linked repository whose plan has this `triggers` section and may be read by everybody.
async fn linked(server: &Server, name: &str, triggers: &str) -> WorkTree {
    let work = WorkTree::with_bare(&server.scratch().join(format!("{name}.git")));
    let plan = one_job("echo built", triggers);
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
    let bare = server.scratch().join(format!("{name}.git"));
    server.madake(&["repo", "link", name, bare.to_str().expect("text")]);
    settled(server).await;
    work
}

fn everybody_reads(server: &Server) {
    server.madake(&["permission", "grant", "plan", "PROJ-PLAN", "READ", "--anonymous"]);
}

/// A row: its name, the headers of the request, the status of the answer.
type Forwarded = (&'static str, Vec<(&'static str, HeaderValue)>, u16);

const ACTION: &str = "/updateAndBuild.action?buildKey=PROJ-PLAN";

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trigger_r1_names_plan_and_permission_in_the_log() {
    let server = Server::start().await;
    let _work = linked(&server, "origin", "triggers:\n  - remote\n").await;
    let rows = [
        (Method::GET, "R1", ACTION),
        (Method::POST, "R1 post", ACTION),
        (
            Method::POST,
            "R1 changeDetection",
            "/rest/triggers/latest/remote/changeDetection?planKey=PROJ-PLAN",
        ),
    ];
    for (method, row, path) in rows {
        let before = refusals(&server).await;
        let answer = server.anonymous(method, path).send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{row}");
        assert_eq!(refusals(&server).await, before + 1, "{row}");
        let entry = last_refusal(&server).await;
        assert_eq!(entry["plan"], "PROJ-PLAN", "{row}: {entry}");
        assert!(entry["reason"].to_string().contains("READ"), "{row}: {entry}");
        assert_eq!(entry["address"], "127.0.0.1", "{row}");
    }
    assert!(
        server.log().contains("plan PROJ-PLAN: lacks READ"),
        "{}",
        server.log()
    );
    assert!(server.results("PROJ-PLAN").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trigger_addresses_r2_to_r8() {
    // Not behind a proxy: no header is believed. The list has a block and a wildcard, as Bamboo writes it (R7).
    let triggers = "triggers:\n  - remote: {ip: '10.0.0.0/8, 192.168.5.*'}\n";
    let alone = configured("").await;
    let _work = linked(&alone, "origin", triggers).await;
    everybody_reads(&alone);
    let stranger = client_at("127.0.0.2");
    let forged: [(&str, &[(&str, &str)]); 9] = [
        ("R2", &[]),
        ("R3", &[("x-forwarded-for", "10.1.2.3")]),
        ("R3 this machine", &[("x-forwarded-for", "127.0.0.1")]),
        ("R5 Forwarded", &[("forwarded", "for=127.0.0.1")]),
        ("R5 X-Real-IP", &[("x-real-ip", "127.0.0.1")]),
        ("R5 True-Client-IP", &[("true-client-ip", "127.0.0.1")]),
        ("R5 X-Client-IP", &[("x-client-ip", "127.0.0.1")]),
        (
            "R5 two headers",
            &[("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "10.1.2.3")],
        ),
        (
            "R5 Host",
            &[("host", "127.0.0.1"), ("x-forwarded-host", "127.0.0.1")],
        ),
    ];
    for (row, headers) in forged {
        let before = refusals(&alone).await;
        let mut request = stranger.get(format!("{}{ACTION}", alone.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 403, "{row}");
        assert_eq!(refusals(&alone).await, before + 1, "{row}: one entry");
        let entry = last_refusal(&alone).await;
        assert_eq!(
            (&entry["address"], &entry["plan"]),
            (&"127.0.0.2".into(), &"PROJ-PLAN".into()),
            "{row}"
        );
        assert!(
            entry["reason"].to_string().contains("10.0.0.0/8"),
            "{row}: {entry}"
        );
    }
    assert!(alone.results("PROJ-PLAN").await.is_empty());
    // The repository's own host needs no list (R8), and being logged in is no address.
    let own = alone
        .anonymous(Method::GET, ACTION)
        .send()
        .await
        .expect("an answer");
    assert_eq!(own.status(), 200);
    let login = stranger
        .get(format!("{}{ACTION}", alone.url()))
        .basic_auth("admin", Some(PASSWORD));
    assert_eq!(login.send().await.expect("an answer").status(), 403);

    // Behind a proxy at 127.0.0.2: the right-most address that is not a proxy decides.
    let behind = configured("[server]\ntrusted-proxies = [\"127.0.0.2\", \"127.0.0.3\"]\n").await;
    let _work = linked(&behind, "origin", triggers).await;
    everybody_reads(&behind);
    let rows: Vec<Forwarded> = [
        ("R4 allowed", vec!["10.1.2.3"], 200),
        ("R4 forged on the left", vec!["10.1.2.3, 203.0.113.9"], 403),
        ("R4 forged this machine", vec!["127.0.0.1, 203.0.113.9"], 403),
        ("R4 two proxies", vec!["203.0.113.9, 10.1.2.3, 127.0.0.3"], 200),
        ("R4 none", vec![], 403),
        (
            "R5 two headers are one list",
            vec!["10.1.2.3", "203.0.113.9"],
            403,
        ),
        ("R5 in this order", vec!["203.0.113.9", "10.1.2.3"], 200),
        ("R6 mapped", vec!["::ffff:10.1.2.3"], 200),
        ("R6 octal", vec!["0012.1.2.3"], 403),
        ("R6 decimal", vec!["167838211"], 403),
        ("R6 with port", vec!["10.1.2.3:80"], 403),
        ("R7 wildcard", vec!["192.168.5.77"], 200),
        ("R7 beside it", vec!["192.168.6.77"], 403),
    ]
    .into_iter()
    .map(|(row, values, status)| {
        let headers = values
            .into_iter()
            .map(|value| ("x-forwarded-for", HeaderValue::from_str(value).expect("a value")))
            .collect();
        (row, headers, status)
    })
    .chain([
        // A proxy appends to what it was sent: bytes that are no text must not make its own entry unread.
        (
            "R4 bytes that are no text",
            vec![(
                "x-forwarded-for",
                HeaderValue::from_bytes(b"\xff, 203.0.113.9").expect("a value"),
            )],
            403,
        ),
        (
            "R4 bytes that are no text, allowed",
            vec![(
                "x-forwarded-for",
                HeaderValue::from_bytes(b"\xff, 10.1.2.3").expect("a value"),
            )],
            200,
        ),
    ])
    .collect();
    for (row, headers, expected) in rows {
        let mut request = stranger.get(format!("{}{ACTION}", behind.url()));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), expected, "{row}");
    }

    // R8: an empty list is the repository's own host alone, and the reason says so.
    let empty = configured("").await;
    let _work = linked(&empty, "origin", "triggers:\n  - remote\n").await;
    everybody_reads(&empty);
    let answer = stranger.get(format!("{}{ACTION}", empty.url())).send().await;
    assert_eq!(answer.expect("an answer").status(), 403, "R8");
    let reason = last_refusal(&empty).await["reason"].to_string();
    assert!(reason.contains("names no further addresses"), "R8: {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trigger_host_names_r7_are_refused_when_the_plan_is_read() {
    let server = Server::start().await;
    let work = WorkTree::with_bare(&server.scratch().join("origin.git"));
    let plan = one_job("echo built", "triggers:\n  - remote: {ip: 'ci.example.org'}\n");
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
    let bare = server.scratch().join("origin.git");
    server.madake(&["repo", "link", "origin", bare.to_str().expect("text")]);
    settled(&server).await;
    let answer = server
        .request(Method::GET, "/rest/api/latest/plan/PROJ-PLAN")
        .send()
        .await;
    assert_eq!(
        answer.expect("an answer").status(),
        404,
        "R7: the plan is not made"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trigger_keys_r9_and_r11_and_switches_r12() {
    let server = Server::start().await;
    let work = linked(
        &server,
        "origin",
        "branches:\n  create: for-new-branch\ntriggers:\n  - remote\n",
    )
    .await;
    user(&server, "joe", "a password for joe");
    let long = "P".repeat(300);
    let keys = [
        ("proj-plan", 404),
        ("PROJ", 404),
        ("PROJ-NOPE", 404),
        ("PROJ-PLAN-", 404),
        ("PROJ-PLAN-1", 404),
        ("../PROJ-PLAN", 404),
        ("PROJ-PLAN%00", 404),
        ("PROJ-PLAN%0d%0aX-A:b", 404),
        ("PROJ-PLAN;x", 404),
        ("%3Cscript%3E", 404),
        (long.as_str(), 404),
        ("", 400),
        ("PROJ-PLAN&planKey=PROJ-OTHER", 400),
        ("PROJ-PLAN&planKey=PROJ-PLAN", 200),
        ("PROJ-PLAN-JOB1", 200),
    ];
    for (key, expected) in keys {
        for path in [
            format!("/updateAndBuild.action?buildKey={key}"),
            format!("/rest/triggers/latest/remote/changeDetection?buildKey={key}"),
        ] {
            let answer = server
                .request(Method::POST, &path)
                .send()
                .await
                .expect("an answer");
            let status = answer.status().as_u16();
            let headers = format!("{:?}", answer.headers());
            let text = answer.text().await.expect("a body");
            // changeDetection answers 204 where the action answers 200.
            let same = if status == 204 { 200 } else { status };
            assert_eq!(same, expected, "R9, R11 {path}: {text}");
            assert!(
                !text.contains("<script>") && !headers.contains("x-a"),
                "R9 {path}"
            );
        }
    }
    // No oracle: a stranger cannot tell a hidden plan from a missing one. Who is logged in is told 403 and 404, as
    // by Bamboo's REST interface; that choice is explained in the engine's `access`.
    let answers = |key: &'static str| {
        let server = &server;
        async move {
            let path = format!("/updateAndBuild.action?buildKey={key}");
            let answer = server
                .anonymous(Method::GET, &path)
                .send()
                .await
                .expect("an answer");
            let (status, text) = (answer.status(), answer.text().await.expect("a body"));
            (status, text.replace(key, "KEY"))
        }
    };
    let hidden = answers("PROJ-PLAN").await;
    let missing = answers("PROJ-NOPE").await;
    assert_eq!(hidden, missing, "R9: no oracle");
    assert_eq!(hidden.0, 401);
    let joe = |path: &'static str| status_as(&server, Method::GET, path, "joe", "a password for joe");
    assert_eq!(joe(ACTION).await, 403);
    assert_eq!(joe("/updateAndBuild.action?buildKey=PROJ-NOPE").await, 404);

    // R12: only `true` in any case leaves branches out, as Java reads it.
    settled(&server).await;
    for (value, skips) in [
        ("&skipBranches=true", true),
        ("&skipBranches=True", true),
        ("&skipBranches=1", false),
        ("&skipBranches=yes", false),
        ("&skipBranches=", false),
        ("", false),
    ] {
        settled(&server).await;
        let path = format!("/rest/triggers/latest/remote/changeDetection?planKey=PROJ-PLAN{value}");
        let answer = server
            .request(Method::POST, &path)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 204, "R12 {value}");
        let newest = ledger(&server).await.remove(0);
        assert_eq!(newest["content"]["skipBranches"], skips, "R12 {value}: {newest}");
    }
    git(&work.path, &["status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trigger_cookies_r10_and_methods_a3_change_nothing() {
    let server = Server::start().await;
    let work = linked(&server, "origin", "triggers:\n  - remote\n").await;
    let login = server
        .anonymous(
            Method::GET,
            "/rest/api/latest/currentUser?os_username=admin&os_password=correct%20horse%20battery",
        )
        .send()
        .await
        .expect("an answer");
    let cookie = login.headers()["set-cookie"].to_str().expect("text").to_owned();
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let _ = work.push("master", &[("x", "1")]);
    let known = ledger(&server).await.len();
    let rows = [
        (Method::GET, ACTION),
        (Method::HEAD, ACTION),
        (Method::GET, "/api/rest/updateAndBuild.action?buildKey=PROJ-PLAN"),
        (Method::GET, "/updateAndBuild.action/?buildKey=PROJ-PLAN"),
        (Method::POST, ACTION),
        (
            Method::POST,
            "/rest/triggers/1.0/remote/changeDetection?planKey=PROJ-PLAN",
        ),
        (Method::POST, "/rest/api/latest/queue/PROJ-PLAN"),
        (Method::POST, "/build/admin/stopPlan.action?planKey=PROJ-PLAN"),
    ];
    for (method, path) in rows {
        let before = refusals(&server).await;
        let request = server.anonymous(method.clone(), path).header("cookie", &cookie);
        let answer = request.header("x-atlassian-token", "no-check").send().await;
        let status = answer.expect("an answer").status().as_u16();
        // HEAD of a call that changes something is no method of it at all.
        assert!(matches!(status, 403 | 405), "R10 {method} {path}: {status}");
        let entered = i64::from(status == 403);
        assert_eq!(refusals(&server).await, before + entered, "R10 {method} {path}");
    }
    // A3: with all permissions, methods that must not change anything do not.
    let override_header = ("x-http-method-override", "POST");
    for method in [Method::HEAD, Method::OPTIONS, Method::TRACE] {
        let request = server
            .request(method.clone(), ACTION)
            .header(override_header.0, override_header.1);
        let status = request.send().await.expect("an answer").status();
        assert!(!status.is_success(), "A3 {method}: {status}");
    }
    for path in ["/rest/api/latest/queue/PROJ-PLAN", "/rest/madake/1.0/pause"] {
        for method in [Method::GET, Method::HEAD] {
            let request = server
                .request(method.clone(), path)
                .header(override_header.0, override_header.1);
            let status = request.send().await.expect("an answer").status();
            assert_eq!(status, 405, "A3 {method} {path}");
        }
    }
    settled(&server).await;
    assert!(server.results("PROJ-PLAN").await.is_empty());
    let now = ledger(&server).await;
    assert!(
        now[..now.len() - known]
            .iter()
            .all(|one| one["state"] == "refused"),
        "{now:?}"
    );
    // The cookie itself is good: it reads.
    let request = server
        .anonymous(Method::GET, "/rest/api/latest/plan/PROJ-PLAN")
        .header("cookie", &cookie);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let answer = raw(
        &server,
        b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Secret: 1\r\n\r\n",
    )
    .await;
    assert!(
        status_of(&answer) >= 400 && !answer.contains("X-Secret"),
        "A3: {answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trigger_flood_r14_is_one_look_and_fair_to_others() {
    let (server, seen, _git) = watched("").await;
    let work = linked(&server, "origin", "triggers:\n  - remote\n").await;
    everybody_reads(&server);
    let other = WorkTree::with_bare(&server.scratch().join("quiet.git"));
    let plan = one_job("echo built", "triggers:\n  - remote\n").replace("key: PLAN", "key: QUIET");
    let plan = plan.replace("name: Build it", "name: Build the other");
    let _ = other.push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
    let bare = server.scratch().join("quiet.git");
    server.madake(&["repo", "link", "quiet", bare.to_str().expect("text")]);
    settled(&server).await;
    let commit = work.push("master", &[("x", "1")]);
    let quiet = other.push("master", &[("x", "1")]);
    let (entries, asked) = (ledger(&server).await.len(), calls(&seen).lines().count());
    let peak = peak_kib(server.process_id());

    const EACH: usize = 625;
    let client = client_at("127.0.0.1");
    let address = format!("{}{ACTION}", server.url());
    let flood: Vec<_> = (0..16)
        .map(|_| {
            let (client, address) = (client.clone(), address.clone());
            tokio::spawn(async move {
                let mut taken = 0;
                for _ in 0..EACH {
                    let answer = client.get(&address).send().await;
                    taken += usize::from(answer.is_ok_and(|answer| answer.status() == 200));
                }
                taken
            })
        })
        .collect();
    // Meanwhile another plan gets its build.
    let began = Instant::now();
    let path = "/updateAndBuild.action?buildKey=PROJ-QUIET";
    let answer = server.request(Method::GET, path).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let results = server.ended("PROJ-QUIET", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], quiet.as_str());
    let waited = began.elapsed();
    assert!(
        waited < Duration::from_secs(15),
        "R14: the other plan waited {waited:?}"
    );
    let mut taken = 0;
    for one in flood {
        taken += one.await.expect("no panic");
    }
    assert_eq!(taken, 16 * EACH, "each was answered");
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results.len(), 1, "R14: one build");
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str());
    wait_for("the queue to run dry", || async {
        let events = ledger(&server).await;
        events
            .iter()
            .all(|event| event["state"] != "received")
            .then_some(())
    })
    .await;
    // A look takes a few milliseconds, so 10 000 calls over some seconds are many looks; what counts is that calls
    // that wait are one entry and one look.
    let entries = ledger(&server).await.len() - entries;
    let asked = calls(&seen).lines().count() - asked;
    assert!(entries < taken / 4, "R14: {entries} entries for {taken} calls");
    assert!(
        asked < 3 * entries + 100,
        "R14: {asked} processes for {entries} entries"
    );
    let grown = peak_kib(server.process_id()) - peak;
    assert!(grown < 200 * 1024, "R14: memory grew by {grown} KiB");
}
