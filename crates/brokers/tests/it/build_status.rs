//! Results of builds in the words of each forge.

use madake_brokers::event::BuildState;
use madake_brokers::{Broker, sample_build, sample_push};
use serde_json::{Value, json};

use crate::fixture::{allowed, json as body, requests, settings};

const REVISION: &str = "7c1f0c9a4be1d6e2f0b3a85d9e64c2713f5a8b90";

fn pairs(
    forge: &'static str,
    url: &'static str,
    repository: &'static str,
) -> Vec<(&'static str, &'static str)> {
    vec![
        ("forge", forge),
        ("url", url),
        ("repository", repository),
        ("token", "S3cret-status"),
        ("events", "build"),
    ]
}

/// Forge, address, repository, where it is sent, and the words for the four states.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    [&'static str; 3],
);

#[test]
fn each_forge_hears_of_results_in_its_own_words() {
    let table: [Row; 7] = [
        (
            "bitbucket-dc",
            "https://git.example/bitbucket",
            "",
            "https://git.example/bitbucket/rest/build-status/1.0/commits/ID",
            ["SUCCESSFUL", "FAILED", "FAILED"],
        ),
        (
            "bitbucket-cloud",
            "https://bitbucket.org",
            "grove/harvest",
            "https://api.bitbucket.org/2.0/repositories/grove/harvest/commit/ID/statuses/build",
            ["SUCCESSFUL", "FAILED", "STOPPED"],
        ),
        (
            "github",
            "https://github.com/",
            "grove/harvest",
            "https://api.github.com/repos/grove/harvest/statuses/ID",
            ["success", "failure", "error"],
        ),
        (
            "github",
            "https://git.example",
            "grove/harvest",
            "https://git.example/api/v3/repos/grove/harvest/statuses/ID",
            ["success", "failure", "error"],
        ),
        (
            "gitea",
            "https://git.example/gitea",
            "grove/harvest",
            "https://git.example/gitea/api/v1/repos/grove/harvest/statuses/ID",
            ["success", "failure", "error"],
        ),
        (
            "gitlab",
            "https://gitlab.com",
            "grove/north/harvest",
            "https://gitlab.com/api/v4/projects/grove%2Fnorth%2Fharvest/statuses/ID",
            ["success", "failed", "canceled"],
        ),
        (
            "gitlab",
            "http://127.0.0.1:8080",
            "a/b",
            "http://127.0.0.1:8080/api/v4/projects/a%2Fb/statuses/ID",
            ["success", "failed", "canceled"],
        ),
    ];
    for (forge, url, repository, expected, words) in table {
        for (state, word) in [BuildState::Successful, BuildState::Failed, BuildState::Stopped]
            .into_iter()
            .zip(words)
        {
            let mut event = sample_build();
            event.build.as_mut().unwrap().state = state;
            let sent = requests("build_status", &pairs(forge, url, repository), &event);
            assert_eq!(sent.len(), 1, "{forge}");
            assert_eq!(sent[0].url, expected.replace("ID", REVISION), "{forge}");
            let told = body(&sent[0]);
            assert_eq!(told["state"], word, "{forge}");
            let key = ["key", "context", "name"]
                .into_iter()
                .map(|field| &told[field])
                .find(|value| **value != Value::Null);
            assert_eq!(key, Some(&json!("GROVE-CUT")), "{forge}: {told}");
            let link = ["url", "target_url"]
                .into_iter()
                .map(|field| &told[field])
                .find(|value| **value != Value::Null);
            assert_eq!(
                link,
                Some(&json!("https://madake.example/browse/GROVE-CUT-42")),
                "{forge}: {told}"
            );
        }
    }
}

#[test]
fn secrets_go_where_the_forge_wants_them() {
    let header = |pairs: &[(&str, &str)], name: &str| {
        let sent = requests("build_status", pairs, &sample_build()).swap_remove(0);
        let found = sent
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    let github = pairs("github", "https://github.com", "a/b");
    assert_eq!(
        header(&github, "authorization").as_deref(),
        Some("Bearer S3cret-status")
    );
    let gitlab = pairs("gitlab", "https://gitlab.com", "a/b");
    assert_eq!(header(&gitlab, "private-token").as_deref(), Some("S3cret-status"));
    assert_eq!(header(&gitlab, "authorization"), None);
    let mut dc = pairs("bitbucket-dc", "https://git.example", "");
    dc.push(("username", "ci"));
    assert!(header(&dc, "authorization").is_some_and(|value| value.starts_with("Basic ")));
}

#[test]
fn a_push_says_that_a_build_is_under_way_under_the_name_that_its_result_replaces() {
    let mut with_push = pairs("gitea", "https://git.example", "a/b");
    with_push.retain(|(name, _)| *name != "events");
    with_push.extend([("events", "push, build"), ("context", "ci/madake")]);
    let pending = requests("build_status", &with_push, &sample_push());
    let told: Vec<Value> = pending.iter().map(body).collect();
    assert!(
        !told.is_empty()
            && told
                .iter()
                .all(|one| one["state"] == "pending" && one["context"] == "ci/madake"),
        "{told:?}"
    );
    let ended = requests("build_status", &with_push, &sample_build());
    assert_eq!(body(&ended[0])["context"], "ci/madake");
}

#[test]
fn settings_that_cannot_work_are_refused_with_what_to_write() {
    let problems = |pairs: &[(&str, &str)]| -> String {
        let refused = Broker::new("status", &settings(pairs), &allowed())
            .map(|_| ())
            .unwrap_err();
        refused.iter().map(|one| format!("{one}\n")).collect()
    };
    let mut without_events = pairs("github", "https://github.com", "a/b");
    without_events.retain(|(name, _)| *name != "events");
    assert!(problems(&without_events).contains("write `build`, or give `context`"));
    for (forge, repository) in [
        ("github", "harvest"),
        ("github", "a/b/c"),
        ("gitlab", "harvest"),
        ("gitea", "a/.."),
        ("bitbucket-cloud", ""),
    ] {
        let told = problems(&pairs(forge, "https://git.example", repository));
        assert!(
            told.contains("`repository` is not `owner/name`"),
            "{forge} {repository}: {told}"
        );
    }
    assert!(problems(&pairs("cvs", "https://git.example", "a/b")).contains("is none of bitbucket-dc"));
    let mut long = pairs("github", "https://github.com", "a/b");
    long.push(("context", "a name that is longer than any forge would take it"));
    assert!(problems(&long).contains("longer than 40 bytes"));
}
