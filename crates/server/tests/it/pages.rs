//! Pages over the store: how plans stand, and who sees what of it.

use http::Method;
use madake_domain::permission::{Grantee, Permission, Scope};
use madake_domain::schedule::JobOutcome;

use crate::fixture::{Fixture, configuration, plan_key};

impl Fixture {
    /// A page that is there.
    async fn page(&self, token: &str, path: &str) -> String {
        let reply = self
            .call(Method::GET, &format!("/bamboo{path}"))
            .token(token)
            .send()
            .await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        assert!(reply.text.trim_end().ends_with("</html>"), "{}", reply.text);
        reply.text
    }

    async fn status_of_page(&self, token: &str, path: &str) -> u16 {
        let call = self.call(Method::GET, &format!("/bamboo{path}"));
        call.token(token).send().await.status.as_u16()
    }
}

/// Text that stands in a page in this order.
#[track_caller]
fn in_order(page: &str, wanted: &[&str]) {
    let mut rest = page;
    for one in wanted {
        let at = rest.find(one);
        let at = at.unwrap_or_else(|| panic!("`{one}` is not in its place in {page}"));
        rest = &rest[at + one.len()..];
    }
}

/// Builds a plan once, to this end.
async fn build(fixture: &Fixture, token: &str, key: &str, end: &JobOutcome) {
    let path = format!("/queue/{key}?executeAllStages=true");
    fixture.change(Method::POST, token, &path).await.json(200);
    fixture.run_jobs(end).await;
}

/// `PROJ-PLAN`, which everybody may read, was successful twice and then failed; `HIDE-PLAN`, which nobody else may, was
/// successful. Gives the administrator's token.
async fn two_plans() -> (Fixture, String) {
    let (fixture, token) = Fixture::with_plan().await;
    fixture.plan(&configuration("HIDE-PLAN")).await;
    let failed = JobOutcome::Failed { reason: "no".into() };
    for end in [&JobOutcome::Successful, &JobOutcome::Successful, &failed] {
        build(&fixture, &token, "PROJ-PLAN", end).await;
    }
    build(&fixture, &token, "HIDE-PLAN", &JobOutcome::Successful).await;
    (fixture, token)
}

#[tokio::test]
async fn home_shows_plans_by_project_with_their_last_results() {
    let (fixture, token) = two_plans().await;
    fixture.plan(&configuration("PROJ-NEW")).await;
    fixture
        .change(Method::POST, &token, "/queue/HIDE-PLAN")
        .await
        .json(200);
    let page = fixture.page(&token, "/").await;
    in_order(
        &page,
        &[
            "Waits or runs now",
            "href=\"/bamboo/browse/HIDE-PLAN-2\"",
            "waits for an agent",
            "href=\"/bamboo/?project=HIDE\"",
            "href=\"/bamboo/browse/HIDE-PLAN\"",
            "class=\"chip successful\" href=\"/bamboo/browse/HIDE-PLAN-1\"",
            "#1 successful",
            "href=\"/bamboo/?project=PROJ\"",
            "href=\"/bamboo/browse/PROJ-NEW\"",
            "no result yet",
            "href=\"/bamboo/browse/PROJ-PLAN\"",
            "class=\"chip failed\" href=\"/bamboo/browse/PROJ-PLAN-3\"",
            "#3 failed",
        ],
    );
    let project = fixture.page(&token, "/?project=proj").await;
    assert!(
        project.contains("PROJ-NEW") && !project.contains("HIDE"),
        "{project}"
    );
    let reply = fixture
        .call(Method::GET, "/bamboo/browse/PROJ")
        .token(&token)
        .send()
        .await;
    assert_eq!(
        (
            reply.status.as_u16(),
            reply.headers["location"].to_str().expect("text")
        ),
        (303, "/bamboo/?project=PROJ")
    );
}

#[tokio::test]
async fn home_neither_shows_nor_counts_what_the_visitor_may_not_see() {
    let (fixture, token) = two_plans().await;
    fixture
        .change(Method::POST, &token, "/queue/HIDE-PLAN")
        .await
        .json(200);
    let joe = fixture.user("joe", false).await;
    for visitor in ["", &joe] {
        let page = fixture.page(visitor, "/").await;
        assert!(page.contains("#3 failed"), "{page}");
        for hidden in ["HIDE", "Waits or runs", "more"] {
            let main = page.split("<h2>Other ways in</h2>").next().expect("the start");
            assert!(!main.contains(hidden), "{hidden} in {page}");
        }
    }
    for path in ["/?project=HIDE", "/?project=NONE", "/?project=%3Cb%3E"] {
        assert_eq!(fixture.status_of_page("", path).await, 401, "{path}");
        assert_eq!(fixture.status_of_page(&joe, path).await, 404, "{path}");
    }
    fixture
        .grant(
            Scope::Project,
            "HIDE",
            Grantee::User("joe".into()),
            Permission::Read,
        )
        .await;
    assert!(fixture.page(&joe, "/").await.contains("HIDE-PLAN-2"));
    assert!(!fixture.page("", "/").await.contains("HIDE"));
}

