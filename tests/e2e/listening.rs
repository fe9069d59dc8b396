//! Listening to other forges: a second Madake is the forge whose repository is linked, and tells, or keeps silent, in
//! the language of every product.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use madake_testkit::{Server, ServerOptions, WorkTree, wait_for, wait_for_at_most};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::hostile_support::{decided, last_refusal, ledger, settled, signature};
use crate::plan_files::one_job;

pub(crate) const SECRET: &str = "a secret of twenty-four bytes and more";
pub(crate) const SSH_AGENT: &str = "/nonexistent/agent";
const ZEROS: &str = "0000000000000000000000000000000000000000";

/// A forge with a repository FORGE/tools, a server that has linked it as `tools` and built its plan once, and the path
/// of a webhook that serves all linked repositories.
pub(crate) struct Scene {
    pub(crate) forge: Server,
    pub(crate) work: WorkTree,
    pub(crate) server: Server,
    hook: String,
}

impl Scene {
    pub(crate) async fn new(poll_seconds: u32, sections: &str) -> Self {
        let forge = Server::start_with(ServerOptions {
            configuration: "[outgoing]\nallow = [\"127.0.0.1\"]\n".into(),
            ..ServerOptions::default()
        })
        .await;
        let server = Server::start_with(ServerOptions {
            configuration: format!("[repositories]\npoll-seconds = {poll_seconds}\n"),
            // Of the server's user, as a job may see it.
            environment: vec![("SSH_AUTH_SOCK".into(), SSH_AGENT.into())],
        })
        .await;
        let work = forge.hosted("FORGE/tools");
        let _ = work.push(
            "master",
            &[("bamboo-specs/bamboo.yml", &one_job("echo built", sections))],
        );
        server.madake(&["repo", "link", "tools", &forge.clone_url("FORGE/tools")]);
        let made = server.madake_with_input(
            &["webhook", "create", "--all", "--secret-stdin", "--json"],
            SECRET,
        );
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let url = made["url"].as_str().expect("an address");
        let hook = url[url.find("/intake/").expect("the path")..].to_owned();
        server.ended("PROJ-PLAN", 1).await;
        settled(&server).await;
        Self {
            forge,
            work,
            server,
            hook,
        }
    }

    /// The clone address as the forge writes it, with another case and without the default suffix.
    pub(crate) fn address(&self) -> String {
        format!("{}/scm/FORGE/Tools", self.forge.url())
    }

    pub(crate) async fn send(&self, body: &Value, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = self
            .server
            .anonymous(Method::POST, &self.hook)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.to_string()).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a body"))
    }

    /// Sends what must be taken and gives the decided entry.
    pub(crate) async fn taken(&self, row: &str, body: &Value, headers: &[(&str, &str)]) -> Value {
        let (status, text) = self.send(body, headers).await;
        assert_eq!(status, 202, "{row}: {text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        decided(&self.server, answer["event"].as_i64().expect("a number")).await
    }

    async fn heard(&self) -> Value {
        let all = self.server.get("/rest/madake/1.0/hearing").await;
        all["hearing"][0].clone()
    }

    pub(crate) async fn built(&self, row: &str, count: usize, revision: &str) {
        let results = self.server.ended("PROJ-PLAN", count).await;
        assert_eq!(results.len(), count, "{row}");
        assert_eq!(results[0]["vcsRevisionKey"], revision, "{row}");
    }
}

fn digits(body: &Value) -> String {
    let signed = signature(SECRET, body.to_string().as_bytes());
    signed.trim_start_matches("sha256=").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a sender has a clock of its own")]
fn now_seconds() -> u64 {
    let passed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    passed.expect("a time after 1970").as_secs()
}

/// The headers of Standard Webhooks for a body.
fn standard(id: &str, seconds: u64, body: &Value) -> Vec<(&'static str, String)> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        (
            "webhook-signature",
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())),
        ),
    ]
}

