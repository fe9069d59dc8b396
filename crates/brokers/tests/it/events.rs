//! Which events and refs a broker acts on.

use madake_brokers::event::{BuildState, RefAction};
use madake_brokers::{BrokerEvent, Preview, sample_build, sample_push};

use crate::fixture::{broker, calls, every_broker, good, json, requests, text};

fn keys(kind: &str, pairs: &[(&str, &str)], event: &BrokerEvent) -> Vec<String> {
    calls(&broker(kind, pairs), event)
        .into_iter()
        .map(|call| call.key)
        .collect()
}

#[test]
fn bamboo_pairs_choose_plans_by_branch_and_each_plan_is_called_once() {
    let pairs = good("bamboo");
    assert_eq!(
        keys("bamboo", &pairs, &sample_push()),
        ["GROVE-TRUNK", "GROVE-TESTS"]
    );
    let mut event = sample_push();
    event.refs[0].name = "3-2-patches".to_owned();
    let mut other = event.refs[0].clone();
    other.name = "feature/x".to_owned();
    other.full_name = "refs/heads/feature/x".to_owned();
    event.refs.push(other);
    assert_eq!(keys("bamboo", &pairs, &event), ["GROVE-PATCH", "GROVE-TESTS"]);
}

#[test]
fn bamboo_can_be_made_to_look_for_changes_itself() {
    let mut pairs = good("bamboo");
    pairs.push(("call", "updateandbuild"));
    let request = requests("bamboo", &pairs, &sample_push()).remove(0);
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        (
            "GET",
            "https://bamboo.example/updateAndBuild.action?buildKey=GROVE-TRUNK&os_authType=basic"
        )
    );
    let mut pairs = good("bamboo");
    pairs.push(("custom_revision", "on"));
    assert!(
        requests("bamboo", &pairs, &sample_push())[0]
            .url
            .ends_with("/queue/GROVE-TRUNK?customRevision=7c1f0c9a4be1d6e2f0b3a85d9e64c2713f5a8b90")
    );
}

#[test]
fn deleted_refs_start_no_builds_but_are_told_to_people() {
    let mut event = sample_push();
    event.refs.truncate(1);
    event.refs[0].action = RefAction::Delete;
    event.refs[0].new = None;
    event.refs[0].commits.clear();
    for kind in [
        "bamboo",
        "jenkins",
        "jenkins_git",
        "buildbot",
        "teamcity",
        "gitlab",
        "github",
        "read_the_docs",
    ] {
        let planned = broker(kind, &good(kind)).calls(&event).unwrap();
        assert!(planned.calls.is_empty() && planned.why_fewer.is_some(), "{kind}");
    }
    let body = json(&requests("slack", &good("slack"), &event)[0]);
    assert_eq!(
        body["text"],
        "*Mei Grove* deleted branch *main* in <https://madake.example/projects/GROVE/repos/harvest|Harvest>"
    );
}

#[test]
fn tags_start_builds_only_where_a_pattern_names_them() {
    let pairs = [("repository", "grove/harvest"), ("token", "t")];
    assert_eq!(keys("github", &pairs, &sample_push()), ["refs/heads/main"]);
    let pairs = [
        ("repository", "grove/harvest"),
        ("token", "t"),
        ("refs", "tags/v*"),
    ];
    assert_eq!(keys("github", &pairs, &sample_push()), ["refs/tags/v1.4"]);
}

#[test]
fn event_without_a_wanted_ref_says_so() {
    for of in madake_brokers::CATALOGUE {
        let mut pairs = good(of.key);
        pairs.push(("refs", "no/such/branch"));
        let planned = broker(of.key, &pairs).calls(&sample_push()).unwrap();
        assert!(planned.calls.is_empty(), "{}", of.key);
        assert_eq!(
            planned.why_fewer.as_deref(),
            Some("the setting `refs` leaves every ref of this event out")
        );
    }
}

