//! Who may see and do what: every route keeps to its declaration, and lists show only what may be read.

use http::Method;
use madake_domain::permission::{Grantee, Permission, Scope};
use madake_server::routes::Access;
use serde_json::json;

use crate::bitbucket::is_bitbuckets;
use crate::fixture::{Fixture, configuration};

#[tokio::test]
async fn routes_keep_to_their_declarations_towards_strangers() {
    let fixture = Fixture::new();
    fixture.plan(&configuration("PROJ-PLAN")).await;
    let token = fixture.user("admin", true).await;
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    let mut looked_at = 0;
    for route in madake_server::router::routes().declared() {
        let ours = ["/rest/api/", "/download/", "/build/"];
        if !ours.iter().any(|root| route.path.starts_with(root)) || is_bitbuckets(route.path) {
            continue;
        }
        looked_at += 1;
        let names_result = route.path.contains("/status/")
            || route.path.ends_with("/label") && route.path.contains("/result/")
            || route.path.contains("/comment")
            || (route.path.contains("/queue/") && route.method != Method::POST);
        let key = match names_result {
            true => "PROJ-PLAN-1",
            false if route.path.starts_with("/download/") => "PROJ-PLAN-JOB1",
            false if route.path.ends_with("/plan/{key}/{second}") => "PROJ",
            false if route.path.ends_with("/project/{key}") => "PROJ",
            false if route.path.ends_with("/{third}") => "PROJ",
            false => "PROJ-PLAN",
        };
        let second = match key {
            "PROJ" => "PLAN",
            _ => "1",
        };
        let path = route
            .path
            .replace("{key}", key)
            .replace("{second}", second)
            .replace("{third}", "1")
            .replace("{file}", "PROJ-PLAN-JOB1-1.log")
            .replace("{id}", "1111111111111111111111111111111111111111")
            .replace("{name}", "colour")
            .replace("{*name}", "feature/bar");
        let path = format!("{path}?planKey=PROJ-PLAN");
        let reply = fixture.call(route.method.clone(), &path).json().send().await;
        let expected = match route.access {
            Access::Public => 200,
            _ => 401,
        };
        assert_eq!(reply.status, expected, "{} {path}: {}", route.method, reply.text);
        assert!(
            !reply.text.contains("Plan PLAN"),
            "{path} tells of a hidden plan: {}",
            reply.text
        );
        let allowed = fixture
            .call(route.method.clone(), &path)
            .json()
            .token(&token)
            .send()
            .await;
        assert!(
            !matches!(allowed.status.as_u16(), 401 | 403 | 405 | 500..),
            "{} {path}: {} {}",
            route.method,
            allowed.status,
            allowed.text
        );
    }
    assert!(looked_at >= 40, "{looked_at}");
}

#[tokio::test]
async fn lists_show_what_may_be_read_and_nothing_else() {
    let fixture = Fixture::new();
    for key in ["AAA-PLAN", "BBB-PLAN"] {
        fixture.plan(&configuration(key)).await;
    }
    let admin = fixture.user("admin", true).await;
    let joe = fixture.user("joe", false).await;
    fixture
        .grant(
            Scope::Project,
            "BBB",
            Grantee::User("joe".into()),
            Permission::Read,
        )
        .await;
    for key in ["AAA-PLAN", "BBB-PLAN"] {
        fixture
            .change(Method::POST, &admin, &format!("/queue/{key}"))
            .await
            .json(200);
    }
    let rows = [
        ("/plan", "plans", "plan"),
        ("/project", "projects", "project"),
        ("/result?includeAllStates", "results", "result"),
        ("/queue?expand=queuedBuilds", "queuedBuilds", "queuedBuild"),
    ];
    for (path, list, item) in rows {
        for (token, count) in [("", 0), (joe.as_str(), 1), (admin.as_str(), 2)] {
            let answer = fixture.get(token, path).await.json(200);
            let items = answer[list][item].as_array().map_or(0, Vec::len);
            assert_eq!((items, &answer[list]["size"]), (count, &json!(count)), "{path}");
            assert_eq!(count < 2, !answer.to_string().contains("AAA"), "{path}");
        }
    }
}

#[tokio::test]
async fn strangers_cannot_tell_hidden_plans_from_missing_ones() {
    let fixture = Fixture::new();
    fixture.plan(&configuration("PROJ-PLAN")).await;
    let token = fixture.user("admin", true).await;
    fixture
        .change(Method::POST, &token, "/queue/PROJ-PLAN")
        .await
        .json(200);
    for (there, missing) in [
        ("/plan/PROJ-PLAN", "/plan/PROJ-NOPE"),
        ("/result/PROJ-PLAN-1", "/result/PROJ-NOPE-1"),
        ("/result/PROJ-PLAN-1", "/result/PROJ-PLAN-99"),
        ("/result/PROJ", "/result/NOPE"),
        ("/plan/PROJ-PLAN-JOB1", "/plan/PROJ-PLAN-JOB9"),
    ] {
        let (there, missing) = (fixture.get("", there).await, fixture.get("", missing).await);
        assert_eq!((there.status.as_u16(), missing.status.as_u16()), (401, 401));
        assert_eq!(there.text, missing.text);
        assert!(there.headers.contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn readers_may_look_and_not_touch() {
    let (fixture, _) = Fixture::with_plan().await;
    let joe = fixture.user("joe", false).await;
    for (method, path) in [
        (Method::POST, "/queue/PROJ-PLAN"),
        (Method::POST, "/plan/PROJ-PLAN/enable"),
        (Method::PUT, "/plan/PROJ-PLAN/branch/x"),
        (Method::POST, "/build/admin/stopPlan.action?planKey=PROJ-PLAN"),
    ] {
        let refused = fixture.change(method.clone(), &joe, path).await;
        assert_eq!(refused.json(403)["status-code"], 403, "{path}");
        assert_eq!(fixture.change(method, "", path).await.status, 401, "{path}");
    }
    assert_eq!(fixture.get(&joe, "/plan/PROJ-PLAN").await.status, 200);
}
