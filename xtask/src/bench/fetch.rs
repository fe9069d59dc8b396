//! Clones and fetches over HTTP, beside nginx with git's `http-backend`: one after another, many at once, and the mere
//! question where the refs are.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::http::Client;
use super::madake::Madake;
use super::nginx::{self, GitServer};
use super::report::{Figure, Run, figure, quantile};
use super::work_tree::{WorkTree, git};
use super::{Contestant, Setting};
use crate::process::output_of;

/// The headline.
pub(crate) const TITLE: &str = "clone and fetch of a repository with 2,000 commits over HTTP";

const COMMITS: usize = 2000;
/// Branches beside the default one, so that a list of refs has a usual length.
const BRANCHES: usize = 50;
/// Clients that ask where the refs are at the same time.
const ASKING: usize = 4;
/// Clones at the same time.
const AT_ONCE: usize = 50;

/// Who is measured.
pub(crate) fn contestants(setting: &Setting) -> Vec<Contestant> {
    vec![
        Contestant {
            name: "madake",
            absent: None,
            run: madake,
        },
        Contestant {
            name: "nginx, git http-backend",
            absent: setting.nginx.as_ref().err().cloned(),
            run: http_backend,
        },
    ]
}

fn madake(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let madake = Madake::new(setting, folder, "")?;
    madake.command(&["repo", "create", "BENCH/fetch"], "")?;
    let server = madake.start()?;
    let url = madake.clone_url("bench", "fetch");
    let before = server.usage()?;
    let mut run = measured(setting, folder, &url, &Madake::credentials())?;
    let after = server.usage()?;
    run.figures.push(figure(
        "server CPU, all of it",
        "s",
        after.cpu_seconds - before.cpu_seconds,
    ));
    run.figures.push(figure("peak memory", "MiB", after.peak_mib));
    Ok(run)
}

fn http_backend(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let server = GitServer::start(setting, folder, None)?;
    measured(setting, folder, &server.url, &nginx::credentials())
}