/// A push in the words of GitHub, which Gitea, Forgejo and Gogs speak, too.
fn github(address: &str, old: &str, new: &str) -> Value {
    json!({
        "ref": "refs/heads/master", "before": old, "after": new, "created": false, "deleted": false, "forced": false,
        "repository": {
            "name": "Tools", "full_name": "FORGE/Tools", "owner": {"login": "FORGE"}, "html_url": address,
            "clone_url": format!("{address}.git"), "ssh_url": "git@elsewhere.example:FORGE/Tools.git",
        },
        "pusher": {"name": "hana"}, "sender": {"login": "hana"}, "commits": [],
    })
}

fn gitlab(address: &str, old: &str, new: &str) -> Value {
    json!({
        "object_kind": "push", "event_name": "push", "ref": "refs/heads/master", "before": old, "after": new,
        "user_username": "hana", "commits": [], "total_commits_count": 0,
        "project": {"name": "Tools", "path_with_namespace": "FORGE/Tools", "web_url": address, "git_http_url": format!("{address}.git")},
    })
}

fn data_center(address: &str, old: &str, new: &str) -> Value {
    json!({
        "eventKey": "repo:refs_changed", "actor": {"name": "hana"},
        "repository": {
            "slug": "tools", "name": "Tools", "scmId": "git", "project": {"key": "FORGE"},
            "links": {"clone": [{"href": format!("{address}.git"), "name": "http"}]},
        },
        "changes": [{"refId": "refs/heads/master", "fromHash": old, "toHash": new, "type": "UPDATE"}],
    })
}

fn cloud(address: &str, old: &str, new: &str) -> Value {
    let side = |id: &str| json!({"type": "branch", "name": "master", "target": {"hash": id}});
    json!({
        "actor": {"nickname": "hana"},
        "repository": {"full_name": "FORGE/Tools", "name": "Tools", "scm": "git", "links": {"html": {"href": address}}},
        "push": {"changes": [{"old": side(old), "new": side(new), "created": false, "closed": false, "commits": [], "truncated": true}]},
    })
}

fn post_service(address: &str, new: &str) -> Value {
    let (host, _) = address.split_once("/scm/").expect("the forge's address");
    json!({
        "canon_url": host, "user": "hana",
        "repository": {"absolute_url": "/FORGE/Tools/", "owner": "FORGE", "slug": "tools", "name": "Tools", "scm": "git"},
        "commits": [{"raw_node": new, "node": &new[..12], "branch": "master", "parents": [], "files": []}],
    })
}

