//! Projects, plans, plan branches, variables.

use http::Method;
use madake_domain::permission::{Grantee, Permission, Scope};
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::plan::PlanRepositoryRow;
use madake_store::repository::NewRepository;
use madake_store::{plan, repository};
use serde_json::json;

use crate::fixture::{BASE_URL, Fixture, configuration, plan_key, staged};

#[tokio::test]
async fn sixty_plans_are_paged_without_gaps_and_end_with_an_empty_page() {
    let fixture = Fixture::new();
    for number in 0..60 {
        fixture.plan(&configuration(&format!("PROJ-P{number:03}X"))).await;
    }
    let token = fixture.user("admin", true).await;
    let mut seen = Vec::new();
    let mut start = 0;
    loop {
        let page = fixture
            .get(&token, &format!("/plan?max-results=25&start-index={start}"))
            .await
            .json(200);
        let plans = &page["plans"];
        assert_eq!(
            (&plans["size"], &plans["start-index"]),
            (&json!(60), &json!(start))
        );
        let items = plans["plan"].as_array().expect("a list");
        if items.is_empty() {
            break;
        }
        seen.extend(
            items
                .iter()
                .map(|plan| plan["key"].as_str().expect("a key").to_owned()),
        );
        start += plans["max-result"].as_u64().expect("a number");
    }
    let expected: Vec<String> = (0..60).map(|number| format!("PROJ-P{number:03}X")).collect();
    assert_eq!(seen, expected);
    let other_name = fixture
        .get(&token, "/plan?max-result=7&_=1&unknown=True")
        .await
        .json(200);
    assert_eq!(other_name["plans"]["plan"].as_array().expect("a list").len(), 7);
    let range = fixture
        .get(&token, "/plan?expand=plans%5B58%3A70%5D.plan")
        .await
        .json(200);
    let items = range["plans"]["plan"].as_array().expect("a list");
    assert_eq!((items.len(), &items[0]["key"]), (2, &json!("PROJ-P058X")));
    assert_eq!(items[0]["expand"], "actions,stages,branches");
    let all = fixture.get(&token, "/plan?max-results=0").await.json(200);
    assert_eq!(all["plans"]["plan"].as_array().expect("a list").len(), 60);
    let inside = fixture
        .get(&token, "/project/PROJ?max-results=25&expand=plans&start-index=50")
        .await
        .json(200);
    assert_eq!(
        (
            &inside["plans"]["size"],
            inside["plans"]["plan"].as_array().map(Vec::len)
        ),
        (&json!(60), Some(10))
    );
}

#[tokio::test]
async fn plan_is_short_in_lists_and_full_alone() {
    let (fixture, token) = Fixture::with_plan().await;
    let list = fixture.get(&token, "/plan").await.json(200);
    let short = &list["plans"]["plan"][0];
    assert_eq!(
        short,
        &json!({
            "id": short["id"], "shortName": "Plan PLAN", "shortKey": "PLAN", "type": "chain", "enabled": true,
            "link": {"href": format!("{BASE_URL}/rest/api/latest/plan/PROJ-PLAN"), "rel": "self"},
            "key": "PROJ-PLAN", "name": "Project PROJ - Plan PLAN", "planKey": {"key": "PROJ-PLAN"}
        })
    );
    for path in ["/plan/PROJ-PLAN", "/plan/PROJ/PLAN"] {
        let full = fixture.get(&token, path).await.json(200);
        assert_eq!(full["projectKey"], "PROJ");
        assert_eq!(
            full["stages"],
            json!({"size": 1, "start-index": 0, "max-result": 1})
        );
        assert_eq!(full["variableContext"], json!({"size": 2, "max-results": 2}));
        assert_eq!(
            (&full["isActive"], &full["isBuilding"]),
            (&json!(false), &json!(false))
        );
    }
    let expanded = fixture
        .get(
            &token,
            "/plan/PROJ-PLAN?expand=stages.stage.plans.plan,variableContext",
        )
        .await
        .json(200);
    let job = &expanded["stages"]["stage"][0]["plans"]["plan"][0];
    assert_eq!(
        (&job["key"], &job["type"]),
        (&json!("PROJ-PLAN-JOB1"), &json!("job"))
    );
    let variables = expanded["variableContext"]["variable"]
        .as_array()
        .expect("variables");
    assert_eq!(variables[1]["value"], "********");
    let alone = fixture.get(&token, "/plan/PROJ-PLAN-JOB1").await.json(200);
    assert_eq!(alone["key"], "PROJ-PLAN-JOB1");
    assert_eq!(fixture.get(&token, "/plan/PROJ-PLAN-JOB9").await.status, 404);
}

