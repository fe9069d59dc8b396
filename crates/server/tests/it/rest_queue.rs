//! The build queue: starting, continuing, stopping, and what real clients send.

use http::Method;
use madake_domain::schedule::JobOutcome;
use serde_json::json;

use crate::fixture::{BASE_URL, Fixture, staged};

/// First (automatic), Second and Third (manual), as in origin 001.
async fn three_stages() -> (Fixture, String) {
    let fixture = Fixture::new();
    let stages: [(&str, bool, &[&str]); 3] = [
        ("First", false, &["ONE"]),
        ("Second", true, &["TWO"]),
        ("Third", true, &["THREE"]),
    ];
    fixture.plan(&staged("PROJ-PLAN", &stages)).await;
    let token = fixture.user("admin", true).await;
    (fixture, token)
}

/// The names of the stages that have run, and whether the build can go on.
async fn stages_run(fixture: &Fixture, token: &str, key: &str) -> (Vec<String>, bool) {
    let result = fixture
        .get(token, &format!("/result/{key}?expand=stages.stage"))
        .await
        .json(200);
    let stages = result["stages"]["stage"].as_array().expect("stages");
    let run = stages
        .iter()
        .filter(|stage| stage["state"] == "Successful")
        .map(|stage| stage["name"].as_str().expect("a name").to_owned())
        .collect();
    (run, result["continuable"] == true)
}

#[tokio::test]
async fn post_runs_the_stages_of_the_measured_table() {
    let (fixture, token) = three_stages().await;
    let rows: [(&str, &[&str]); 10] = [
        ("", &["First"]),
        ("?executeAllStages", &["First"]),
        ("?stage&executeAllStages", &["First"]),
        ("?executeAllStages=false", &["First"]),
        ("?executeAllStages=true", &["First", "Second", "Third"]),
        ("?executeAllStages=True", &["First", "Second", "Third"]),
        ("?stage=Second", &["First", "Second"]),
        ("?stage=Third", &["First", "Second", "Third"]),
        ("?stage=Second&executeAllStages=false", &["First", "Second"]),
        (
            "?stage=Second&executeAllStages=true",
            &["First", "Second", "Third"],
        ),
    ];
    for (number, (query, expected)) in (1..).zip(rows) {
        let queued = fixture
            .change(Method::POST, &token, &format!("/queue/PROJ-PLAN{query}"))
            .await
            .json(200);
        assert_eq!(queued["buildNumber"], number, "{query}");
        fixture.run_jobs(&JobOutcome::Successful).await;
        let (run, continuable) = stages_run(&fixture, &token, &format!("PROJ-PLAN-{number}")).await;
        assert_eq!(run, expected, "{query}");
        assert_eq!(continuable, expected.len() < 3, "{query}");
    }
    let unknown = fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN?stage=Nope")
        .await
        .json(400);
    assert!(unknown["message"].as_str().expect("a message").contains("Nope"));
}

