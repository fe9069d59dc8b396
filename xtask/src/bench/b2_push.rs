//! B2, from a push to its first command: real `git push` over HTTP, and a job whose first command writes down the
//! time. Also how long the push itself takes, beside the same push to nginx with git's `http-backend`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::buildbot::Master;
use super::machine::wait_for;
use super::madake::Madake;
use super::nginx::{self, GitServer};
use super::report::{Figure, Run, figure, quantile};
use super::work_tree::{Pushed, WorkTree};
use super::{Contestant, Setting};

/// The headline.
pub(crate) const TITLE: &str = "from `git push` over HTTP to the first command of the build";

/// How long a build may take until it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who is measured.
pub(crate) fn contestants(setting: &Setting) -> Vec<Contestant> {
    let nginx = setting.nginx.as_ref().err().cloned();
    let buildbot = setting.buildbot.as_ref().err().cloned();
    vec![
        Contestant {
            name: "madake",
            absent: None,
            run: madake,
        },
        Contestant {
            name: "nginx alone (push only)",
            absent: nginx.clone(),
            run: nginx_alone,
        },
        Contestant {
            name: "nginx, hook, Buildbot",
            absent: nginx.or(buildbot),
            run: buildbot_run,
        },
    ]
}

fn pushes(setting: &Setting) -> u32 {
    if setting.quick { 10 } else { 100 }
}

fn madake(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let madake = Madake::new(setting, folder, "")?;
    madake.command(&["repo", "create", "BENCH/push"], "")?;
    let server = madake.start()?;
    let started = made(folder.join("started"))?;
    let mut tree = WorkTree::new(
        &folder.join("tree"),
        &madake.clone_url("bench", "push"),
        Some(Madake::credentials()),
    )?;
    let plan = format!(
        "version: 2\nplan: {{project-key: BENCH, key: PUSH, name: Push}}\ntriggers: [remote]\n\
         stages:\n- Build: {{jobs: [Job]}}\nJob:\n  tasks:\n  - script: |\n      {}\n",
        note_time(&started, "$bamboo_planRepository_revision")
    );
    tree.write("bamboo-specs/bamboo.yml", &plan)?;
    let before = server.usage()?;
    let pushed = push_and_wait(&mut tree, pushes(setting), Some(&started))?;
    let after = server.usage()?;
    let spans = madake.rows(
        "SELECT json_extract(job.outcome, '$.first_command_started_ms'),
                json_extract(job.outcome, '$.firstCommandStartedMs'), event.received_ms
         FROM job JOIN build ON build.id = job.build_id JOIN event ON event.id = build.event_id ORDER BY job.id",
    )?;
    // The first push also puts the plan file in force; it warms everybody up and is left out below as well.
    let inside: Vec<f64> = spans
        .iter()
        .skip(1)
        .filter_map(|row| {
            let started = row.first()?.as_f64().or_else(|| row.get(1)?.as_f64())?;
            Some(started - row.get(2)?.as_f64()?)
        })
        .collect();
    let mut run = evaluate(&pushed, Some(&started));
    run.figures.extend(quantiles(
        ["ledger to first command p50", "ledger to first command p95"],
        inside,
    ));
    run.figures.push(figure(
        "server CPU",
        "ms per push",
        (after.cpu_seconds - before.cpu_seconds) * 1000.0 / f64::from(pushes(setting)),
    ));
    run.figures.push(figure("peak memory", "MiB", after.peak_mib));
    Ok(run)
}

fn nginx_alone(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let git = GitServer::start(setting, folder, None)?;
    let mut tree = WorkTree::new(&folder.join("tree"), &git.url, Some(nginx::credentials()))?;
    let pushed = push_and_wait(&mut tree, pushes(setting), None)?;
    Ok(evaluate(&pushed, None))
}

