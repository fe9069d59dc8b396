//! What known receivers take out of bodies, written after their own code (push-payloads.md A.6, 0.8, 0.9).

use madake_formats::Scm;
use madake_formats::outgoing::{Generation, Profile, PushFacts, Settings};
use madake_formats::push::RefKind;
use serde_json::Value;

use super::facts::{branch, commit, git_push, mercurial_push, moved, one, push};
use crate::samples::id;

const GENERATIONS: [Profile; 3] = [
    Profile::PostReceive(Generation::Stash2),
    Profile::PostReceive(Generation::Stash3),
    Profile::PostReceive(Generation::Bbs5),
];

fn update() -> PushFacts {
    let refs = vec![branch("main", Some('1'), '2', &[0])];
    push(Scm::Git, refs, vec![commit('2', &['1'])])
}

fn deletion() -> PushFacts {
    let refs = vec![moved(RefKind::Branch, "main", Some('2'), None)];
    push(Scm::Git, refs, Vec::new())
}

fn text<'v>(body: &'v Value, pointer: &str) -> Option<&'v str> {
    body.pointer(pointer)?.as_str()
}

#[test]
fn drone_finds_repository_ref_commit_and_author() {
    for profile in GENERATIONS {
        let body = one(profile, &update(), &Settings::default());
        assert_eq!(text(&body, "/repository/slug"), Some("grove-tools"));
        assert_eq!(text(&body, "/repository/project/key"), Some("GROVE"));
        assert_eq!(text(&body, "/refChanges/0/refId"), Some("refs/heads/main"));
        assert_eq!(text(&body, "/refChanges/0/toHash"), Some(id('2').as_str()));
        let commit = body.pointer("/changesets/values/0/toCommit").unwrap();
        assert_eq!(text(commit, "/message"), Some("Trim shoot 2\n\nTwice."));
        assert_eq!(text(commit, "/author/emailAddress"), Some("hana@grove.example"));
        // It indexes the first changeset of a deletion, too, and ends there: the format has none.
        let body = one(profile, &deletion(), &Settings::default());
        assert_eq!(body.pointer("/changesets/values/0"), None);
    }
}

#[test]
fn spinnaker_drops_deletions_by_their_zeros() {
    for profile in GENERATIONS {
        let hash = |push| {
            let body = one(profile, &push, &Settings::default());
            text(&body, "/refChanges/0/toHash").unwrap().to_owned()
        };
        assert!(!hash(update()).starts_with("000000000"));
        assert!(hash(deletion()).starts_with("000000000"));
    }
}

#[test]
fn puppet_tells_the_kind_of_change() {
    for profile in GENERATIONS {
        for (push, kind) in [(update(), "UPDATE"), (deletion(), "DELETE")] {
            let rendered = &profile.render(&push, &Settings::default())[0];
            assert!(
                rendered
                    .headers
                    .contains(&("X-Atlassian-Token", "no-check".to_owned()))
            );
            let body: Value = serde_json::from_slice(&rendered.body).unwrap();
            assert_eq!(text(&body, "/refChanges/0/type"), Some(kind));
            assert_eq!(text(&body, "/repository/name"), Some("Grove Tools"));
        }
    }
}

#[test]
fn zulip_lists_every_commit() {
    for profile in GENERATIONS {
        let body = one(profile, &git_push(), &Settings::default());
        let lines: Vec<String> = body["changesets"]["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|changeset| {
                let commit = &changeset["toCommit"];
                let message = commit["message"].as_str().unwrap();
                format!("{}: {}", commit["displayId"].as_str().unwrap(), message.len())
            })
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(text(&body, "/repository/project/name"), Some("The Grove"));
    }
}

#[test]
fn buildbot_reads_the_post_service_and_the_add_on() {
    for push in [git_push(), mercurial_push()] {
        let body = one(Profile::CloudPost, &push, &Settings::default());
        let canon = text(&body, "/canon_url").unwrap();
        let page = format!("{canon}{}", text(&body, "/repository/absolute_url").unwrap());
        assert!(page.ends_with("/grove-tools/") && !page.contains(".example//"));
        for commit in body["commits"].as_array().unwrap() {
            for key in ["raw_author", "raw_node", "message", "utctimestamp"] {
                assert!(commit[key].is_string(), "{key}");
            }
            let time = commit["utctimestamp"].as_str().unwrap();
            assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
            assert!(
                commit["files"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|file| file["file"].is_string())
            );
        }
    }
    let body = one(Profile::PostWebhooks, &git_push(), &Settings::default());
    assert!(text(&body, "/repository/links/self/0/href").is_some());
    assert!(text(&body, "/repository/project/name").is_some());
    assert!(text(&body, "/actor/displayName").is_some() && text(&body, "/actor/username").is_some());
    for change in body["push"]["changes"].as_array().unwrap() {
        let state = if change["new"].is_null() {
            &change["old"]
        } else {
            &change["new"]
        };
        assert!(matches!(state["type"].as_str(), Some("branch" | "tag")));
        assert!(state["target"]["hash"].is_string());
    }
}

#[test]
fn jenkins_takes_the_post_service_for_what_it_is() {
    let rendered = &Profile::CloudPost.render(&git_push(), &Settings::default())[0];
    assert!(
        !rendered
            .headers
            .iter()
            .any(|(_, value)| value.starts_with("Bitbucket-Webhooks/2.0"))
    );
    let body = one(Profile::CloudPost, &git_push(), &Settings::default());
    for pointer in [
        "/user",
        "/canon_url",
        "/repository/absolute_url",
        "/repository/scm",
    ] {
        assert!(text(&body, pointer).is_some(), "{pointer}");
    }
}
