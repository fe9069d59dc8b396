//! Results: lists and filters, the forms of keys, expansion, logs.

use http::Method;
use madake_domain::schedule::JobOutcome;
use madake_store::build::{self, Change};
use madake_store::plan;
use serde_json::{Value, json};

use crate::fixture::{BASE_URL, Fixture, configuration, plan_key, staged};

const COMMIT: &str = "1111111111111111111111111111111111111111";

async fn finished_builds(fixture: &Fixture, token: &str, key: &str, count: usize) {
    for _ in 0..count {
        fixture
            .change(Method::POST, token, &format!("/queue/{key}"))
            .await
            .json(200);
        fixture.run_jobs(&JobOutcome::Successful).await;
    }
}

fn numbers(list: &Value) -> Vec<i64> {
    let items = list["results"]["result"].as_array().expect("a list");
    items
        .iter()
        .map(|item| item["number"].as_i64().expect("a number"))
        .collect()
}

#[tokio::test]
async fn sixty_results_are_paged_newest_first() {
    let (fixture, token) = Fixture::with_plan().await;
    finished_builds(&fixture, &token, "PROJ-PLAN", 60).await;
    let first = fixture.get("", "/result/PROJ-PLAN").await.json(200);
    assert_eq!(numbers(&first), (36..=60).rev().collect::<Vec<_>>());
    assert_eq!(
        (&first["results"]["size"], &first["results"]["max-result"]),
        (&json!(60), &json!(25))
    );
    let last = fixture
        .get("", "/result/PROJ-PLAN?start-index=50&max-result=25")
        .await
        .json(200);
    assert_eq!(numbers(&last), (1..=10).rev().collect::<Vec<_>>());
    let behind = fixture
        .get("", "/result/PROJ-PLAN?start-index=75&max-results=25")
        .await
        .json(200);
    assert_eq!(
        (&behind["results"]["size"], numbers(&behind)),
        (&json!(0), vec![])
    );
    assert_eq!(behind["results"]["start-index"], 75);
    let of_job = fixture
        .get("", "/result/PROJ-PLAN-JOB1?max-results=2&start-index=1")
        .await
        .json(200);
    assert_eq!(
        (&of_job["results"]["size"], numbers(&of_job)),
        (&json!(60), vec![59, 58])
    );
    assert_eq!(of_job["results"]["result"][0]["key"], "PROJ-PLAN-JOB1-59");
}

#[tokio::test]
async fn short_item_has_exactly_the_recorded_keys() {
    let (fixture, token) = Fixture::with_plan().await;
    finished_builds(&fixture, &token, "PROJ-PLAN", 1).await;
    let list = fixture.get("", "/result/PROJ-PLAN").await.json(200);
    let item = &list["results"]["result"][0];
    assert_eq!(
        item,
        &json!({
            "link": {"href": format!("{BASE_URL}/rest/api/latest/result/PROJ-PLAN-1"), "rel": "self"},
            "plan": item["plan"], "buildResultKey": "PROJ-PLAN-1", "lifeCycleState": "Finished", "id": item["id"],
            "key": "PROJ-PLAN-1",
            "planResultKey": {"key": "PROJ-PLAN-1", "entityKey": {"key": "PROJ-PLAN"}, "resultNumber": 1},
            "state": "Successful", "buildState": "Successful", "number": 1, "buildNumber": 1
        })
    );
    let full = fixture
        .get("", "/result/PROJ-PLAN?expand=results.result")
        .await
        .json(200);
    assert_eq!(
        full["results"]["result"][0]["expand"],
        "plan,vcsRevisions,artifacts,comments,labels,jiraIssues,variables,stages"
    );
}

