//! Each route of the product, called by a stranger on a fresh home: what it declares is what it does
//! (hostile-inputs.md A2, A3). A route that is added without a thought fails here.

use http::Method;
use madake_server::routes::{Access, Route};

use crate::fixture::{Fixture, Reply};

/// A path of the route with something plausible in each place.
fn filled(route: &Route) -> String {
    let mut path = String::new();
    for part in route.path.split('/').skip(1) {
        path.push('/');
        path.push_str(match part {
            "{key}" if route.path.contains("/project/") => "PROJ",
            "{key}" if route.path.contains("/builds/") || route.path.contains("/status/") => "PROJ-PLAN-1",
            "{key}" => "PROJ-PLAN",
            "{file}" => "PROJ-PLAN-JOB1-1.log",
            "{name}" | "{user}" => "joe",
            "{*name}" => "feature/bar",
            "{owner}" => "proj",
            "{slug}" => "app.git",
            "{token}" => "a-guess",
            other if other.starts_with('{') => "1",
            other => other,
        });
    }
    path
}

async fn stranger(fixture: &Fixture, method: Method, path: &str, content_type: &str) -> Reply {
    // Below the context path, where the fixture leaves paths as they are.
    let call = fixture.call(method, &format!("/bamboo{path}")).json();
    call.body(content_type, "{}").send().await
}

#[tokio::test]
async fn strangers_on_a_fresh_home_get_what_is_public_and_nothing_else() {
    let fixture = Fixture::new();
    let routes = madake_server::router::routes();
    let mut refused = 0;
    for route in routes.declared() {
        let path = filled(route);
        let query =
            format!("{path}?planKey=PROJ-PLAN&buildKey=PROJ-PLAN&service=git-upload-pack&scope=global");
        for content_type in ["application/json", "application/x-www-form-urlencoded"] {
            let reply = stranger(&fixture, route.method.clone(), &query, content_type).await;
            let status = reply.status.as_u16();
            let what = format!(
                "A2 {} {query} ({:?}): {status} {}",
                route.method, route.access, reply.text
            );
            match route.access {
                Access::Public => assert_eq!(status, 200, "{what}"),
                Access::LoggedIn => assert_eq!(status, 401, "{what}"),
                Access::PathToken => assert_eq!(status, 404, "{what}"),
                // A body that is not understood may be refused before it is asked who sends it.
                Access::Permission(_) => assert!(matches!(status, 400 | 401 | 404 | 415 | 422), "{what}"),
            }
            refused += usize::from(status == 401);
            if route.access == Access::Public {
                assert!(!reply.text.contains("token"), "{what}");
            }
        }
    }
    assert!(
        routes.declared().len() >= 80,
        "{} routes",
        routes.declared().len()
    );
    assert!(refused >= 80, "{refused} refusals for want of a login");
}

#[tokio::test]
async fn methods_that_are_not_declared_are_not_answered() {
    let fixture = Fixture::new();
    let routes = madake_server::router::routes();
    let all = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::TRACE,
    ];
    for route in routes.declared() {
        let declared: Vec<&Method> = routes
            .declared()
            .iter()
            .filter(|other| other.path == route.path)
            .map(|other| &other.method)
            .collect();
        let path = filled(route);
        for method in all.iter().filter(|method| !declared.contains(method)) {
            let call = fixture
                .call(method.clone(), &format!("/bamboo{path}"))
                .json()
                .header("x-http-method-override", route.method.as_str())
                .header("x-method-override", route.method.as_str());
            let reply = call.send().await;
            // A pattern beside it may have the method; it declares what it does itself.
            assert!(!reply.status.is_success(), "A3 {method} {path}: {}", reply.status);
        }
        let reply = fixture
            .call(Method::OPTIONS, &format!("/bamboo{path}"))
            .send()
            .await;
        assert!(!reply.status.is_success(), "A3 OPTIONS {path}: {}", reply.status);
        assert!(
            !reply.headers.contains_key("access-control-allow-origin"),
            "A11 {path}"
        );
    }
}
