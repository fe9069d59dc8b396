//! The shapes in which forges tell of a push (hostile-inputs.md W18 to W20), delivered to `/intake/TOKEN` of a linked
//! repository of the real binary: each is understood, and builds what the repository says.

use madake_testkit::{WorkTree, git};
use serde_json::{Value, json};

use crate::hostile_support::decided;
use crate::hostile_webhook::{Scene, payload};
use crate::plan_files::one_job;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const ZEROS: &str = "0000000000000000000000000000000000000000";

/// A body as the form field `payload`.
fn form(body: &Value) -> Vec<u8> {
    let mut text = String::from("payload=");
    for byte in body.to_string().bytes() {
        match byte {
            b' ' => text.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text.into_bytes()
}

/// The POST service of Bitbucket Cloud about one commit of a branch, without `truncated` as in 2012.
fn post_service(scm: &str, branch: &str, commit: &str) -> Value {
    json!({
        "canon_url": "https://forge.example", "user": "joe",
        "commits": [{
            "author": "joe", "branch": branch, "files": [{"file": "x & y=z+%41.py", "type": "modified"}],
            "message": "More & more = 100% + ü\n", "node": &commit[..12], "parents": [], "raw_author": "Joe <joe@example.org>",
            "raw_node": commit, "revision": if scm == "hg" { json!(12) } else { Value::Null }, "size": -1,
            "timestamp": "2012-05-30 06:07:03", "utctimestamp": "2012-05-30 04:07:03+00:00",
        }],
        "repository": {
            "absolute_url": "/joe/iridium-parent/", "fork": false, "is_private": true, "name": "Iridium",
            "owner": "joe", "scm": scm, "slug": "iridium-parent", "website": "",
        },
    })
}

/// A commit in the branch `master` of the repository, and the revision before it.
fn moved(work: &WorkTree, files: &[(&str, &str)]) -> (String, String) {
    let old = git(&work.path, &["rev-parse", "master"]);
    (old, work.push("master", files))
}

/// Delivers, waits for the decision, and checks that it became the build `count` of this revision.
async fn builds(
    scene: &Scene,
    row: &str,
    (content_type, body, headers): (&str, Vec<u8>, &[(&str, &str)]),
    count: usize,
    revision: &str,
) -> Value {
    let (status, text) = scene.deliver_as(content_type, body, headers).await;
    assert_eq!(status, 202, "{row}: {text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let entry = decided(&scene.server, answer["event"].as_i64().expect("a number")).await;
    let for_it: Vec<&Value> = entry["decisions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["build"] == true)
        .collect();
    assert_eq!(for_it.len(), 1, "{row}: {entry}");
    let results = scene.server.ended("PROJ-PLAN", count).await;
    assert_eq!(results.len(), count, "{row}: one build");
    assert_eq!(results[0]["vcsRevisionKey"], revision, "{row}");
    assert_eq!(results[0]["state"], "Successful", "{row}");
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_cut_lists_of_changes_w18_are_filled_in_from_the_repository() {
    let scene = Scene::new().await;
    // Only files below `src` count.
    let plan = one_job(
        "echo built",
        "repositories:\n  - iridium:\n      scope: global\n      change-detection:\n        file-filter-type: include_only\n        file-filter-pattern: src/.*\n",
    );
    let told = |old: &str, new: &str, last: bool, path: &str| {
        let mut body = payload("iridium-parent", &[("refs/heads/master", old, new, "UPDATE")]);
        body["changesets"] = json!({
            "size": 1, "limit": 1, "isLastPage": last, "start": 0, "filter": null,
            "values": [{
                "fromCommit": {"id": old, "displayId": &old[..7]},
                "toCommit": {"id": new, "displayId": &new[..7], "message": "m", "parents": [{"id": old}]},
                "changes": {"size": 1, "limit": 1, "isLastPage": last, "start": 0, "filter": null, "values": [
                    {"path": {"components": [path], "name": path, "toString": path}, "type": "MODIFY", "nodeType": "FILE"},
                ]},
            }],
        });
        body.to_string().into_bytes()
    };
    let (old, new) = moved(&scene.work, &[("bamboo-specs/bamboo.yml", &plan), ("src/a", "0")]);
    builds(
        &scene,
        "W18 the plan",
        (JSON, told(&old, &new, true, "src/a"), &[]),
        2,
        &new,
    )
    .await;

    // The page names a file that does not count, and says that it is not the last: a file that counts moved, too.
    let old = new;
    let _ = scene.work.commit("the one that counts", &[("src/a", "1")]);
    let new = scene.work.push("master", &[("docs", "1")]);
    builds(
        &scene,
        "W18 cut",
        (JSON, told(&old, &new, false, "docs"), &[]),
        3,
        &new,
    )
    .await;
    // A list that claims to be whole is a hint as well.
    let (old, new) = moved(&scene.work, &[("src/a", "2"), ("docs", "2")]);
    builds(
        &scene,
        "W18 claims to be whole",
        (JSON, told(&old, &new, true, "docs"), &[]),
        4,
        &new,
    )
    .await;
    // The rest is known, and none of it counts: no build, whatever the page says.
    let (old, new) = moved(&scene.work, &[("docs", "3")]);
    let (status, text) = scene
        .deliver_as(JSON, told(&old, &new, false, "src/a"), &[])
        .await;
    assert_eq!(status, 202, "W18: {text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let entry = decided(&scene.server, answer["event"].as_i64().expect("a number")).await;
    assert!(entry["decisions"].to_string().contains("file-filter"), "{entry}");
    assert_eq!(
        scene.server.results("PROJ-PLAN").await.len(),
        4,
        "W18: docs do not count"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_post_service_w19_builds_as_form_and_as_json() {
    let scene = Scene::new().await;
    let mut count = 1;
    for (row, scm, content_type) in [
        ("W19 git, form", "git", FORM),
        ("W19 git, JSON", "git", JSON),
        ("W19 hg, form", "hg", FORM),
        (
            "W19 form with charset",
            "git",
            "application/x-www-form-urlencoded; charset=UTF-8",
        ),
    ] {
        let (_, new) = moved(&scene.work, &[("x", row)]);
        let body = post_service(scm, "master", &new);
        let body = match content_type {
            JSON => body.to_string().into_bytes(),
            _ => form(&body),
        };
        count += 1;
        let entry = builds(&scene, row, (content_type, body, &[]), count, &new).await;
        assert_eq!(entry["principal"], "joe", "{row}: {entry}");
    }
    // A form without the field, and with it twice, is refused.
    let good = form(&post_service("git", "master", ZEROS));
    let twice = [good.clone(), b"&".to_vec(), good].concat();
    for (row, body) in [("W19 no field", b"load=%7B%7D".to_vec()), ("W19 twice", twice)] {
        let (status, text) = scene.deliver_as(FORM, body, &[]).await;
        assert_eq!(status, 400, "{row}: {text}");
    }
    assert_eq!(scene.server.results("PROJ-PLAN").await.len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_three_generations_of_bitbucket_server_w20_build() {
    let scene = Scene::new().await;
    let repository = json!({
        "slug": "iridium-parent", "id": 11, "name": "iridium-parent", "scmId": "git",
        "project": {"key": "IR", "id": 21, "name": "Iridium", "public": false, "type": "NORMAL"},
    });
    let actor =
        json!({"name": "joe", "username": "joe", "emailAddress": "joe@example.org", "displayName": "Joe"});
    let native = |old: &str, new: &str| {
        json!({
            "eventKey": "repo:refs_changed", "date": "2024-03-01T10:00:00+0100", "actor": actor, "repository": repository,
            "changes": [{
                "ref": {"id": "refs/heads/master", "displayId": "master", "type": "BRANCH"},
                "refId": "refs/heads/master", "fromHash": old, "toHash": new, "type": "UPDATE",
            }],
        })
    };
    let side =
        |id: &str| json!({"type": "branch", "name": "master", "target": {"type": "commit", "hash": id}});
    let add_on = |old: &str, new: &str| {
        json!({
            "actor": actor, "repository": repository,
            "push": {"changes": [{"created": false, "closed": false, "old": side(old), "new": side(new)}]},
        })
    };
    let service =
        |old: &str, new: &str| payload("iridium-parent", &[("refs/heads/master", old, new, "UPDATE")]);
    let key: &[(&str, &str)] = &[("x-event-key", "repo:refs_changed")];
    let push: &[(&str, &str)] = &[("x-event-key", "repo:push")];
    for (count, (row, headers)) in (2..).zip([
        ("W20 native", key),
        ("W20 add-on", push),
        ("W20 add-on, newer", key),
        ("W20 POST service", &[][..]),
        ("W20 native without its header", &[][..]),
    ]) {
        let (old, new) = moved(&scene.work, &[("x", row)]);
        let body = match row {
            "W20 POST service" => service(&old, &new),
            "W20 native" | "W20 native without its header" => native(&old, &new),
            _ => add_on(&old, &new),
        };
        let body = body.to_string().into_bytes();
        let entry = builds(&scene, row, (JSON, body, headers), count, &new).await;
        assert_eq!(entry["content"]["refs"][0]["new"], new.as_str(), "{row}: {entry}");
    }
    // The header and the body must fit each other.
    let (old, new) = moved(&scene.work, &[("x", "last")]);
    for (row, body, headers) in [
        ("W20 native as repo:push", native(&old, &new), push),
        ("W20 POST service with a header", service(&old, &new), key),
    ] {
        let (status, text) = scene
            .deliver_as(JSON, body.to_string().into_bytes(), headers)
            .await;
        assert!(matches!(status, 204 | 400), "{row}: {status} {text}");
    }
    assert_eq!(scene.server.results("PROJ-PLAN").await.len(), 6);
}
