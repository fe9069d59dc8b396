//! Receivers that others wrote: Buildbot, `webhook` and the Python library of Standard Webhooks read what we send.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use madake_testkit::{Server, WorkTree, git, wait_for, wait_for_at_most};
use serde_json::{Value, json};

use crate::telling::{Listening, server};

/// Buildbot loads for seconds where nothing else runs, and for much longer beside other tests.
const BUILDBOT_STARTS: Duration = Duration::from_secs(180);

/// A receiver that runs, and ends with the test; a test that fails shows what it wrote.
struct Running {
    child: Child,
    log: PathBuf,
}

#[expect(
    clippy::print_stderr,
    reason = "the log of a failed test is for who reads its output"
)]
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("the receiver's log:\n{log}");
        }
    }
}

/// A program of the virtual environment that `cargo xtask test` makes beside the build.
pub(crate) fn python_tool(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("the path of this test");
    let target = this.ancestors().nth(3).expect("target/<profile>/deps");
    let program = target.join("receivers/bin").join(name);
    assert!(
        program.is_file(),
        "{} is not there: run `cargo xtask test --only test`, which installs it",
        program.display()
    );
    program
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Makes a receiver and gives its secret, if one was made or given.
async fn receiver(server: &Server, wanted: Value) -> Option<String> {
    let answer = server
        .request(reqwest::Method::POST, "/rest/madake/1.0/receivers")
        .json(&wanted)
        .send()
        .await
        .expect("an answer");
    assert!(answer.status().is_success(), "{wanted}: {}", answer.status());
    let made: Value = answer.json().await.expect("JSON");
    made["newSecret"].as_str().map(str::to_owned)
}

/// A commit of somebody with a name of their own, at a time of its own.
fn commit_as(work: &WorkTree, branch: &str, file: &str, time: &str) -> String {
    work.switch(branch);
    let path = work.path.join(file);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, time).expect("a file");
    git(&work.path, &["add", "--all"]);
    let committed = Command::new("git")
        .args(["commit", "-q", "-m", "Größe & <Maß>"])
        .current_dir(&work.path)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Jérôme Müller")
        .env("GIT_AUTHOR_EMAIL", "jerome@example.org")
        .env("GIT_AUTHOR_DATE", time)
        .env("GIT_COMMITTER_NAME", "Joe Doe")
        .env("GIT_COMMITTER_EMAIL", "joe@example.org")
        .env("GIT_COMMITTER_DATE", time)
        .status()
        .expect("git");
    assert!(committed.success());
    git(&work.path, &["push", "-q", "origin", branch]);
    git(&work.path, &["rev-parse", "HEAD"])
}

/// A Buildbot master with the change hooks of three dialects. It takes a port of its own and says which: until it
/// listens, which takes seconds, one that was only looked up would go to other tests that run at the same time.
async fn buildbot(folder: &Path) -> (Running, u16) {
    let master = folder.join("master");
    let made = Command::new(python_tool("buildbot"))
        .args(["create-master", "-q"])
        .arg(&master)
        .output()
        .expect("buildbot");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let configuration = "from buildbot.plugins import schedulers, steps, util, worker\n\
         factory = util.BuildFactory([steps.ShellCommand(command=['true'])])\n\
         BuildmasterConfig = dict(\n\
         \x20   workers=[worker.LocalWorker('local')],\n\
         \x20   builders=[util.BuilderConfig(name='build', workernames=['local'], factory=factory)],\n\
         \x20   schedulers=[schedulers.ForceScheduler(name='force', builderNames=['build'])],\n\
         \x20   www=dict(port='tcp:0:interface=127.0.0.1', change_hook_dialects=dict(\n\
         \x20       bitbucket=True, bitbucketserver=True, github=dict(secret='shared', strict=True))),\n\
         \x20   db=dict(db_url='sqlite:///state.sqlite'),\n\
         \x20   protocols=dict(null=dict()),\n\
         \x20   buildbotNetUsageData=None,\n\
         )\n";
    std::fs::write(master.join("master.cfg"), configuration).expect("a configuration");
    let log_path = master.join("output.log");
    let log = std::fs::File::create(&log_path).expect("a log");
    let child = Command::new(python_tool("python"))
        .arg(python_tool("twistd"))
        .args(["--nodaemon", "--no_save", "--pidfile=", "-y", "buildbot.tac"])
        .current_dir(&master)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("twistd");
    // Once it runs, it logs there.
    let running = Running {
        child,
        log: master.join("twistd.log"),
    };
    let port = wait_for_at_most(BUILDBOT_STARTS, "Buildbot to run", || async {
        let log = std::fs::read_to_string(&running.log).ok()?;
        let (_, after) = log.split_once("BuildbotSite starting on ")?;
        let port = after.lines().next()?.trim().parse().ok()?;
        log.contains("BuildMaster is running").then_some(port)
    })
    .await;
    (running, port)
}

