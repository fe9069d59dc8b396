//! Brokers: pushes and builds become calls of products, mails and runs of programs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use madake_testkit::{Server, ServerOptions, WorkTree, git, wait_for};
use serde_json::{Value, json};

use crate::brokers_support::{Asked, MailServer, Product, Reply};
use crate::plan_files::one_job;

async fn server(more: &str) -> Server {
    Server::start_with(ServerOptions {
        configuration: format!("[outgoing]\nallow = [\"127.0.0.1\"]\n{more}"),
        ..ServerOptions::default()
    })
    .await
}

fn taken(_: &str) -> Reply {
    (200, "", "ok")
}

/// Jenkins 2.x with protection against forged requests, as it answers.
fn jenkins(line: &str) -> Reply {
    if line.starts_with("GET /crumbIssuer/") {
        (
            200,
            "Content-Type: application/json;charset=utf-8\r\nSet-Cookie: JSESSIONID.1a=node0xyz; Path=/; HttpOnly\r\n",
            r#"{"_class":"hudson.security.csrf.DefaultCrumbIssuer","crumb":"5d0cafe5d0cafe","crumbRequestField":"Jenkins-Crumb"}"#,
        )
    } else {
        (201, "Location: http://ci.example/queue/item/7/\r\n", "")
    }
}

