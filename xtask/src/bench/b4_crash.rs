//! B4, a crash after the answer: a trigger is answered, the server is killed at a random moment of the next 200 ms,
//! and started again. What was answered must be built, once: each run of the job's command counts, also one that the
//! crash cut short and that was begun anew.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::http::Client;
use super::load::{COMMIT, signature};
use super::machine::{random_below, wait_for};
use super::madake::Madake;
use super::report::{Run, figure, quantile};
use super::server::Server;
use super::work_tree::{WorkTree, git};
use super::{Contestant, Setting};
use crate::process::output_of;

/// The headline.
pub(crate) const TITLE: &str = "killed 0 to 200 ms after the answer, and started again";

const SECRET: &str = "a-secret-of-the-measurement";
/// How long a trial waits for its build before the next trial.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a build that has run may take to be recorded.
const REST: Duration = Duration::from_millis(500);
/// How long what is missing at the end is waited for.
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// Who is measured.
pub(crate) fn contestants(setting: &Setting) -> Vec<Contestant> {
    vec![
        Contestant {
            name: "madake, git push",
            absent: None,
            run: madake_push,
        },
        Contestant {
            name: "madake, webhook",
            absent: None,
            run: madake_webhook,
        },
        Contestant {
            name: "Buildbot, change hook",
            absent: setting.buildbot.as_ref().err().cloned(),
            run: buildbot,
        },
    ]
}

fn trials(setting: &Setting) -> u32 {
    if setting.quick { 10 } else { 100 }
}

/// A plan without triggers of its own: pushes that the server is told of build it.
fn plan(runs: &Path) -> String {
    format!(
        "version: 2\nplan: {{project-key: BENCH, key: CRASH, name: Crash}}\n\
         stages:\n- Build: {{jobs: [Job]}}\nJob:\n  tasks:\n  - script: |\n      echo run >> {}/$bamboo_planRepository_revision\n",
        runs.display()
    )
}

fn madake_push(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let madake = Madake::new(setting, folder, "")?;
    madake.command(&["repo", "create", "BENCH/crash"], "")?;
    let server = madake.start()?;
    let runs = Runs::new(folder)?;
    let mut tree = WorkTree::new(
        &folder.join("tree"),
        &madake.clone_url("bench", "crash"),
        Some(Madake::credentials()),
    )?;
    tree.write("bamboo-specs/bamboo.yml", &plan(&runs.folder))?;
    let first = tree.commit()?;
    tree.push("main")?;
    runs.wait(&first).context("the first build did not run")?;
    crash(
        trials(setting),
        server,
        || madake.start(),
        &runs,
        || {
            tree.commit()?;
            Ok(tree.push("main")?.revision)
        },
    )
}

/// The repository is a linked one: all that the server hears of a push is the webhook.
fn madake_webhook(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let bare = folder.join("bench.git");
    std::fs::create_dir_all(&bare)?;
    output_of(&mut git(&bare, None, &["init", "-q", "--bare", "-b", "main"]))?;
    let runs = Runs::new(folder)?;
    let mut tree = WorkTree::new(&folder.join("tree"), &bare.display().to_string(), None)?;
    tree.write("bamboo-specs/bamboo.yml", &plan(&runs.folder))?;
    tree.commit()?;
    tree.push("main")?;
    let madake = Madake::new(setting, folder, "")?;
    madake.command(
        &[
            "repo",
            "link",
            "crash",
            &bare.display().to_string(),
            "--branch",
            "main",
        ],
        "",
    )?;
    let path = madake.webhook("crash", SECRET)?;
    let server = madake.start()?;
    let deliver = |revision: &str| {
        let body = payload().replace(COMMIT, revision);
        let signature = signature(SECRET, body.as_bytes());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Hub-Signature", signature.as_str()),
        ];
        let answer = Client::new(&madake.address, &[]).send("POST", &path, &headers, body.as_bytes())?;
        if answer.status != 202 {
            bail!("the delivery was answered with {}", answer.status);
        }
        Ok(())
    };
    let first = tree.commit()?;
    tree.push("main")?;
    deliver(&first)?;
    runs.wait(&first).context("the first build did not run")?;
    crash(
        trials(setting),
        server,
        || madake.start(),
        &runs,
        || {
            tree.commit()?;
            let pushed = tree.push("main")?;
            deliver(&pushed.revision)?;
            Ok(pushed.revision)
        },
    )
}