#[tokio::test]
async fn filters_choose_by_state_life_cycle_and_continuation() {
    let fixture = Fixture::new();
    let stages: [(&str, bool, &[&str]); 2] = [("A", false, &["ONE"]), ("B", true, &["TWO"])];
    fixture.plan(&staged("PROJ-PLAN", &stages)).await;
    let token = fixture.user("admin", true).await;
    let post = async |query: &str| {
        let path = format!("/queue/PROJ-PLAN{query}");
        fixture.change(Method::POST, &token, &path).await.json(200);
    };
    post("").await;
    fixture.run_jobs(&JobOutcome::Successful).await;
    post("?executeAllStages=true").await;
    fixture.run_jobs(&JobOutcome::Successful).await;
    post("").await;
    let failed = JobOutcome::Failed { reason: "no".into() };
    fixture.run_jobs(&failed).await;
    post("").await;
    fixture
        .change(Method::DELETE, &token, "/queue/PROJ-PLAN-4")
        .await
        .is_empty(204);
    post("").await;
    let rows: [(&str, &[i64]); 12] = [
        ("", &[3, 2, 1]),
        ("includeAllStates=true", &[5, 4, 3, 2, 1]),
        ("includeAllStates=True&showEmpty", &[5, 4, 3, 2, 1]),
        ("includeAllStates=False", &[3, 2, 1]),
        ("include_all_states=False", &[3, 2, 1]),
        ("buildstate=Successful", &[2, 1]),
        ("buildstate=failed", &[3]),
        ("lifeCycleState=Queued,NotBuilt", &[5, 4]),
        ("continuable=true", &[1]),
        ("continuable=false&max-results=0", &[3, 2, 1]),
        ("issueKey=WEB-1", &[]),
        ("favourite", &[]),
    ];
    for (query, expected) in rows {
        let list = fixture
            .get(&token, &format!("/result/PROJ-PLAN?{query}"))
            .await
            .json(200);
        assert_eq!(numbers(&list), expected, "{query}");
    }
    let jobs = fixture
        .get(&token, "/result/PROJ-PLAN-TWO?includeAllStates=true")
        .await
        .json(200);
    let states: Vec<&Value> = jobs["results"]["result"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| &item["lifeCycleState"])
        .collect();
    assert_eq!(
        states,
        ["NotBuilt", "NotBuilt", "NotBuilt", "Finished", "NotBuilt"]
    );
    let wrong = fixture
        .get(&token, "/result/PROJ-PLAN?buildstate=wrong")
        .await
        .json(400);
    assert_eq!(wrong["message"], "There is no BuildState called 'wrong'");
    assert_eq!(
        fixture
            .get(&token, "/result/PROJ-PLAN?lifeCycleState=x")
            .await
            .status,
        400
    );
    let latest = fixture.get(&token, "/result/PROJ-PLAN/latest").await.json(200);
    assert_eq!(latest["number"], 3);
    let any = fixture
        .get(&token, "/result/PROJ-PLAN-latest?includeAllStates")
        .await
        .json(200);
    assert_eq!(any["number"], 5);
}

#[tokio::test]
async fn one_result_has_many_paths() {
    let (fixture, token) = Fixture::with_plan().await;
    finished_builds(&fixture, &token, "PROJ-PLAN", 1).await;
    for path in [
        "/result/PROJ-PLAN-1",
        "/result/PROJ-PLAN/1",
        "/result/PROJ-PLAN/1.json",
        "/result/PROJ-PLAN-latest",
        "/result/PROJ-PLAN/latest.json?max-results=25&include_all_states=False&start-index=0",
        "/result/PROJ/PLAN/1",
        "/result/PROJ/PLAN/latest",
    ] {
        assert_eq!(
            fixture.get("", path).await.json(200)["key"],
            "PROJ-PLAN-1",
            "{path}"
        );
    }
    for path in [
        "/result/PROJ-PLAN-JOB1-1",
        "/result/PROJ-PLAN-JOB1/1",
        "/result/PROJ-PLAN-JOB1/latest",
    ] {
        assert_eq!(
            fixture.get("", path).await.json(200)["key"],
            "PROJ-PLAN-JOB1-1",
            "{path}"
        );
    }
    for path in ["/result/PROJ/PLAN", "/result/PROJ", "/result"] {
        let list = fixture.get(&token, path).await.json(200);
        assert_eq!(list["results"]["result"][0]["key"], "PROJ-PLAN-1", "{path}");
    }
    for (path, message) in [
        ("/result/PROJ-PLAN-12", "Result 12 for PROJ-PLAN not found."),
        ("/result/PROJ-PLAN0/latest", "Plan PROJ-PLAN0 not found."),
        (
            "/result/PROJ-PLAN-JOB9-1",
            "Result 1 for PROJ-PLAN-JOB9 not found.",
        ),
        ("/result/PROJ-PLAN-JOB9", "Plan PROJ-PLAN-JOB9 not found."),
        ("/result/NOPE", "Can't find project by key: NOPE"),
        ("/result/proj-plan-1", "Plan proj-plan-1 not found."),
    ] {
        assert_eq!(
            fixture.get(&token, path).await.json(404)["message"],
            message,
            "{path}"
        );
    }
    fixture.plan(&configuration("PROJ-EMPTY")).await;
    let empty = fixture.get(&token, "/result/PROJ-EMPTY").await.json(200);
    assert_eq!(
        (&empty["results"]["size"], &empty["results"]["result"]),
        (&json!(0), &json!([]))
    );
    let latest = fixture.get(&token, "/result/PROJ-EMPTY/latest").await.json(404);
    assert_eq!(latest["message"], "Result latest for PROJ-EMPTY not found.");
}

