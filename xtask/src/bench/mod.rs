//! `cargo xtask bench`: measurements on loopback, beside peers, each with a gate: work that was not done rightly is a
//! `fail`, however fast it was.
//!
//! Contestants take turns (A, B, A, B, ...), so that a machine that grows busier bears on all of them. Peers are
//! installed on demand; one that cannot be is named as not measured.

mod b1_intake;
mod b2_push;
mod b4_crash;
mod b6_log;
mod b7_many;
mod b8_telling;
mod buildbot;
mod fetch;
mod http;
mod load;
mod machine;
mod madake;
mod nginx;
mod receivers;
mod report;
mod server;
mod specs;
mod work_tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use self::buildbot::Buildbot;
use self::machine::Pinning;
use self::report::{Results, Run, as_json, as_table};
use crate::process::repository;

/// Flags of `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Which measurements; all when none is named.
    #[arg(value_name = "BENCHMARK")]
    which: Vec<Benchmark>,
    /// One round of short runs: shows that everything works, and not much more.
    #[arg(long)]
    quick: bool,
    /// Where the JSON goes.
    #[arg(long, value_name = "DIR", default_value = "bench-results")]
    out: PathBuf,
    /// Where servers keep their data while they are measured; the file system counts [default: target/bench].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only this server, without peers.
    #[arg(long)]
    alone: bool,
    /// Measure this program instead of building one; the report names it.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Measure although the machine is busy with something else; the report says so.
    #[arg(long)]
    busy: bool,
}

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// Durable intake of hooks.
    #[value(name = "B1", alias = "b1")]
    B1,
    /// From a push to its first command.
    #[value(name = "B2", alias = "b2")]
    B2,
    /// A crash after the answer.
    #[value(name = "B4", alias = "b4")]
    B4,
    /// A job that writes a large log.
    #[value(name = "B6", alias = "b6")]
    B6,
    /// Many plans and branches.
    #[value(name = "B7", alias = "b7")]
    B7,
    /// Deliveries to receivers, some of which fail.
    #[value(name = "B8", alias = "b8")]
    B8,
    /// Clones and fetches.
    #[value(name = "fetch")]
    Fetch,
    /// Checking of plan files.
    #[value(name = "specs")]
    Specs,
}

/// What all measurements share.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Short runs.
    pub(crate) quick: bool,
    /// Which processor runs what.
    pub(crate) pinning: Pinning,
    /// The program that is measured.
    pub(crate) madake: PathBuf,
    /// Buildbot, or why it is not there.
    pub(crate) buildbot: Result<Buildbot, String>,
    /// Whether nginx and fcgiwrap are there, or why not.
    pub(crate) nginx: Result<(), String>,
}

/// Somebody who is measured: runs once in an empty folder.
pub(crate) struct Contestant {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// Why it cannot be run, if it cannot.
    pub(crate) absent: Option<String>,
    /// One run.
    pub(crate) run: fn(&Setting, &Path) -> anyhow::Result<Run>,
}

