//! The hook scripts of `docs/hooks` as real hooks of real repositories, and our own hook.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use madake_testkit::{PASSWORD, Server, WorkTree, git, wait_for};

use crate::plan_files::one_job;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/hooks")
        .join(name)
        .canonicalize()
        .expect("the script")
}

/// Puts a post-receive hook into a bare repository.
fn install(bare: &Path, environment: &[(&str, &str)], name: &str, url: &str) {
    let exports: String = environment
        .iter()
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect();
    let text = format!(
        "#!/bin/sh\n{exports}exec python3 '{}' {url} PROJ-PLAN\n",
        script(name).display()
    );
    let hook = bare.join("hooks/post-receive");
    std::fs::create_dir_all(bare.join("hooks")).expect("a folder");
    std::fs::write(&hook, text).expect("a hook");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("runnable");
}

fn plan() -> String {
    one_job("echo built", "triggers:\n  - remote\n")
}

/// A linked repository with the plan file in it, on a server that has read it.
fn linked(server: &Server) -> (PathBuf, WorkTree) {
    let bare = server.scratch().join("origin.git");
    let work = WorkTree::with_bare(&bare);
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &plan())]);
    server.madake(&["repo", "link", "origin", bare.to_str().expect("text")]);
    (bare, work)
}

#[tokio::test(flavor = "multi_thread")]
async fn script_for_all_branches_builds_what_changed() {
    let server = Server::start().await;
    let (bare, work) = linked(&server);
    let login = [("BUILD_USER", "admin"), ("BUILD_PASSWORD", PASSWORD)];
    install(&bare, &login, "post_receive_all_branches.py", &server.url());
    let commit = work.push("master", &[("x", "1")]);
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str());

    // A new branch becomes a plan branch; the master has not changed and is not built.
    let commit = work.push("feature/bar", &[("y", "1")]);
    let results = server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str());
    assert_eq!(server.results("PROJ-PLAN").await.len(), 1);
    wait_for("the sentence in the log", || async {
        server
            .log()
            .contains("No changes found for 'PROJ-PLAN'")
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_hook_works_only_where_everybody_may_read() {
    let server = Server::start().await;
    let (bare, work) = linked(&server);
    install(&bare, &[], "post_receive_all_branches.py", &server.url());
    let _ = work.push("master", &[("x", "1")]);
    wait_for("the refusal in the log", || async {
        let log = server.log();
        (log.contains("principal anonymous") && log.contains("plan PROJ-PLAN") && log.contains("lacks READ"))
            .then_some(())
    })
    .await;
    assert!(server.results("PROJ-PLAN").await.is_empty(), "nothing runs");

    server.madake(&["permission", "grant", "plan", "PROJ-PLAN", "READ", "--anonymous"]);
    let commit = work.push("master", &[("x", "2")]);
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn script_for_one_branch_builds_that_branch_alone() {
    let server = Server::start().await;
    let (bare, work) = linked(&server);
    let login = [("BUILD_USER", "admin"), ("BUILD_PASSWORD", PASSWORD)];
    install(&bare, &login, "post_receive_one_branch.py", &server.url());
    let put = server.request(
        reqwest::Method::PUT,
        "/rest/api/latest/plan/PROJ-PLAN/branch/feature-bar?vcsBranch=feature/bar",
    );
    assert!(put.send().await.expect("an answer").status().is_success());
    let commit = work.push("feature/bar", &[("y", "1")]);
    let results = server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str());
    assert!(server.results("PROJ-PLAN").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_four_ideas_of_the_script_hold_builds_back() {
    let server = Server::start().await;
    let (bare, work) = linked(&server);
    let rows: [(&[(&str, &str)], bool); 6] = [
        (&[("ONLY_COMMITTERS", "ann")], false),
        (&[("ONLY_COMMITTERS", "ann, joe@example.org")], true),
        (&[("MINIMUM_COMMITS", "3")], false),
        (&[("AFTER_HOUR", "24")], false),
        (&[("AFTER_HOUR", "0")], true),
        (&[("ONLY_WEEKDAYS", "7")], false),
    ];
    let mut expected = 0;
    for (round, (conditions, builds)) in rows.into_iter().enumerate() {
        let mut environment = vec![("BUILD_USER", "admin"), ("BUILD_PASSWORD", PASSWORD)];
        environment.extend(conditions);
        install(&bare, &environment, "post_receive_one_branch.py", &server.url());
        let _ = work.push("master", &[("x", &round.to_string())]);
        expected += usize::from(builds);
        // The hook ends before the push does, so what it queued is there.
        let results = server.ended("PROJ-PLAN", expected).await;
        assert_eq!(results.len(), expected, "{conditions:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_hook_stands_beside_the_owners_and_a_dead_server_refuses_no_push() {
    let mut server = Server::start().await;
    let bare = server.scratch().join("app.git");
    let work = WorkTree::with_bare(&bare);
    let own = bare.join("hooks/post-receive");
    std::fs::create_dir_all(bare.join("hooks")).expect("a folder");
    std::fs::write(&own, "#!/bin/sh\ncat > ../owner-saw\n").expect("a hook");
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).expect("runnable");
    let path = bare.to_str().expect("text");
    server.madake(&["repo", "attach", "PROJ/app", path]);
    server.madake(&["hook", "install", path]);
    let first = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job("echo built", ""))],
    );
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], first.as_str());
    let seen = std::fs::read_to_string(server.scratch().join("owner-saw")).expect("the owner's hook ran");
    assert!(seen.contains(&first), "{seen}");

    server.kill();
    let began = std::time::Instant::now();
    let second = work.push("master", &[("x", "1")]);
    assert!(
        began.elapsed().as_secs() < 10,
        "the push waited for a dead server"
    );
    server.launch().await;
    let results = server.ended("PROJ-PLAN", 2).await;
    assert_eq!(
        results[0]["vcsRevisionKey"],
        second.as_str(),
        "reconciliation found it"
    );
    git(&work.path, &["fetch", "--quiet"]);
}