#[test]
fn builds_are_told_as_the_setting_says() {
    let mut mended = sample_build();
    let build = mended.build.as_mut().unwrap();
    build.state = BuildState::Successful;
    build.previous_state = Some(BuildState::Failed);
    let mut again = sample_build();
    again.build.as_mut().unwrap().previous_state = Some(BuildState::Failed);
    let mut first = sample_build();
    first.build.as_mut().unwrap().previous_state = None;
    let table = [
        ("push", [true, false, false, false]),
        ("build", [false, true, true, true]),
        ("failure", [false, false, true, true]),
        ("change", [false, true, false, false]),
        ("push, failure, change", [true, true, true, true]),
    ];
    for (setting, expected) in table {
        let mut pairs = vec![("webhook_url", "https://hooks.example/x")];
        pairs.push(("events", setting));
        let broker = broker("slack", &pairs);
        let told = [sample_push(), mended.clone(), again.clone(), first.clone()]
            .map(|event| !calls(&broker, &event).is_empty());
        assert_eq!(told, expected, "{setting}");
    }
}

#[test]
fn jenkins_module_keeps_other_commits_away() {
    let pairs = |module: &'static str| {
        [
            ("endpoint", "https://jenkins.example"),
            ("project_name", "harvest"),
            ("module_name", module),
        ]
    };
    assert_eq!(keys("jenkins", &pairs("src/"), &sample_push()), ["harvest"]);
    assert_eq!(
        keys("jenkins", &pairs("src/scale.rs"), &sample_push()),
        ["harvest"]
    );
    assert!(keys("jenkins", &pairs("sr"), &sample_push()).is_empty());
    let mut event = sample_push();
    event.refs[0].commits_truncated = true;
    assert_eq!(keys("jenkins", &pairs("docs"), &event), ["harvest"]);
}

#[test]
fn workflow_of_github_gets_its_inputs() {
    let pairs = [
        ("repository", "grove/harvest"),
        ("token", "t"),
        ("workflow", "deploy.yml"),
        ("inputs", "revision={{ change.revision | short }}"),
    ];
    let request = requests("github", &pairs, &sample_push()).remove(0);
    assert_eq!(
        request.url,
        "https://api.github.com/repos/grove/harvest/actions/workflows/deploy.yml/dispatches"
    );
    assert_eq!(
        text(&request),
        r#"{"ref":"main","inputs":{"revision":"7c1f0c9"}}"#
    );
}

#[test]
fn each_issue_gets_one_comment_for_a_push() {
    let mut event = sample_push();
    event.refs[0].commits[1].message = "GROVE-9 [~admin] {code}bug 7{code}, bug 8".to_owned();
    event.refs[1].commits = event.refs[0].commits.clone();
    assert_eq!(keys("jira", &good("jira"), &event), ["GROVE-12", "GROVE-9"]);
    assert_eq!(keys("bugzilla", &good("bugzilla"), &event), ["7", "8"]);
    let comment = json(&requests("jira", &good("jira"), &event)[1])["body"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        comment.contains(r"GROVE\-9 \[\~admin\] \{code\}bug 7\{code\}"),
        "{comment}"
    );
}

#[test]
fn events_survive_storage() {
    for event in [sample_push(), sample_build()] {
        let stored = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<BrokerEvent>(&stored).unwrap(), event);
    }
}

#[test]
fn previews_cover_secrets_and_show_samples_of_both_kinds() {
    for broker in every_broker() {
        let kind = broker.kind().key;
        let previews = broker.preview(&sample_push()).unwrap();
        assert!(!previews.is_empty(), "{kind}");
        for preview in previews.iter().chain(&broker.preview(&sample_build()).unwrap()) {
            assert!(
                !format!("{preview:?}").contains(crate::fixture::SECRET),
                "{kind}: {preview:?}"
            );
            if let Preview::Http(shown) = preview {
                assert!(shown.url.starts_with("http"), "{kind}");
            }
        }
    }
}
