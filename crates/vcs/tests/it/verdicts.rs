//! What the caller says to single refs of a push, and what real git makes of it.

use std::path::PathBuf;
use std::sync::Arc;

use madake_vcs::git::smart_http::UpdateStatus;

use crate::fixture::Sandbox;
use crate::http::{Behaviour, serve};
use crate::pushes::push;

/// A hosted repository with `master`, `side` and `gone`, and a work tree in which the first two were rewritten.
struct Scene {
    sandbox: Arc<Sandbox>,
    work: PathBuf,
    hosted: PathBuf,
    url: String,
    behaviour: Behaviour,
}

impl Scene {
    async fn new(closed: &[&'static str], forward_only: &[&'static str]) -> Self {
        let sandbox = Arc::new(Sandbox::new());
        let work = sandbox.work_tree("work", &[("a", "1")]);
        for branch in ["side", "gone"] {
            sandbox.git(&work, &["branch", branch]);
        }
        let hosted = sandbox.hosted_from("hosted.git", &work).await;
        let behaviour = Behaviour {
            closed: closed.to_vec(),
            forward_only: forward_only.to_vec(),
            ..Behaviour::default()
        };
        let url = serve(hosted.clone(), behaviour.clone()).await;
        let scene = Self {
            sandbox,
            work,
            hosted,
            url,
            behaviour,
        };
        scene.amend("rewritten");
        scene.sandbox.git(&scene.work, &["branch", "--force", "side"]);
        scene
    }

    fn amend(&self, message: &str) {
        let amend = ["commit", "--quiet", "--amend", "--allow-empty", "-m", message];
        self.sandbox.git(&self.work, &amend);
    }

    async fn push(&self, arguments: &[&str]) -> (bool, String) {
        let arguments = [&["push", &self.url], arguments].concat();
        push(&self.work, &self.sandbox, &arguments).await
    }

    /// Whether a branch is there as it is in the work tree.
    fn has(&self, branch: &str) -> bool {
        let here = self.sandbox.revision(&self.work, branch);
        self.sandbox.ref_in(&self.hosted, &format!("refs/heads/{branch}")) == Some(here)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_refs_are_told_with_their_reason_and_the_others_move() {
    let scene = Scene::new(&["refs/heads/closed", "refs/heads/gone"], &[]).await;
    // The refused one stands first in the request, where the capabilities are.
    let (success, heard) = scene
        .push(&[
            "master:refs/heads/closed",
            "master:refs/heads/fresh",
            ":refs/heads/gone",
        ])
        .await;
    assert!(!success);
    for told in [
        "closed (refs/heads/closed is closed)",
        "gone (refs/heads/gone is closed)",
        "[new branch]      master -> fresh",
    ] {
        assert!(heard.contains(told), "{told} is not in {heard}");
    }
    let present = |name: &str| scene.sandbox.ref_in(&scene.hosted, name).is_some();
    assert!(!present("refs/heads/closed") && present("refs/heads/fresh") && present("refs/heads/gone"));
    let report = scene.behaviour.only_report();
    assert_eq!((report.updates.len(), report.moved().count()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn push_of_refused_refs_alone_reaches_nobody() {
    let scene = Scene::new(&["refs/heads/closed", "refs/heads/shut"], &[]).await;
    let (success, heard) = scene
        .push(&["master:refs/heads/closed", "master:refs/heads/shut"])
        .await;
    assert!(!success);
    assert!(heard.contains("closed (refs/heads/closed is closed)"), "{heard}");
    assert!(heard.contains("shut (refs/heads/shut is closed)"), "{heard}");
    assert!(scene.behaviour.reports().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_ref_of_an_atomic_push_keeps_all_where_they_are() {
    let scene = Scene::new(&["refs/heads/closed"], &[]).await;
    let refs = ["--atomic", "master:refs/heads/fresh", "master:refs/heads/closed"];
    let (success, heard) = scene.push(&refs).await;
    assert!(!success);
    assert!(heard.contains("closed (refs/heads/closed is closed)"), "{heard}");
    assert!(
        heard.contains("fresh (the push is atomic, and another ref"),
        "{heard}"
    );
    assert_eq!(scene.sandbox.ref_in(&scene.hosted, "refs/heads/fresh"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn guarded_branch_is_not_rewritten_and_others_of_the_push_are() {
    let scene = Scene::new(&[], &["refs/heads/master"]).await;
    scene.sandbox.git(&scene.work, &["branch", "fresh"]);
    let (success, heard) = scene.push(&["--force", "master", "side", "fresh", ":gone"]).await;
    assert!(!success);
    assert!(
        heard.contains("master -> master (refs/heads/master moves forward only)"),
        "{heard}"
    );
    assert!(heard.contains("side -> side (forced update)"), "{heard}");
    assert!(!heard.contains("denying non-fast-forward"), "{heard}");
    assert!(!scene.has("master") && scene.has("side") && scene.has("fresh"));
    assert_eq!(scene.sandbox.ref_in(&scene.hosted, "refs/heads/gone"), None);
    let report = scene.behaviour.only_report();
    assert_eq!(report.moved().count(), 3);
    let master = report
        .updates
        .iter()
        .find(|update| update.name.short() == "master");
    assert_eq!(
        master.unwrap().status,
        UpdateStatus::NotForward("refs/heads/master moves forward only".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn guarded_branch_moves_forward_beside_one_that_is_rewritten() {
    for options in [&["--force"][..], &["--force", "--atomic"]] {
        let scene = Scene::new(&[], &["refs/heads/master", "refs/heads/gone"]).await;
        // `side` is rewritten; `master` moves forward from where the server has it.
        scene
            .sandbox
            .git(&scene.work, &["reset", "--quiet", "--hard", "gone"]);
        scene.sandbox.commit(&scene.work, &[("b", "2")], "forward");
        let (success, heard) = scene.push(&[options, &["master", "side"]].concat()).await;
        assert!(success, "{options:?}: {heard}");
        assert!(scene.has("master") && scene.has("side"), "{options:?}");
        assert_eq!(scene.behaviour.only_report().moved().count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn atomic_push_with_a_rewritten_guarded_branch_moves_nothing() {
    let scene = Scene::new(&[], &["refs/heads/side"]).await;
    scene.sandbox.git(&scene.work, &["branch", "fresh"]);
    let refs = ["--force", "--atomic", "fresh", "master", "side"];
    let (success, heard) = scene.push(&refs).await;
    assert!(!success);
    assert!(
        heard.contains("side (refs/heads/side moves forward only)"),
        "{heard}"
    );
    assert!(!scene.has("master") && !scene.has("side"));
    assert_eq!(scene.sandbox.ref_in(&scene.hosted, "refs/heads/fresh"), None);
    assert_eq!(scene.behaviour.only_report().moved().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn guarded_branch_may_be_made_and_removed() {
    let scene = Scene::new(&[], &["refs/heads/fresh", "refs/heads/gone"]).await;
    let (success, heard) = scene.push(&["master:refs/heads/fresh", ":gone"]).await;
    assert!(success, "{heard}");
}
