//! Who may call what of Bitbucket's interfaces, and how refusals look there.

use http::Method;
use madake_domain::permission::{Grantee, Permission, Scope};
use madake_domain::repository::Scm;
use madake_engine::access::Caller;
use madake_server::routes::Access;

use crate::fixture::Fixture;

/// Whether a route belongs to one of Bitbucket's interfaces.
pub(crate) fn is_bitbuckets(path: &str) -> bool {
    ["/rest/api/latest/projects", "/rest/api/latest/repos", "/api/"]
        .iter()
        .any(|root| path == *root || path.starts_with(&format!("{}/", root.trim_end_matches('/'))))
}

async fn with_repository() -> (Fixture, String) {
    let fixture = Fixture::new();
    let local = Caller::local();
    fixture
        .engine
        .create_repository(&local, "PROJ/app", Scm::Git, Some("main"))
        .await
        .expect("a repository");
    let token = fixture.user("admin", true).await;
    (fixture, token)
}

fn filled(pattern: &str, slug: &str) -> String {
    let hook = "com.atlassian.stash.plugin.stash-web-post-receive-hooks-plugin:postReceiveHook";
    pattern
        .replace("{key}", "PROJ")
        .replace("{owner}", "PROJ")
        .replace("{slug}", slug)
        .replace("{hook}", hook)
        .replace("{id}", "1")
        .replace("{*name}", "feature/x")
        .replace("{*path}", "a/package.json")
        .replace("{revision}", "main")
        .replace("{*revision}", "main")
}

#[tokio::test]
async fn routes_keep_to_their_declarations_and_tell_strangers_nothing() {
    let (fixture, token) = with_repository().await;
    let joe = fixture.user("joe", false).await;
    let mut looked_at = 0;
    for route in madake_server::router::routes().declared() {
        if !is_bitbuckets(route.path) || route.path.starts_with("/api/rest/") {
            continue;
        }
        looked_at += 1;
        let (there, missing) = (filled(route.path, "app"), filled(route.path, "nope"));
        let call = |path: &str, token: &str| fixture.call(route.method.clone(), path).token(token).send();
        let stranger = call(&there, "").await;
        let name = format!("{} {there}", route.method);
        if route.access == Access::Public {
            assert_eq!(stranger.status, 200, "{name}");
            assert!(
                !stranger.text.contains("app"),
                "{name} tells of a hidden repository"
            );
        } else {
            assert_eq!(stranger.status, 401, "{name}: {}", stranger.text);
            assert_eq!(stranger.text, call(&missing, "").await.text, "{name}");
            let refused = call(&there, &joe).await.status.as_u16();
            assert!(matches!(refused, 401 | 403 | 404), "{name}: {refused}");
        }
        let allowed = call(&there, &token).await;
        assert!(
            !matches!(allowed.status.as_u16(), 401 | 403 | 405 | 500..),
            "{name}: {} {}",
            allowed.status,
            allowed.text
        );
    }
    assert!(looked_at >= 50, "{looked_at}");
}

#[tokio::test]
async fn readers_may_read_and_not_administer() {
    let (fixture, _) = with_repository().await;
    let joe = fixture.user("joe", false).await;
    fixture
        .grant(
            Scope::Repository,
            "PROJ/app",
            Grantee::User("joe".into()),
            Permission::Read,
        )
        .await;
    let root = "/projects/PROJ/repos/app";
    for path in [
        root,
        "/projects/proj/repos/APP/branches",
        "/api/2.0/repositories/PROJ/app",
    ] {
        assert_eq!(fixture.get(&joe, path).await.status, 200, "{path}");
    }
    let hooks = fixture
        .get(&joe, &format!("{root}/settings/hooks"))
        .await
        .json(200);
    assert_eq!(hooks["values"][0]["enabled"], false);
    let refused = fixture.get(&joe, &format!("{root}/webhooks")).await;
    assert_eq!(
        refused.json(401)["errors"][0]["exceptionName"],
        "com.atlassian.bitbucket.AuthorisationException"
    );
    let refused = fixture.get(&joe, "/api/2.0/repositories/PROJ/app/hooks").await;
    assert_eq!(refused.json(403)["type"], "error");
}

#[tokio::test]
async fn refusals_are_worded_as_each_interface_does() {
    let (fixture, token) = with_repository().await;
    let missing = fixture.get(&token, "/projects/PROJ/repos/nope/commits").await;
    assert_eq!(
        missing.json(404)["errors"][0]["exceptionName"],
        "com.atlassian.bitbucket.repository.NoSuchRepositoryException"
    );
    let empty = fixture.get(&token, "/projects/PROJ/repos/app/commits").await;
    assert_eq!(
        empty.json(404)["errors"][0]["exceptionName"],
        "com.atlassian.bitbucket.repository.NoDefaultBranchException"
    );
    let nothing = fixture
        .get(&token, "/api/2.0/repositories/PROJ/app/commits")
        .await;
    assert_eq!(nothing.json(200)["values"].as_array().map(Vec::len), Some(0));
    let wrong = fixture
        .call(Method::GET, "/rest/api/1.0/projects")
        .token("mdk_wrong")
        .send()
        .await;
    assert!(wrong.json(401)["errors"][0]["message"].is_string());
    let unknown = fixture
        .get(&token, "/projects/PROJ/repos/app/no-such-resource")
        .await;
    assert!(unknown.json(404)["errors"][0]["message"].is_string());
    let bamboos = fixture.get(&token, "/plan/PROJ-NOPE").await;
    assert_eq!(bamboos.json(404)["status-code"], 404);
}

#[tokio::test]
async fn foreign_pages_cannot_change_anything() {
    let (fixture, token) = with_repository().await;
    let form = "type=post;URL=http://127.0.0.1:8999/x";
    let path = "/api/1.0/repositories/PROJ/app/services";
    for (origin, status) in [("https://evil.example", 403), ("http://ci.example:8085", 200)] {
        let reply = fixture
            .call(Method::POST, path)
            .header("origin", origin)
            .body("application/x-www-form-urlencoded", form)
            .token(&token)
            .send()
            .await;
        assert_eq!(reply.status, status, "{origin}: {}", reply.text);
    }
    assert_eq!(
        fixture.get(&token, path).await.json(200).as_array().map(Vec::len),
        Some(1)
    );
}
