//! The quick search (bamboo-rest.md 8).

use serde_json::{Value, json};

use crate::fixture::{Fixture, configuration, staged};

fn ids(found: &Value) -> Vec<&str> {
    let hits = found["searchResults"].as_array().expect("a list");
    hits.iter()
        .map(|hit| hit["id"].as_str().expect("an id"))
        .collect()
}

async fn server() -> (Fixture, String) {
    let fixture = Fixture::new();
    let stages: [(&str, bool, &[&str]); 2] =
        [("Build", false, &["ONE", "TWO"]), ("Publish", true, &["THREE"])];
    fixture.plan(&staged("PROJ-PLAN", &stages)).await;
    fixture.plan(&configuration("PROJ-DOCS")).await;
    fixture.plan(&configuration("SHOP-WEB")).await;
    fixture.branch("PROJ-PLAN", "feature/bar").await;
    let token = fixture.user("admin", true).await;
    (fixture, token)
}

#[tokio::test]
async fn plans_and_what_belongs_to_them_are_found_by_parts_of_their_names() {
    let (fixture, token) = server().await;
    let rows: [(&str, &[&str]); 14] = [
        ("plans", &["PROJ-DOCS", "PROJ-PLAN", "SHOP-WEB"]),
        (
            "plans?searchTerm=web&fuzzy=True&max-results=25&start-index=0",
            &["SHOP-WEB"],
        ),
        ("plans?searchTerm=proj%20-%20plan%20d", &["PROJ-DOCS"]),
        ("plans?max-results=1&start-index=1", &["PROJ-PLAN"]),
        ("plans?permission=BUILD&searchTerm=SHOP", &["SHOP-WEB"]),
        ("branches?masterPlanKey=PROJ-PLAN", &["PROJ-PLAN0"]),
        (
            "branches?masterPlanKey=PROJ-PLAN&includeMasterBranch=True",
            &["PROJ-PLAN", "PROJ-PLAN0"],
        ),
        ("branches?masterPlanKey=PROJ-PLAN&searchTerm=BAR", &["PROJ-PLAN0"]),
        (
            "branches?masterPlanKey=PROJ-PLAN&searchTerm=proj&branchNameOnly=true",
            &[],
        ),
        ("projects?searchTerm=sho", &["SHOP"]),
        (
            "jobs/PROJ-PLAN?searchTerm=t",
            &["PROJ-PLAN-TWO", "PROJ-PLAN-THREE"],
        ),
        ("stages/PROJ-PLAN", &["Build", "Publish"]),
        ("deployments", &[]),
        ("plans?searchTerm=%25", &[]),
    ];
    for (query, expected) in rows {
        let found = fixture.get(&token, &format!("/search/{query}")).await.json(200);
        assert_eq!(ids(&found), expected, "{query}: {found:#}");
    }
    let found = fixture.get(&token, "/search/plans?max-results=2").await.json(200);
    assert_eq!(
        (
            &found["size"],
            &found["start-index"],
            &found["max-result"],
            &found["mayHaveMore"]
        ),
        (&json!(3), &json!(0), &json!(2), &json!(true))
    );
    let entity = &found["searchResults"][1]["searchEntity"];
    assert_eq!(
        (&entity["key"], &entity["planName"], &entity["type"]),
        (&json!("PROJ-PLAN"), &json!("Plan PLAN"), &json!("chain"))
    );
}

#[tokio::test]
async fn nobody_finds_what_he_may_not_see() {
    let (fixture, token) = server().await;
    let joe = fixture.user("joe", false).await;
    fixture
        .grant(
            madake_domain::permission::Scope::Plan,
            "SHOP-WEB",
            madake_domain::permission::Grantee::User("joe".into()),
            madake_domain::permission::Permission::Read,
        )
        .await;
    for (query, expected) in [
        ("plans", &["SHOP-WEB"] as &[&str]),
        ("plans?permission=BUILD", &[]),
        ("projects", &["SHOP"]),
        ("projects?permission=WRITE", &[]),
    ] {
        let found = fixture.get(&joe, &format!("/search/{query}")).await.json(200);
        assert_eq!(ids(&found), expected, "{query}: {found:#}");
        let found = fixture.get("", &format!("/search/{query}")).await.json(200);
        assert_eq!(found["size"], 0, "{query}");
    }
    for (query, status) in [
        ("branches?masterPlanKey=PROJ-PLAN", 403),
        ("jobs/PROJ-PLAN", 403),
        ("stages/PROJ-NONE", 404),
        ("versions?deploymentProjectId=7", 404),
        ("branches", 400),
        ("versions", 400),
        ("plans?permission=everything", 400),
    ] {
        let reply = fixture.get(&joe, &format!("/search/{query}")).await;
        assert_eq!(reply.status, status, "{query}");
    }
    assert_eq!(fixture.get(&token, "/search/jobs/PROJ-PLAN").await.status, 200);
}