#[tokio::test]
async fn plan_shows_that_it_is_built() {
    let (fixture, token) = Fixture::with_plan().await;
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    let queued = fixture.get(&token, "/plan/PROJ-PLAN").await.json(200);
    assert_eq!(
        (&queued["isActive"], &queued["isBuilding"]),
        (&json!(true), &json!(false))
    );
    assert!(fixture.lease_next().await);
    let running = fixture.get(&token, "/plan/PROJ-PLAN").await.json(200);
    assert_eq!(
        (&running["isActive"], &running["isBuilding"]),
        (&json!(true), &json!(true))
    );
}

#[tokio::test]
async fn projects_without_readable_plans_are_hidden() {
    let fixture = Fixture::new();
    for key in ["AAA-PLAN", "BBB-PLAN", "BBB-OTHER"] {
        fixture.plan(&configuration(key)).await;
    }
    fixture
        .grant(Scope::Project, "CCC", Grantee::LoggedIn, Permission::Read)
        .await;
    let token = fixture.user("joe", false).await;
    fixture
        .grant(Scope::Plan, "BBB-PLAN", Grantee::LoggedIn, Permission::Read)
        .await;
    let list = fixture.get(&token, "/project").await.json(200);
    let keys = |list: &serde_json::Value| -> Vec<String> {
        let items = list["projects"]["project"].as_array().expect("a list");
        items
            .iter()
            .map(|item| item["key"].as_str().expect("a key").to_owned())
            .collect()
    };
    assert_eq!(keys(&list), ["BBB"]);
    assert_eq!(
        keys(&fixture.get(&token, "/project?showEmpty").await.json(200)),
        ["BBB", "CCC"]
    );
    let nested = fixture
        .get(&token, "/project?expand=projects.project.plans.plan")
        .await
        .json(200);
    let project = &nested["projects"]["project"][0];
    assert_eq!(project["plans"]["plan"][0]["key"], "BBB-PLAN");
    assert_eq!(project["plans"]["size"], 1);
    let single = fixture.get(&token, "/project/BBB?showEmpty").await.json(200);
    assert_eq!(
        single["plans"],
        json!({"size": 1, "start-index": 0, "max-result": 1})
    );
    assert_eq!(fixture.get(&token, "/project/AAA").await.status, 403);
    assert_eq!(
        fixture.get(&token, "/project/NOPE").await.json(404)["message"],
        "Can't find project by key: NOPE"
    );
    assert_eq!(fixture.get("", "/project/AAA").await.status, 401);
    assert_eq!(fixture.get("", "/project/NOPE").await.status, 401);
    assert_eq!(fixture.get("", "/project").await.json(200)["projects"]["size"], 0);
}

#[tokio::test]
async fn plans_are_switched_off_and_on_with_204() {
    let (fixture, token) = Fixture::with_plan().await;
    fixture
        .change(Method::DELETE, &token, "/plan/PROJ-PLAN/enable")
        .await
        .is_empty(204);
    assert_eq!(
        fixture.get("", "/plan/PROJ-PLAN").await.json(200)["enabled"],
        false
    );
    let refused = fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(400);
    assert!(
        refused["message"]
            .as_str()
            .expect("a message")
            .contains("disabled")
    );
    fixture
        .change(Method::POST, &token, "/plan/PROJ-PLAN/enable.json")
        .await
        .is_empty(204);
    assert_eq!(
        fixture.get("", "/plan/PROJ-PLAN").await.json(200)["enabled"],
        true
    );
    fixture.branch("PROJ-PLAN", "feature/bar").await;
    fixture
        .change(Method::DELETE, &token, "/plan/PROJ-PLAN0/enable")
        .await
        .is_empty(204);
    let branches = fixture.get("", "/plan/PROJ-PLAN/branch").await.json(200);
    assert_eq!(branches["branches"]["branch"][0]["enabled"], false);
    let enabled_only = fixture
        .get("", "/plan/PROJ-PLAN/branch?enabledOnly")
        .await
        .json(200);
    assert_eq!(enabled_only["branches"]["branch"], json!([]));
    let missing = fixture
        .change(Method::POST, &token, "/plan/PROJ-NOPE/enable")
        .await;
    assert_eq!(missing.json(404)["message"], "Plan PROJ-NOPE not found.");
}

