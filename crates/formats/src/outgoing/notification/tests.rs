//! What is said of builds and deployments, and that nothing in it can do harm.

use super::*;

fn build() -> BuildTold {
    BuildTold {
        happened: Happened::Ended,
        key: "WEB-SHOP-7".into(),
        number: 7,
        plan_key: "WEB-SHOP".into(),
        plan_name: "Shop".into(),
        state: State::Failed,
        reason: "changes were found (ann)".into(),
        branch: Some("master".into()),
        revision: Some("7c1f0c9aa".into()),
        started_ms: Some(1_000),
        finished_ms: Some(84_000),
        jobs: vec![
            JobTold {
                key: "WEB-SHOP-JOB1-7".into(),
                name: "Compile".into(),
                stage: "Build".into(),
                state: State::Failed,
                message: "the task 'make' ended with 2".into(),
            },
            JobTold {
                key: "WEB-SHOP-JOB2-7".into(),
                name: "Lint".into(),
                stage: "Build".into(),
                state: State::Successful,
                message: String::new(),
            },
        ],
        tests: None,
        commits: vec![CommitTold {
            id: "7c1f0c9aa0000000".into(),
            author: "Ann".into(),
            message: "Weigh twice\n\nand more".into(),
            link: Some("https://ci.example/commits/7c1f".into()),
        }],
        more_commits: 0,
        responsible: Vec::new(),
    }
}

/// What people call the event of these tests.
const EVENT: &str = "Failed builds and first successful";

fn facts(build: BuildTold) -> NotificationFacts {
    NotificationFacts {
        server_url: "https://ci.example".into(),
        at_ms: 85_000,
        path: vec!["Web".into(), "Shop".into()],
        subject: Subject::Build(Box::new(build)),
    }
}

fn subject_of(build: BuildTold) -> String {
    mail::subject(&compose(&facts(build)))
}

#[test]
fn subjects_say_what_happened() {
    let tests = |total, failed| {
        Some(TestsTold {
            total,
            failed,
            failures: Vec::new(),
        })
    };
    let commit = |author: &str| CommitTold {
        author: author.into(),
        ..build().commits.remove(0)
    };
    let job = || "WEB-SHOP-JOB1-7".to_owned();
    let rows = [
        (build(), "Web › Shop › #7 has FAILED. Change made by Ann"),
        (
            BuildTold {
                tests: tests(20, 1),
                commits: vec![commit("Ann"), commit("Bob"), commit("Ann")],
                ..build()
            },
            "Web › Shop › #7 has FAILED (1 test failed). Changes made by Ann and Bob",
        ),
        (
            BuildTold {
                state: State::Successful,
                tests: tests(20, 0),
                commits: vec![commit("Ann"), commit("Bob"), commit("Cid"), commit("Dan")],
                ..build()
            },
            "Web › Shop › #7 was SUCCESSFUL (with 20 tests). Changes made by Ann and 3 others",
        ),
        (
            BuildTold {
                state: State::Stopped,
                commits: Vec::new(),
                ..build()
            },
            "Web › Shop › #7 was STOPPED",
        ),
        (
            BuildTold {
                happened: Happened::JobEnded { job: job() },
                ..build()
            },
            "Web › Shop › #7 › Compile has FAILED. Change made by Ann",
        ),
        (
            BuildTold {
                happened: Happened::JobTrouble {
                    job: job(),
                    what: "appears to hang",
                    reason: "no line for 10 minutes".into(),
                },
                ..build()
            },
            "Web › Shop › #7 › Compile appears to hang",
        ),
        (
            BuildTold {
                happened: Happened::Commented {
                    by: "bob".into(),
                    text: "on it".into(),
                },
                ..build()
            },
            "bob commented on Web › Shop › #7",
        ),
        (
            BuildTold {
                happened: Happened::ResponsibilityChanged { by: "bob".into() },
                responsible: vec!["ann".into(), "bob".into()],
                ..build()
            },
            "ann and bob are responsible for Web › Shop › #7",
        ),
        (
            BuildTold {
                happened: Happened::ResponsibilityChanged { by: "bob".into() },
                ..build()
            },
            "Nobody is responsible for Web › Shop › #7 any more",
        ),
    ];
    for (told, expected) in rows {
        assert_eq!(subject_of(told), format!("[Madake] {expected}"));
    }
}

