//! Stages and the queue towards strange and repeated requests (hostile-inputs.md R13): the measured table of origin
//! 001 with real jobs over real HTTP, also over a restart, and the stage that has already run.

use madake_testkit::{Server, WorkTree};
use reqwest::Method;
use serde_json::Value;

use crate::hostile_support::settled;

/// First (automatic), Second and Third (manual), as in origin 001. Third fails while the file `broken` is there.
const PLAN: &str = "version: 2
plan: {project-key: PROJ, key: PLAN, name: Stages}
triggers: []
stages:
  - First: [One]
  - Second: {manual: true, jobs: [Two]}
  - Third: {manual: true, jobs: [Three]}
One:
  tasks:
    - script: echo \"one ran\"
Two:
  tasks:
    - script: echo \"two ran\"
Three:
  tasks:
    - script: test ! -e broken
";

async fn with_plan(more: &[(&str, &str)]) -> (Server, WorkTree) {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let mut files = vec![("bamboo-specs/bamboo.yml", PLAN)];
    files.extend(more);
    let _ = work.push("main", &files);
    settled(&server).await;
    (server, work)
}

/// Asks the queue; gives status and body.
async fn queue(server: &Server, method: Method, path: &str) -> (u16, Value) {
    let answer = server
        .request(method, &format!("/rest/api/latest/queue/{path}"))
        .header("accept", "application/json")
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// The names of the stages that ran well, and whether the build can go on, when it has come to rest.
async fn rested(server: &Server, key: &str) -> (Vec<String>, bool) {
    let plan = key.rsplit_once('-').expect("a result key").0;
    server.ended(plan, 1).await;
    let result = server
        .get(&format!("/rest/api/latest/result/{key}?expand=stages.stage"))
        .await;
    let stages = result["stages"]["stage"].as_array().expect("stages");
    let ran = stages.iter().filter(|stage| stage["state"] == "Successful");
    let names = ran.map(|stage| stage["name"].as_str().expect("a name").to_owned());
    (names.collect(), result["continuable"] == true)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_rest_r13_post_runs_the_measured_table_and_refuses_unknown_stages() {
    let (server, _work) = with_plan(&[]).await;
    let all: &[&str] = &["First", "Second", "Third"];
    let rows: [(&str, &[&str]); 12] = [
        ("", &all[..1]),
        ("?executeAllStages", &all[..1]),
        ("?stage&executeAllStages", &all[..1]),
        ("?stage=&executeAllStages=false", &all[..1]),
        ("?executeAllStages=false", &all[..1]),
        ("?executeAllStages=true", all),
        ("?stage=First&executeAllStages=false", &all[..1]),
        ("?stage=Second", &all[..2]),
        ("?stage=Second&executeAllStages", &all[..2]),
        ("?stage=Second&executeAllStages=false", &all[..2]),
        ("?stage=Second&executeAllStages=true", all),
        ("?stage=Third&executeAllStages=false", all),
    ];
    for (number, (query, expected)) in (1..).zip(rows) {
        let (status, queued) = queue(&server, Method::POST, &format!("PROJ-PLAN{query}")).await;
        assert_eq!(status, 200, "R13 {query}: {queued}");
        assert_eq!(
            queued["buildNumber"], number,
            "R13 {query}: a new build each time"
        );
        let (ran, continuable) = rested(&server, &format!("PROJ-PLAN-{number}")).await;
        assert_eq!(ran, expected, "R13 {query}");
        assert_eq!(continuable, expected.len() < 3, "R13 {query}");
    }
    let made = rows.len();
    for stage in [
        "Nope",
        "second",
        "Second%20",
        "--help",
        "..%2f",
        "%3Cscript%3E",
        "Second%0aThird",
    ] {
        for flag in ["", "&executeAllStages", "&executeAllStages=false"] {
            let path = format!("PROJ-PLAN?stage={stage}{flag}");
            let (status, answer) = queue(&server, Method::POST, &path).await;
            assert_eq!(status, 400, "R13 {path}: {answer}");
            let message = answer["message"].as_str().expect("a message");
            assert!(message.contains("Third"), "the stages that there are: {message}");
        }
    }
    assert!(
        !server.log().contains("\nThird"),
        "a name makes no line of the log"
    );
    assert_eq!(
        server.results("PROJ-PLAN").await.len(),
        made,
        "what is refused makes no build"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_rest_r13_a_stage_that_ran_does_not_run_the_next_one() {
    let (mut server, _work) = with_plan(&[]).await;
    queue(&server, Method::POST, "PROJ-PLAN?stage=Second").await;
    let two = (vec!["First".to_owned(), "Second".to_owned()], true);
    assert_eq!(rested(&server, "PROJ-PLAN-1").await, two);
    // The original ran Third here. Nothing runs, and the build stays as it was, also over a restart.
    for round in 0..2 {
        for (query, errors) in [
            ("?stage=Second&executeAllStages=false", "Second"),
            ("?stage=Second", "Second"),
            ("?stage=Second&executeAllStages", "Second"),
            ("?stage=First&executeAllStages=false", "First"),
        ] {
            let (status, answer) = queue(&server, Method::PUT, &format!("PROJ-PLAN-1{query}")).await;
            assert_eq!(status, 400, "R13 {query}: {answer}");
            assert_eq!(
                answer["errors"],
                serde_json::json!([format!("Stage '{errors}' has already been executed.")]),
                "R13 {query}: {answer}"
            );
            assert_eq!(rested(&server, "PROJ-PLAN-1").await, two, "R13 {query}");
        }
        for query in [
            "?stage=Nope",
            "?stage=Nope&executeAllStages=false",
            "?stage=second",
        ] {
            let (status, answer) = queue(&server, Method::PUT, &format!("PROJ-PLAN-1{query}")).await;
            assert_eq!(status, 400, "R13 {query}: {answer}");
            assert_eq!(rested(&server, "PROJ-PLAN-1").await, two, "R13 {query}");
        }
        if round == 0 {
            server.kill();
            server.launch().await;
        }
    }
    // With `executeAllStages=true` the rest runs, whatever stage is named; then there is nothing left.
    let (status, answer) = queue(
        &server,
        Method::PUT,
        "PROJ-PLAN-1?stage=Second&executeAllStages=true",
    )
    .await;
    assert_eq!((status, &answer["buildNumber"]), (200, &1.into()), "{answer}");
    let (ran, continuable) = rested(&server, "PROJ-PLAN-1").await;
    assert_eq!((ran.len(), continuable), (3, false));
    for query in [
        "",
        "?executeAllStages=true",
        "?stage=Third&executeAllStages=false",
    ] {
        let (status, answer) = queue(&server, Method::PUT, &format!("PROJ-PLAN-1{query}")).await;
        assert_eq!(status, 400, "R13 {query}: {answer}");
    }
    assert_eq!(server.results("PROJ-PLAN").await.len(), 1, "no further build");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_rest_r13_put_never_skips_a_stage_and_goes_no_further_than_asked() {
    let (server, _work) = with_plan(&[("broken", "x")]).await;
    // Third is named while Second waits: Second runs first. Third fails, and can be run again.
    queue(&server, Method::POST, "PROJ-PLAN").await;
    assert_eq!(
        rested(&server, "PROJ-PLAN-1").await,
        (vec!["First".to_owned()], true)
    );
    let (status, answer) = queue(
        &server,
        Method::PUT,
        "PROJ-PLAN-1?stage=Third&executeAllStages=false",
    )
    .await;
    assert_eq!(status, 200, "R13: {answer}");
    let two = vec!["First".to_owned(), "Second".to_owned()];
    assert_eq!(rested(&server, "PROJ-PLAN-1").await.0, two);
    let result = server.get("/rest/api/latest/result/PROJ-PLAN-1").await;
    assert_eq!(result["state"], "Failed");
    // Second has run: naming it runs no failed job of Third again.
    let (status, answer) = queue(
        &server,
        Method::PUT,
        "PROJ-PLAN-1?stage=Second&executeAllStages=false",
    )
    .await;
    assert_eq!(status, 400, "R13: {answer}");
    let (status, answer) = queue(&server, Method::PUT, "PROJ-PLAN-1?stage=Third").await;
    assert_eq!(status, 200, "R13: {answer}");
    assert_eq!(rested(&server, "PROJ-PLAN-1").await.0, two);
    // Keys that name no build are not found, and a stage beside them changes nothing of that.
    for key in [
        "PROJ-PLAN-9",
        "PROJ-PLAN",
        "PROJ-NOPE-1",
        "PROJ-PLAN-JOB1-1",
        "proj-plan-1",
    ] {
        let (status, answer) = queue(&server, Method::PUT, &format!("{key}?stage=Third")).await;
        assert_eq!(status, 404, "R13 {key}: {answer}");
    }
    let stranger = server.anonymous(Method::PUT, "/rest/api/latest/queue/PROJ-PLAN-1?stage=Third");
    assert_eq!(stranger.send().await.expect("an answer").status(), 401, "R13");
    assert_eq!(server.results("PROJ-PLAN").await.len(), 1);
}