#[tokio::test]
async fn branches_are_listed_as_hook_scripts_compare_them() {
    let (fixture, token) = Fixture::with_plan().await;
    let empty = fixture.get("", "/plan/PROJ-PLAN/branch").await.json(200);
    assert_eq!(empty["branches"]["branch"], json!([]));
    fixture.branch("PROJ-PLAN", "feature/bar_baz").await;
    let list = fixture
        .get("", "/plan/PROJ-PLAN/branch?max-results=10000")
        .await
        .json(200);
    assert_eq!(
        list["branches"]["branch"][0],
        json!({
            "shortName": "feature-bar-baz", "shortKey": "PLAN0", "enabled": true,
            "link": {"href": format!("{BASE_URL}/rest/api/latest/plan/PROJ-PLAN0"), "rel": "self"},
            "workflowType": "manual", "key": "PROJ-PLAN0",
            "name": "Project PROJ - Plan PLAN - feature-bar-baz"
        })
    );
    for name in [
        "feature/bar_baz",
        "feature%2Fbar_baz",
        "feature-bar-baz",
        "feature/bar_baz.json",
    ] {
        let one = fixture
            .get("", &format!("/plan/PROJ-PLAN/branch/{name}"))
            .await
            .json(200);
        assert_eq!(one["key"], "PROJ-PLAN0", "{name}");
    }
    assert_eq!(fixture.get("", "/plan/PROJ-PLAN/branch/nope").await.status, 404);
    let plan = fixture.get("", "/plan/PROJ-PLAN0").await.json(200);
    assert_eq!(
        (&plan["type"], &plan["master"]["key"]),
        (&json!("chain_branch"), &json!("PROJ-PLAN"))
    );
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN0")
        .await
        .json(200);
    let expanded = fixture
        .get("", "/plan/PROJ-PLAN/branch?expand=branches.branch.latestResult")
        .await
        .json(200);
    assert_eq!(
        expanded["branches"]["branch"][0]["latestCurrentlyActive"],
        json!({"key": "PROJ-PLAN0-1", "lifeCycleState": "Queued", "number": 1})
    );
    let nested = fixture
        .get("", "/plan/PROJ-PLAN/.json?expand=branches&max-results=10000")
        .await;
    assert_eq!(nested.json(200)["branches"]["branch"][0]["key"], "PROJ-PLAN0");
}

#[tokio::test]
async fn branch_put_makes_an_enabled_plan_branch_once() {
    let (fixture, token) = Fixture::with_plan().await;
    let path = "/plan/PROJ-PLAN/branch/feature/x%20y?vcsBranch=refs/heads/feature/xy";
    let made = fixture.change(Method::PUT, &token, path).await.json(200);
    assert_eq!(
        made,
        json!({
            "description": "", "shortName": "feature/x y", "shortKey": "PLAN0", "enabled": true,
            "link": {"href": format!("{BASE_URL}/rest/api/latest/plan/PROJ-PLAN0"), "rel": "self"},
            "key": "PROJ-PLAN0", "name": "Project PROJ - Plan PLAN - feature/x y"
        })
    );
    let again = fixture.change(Method::PUT, &token, path).await.json(400);
    assert!(
        again["message"]
            .as_str()
            .expect("a message")
            .contains("branchName"),
        "{again}"
    );
    assert_eq!(again["errors"].as_array().map(Vec::len), Some(1));
    let found = fixture
        .get("", "/plan/PROJ-PLAN/branch/feature/x%20y")
        .await
        .json(200);
    assert_eq!(found["key"], "PROJ-PLAN0");
    let off = "/plan/PROJ-PLAN/branch/b.json?vcsBranch=b&enabled=false&cleanupEnabled=True";
    let off = fixture.change(Method::PUT, &token, off).await.json(200);
    assert_eq!((&off["enabled"], &off["shortName"]), (&json!(false), &json!("b")));
    let bad = fixture
        .change(
            Method::PUT,
            &token,
            "/plan/PROJ-PLAN/branch/c?vcsBranch=--upload-pack",
        )
        .await;
    assert_eq!(bad.status, 400);
    let joe = fixture.user("joe", false).await;
    let refused = fixture
        .change(Method::PUT, &joe, "/plan/PROJ-PLAN/branch/d")
        .await
        .json(403);
    assert_eq!(refused["status-code"], 403);
}