fn buildbot_run(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let tool = setting
        .buildbot
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let started = made(folder.join("started"))?;
    let bare = folder.join("repositories/bench.git");
    let command = note_time(&started, "%(prop:revision)s").replace("%s.%N", "%%s.%%N");
    let master = tool.master(setting, folder, "main", Some(&bare), &command)?;
    let hook = format!(
        "#!/bin/sh\nwhile read -r old new name; do\n  curl -s -o /dev/null --data \"author=bench&branch=main&revision=$new\
         &repository={}&comments=push&project=bench\" http://{}{}\ndone\n",
        bare.display(),
        master.address,
        Master::HOOK
    );
    let git = GitServer::start(setting, folder, Some(&hook))?;
    let server = master.start()?;
    let mut tree = WorkTree::new(&folder.join("tree"), &git.url, Some(nginx::credentials()))?;
    let before = server.usage()?;
    let pushed = push_and_wait(&mut tree, pushes(setting), Some(&started))?;
    let after = server.usage()?;
    let mut run = evaluate(&pushed, Some(&started));
    run.figures.push(figure(
        "server CPU",
        "ms per push",
        (after.cpu_seconds - before.cpu_seconds) * 1000.0 / f64::from(pushes(setting)),
    ));
    run.figures.push(figure("peak memory", "MiB", after.peak_mib));
    Ok(run)
}

fn made(folder: PathBuf) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A shell line that notes the time first thing, and then the commit that is checked out, in a file named by the
/// revision that was asked for. Each run adds a line.
fn note_time(folder: &Path, revision: &str) -> String {
    format!(
        "now=$(date +%s.%N); echo \"$now $(git rev-parse HEAD)\" >> {}/{revision}",
        folder.display()
    )
}

/// Pushes one commit after another, each when the build of the one before has begun.
fn push_and_wait(tree: &mut WorkTree, pushes: u32, started: Option<&Path>) -> anyhow::Result<Vec<Pushed>> {
    let mut all = Vec::new();
    for _ in 0..=pushes {
        tree.commit()?;
        let pushed = tree.push("main")?;
        if let Some(started) = started {
            let path = started.join(&pushed.revision);
            wait_for(PATIENCE, || noted(&path).first().copied())
                .with_context(|| format!("the build of push {} did not begin", all.len()))?;
        }
        // The build is to end before the next push, as pushes by people do not follow each other that fast.
        std::thread::sleep(Duration::from_millis(150));
        all.push(pushed);
    }
    Ok(all)
}

/// The times that runs noted, in seconds since 1970.
fn noted(path: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect()
}

fn evaluate(pushed: &[Pushed], started: Option<&Path>) -> Run {
    let measured = pushed.get(1..).unwrap_or_default();
    let took = measured.iter().map(|one| one.took_ms).collect();
    let mut figures = quantiles(["push p50", "push p95"], took);
    let mut faults = Vec::new();
    if let Some(started) = started {
        let (mut from_start, mut from_end) = (Vec::new(), Vec::new());
        for one in pushed {
            let path = started.join(&one.revision);
            let times = noted(&path);
            let right = std::fs::read_to_string(&path)
                .is_ok_and(|text| text.lines().all(|line| line.ends_with(&one.revision)));
            if times.len() != 1 || !right {
                faults.push(format!(
                    "{} was built {} times{}",
                    one.revision,
                    times.len(),
                    if right { "" } else { ", with another commit" }
                ));
            }
        }
        for one in measured {
            let Some(began) = noted(&started.join(&one.revision)).first().copied() else {
                continue;
            };
            from_start.push((began - one.began) * 1000.0);
            from_end.push((began - one.ended) * 1000.0);
        }
        figures.extend(quantiles(
            [
                "push begun to first command p50",
                "push begun to first command p95",
            ],
            from_start,
        ));
        figures.extend(quantiles(
            [
                "push ended to first command p50",
                "push ended to first command p95",
            ],
            from_end,
        ));
    }
    Run {
        figures,
        gate: match faults.first() {
            None => Ok(()),
            Some(fault) => Err(format!("{fault} (and {} more)", faults.len() - 1)),
        },
    }
}

fn quantiles(names: [&'static str; 2], mut values: Vec<f64>) -> Vec<Figure> {
    values.sort_by(f64::total_cmp);
    let at = |q| quantile(&values, q);
    names
        .into_iter()
        .zip([at(0.5), at(0.95)])
        .filter_map(|(name, value)| Some(figure(name, "ms", value?)))
        .collect()
}
