//! Pushes and pulls of real clients over a stream, as SSH gives it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use madake_vcs::hg::name::LabelKind::{Bookmark, Branch};
use madake_vcs::hg::serve::Access;
use madake_vcs::name::ObjectId;

use crate::hg_fixture::{FakeSsh, HgSandbox, Keeper, moves};

const ADDRESS: &str = "ssh://hg@example.org/owner/my slug";

#[tokio::test(flavor = "multi_thread")]
async fn clone_and_push_go_through_and_are_recorded() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let first = sandbox.revision(&work, ".");
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper {
        lines: vec!["a build is queued".into()],
        ..Keeper::default()
    });
    let server = FakeSsh::serve(&sandbox, hosted.clone(), Access::Write, Arc::clone(&keeper)).await;
    let ssh = format!("ui.ssh={}", server.ssh);
    let (pushed, text) = sandbox.talk(&work, &["--config", &ssh, "push", ADDRESS]).await;
    assert!(pushed, "{text}");
    let report = keeper.take_only_report();
    assert_eq!(moves(&report), [(Branch, "default", ObjectId::ZERO, first)]);
    assert_eq!(
        (report.added, report.pusher.as_deref()),
        (Some((first, first)), Some("ann"))
    );

    sandbox.hg(&work, &["bookmark", "mark"]);
    let (_, text) = sandbox
        .talk(&work, &["--config", &ssh, "push", "-B", "mark", ADDRESS])
        .await;
    assert!(text.contains("exporting bookmark mark"), "{text}");
    assert_eq!(
        moves(&keeper.take_only_report()),
        [(Bookmark, "mark", ObjectId::ZERO, first)]
    );
    let (cloned, text) = sandbox
        .talk(&sandbox.path(""), &["--config", &ssh, "clone", ADDRESS, "clone"])
        .await;
    assert!(cloned, "{text}");
    assert_eq!(sandbox.revision(&sandbox.path("clone"), "mark"), first);
    server.tails.close();
    server.tails.wait().await;
    let limit = Instant::now() + Duration::from_secs(30);
    while server.said.lock().unwrap().matches("a build is queued\n").count() < 2 {
        assert!(Instant::now() < limit, "the lines were lost");
        tokio::task::yield_now().await;
    }
    let ended = server.ended.lock().unwrap();
    assert!(ended.iter().all(|served| matches!(served, Ok(0))), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_may_clone_but_neither_push_nor_move_bookmarks() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted_from("hosted", &work).await;
    let keeper = Arc::new(Keeper::default());
    let server = FakeSsh::serve(&sandbox, hosted.clone(), Access::Read, Arc::clone(&keeper)).await;
    let ssh = format!("ui.ssh={}", server.ssh);
    sandbox.hg(&work, &["bookmark", "mark"]);
    let before = sandbox.reader().all_refs(&hosted).await.unwrap();
    for arguments in [
        &["push", "-B", "mark"][..],
        // Clients without bundles of the second kind move bookmarks by a command of their own.
        &[
            "--config",
            "devel.legacy.exchange=bookmarks",
            "push",
            "-B",
            "mark",
        ],
    ] {
        let arguments = [&["--config", &ssh], arguments, &[ADDRESS]].concat();
        let (_, text) = sandbox.talk(&work, &arguments).await;
        assert!(
            text.contains("you may read this repository but not push to it")
                || text.contains("exporting bookmark mark failed"),
            "{text}"
        );
    }
    sandbox.commit(&work, &[("a", "2")], "second");
    let (pushed, text) = sandbox.talk(&work, &["--config", &ssh, "push", ADDRESS]).await;
    assert!(
        !pushed && text.contains("you may read this repository but not push to it"),
        "{text}"
    );
    assert_eq!(sandbox.reader().all_refs(&hosted).await.unwrap(), before);
    assert!(keeper.permits.lock().unwrap().is_empty());
    assert!(keeper.denials.load(std::sync::atomic::Ordering::SeqCst) >= 3);
    let (cloned, text) = sandbox
        .talk(&sandbox.path(""), &["--config", &ssh, "clone", ADDRESS, "clone"])
        .await;
    assert!(cloned, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_and_failed_record_reach_the_client_as_errors() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    for (keeper, there) in [
        (
            Keeper {
                refuse: Some("not today".into()),
                ..Keeper::default()
            },
            0,
        ),
        (
            Keeper {
                fail: Some("the ledger is full".into()),
                ..Keeper::default()
            },
            1,
        ),
    ] {
        let refused = keeper.refuse.is_some();
        let hosted = sandbox.hosted(&format!("hosted-{there}")).await;
        let server = FakeSsh::serve(&sandbox, hosted.clone(), Access::Write, Arc::new(keeper)).await;
        let ssh = format!("ui.ssh={}", server.ssh);
        let (pushed, text) = sandbox.talk(&work, &["--config", &ssh, "push", ADDRESS]).await;
        assert!(!pushed, "{text}");
        assert_eq!(text.contains("not today"), refused, "{text}");
        let heads = sandbox.reader().heads(&hosted).await.unwrap();
        assert_eq!(heads.branches.len(), there);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_killed_after_sending_all_does_not_lose_its_push() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper {
        waits: true,
        ..Keeper::default()
    });
    let server = FakeSsh::serve(&sandbox, hosted.clone(), Access::Write, Arc::clone(&keeper)).await;
    let ssh = format!("ui.ssh={}", server.ssh);
    let command = sandbox.client(&work, &["--config", &ssh, "push", ADDRESS]);
    let mut client = tokio::process::Command::from(command).spawn().unwrap();
    keeper.wait_until_reached().await;
    client.kill().await.unwrap();
    keeper.may_go_on.0.add_permits(1);
    let limit = Instant::now() + Duration::from_secs(30);
    while keeper.reports().is_empty() {
        assert!(Instant::now() < limit, "the push was lost");
        tokio::task::yield_now().await;
    }
    server.tails.close();
    server.tails.wait().await;
    assert_eq!(keeper.take_only_report().moves.len(), 1);
    sandbox.hg(&hosted, &["verify", "-q"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_that_ends_inside_a_push_moves_nothing() {
    use madake_vcs::hg::serve::ServeLimits;
    use madake_vcs::hg::serve::stdio::StdioSession;
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted").await;
    let bundle = sandbox.path("bundle");
    sandbox.hg(
        &work,
        &["bundle", "--all", "--type", "none-v2", bundle.to_str().unwrap()],
    );
    let bundle = std::fs::read(bundle).unwrap();
    let whole = bundle.len();
    for (sent, ended, arrives) in [(whole / 2, false, 0), (whole, false, 0), (whole, true, 1)] {
        let mut input = b"unbundle\nheads 10\n666f726365".to_vec();
        input.extend_from_slice(format!("{whole}\n").as_bytes());
        input.extend_from_slice(&bundle[..sent]);
        if ended {
            input.extend_from_slice(b"0\n");
        }
        let keeper = Arc::new(Keeper::default());
        let session = StdioSession {
            hg: &sandbox.hg,
            repository: &hosted,
            access: Access::Write,
            pusher: None,
            limits: ServeLimits::default(),
            tails: &tokio_util::task::TaskTracker::new(),
        };
        let (input, output) = (std::io::Cursor::new(input), tokio::io::sink());
        let served = session.serve(input, output, tokio::io::sink(), Arc::clone(&keeper));
        served.await.unwrap();
        assert_eq!(keeper.reports().len(), arrives, "{sent} of {whole}, {ended}");
        assert_eq!(
            sandbox.reader().heads(&hosted).await.unwrap().branches.len(),
            arrives
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_branches_and_bookmarks_is_told_before_it_is_visible() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let first = sandbox.revision(&work, ".").to_string();
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper::default());
    let server = FakeSsh::serve(&sandbox, hosted, Access::Write, Arc::clone(&keeper)).await;
    let ssh = format!("ui.ssh={}", server.ssh);
    let push = async |arguments: &[&str]| {
        let arguments = [&["--config", &ssh, "push", "--force"], arguments, &[ADDRESS]].concat();
        let (_, text) = sandbox.talk(&work, &arguments).await;
        let mut told: Vec<String> = Vec::new();
        for permit in keeper.permits.lock().unwrap().drain(..) {
            let changes = permit.changes.iter();
            told.extend(changes.map(|one| format!("{:?} {} {:?}", one.kind, one.label, one.fate)));
        }
        told.sort();
        assert!(!told.is_empty(), "{text}");
        told
    };
    sandbox.hg(&work, &["bookmark", "--inactive", "mark"]);
    assert_eq!(
        push(&["-B", "mark"]).await,
        ["Bookmark mark Made", "Branch default Made"]
    );
    let second = sandbox.commit(&work, &[("a", "2")], "second").to_string();
    sandbox.hg(&work, &["bookmark", "--force", "--inactive", "mark"]);
    assert_eq!(
        push(&["-B", "mark"]).await,
        ["Bookmark mark Forward", "Branch default Forward"]
    );
    // A head that was there goes on beside the new one: the newest of them is no sign.
    sandbox.hg(&work, &["update", "-q", &first]);
    sandbox.commit(&work, &[("b", "1")], "another head");
    sandbox.hg(&work, &["update", "-q", &second]);
    sandbox.commit(&work, &[("a", "3")], "third");
    assert_eq!(push(&[]).await, ["Branch default Rewritten"]);
    // One head fewer, by a merge.
    sandbox.hg(&work, &["merge", "-q"]);
    let merge = sandbox.commit(&work, &[], "merge").to_string();
    assert_eq!(push(&[]).await, ["Branch default Forward"]);
    sandbox.hg(&work, &["bookmark", "-f", "-r", &first, "mark"]);
    assert_eq!(push(&["-B", "mark"]).await, ["Bookmark mark Rewritten"]);
    sandbox.hg(&work, &["bookmark", "-d", "mark"]);
    assert_eq!(push(&["-B", "mark"]).await, ["Bookmark mark Removed"]);
    sandbox.hg(&work, &["update", "-q", &merge]);
    sandbox.hg(&work, &["commit", "--close-branch", "-m", "closed"]);
    assert_eq!(push(&[]).await, ["Branch default Removed"]);
    // A closed branch that is taken up again is made anew; one that was closed stays so.
    sandbox.hg(&work, &["branch", "-q", "side"]);
    sandbox.commit(&work, &[("c", "1")], "side");
    sandbox.hg(&work, &["update", "-q", &merge]);
    sandbox.commit(&work, &[("d", "1")], "again");
    assert_eq!(push(&[]).await, ["Branch default Made", "Branch side Made"]);
}