#[tokio::test]
async fn s7_variables_have_two_paths_and_masked_secrets() {
    let (fixture, _) = Fixture::with_plan().await;
    for name in ["variables", "variable"] {
        let reply = fixture.get("", &format!("/plan/PROJ-PLAN/{name}")).await;
        assert_eq!(
            reply.text,
            r#"[{"name":"colour","value":"red"},{"name":"db.password","value":"********"}]"#
        );
        let one = fixture.get("", &format!("/plan/PROJ-PLAN/{name}/colour")).await;
        assert_eq!(one.text, r#"{"name":"colour","value":"red"}"#);
        assert_eq!(
            fixture
                .get("", &format!("/plan/PROJ-PLAN/{name}/shape"))
                .await
                .status,
            404
        );
    }
}

#[tokio::test]
async fn labels_of_a_plan_are_those_of_its_file() {
    let fixture = Fixture::new();
    let mut labelled = staged("PROJ-PLAN", &[("Build", false, &["JOB1"])]);
    labelled.labels = Some(vec!["nightly".into()]);
    fixture.plan(&labelled).await;
    fixture.plan(&configuration("PROJ-PLAIN")).await;
    let token = fixture.user("admin", true).await;
    let labels = fixture.get(&token, "/plan/PROJ-PLAN/label").await.json(200);
    assert_eq!(labels["labels"]["label"], json!([{"name": "nightly"}]));
    let none = fixture.get(&token, "/plan/PROJ-PLAIN/label").await.json(200);
    assert_eq!(none["labels"]["label"], json!([]));
    for key in ["PROJ-PLAN", "PROJ-PLAIN"] {
        fixture
            .change(Method::POST, &token, &format!("/queue/{key}"))
            .await
            .json(200);
    }
    let by_label = "/result?includeAllStates=true&label=other&label=nightly";
    let results = fixture.get(&token, by_label).await.json(200);
    assert_eq!(results["results"]["size"], 1);
    assert_eq!(results["results"]["result"][0]["key"], "PROJ-PLAN-1");
}

#[tokio::test]
async fn vcs_branches_are_those_of_the_first_repository() {
    let (fixture, _) = Fixture::with_plan().await;
    let none = fixture.get("", "/plan/PROJ-PLAN/vcsBranches").await.json(200);
    assert_eq!(none["branches"]["size"], 0);
    fixture
        .store(|tx| {
            let new = NewRepository {
                kind: RepositoryKind::Attached,
                scm: Scm::Git,
                name: "PROJ/app".into(),
                owner: "PROJ".into(),
                slug: "app".into(),
                path: "/nowhere".into(),
                url: String::new(),
                default_branch: "master".into(),
            };
            let id = repository::insert(tx, &new, 1)?;
            let hash = "1111111111111111111111111111111111111111";
            for name in ["refs/heads/master", "refs/heads/feature/bar", "refs/tags/v1"] {
                repository::set_ref(tx, id, name, Some(hash), None, 1)?;
            }
            let row = plan::by_key(tx, &plan_key("PROJ-PLAN"))?.expect("the plan");
            let rows = [PlanRepositoryRow {
                name: "app".into(),
                repository_id: Some(id),
            }];
            plan::set_repositories(tx, row.id, &rows)
        })
        .await;
    let list = fixture
        .get("", "/plan/PROJ-PLAN/vcsBranches?max-results=25&start-index=0")
        .await
        .json(200);
    assert_eq!(
        list["branches"]["branch"],
        json!([{"name": "feature/bar"}, {"name": "master"}])
    );
    let found = fixture
        .get("", "/plan/PROJ-PLAN/vcsBranches?searchTerm=FEAT")
        .await
        .json(200);
    assert_eq!(found["branches"]["size"], 1);
}

#[tokio::test]
async fn texts_that_are_no_keys_are_unknown_plans() {
    let (fixture, token) = Fixture::with_plan().await;
    let long = "A".repeat(300);
    let rows = [
        "proj-plan",
        "PROJ-plan",
        "PROJ",
        "PROJ-PLAN-7",
        "%1b%5b31m",
        "%E2%80%AEx",
        long.as_str(),
    ];
    for text in rows {
        let reply = fixture.get(&token, &format!("/plan/{text}")).await;
        assert_eq!(reply.status, 404, "{text}");
        assert!(
            !reply.text.contains(['\u{1b}', '\u{202e}']) && reply.text.len() < 300,
            "{}",
            reply.text
        );
    }
    let lower = fixture.get(&token, "/plan/proj-plan").await.json(404);
    assert_eq!(lower["message"], "Plan proj-plan not found.");
}