fn buildbot(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let tool = setting
        .buildbot
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let runs = Runs::new(folder)?;
    let command = format!("echo run >> {}/%(prop:revision)s", runs.folder.display());
    let master = tool.master(setting, folder, "main", None, &command)?;
    let server = master.start()?;
    let mut tree = WorkTree::new(&folder.join("tree"), "", None)?;
    let mut trigger = || {
        let revision = tree.commit()?;
        if !master.tell("main", &revision, "bench")? {
            bail!("the change hook refused a change");
        }
        Ok(revision)
    };
    let first = trigger()?;
    runs.wait(&first).context("the first build did not run")?;
    crash(trials(setting), server, || master.start(), &runs, trigger)
}

/// Files named by revision, to which each run of the job adds a line.
struct Runs {
    folder: PathBuf,
}

impl Runs {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("runs");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn count(&self, revision: &str) -> usize {
        let text = std::fs::read_to_string(self.folder.join(revision)).unwrap_or_default();
        text.lines().count()
    }

    fn wait(&self, revision: &str) -> Option<()> {
        wait_for(PATIENCE * 4, || (self.count(revision) > 0).then_some(()))
    }
}

fn crash(
    trials: u32,
    mut server: Server,
    start: impl Fn() -> anyhow::Result<Server>,
    runs: &Runs,
    mut trigger: impl FnMut() -> anyhow::Result<String>,
) -> anyhow::Result<Run> {
    let (mut revisions, mut ready) = (Vec::new(), Vec::new());
    let mut peak = 0.0_f64;
    for _ in 0..trials {
        let revision = trigger()?;
        std::thread::sleep(Duration::from_micros(random_below(200_000)));
        peak = peak.max(server.usage()?.peak_mib);
        server.kill();
        server = start()?;
        ready.push(server.ready_ms);
        // Found or not: what is late is counted at the end.
        let _ = wait_for(PATIENCE, || (runs.count(&revision) > 0).then_some(()));
        // The end of the build is recorded before the next trial: each crash is about one build.
        std::thread::sleep(REST);
        revisions.push(revision);
    }
    let _ = wait_for(LAST_PATIENCE, || {
        revisions
            .iter()
            .all(|revision| runs.count(revision) > 0)
            .then_some(())
    });
    let counts: Vec<usize> = revisions.iter().map(|revision| runs.count(revision)).collect();
    let number = |wanted: fn(usize) -> bool| counts.iter().filter(|count| wanted(**count)).count();
    let (lost, doubled) = (number(|count| count == 0), number(|count| count > 1));
    ready.sort_by(f64::total_cmp);
    let as_figure = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    Ok(Run {
        figures: vec![
            figure("lost", "builds", as_figure(lost)),
            figure("doubled", "builds", as_figure(doubled)),
            figure("built once", "builds", as_figure(counts.len() - lost - doubled)),
            figure(
                "start to first answer p50",
                "ms",
                quantile(&ready, 0.5).unwrap_or(0.0),
            ),
            figure("peak memory", "MiB", peak),
        ],
        gate: if lost + doubled == 0 {
            Ok(())
        } else {
            Err(format!("{lost} lost and {doubled} doubled of {trials}"))
        },
    })
}

fn payload() -> String {
    serde_json::json!({
        "repository": { "slug": "bench", "scmId": "git", "project": { "key": "BENCH" } },
        "refChanges": [{
            "refId": "refs/heads/main", "fromHash": "0123456789abcdef0123456789abcdef01234567",
            "toHash": COMMIT, "type": "UPDATE"
        }],
        "changesets": { "size": 0, "limit": 100, "isLastPage": true, "values": [] }
    })
    .to_string()
}
