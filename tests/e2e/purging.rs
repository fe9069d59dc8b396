//! Lines that leave logs, and pages on which variables are set.

use madake_testkit::{PASSWORD, Server, wait_for};
use reqwest::{Method, redirect};
use serde_json::Value;

use crate::hostile_support::{raw, status_as, user};
use crate::plan_files::one_job;

const LOG: &str = "/download/PROJ-PLAN-JOB1/build_logs/PROJ-PLAN-JOB1-1.log";

async fn text(server: &Server, path: &str) -> String {
    let answer = server.request(Method::GET, path).send().await.expect("an answer");
    answer.text().await.expect("a body")
}

/// Whether a file of the home has these bytes.
fn is_kept(folder: &std::path::Path, bytes: &[u8]) -> bool {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.into_iter().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => is_kept(&entry.path(), bytes),
        Ok(kind) if kind.is_file() => {
            let content = std::fs::read(entry.path()).unwrap_or_default();
            content.windows(bytes.len()).any(|window| window == bytes)
        }
        _ => false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_purged_line_leaves_disk_and_log_and_who_did_it_is_kept() {
    let server = Server::start().await;
    let _ = server.hosted("PROJ/app").push(
        "master",
        &[(
            "bamboo-specs/bamboo.yml",
            &one_job("echo before; echo a-leak-$((3*7)); echo after", ""),
        )],
    );
    server.ended("PROJ-PLAN", 1).await;
    let log = text(&server, LOG).await;
    let line = 1 + log
        .lines()
        .position(|line| line.ends_with("\ta-leak-21"))
        .expect("the leak");
    assert!(is_kept(&server.home(), b"a-leak-21"));
    user(&server, "joe", "joes-password");
    server.madake(&[
        "permission",
        "grant",
        "plan",
        "PROJ-PLAN",
        "READ",
        "WRITE",
        "--user",
        "joe",
    ]);
    let purges = "/rest/madake/1.0/logs/PROJ-PLAN-JOB1-1/purges";
    let refused = server
        .anonymous(Method::POST, purges)
        .basic_auth("joe", Some("joes-password"))
        .header("content-type", "application/json")
        .body(format!("{{\"line\": {line}}}"));
    assert_eq!(refused.send().await.expect("an answer").status(), 403);
    assert_eq!(
        status_as(&server, Method::GET, purges, "joe", "joes-password").await,
        200
    );
    assert!(text(&server, LOG).await.contains("a-leak-21"));

    let out = server.madake(&["log", "purge", "PROJ-PLAN-JOB1-1", "--line", &line.to_string()]);
    assert!(out.contains("change the secret as well"), "{out}");
    let after = text(&server, LOG).await;
    assert_eq!(after.lines().count(), log.lines().count());
    assert!(
        after.contains("\tbefore") && after.contains("\tafter") && !after.contains("a-leak"),
        "{after}"
    );
    assert!(!is_kept(&server.home(), b"a-leak-21"));
    let shown = server.get("/rest/madake/1.0/builds/PROJ-PLAN-1/log").await;
    assert!(!shown.to_string().contains("a-leak"));
    let listed = server.get(purges).await;
    assert_eq!(listed["purges"][0]["line"], line);
    assert_eq!(listed["purges"][0]["purgedBy"], "local administrator");
    assert!(
        server
            .madake(&["log", "purges", "PROJ-PLAN-JOB1-1"])
            .contains("local administrator")
    );
}

/// The number of the line that ends like this.
fn line_of(log: &str, end: &str) -> String {
    let at = log.lines().position(|line| line.ends_with(end));
    (at.expect("the line") + 1).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_lines_leave_logs_of_earlier_attempts_and_of_deployments() {
    let server = Server::start().await;
    let file = one_job(
        "test -e again && echo second-leak-$((3*7)) || { touch again; echo first-leak-$((3*7)); exit 1; }",
        "---\nversion: 2\ndeployment: {name: Deploy it, source-plan: PROJ-PLAN}\nrelease-naming: r-1\n\
         environments: [QA]\nQA:\n  triggers: [build-success]\n  tasks:\n    - script: ['echo to-qa-leak-$((3*7))']\n",
    );
    let _ = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    server.ended("PROJ-PLAN", 1).await;
    let again = server.request(Method::PUT, "/rest/api/latest/queue/PROJ-PLAN-1");
    assert_eq!(again.send().await.expect("an answer").status(), 200);
    wait_for("the deployment of the second attempt", || async {
        let path = "/rest/madake/1.0/deployments/results/1";
        let answer = server.request(Method::GET, path).send().await.ok()?;
        let found: Value = answer.json().await.ok()?;
        (found["lifeCycleState"] == "FINISHED").then_some(())
    })
    .await;

    let first = server.madake(&["build", "log", "PROJ-PLAN-JOB1-1", "--attempt", "1"]);
    assert!(
        first.contains("first-leak-21") && !first.contains("second-leak-21"),
        "{first}"
    );
    let last = server.madake(&["build", "log", "PROJ-PLAN-JOB1-1"]);
    assert!(
        last.contains("second-leak-21") && !last.contains("first-leak-21"),
        "{last}"
    );
    let deployed = server.madake(&["deployment", "log", "1"]);
    let lines = [
        line_of(&first, "first-leak-21"),
        line_of(&deployed, "to-qa-leak-21"),
    ];

    for (attempt, status) in [(0, 404), (3, 404), (1, 200)] {
        let body = format!("{{\"line\": {}, \"attempt\": {attempt}}}", lines[0]);
        let path = "/rest/madake/1.0/logs/PROJ-PLAN-JOB1-1/purges";
        let asked = server
            .request(Method::POST, path)
            .header("content-type", "application/json");
        let answer = asked.body(body).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "attempt {attempt}");
    }
    user(&server, "joe", "joes-password");
    server.madake(&[
        "permission",
        "grant",
        "plan",
        "PROJ-PLAN",
        "READ",
        "ADMINISTRATION",
        "--user",
        "joe",
    ]);
    let path = "/rest/madake/1.0/logs/1/purges";
    let refused = server
        .anonymous(Method::POST, path)
        .basic_auth("joe", Some("joes-password"))
        .header("content-type", "application/json")
        .body(format!("{{\"line\": {}}}", lines[1]));
    let refused = refused.send().await.expect("an answer").status();
    assert!(refused == 403 || refused == 404, "{refused}");
    assert!(is_kept(&server.home(), b"to-qa-leak-21"));
    server.madake(&["log", "purge", "1", "--line", &lines[1]]);

    for gone in ["first-leak-21", "to-qa-leak-21"] {
        assert!(!is_kept(&server.home(), gone.as_bytes()), "{gone}");
    }
    assert!(is_kept(&server.home(), b"second-leak-21"));
    let listed = server.get("/rest/madake/1.0/logs/PROJ-PLAN-JOB1-1/purges").await;
    assert_eq!(listed["purges"][0]["attempt"], 1);
    assert_eq!(listed["purges"][1], Value::Null);
    assert!(
        server
            .madake(&["log", "purges", "1"])
            .contains("local administrator")
    );
    let log = server.madake(&["deployment", "log", "1"]);
    assert_eq!(log.lines().count(), deployed.lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_names_and_user_agents_cannot_steer_who_reads_the_servers_log() {
    let server = Server::start().await;
    let hostile =
        one_job("echo one", "").replace("Build it", "\"\\e[2J\\e]52;c;aGk=\\aevil\\r\\nINFO forged\"");
    let _ = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", &hostile)]);
    server.ended("PROJ-PLAN", 1).await;
    for agent in ["x\u{1b}[2Jy", "x\u{9b}2Jy", "x\ty"] {
        let request = format!(
            "GET /rest/api/latest/info HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
        );
        raw(&server, request.as_bytes()).await;
    }
    let name = "%1B%5B2J%0D%0AINFO%20forged";
    let login = format!(
        "GET /rest/api/latest/plan/{name} HTTP/1.1\r\nHost: a\r\nAuthorization: Basic G1sySg0KOng=\r\nConnection: close\r\n\r\n"
    );
    raw(&server, login.as_bytes()).await;
    let log = server.log();
    assert!(
        !log.contains('\u{1b}') && !log.contains('\u{9b}') && !log.contains('\u{7}'),
        "{log}"
    );
    assert!(log.lines().all(|line| !line.starts_with("INFO forged")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_set_on_their_page_with_the_form_token_alone() {
    let server = Server::start().await;
    let file = one_job(
        "echo $bamboo_region",
        "variables: {region: of-the-file, key_secret: 'BAMSCRT@0@0@abc='}",
    );
    let _ = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    server.ended("PROJ-PLAN", 1).await;
    server.madake(&["variable", "set", "region", "of-the-server"]);
    server.madake_with_input(
        &["variable", "set", "token", "--secret", "--value-stdin"],
        "correct-horse",
    );
    server.madake_with_input(
        &["variable", "set", "pin", "--secret", "--value-stdin"],
        "four-digits",
    );
    server.madake_with_input(
        &[
            "credential",
            "add",
            "deploy",
            "--username",
            "robot",
            "--password-stdin",
        ],
        "battery-staple",
    );

    let browser = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .build()
        .expect("a client");
    let page = |path: &str| format!("{}{path}", server.url());
    let form = format!("name=admin&password={PASSWORD}");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let login = browser.post(page("/login")).header(kind.0, kind.1).body(form);
    let login = login.send().await.expect("an answer");
    let cookie = login.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();
    let get = async |path: &str| {
        let answer = browser
            .get(page(path))
            .header("cookie", &cookie)
            .send()
            .await
            .expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    };
    let post = async |body: String, origin: &str| {
        let request = browser
            .post(page("/variables"))
            .header("cookie", &cookie)
            .header("origin", origin);
        let answer = request
            .header(kind.0, kind.1)
            .body(body)
            .send()
            .await
            .expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    };
    let (_, plan) = get("/browse/PROJ-PLAN").await;
    for wanted in [
        "badge warning",
        "href=\"/variables?plan=PROJ-PLAN\">Enter it</a>",
        "href=\"/projects/PROJ/repos/app/browse/bamboo-specs/bamboo.yml?at=",
        "class=\"meant\"",
        "Build now",
    ] {
        assert!(plan.contains(wanted), "`{wanted}` is not in {plan}");
    }
    let (status, shown) = get("/variables?plan=PROJ-PLAN").await;
    assert_eq!(status, 200);
    for wanted in [
        "of-the-file",
        "of-the-server",
        "no: the plan file counts",
        "encrypted by another server",
        "********",
    ] {
        assert!(shown.contains(wanted), "`{wanted}` is not in {shown}");
    }
    assert!(
        !shown.contains("correct-horse") && !shown.contains("BAMSCRT"),
        "{shown}"
    );
    let token = shown
        .split("name=\"form-token\" value=\"")
        .nth(1)
        .expect("a token");
    let token = token.split('"').next().expect("its end").to_owned();
    let set =
        |token: &str| format!("form-token={token}&plan=PROJ-PLAN&do=set&name=key_secret&value=entered-anew");
    assert_eq!(post(set(""), &server.url()).await.0, 403);
    assert_eq!(post(set("guessed"), &server.url()).await.0, 403);
    assert_eq!(post(set(&token), "https://evil.example").await.0, 403);
    let (status, answer) = post(set(&token), &server.url()).await;
    assert_eq!(status, 303, "{answer}");
    let (_, shown) = get("/variables?plan=PROJ-PLAN").await;
    assert!(
        shown.contains("was entered anew: what is set for the plan counts")
            && !shown.contains("entered-anew"),
        "{shown}"
    );
    let (status, shown) = post(
        format!("form-token={token}&do=set&name=a%20b&value=x"),
        &server.url(),
    )
    .await;
    assert!(
        status == 400 && shown.contains("is not the name of a variable"),
        "{shown}"
    );
    let again = format!("form-token={token}&do=set&name=pin&value=typed-anew");
    assert_eq!(post(again, &server.url()).await.0, 303);
    let (_, shown) = get("/variables").await;
    assert!(
        shown.contains("pin") && !shown.contains("typed-anew"),
        "a secret stays one: {shown}"
    );
    let remove = format!("form-token={token}&plan=PROJ-PLAN&do=remove&name=key_secret");
    assert_eq!(post(remove, &server.url()).await.0, 303);
    assert_eq!(
        browser
            .get(page("/variables"))
            .send()
            .await
            .expect("an answer")
            .status(),
        401
    );

    let (status, shown) = get("/credentials").await;
    assert!(
        status == 200 && shown.contains("robot") && !shown.contains("battery"),
        "{shown}"
    );
    if let Some(folder) = std::env::var_os("MADAKE_PAGES") {
        for (name, path) in [
            ("variables.html", "/variables?plan=PROJ-PLAN"),
            ("credentials.html", "/credentials"),
            ("pages.css", "/assets/pages.css"),
        ] {
            std::fs::write(std::path::Path::new(&folder).join(name), get(path).await.1).expect("written");
        }
    }
}
