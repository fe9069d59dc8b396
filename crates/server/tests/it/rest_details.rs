//! What hangs on results: issues, metadata, comments and labels under every form of a result's key.

use http::Method;
use madake_domain::schedule::JobOutcome;
use madake_store::build::{self, Change};
use serde_json::{Value, json};

use crate::fixture::Fixture;

async fn finished_builds(fixture: &Fixture, token: &str, count: usize) {
    for _ in 0..count {
        fixture
            .change(Method::POST, token, "/queue/PROJ-PLAN")
            .await
            .json(200);
        fixture.run_jobs(&JobOutcome::Successful).await;
    }
}

async fn commit(fixture: &Fixture, key: &str, message: &str) {
    let build_id = fixture.build(key).await.id;
    let change = Change {
        changeset: "1".repeat(40),
        author: "Ad Min".into(),
        email: "else@example.org".into(),
        message: message.into(),
        at_ms: 1_769_840_256_936,
        files: Vec::new(),
    };
    fixture
        .store(move |tx| build::insert_changes(tx, build_id, &[change]))
        .await;
}

#[tokio::test]
async fn results_name_the_issues_of_their_commits_and_are_found_by_them() {
    let (fixture, token) = Fixture::with_plan().await;
    finished_builds(&fixture, &token, 3).await;
    commit(&fixture, "PROJ-PLAN-1", "WEB-1: open the door").await;
    commit(
        &fixture,
        "PROJ-PLAN-2",
        "WEB-12, WEB-1 (UTF-8)\n\nWEB-12 once more",
    )
    .await;
    let expanded = fixture
        .get("", "/result/PROJ-PLAN-2?expand=jiraIssues")
        .await
        .json(200);
    assert_eq!(expanded["jiraIssues"]["size"], 2);
    let keys: Vec<&Value> = expanded["jiraIssues"]["issue"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|issue| &issue["key"])
        .collect();
    assert_eq!(keys, ["WEB-12", "WEB-1"]);
    let rows: [(&str, &[i64]); 10] = [
        ("/result/PROJ-PLAN?issueKey=WEB-1", &[2, 1]),
        ("/result/PROJ-PLAN?issueKey=WEB-12", &[2]),
        ("/result/PROJ-PLAN?issueKey=web-12&max-results=5", &[2]),
        ("/result/PROJ-PLAN?issueKey=OPS-3,WEB-12", &[2]),
        ("/result/PROJ-PLAN?issueKey=OPS-3&issueKey=WEB-1", &[2, 1]),
        ("/result/PROJ-PLAN?issueKey=WEB-1&start-index=1", &[1]),
        ("/result/PROJ-PLAN?issueKey=OPS-3", &[]),
        ("/result/PROJ-PLAN?issueKey=%25", &[]),
        ("/result/PROJ-PLAN-JOB1?issueKey=WEB-12", &[2]),
        ("/result?issueKey=WEB-1", &[2]),
    ];
    for (path, expected) in rows {
        let list = fixture.get("", path).await.json(200);
        let numbers: Vec<i64> = list["results"]["result"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| item["number"].as_i64().expect("a number"))
            .collect();
        assert_eq!(numbers, expected, "{path}");
    }
}

#[tokio::test]
async fn metadata_say_when_a_result_began_where_it_is_kept_and_who_wanted_it() {
    let (fixture, token) = Fixture::with_plan().await;
    finished_builds(&fixture, &token, 1).await;
    for (key, tag) in [("PROJ-PLAN-1", "plan-1"), ("PROJ-PLAN-JOB1-1", "plan-1-JOB1")] {
        let result = fixture
            .get("", &format!("/result/{key}?expand=metadata"))
            .await
            .json(200);
        assert_eq!(
            result["metadata"]["item"],
            json!([
                {"key": "build.timeStamp", "value": result["buildStartedTime"]},
                {"key": "plan.storageTag", "value": tag},
                {"key": "ManualBuildTriggerReason.userName", "value": "admin"},
            ]),
            "{key}"
        );
    }
}