#[test]
fn text_has_links_failed_jobs_tests_and_commits() {
    let told = BuildTold {
        tests: Some(TestsTold {
            total: 9,
            failed: 3,
            failures: vec![TestTold {
                name: "shop.Cart.sum".into(),
                job: "Compile".into(),
            }],
        }),
        ..build()
    };
    let facts = facts(told);
    let letter = compose(&facts);
    let text = mail::text(&letter, &[EVENT.into()], &["you watch the plan".into()]);
    assert_eq!(
        text,
        "Web › Shop › #7 has FAILED (3 tests failed). Change made by Ann\n\
         https://ci.example/browse/WEB-SHOP-7\n\n\
         Plan:     Web › Shop (WEB-SHOP)\n\
         Branch:   master\n\
         Revision: 7c1f0c9aa\n\
         Reason:   changes were found (ann)\n\
         Started:  1970-01-01 00:00:01 UTC\n\
         Took:     1 min 23 s\n\n\
         Failed jobs\n  Build › Compile\n    the task 'make' ended with 2\n    https://ci.example/browse/WEB-SHOP-JOB1-7\n\n\
         Failed tests\n  shop.Cart.sum\n    Compile\n  and 2 more\n\n\
         Commits\n  7c1f0c9aa000\n    Weigh twice (Ann)\n    https://ci.example/commits/7c1f\n\n\
         -- \nYou get this message because you watch the plan. The plan asks for it under \"Failed builds and first \
         successful\".\n"
    );
}

#[test]
fn html_has_no_mark_up_of_strangers() {
    let mut told = build();
    told.commits[0].message = "<script>alert(1)</script>".into();
    told.commits[0].link = Some("https://ci.example/\"onclick=\"x".into());
    told.branch = Some("a\"><img src=x>".into());
    let facts = facts(told);
    let letter = compose(&facts);
    let html = mail::html(&letter, &[EVENT.into()], &["you are in the group <b>".into()]);
    for harm in ["<script", "<img", "<b>", "/\"onclick"] {
        assert!(!html.contains(harm), "{harm} in {html}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
    assert!(
        html.contains("href=\"https://ci.example/browse/WEB-SHOP-7\""),
        "{html}"
    );
}

#[test]
fn webhook_has_the_fields_of_bamboos_template() {
    let body = addressed(webhook(&facts(build()), EVENT), "0199-id", "chat");
    let expected = serde_json::json!({
        "uuid": "0199-id",
        "timestamp": "1970-01-01T00:01:25.000Z",
        "notification": "Failed builds and first successful",
        "webhook": { "webhookTemplatedId": "madake", "webhookTemplatedName": "chat" },
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(body[name], *value, "{name}");
    }
    let told = &body["build"];
    assert_eq!(told["buildResultKey"], "WEB-SHOP-7");
    assert_eq!(told["status"], "Failed");
    assert_eq!(told["buildPlanName"], "Web - Shop");
    assert_eq!(told["startedAt"], "1970-01-01T00:00:01.000Z");
    assert_eq!(told["triggerReason"], "changes were found (ann)");
    assert_eq!(told["jobs"][0]["status"], "Failed");
    assert_eq!(told["commits"][0]["author"], "Ann");
    assert!(body.get("deployment").is_none());
}

#[test]
fn deployments_are_told() {
    let told = DeploymentTold {
        id: 3,
        project_id: 1,
        environment_id: 2,
        environment: "Production".into(),
        release: "release-4".into(),
        state: State::Failed,
        reason: "started by ann".into(),
        link: "https://ci.example/deploy/3".into(),
        started_ms: Some(0),
        finished_ms: Some(3_600_000),
        message: "the task 'copy' ended with 1".into(),
    };
    let facts = NotificationFacts {
        path: vec!["Ship it".into()],
        subject: Subject::Deployment(Box::new(told)),
        ..facts(build())
    };
    let letter = compose(&facts);
    assert_eq!(
        letter.headline,
        "Ship it › release-4 could NOT be deployed to Production"
    );
    assert!(letter.facts.contains(&("Took", "1 h 0 min".to_owned())));
    let body = webhook(&facts, EVENT);
    assert_eq!(body["deployment"]["deploymentVersionName"], "release-4");
    assert_eq!(body["deployment"]["status"], "Failed");
}
