//! Checking of plan files: one as large as the largest that is known, and many at once.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::report::{Run, figure};
use super::{Contestant, Setting};

/// What it is about.
pub(crate) const TITLE: &str = "checking plan files, start of the program included";

/// The size of the largest real plan file that was studied, in bytes.
const LARGEST_BYTES: usize = 36 * 1024;
/// The size of a usual one.
const USUAL_BYTES: usize = 4 * 1024;
/// How many are checked at once.
const MANY: usize = 100;
/// The most that one large file may take beyond an empty one, in milliseconds.
const ONE_LIMIT_MS: f64 = 5.0;
/// The most that many may take, in milliseconds.
const MANY_LIMIT_MS: f64 = 200.0;

/// This server alone: nobody else checks such files without a server.
pub(crate) fn contestants(_: &Setting) -> Vec<Contestant> {
    vec![Contestant {
        name: "madake",
        absent: None,
        run,
    }]
}

fn run(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let write = |name: String, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok::<_, anyhow::Error>(path)
    };
    let small = write("small.yml".to_owned(), plan(0, 0))?;
    let large = write("large.yml".to_owned(), plan(0, LARGEST_BYTES))?;
    let mut many = Vec::with_capacity(MANY);
    for number in 0..MANY {
        many.push(write(format!("{number}.yml"), plan(number, USUAL_BYTES))?);
    }
    let rounds = if setting.quick { 5 } else { 40 };
    let (start, _) = fastest(setting, std::slice::from_ref(&small), rounds)?;
    let (one, right_one) = fastest(setting, std::slice::from_ref(&large), rounds)?;
    let (all, right_all) = fastest(setting, &many, rounds)?;
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let beyond = ms(one) - ms(start);
    let gate = if !(right_one && right_all) {
        Err("a good file was refused".to_owned())
    } else if beyond > ONE_LIMIT_MS {
        Err(format!("the large file took {beyond:.1} ms"))
    } else if ms(all) > MANY_LIMIT_MS {
        Err(format!("{MANY} files took {:.1} ms", ms(all)))
    } else {
        Ok(())
    };
    Ok(Run {
        figures: vec![
            figure("start, and a tiny file", "ms", ms(start)),
            figure("36 KiB beyond that", "ms", beyond),
            figure("100 files", "ms", ms(all)),
        ],
        gate,
    })
}

/// The shortest of some rounds, and whether the files were found good in all of them.
fn fastest(setting: &Setting, files: &[PathBuf], rounds: usize) -> anyhow::Result<(Duration, bool)> {
    let (mut shortest, mut right) = (Duration::MAX, true);
    for _ in 0..rounds {
        let mut command = Command::new(&setting.madake);
        command.args(["specs", "validate", "--json"]).args(files);
        let began = Instant::now();
        let output = command.output().context("cannot run the program")?;
        shortest = shortest.min(began.elapsed());
        right &= output.status.success();
    }
    Ok((shortest, right))
}

/// A plan file of about this size, with what real ones have most of.
fn plan(number: usize, bytes: usize) -> String {
    let mut jobs = String::new();
    let mut names = Vec::new();
    while names.is_empty() || jobs.len() < bytes {
        let name = format!("Job {}", names.len() + 1);
        let _ = write!(
            jobs,
            "{name}:\n  key: JOB{}\n  docker:\n    image: registry.example.org/build:1\n    volumes:\n      ${{system.CACHE}}: \
             /cache\n  tasks:\n    - checkout:\n        force-clean-build: 'true'\n    - script:\n        interpreter: SHELL\n        \
             scripts:\n          - |-\n            set -e\n            make target-{} VERSION=${{bamboo.buildNumber}}\n            make \
             check\n    - maven:\n        executable: Maven 3\n        jdk: JDK 21\n        goal: clean install\n  final-tasks:\n    \
             - test-parser:\n        type: junit\n        test-results: '**/junit.xml'\n  requirements:\n    - linux\n  artifacts:\n    \
             - name: output {}\n      pattern: '**/*.tar.gz'\n      location: out\n",
            names.len() + 1,
            names.len() + 1,
            names.len() + 1,
        );
        names.push(name);
    }
    format!(
        "version: 2\nplan:\n  project-key: BENCH\n  key: PLAN{number}\n  name: Plan {number}\nstages:\n  - Build:\n      jobs: [{}]\n{jobs}",
        names.join(", ")
    )
}
