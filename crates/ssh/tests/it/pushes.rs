//! Pushes by the real client: what the server learns, what the client hears, and in which order.

use madake_ssh::Limits;
use madake_vcs::git::smart_http::UpdateStatus;

use crate::fixture::{Behaviour, House, Stop, heard, kill_group, noise};

async fn house(behaviour: Behaviour) -> House {
    House::with(behaviour, Limits::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn push_with_options_is_recorded_and_its_lines_reach_the_user() {
    let house = house(Behaviour {
        lines: vec!["building PROJ-PLAN-1".into()],
        ..Behaviour::default()
    })
    .await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let url = house.url("hosted.git");
    let options = ["-o", "a=b;c", "-o", "x: '$(id)"];
    let (success, text) = house
        .try_git(&work, &[&["push"], &options[..], &[&url, "master"]].concat())
        .await;
    assert!(success, "{text}");
    assert!(text.contains("remote: building PROJ-PLAN-1"), "{text}");
    let report = house.gate.reports().remove(0);
    assert_eq!(report.push_options, ["a=b;c", "x: '$(id)"]);
    assert_eq!(report.updates[0].name.as_str(), "refs/heads/master");
    assert_eq!(report.updates[0].status, UpdateStatus::Ok);
    let head = house.git(&work, &["rev-parse", "HEAD"]).await;
    assert_eq!(house.ref_in(&hosted, "master").await, Some(head));
    // Nothing to push is no push.
    let (success, text) = house.try_git(&work, &["push", &url, "master"]).await;
    assert!(success && text.contains("up-to-date"), "{text}");
    assert_eq!(house.gate.reports().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_deleting_and_atomic_pushes_are_what_they_are() {
    let house = house(Behaviour::default()).await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let url = house.url("hosted.git");
    house
        .git(&work, &["push", "--quiet", &url, "master", "master:gone"])
        .await;
    house
        .git(&work, &["commit", "--quiet", "--amend", "--message", "rewritten"])
        .await;
    let (success, text) = house.try_git(&work, &["push", &url, "master"]).await;
    assert!(!success && text.contains("rejected"), "{text}");
    house
        .git(&work, &["push", "--quiet", "--force", &url, "master"])
        .await;
    let head = house.git(&work, &["rev-parse", "HEAD"]).await;
    assert_eq!(house.ref_in(&hosted, "master").await, Some(head));
    // A deletion has no pack: the client keeps its side open until it is answered.
    house.git(&work, &["push", "--quiet", &url, ":gone"]).await;
    assert_eq!(house.ref_in(&hosted, "gone").await, None);
    house
        .git(&hosted, &["config", "receive.denyNonFastForwards", "true"])
        .await;
    house
        .git(&work, &["commit", "--quiet", "--amend", "--message", "again"])
        .await;
    let arguments = ["push", "--atomic", "--force", &url, "master", "master:fresh"];
    let (success, _) = house.try_git(&work, &arguments).await;
    assert!(!success);
    assert_eq!(house.ref_in(&hosted, "fresh").await, None);
    let report = house.gate.reports().pop().unwrap();
    assert!(report.atomic && report.moved().next().is_none(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn atomic_push_with_a_ref_of_the_server_moves_nothing() {
    let house = house(Behaviour::default()).await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let url = house.url("hosted.git");
    let arguments = ["push", "--atomic", &url, "master", "master:refs/madake/x"];
    let (success, text) = house.try_git(&work, &arguments).await;
    assert!(!success && text.contains("belongs to the server"), "{text}");
    assert_eq!(house.ref_in(&hosted, "master").await, None);
    assert_eq!(house.gate.reports(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_push_arrives_whole() {
    let house = house(Behaviour::default()).await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let head = house.commit(&work, "large", &noise(20_000_000)).await;
    let (success, text) = house
        .try_git(&work, &["push", &house.url("hosted.git"), "master"])
        .await;
    assert!(success, "{text}");
    assert_eq!(house.ref_in(&hosted, "master").await, Some(head));
    house.git(&hosted, &["fsck", "--strict"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn report_is_held_back_until_the_push_is_durable() {
    let house = house(Behaviour {
        before_answer: Stop::new(true),
        ..Behaviour::default()
    })
    .await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let mut client = house.start_git(&work, &["push", &house.url("hosted.git"), "master"]);
    house.gate.behaviour.before_answer.is_reached().await;
    // Git is done, the client knows nothing yet.
    assert!(house.ref_in(&hosted, "master").await.is_some());
    assert!(client.try_wait().unwrap().is_none());
    house.gate.behaviour.before_answer.let_go();
    let (success, text) = heard(&client.wait_with_output().await.unwrap());
    assert!(success && text.contains("[new branch]"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_record_ends_the_client_with_its_sentence() {
    let house = house(Behaviour {
        fail: Some("the ledger is full".into()),
        ..Behaviour::default()
    })
    .await;
    house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let (success, text) = house
        .try_git(&work, &["push", &house.url("hosted.git"), "master"])
        .await;
    assert!(!success && text.contains("the ledger is full"), "{text}");
    assert!(!text.contains("[new branch]"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_push_reads_its_reason_also_with_a_large_pack() {
    let house = house(Behaviour {
        refuse: Some("you may not push to master\nask ann for permission".into()),
        ..Behaviour::default()
    })
    .await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    for content in [noise(10), noise(20_000_000)] {
        house.commit(&work, "file", &content).await;
        let (success, text) = house
            .try_git(&work, &["push", &house.url("hosted.git"), "master"])
            .await;
        assert!(!success);
        assert!(text.contains("remote: ask ann for permission"), "{text}");
        assert!(
            text.contains("[remote rejected] master -> master (you may not push"),
            "{text}"
        );
    }
    assert_eq!(house.gate.reports(), []);
    assert_eq!(house.ref_in(&hosted, "master").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn pack_that_git_does_not_take_is_explained_while_the_client_still_sends() {
    let house = house(Behaviour::default()).await;
    let hosted = house.hosted("hosted.git").await;
    house
        .git(&hosted, &["config", "receive.maxInputSize", "1000000"])
        .await;
    let work = house.work_tree("work").await;
    house.commit(&work, "large", &noise(20_000_000)).await;
    let (success, text) = house
        .try_git(&work, &["push", &house.url("hosted.git"), "master"])
        .await;
    assert!(!success);
    assert!(
        text.contains("[remote rejected] master -> master (unpacker error)"),
        "{text}"
    );
    assert!(house.gate.reports()[0].unpack_error.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn pack_that_git_does_not_take_is_explained_after_the_client_has_sent_all() {
    let house = house(Behaviour::default()).await;
    let hosted = house.hosted("hosted.git").await;
    house
        .git(&hosted, &["config", "receive.maxInputSize", "100"])
        .await;
    let work = house.work_tree("work").await;
    house.commit(&work, "small", &noise(2_000)).await;
    let url = house.url("hosted.git");
    let arguments = ["push", &url, "master"];
    let push = house.try_git(&work, &arguments);
    let (success, text) = tokio::time::timeout(std::time::Duration::from_secs(30), push)
        .await
        .expect("an answer, and the end");
    assert!(!success);
    assert!(
        text.contains("[remote rejected] master -> master (unpacker error)"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn client_killed_in_mid_push_moves_nothing() {
    let house = house(Behaviour {
        before_pack: Stop::new(true),
        ..Behaviour::default()
    })
    .await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    // More than fits between client and server, so the client is still sending when it is killed.
    house.commit(&work, "large", &noise(20_000_000)).await;
    let mut client = house.start_git(&work, &["push", &house.url("hosted.git"), "master"]);
    house.gate.behaviour.before_pack.is_reached().await;
    kill_group(&mut client).await;
    house.gate.behaviour.before_pack.let_go();
    // The server ends only after its connections.
    house.stop.cancel();
    house.running.await.unwrap();
    house.gate.tails.close();
    house.gate.tails.wait().await;
    let reports = house.gate.reports.lock().unwrap();
    assert!(
        reports.iter().all(|report| report.moved().next().is_none()),
        "{reports:?}"
    );
    drop(reports);
    let refs = std::process::Command::new("git")
        .args(["for-each-ref"])
        .current_dir(&hosted)
        .output()
        .unwrap();
    assert_eq!(refs.stdout, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_killed_before_its_answer_does_not_lose_its_push() {
    let house = house(Behaviour {
        before_answer: Stop::new(true),
        ..Behaviour::default()
    })
    .await;
    house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let mut client = house.start_git(&work, &["push", &house.url("hosted.git"), "master"]);
    house.gate.behaviour.before_answer.is_reached().await;
    kill_group(&mut client).await;
    house.stop.cancel();
    house.running.await.unwrap();
    // The connection is gone; the recording is not.
    house.gate.tails.close();
    assert!(!house.gate.tails.is_empty());
    house.gate.behaviour.before_answer.let_go();
    house.gate.tails.wait().await;
    assert_eq!(house.gate.reports.lock().unwrap()[0].moved().count(), 1);
}
