//! The server about itself, negotiation, and who the caller is.

use http::Method;
use madake_domain::permission::{Grantee, Permission, Scope};

use crate::fixture::{BASE_URL, Fixture};

const XML: &str = "application/xml;charset=UTF-8";
const JSON: &str = "application/json;charset=UTF-8";

#[tokio::test]
async fn format_follows_suffix_then_accept_then_xml() {
    let (fixture, _) = Fixture::with_plan().await;
    let rows: [(&str, Option<&str>, &str); 12] = [
        ("/plan/PROJ-PLAN", None, XML),
        ("/plan/PROJ-PLAN", Some("*/*"), XML),
        ("/plan/PROJ-PLAN", Some("application/json"), JSON),
        ("/plan/PROJ-PLAN/", Some("application/json"), JSON),
        ("/plan/PROJ-PLAN.json", None, JSON),
        ("/plan/PROJ-PLAN/.json", None, JSON),
        ("/plan/PROJ-PLAN.json", Some("application/xml"), JSON),
        ("/plan/PROJ-PLAN.xml", Some("application/json"), XML),
        ("/plan.json?", None, JSON),
        ("/rest/api/1.0/plan/PROJ-PLAN.json", None, JSON),
        ("/bamboo/rest/api/latest/plan/PROJ-PLAN.json", None, JSON),
        ("/bamboo/rest/api/1.0/", Some("application/json"), JSON),
    ];
    for (path, accept, content_type) in rows {
        let mut call = fixture.call(Method::GET, path);
        if let Some(accept) = accept {
            call = call.header("accept", accept);
        }
        let reply = call.send().await;
        assert_eq!(
            (reply.status.as_u16(), reply.content_type()),
            (200, content_type),
            "{path} {accept:?}"
        );
    }
    let plan = fixture.call(Method::GET, "/plan/PROJ-PLAN").send().await;
    assert!(
        plan.text
            .starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><plan expand="),
        "{}",
        plan.text
    );
}

#[tokio::test]
async fn refusals_have_the_format_that_was_asked_for() {
    let (fixture, token) = Fixture::with_plan().await;
    let json = fixture.get(&token, "/plan/PROJ-NOPE").await;
    assert_eq!(
        json.text,
        r#"{"message":"Plan PROJ-NOPE not found.","status-code":404,"sub-code":-1}"#
    );
    assert_eq!(json.content_type(), JSON);
    let xml = fixture
        .call(Method::GET, "/plan/PROJ-NOPE")
        .token(&token)
        .send()
        .await;
    assert!(
        xml.text
            .contains("<status><message>Plan PROJ-NOPE not found.</message><status-code>404</status-code>"),
        "{}",
        xml.text
    );
    let suffix = fixture
        .call(Method::GET, "/plan/PROJ-NOPE.json")
        .token(&token)
        .send()
        .await;
    assert_eq!(suffix.content_type(), JSON);
    let unknown = fixture
        .get(&token, "/plan/PROJ-PLAN/nothing/of/that/kind")
        .await
        .json(404);
    assert_eq!(unknown["status-code"], 404);
}

#[tokio::test]
async fn root_names_resources_whose_links_answer() {
    let (fixture, token) = Fixture::with_plan().await;
    let root = fixture.get(&token, "/rest/api/latest").await.json(200);
    let resources = root["resources"]["resource"].as_array().expect("resources");
    assert_eq!(resources.len(), 8);
    for resource in resources {
        let href = resource["link"]["href"].as_str().expect("a link");
        let path = href.strip_prefix("http://ci.example:8085").expect("the base URL");
        let status = fixture.get(&token, path).await.status;
        assert_eq!(status, 200, "{href}");
    }
}

#[tokio::test]
async fn info_is_what_clients_of_the_original_decode() {
    let fixture = Fixture::new();
    let info = fixture.get("", "/info").await.json(200);
    assert!(
        info["buildNumber"]
            .as_str()
            .expect("a text")
            .parse::<i64>()
            .is_ok()
    );
    assert_eq!(info["state"], "RUNNING");
    assert!(info["version"].as_str().expect("a text").starts_with("12."));
    let status = fixture.get("", "/status").await.json(200);
    assert_eq!(
        (&status["state"], &status["status"]),
        (&"RUNNING".into(), &"RUNNING".into())
    );
}

