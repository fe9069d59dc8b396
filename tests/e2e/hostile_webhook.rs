//! Hostile deliveries to `/intake/TOKEN` (hostile-inputs.md W1 to W23): each row is sent to the real binary, and after
//! each refusal nothing was started, the ledger has one more entry with the reason, and no secret stands in it.
//!
//! Where each row is tested, here and elsewhere; what depends on the format is tested for every sender in
//! `formats/tests/it/hostile_forges.rs`, and the proofs of every sender in `listening`.
//!
//! | row | here | for the part that is pure |
//! | - | - | - |
//! | W1 to W5 | `hostile_webhook_signatures_w1_to_w5` | `formats/tests/it/{signature,delivery}.rs` |
//! | W6 to W9, W12, W21 | `hostile_webhook_bodies_w6_to_w9_and_w12_and_w21` | `formats/tests/it/{hostile,hostile_forges,json}.rs` |
//! | W10, W11 | `hostile_webhook_ref_names_w10_w11_and_g7_are_refused_or_stay_data` | `formats/tests/it/hostile.rs`, `vcs/tests/it/names.rs`, `domain/src/change/refname.rs` |
//! | W13 to W16, W22 | `hostile_webhook_moves_w13_to_w16_and_w22_are_read_from_the_repository` | `domain/src/change/tests/pushes.rs`, `formats/tests/it/hostile.rs` |
//! | W17, W23 | `hostile_webhook_crowds_w17_and_strange_people_w23_are_bounded_and_inert` | `domain/src/change/tests`, `formats/tests/it/hostile.rs` |
//! | W18 | `hostile_webhook_formats`: `hostile_webhook_cut_lists_of_changes_w18_are_filled_in_from_the_repository` | `formats/tests/it/post_receive.rs` |
//! | W19 | `hostile_webhook_formats`: `hostile_webhook_post_service_w19_builds_as_form_and_as_json` | `formats/tests/it/cloud_post.rs` |
//! | W20 | `hostile_webhook_formats`: `hostile_webhook_three_generations_of_bitbucket_server_w20_build` | `formats/tests/it/detect.rs` |
//! | W24 | `hostile_outage`: `hostile_webhook_slowloris_w24_is_cut_and_hurts_nobody` | |
//! | W25 | `hostile_outage`: `hostile_webhook_full_disk_w25_is_answered_with_503_and_heals` | |

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use madake_testkit::{Server, WorkTree, git};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{
    calls, decided, last_refusal, peak_kib, raw, refusals, settled, signature, status_of, watched,
};
use crate::plan_files::one_job;

const SECRET: &str = "a secret of the sender";
const ZEROS: &str = "0000000000000000000000000000000000000000";
pub(crate) const OLD: &str = "2c847c4e9c2421d038fff26ba82bc859ae6ebe20";
const NEW: &str = "f259e9032cdeb1e28d073e8a79a1fd6f9587f233";

/// A delivery: its name, the body, headers besides the signature, the statuses that will do.
type Row = (
    &'static str,
    Vec<u8>,
    &'static [(&'static str, &'static str)],
    &'static [u16],
);

/// A linked repository `iridium` with a plan, and the path of its webhook.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) bare: PathBuf,
    pub(crate) work: WorkTree,
    pub(crate) hook: String,
    seen: PathBuf,
    _git: tempfile::TempDir,
}

impl Scene {
    /// A server that has linked the repository and built its plan once.
    pub(crate) async fn new() -> Self {
        let (server, seen, folder) = watched("[repositories]\npoll-seconds = 86400\n").await;
        let bare = server.scratch().join("iridium-parent.git");
        let work = WorkTree::with_bare(&bare);
        let _ = work.push(
            "master",
            &[("bamboo-specs/bamboo.yml", &one_job("echo built", ""))],
        );
        server.madake(&["repo", "link", "iridium", bare.to_str().expect("text")]);
        let made = server.madake_with_input(
            &["webhook", "create", "iridium", "--secret-stdin", "--json"],
            SECRET,
        );
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let url = made["url"].as_str().expect("an address");
        let hook = url[url.find("/intake/").expect("the path")..].to_owned();
        // A new link is looked at once, which builds the plan for the first time; then not for a day.
        server.ended("PROJ-PLAN", 1).await;
        settled(&server).await;
        Self {
            server,
            bare,
            work,
            hook,
            seen,
            _git: folder,
        }
    }