#[tokio::test]
async fn comments_and_labels_are_left_under_every_form_of_a_key() {
    let (fixture, token) = Fixture::with_plan().await;
    finished_builds(&fixture, &token, 2).await;
    let post = |path: String, body: Value| {
        fixture
            .call(Method::POST, &path)
            .token(&token)
            .body("application/json", &body.to_string())
            .send()
    };
    let forms = [
        "PROJ-PLAN-2",
        "PROJ-PLAN-JOB1-2",
        "PROJ-PLAN-latest",
        "PROJ-PLAN-JOB1-latest",
    ];
    for form in forms {
        let comment = json!({ "content": form });
        post(format!("/result/{form}/comment"), comment)
            .await
            .is_empty(204);
        let label = json!({ "name": form.to_lowercase() });
        post(format!("/result/{form}/label"), label).await.is_empty(204);
    }
    for form in forms {
        let comments = fixture
            .get("", &format!("/result/{form}/comment"))
            .await
            .json(200);
        let labels = fixture.get("", &format!("/result/{form}/label")).await.json(200);
        assert_eq!(comments["comments"]["size"], 4, "{form}");
        assert_eq!(labels["labels"]["size"], 4, "{form}");
    }
    for (id, form) in (1..).zip(forms) {
        let comment = format!("/result/{form}/comment/{id}");
        fixture
            .change(Method::DELETE, &token, &comment)
            .await
            .is_empty(204);
        let label = format!("/result/{form}/label/{}", form.to_lowercase());
        fixture.change(Method::DELETE, &token, &label).await.is_empty(204);
    }
    let whole = fixture.get("", "/result/PROJ-PLAN-2").await.json(200);
    assert_eq!(
        (&whole["comments"]["size"], &whole["labels"]["size"]),
        (&json!(0), &json!(0))
    );
    for form in ["PROJ-PLAN-NOPE-2", "PROJ-PLAN-9", "PROJ-NOPE-latest", "nonsense"] {
        for (thing, body) in [
            ("comment", json!({"content": "x"})),
            ("label", json!({"name": "x"})),
        ] {
            let answer = post(format!("/result/{form}/{thing}"), body).await;
            assert_eq!(answer.status, 404, "{form} {thing}: {}", answer.text);
            let asked = fixture.get("", &format!("/result/{form}/{thing}")).await;
            assert_ne!(asked.status, 200, "{form} {thing}");
        }
    }
}

#[tokio::test]
async fn scripts_get_json_of_deployments_and_administration_without_asking_for_it() {
    let (fixture, token) = Fixture::with_plan().await;
    for (path, kind) in [
        (
            "/rest/api/latest/deploy/project/all",
            "application/json;charset=UTF-8",
        ),
        ("/rest/api/1.0/deploy/dashboard", "application/json;charset=UTF-8"),
        (
            "/rest/api/latest/deploy/project/99",
            "application/json;charset=UTF-8",
        ),
        (
            "/rest/api/latest/deploy/project/all.xml",
            "application/xml;charset=UTF-8",
        ),
        (
            "/rest/admin/latest/globalVariables",
            "application/json;charset=UTF-8",
        ),
        (
            "/rest/api/latest/permissions/plan/PROJ-PLAN/users",
            "application/json;charset=UTF-8",
        ),
        ("/rest/api/latest/agent", "application/json;charset=UTF-8"),
        (
            "/rest/api/latest/queue/deployment",
            "application/xml;charset=UTF-8",
        ),
        ("/rest/api/latest/plan", "application/xml;charset=UTF-8"),
    ] {
        let anything = fixture
            .call(Method::GET, path)
            .header("accept", "*/*")
            .token(&token)
            .send()
            .await;
        assert_eq!(anything.content_type(), kind, "{path}");
    }
}