#[tokio::test]
async fn current_user_is_the_caller_and_401_without_one() {
    let fixture = Fixture::new();
    let token = fixture.user("joe", false).await;
    let joe = fixture.get(&token, "/currentUser").await;
    assert_eq!(
        joe.text,
        r#"{"name":"joe","fullName":"JOE Doe","email":"joe@example.org"}"#
    );
    let nobody = fixture.get("", "/currentUser").await;
    assert_eq!(nobody.json(401)["status-code"], 401);
    assert_eq!(nobody.content_type(), JSON);
    let wrong = fixture
        .call(Method::GET, "/currentUser")
        .token("mdk_wrong")
        .json()
        .send()
        .await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn administrators_pause_and_resume() {
    let fixture = Fixture::new();
    let (admin, joe) = (
        fixture.user("admin", true).await,
        fixture.user("joe", false).await,
    );
    fixture
        .grant(Scope::Global, "", Grantee::User("joe".into()), Permission::Build)
        .await;
    assert_eq!(
        fixture.change(Method::POST, "", "/server/pause").await.status,
        401
    );
    let refused = fixture
        .change(Method::POST, &joe, "/server/pause")
        .await
        .json(403);
    assert!(
        refused["message"]
            .as_str()
            .expect("a message")
            .contains("ADMINISTRATION")
    );
    assert!(!fixture.engine.is_paused());
    let paused = fixture
        .change(Method::POST, &admin, "/server/pause.json")
        .await
        .json(200);
    assert_eq!(
        (&paused["state"], &paused["setByUser"]),
        (&"PAUSED".into(), &"admin".into())
    );
    assert!(fixture.engine.is_paused());
    assert_eq!(
        fixture.get("", "/server").await.json(200)["clusterState"],
        "PAUSED"
    );
    let resumed = fixture
        .change(Method::POST, &admin, "/server/resume")
        .await
        .json(200);
    assert_eq!(resumed["state"], "RUNNING");
    assert!(!fixture.engine.is_paused());
}

#[tokio::test]
async fn base_url_answers_with_a_page_that_tells_strangers_no_version() {
    let (fixture, token) = Fixture::with_plan().await;
    for method in [Method::GET, Method::HEAD] {
        let reply = fixture.call(method.clone(), "/bamboo/").send().await;
        assert_eq!(reply.status, 200, "{method}");
        assert_eq!(reply.content_type(), "text/html; charset=utf-8");
        assert!(!reply.text.contains(env!("CARGO_PKG_VERSION")));
        assert_eq!(reply.text.is_empty(), method == Method::HEAD);
    }
    let page = fixture
        .call(Method::GET, "/bamboo/")
        .token(&token)
        .send()
        .await
        .text;
    assert!(
        page.contains(concat!("Madake ", env!("CARGO_PKG_VERSION"))),
        "{page}"
    );
    assert!(!page.contains("<script") && !page.contains("http"), "{page}");
    let links: Vec<&str> = page
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(links.len() >= 4, "{links:?}");
    for link in links {
        assert_eq!(fixture.get(&token, link).await.status, 200, "{link}");
    }
    // What is not there is still not there.
    assert_eq!(fixture.call(Method::GET, "/bamboo/x").send().await.status, 404);
    assert_eq!(fixture.call(Method::POST, "/bamboo/").send().await.status, 405);
}

#[tokio::test]
async fn links_carry_the_configured_base_url() {
    let (fixture, _) = Fixture::with_plan().await;
    let plans = fixture
        .call(Method::GET, "/plan")
        .header("host", "evil.example")
        .json()
        .send()
        .await
        .json(200);
    assert_eq!(plans["link"]["href"], format!("{BASE_URL}/rest/api/latest/plan"));
}
