//! B1, durable intake: how many signed deliveries a second are taken, and whether each that was answered with 2xx is
//! still there after the server was killed.
//!
//! The deliveries are about a branch that no plan builds, so that taking and deciding is measured, and not building.

use std::path::Path;
use std::time::Duration;

use super::buildbot::Master;
use super::load::{COMMIT, Load, Loaded};
use super::madake::Madake;
use super::report::{Run, figure};
use super::server::Server;
use super::work_tree::WorkTree;
use super::{Contestant, Setting};

/// The headline.
pub(crate) const TITLE: &str = "durable intake of signed hooks over 16 connections";

const SECRET: &str = "a-secret-of-the-measurement";
const CONNECTIONS: usize = 16;

/// A plan that builds nothing but its own branch, and only when asked.
const PLAN: &str = "version: 2\nplan: {project-key: BENCH, key: HOOK, name: Hook}\n\
    branches: {create: manually}\ntriggers: []\n\
    stages:\n- Build: {jobs: [Job]}\nJob:\n  tasks:\n  - script: 'true'\n";

/// Who is measured.
pub(crate) fn contestants(setting: &Setting) -> Vec<Contestant> {
    vec![
        Contestant {
            name: "madake",
            absent: None,
            run: madake,
        },
        Contestant {
            name: "Buildbot",
            absent: setting.buildbot.as_ref().err().cloned(),
            run: buildbot,
        },
    ]
}

fn duration(setting: &Setting) -> Duration {
    Duration::from_secs(if setting.quick { 5 } else { 30 })
}

fn madake(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let madake = Madake::new(setting, folder, "")?;
    madake.command(&["repo", "create", "BENCH/hook"], "")?;
    let path = madake.webhook("BENCH/hook", SECRET)?;
    let server = madake.start()?;
    let mut tree = WorkTree::new(
        &folder.join("tree"),
        &madake.clone_url("bench", "hook"),
        Some(Madake::credentials()),
    )?;
    tree.write("bamboo-specs/bamboo.yml", PLAN)?;
    tree.commit()?;
    tree.push("main")?;
    let body = payload();
    let load = Load {
        address: &madake.address,
        path: &path,
        body: &body,
        headers: &[("Content-Type", "application/json")],
        secret: Some(SECRET),
        connections: CONNECTIONS,
        duration: duration(setting),
    };
    let count = "SELECT COUNT(*) FROM event WHERE kind = 'webhook'";
    let before = madake.count(count)?;
    finish(&load, server, || {
        // The restart shows that the store opens again; what it holds is counted from outside.
        let _server = madake.start()?;
        Ok(madake.count(count)? - before)
    })
}

fn buildbot(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let tool = setting
        .buildbot
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let master = tool.master(setting, folder, "no-such-branch", None, "true")?;
    let server = master.start()?;
    let form = Master::form("feature/intake", COMMIT, "bench", &"x".repeat(1700)).replace("%7B", "{");
    let load = Load {
        address: &master.address,
        path: Master::HOOK,
        body: &form,
        headers: &[("Content-Type", "application/x-www-form-urlencoded")],
        secret: None,
        connections: CONNECTIONS,
        duration: duration(setting),
    };
    finish(&load, server, || {
        let _server = master.start()?;
        master.changes()
    })
}

/// Runs the load, kills the server, and compares what is stored with what was answered.
fn finish(
    load: &Load<'_>,
    server: Server,
    stored: impl FnOnce() -> anyhow::Result<i64>,
) -> anyhow::Result<Run> {
    let before = server.usage()?;
    let loaded = load.run()?;
    let after = server.usage()?;
    server.kill();
    let stored = stored()?;
    let mut figures = loaded.figures();
    figures.push(figure(
        "server CPU",
        "s per 1000",
        (after.cpu_seconds - before.cpu_seconds) * 1000.0 / loaded.accepted_f64().max(1.0),
    ));
    figures.push(figure("peak memory", "MiB", after.peak_mib));
    Ok(Run {
        figures,
        gate: gate(&loaded, stored),
    })
}

fn gate(loaded: &Loaded, stored: i64) -> Result<(), String> {
    if loaded.accepted == 0 {
        return Err(format!("nothing was accepted, {} were refused", loaded.refused));
    }
    if i64::try_from(loaded.accepted) == Ok(stored) {
        return Ok(());
    }
    Err(format!(
        "{} were answered with 2xx, {stored} are stored",
        loaded.accepted
    ))
}

/// A post-receive payload of about two kilobytes: one update of a feature branch with one commit.
fn payload() -> String {
    let before = "2c847c4e9c2421d038fff26ba82bc859ae6ebe20";
    serde_json::json!({
        "repository": {
            "slug": "hook", "id": 11, "name": "hook", "scmId": "git", "state": "AVAILABLE",
            "project": { "key": "BENCH", "id": 21, "name": "Bench", "public": false, "type": "NORMAL" },
            "public": false
        },
        "refChanges": [
            { "refId": "refs/heads/feature/intake", "fromHash": before, "toHash": COMMIT, "type": "UPDATE" }
        ],
        "changesets": {
            "size": 1, "limit": 100, "isLastPage": true, "start": 0,
            "values": [{
                "fromCommit": { "id": before, "displayId": "2c847c4" },
                "toCommit": {
                    "id": COMMIT, "displayId": "f259e90",
                    "author": { "name": "bench", "emailAddress": "bench@example.com" },
                    "authorTimestamp": 1_374_663_446_000_i64,
                    "message": "x".repeat(1200),
                    "parents": [{ "id": before, "displayId": "2c847c4" }]
                }
            }]
        }
    })
    .to_string()
}
