//! Mercurial: the same server, another program behind the gate.

use std::path::PathBuf;
use std::process::Stdio;

use madake_ssh::{Service, Session};
use tokio::process::Command;

use crate::fixture::{House, heard, output};

fn hg(folder: &std::path::Path) -> Command {
    let mut command = Command::new("hg");
    command
        .env("HGPLAIN", "1")
        .env("HGRCPATH", "")
        .env("HGUSER", "ann")
        .current_dir(folder);
    command
}

/// What the gate gives for hg: a part of this process that runs a program.
pub(crate) fn serve(path: PathBuf) -> Session {
    Session::handler(move |mut input, mut output, mut error| async move {
        let mut child = hg(&path)
            .args(["-R", ".", "serve", "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let sending = async {
            let _ = tokio::io::copy(&mut input, &mut stdin).await;
            drop(stdin);
            std::future::pending::<()>().await;
        };
        let serving = async {
            let (_, _, status) = tokio::join!(
                tokio::io::copy(&mut stdout, &mut output),
                tokio::io::copy(&mut stderr, &mut error),
                child.wait(),
            );
            u32::try_from(status.unwrap().code().unwrap_or(255)).unwrap()
        };
        tokio::select! {
            code = serving => code,
            () = sending => 255,
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn hg_clones_and_pushes() {
    let house = House::new().await;
    let hosted = house.path("repositories/mercury");
    let run = |folder: PathBuf, arguments: Vec<String>| async move {
        let mut command = hg(&folder);
        command.args(&arguments);
        let (success, text) = heard(&output(command).await);
        assert!(success, "hg {arguments:?}: {text}");
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    run(house.path("."), vec!["init".into(), hosted.display().to_string()]).await;
    let ssh = format!("ui.ssh={}", house.ssh_words("ann").join(" "));
    let url = format!("ssh://hg@{}/mercury", house.address);
    let clone = ["clone", "--config", &ssh, &url, "work"]
        .map(str::to_owned)
        .to_vec();
    run(house.path("."), clone.clone()).await;
    let work = house.path("work");
    std::fs::write(work.join("a"), crate::fixture::noise(3_000_000)).unwrap();
    run(work.clone(), words("commit --quiet -A -m first")).await;
    run(work.clone(), [words("push --config"), vec![ssh]].concat()).await;
    let mut again = clone;
    again[4] = "again".into();
    run(house.path("."), again).await;
    let copied = std::fs::read(house.path("again/a")).unwrap();
    assert!(copied == std::fs::read(work.join("a")).unwrap());
    let opened = house.gate.opened();
    assert!(
        opened
            .iter()
            .all(|request| request.service == Service::HgServeStdio)
    );
    assert_eq!(opened[0].path, "mercury");
}
