//! B7, many plans and branches: one repository, 500 plans, 1000 plan branches. What an idle server holds, how fast it
//! starts, how many git processes one call costs, how fast lists are, and whether a push queues what it must and
//! nothing else.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::http::encoded;
use super::machine::wait_for;
use super::madake::Madake;
use super::report::{Run, figure, quantile};
use super::work_tree::WorkTree;
use super::{Contestant, Setting};
use crate::process::output_of;

/// The headline.
pub(crate) const TITLE: &str = "one repository, 500 plans, 1000 plan branches";

const PLANS: usize = 500;
const BRANCHES: usize = 1000;
/// The plan that has half of all branches; each of the others has one.
const LARGE: &str = "BENCH-P0";
/// How long the first builds of everything may take.
const FIRST_BUILDS: Duration = Duration::from_secs(900);

/// Who is measured.
pub(crate) fn contestants(_: &Setting) -> Vec<Contestant> {
    vec![Contestant {
        name: "madake",
        absent: None,
        run: madake,
    }]
}

fn madake(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let counter = Counter::new(folder)?;
    let configuration = format!(
        "[repositories]\ngit = {:?}\n",
        counter.program.display().to_string()
    );
    let madake = Madake::new(setting, folder, &configuration)?;
    madake.command(&["repo", "create", "BENCH/many"], "")?;
    let server = madake.start()?;
    let mut tree = WorkTree::new(
        &folder.join("tree"),
        &madake.clone_url("bench", "many"),
        Some(Madake::credentials()),
    )?;
    tree.write("bamboo-specs/bamboo.yml", &plan_file())?;
    tree.commit()?;
    tree.push("main")?;
    settle(&madake).context("the first builds of the plans")?;
    let names: Vec<String> = (0..BRANCHES).map(|number| format!("b{number:04}")).collect();
    tree.commit()?;
    tree.push_all(&names)?;
    make_branches(&madake, &names)?;
    // A first call builds each branch that never was built; afterwards there is a history.
    trigger(&madake)?;
    settle(&madake).context("the first builds of the branches")?;
    let branches =
        madake.count("SELECT COUNT(*) FROM plan_branch WHERE removed_ms IS NULL AND is_master = 0")?;
    let plans = madake.count("SELECT COUNT(*) FROM plan")?;

    let ready = restart_times(setting, &madake, server)?;
    let server = madake.start()?;
    std::thread::sleep(Duration::from_secs(if setting.quick { 5 } else { 60 }));
    let idle = server.usage()?;
    let list = list_times(&madake, if setting.quick { 100 } else { 500 })?;

    let before = counter.count();
    trigger(&madake)?;
    settle(&madake)?;
    let by_call = counter.count() - before;

    let builds = madake.count("SELECT COUNT(*) FROM build")?;
    tree.commit()?;
    let before = counter.count();
    let cpu = server.usage()?.cpu_seconds;
    tree.push("b0001")?;
    wait_for(Duration::from_secs(30), || {
        madake
            .count("SELECT COUNT(*) FROM build")
            .is_ok_and(|now| now > builds)
            .then_some(())
    })
    .context("the push to one branch queued nothing")?;
    settle(&madake)?;
    let by_push = counter.count() - before;
    let cpu = server.usage()?.cpu_seconds - cpu;
    let queued_ms = madake.rows(
        "SELECT build.created_ms - event.received_ms FROM build JOIN event ON event.id = build.event_id
         ORDER BY build.id DESC LIMIT 1",
    )?;
    let queued_ms = queued_ms
        .first()
        .and_then(|row| row.first()?.as_f64())
        .context("the last build has no event")?;
    let queued = madake.rows(&format!(
        "SELECT plan_branch.vcs_branch FROM build JOIN plan_branch ON plan_branch.id = build.plan_branch_id
         ORDER BY build.id DESC LIMIT (SELECT COUNT(*) FROM build) - {builds}"
    ))?;
    let right = queued.len() == 1 && queued[0].first().and_then(serde_json::Value::as_str) == Some("b0001");
    let after = server.usage()?;
    Ok(Run {
        figures: vec![
            figure("memory at rest", "MiB", idle.resident_mib),
            figure("start to first plan list", "ms", ready),
            figure("plan list p50", "ms", quantile(&list, 0.5).unwrap_or(0.0)),
            figure("plan list p99", "ms", quantile(&list, 0.99).unwrap_or(0.0)),
            figure("git for a remote trigger", "processes", by_call),
            figure("git for a push and its build", "processes", by_push),
            figure("push received to queued", "ms", queued_ms),
            figure("server CPU of the push", "s", cpu),
            figure("peak memory", "MiB", after.peak_mib),
        ],
        gate: if plans != 500 || branches != 1000 {
            Err(format!("there are {plans} plans and {branches} plan branches"))
        } else if right {
            Ok(())
        } else {
            Err(format!("a push to b0001 queued {queued:?}"))
        },
    })
}