/// Runs the measurements that were asked for.
///
/// # Errors
/// When the program does not build, the machine is busy, or results cannot be written.
pub(crate) fn run(arguments: &Bench) -> anyhow::Result<ExitCode> {
    let data = arguments
        .data
        .clone()
        .unwrap_or_else(|| repository().join("target/bench"));
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let data = data.canonicalize()?;
    let out = repository().join(&arguments.out);
    std::fs::create_dir_all(&out)?;
    let madake = match &arguments.program {
        Some(program) => program
            .canonicalize()
            .with_context(|| format!("there is no {}", program.display()))?,
        None => madake::build()?,
    };
    let which = if arguments.which.is_empty() {
        Benchmark::value_variants()
    } else {
        &arguments.which
    };
    let peers = |needed: &[Benchmark]| !arguments.alone && which.iter().any(|one| needed.contains(one));
    let buildbot = if peers(&[Benchmark::B1, Benchmark::B2, Benchmark::B4]) {
        Buildbot::install(&data).map_err(|error| format!("{error:#}"))
    } else {
        Err("left out".to_owned())
    };
    let nginx = if peers(&[Benchmark::B2, Benchmark::Fetch]) {
        nginx::install().map_err(|error| format!("{error:#}"))
    } else {
        Err("left out".to_owned())
    };
    let setting = Setting {
        quick: arguments.quick,
        pinning: Pinning::begin()?,
        madake,
        buildbot,
        nginx,
    };
    let mut right = true;
    for one in which {
        right &= measure(&setting, arguments, *one, &data, &out)?;
    }
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs one measurement and reports it; whether this server passed its gates.
fn measure(
    setting: &Setting,
    arguments: &Bench,
    which: Benchmark,
    data: &Path,
    out: &Path,
) -> anyhow::Result<bool> {
    let (name, title, contestants) = match which {
        Benchmark::B1 => ("B1", b1_intake::TITLE, b1_intake::contestants(setting)),
        Benchmark::B2 => ("B2", b2_push::TITLE, b2_push::contestants(setting)),
        Benchmark::B4 => ("B4", b4_crash::TITLE, b4_crash::contestants(setting)),
        Benchmark::B6 => ("B6", b6_log::TITLE, b6_log::contestants(setting)),
        Benchmark::B7 => ("B7", b7_many::TITLE, b7_many::contestants(setting)),
        Benchmark::B8 => ("B8", b8_telling::TITLE, b8_telling::contestants(setting)),
        Benchmark::Fetch => ("fetch", fetch::TITLE, fetch::contestants(setting)),
        Benchmark::Specs => ("specs", specs::TITLE, specs::contestants(setting)),
    };
    println!("\n==> {name}: {title}");
    let quiet = arguments.busy || machine::wait_until_quiet();
    if !quiet {
        bail!(
            "the load average is {:.2}, and figures from a busy machine mislead: wait, or say --busy",
            machine::load()
        );
    }
    let mut all: Vec<Results> = contestants
        .iter()
        .map(|one| Results {
            contestant: one.name,
            runs: Vec::new(),
            absent: one.absent.clone(),
        })
        .collect();
    for one in all.iter().filter(|one| !arguments.alone && one.absent.is_some()) {
        println!(
            "!!! {} is NOT MEASURED: {}",
            one.contestant,
            one.absent.as_deref().unwrap_or_default()
        );
    }
    // A run of B4 is a hundred trials, each a repetition by itself.
    let rounds = if arguments.quick || name == "B4" { 1 } else { 3 };
    for round in 1..=rounds {
        for (contestant, results) in contestants.iter().zip(&mut all) {
            if contestant.absent.is_some() {
                continue;
            }
            println!("round {round} of {rounds}: {}", contestant.name);
            let folder = tempfile::Builder::new()
                .prefix(name)
                .tempdir_in(data)
                .context("cannot make a folder for a run")?;
            let load = machine::load();
            let run = (contestant.run)(setting, folder.path()).unwrap_or_else(|error| Run {
                figures: Vec::new(),
                gate: Err(format!("{error:#}")),
            });
            results.runs.push((load, run));
        }
    }
    let circumstances = json!({
        "processors": machine::processors(),
        "fileSystem": machine::file_system(data),
        "pinning": setting.pinning.shown(),
        "quick": arguments.quick,
        "busy": arguments.busy,
        "program": arguments.program,
        "rounds": rounds,
        "buildbot": setting.buildbot.as_ref().ok().map(|one| &one.version),
    });
    println!();
    print!("{}", as_table(&all));
    let path = out.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(&as_json(name, title, &circumstances, &all))?;
    std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    println!("written to {}", path.display());
    let ours = all.iter().filter(|one| one.contestant.starts_with("madake"));
    Ok(ours.flat_map(|one| &one.runs).all(|(_, run)| run.gate.is_ok()))
}