    fn token(&self) -> &str {
        self.hook.trim_start_matches("/intake/")
    }

    async fn send(&self, body: Vec<u8>, headers: &[(&str, &str)]) -> (u16, String) {
        self.send_as("application/json", body, headers).await
    }

    /// Sends a body of this content type.
    async fn send_as(&self, content_type: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = self
            .server
            .anonymous(Method::POST, &self.hook)
            .header("content-type", content_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a body"))
    }

    /// Delivers a body with the right signature.
    pub(crate) async fn deliver(&self, body: Vec<u8>) -> (u16, String) {
        let signed = signature(SECRET, &body);
        self.send(body, &[("x-hub-signature", &signed)]).await
    }

    /// Delivers a body of this content type with further headers, signed.
    pub(crate) async fn deliver_as(
        &self,
        content_type: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> (u16, String) {
        let signed = signature(SECRET, &body);
        let mut all = headers.to_vec();
        all.push(("x-hub-signature", &signed));
        self.send_as(content_type, body, &all).await
    }

    /// Delivers what must be taken, and gives the number of its entry.
    pub(crate) async fn taken(&self, body: &Value) -> i64 {
        let (status, text) = self.deliver(body.to_string().into_bytes()).await;
        assert_eq!(status, 202, "{text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["event"].as_i64().expect("a number")
    }

    /// Checks what each refusal means: one more entry, nothing built, no secret anywhere.
    async fn refused_as(&self, row: &str, before: i64) {
        assert_eq!(refusals(&self.server).await, before + 1, "{row}: one entry");
        let entry = last_refusal(&self.server).await.to_string();
        let log = self.server.log();
        for secret in [SECRET, self.token()] {
            assert!(!entry.contains(secret), "{row}: {entry}");
            assert!(!log.contains(secret), "{row}: the log has a secret");
        }
        let results = self.server.results("PROJ-PLAN").await;
        assert_eq!(results.len(), 1, "{row}: {results:?}");
    }
}

/// A payload of the POST service of Bitbucket Server about these refs: name, old, new, type.
pub(crate) fn payload(slug: &str, changes: &[(&str, &str, &str, &str)]) -> Value {
    let changes: Vec<Value> = changes
        .iter()
        .map(|(name, old, new, kind)| json!({"refId": name, "fromHash": old, "toHash": new, "type": kind}))
        .collect();
    json!({
        "repository": {
            "slug": slug, "id": 11, "name": slug, "scmId": "git", "state": "AVAILABLE",
            "statusMessage": "Available", "forkable": true, "public": false,
            "project": {"key": "IR", "id": 21, "name": "Iridium", "public": false, "type": "NORMAL", "isPersonal": false},
        },
        "refChanges": changes,
        "changesets": {"size": 0, "limit": 100, "isLastPage": true, "values": [], "start": 0, "filter": null},
    })
}

/// A payload about one ref.
pub(crate) fn update(name: &str) -> Value {
    payload("iridium-parent", &[(name, OLD, NEW, "UPDATE")])
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(body).expect("room");
    packer.finish().expect("room")
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_signatures_w1_to_w5() {
    let scene = Scene::new().await;
    let body = serde_json::to_vec_pretty(&update("refs/heads/master")).expect("JSON");
    let right = signature(SECRET, &body);
    let digits = right.trim_start_matches("sha256=");
    let compact: Value = serde_json::from_slice(&body).expect("JSON");
    let compact = signature(SECRET, compact.to_string().as_bytes());
    let upper = format!("sha256={}", digits.to_uppercase());
    let (spaced, early, cut) = (
        format!("sha256= {digits}"),
        format!("SHA256={digits}"),
        &right[..right.len() - 1],
    );
    let rows: [(&str, &[(&str, &str)]); 10] = [
        ("W1", &[("x-hub-signature", &signature("another secret", &body))]),
        ("W2 upper case", &[("x-hub-signature", &upper)]),
        ("W2 space", &[("x-hub-signature", &spaced)]),
        ("W2 name in upper case", &[("x-hub-signature", &early)]),
        ("W2 cut", &[("x-hub-signature", cut)]),
        (
            "W2 twice",
            &[("x-hub-signature", &right), ("x-hub-signature", &right)],
        ),
        ("W3", &[]),
        ("W3 empty", &[("x-hub-signature", "")]),
        ("W4", &[("x-hub-signature", &compact)]),
        (
            "W5",
            &[("x-hub-signature", "sha1=0123456789012345678901234567890123456789")],
        ),
    ];
    for (row, headers) in rows {
        let before = refusals(&scene.server).await;
        let (status, text) = scene.send(body.clone(), headers).await;
        assert_eq!(status, 401, "{row}: {text}");
        assert!(!text.contains(digits), "{row}: the answer tells the signature");
        scene.refused_as(row, before).await;
        assert!(!scene.server.log().contains(digits), "{row}: the log tells it");
    }
    assert!(
        !calls(&scene.seen).contains(NEW),
        "no process was started with it"
    );
    // The same body, signed as documented, is taken.
    assert_eq!(scene.deliver(body).await.0, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_bodies_w6_to_w9_and_w12_and_w21() {
    let scene = Scene::new().await;
    let peak = peak_kib(scene.server.process_id());
    let mut too_long = update("refs/heads/master").to_string().into_bytes();
    too_long.resize(10 * 1024 * 1024 + 1, b' ');
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!("{{\"repository\":{{\"slug\":\"iridium-parent\"}},\"refChanges\":{nested}}}");
    let keys: String = (0..1_000_000).fold(String::new(), |text, number| text + &format!("\"{number}\":0,"));
    let keys = format!("{{{keys}\"repository\":{{}},\"refChanges\":[]}}");
    let good = update("refs/heads/master").to_string();
    let twice = good.replacen("{\"refId\"", "{\"refId\":\"refs/heads/other\",\"refId\"", 1);
    let mut not_text = good.clone().into_bytes();
    let at = good.find("iridium").expect("the slug");
    not_text[at] = 0xff;
    let surrogate = good.replacen("iridium-parent", "iridium-\\ud800parent", 1);
    let nul = good.replacen("iridium-parent", "iridium-parent\\u0000", 1);
    let id = |text: &str| {
        payload("iridium-parent", &[("refs/heads/master", OLD, text, "UPDATE")])
            .to_string()
            .into_bytes()
    };
    let other = |slug: &str| {
        payload(slug, &[("refs/heads/master", OLD, NEW, "UPDATE")])
            .to_string()
            .into_bytes()
    };
    let plain: &[(&str, &str)] = &[];
    let packed: &[(&str, &str)] = &[("content-encoding", "gzip")];
    let rows: Vec<Row> = vec![
        ("W7 bomb", bomb, packed, &[413, 415]),
        ("W7 not gzip", good.clone().into_bytes(), packed, &[400]),
        ("W8 nested", nested.into_bytes(), plain, &[400]),
        // More keys than are read is "too large" here, as a body with too many bytes is.
        ("W8 keys", keys.into_bytes(), plain, &[400, 413]),
        ("W8 twice the same key", twice.into_bytes(), plain, &[400]),
        ("W9 not UTF-8", not_text, plain, &[400]),
        ("W9 lone surrogate", surrogate.into_bytes(), plain, &[400]),
        ("W9 NUL", nul.into_bytes(), plain, &[400]),
        ("W9 nothing", Vec::new(), plain, &[400]),
        ("W12 option", id("-n1"), plain, &[400]),
        ("W12 39 digits", id(&NEW[1..]), plain, &[400]),
        ("W12 64 zeros", id(&"0".repeat(64)), plain, &[400]),
        ("W12 upper case", id(&NEW.to_uppercase()), plain, &[400]),
        ("W21 another slug", other("osmium"), plain, &[404]),
        ("W21 the path", other("../iridium-parent"), plain, &[400, 404]),
    ];
    for (row, body, headers, expected) in rows {
        let before = refusals(&scene.server).await;
        let signed = signature(SECRET, &body);
        let unpacked = signature(
            SECRET,
            &vec![b' '; if row == "W7 bomb" { 64 * 1024 * 1024 } else { 0 }],
        );
        let signed = if row == "W7 bomb" { unpacked } else { signed };
        let mut all = headers.to_vec();
        all.push(("x-hub-signature", &signed));
        let (status, text) = scene.send(body, &all).await;
        assert!(expected.contains(&status), "{row}: {status} {text}");
        scene.refused_as(row, before).await;
    }
    // W6: refused by the announced length before any of the body is sent, and while a body without one comes in.
    let before = refusals(&scene.server).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n",
        scene.hook
    );
    let announced = format!("{head}Content-Length: {}\r\n\r\n", too_long.len());
    let answer = raw(&scene.server, announced.as_bytes()).await;
    assert_eq!(status_of(&answer), 413, "W6: {answer}");
    scene.refused_as("W6", before).await;
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in too_long.chunks(1024 * 1024) {
        chunked.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        chunked.extend(piece);
        chunked.extend(b"\r\n");
    }
    let answer = raw(&scene.server, &chunked).await;
    assert!(matches!(status_of(&answer), 413 | 0), "W6 chunked: {answer}");
    scene.refused_as("W6 chunked", before + 1).await;
    // An unknown token is told nothing but 404.
    let before = refusals(&scene.server).await;
    let wrong = format!("{}x", scene.hook);
    let answer = scene
        .server
        .anonymous(Method::POST, &wrong)
        .body(good)
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status(), 404);
    scene.refused_as("W21 token", before).await;
    let grown = peak_kib(scene.server.process_id()) - peak;
    assert!(grown < 300 * 1024, "memory grew by {grown} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_ref_names_w10_w11_and_g7_are_refused_or_stay_data() {
    let scene = Scene::new().await;
    let marker = scene.server.scratch().join("executed");
    let touch = format!("touch {}", marker.display());
    let refused = [
        format!("refs/heads/--upload-pack={touch}"),
        "refs/heads/--upload-pack=x".into(),
        "refs/heads/-".into(),
        "refs/heads/a\nb".into(),
        "refs/heads/a..b".into(),
        "refs/heads/x.lock".into(),
        "refs/heads/@{-1}".into(),
        "refs/heads/HEAD".into(),
        "refs/heads/refs/heads/x".into(),
        format!("refs/heads/`{touch}`"),
        format!("refs/heads/;{touch}"),
        "-x".into(),
        "master".into(),
    ];
    for name in &refused {
        let (status, text) = scene.deliver(update(name).to_string().into_bytes()).await;
        // A ref that is refused is noted on the entry of its delivery: other refs of the same push may be good.
        assert!(matches!(status, 202 | 400), "W10, W11 {name:?}: {status} {text}");
        if status == 202 {
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            let entry = decided(&scene.server, answer["event"].as_i64().expect("a number")).await;
            assert!(
                entry["notes"].to_string().contains("refused"),
                "W10, W11 {name:?}: {entry}"
            );
            assert_eq!(entry["content"]["refs"], json!([]), "{name:?}");
        } else {
            let entry = last_refusal(&scene.server).await;
            assert_eq!(entry["status"], 400, "{name:?}: {entry}");
        }
    }
    for call in calls(&scene.seen).lines() {
        assert!(
            !call.contains("upload-pack=x") && !call.contains("touch"),
            "a process was started with it: {call}"
        );
    }
    // Git takes this name, so it is built: the name is text in the environment and no more.
    let plan = one_job(
        "echo \"on $bamboo_planRepository_branchName\"",
        "branches:\n  create: for-new-branch\n",
    );
    let _ = scene.work.push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
    let name = "$(touch${IFS}executed)";
    let commit = scene.work.push(name, &[("x", "1")]);
    let full = format!("refs/heads/{name}");
    let master = git(&scene.work.path, &["rev-parse", "master"]);
    let event = scene
        .taken(&payload(
            "iridium-parent",
            &[
                ("refs/heads/master", OLD, &master, "UPDATE"),
                (&full, ZEROS, &commit, "ADD"),
            ],
        ))
        .await;
    let entry = decided(&scene.server, event).await;
    let results = scene.server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str(), "{entry}");
    assert_eq!(results[0]["state"], "Successful");
    assert!(!marker.exists());
    let left = Command::new("find")
        .arg(scene.server.scratch())
        .args(["-name", "executed"])
        .output()
        .expect("find");
    assert!(left.stdout.is_empty(), "the name was run: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_moves_w13_to_w16_and_w22_are_read_from_the_repository() {
    let scene = Scene::new().await;
    let server = &scene.server;
    let first = git(&scene.work.path, &["rev-parse", "HEAD"]);
    let second = scene.work.push("master", &[("x", "2")]);
    let third = scene.work.push("master", &[("x", "3")]);

    // W22: addresses in the payload are never asked.
    let trap = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = format!("http://{}", trap.local_addr().expect("an address"));
    let mut body = payload(
        "iridium-parent",
        &[("refs/heads/master", &second, &third, "UPDATE")],
    );
    body["link"] = json!({"url": address, "rel": "self"});
    body["repository"]["link"] = json!({"url": address, "rel": "self"});
    body["repository"]["links"] =
        json!({"self": [{"href": address}], "clone": [{"href": address, "name": "http"}]});
    let newest = scene.taken(&body).await;
    let results = server.ended("PROJ-PLAN", 2).await;
    assert_eq!(results[0]["vcsRevisionKey"], third.as_str());

    // W15: the same delivery again, before and after it was decided, by its body and by its id.
    for row in ["W15 by body", "W15 once more"] {
        let again = scene.taken(&body).await;
        let entry = decided(server, again).await;
        assert_eq!(entry["state"], "duplicate", "{row}: {entry}");
        assert!(
            entry["duplicateOf"].as_i64().expect("the first") <= newest,
            "{row}"
        );
    }

    // W16: the older delivery arrives last; the newest value wins, and the entry says why nothing is built.
    let late = scene
        .taken(&payload(
            "iridium-parent",
            &[("refs/heads/master", &first, &second, "UPDATE")],
        ))
        .await;
    let entry = decided(server, late).await;
    assert!(
        entry["decisions"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|one| one["build"] == false)
            && entry.to_string().len() > 100,
        "W16: {entry}"
    );
    assert_eq!(server.results("PROJ-PLAN").await.len(), 2, "W16: {entry}");

    // W14: backwards by force. That commit is built.
    git(&scene.work.path, &["reset", "--quiet", "--hard", &second]);
    git(
        &scene.work.path,
        &["push", "--quiet", "--force", "origin", "master"],
    );
    let back = scene
        .taken(&payload(
            "iridium-parent",
            &[("refs/heads/master", &third, &second, "UPDATE")],
        ))
        .await;
    let entry = decided(server, back).await;
    let results = server.ended("PROJ-PLAN", 3).await;
    assert_eq!(results[0]["vcsRevisionKey"], second.as_str(), "W14: {entry}");

    // W13: a branch goes; nothing is built.
    let plan = one_job("echo built", "branches:\n  create: for-new-branch\n");
    let told = scene.work.push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
    scene
        .taken(&payload(
            "iridium-parent",
            &[("refs/heads/master", &second, &told, "UPDATE")],
        ))
        .await;
    server.ended("PROJ-PLAN", 4).await;
    let tip = scene.work.push("gone", &[("y", "1")]);
    let there = scene
        .taken(&payload(
            "iridium-parent",
            &[("refs/heads/gone", ZEROS, &tip, "ADD")],
        ))
        .await;
    decided(server, there).await;
    server.ended("PROJ-PLAN0", 1).await;
    git(&scene.work.path, &["push", "--quiet", "origin", ":gone"]);
    let event = scene
        .taken(&payload(
            "iridium-parent",
            &[("refs/heads/gone", &tip, ZEROS, "DELETE")],
        ))
        .await;
    let entry = decided(server, event).await;
    assert_eq!(entry["content"]["refs"][0]["new"], Value::Null, "W13: {entry}");
    assert!(
        entry["decisions"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|one| one["build"] == false),
        "W13: {entry}"
    );
    assert_eq!(server.results("PROJ-PLAN0").await.len(), 1, "W13");
    let nobody = tokio::time::timeout(Duration::from_millis(1), trap.accept()).await;
    assert!(nobody.is_err(), "W22: an address of the payload was asked");
    assert!(!calls(&scene.seen).contains(&address), "W22");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_crowds_w17_and_strange_people_w23_are_bounded_and_inert() {
    let scene = Scene::new().await;
    let names: Vec<String> = (0..1500)
        .map(|number| format!("refs/heads/branch-{number}"))
        .collect();
    let changes: Vec<(&str, &str, &str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), OLD, NEW, "UPDATE"))
        .collect();
    let began = Instant::now();
    let event = scene.taken(&payload("iridium-parent", &changes)).await;
    let entry = decided(&scene.server, event).await;
    assert!(began.elapsed() < Duration::from_secs(20), "W17");
    let taken = entry["content"]["refs"].as_array().expect("a list").len();
    assert!(taken <= 1000, "W17: {taken}");
    assert!(
        entry["notes"].to_string().contains("1000") || entry["notes"].to_string().contains("500"),
        "W17: nothing is dropped in silence: {}",
        entry["notes"]
    );

    // W23: what a payload says of people is not shown; those of the commits in the repository are, made harmless.
    let strange = format!("<script>alert(1)</script>\u{202e}{}", "x".repeat(1_000_000));
    let commit = {
        let tree = git(&scene.work.path, &["write-tree"]);
        let parent = git(&scene.work.path, &["rev-parse", "HEAD"]);
        let output = Command::new("git")
            .args([
                "commit-tree",
                &tree,
                "-p",
                &parent,
                "-m",
                "<script>alert(2)</script>",
            ])
            .current_dir(&scene.work.path)
            .env("GIT_AUTHOR_NAME", "scr\u{202e}ipt\u{7}")
            .env("GIT_AUTHOR_EMAIL", "joe@example.org")
            .env("GIT_COMMITTER_NAME", "joe")
            .env("GIT_COMMITTER_EMAIL", "joe@example.org")
            .output()
            .expect("git");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    git(
        &scene.work.path,
        &[
            "push",
            "--quiet",
            "origin",
            &format!("{commit}:refs/heads/master"),
        ],
    );
    let mut body = payload("iridium-parent", &[("refs/heads/master", OLD, &commit, "UPDATE")]);
    body["changesets"]["values"] = json!([{
        "fromCommit": {"id": OLD, "displayId": "2c847c4"},
        "toCommit": {"id": commit, "displayId": "f259e90", "author": {"name": strange, "emailAddress": strange},
            "authorTimestamp": 1_374_663_446_000_i64, "message": strange, "parents": [{"id": OLD}]},
    }]);
    let event = scene.taken(&body).await;
    decided(&scene.server, event).await;
    scene.server.ended("PROJ-PLAN", 2).await;
    let entry = scene.server.madake(&["why", &event.to_string()]);
    let why = scene.server.madake(&["why", "PROJ-PLAN"]);
    for text in [&entry, &why, &scene.server.log()] {
        assert!(
            !text.contains("xxxxxxxxxxxx"),
            "W23: a name of a megabyte is shown"
        );
        assert!(!text.contains(['\u{202e}', '\u{7}']), "W23: {text}");
    }
    let page = scene
        .server
        .request(
            Method::GET,
            "/rest/api/latest/result/PROJ-PLAN-2?expand=changes.change",
        )
        .header("accept", "application/xml")
        .send()
        .await
        .expect("an answer");
    assert!(
        !page.text().await.expect("a body").contains("<script>"),
        "W23: XML"
    );
}