#[tokio::test]
async fn expansion_reaches_stages_and_jobs() {
    let (fixture, token) = Fixture::with_plan().await;
    finished_builds(&fixture, &token, "PROJ-PLAN", 1).await;
    let plain = fixture.get("", "/result/PROJ-PLAN-1").await.json(200);
    assert_eq!(
        plain["stages"],
        json!({"size": 1, "start-index": 0, "max-result": 1})
    );
    let expanded = fixture
        .get(
            "",
            "/result/PROJ-PLAN-1?expand=stages.stage.results.result,plan,nonsense[",
        )
        .await
        .json(200);
    let stage = &expanded["stages"]["stage"][0];
    assert_eq!(
        (&stage["name"], &stage["displayMessage"]),
        (&json!("Build"), &json!("1 job passed"))
    );
    let job = &stage["results"]["result"][0];
    assert_eq!(job["buildResultKey"], "PROJ-PLAN-JOB1-1");
    assert_eq!(
        job["parent"]["href"],
        format!("{BASE_URL}/rest/api/latest/result/PROJ-PLAN-1")
    );
    assert_eq!(
        job["logFiles"],
        json!([format!(
            "{BASE_URL}/download/PROJ-PLAN-JOB1/build_logs/PROJ-PLAN-JOB1-1.log"
        )])
    );
    assert_eq!(expanded["plan"]["projectKey"], "PROJ");
    let in_list = fixture
        .get("", "/result?expand=results.result.stages.stage.results.result")
        .await
        .json(200);
    let job = &in_list["results"]["result"][0]["stages"]["stage"][0]["results"]["result"][0];
    assert_eq!(job["stage"], "Build");
}

#[tokio::test]
async fn running_build_shows_progress_and_status() {
    let (fixture, token) = Fixture::with_plan().await;
    finished_builds(&fixture, &token, "PROJ-PLAN", 1).await;
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    assert!(fixture.lease_next().await);
    let running = fixture.get("", "/result/PROJ-PLAN-2").await.json(200);
    assert_eq!(running["lifeCycleState"], "InProgress");
    assert_eq!(running["buildDurationDescription"], "Unknown");
    assert!(running["progress"]["percentageCompleted"].is_number());
    let status = fixture.get("", "/result/status/PROJ-PLAN-2").await.json(200);
    assert_eq!(
        (&status["currentStage"], &status["finished"]),
        (&json!("Build"), &json!(false))
    );
    assert_eq!(
        status["stages"],
        json!({"size": 1, "start-index": 0, "max-result": 1})
    );
    assert_eq!(fixture.get("", "/result/status/PROJ-PLAN-1").await.status, 404);
    assert_eq!(
        fixture.get("", "/result/status/PROJ-PLAN-latest").await.status,
        404
    );
}

#[tokio::test]
async fn changes_name_authors_files_and_known_users() {
    let (fixture, token) = Fixture::with_plan().await;
    finished_builds(&fixture, &token, "PROJ-PLAN", 1).await;
    let id = fixture.build("PROJ-PLAN-1").await.id;
    fixture
        .store(move |tx| {
            let change = |email: &str| Change {
                changeset: COMMIT.into(),
                author: "Ad Min".into(),
                email: email.into(),
                message: "Mend <it>".into(),
                at_ms: 1_769_840_256_936,
                files: vec!["src/main.rs".into()],
            };
            build::insert_changes(tx, id, &[change("ADMIN@example.org"), change("else@example.org")])
        })
        .await;
    let short = fixture
        .get("", "/result/PROJ-PLAN-1?expand=changes")
        .await
        .json(200);
    assert_eq!(
        short["changes"]["change"],
        json!([
            {"changesetId": COMMIT, "fullName": "ADMIN Doe", "userName": "admin", "author": "Ad Min", "expand": "files"},
            {"changesetId": COMMIT, "fullName": "Ad Min", "author": "Ad Min", "expand": "files"}
        ])
    );
    let full = fixture
        .get("", "/result/PROJ-PLAN-1?expand=changes.change.files")
        .await
        .json(200);
    let change = &full["changes"]["change"][0];
    assert_eq!(change["date"], "2026-01-31T06:17:36.936+00:00");
    assert_eq!(
        change["files"]["file"],
        json!([{"name": "src/main.rs", "revision": COMMIT}])
    );
    let found = fixture
        .get("", &format!("/result/byChangeset/{COMMIT}"))
        .await
        .json(200);
    assert_eq!(numbers(&found), [1]);
    let checked_out = fixture
        .get("", &format!("/result/byCheckoutChangeset/{COMMIT}"))
        .await
        .json(200);
    assert_eq!(checked_out["results"]["size"], 0);
    let xml = format!("/result/byChangeset/{COMMIT}?os_authType=basic");
    let xml = fixture.call(Method::GET, &xml).token(&token).send().await;
    assert!(xml.text.contains("<results expand=\"results\">"), "{}", xml.text);
    assert!(
        xml.text.contains("<planResultKey><key>PROJ-PLAN-1</key>"),
        "{}",
        xml.text
    );
}