/// The changes that Buildbot has recorded, the first one first.
async fn changes(port: u16) -> Vec<Value> {
    wait_for("Buildbot to list its changes", || async {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/api/v2/changes?order=changeid")).await;
        let body: Value = answer.ok()?.json().await.ok()?;
        body["changes"].as_array().cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn buildbot_records_who_pushed_what_where_and_when() {
    let server = server().await;
    let (_buildbot, port) = buildbot(&server.scratch()).await;
    let hook = |dialect: &str| format!("http://127.0.0.1:{port}/change_hook/{dialect}");
    let work = server.hosted("PROJ/app");
    receiver(
        &server,
        json!({ "repository": "PROJ/app", "url": hook("bitbucket"), "profile": "cloud-post" }),
    )
    .await;
    let first = commit_as(&work, "main", "sub dir/ä.txt", "2024-02-29T23:59:58+05:30");
    let second = commit_as(&work, "feature/new-thing", "b.txt", "2025-07-01T12:00:00-08:00");
    let recorded = wait_for("Buildbot to record two changes", || async {
        let changes = changes(port).await;
        (changes.len() >= 2).then_some(changes)
    })
    .await;
    for (revision, branch, file, when) in [
        (&first, "main", "sub dir/ä.txt", 1_709_231_398),
        (&second, "feature/new-thing", "b.txt", 1_751_400_000),
    ] {
        let change = recorded
            .iter()
            .find(|change| change["revision"] == revision.as_str())
            .expect("the change");
        assert_eq!(change["author"], "Jérôme Müller <jerome@example.org>");
        assert_eq!(change["branch"], branch);
        assert_eq!(change["files"], json!([file]));
        assert_eq!(change["when_timestamp"], when);
        assert!(
            change["comments"]
                .as_str()
                .is_some_and(|text| text.trim_end() == "Größe & <Maß>"),
            "{change}"
        );
        assert!(
            change["repository"]
                .as_str()
                .is_some_and(|text| text.to_lowercase().contains("/proj/app")),
            "{change}"
        );
    }
    assert_eq!(recorded.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn buildbot_reads_the_other_dialects_and_checks_their_signature() {
    let server = server().await;
    let (_buildbot, port) = buildbot(&server.scratch()).await;
    let hook = |dialect: &str| format!("http://127.0.0.1:{port}/change_hook/{dialect}");
    let work = server.hosted("PROJ/app");
    for (dialect, profile, secret) in [
        ("bitbucketserver", "post-webhooks", None),
        ("github", "github", Some("shared")),
        ("github", "github", Some("another")),
    ] {
        let mut wanted = json!({ "repository": "PROJ/app", "url": hook(dialect), "profile": profile });
        if let Some(secret) = secret {
            wanted["secret"] = json!(secret);
        }
        receiver(&server, wanted).await;
    }
    let revision = commit_as(&work, "main", "a.txt", "2025-01-01T00:00:00+00:00");
    let recorded = wait_for("Buildbot to record both", || async {
        let changes = changes(port).await;
        (changes.len() >= 2).then_some(changes)
    })
    .await;
    for change in &recorded {
        assert_eq!(change["revision"], revision.as_str());
    }
    let mut branches: Vec<&str> = recorded
        .iter()
        .filter_map(|change| change["branch"].as_str())
        .collect();
    branches.sort_unstable();
    assert_eq!(branches, ["main", "refs/heads/main"]);
    wait_for("the wrong signature to be refused", || async {
        let listed = server.madake(&["--json", "receiver", "list", "PROJ/app"]);
        let listed: Value = serde_json::from_str(&listed).ok()?;
        let deliveries = server.madake(&[
            "--json",
            "receiver",
            "deliveries",
            &listed["receivers"][2]["id"].to_string(),
        ]);
        let deliveries: Value = serde_json::from_str(&deliveries).ok()?;
        (deliveries["deliveries"][0]["lastAnswer"] == "answered 400").then_some(())
    })
    .await;
    assert_eq!(changes(port).await.len(), 2);
}

/// `webhook` with hooks that write their arguments down, a line for each call.
async fn webhook(folder: &Path, hooks: &[Value]) -> (Running, u16, PathBuf) {
    let calls = folder.join("calls");
    let script = folder.join("note.sh");
    let mut file = std::fs::File::create(&script).expect("a script");
    // A line is written at once: calls come at the same time.
    writeln!(
        file,
        "#!/bin/sh\nline=$(printf '%s|' \"$@\")\nprintf '%s\\n' \"$line\" >> {}",
        calls.display()
    )
    .expect("a script");
    drop(file);
    Command::new("chmod")
        .arg("+x")
        .arg(&script)
        .status()
        .expect("chmod");
    let mut all = Vec::new();
    for hook in hooks {
        let mut hook = hook.clone();
        hook["execute-command"] = json!(script);
        all.push(hook);
    }
    let path = folder.join("hooks.json");
    std::fs::write(&path, json!(all).to_string()).expect("hooks");
    let port = free_port();
    let log_path = folder.join("webhook.log");
    let log = std::fs::File::create(&log_path).expect("a log");
    let child = Command::new("webhook")
        .args([
            "-ip",
            "127.0.0.1",
            "-port",
            &port.to_string(),
            "-verbose",
            "-hooks",
        ])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("webhook is installed by `cargo xtask test`");
    let running = Running { child, log: log_path };
    wait_for("webhook to answer", || async {
        reqwest::get(format!("http://127.0.0.1:{port}/"))
            .await
            .ok()
            .map(|_| ())
    })
    .await;
    (running, port, calls)
}

fn payload(names: &[&str]) -> Value {
    let arguments = names
        .iter()
        .map(|name| json!({ "source": "payload", "name": name }));
    arguments.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_reads_both_formats_and_believes_signed_ones_only() {
    let server = server().await;
    let signed = |id: &str| {
        json!({
            "id": id,
            "pass-arguments-to-command": [
                { "source": "string", "name": id },
                { "source": "payload", "name": "changes.0.ref.displayId" },
                { "source": "payload", "name": "changes.0.toHash" },
            ],
            "trigger-rule": { "match": {
                "type": "payload-hmac-sha256", "secret": "shared",
                "parameter": { "source": "header", "name": "X-Hub-Signature" },
            } },
        })
    };
    let hooks = [
        json!({
            "id": "post-receive",
            "pass-arguments-to-command": payload(&[
                "repository.slug", "refChanges.0.refId", "refChanges.0.toHash",
                "changesets.values.0.changes.values.0.path.toString",
            ]),
        }),
        json!({
            "id": "cloud-post",
            "parse-parameters-as-json": [{ "source": "payload", "name": "payload" }],
            "pass-arguments-to-command": payload(&[
                "payload.repository.slug", "payload.commits.0.branch", "payload.commits.0.raw_node",
                "payload.commits.0.files.0.file",
            ]),
        }),
        signed("right"),
        signed("wrong"),
    ];
    let (_webhook, port, calls) = webhook(&server.scratch(), &hooks).await;
    let work = server.hosted("PROJ/app");
    for (hook, profile, secret) in [
        ("post-receive", "stash2", None),
        ("cloud-post", "cloud-post", None),
        ("right", "bitbucket-dc", Some("shared")),
        ("wrong", "bitbucket-dc", Some("another")),
    ] {
        let url = format!("http://127.0.0.1:{port}/hooks/{hook}");
        let mut wanted = json!({ "repository": "PROJ/app", "url": url, "profile": profile });
        if let Some(secret) = secret {
            wanted["secret"] = json!(secret);
        }
        receiver(&server, wanted).await;
    }
    let revision = commit_as(&work, "main", "a b.txt", "2025-01-01T00:00:00+00:00");
    let lines = wait_for("three hooks to be called", || async {
        let text = std::fs::read_to_string(&calls).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        (lines.len() >= 3).then_some(lines)
    })
    .await;
    assert_eq!(
        lines,
        [
            format!("app|main|{revision}|a b.txt|"),
            format!("app|refs/heads/main|{revision}|a b.txt|"),
            format!("right|main|{revision}|"),
        ]
    );
    let wrong = server.madake(&["--json", "receiver", "list", "PROJ/app"]);
    let wrong: Value = serde_json::from_str(&wrong).expect("JSON");
    let id = wrong["receivers"][3]["id"].to_string();
    wait_for("the wrong signature to be refused", || async {
        let listed = server.madake(&["--json", "receiver", "deliveries", &id]);
        let listed: Value = serde_json::from_str(&listed).ok()?;
        (listed["deliveries"][0]["attempts"].as_i64()? > 0).then_some(())
    })
    .await;
    let text = std::fs::read_to_string(&calls).expect("calls");
    assert!(
        !text.contains("wrong"),
        "a body with a wrong signature was believed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_webhooks_verify_our_signature_and_refuse_a_changed_body() {
    const VERIFY: &str = "import json, sys\n\
        from standardwebhooks import Webhook\n\
        given = json.load(sys.stdin)\n\
        print(json.dumps(Webhook(given['secret']).verify(given['body'], given['headers'])))";
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let listening = Listening::start();
    let secret = receiver(
        &server,
        json!({ "repository": "PROJ/app", "url": listening.url("/"), "profile": "native" }),
    )
    .await
    .expect("a secret is made");
    let revision = commit_as(&work, "main", "ä.txt", "2025-01-01T00:00:00+00:00");
    let got = listening.wait_for(1).await.remove(0);
    let body = String::from_utf8(got.body.clone()).expect("text");
    let headers: serde_json::Map<String, Value> = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .into_iter()
        .map(|name| (name.to_owned(), json!(got.header(name).expect("the header"))))
        .collect();
    let verify = |body: &str| {
        let mut child = Command::new(python_tool("python"))
            .args(["-c", VERIFY])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python");
        let given = json!({ "secret": secret, "body": body, "headers": headers });
        let mut pipe = child.stdin.take().expect("its input");
        pipe.write_all(given.to_string().as_bytes()).expect("input");
        drop(pipe);
        child.wait_with_output().expect("its end")
    };
    let verified = verify(&body);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
    let told: Value = serde_json::from_slice(&verified.stdout).expect("JSON");
    assert!(told.to_string().contains(&revision));
    let changed = verify(&body.replace(&revision[..8], "00000000"));
    assert!(!changed.status.success(), "a changed body was verified");
    assert!(String::from_utf8_lossy(&changed.stderr).contains("WebhookVerificationError"));
}