fn post_receive(old: &str, new: &str) -> Value {
    json!({
        "repository": {"slug": "tools", "name": "Tools", "scmId": "git", "project": {"key": "FORGE"}},
        "refChanges": [{"refId": "refs/heads/master", "fromHash": old, "toHash": new, "type": "UPDATE"}],
        "changesets": {"size": 0, "limit": 100, "isLastPage": true, "values": [], "start": 0, "filter": null},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_webhook_takes_the_pushes_of_every_product_each_signed_in_its_way() {
    let scene = Scene::new(86_400, "").await;
    let address = scene.address();
    let mut old = madake_testkit::git(&scene.work.path, &["rev-parse", "master"]);
    let formats = [
        "github",
        "gitlab",
        "gitea",
        "forgejo",
        "gogs",
        "bitbucket-dc",
        "bitbucket-cloud",
        "cloud-post",
        "post-receive",
        "native",
    ];
    for (count, format) in (2..).zip(formats) {
        let new = scene.work.push("master", &[("x", format)]);
        let body = match format {
            "gitlab" => gitlab(&address, &old, &new),
            "bitbucket-dc" => data_center(&address, &old, &new),
            "bitbucket-cloud" => cloud(&address, &old, &new),
            "cloud-post" => post_service(&address, &new),
            "post-receive" => post_receive(&old, &new),
            "native" => {
                json!({"repository": address, "ref": "master", "before": old, "after": new, "user": "hana"})
            }
            _ => github(&address, &old, &new),
        };
        let (bare, hub) = (digits(&body), signature(SECRET, body.to_string().as_bytes()));
        let id = format!("delivery {format}");
        let signed = standard("msg_1", now_seconds(), &body);
        let headers: Vec<(&str, &str)> = match format {
            "github" => vec![
                ("x-github-event", "push"),
                ("x-github-delivery", &id),
                ("x-hub-signature-256", &hub),
            ],
            "gitlab" => vec![
                ("x-gitlab-event", "Push Hook"),
                ("idempotency-key", &id),
                ("x-gitlab-token", SECRET),
            ],
            "gitea" => vec![
                ("x-github-event", "push"),
                ("x-gogs-event", "push"),
                ("x-gitea-event", "push"),
                ("x-gitea-delivery", &id),
                ("x-gitea-signature", &bare),
                ("x-hub-signature", "sha1=00"),
            ],
            "forgejo" => vec![
                ("x-github-event", "push"),
                ("x-gitea-event", "push"),
                ("x-forgejo-event", "push"),
                ("x-forgejo-delivery", &id),
                ("x-forgejo-signature", &bare),
            ],
            "gogs" => vec![
                ("x-gogs-event", "push"),
                ("x-gogs-delivery", &id),
                ("x-gogs-signature", &bare),
            ],
            "bitbucket-dc" => vec![
                ("x-event-key", "repo:refs_changed"),
                ("x-request-id", &id),
                ("x-hub-signature", &hub),
            ],
            "bitbucket-cloud" => vec![
                ("x-event-key", "repo:push"),
                ("x-hook-uuid", "the same for all"),
                ("x-request-uuid", &id),
                ("x-hub-signature", &hub),
            ],
            "native" => signed
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect(),
            _ => vec![("x-hub-signature", &hub)],
        };
        let entry = scene.taken(format, &body, &headers).await;
        assert_eq!(entry["repository"], "tools", "{format}: {entry}");
        assert!(
            entry["summary"]
                .as_str()
                .is_some_and(|text| text.starts_with(format)),
            "{entry}"
        );
        scene.built(format, count, &new).await;
        let heard = scene.heard().await;
        assert_eq!(
            (&heard["state"], &heard["toldAs"], &heard["missed"]),
            (&json!("told"), &json!(format), &json!(0))
        );
        assert_eq!(heard["toldBy"], 1, "{heard}");
        if format != "cloud-post" && format != "post-receive" {
            // The same delivery again is a repeat, whatever became of the first.
            let (status, text) = scene.send(&body, &headers).await;
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(
                (status, &answer["duplicateOf"]),
                (202, &entry["id"]),
                "{format}: {text}"
            );
        }
        // A wrong proof is no proof, in any of the ways.
        let wrong: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| match *name {
                "x-gitlab-token" => (*name, "a guess"),
                name if name.ends_with("signature") || name.ends_with("signature-256") => (
                    name,
                    if value.starts_with("sha256=") {
                        "sha256=00"
                    } else {
                        "v1,AAAA"
                    },
                ),
                name => (name, *value),
            })
            .collect();
        let (status, text) = scene.send(&body, &wrong).await;
        assert_eq!(status, 401, "{format}: {text}");
        old = new;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_of_unknown_repositories_are_refused_and_tests_and_other_events_recorded() {
    let scene = Scene::new(86_400, "").await;
    let elsewhere = github("https://elsewhere.example/FORGE/Tools", ZEROS, ZEROS);
    let mut body = github(
        "https://elsewhere.example/other/lib",
        ZEROS,
        "1234567812345678123456781234567812345678",
    );
    body["repository"]["full_name"] = json!("other/lib");
    body["repository"]["ssh_url"] = Value::Null;
    let hub = signature(SECRET, body.to_string().as_bytes());
    let (status, text) = scene
        .send(
            &body,
            &[("x-github-event", "push"), ("x-hub-signature-256", &hub)],
        )
        .await;
    assert_eq!(status, 404, "{text}");
    assert!(!text.contains("tools"), "{text}");
    let refusal = last_refusal(&scene.server).await;
    let reason = refusal["reason"].as_str().expect("a reason");
    assert_eq!(
        reason,
        "the payload is about other/lib at elsewhere.example/other/lib, and no linked repository has that address"
    );
    for (row, headers, expected) in [
        (
            "github",
            [("x-github-event", "ping")],
            "delivery is a connection test, no push",
        ),
        (
            "issue",
            [("x-gitea-event", "issues")],
            "delivery is the event \"issues\", no push",
        ),
        (
            "gitlab",
            [("x-gitlab-event", "Pipeline Hook")],
            "delivery is the event \"Pipeline Hook\", no push",
        ),
    ] {
        let hub = signature(SECRET, elsewhere.to_string().as_bytes());
        let mut all = headers.to_vec();
        all.push(("x-hub-signature-256", &hub));
        for _ in 0..2 {
            let (status, text) = scene.send(&elsewhere, &all).await;
            assert_eq!((status, text.as_str()), (204, ""), "{row}");
        }
        let newest = ledger(&scene.server).await.swap_remove(0);
        assert_eq!(
            (&newest["kind"], &newest["state"]),
            (&json!("webhook"), &json!("processed")),
            "{newest}"
        );
        assert_eq!(newest["reason"], expected, "{row}");
        assert_eq!(newest["repeats"], 1, "{row}: the second is counted on the first");
    }
    // Data Center does not sign its connection test. Anything else unsigned is refused.
    let (status, _) = scene
        .send(&json!({"test": true}), &[("x-event-key", "diagnostics:ping")])
        .await;
    assert_eq!(status, 204);
    let (status, _) = scene
        .send(&json!({"test": true}), &[("x-event-key", "repo:refs_changed")])
        .await;
    assert_eq!(status, 401);
    let unknown = json!({"hello": "world"});
    let hub = signature(SECRET, unknown.to_string().as_bytes());
    let (status, text) = scene.send(&unknown, &[("x-hub-signature-256", &hub)]).await;
    assert_eq!(status, 400, "{text}");
    assert_eq!(scene.server.results("PROJ-PLAN").await.len(), 1);
    assert_eq!(
        scene.heard().await["state"],
        "polled",
        "none of it told of a push"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_webhooks_hold_for_five_minutes() {
    let scene = Scene::new(86_400, "").await;
    let body = json!({"repository": scene.address()});
    for (seconds, expected) in [
        (now_seconds() - 600, "more than five minutes ago"),
        (now_seconds() + 600, "more than five minutes ahead"),
    ] {
        let signed = standard("msg_old", seconds, &body);
        let headers: Vec<(&str, &str)> = signed
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let (status, text) = scene.send(&body, &headers).await;
        assert_eq!(status, 401, "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_without_refs_finds_what_moved_and_one_with_some_finds_the_rest() {
    let scene = Scene::new(86_400, "branches:\n  create: for-new-branch\n").await;
    let hint = json!({"repository": scene.address()});
    let tell = async |row: &str, body: &Value| {
        let hub = signature(SECRET, body.to_string().as_bytes());
        scene.taken(row, body, &[("x-hub-signature-256", &hub)]).await
    };
    let second = scene.work.push("master", &[("x", "1")]);
    let entry = tell("nothing told", &hint).await;
    assert_eq!(entry["decisions"][0]["build"], true, "{entry}");
    scene.built("nothing told", 2, &second).await;
    let entry = tell("nothing moved", &hint).await;
    assert!(
        entry["decisions"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|one| one["build"] == false),
        "{entry}"
    );
    // Two branches move; the sender names one of them.
    let third = scene.work.push("master", &[("x", "2")]);
    let topic = scene.work.push("topic", &[("y", "1")]);
    let entry = tell(
        "one of two",
        &json!({"repository": scene.address(), "ref": "topic", "before": ZEROS, "after": topic}),
    )
    .await;
    let notes = entry["notes"].to_string();
    assert!(
        notes.contains("1 ref that no webhook named had moved, too"),
        "{entry}"
    );
    scene.built("the one that was not named", 3, &third).await;
    let branch = scene.server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(branch[0]["vcsRevisionKey"], topic.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_become_rare_while_webhooks_arrive_and_find_what_none_told() {
    // A plan without triggers is polled until webhooks tell; from then on, it relies on them.
    let scene = Scene::new(1, "").await;
    let heard = scene.heard().await;
    assert_eq!(
        (&heard["state"], &heard["toldMs"]),
        (&json!("polled"), &Value::Null)
    );
    let second = scene.work.push("master", &[("x", "told")]);
    let tell = async || {
        let body = json!({"repository": scene.address()});
        let hub = signature(SECRET, body.to_string().as_bytes());
        scene
            .taken("a webhook", &body, &[("x-hub-signature-256", &hub)])
            .await;
    };
    tell().await;
    scene.built("told", 2, &second).await;
    let slow = wait_for("looks to become rare", || async {
        let heard = scene.heard().await;
        heard["pauseSeconds"]
            .as_i64()
            .filter(|pause| *pause >= 4)
            .map(|_| heard)
    })
    .await;
    assert_eq!(
        (&slow["state"], &slow["missed"]),
        (&json!("told"), &json!(0)),
        "{slow}"
    );
    let third = scene.work.push("master", &[("x", "not told")]);
    scene.built("not told", 3, &third).await;
    let missed = wait_for_at_most(Duration::from_secs(60), "the miss to be noted", || async {
        let heard = scene.heard().await;
        (heard["state"] == "missed").then_some(heard)
    })
    .await;
    assert_eq!(
        (&missed["missed"], &missed["pauseSeconds"]),
        (&json!(1), &json!(1)),
        "{missed}"
    );
    let event = missed["missedEvent"].as_i64().expect("the entry");
    let entry = scene
        .server
        .get(&format!("/rest/madake/1.0/events/{event}"))
        .await;
    assert_eq!(entry["kind"], "reconciliation", "{entry}");
    assert_eq!(
        entry["summary"],
        "1 ref of tools had moved and no webhook told so"
    );
    let said = scene.server.madake(&["repo", "hearing"]);
    assert!(said.contains(&format!("see madake why {event}")), "{said}");
    let page = scene
        .server
        .request(Method::GET, "/hearing")
        .send()
        .await
        .expect("an answer");
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = page.text().await.expect("a page");
    assert!(
        page.contains("and then one was missed") && page.contains(&format!("entry {event}")),
        "{page}"
    );
    // Strangers see none of it.
    let page = scene
        .server
        .anonymous(Method::GET, "/hearing")
        .send()
        .await
        .expect("an answer");
    let page = page.text().await.expect("a page");
    assert!(
        page.contains("no linked repository that you may see") && !page.contains("tools"),
        "{page}"
    );
    tell().await;
    let again = scene.heard().await;
    assert_eq!(
        (&again["state"], &again["missed"]),
        (&json!("told"), &json!(1)),
        "{again}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_madake_tells_another() {
    let scene = Scene::new(86_400, "").await;
    // Both ends hold the same secret; ours has the form of Standard Webhooks.
    let secret = format!("whsec_{}", STANDARD.encode([7; 32]));
    let made = scene.server.madake_with_input(
        &["webhook", "create", "tools", "--secret-stdin", "--json"],
        &secret,
    );
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let url = made["url"].as_str().expect("an address");
    let path = &url[url.find("/intake/").expect("the path")..];
    let to = format!("{}{path}", scene.server.url());
    scene.forge.madake_with_input(
        &[
            "receiver",
            "create",
            "FORGE/tools",
            &to,
            "--profile",
            "native",
            "--secret-stdin",
        ],
        &secret,
    );
    let second = scene.work.push("master", &[("x", "1")]);
    scene.built("told by the other", 2, &second).await;
    let heard = scene.heard().await;
    assert_eq!(
        (&heard["toldAs"], &heard["toldBy"]),
        (&json!("native"), &json!(2)),
        "{heard}"
    );
}