#[tokio::test]
async fn put_goes_on_at_the_next_manual_stage_and_never_runs_more() {
    let (fixture, token) = three_stages().await;
    let put = async |query: &str| {
        let path = format!("/queue/PROJ-PLAN-1{query}");
        fixture.change(Method::PUT, &token, &path).await
    };
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    assert_eq!(put("").await.status, 400, "it has not ended yet");
    fixture.run_jobs(&JobOutcome::Successful).await;
    let queued = put("?stage=Second&executeAllStages=false&bamboo.variable.k=v")
        .await
        .json(200);
    assert_eq!(
        (&queued["buildNumber"], &queued["triggerReason"]),
        (&json!(1), &json!("Manual build"))
    );
    fixture.run_jobs(&JobOutcome::Successful).await;
    let two = (vec!["First".to_owned(), "Second".to_owned()], true);
    assert_eq!(stages_run(&fixture, &token, "PROJ-PLAN-1").await, two);
    // The defect of the original: it would run Third now.
    let refused = put("?stage=Second&executeAllStages=false").await.json(400);
    assert_eq!(
        refused["errors"],
        json!(["Stage 'Second' has already been executed."])
    );
    assert_eq!(refused["fieldErrors"], json!({}));
    fixture.run_jobs(&JobOutcome::Successful).await;
    assert_eq!(stages_run(&fixture, &token, "PROJ-PLAN-1").await, two);
    let result = fixture
        .get(&token, "/result/PROJ-PLAN-1?expand=variables,stages.stage")
        .await
        .json(200);
    assert_eq!(
        result["variables"]["variable"],
        json!([{"name": "k", "value": "v"}])
    );
    assert_eq!(
        result["buildReason"],
        format!(
            "Manual run from the stage: <b>Second</b> by <a href=\"{BASE_URL}/browse/user/admin\">ADMIN Doe</a>"
        )
    );
    assert_eq!(result["stages"]["stage"][2]["runnable"], true);
    put("").await.json(200);
    fixture.run_jobs(&JobOutcome::Successful).await;
    assert_eq!(put("").await.status, 400, "nothing is left");
    assert_eq!(
        fixture
            .change(Method::PUT, &token, "/queue/PROJ-PLAN-9")
            .await
            .status,
        404
    );
    assert_eq!(
        fixture
            .change(Method::PUT, &token, "/queue/PROJ-PLAN")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn put_runs_failed_jobs_again() {
    let (fixture, token) = three_stages().await;
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    let failed = JobOutcome::Failed {
        reason: "a test failed".into(),
    };
    fixture.run_jobs(&failed).await;
    let result = fixture.get(&token, "/result/PROJ-PLAN-1").await.json(200);
    assert_eq!(
        (&result["state"], &result["restartable"]),
        (&json!("Failed"), &json!(true))
    );
    fixture
        .change(Method::PUT, &token, "/queue/PROJ-PLAN-1")
        .await
        .json(200);
    fixture.run_jobs(&JobOutcome::Successful).await;
    let result = fixture.get(&token, "/result/PROJ-PLAN-1").await.json(200);
    assert_eq!(result["state"], "Successful");
    assert!(
        result["buildReason"]
            .as_str()
            .expect("a reason")
            .starts_with("Rebuilt by <a")
    );
}

#[tokio::test]
async fn build_of_a_plan_that_begins_with_a_manual_stage_waits_untouched() {
    let fixture = Fixture::new();
    fixture
        .plan(&staged("PROJ-PLAN", &[("Deploy", true, &["JOB1"])]))
        .await;
    let token = fixture.user("admin", true).await;
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    let result = fixture.get(&token, "/result/PROJ-PLAN-1").await.json(200);
    assert_eq!(
        [
            &result["lifeCycleState"],
            &result["state"],
            &result["continuable"],
            &result["notRunYet"]
        ],
        [&json!("Finished"), &json!("Unknown"), &json!(true), &json!(true)]
    );
}

#[tokio::test]
async fn post_takes_every_body_that_clients_really_send() {
    let (fixture, token) = Fixture::with_plan().await;
    let rows: [(Option<&str>, &str); 9] = [
        (Some("application/json"), ""),
        (Some("application/json"), "{}"),
        (Some("application/json"), "\"\""),
        (None, ""),
        (Some("application/x-www-form-urlencoded"), ""),
        (
            Some("application/x-www-form-urlencoded"),
            "ARTIFACT1&ExecuteAllStages",
        ),
        (
            Some("application/x-www-form-urlencoded"),
            "stage&executeAllStages",
        ),
        (Some("application/x-www-form-urlencoded"), "os_authType=basic"),
        (Some("text/plain"), ""),
    ];
    for (number, (content_type, body)) in (1..).zip(rows) {
        let mut call = fixture
            .call(Method::POST, "/queue/PROJ-PLAN")
            .token(&token)
            .json();
        call = match content_type {
            Some(content_type) => call.body(content_type, body),
            None => call.header("content-length", "0"),
        };
        let queued = call.send().await.json(200);
        assert_eq!(
            queued,
            json!({
                "planKey": "PROJ-PLAN", "buildNumber": number, "buildResultKey": format!("PROJ-PLAN-{number}"),
                "triggerReason": "Manual build",
                "link": {"href": format!("{BASE_URL}/rest/api/latest/result/PROJ-PLAN-{number}"), "rel": "self"}
            }),
            "{content_type:?} {body}"
        );
        let result = fixture.get(&token, &format!("/result/PROJ-PLAN-{number}")).await;
        assert_eq!(
            result.json(200)["lifeCycleState"],
            "Queued",
            "the result is there at once"
        );
    }
    let call = fixture
        .call(Method::POST, "/queue/PROJ-PLAN")
        .token(&token)
        .json();
    let refused = call
        .body("application/json", "{\"stage\":\"Build\"}")
        .send()
        .await;
    assert_eq!(refused.json(415)["status-code"], 415);
}

#[tokio::test]
async fn variables_come_from_query_and_form_and_the_query_wins() {
    let (fixture, token) = Fixture::with_plan().await;
    let path = "/queue/PROJ-PLAN?bamboo.variable.a=1&bamboo.variable.my.password=x&b=2";
    let call = fixture.call(Method::POST, path).token(&token).json();
    let form = "bamboo.variable.a=9&bamboo.variable.c=3%20%26";
    call.body("application/x-www-form-urlencoded", form)
        .send()
        .await
        .json(200);
    let result = fixture
        .get(&token, "/result/PROJ-PLAN-1?expand=variables")
        .await
        .json(200);
    assert_eq!(
        result["variables"]["variable"],
        json!([
            {"name": "a", "value": "1"},
            {"name": "my.password", "value": "********"},
            {"name": "c", "value": "3 &"}
        ])
    );
    assert_eq!(
        result["buildReason"],
        format!("Manual run by <a href=\"{BASE_URL}/browse/user/admin\">ADMIN Doe</a>")
    );
}

#[tokio::test]
async fn queued_build_is_an_element_with_attributes_in_xml() {
    let (fixture, token) = Fixture::with_plan().await;
    let reply = fixture
        .call(Method::POST, "/queue/PROJ-PLAN")
        .token(&token)
        .send()
        .await;
    assert!(
        reply.text.ends_with(&format!(
            "<restQueuedBuild planKey=\"PROJ-PLAN\" buildNumber=\"1\" buildResultKey=\"PROJ-PLAN-1\">\
             <triggerReason>Manual build</triggerReason>\
             <link href=\"{BASE_URL}/rest/api/latest/result/PROJ-PLAN-1\" rel=\"self\"/></restQueuedBuild>"
        )),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn queue_lists_waiting_jobs_when_it_is_expanded() {
    let (fixture, token) = Fixture::with_plan().await;
    let empty = fixture.get(&token, "/queue").await.json(200);
    assert_eq!(
        empty["queuedBuilds"],
        json!({"size": 0, "start-index": 0, "max-result": 0})
    );
    for _ in 0..3 {
        fixture
            .change(Method::POST, &token, "/queue/PROJ-PLAN")
            .await
            .json(200);
    }
    let counted = fixture.get(&token, "/queue/.json").await.json(200);
    assert_eq!(
        counted["queuedBuilds"],
        json!({"size": 3, "start-index": 0, "max-result": 3})
    );
    let page = fixture
        .get(&token, "/queue?expand=queuedBuilds&max-result=1&start-index=1")
        .await
        .json(200);
    assert_eq!(
        page["queuedBuilds"],
        json!({
            "size": 3, "expand": "queuedBuild", "start-index": 1, "max-result": 1,
            "queuedBuild": [{
                "planKey": "PROJ-PLAN-JOB1", "buildNumber": 2, "buildResultKey": "PROJ-PLAN-JOB1-2",
                "triggerReason": "Manual build",
                "link": {"href": format!("{BASE_URL}/rest/api/latest/result/PROJ-PLAN-JOB1-2"), "rel": "self"}
            }]
        })
    );
}

#[tokio::test]
async fn delete_stops_by_either_key_and_is_content_with_what_has_ended() {
    let (fixture, token) = Fixture::with_plan().await;
    for number in 1..=2 {
        fixture
            .change(Method::POST, &token, "/queue/PROJ-PLAN")
            .await
            .json(200);
        let key = ["PROJ-PLAN-1", "PROJ-PLAN-JOB1-2"][number - 1];
        for _ in 0..2 {
            let call = fixture
                .call(Method::DELETE, &format!("/queue/{key}"))
                .token(&token)
                .json();
            call.body("application/json", "[]").send().await.is_empty(204);
        }
        let result = fixture
            .get(&token, &format!("/result/PROJ-PLAN-{number}"))
            .await
            .json(200);
        assert_eq!(
            [
                &result["lifeCycleState"],
                &result["state"],
                &result["restartable"]
            ],
            [&json!("NotBuilt"), &json!("Unknown"), &json!(true)],
            "{key}"
        );
    }
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    fixture.run_jobs(&JobOutcome::Successful).await;
    fixture
        .change(Method::DELETE, &token, "/queue/PROJ-PLAN-3")
        .await
        .is_empty(204);
    assert_eq!(
        fixture.get(&token, "/result/PROJ-PLAN-3").await.json(200)["state"],
        "Successful"
    );
    for key in ["PROJ-PLAN-9", "PROJ-PLAN-JOB9-1", "PROJ-PLAN", "proj-plan-1"] {
        let missing = fixture
            .change(Method::DELETE, &token, &format!("/queue/{key}"))
            .await;
        assert_eq!(missing.json(404)["status-code"], 404, "{key}");
    }
}

#[tokio::test]
async fn post_reaches_the_limit_of_concurrent_builds_with_a_known_sentence() {
    let fixture = Fixture::new();
    let mut limited = staged("PROJ-PLAN", &[("Build", false, &["JOB1"])]);
    limited.concurrent_builds = Some(1);
    fixture.plan(&limited).await;
    let token = fixture.user("admin", true).await;
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    let refused = fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(400);
    assert_eq!(
        refused["message"],
        "Build requested but not started, you have reached the maximum number of concurrent builds allowed."
    );
}

#[tokio::test]
async fn stop_plan_action_ends_all_builds_of_a_plan() {
    let (fixture, token) = Fixture::with_plan().await;
    for _ in 0..2 {
        fixture
            .change(Method::POST, &token, "/queue/PROJ-PLAN")
            .await
            .json(200);
    }
    let path = "/build/admin/stopPlan.action?planKey=PROJ-PLAN";
    let call = fixture.call(Method::POST, path).token(&token);
    let reply = call.header("x-atlassian-token", "no-check").send().await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.text.contains("2 builds of PROJ-PLAN were stopped."),
        "{}",
        reply.text
    );
    for number in 1..=2 {
        let result = fixture
            .get(&token, &format!("/result/PROJ-PLAN-{number}"))
            .await
            .json(200);
        assert_eq!(result["lifeCycleState"], "NotBuilt");
    }
    let none = fixture
        .call(Method::POST, "/build/admin/stopPlan.action")
        .token(&token)
        .send()
        .await;
    assert_eq!(none.status, 400);
    let missing = "/build/admin/stopPlan.action?planKey=PROJ-NOPE";
    assert_eq!(
        fixture
            .call(Method::POST, missing)
            .token(&token)
            .send()
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn post_names_plans_and_branches_and_nothing_else() {
    let (fixture, token) = Fixture::with_plan().await;
    fixture.branch("PROJ-PLAN", "feature/bar").await;
    let branch = fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN0.json")
        .await
        .json(200);
    assert_eq!(branch["buildResultKey"], "PROJ-PLAN0-1");
    for key in ["PROJ", "PROJ-PLAN-JOB1", "PROJ-PLAN-1", "PROJ-NOPE", "proj-plan"] {
        let missing = fixture
            .change(Method::POST, &token, &format!("/queue/{key}"))
            .await
            .json(404);
        assert_eq!(missing["message"], format!("Plan {key} not found."));
    }
}