#[tokio::test]
async fn home_without_anything_says_what_to_do() {
    let fixture = Fixture::new();
    let admin = fixture.user("admin", true).await;
    let joe = fixture.user("joe", false).await;
    let steps = fixture.page(&admin, "/").await;
    in_order(
        &steps,
        &[
            "The first steps",
            "madake repo create",
            "/bamboo/scm/proj/app.git",
            "bamboo-specs/bamboo.yml",
        ],
    );
    let nothing = fixture.page(&joe, "/").await;
    assert!(
        nothing.contains("nothing yet that you may read") && !nothing.contains("first steps"),
        "{nothing}"
    );
    assert!(fixture.page("", "/").await.contains("Log in to see plans"));
}

#[tokio::test]
async fn plan_shows_its_results_stages_and_branches_to_readers() {
    let (fixture, token) = two_plans().await;
    fixture.branch("PROJ-PLAN", "feature/x").await;
    fixture.branch("PROJ-PLAN", "quiet").await;
    let branch = plan_key("PROJ-PLAN0");
    build(&fixture, &token, branch.as_str(), &JobOutcome::Successful).await;
    for path in ["/browse/PROJ-PLAN", "/browse/PROJ-PLAN/config"] {
        let page = fixture.page(&token, path).await;
        in_order(
            &page,
            &[
                "href=\"/bamboo/?project=PROJ\"",
                "Plan PLAN",
                "class=\"chip failed\" href=\"/bamboo/browse/PROJ-PLAN-3\"",
                "Build now",
                "Last results",
                "#3 failed",
                "#2 successful",
                "#1 successful",
                "<strong>Build</strong>",
                "Job JOB1",
                "href=\"/bamboo/browse/PROJ-PLAN1\">quiet",
                "no result yet",
                "href=\"/bamboo/browse/PROJ-PLAN0\">feature-x",
                "class=\"chip successful\" href=\"/bamboo/browse/PROJ-PLAN0-1\"",
                "/bamboo/variables?plan=PROJ-PLAN",
                "colour",
                "red",
                "db.password",
                "********",
            ],
        );
        assert!(!page.contains("hunter2"), "{page}");
    }
    let of_branch = fixture.page(&token, "/browse/PROJ-PLAN0").await;
    in_order(
        &of_branch,
        &["href=\"/bamboo/browse/PROJ-PLAN\"", "feature-x", "PROJ-PLAN0-1"],
    );
    assert!(
        !of_branch.contains("PROJ-PLAN-3") && !of_branch.contains("quiet"),
        "{of_branch}"
    );
    let read = fixture.page("", "/browse/PROJ-PLAN").await;
    assert!(read.contains("#3 failed") && read.contains("Job JOB1"), "{read}");
    for hidden in ["Build now", "/variables", "colour", "db.password"] {
        assert!(!read.contains(hidden), "{hidden} in {read}");
    }
}

#[tokio::test]
async fn form_of_a_plan_starts_a_build_for_those_who_may() {
    let (fixture, token) = two_plans().await;
    let joe = fixture.user("joe", false).await;
    let send = async |token: &str, key: &str, origin: &str| {
        let call = fixture.call(Method::POST, &format!("/bamboo/browse/{key}"));
        let call = call
            .token(token)
            .header("origin", origin)
            .header("host", "ci.example:8085");
        let reply = call
            .body("application/x-www-form-urlencoded", "do=build")
            .send()
            .await;
        let to = reply
            .headers
            .get("location")
            .map(|to| to.to_str().expect("text").to_owned());
        (reply.status.as_u16(), to)
    };
    let ours = "http://ci.example:8085";
    let started = send(&token, "PROJ-PLAN", ours).await;
    assert_eq!(started, (303, Some("/bamboo/browse/PROJ-PLAN-4".to_owned())));
    assert_eq!(send(&token, "PROJ-PLAN", "http://evil.example").await.0, 403);
    assert_eq!(send(&joe, "PROJ-PLAN", ours).await.0, 403, "READ alone");
    assert_eq!(send(&joe, "HIDE-PLAN", ours).await.0, 404);
    assert_eq!(send("", "PROJ-PLAN", ours).await.0, 401);
    assert_eq!(send("", "NONE-PLAN", ours).await.0, 401);
    let page = fixture.page(&token, "/browse/PROJ-PLAN").await;
    assert!(
        page.contains("PROJ-PLAN-4") && !page.contains("PROJ-PLAN-5"),
        "{page}"
    );
}
