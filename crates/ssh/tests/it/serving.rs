//! Clone, fetch and archive with real clients.

use std::process::Stdio;

use madake_ssh::{Limits, Service};
use tokio::io::AsyncReadExt as _;

use crate::fixture::{House, heard, kill_group, noise, output};

#[tokio::test(flavor = "multi_thread")]
async fn clone_and_fetch_by_version_2_and_by_the_old_protocol() {
    let house = House::new().await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    house
        .git(&work, &["push", "--quiet", hosted.to_str().unwrap(), "master"])
        .await;
    let url = house.url("hosted.git");
    for (version, sent) in [("2", Some("version=2")), ("0", None)] {
        let setting = format!("protocol.version={version}");
        let copy = format!("copy{version}");
        house
            .git(
                &house.path("."),
                &["-c", &setting, "clone", "--quiet", &url, &copy],
            )
            .await;
        let commit = house.commit(&work, "a", version.as_bytes()).await;
        house
            .git(&work, &["push", "--quiet", hosted.to_str().unwrap(), "master"])
            .await;
        let copy = house.path(&copy);
        house.git(&copy, &["-c", &setting, "fetch", "--quiet"]).await;
        assert_eq!(house.git(&copy, &["rev-parse", "origin/master"]).await, commit);
        let opened = house.gate.opened();
        let last = opened.last().unwrap();
        assert_eq!(last.git_protocol.as_deref(), sent);
        assert_eq!(
            (last.service, last.path.as_str()),
            (Service::GitUploadPack, "/hosted.git")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_repository_comes_over_whole() {
    let house = House::new().await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    house.commit(&work, "large", &noise(30_000_000)).await;
    house
        .git(&work, &["push", "--quiet", hosted.to_str().unwrap(), "master"])
        .await;
    house
        .git(
            &house.path("."),
            &["clone", "--quiet", &house.url("hosted.git"), "copy"],
        )
        .await;
    let (sent, came) = (work.join("large"), house.path("copy/large"));
    assert!(std::fs::read(sent).unwrap() == std::fs::read(came).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_comes_from_the_server() {
    let house = House::new().await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    house
        .git(&work, &["push", "--quiet", hosted.to_str().unwrap(), "master"])
        .await;
    let remote = format!("--remote={}", house.url("hosted.git"));
    let command = house.git_command(&work, &["archive", &remote, "--format=tar", "master", "a"]);
    let output = output(command).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout.windows(6).any(|bytes| bytes == b"first\n"));
    // What no ref reaches is not given out, and the client hears git's sentence.
    let (success, text) = house
        .try_git(&work, &["archive", &remote, "no-such-branch"])
        .await;
    assert!(!success && text.contains("no-such-branch"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_of_the_gate_reaches_the_user() {
    let house = House::new().await;
    let (success, text) = house
        .try_git(&house.path("."), &["clone", &house.url("no such/x.git")])
        .await;
    assert!(!success);
    assert!(
        text.contains("there is no repository no such/x.git, or you may not see it"),
        "{text}"
    );
    assert_eq!(house.gate.opened()[0].path, "/no such/x.git");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_code_of_git_is_the_exit_code_of_ssh() {
    let house = House::new().await;
    std::fs::create_dir(house.path("repositories/broken.git")).unwrap();
    let output = house.ssh(&[], &["git-upload-pack 'broken.git'"]).await;
    assert_eq!(output.status.code(), Some(128));
    let (_, text) = heard(&output);
    assert!(text.contains("fatal:"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_commands() {
    let house = House::new().await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    house
        .git(&work, &["push", "--quiet", hosted.to_str().unwrap(), "master"])
        .await;
    let control = format!("ControlPath={}", house.path("control").display());
    let master = house
        .ssh_command(
            "ann",
            "git",
            &["-M", "-N", "-f", "-o", &control, "-o", "ControlPersist=60"],
            &[],
        )
        .status()
        .await
        .unwrap();
    assert!(master.success());
    let ssh = format!("{} -o {control}", house.ssh_words("ann").join(" "));
    let url = house.url("hosted.git");
    // More commands than channels at a time: each gives its place back.
    for number in 0..15 {
        let copy = format!("copy{number}");
        let mut command = house.git_command(&house.path("."), &["clone", "--quiet", &url, &copy]);
        command.env("GIT_SSH_COMMAND", &ssh);
        let (success, text) = heard(&output(command).await);
        assert!(success, "{number}: {text}");
    }
    assert_eq!(
        house
            .gate
            .attempts()
            .iter()
            .filter(|attempt| attempt.proved)
            .count(),
        1
    );
    house.ssh(&["-O", "exit", "-o", &control], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_stops_reading_and_goes_leaves_nothing_behind() {
    let house = House::new().await;
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    house
        .git(&work, &["push", "--quiet", hosted.to_str().unwrap(), "master"])
        .await;
    let head = house.git(&work, &["rev-parse", "HEAD"]).await;
    // Far more than fits into the client's window, its pipe and all buffers.
    let refs: String = (0..100_000)
        .map(|number| format!("{head} refs/heads/many/b{number:06}\n"))
        .collect();
    std::fs::write(
        hosted.join("packed-refs"),
        format!("# pack-refs with: sorted \n{refs}"),
    )
    .unwrap();
    let mut client = house
        .ssh_command("ann", "git", &[], &["git-upload-pack 'hosted.git'"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut start = [0; 4];
    client
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut start)
        .await
        .unwrap();
    kill_group(&mut client).await;
    house.stop.cancel();
    // Long before the stop would end what runs by force.
    let ended = tokio::time::timeout(Limits::default().stop_time / 2, house.running).await;
    ended.unwrap().unwrap();
}