fn measured(setting: &Setting, folder: &Path, url: &str, credentials: &str) -> anyhow::Result<Run> {
    let (clones, fetches, asking) = if setting.quick {
        (2, 3, Duration::from_secs(2))
    } else {
        (7, 30, Duration::from_secs(8))
    };
    let mut tree = WorkTree::with_history(&folder.join("tree"), url, Some(credentials.to_owned()), COMMITS)?;
    let tip = tree.push("main")?.revision;
    tree.push_all(
        &(0..BRANCHES)
            .map(|number| format!("topic/{number}"))
            .collect::<Vec<_>>(),
    )?;
    let mut faults = Vec::new();
    let mut clone_ms = Vec::new();
    for number in 0..=clones {
        let target = folder.join(format!("clone-{number}"));
        let began = Instant::now();
        output_of(&mut clone(folder, url, credentials, &target))?;
        // The first one fills the caches of the disk.
        if number > 0 {
            clone_ms.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        faults.extend(wrong(&target, &tip, COMMITS));
    }
    let fetching = folder.join("clone-0");
    let mut fetch_ms = Vec::new();
    for number in 1..=fetches {
        tree.commit()?;
        let tip = tree.push("main")?.revision;
        let began = Instant::now();
        output_of(&mut git(&fetching, Some(credentials), &["fetch", "-q", "origin"]))?;
        fetch_ms.push(began.elapsed().as_secs_f64() * 1000.0);
        faults.extend(wrong(&fetching, &tip, COMMITS + number));
    }
    let asked = ask(url, credentials, asking)?;
    let tip = git_says(&tree_folder(folder), &["rev-parse", "HEAD"])?;
    let began = Instant::now();
    let mut running = Vec::new();
    for number in 0..AT_ONCE {
        let target = folder.join(format!("at-once-{number}"));
        running.push((spawn(&mut clone(folder, url, credentials, &target))?, target));
    }
    let mut failed = 0_u32;
    for (child, target) in running {
        let output = child.wait_with_output()?;
        if output.status.success() {
            faults.extend(wrong(&target, &tip, COMMITS + fetches));
        } else {
            failed += 1;
            faults.push(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
    }
    let at_once = began.elapsed().as_secs_f64();
    Ok(Run {
        figures: figures(&mut clone_ms, &mut fetch_ms, asked, at_once, failed),
        gate: match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(()),
        },
    })
}

fn figures(clone_ms: &mut [f64], fetch_ms: &mut [f64], asked: f64, at_once: f64, failed: u32) -> Vec<Figure> {
    clone_ms.sort_by(f64::total_cmp);
    fetch_ms.sort_by(f64::total_cmp);
    let at = |sorted: &[f64], q| quantile(sorted, q).unwrap_or(0.0);
    vec![
        figure("clone p50", "ms", at(clone_ms, 0.5)),
        figure("fetch of one commit p50", "ms", at(fetch_ms, 0.5)),
        figure("fetch of one commit p95", "ms", at(fetch_ms, 0.95)),
        figure("ls-remote", "1/s", asked),
        figure("50 clones at once", "s", at_once),
        figure("of these failed", "", f64::from(failed)),
    ]
}

fn tree_folder(folder: &Path) -> std::path::PathBuf {
    folder.join("tree")
}

fn clone(folder: &Path, url: &str, credentials: &str, target: &Path) -> Command {
    let mut command = git(folder, Some(credentials), &["clone", "-q", "--bare", url]);
    command.arg(target);
    command
}

fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().context("cannot start git")
}

fn git_says(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    Ok(output_of(&mut git(folder, None, arguments))?.trim().to_owned())
}

/// What is wrong with a clone that should be at `tip` with so many commits; fetches land in `FETCH_HEAD`.
fn wrong(target: &Path, tip: &str, commits: usize) -> Option<String> {
    let head = if target.join("FETCH_HEAD").exists() {
        "FETCH_HEAD"
    } else {
        "HEAD"
    };
    let found = git_says(target, &["rev-parse", head]).and_then(|found| {
        let count = git_says(target, &["rev-list", "--count", head])?;
        Ok((found, count))
    });
    match found {
        Ok((found, count)) if found == tip && count == commits.to_string() => None,
        Ok((found, count)) => Some(format!(
            "a clone is at {found} with {count} commits, not at {tip}"
        )),
        Err(error) => Some(format!("a clone cannot be read: {error:#}")),
    }
}

/// How often a second clients are told where the refs are, in the two requests that `git ls-remote` makes.
fn ask(url: &str, credentials: &str, duration: Duration) -> anyhow::Result<f64> {
    let rest = url.strip_prefix("http://").context("no address")?;
    let (address, path) = rest.split_once('/').context("no path")?;
    let packet = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let question = packet("command=ls-refs\n")
        + &packet("agent=git/2.40")
        + &packet("object-format=sha1")
        + "0001"
        + &packet("peel\n")
        + &packet("symrefs\n")
        + "0000";
    let began = Instant::now();
    let counts = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..ASKING)
            .map(|_| scope.spawn(|| ask_alone(address, path, credentials, &question, began, duration)))
            .collect();
        asking
            .into_iter()
            .map(|one| one.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
            .collect::<anyhow::Result<Vec<u32>>>()
    })?;
    let count: u32 = counts.iter().sum();
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

fn ask_alone(
    address: &str,
    path: &str,
    credentials: &str,
    question: &str,
    began: Instant,
    duration: Duration,
) -> anyhow::Result<u32> {
    let headers = [("Authorization", credentials), ("Git-Protocol", "version=2")];
    let mut client = Client::new(address, &headers);
    let mut count = 0;
    while began.elapsed() < duration {
        let first = client.send(
            "GET",
            &format!("/{path}/info/refs?service=git-upload-pack"),
            &[],
            b"",
        )?;
        ensure!(
            first.is_success() && first.body.windows(9).any(|part| part == b"version 2"),
            "the server does not speak version 2: {}",
            first.status
        );
        let kind = [("Content-Type", "application/x-git-upload-pack-request")];
        let second = client.send(
            "POST",
            &format!("/{path}/git-upload-pack"),
            &kind,
            question.as_bytes(),
        )?;
        let text = String::from_utf8_lossy(&second.body);
        let refs = text.matches("refs/heads/topic/").count();
        ensure!(refs == BRANCHES, "{refs} of {BRANCHES} branches were listed");
        count += 1;
    }
    Ok(count)
}
