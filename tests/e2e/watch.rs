//! `madake build watch PLAN` right after a push follows the build of that push.

use madake_testkit::{Server, ServerOptions};

use crate::hostile_support::settled;
use crate::plan_files::one_job;

/// A git that takes its time to read refs: what a push brings is decided well after the push has ended, and longer than a
/// pusher waits to hear what is wrong with the plan files.
async fn slow_server() -> (Server, tempfile::TempDir) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("git");
    let text = "#!/bin/sh\ncase \" $* \" in *' cat-file '*|*' for-each-ref '*|*' rev-list '*) sleep 3;; esac\nexec git \"$@\"\n";
    std::fs::write(&program, text).expect("a script");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("runnable");
    let environment = vec![(
        "MADAKE__REPOSITORIES__GIT".to_owned(),
        program.display().to_string(),
    )];
    let server = Server::start_with(ServerOptions {
        environment,
        configuration: String::new(),
    })
    .await;
    (server, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_a_plan_waits_for_pushes_that_are_not_decided_yet() {
    let (server, _git) = slow_server().await;
    let work = server.hosted("PROJ/app");
    let first = work.push("main", &[("bamboo-specs/bamboo.yml", &one_job("echo one", ""))]);
    let waiting = server.get("/rest/madake/1.0/events?state=received").await;
    assert_eq!(
        waiting["events"].as_array().map(Vec::len),
        Some(1),
        "the push waits to be decided: {waiting}"
    );
    let out = server.madake(&["build", "watch", "PROJ-PLAN"]);
    assert!(
        out.contains("PROJ-PLAN-1") && out.contains(&first[..12]) && out.contains("successful"),
        "{out}"
    );
    settled(&server).await;
    let plan = server.get("/rest/madake/1.0/plans").await;
    assert_eq!(plan["plans"].as_array().map(Vec::len), Some(1), "{plan}");
    assert!(
        server
            .madake(&["build", "watch", "PROJ-PLAN"])
            .contains("PROJ-PLAN-1"),
        "nothing waits: the newest build"
    );
}