/// A `git` that notes each call and then is git.
struct Counter {
    program: PathBuf,
    calls: PathBuf,
}

impl Counter {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let real = output_of(std::process::Command::new("sh").args(["-c", "command -v git"]))?;
        let (program, calls) = (folder.join("counting-git"), folder.join("calls"));
        let text = format!(
            "#!/bin/sh\necho call >> {}\nexec {} \"$@\"\n",
            calls.display(),
            real.trim()
        );
        std::fs::write(&program, text)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self { program, calls })
    }

    fn count(&self) -> f64 {
        let text = std::fs::read_to_string(&self.calls).unwrap_or_default();
        f64::from(u32::try_from(text.lines().count()).unwrap_or(u32::MAX))
    }
}

/// One document for each plan. Branches are made by hand, so that 500 plans do not each make 1000.
fn plan_file() -> String {
    (0..PLANS)
        .map(|number| {
            format!(
                "---\nversion: 2\nplan: {{project-key: BENCH, key: P{number}, name: Plan {number}}}\n\
                 triggers: [remote]\nbranches: {{create: manually}}\n\
                 stages:\n- Build: {{jobs: [Job]}}\nJob:\n  tasks:\n  - script: 'true'\n"
            )
        })
        .collect()
}

fn make_branches(madake: &Madake<'_>, names: &[String]) -> anyhow::Result<()> {
    let mut client = madake.client();
    for (number, name) in names.iter().enumerate() {
        // Half of them belong to one plan, and one to each of the others.
        let plan = number.saturating_sub(BRANCHES - PLANS);
        let path = format!(
            "/rest/api/latest/plan/BENCH-P{plan}/branch/{name}?vcsBranch={}",
            encoded(name)
        );
        let answer = client.send("PUT", &path, &[], b"")?;
        if !answer.is_success() {
            bail!(
                "PUT {path} was answered with {}: {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
    }
    Ok(())
}

fn trigger(madake: &Madake<'_>) -> anyhow::Result<()> {
    let path = format!("/rest/triggers/latest/remote/changeDetection?planKey={LARGE}");
    let answer = madake.client().send("POST", &path, &[], b"")?;
    if !answer.is_success() {
        bail!("the remote trigger was answered with {}", answer.status);
    }
    Ok(())
}

/// Waits until everything that arrived is decided and everything that was queued has ended.
fn settle(madake: &Madake<'_>) -> anyhow::Result<()> {
    let open = "SELECT (SELECT COUNT(*) FROM event WHERE state = 'received')
                     + (SELECT COUNT(*) FROM build WHERE active = 1) + (SELECT COUNT(*) FROM waiting_revision)";
    let began = Instant::now();
    while began.elapsed() < FIRST_BUILDS {
        if madake.count(open)? == 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("it did not settle within {} s", FIRST_BUILDS.as_secs())
}

/// Stops and starts a few times; the middle time from the start to the first list of plans, in milliseconds.
fn restart_times(
    setting: &Setting,
    madake: &Madake<'_>,
    mut server: super::server::Server,
) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..if setting.quick { 3 } else { 10 } {
        server.stop()?;
        server = madake.start_until("/rest/api/latest/plan")?;
        times.push(server.ready_ms);
    }
    server.stop()?;
    times.sort_by(f64::total_cmp);
    quantile(&times, 0.5).context("no start was measured")
}

/// Milliseconds of reading the list of plans, sorted.
fn list_times(madake: &Madake<'_>, requests: u32) -> anyhow::Result<Vec<f64>> {
    let mut client = madake.client();
    let mut times = Vec::new();
    for _ in 0..requests {
        let sent = Instant::now();
        let answer = client.send("GET", "/rest/api/latest/plan?max-results=25", &[], b"")?;
        if answer.status != 200 {
            bail!("the list of plans was answered with {}", answer.status);
        }
        times.push(sent.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