#[tokio::test]
async fn results_of_a_branch_are_found_by_its_name_and_stay_when_it_goes() {
    let (fixture, token) = Fixture::with_plan().await;
    fixture.branch("PROJ-PLAN", "feature/bar").await;
    finished_builds(&fixture, &token, "PROJ-PLAN0", 2).await;
    for name in ["feature/bar", "feature-bar", "feature%2Fbar"] {
        let list = fixture
            .get("", &format!("/result/PROJ-PLAN/branch/{name}"))
            .await
            .json(200);
        assert_eq!(numbers(&list), [2, 1], "{name}");
    }
    let own = fixture.get("", "/result/PROJ-PLAN0-1").await.json(200);
    assert_eq!(
        (&own["master"]["key"], &own["plan"]["master"]["key"]),
        (&json!("PROJ-PLAN"), &json!("PROJ-PLAN"))
    );
    fixture
        .store(|tx| {
            let branch = plan::branch_by_key(tx, &plan_key("PROJ-PLAN0"))?.expect("the branch");
            plan::remove_branch(tx, branch.id, 1)
        })
        .await;
    assert_eq!(fixture.get("", "/result/PROJ-PLAN0-1").await.status, 200);
    assert_eq!(
        fixture
            .get("", "/result/PROJ-PLAN/branch/feature/bar")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn logs_come_as_entries_and_as_files() {
    let (fixture, token) = Fixture::with_plan().await;
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    let file = "/download/PROJ-PLAN-JOB1/build_logs/PROJ-PLAN-JOB1-1.log";
    assert_eq!(fixture.get("", file).await.status, 404, "it has not begun");
    assert!(fixture.lease_next().await);
    let log: String = (0..40)
        .map(|number| format!("build\t31-Jan-2026 06:17:36\tline {number} <b>\n"))
        .collect();
    fixture.write_log("PROJ-PLAN-1", "JOB1", &log).await;
    let entries = fixture
        .get("", "/result/PROJ-PLAN-JOB1-1?expand=logEntries&max-results=99999")
        .await
        .json(200);
    assert_eq!(
        (
            &entries["logEntries"]["size"],
            &entries["logEntries"]["max-result"]
        ),
        (&json!(40), &json!(40))
    );
    assert_eq!(
        entries["logEntries"]["logEntry"][39],
        json!({
            "log": "line 39 &lt;b&gt;", "unstyledLog": "line 39 <b>", "date": 1_769_840_256_000_i64,
            "formattedDate": "31-Jan-2026 06:17:36"
        })
    );
    let first = fixture
        .get("", "/result/PROJ-PLAN-JOB1-1?expand=logEntries")
        .await
        .json(200);
    assert_eq!(first["logEntries"]["logEntry"].as_array().map(Vec::len), Some(25));
    let range = fixture
        .get("", "/result/PROJ-PLAN-JOB1-1?expand=logEntries[-2:]")
        .await
        .json(200);
    assert_eq!(range["logEntries"]["logEntry"][0]["unstyledLog"], "line 38 <b>");
    assert_eq!(range["logEntries"]["start-index"], 38);
    let nested = fixture
        .get(
            "",
            "/result/PROJ-PLAN-1?expand=stages.stage.results.result.logEntries[3:5]",
        )
        .await
        .json(200);
    let job = &nested["stages"]["stage"][0]["results"]["result"][0];
    assert_eq!(job["logEntries"]["logEntry"][1]["unstyledLog"], "line 4 <b>");
    for path in [file, "/download/PROJ-PLAN-JOB1-1/build_logs/PROJ-PLAN-JOB1-1.log"] {
        let reply = fixture.call(Method::GET, path).token(&token).send().await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.text, log);
        assert_eq!(reply.content_type(), "text/plain;charset=UTF-8");
    }
    for path in [
        "/download/PROJ-PLAN-JOB1/build_logs/PROJ-PLAN-JOB1-2.log",
        "/download/PROJ-PLAN-JOB1/build_logs/..%2Fmadake.db",
        "/download/PROJ-PLAN-JOB1/build_logs/PROJ-PLAN-JOB9-1.log",
    ] {
        assert_eq!(fixture.get(&token, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn every_link_of_an_answer_is_answered() {
    let (fixture, token) = Fixture::with_plan().await;
    fixture.branch("PROJ-PLAN", "feature/bar").await;
    finished_builds(&fixture, &token, "PROJ-PLAN0", 1).await;
    fixture
        .write_log("PROJ-PLAN0-1", "JOB1", "simple\t31-Jan-2026 06:17:36\tdone\n")
        .await;
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    let mut links = std::collections::BTreeSet::new();
    for path in [
        "/project?expand=projects.project.plans.plan.branches.branch.latestResult,projects.project.plans.plan.stages.stage.plans",
        "/plan/PROJ-PLAN0?expand=stages.stage.plans.plan",
        "/plan/PROJ-PLAN/branch?expand=branches.branch",
        "/result/PROJ-PLAN0?expand=results.result.stages.stage.results.result",
        "/result/PROJ-PLAN0-1/comment",
        "/result/PROJ-PLAN0-1/label",
        "/result/PROJ-PLAN/branch/feature/bar",
        "/plan/PROJ-PLAN/label",
        "/plan/PROJ-PLAN/vcsBranches",
        "/queue?expand=queuedBuilds",
        "/result?includeAllStates",
    ] {
        collect_links(&fixture.get(&token, path).await.json(200), &mut links);
    }
    assert!(links.len() > 15, "{links:?}");
    for link in links {
        let path = link.strip_prefix("http://ci.example:8085").expect("the base URL");
        assert_eq!(fixture.get(&token, path).await.status, 200, "{link}");
    }
}

/// What stands in `href`, and the addresses of logs.
fn collect_links(value: &Value, links: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "href" => {
                        links.insert(text.clone());
                    }
                    Value::Array(files) if name == "logFiles" => {
                        links.extend(files.iter().filter_map(|file| file.as_str().map(str::to_owned)));
                    }
                    other => collect_links(other, links),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_links(item, links)),
        _ => {}
    }
}

/// Bamboo's stages have no word for final ones (bamboo-rest.md 5.3): they are stages at their place.
#[tokio::test]
async fn stages_are_in_order_and_final_ones_are_like_others() {
    let fixture = Fixture::new();
    let stages: [(&str, bool, &[&str]); 3] = [
        ("Build", false, &["ONE"]),
        ("Publish", true, &["TWO"]),
        ("Sweep", false, &["THREE"]),
    ];
    let mut configuration = staged("PROJ-PLAN", &stages);
    configuration.stages[2].final_stage = true;
    fixture.plan(&configuration).await;
    let token = fixture.user("admin", true).await;
    let stages = async |number: i64| {
        let path = format!("/result/PROJ-PLAN-{number}?expand=stages.stage");
        let found = fixture.get(&token, &path).await.json(200);
        let stages = found["stages"]["stage"].as_array().expect("stages");
        let fields = ["name", "state", "manual", "restartable", "runnable"];
        assert!(stages.iter().all(|one| one.get("final").is_none()));
        let rows = stages.iter().map(|one| fields.map(|field| one[field].clone()));
        (found["continuable"].clone(), rows.collect::<Vec<_>>())
    };
    let row = |name: &str, state: &str, flags: [bool; 3]| {
        let [manual, restartable, runnable] = flags;
        [
            json!(name),
            json!(state),
            json!(manual),
            json!(restartable),
            json!(runnable),
        ]
    };
    let queue = async |query: &str, outcome: &JobOutcome| {
        let path = format!("/queue/PROJ-PLAN{query}");
        fixture.change(Method::POST, &token, &path).await.json(200);
        fixture.run_jobs(outcome).await;
    };
    queue("", &JobOutcome::Successful).await;
    let paused = vec![
        row("Build", "Successful", [false, false, false]),
        row("Publish", "Unknown", [true, false, true]),
        row("Sweep", "Unknown", [false, false, false]),
    ];
    assert_eq!(stages(1).await, (json!(true), paused));
    let failed = JobOutcome::Failed { reason: "no".into() };
    queue("?executeAllStages=true", &failed).await;
    let swept = vec![
        row("Build", "Failed", [false, true, false]),
        row("Publish", "Unknown", [true, false, false]),
        row("Sweep", "Failed", [false, false, false]),
    ];
    assert_eq!(stages(2).await, (json!(false), swept));
}