fn deliveries(server: &Server, receiver: &str) -> Vec<Value> {
    let listed = server.madake(&["--json", "receiver", "deliveries", receiver]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    listed["deliveries"].as_array().cloned().unwrap_or_default()
}

/// Waits until a receiver has as many ended deliveries, newest first.
async fn ended(server: &Server, receiver: &str, count: usize) -> Vec<Value> {
    wait_for("the deliveries to end", || async {
        let rows = deliveries(server, receiver);
        let all = rows.len() >= count && rows.iter().all(|one| one["state"] == "ended");
        all.then_some(rows)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn jenkins_is_asked_for_a_crumb_before_each_build() {
    let server = server("").await;
    let work = server.hosted("PROJ/app");
    let product = Product::start(jenkins);
    server.madake_with_input(
        &[
            "receiver",
            "create",
            "PROJ/app",
            "--broker",
            "Jenkins",
            "--setting",
            &format!("endpoint={}", product.url_as("mei:w0rd")),
            "--setting",
            "project_name=main:deploy, tests",
            "--setting",
            "csrf_enabled=true",
            "--setting-stdin",
            "token",
        ],
        "t0ken\n",
    );
    let _ = work.push("main", &[("a.txt", "1")]);
    let asked = product.wait_for(4).await;
    let builds: Vec<&Asked> = asked.iter().filter(|one| one.line.starts_with("POST ")).collect();
    assert_eq!(builds.len(), 2);
    for job in ["/job/deploy/build?token=t0ken", "/job/tests/build?token=t0ken"] {
        let one = builds
            .iter()
            .find(|one| one.line.contains(job))
            .unwrap_or_else(|| panic!("{job} in {builds:?}"));
        assert_eq!(one.header("Jenkins-Crumb"), Some("5d0cafe5d0cafe"));
        assert_eq!(one.header("Cookie"), Some("JSESSIONID.1a=node0xyz"));
        assert_eq!(one.header("Authorization"), Some("Basic bWVpOncwcmQ="));
    }
    let rows = ended(&server, "1", 2).await;
    assert_eq!(rows.len(), 2, "one delivery for each job: {rows:?}");
    for one in &rows {
        assert_eq!(one["ending"], "delivered", "{one}");
        let shown = server.madake(&["--json", "delivery", "show", &one["id"].to_string()]);
        assert!(shown.contains("queue/item/7"), "{shown}");
        for secret in ["t0ken", "w0rd", "5d0cafe", "node0xyz", "bWVpOncwcmQ"] {
            assert!(!shown.contains(secret), "{secret} is shown: {shown}");
            assert!(!server.log().contains(secret), "{secret} is in the log");
        }
    }
    let listed = server.madake(&["--json", "receiver", "list", "PROJ/app"]);
    assert!(!listed.contains("t0ken") && !listed.contains("w0rd"), "{listed}");
    let why = server.madake(&["why", "1"]);
    assert_eq!(why.matches("delivered").count(), 2, "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_checked_all_at_once_and_secrets_keep_off_the_command_line() {
    let server = server("").await;
    let _ = server.hosted("PROJ/app");
    let refused = |body: Value| {
        let sent = server
            .request(reqwest::Method::POST, "/rest/madake/1.0/receivers")
            .json(&body)
            .send();
        async move {
            let answer = sent.await.expect("an answer");
            assert_eq!(answer.status(), 400, "{body}");
            answer.text().await.expect("a body")
        }
    };
    let text = refused(json!({ "repository": "PROJ/app", "broker": "jenkin", "settings": {} })).await;
    assert!(text.contains("did you mean `jenkins`?"), "{text}");
    let text = refused(json!({
        "repository": "PROJ/app", "broker": "jenkins",
        "settings": { "endpiont": "http://ci.example", "csrf_enabled": "maybe" },
    }))
    .await;
    for part in [
        "did you mean `endpoint`?",
        "`csrf_enabled`",
        "`project_name` is missing",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = refused(json!({
        "repository": "PROJ/app", "broker": "slack",
        "settings": { "webhook_url": "http://169.254.169.254/latest" },
    }))
    .await;
    assert!(text.contains("`webhook_url`"), "{text}");
    let text = refused(json!({
        "repository": "PROJ/app", "broker": "executable", "settings": { "program": "/bin/sh" },
    }))
    .await;
    assert!(text.contains("an administrator adds"), "{text}");
    let text = refused(json!({
        "repository": "PROJ/app", "broker": "email", "settings": { "address": "a@example.org" },
    }))
    .await;
    assert!(text.contains("[mail]"), "{text}");
    let output = std::process::Command::new(madake_testkit::binary())
        .args(["receiver", "create", "PROJ/app", "--broker", "slack"])
        .args(["--setting", "webhook_url=http://127.0.0.1:1/x", "--home"])
        .arg(server.home())
        .output()
        .expect("madake starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("--setting-stdin webhook_url"),
        "{said}"
    );
    let types = server.madake(&["receiver", "types"]);
    assert!(
        types.contains("mattermost") && types.contains("teamcity"),
        "{types}"
    );
    assert!(
        server
            .madake(&["receiver", "types", "jenkins"])
            .contains("project_name")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_can_be_tried_before_they_are_used_and_changed_after() {
    let server = server("").await;
    let work = server.hosted("PROJ/app");
    let product = Product::start(taken);
    let url = format!("url={}/told", product.url());
    let template = r#"body={"moved": {{ refs[0].name }}}"#;
    let shown = server.madake(&[
        "receiver",
        "preview",
        "--broker",
        "http",
        "--setting",
        &url,
        "--setting",
        template,
    ]);
    assert!(shown.contains(r#"{"moved": "main"}"#), "{shown}");
    assert!(product.asked().is_empty(), "a preview sends nothing");
    server.madake(&[
        "receiver",
        "create",
        "PROJ/app",
        "--broker",
        "http",
        "--setting",
        &url,
        "--setting",
        template,
    ]);
    server.madake(&["receiver", "set", "1", "--setting", "refs=main"]);
    assert!(server.madake(&["receiver", "preview", "1"]).contains(r#""main""#));
    let _ = work.push("other", &[("a", "1")]);
    let _ = work.push("main", &[("a", "2")]);
    let asked = product.wait_for(1).await;
    assert_eq!(asked[0].body, r#"{"moved": "main"}"#);
    let why = wait_for("the push to be decided", || async {
        let why = server.madake(&["why", "1"]);
        why.contains("the setting `refs` leaves").then_some(why)
    })
    .await;
    assert!(why.contains("is not told"), "{why}");
    server.madake(&["receiver", "test", "1"]);
    product.wait_for(2).await;
}

fn program(folder: &Path, text: &str) -> String {
    let path = folder.join("tell");
    std::fs::write(&path, text).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("runnable");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_the_server_left_behind_ends_and_runs_again_with_the_same_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().display();
    // The first run never ends by itself.
    let path = program(
        folder.path(),
        &format!(
            "#!/bin/sh\ncat >> '{at}/events'\nenv > '{at}/environment'\n\
             if [ ! -e '{at}/first' ]; then echo $$ > '{at}/first.new'; mv '{at}/first.new' '{at}/first'; sleep 600; fi\n\
             echo done >> '{at}/done'\necho said\n"
        ),
    );
    let mut server = server(&format!("[brokers]\nexecutables = [\"{path}\"]\n")).await;
    let work = server.hosted("PROJ/app");
    server.madake(&[
        "receiver",
        "create",
        "PROJ/app",
        "--broker",
        "executable",
        "--setting",
        &format!("program={path}"),
    ]);
    let commit = work.push("main", &[("a", "1")]);
    let first = folder.path().join("first");
    let process = wait_for("the program to run", || async {
        std::fs::read_to_string(&first).ok()
    })
    .await;
    server.kill();
    wait_for("the program to end with the server", || async {
        (!Path::new("/proc").join(process.trim()).exists()).then_some(())
    })
    .await;
    server.launch().await;
    let rows = ended(&server, "1", 1).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["ending"], "delivered");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file");
    assert_eq!(read("done"), "done\n", "it ran to its end once");
    let events = read("events");
    let told: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], told[1], "the same event, with the same id");
    assert_eq!(told[0]["refs"][0]["new"], commit.as_str());
    assert!(!read("environment").contains("MADAKE"), "{}", read("environment"));
    let shown = server.madake(&["delivery", "show", &rows[0]["id"].to_string()]);
    assert!(shown.contains("said"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_takes_too_long_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().display();
    let path = program(
        folder.path(),
        &format!("#!/bin/sh\nsetsid sleep 600 &\necho $! > '{at}/child'\nexec sleep 600\n"),
    );
    let server = server(&format!("[brokers]\nexecutables = [\"{path}\"]\n")).await;
    let work = server.hosted("PROJ/app");
    let program = format!("program={path}");
    server.madake(&[
        "receiver",
        "create",
        "PROJ/app",
        "--broker",
        "executable",
        "--setting",
        &program,
        "--setting",
        "timeout=1",
    ]);
    let _ = work.push("main", &[("a", "1")]);
    let shown = wait_for("the first attempt to be over", || async {
        let rows = deliveries(&server, "1");
        let shown = server.madake(&["delivery", "show", &rows.first()?["id"].to_string()]);
        shown.contains("time limit of 1 s").then_some(shown)
    })
    .await;
    assert!(shown.contains("try 1"), "{shown}");
    let child = std::fs::read_to_string(folder.path().join("child")).expect("a child");
    assert!(
        !Path::new("/proc").join(child.trim()).exists(),
        "the child lives on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_have_the_patch_and_owners_hear_of_receivers_that_fail() {
    let mail = MailServer::start();
    let server = server(&format!(
        "[mail]\nhost = \"127.0.0.1\"\nport = {}\nfrom = \"Madake <ci@example.org>\"\nsecurity = \"none\"\n",
        mail.port
    ))
    .await;
    let work = server.hosted("PROJ/app");
    let _ = work.push("main", &[("a.txt", "one\n")]);
    server.madake(&[
        "receiver",
        "create",
        "PROJ/app",
        "--broker",
        "email_diff",
        "--setting",
        "address=team@example.org",
    ]);
    let _ = work.push("main", &[("a.txt", "two\n")]);
    let letter = &mail.wait_for(1).await[0];
    for part in [
        "RCPT TO:<team@example.org>",
        "Subject: [PROJ/app] a change",
        "From: Madake <ci@example.org>",
        "@example.org>",
        "changes.patch",
        "-one",
        "+two",
    ] {
        assert!(letter.contains(part), "{part}: {letter}");
    }
    server.madake_with_input(
        &[
            "user",
            "add",
            "mei",
            "--email",
            "mei@example.org",
            "--admin",
            "--password-stdin",
        ],
        "a long enough password",
    );
    let product = Product::start(|_| (410, "", ""));
    let made = server
        .anonymous(reqwest::Method::POST, "/rest/madake/1.0/receivers")
        .basic_auth("mei", Some("a long enough password"))
        .json(&json!({ "repository": "PROJ/app", "url": product.url(), "name": "old CI" }))
        .send()
        .await
        .expect("an answer");
    assert_eq!(made.status(), 201);
    let _ = work.push("main", &[("a.txt", "three\n")]);
    let letters = mail.wait_for(3).await;
    let notice = letters
        .iter()
        .find(|letter| letter.contains("RCPT TO:<mei@example.org>"))
        .expect("a letter to the owner");
    assert!(
        notice.contains("Receiver 2 of PROJ/app is switched off"),
        "{notice}"
    );
    assert!(notice.contains("madake receiver enable 2"), "{notice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_are_told_to_brokers_and_to_our_own_format() {
    let server = server("").await;
    let work = server.hosted("PROJ/app");
    let product = Product::start(taken);
    server.madake_with_input(
        &[
            "receiver",
            "create",
            "PROJ/app",
            "--broker",
            "slack",
            "--setting",
            "events=failure, change",
            "--setting-stdin",
            "webhook_url",
        ],
        &format!("{}/slack\n", product.url()),
    );
    server.madake(&[
        "receiver",
        "create",
        "PROJ/app",
        &format!("{}/native", product.url()),
        "--profile",
        "native",
        "--events",
        "build:started,build:finished",
    ]);
    let asked = |path: &'static str| {
        let product = product.clone();
        move || {
            let all = product.asked();
            let found: Vec<Asked> = all.into_iter().filter(|one| one.line.contains(path)).collect();
            found
        }
    };
    let (slack, native) = (asked("/slack"), asked("/native"));
    let _ = work.push("main", &[("bamboo-specs/bamboo.yml", &one_job("exit 1", ""))]);
    server.ended("PROJ-PLAN", 1).await;
    wait_for("the failure to be told", || async {
        (slack().len() == 1).then_some(())
    })
    .await;
    assert!(
        slack()[0].body.contains("|PROJ-PLAN-1> failed"),
        "{}",
        slack()[0].body
    );
    let told = wait_for("start and end to be told", || async {
        let told = native();
        (told.len() == 2).then_some(told)
    })
    .await;
    let read = |one: &Asked| serde_json::from_str::<Value>(&one.body).expect("JSON");
    let finished = told
        .iter()
        .map(read)
        .find(|body| body["type"] == "build:finished")
        .expect("the end");
    assert_eq!(finished["data"]["build"]["state"], "failed");
    assert_eq!(finished["data"]["build"]["failedJobs"][0], "PROJ-PLAN-JOB1");
    assert!(told.iter().map(read).any(|body| body["type"] == "build:started"));
    let event = server.get("/rest/madake/1.0/events/1").await;
    assert_eq!(event["deliveries"].as_array().map(Vec::len), Some(3), "{event}");
    // From failed to successful is a change; from there on nothing is new.
    let _ = work.push("main", &[("bamboo-specs/bamboo.yml", &one_job("exit 0", ""))]);
    server.ended("PROJ-PLAN", 2).await;
    wait_for("the change to be told", || async {
        (slack().len() == 2).then_some(())
    })
    .await;
    let _ = work.push("main", &[("x", "1")]);
    server.ended("PROJ-PLAN", 3).await;
    wait_for("the third build to be told", || async {
        (native().len() == 6).then_some(())
    })
    .await;
    assert_eq!(slack().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_of_linked_repositories_hear_of_what_a_look_finds() {
    let server = Server::start_with(ServerOptions {
        configuration: "[outgoing]\nallow = [\"127.0.0.1\"]\n[repositories]\npoll-seconds = 1\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let bare = server.scratch().join("elsewhere.git");
    let work = WorkTree::with_bare(&bare);
    let first = work.push("master", &[("a", "1")]);
    server.madake(&["repo", "link", "elsewhere", bare.to_str().expect("text")]);
    let product = Product::start(taken);
    server.madake(&[
        "receiver",
        "create",
        "elsewhere",
        &product.url(),
        "--profile",
        "native",
    ]);
    let second = work.push("master", &[("a", "2")]);
    git(&work.path, &["tag", "--annotate", "--message", "the first", "v1"]);
    git(&work.path, &["push", "--quiet", "origin", "v1"]);
    let refs = wait_for("branch and tag to be told", || async {
        let mut refs: Vec<Value> = Vec::new();
        for one in product.asked() {
            let body: Value = serde_json::from_str(&one.body).expect("JSON");
            refs.extend(body["data"]["refs"].as_array().cloned().unwrap_or_default());
        }
        (refs.len() >= 2).then_some(refs)
    })
    .await;
    let of = |name: &str| refs.iter().find(|one| one["name"] == name).expect("the ref");
    assert_eq!(of("master")["old"], first.as_str());
    assert_eq!(of("master")["new"], second.as_str());
    assert_eq!(of("v1")["tag"]["tagger"]["email"], "joe@example.org");
    assert_eq!(of("v1")["tag"]["message"], "the first\n");
    assert_eq!(refs.len(), 2, "each is told once: {refs:?}");
}
