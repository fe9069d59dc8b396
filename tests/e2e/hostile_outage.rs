//! Senders that never come to an end, and a disk without room (hostile-inputs.md W24, W25).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use madake_testkit::{Server, ServerOptions, wait_for};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::hostile_support::{connect, ledger, status_of};
use crate::hostile_webhook::{OLD, Scene, payload, update};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_crowd_from_one_address_leaves_room_for_others() {
    let server = Server::start_with(ServerOptions {
        environment: Vec::new(),
        configuration: "[server]\nconnections-per-address = 8\ntrusted-proxies = [\"127.0.0.9\"]\n".into(),
    })
    .await;
    let target: std::net::SocketAddr = server.url().replace("http://", "").parse().expect("an address");
    let from = async |address: &str| {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .bind(format!("{address}:0").parse().expect("an address"))
            .expect("bound");
        socket.connect(target).await.expect("a connection")
    };
    let asked = async |mut stream: tokio::net::TcpStream| {
        let _ = stream
            .write_all(b"GET /rest/api/latest/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        status_of(&String::from_utf8_lossy(&answer))
    };
    let mut crowd = Vec::new();
    for _ in 0..8 {
        crowd.push(from("127.0.0.5").await);
    }
    // They are accepted in their order, so these come after the eight.
    for _ in 0..5 {
        let mut answer = Vec::new();
        let _ = from("127.0.0.5").await.read_to_end(&mut answer).await;
        assert_eq!(status_of(&String::from_utf8_lossy(&answer)), 429);
    }
    assert_eq!(asked(from("127.0.0.6").await).await, 200, "another address");
    for _ in 0..8 {
        crowd.push(from("127.0.0.9").await);
    }
    assert_eq!(asked(from("127.0.0.9").await).await, 200, "a proxy");
    let lines = server
        .log()
        .matches("refused a connection from 127.0.0.5")
        .count();
    assert_eq!(lines, 1, "one line a minute: {}", server.log());
    drop(crowd);
    wait_for("the places of the crowd", || async {
        (asked(from("127.0.0.5").await).await == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_slowloris_w24_is_cut_and_hurts_nobody() {
    let scene = Scene::new().await;
    let began = Instant::now();
    let mut dribbles = Vec::new();
    for _ in 0..50 {
        let mut stream = connect(&scene.server).await;
        stream
            .write_all(format!("POST {} HTTP/1.1\r\nHost: x\r\nX-A: ", scene.hook).as_bytes())
            .await
            .expect("a first piece");
        dribbles.push(tokio::spawn(async move {
            let mut answer = [0_u8; 64];
            loop {
                // A byte now and then, until the server has had enough.
                match tokio::time::timeout(Duration::from_millis(500), stream.read(&mut answer)).await {
                    Ok(Ok(0) | Err(_)) => return,
                    Ok(Ok(_)) => {}
                    Err(_) => {
                        if stream.write_all(b"a").await.is_err() {
                            return;
                        }
                    }
                }
            }
        }));
    }
    let other = Instant::now();
    let (status, _) = scene
        .deliver(update("refs/heads/master").to_string().into_bytes())
        .await;
    assert_eq!(status, 202);
    assert!(other.elapsed() < Duration::from_secs(3), "W24: others wait");
    for dribble in dribbles {
        let left = Duration::from_secs(19).saturating_sub(began.elapsed());
        tokio::time::timeout(left, dribble)
            .await
            .expect("W24: the connection is cut by the deadline")
            .expect("no panic");
    }
    assert!(
        began.elapsed() > Duration::from_secs(5),
        "it was the deadline that cut it"
    );
}

/// A file system of a few megabytes over the server's home; gone with the drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn over(home: &Path) -> Option<Self> {
        let saved = home.with_extension("saved");
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output();
            output.is_ok_and(|output| output.status.success())
        };
        let (from, to) = (saved.to_str()?, home.to_str()?);
        assert!(run("cp", &["-a", to, from]));
        if !run("mount", &["-t", "tmpfs", "-o", "size=24m", "tmpfs", to]) {
            return None;
        }
        let disk = Self(home.to_owned());
        assert!(run("cp", &["-a", &format!("{from}/."), to]));
        Some(disk)
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).expect("a file");
        for size in [64 * 1024, 4096, 1] {
            let piece = vec![b'x'; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_webhook_full_disk_w25_is_answered_with_503_and_heals() {
    let mut scene = Scene::new().await;
    scene.server.kill();
    let Some(disk) = SmallDisk::over(&scene.server.home()) else {
        let said = b"W25 is NOT tested: this machine does not let the test mount a small file system\n";
        std::io::stderr().write_all(said).expect("standard error");
        return;
    };
    scene.server.launch().await;
    disk.fill();
    let mut body = update("refs/heads/master");
    // Larger than any room that the store may have kept for itself.
    body["filler"] = json!("x".repeat(6 * 1024 * 1024));
    let (status, text) = scene.deliver(body.to_string().into_bytes()).await;
    assert_eq!(status, 503, "W25: {text}");
    let (status, text) = scene.deliver(body.to_string().into_bytes()).await;
    assert_eq!(status, 503, "W25, again: {text}");
    disk.make_room();
    let commit = scene.work.push("master", &[("x", "1")]);
    let entered = wait_for("room", || async {
        let body = payload("iridium-parent", &[("refs/heads/master", OLD, &commit, "UPDATE")]);
        let (status, text) = scene.deliver(body.to_string().into_bytes()).await;
        (status == 202).then_some(text)
    })
    .await;
    assert!(entered.contains("event"), "{entered}");
    let results = scene.server.ended("PROJ-PLAN", 2).await;
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str());
    let hooks = ledger(&scene.server).await;
    assert_eq!(
        hooks.iter().filter(|one| one["kind"] == "webhook").count(),
        1,
        "what was answered with 503 is not in the ledger"
    );
    scene.server.kill();
    drop(disk);
    assert!(scene.bare.is_dir());
}
