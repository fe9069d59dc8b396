//! Hosted repositories: how they are made, and what their configuration keeps out.

use std::sync::Arc;

use madake_vcs::git::host::create_repository;
use madake_vcs::name::BranchName;
use madake_vcs::process::GitProgram;

use crate::fixture::{Sandbox, write_script};
use crate::http::{Behaviour, serve};
use crate::pushes::push;

#[tokio::test(flavor = "multi_thread")]
async fn internal_refs_are_neither_shown_nor_moved() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    sandbox.git(
        &hosted,
        &["update-ref", "refs/madake/keep/1", "refs/heads/master"],
    );
    let behaviour = Behaviour::default();
    let url = serve(hosted.clone(), behaviour.clone()).await;
    let (success, _) = push(&work, &sandbox, &["push", &url, "master:refs/madake/keep/2"]).await;
    assert!(!success);
    assert_eq!(sandbox.ref_in(&hosted, "refs/madake/keep/2"), None);
    let (_, heard) = push(&work, &sandbox, &["fetch", &url, "refs/madake/keep/1"]).await;
    assert!(heard.contains("couldn't find remote ref"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_ref_fails_an_atomic_push_and_only_itself_otherwise() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted.git").await;
    let behaviour = Behaviour::default();
    let url = serve(hosted.clone(), behaviour.clone()).await;
    // `refs/madakex` is everybody's.
    let refs = [
        "master",
        "master:refs/madake/keep/1",
        "master:refs/heads/other",
        "master:refs/madakex/a",
    ];
    let atomic = [&["push", "--atomic", &url], &refs[..]].concat();
    let (success, heard) = push(&work, &sandbox, &atomic).await;
    assert!(
        !success
            && heard
                .contains("refs/madake/keep/1 belongs to the server (refs/madake/), and the push is atomic"),
        "{heard}"
    );
    assert_eq!(sandbox.git(&hosted, &["for-each-ref"]), "", "nothing was moved");
    assert!(behaviour.reports().is_empty(), "and nothing is recorded");

    let (success, heard) = push(&work, &sandbox, &[&["push", &url], &refs[..]].concat()).await;
    assert!(!success && heard.contains("hidden ref"), "{heard}");
    let moved = sandbox.git(&hosted, &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(
        moved.lines().collect::<Vec<_>>(),
        ["refs/heads/master", "refs/heads/other", "refs/madakex/a"]
    );
    let report = behaviour.only_report();
    assert_eq!((report.updates.len(), report.moved().count()), (4, 3));

    // A deletion is a move as well.
    sandbox.git(&hosted, &["update-ref", "refs/madake/keep/2", "master"]);
    let gone = [
        "push",
        "--atomic",
        &url,
        ":refs/heads/other",
        ":refs/madake/keep/2",
    ];
    let (success, _) = push(&work, &sandbox, &gone).await;
    assert!(!success);
    for name in ["refs/heads/other", "refs/madake/keep/2"] {
        assert!(sandbox.ref_in(&hosted, name).is_some(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_of_a_hosted_repository_never_run() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted.git").await;
    let witness = sandbox.path("witness");
    for hook in [
        "pre-receive",
        "update",
        "post-receive",
        "post-update",
        "reference-transaction",
    ] {
        let script = format!("#!/bin/sh\ntouch '{}'\n", witness.display());
        write_script(&hosted.join("hooks").join(hook), &script);
    }
    let url = serve(hosted, Behaviour::default()).await;
    let (success, heard) = push(&work, &sandbox, &["push", &url, "master"]).await;
    assert!(success, "{heard}");
    assert!(!witness.exists());
}

#[tokio::test]
async fn creation_is_all_or_nothing() {
    let sandbox = Sandbox::new();
    let hosted = sandbox.hosted("owner/repository.git").await;
    assert_eq!(
        sandbox.git(&hosted, &["symbolic-ref", "HEAD"]),
        "refs/heads/master"
    );
    assert_eq!(sandbox.git(&hosted, &["config", "receive.fsckObjects"]), "true");
    let branch = BranchName::parse("main").unwrap();
    let again = create_repository(&GitProgram::default(), &hosted, &branch).await;
    assert!(again.unwrap_err().to_string().contains("already"));
    let failing = GitProgram::new("/nowhere/git");
    let other = sandbox.path("owner/other.git");
    assert!(create_repository(&failing, &other, &branch).await.is_err());
    let left: Vec<_> = std::fs::read_dir(sandbox.path("owner"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["repository.git"]);
}
