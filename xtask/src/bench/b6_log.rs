//! B6, a firehose of a log: a job writes a million lines of 100 bytes as fast as it can. How fast they are stored, what
//! that does to the server's memory, how fast a line far behind opens, and whether 20 viewers get every line.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::http::Client;
use super::machine::wait_for;
use super::madake::Madake;
use super::report::{Run, figure, quantile};
use super::server::Server;
use super::work_tree::WorkTree;
use super::{Contestant, Setting};

/// The headline.
pub(crate) const TITLE: &str = "a job that writes a million lines of 100 bytes";

/// Lines of a job.
const LINES: usize = 1_000_000;
/// Bytes of a line, its line feed included.
const LINE_BYTES: usize = 100;
/// Who follows the log while it grows.
const VIEWERS: usize = 20;
/// The line that is jumped to.
const FAR_LINE: usize = 900_000;
/// How long a build may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// What the issue asks for: megabytes (10^6 bytes) in a second.
const LEAST_SPEED: f64 = 100.0;
/// What the issue asks for: milliseconds until the far line is there.
const LONGEST_JUMP_MS: f64 = 50.0;
/// How much the server's memory may grow over a log, in MiB, to count as flat.
const FLAT_MIB: f64 = 16.0;

/// Who is measured.
pub(crate) fn contestants(_: &Setting) -> Vec<Contestant> {
    vec![Contestant {
        name: "madake",
        absent: None,
        run: madake,
    }]
}

fn madake(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let madake = Madake::new(setting, folder, "")?;
    madake.command(&["repo", "create", "BENCH/log"], "")?;
    let server = madake.start()?;
    let mut tree = WorkTree::new(
        &folder.join("tree"),
        &madake.clone_url("bench", "log"),
        Some(Madake::credentials()),
    )?;
    tree.write("bamboo-specs/bamboo.yml", &plan_file())?;
    let before = server.usage()?;
    tree.commit()?;
    tree.push("main")?;
    let alone = Job::wait(&madake, 1)?;
    let after = server.usage()?;
    let grown = after.peak_mib - before.peak_mib;
    let mut right = alone.is_whole();

    let (list, far_text) = jump_times(&madake, if setting.quick { 5 } else { 50 })?;
    if right.is_ok() && !far_text.contains(&line(FAR_LINE)) {
        right = Err(format!("line {FAR_LINE} is not in the answer for it"));
    }

    let followed = follow(&madake, &server, &mut tree)?;
    right = right.and(followed.right);
    let median = quantile(&list, 0.5).unwrap_or(f64::MAX);
    let speed = alone.speed();
    let gate = right.and_then(|()| {
        if speed < LEAST_SPEED {
            Err(format!("{speed:.0} MB/s are too slow"))
        } else if median > LONGEST_JUMP_MS {
            Err(format!("line {FAR_LINE} took {median:.0} ms"))
        } else if grown > FLAT_MIB {
            Err(format!("the server's memory grew by {grown:.0} MiB"))
        } else {
            Ok(())
        }
    });
    Ok(Run {
        figures: vec![
            figure("stored", "MB/s", speed),
            figure("stored, with 20 viewers", "MB/s", followed.speed),
            figure("last viewer done after the job", "ms", followed.behind_ms),
            figure("jump to line 900 000, p50", "ms", median),
            figure(
                "jump to line 900 000, p99",
                "ms",
                quantile(&list, 0.99).unwrap_or(0.0),
            ),
            figure("server memory grew by", "MiB", grown),
            figure("peak memory with viewers", "MiB", followed.peak_mib),
            figure("server CPU, with viewers", "s", followed.cpu_seconds),
            figure("on disk", "MB", alone.disk_mb),
        ],
        gate,
    })
}

/// The lines are made first, so that what makes them is not measured.
fn plan_file() -> String {
    let filling = "x".repeat(LINE_BYTES - 9);
    format!(
        "version: 2\nplan: {{project-key: BENCH, key: LOG, name: Log}}\nstages:\n- Build: {{jobs: [Job]}}\nJob:\n  key: JOB\n  \
         tasks:\n  - script: |\n      awk 'BEGIN {{ for (i = 1; i <= {LINES}; i++) printf \"%07d %s\\n\", i, \"{filling}\" }}' > lines\n      \
         echo begin $(date +%s%3N)\n      cat lines\n      rm lines\n"
    )
}

/// A line of the job, without its line feed.
fn line(number: usize) -> String {
    format!("{number:07} {}", "x".repeat(LINE_BYTES - 9))
}

/// A build's only job, ended, and its log.
struct Job {
    key: String,
    began_ms: f64,
    finished_ms: f64,
    disk_mb: f64,
    sha256: Vec<u8>,
}

impl Job {
    fn wait(madake: &Madake<'_>, number: usize) -> anyhow::Result<Self> {
        let statement = format!(
            "SELECT job.finished_ms FROM job JOIN build ON build.id = job.build_id
             WHERE build.number = {number} AND job.finished_ms IS NOT NULL"
        );
        let finished_ms = wait_for(PATIENCE, || {
            let rows = madake.rows(&statement).ok()?;
            rows.first()?.first()?.as_f64()
        })
        .context("the job did not end")?;
        let key = format!("BENCH-LOG-JOB-{number}");
        let answer = madake.client().send(
            "GET",
            &format!("/download/BENCH-LOG-JOB/build_logs/{key}.log"),
            &[],
            b"",
        )?;
        if answer.status != 200 {
            bail!("the log of {key} was answered with {}", answer.status);
        }
        let (mut digest, mut began_ms) = (Sha256::new(), None);
        for text in answer.body.split_inclusive(|byte| *byte == b'\n') {
            let message = text.splitn(3, |byte| *byte == b'\t').nth(2).unwrap_or_default();
            if let Some(at) = message.strip_prefix(b"begin ") {
                began_ms = String::from_utf8_lossy(at).trim().parse().ok();
            } else if message.len() == LINE_BYTES && message.ends_with(b"xx\n") {
                digest.update(message);
            }
        }
        Ok(Self {
            key,
            began_ms: began_ms.context("the log does not say when the lines began")?,
            finished_ms,
            #[expect(clippy::cast_precision_loss, reason = "a log is far smaller than 2^52 bytes")]
            disk_mb: answer.body.len() as f64 / 1e6,
            sha256: digest.finalize().to_vec(),
        })
    }

    /// Megabytes of output in a second, from the first line to the stored end of the job.
    fn speed(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a log is far smaller than 2^52 bytes")]
        let megabytes = (LINES * LINE_BYTES) as f64 / 1e6;
        megabytes / ((self.finished_ms - self.began_ms).max(1.0) / 1000.0)
    }

    /// Whether each line is there, in order, as it was written.
    fn is_whole(&self) -> Result<(), String> {
        let mut sent = Sha256::new();
        for number in 1..=LINES {
            sent.update(line(number));
            sent.update(b"\n");
        }
        if sent.finalize().to_vec() == self.sha256 {
            Ok(())
        } else {
            Err(format!("the log of {} is not what the job wrote", self.key))
        }
    }
}

/// Milliseconds until a far line is there, sorted, and the last answer.
fn jump_times(madake: &Madake<'_>, requests: usize) -> anyhow::Result<(Vec<f64>, String)> {
    let mut client = madake.client();
    let path = format!(
        "/rest/api/latest/result/BENCH-LOG-JOB-1?expand=logEntries&start-index={FAR_LINE}&max-results=100"
    );
    let (mut times, mut text) = (Vec::new(), String::new());
    for _ in 0..requests {
        let sent = Instant::now();
        let answer = client.send("GET", &path, &[("Accept", "application/json")], b"")?;
        times.push(sent.elapsed().as_secs_f64() * 1000.0);
        if answer.status != 200 {
            bail!("a page of the log was answered with {}", answer.status);
        }
        text = String::from_utf8_lossy(&answer.body).into_owned();
    }
    times.sort_by(f64::total_cmp);
    Ok((times, text))
}

struct Followed {
    speed: f64,
    behind_ms: f64,
    peak_mib: f64,
    cpu_seconds: f64,
    right: Result<(), String>,
}

/// A second build, with viewers from its beginning to the end of its log.
fn follow(madake: &Madake<'_>, server: &Server, tree: &mut WorkTree) -> anyhow::Result<Followed> {
    let before = server.usage()?.cpu_seconds;
    tree.commit()?;
    tree.push("main")?;
    let (job, seen) = std::thread::scope(|scope| {
        let viewers: Vec<_> = (0..VIEWERS)
            .map(|_| {
                let client = madake.client();
                scope.spawn(move || view(client))
            })
            .collect();
        let job = Job::wait(madake, 2);
        let seen: Vec<_> = viewers
            .into_iter()
            .map(|viewer| viewer.join().unwrap_or_else(|_| bail!("a viewer panicked")))
            .collect();
        (job, seen)
    });
    let job = job?;
    let seen = seen.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let short = seen.iter().find(|(lines, _)| *lines != LINES);
    let right = match short {
        Some((lines, _)) => Err(format!("a viewer saw {lines} of {LINES} lines")),
        None => job.is_whole(),
    };
    let last = seen.iter().map(|(_, at)| *at).fold(0.0, f64::max);
    let after = server.usage()?;
    Ok(Followed {
        speed: job.speed(),
        behind_ms: (last * 1000.0 - job.finished_ms).max(0.0),
        peak_mib: after.peak_mib,
        cpu_seconds: after.cpu_seconds - before,
        right,
    })
}

/// Follows the second build; how many of its lines were seen, and when the last came, in seconds since 1970.
fn view(mut client: Client) -> anyhow::Result<(usize, f64)> {
    let (mut after, mut lines, mut last) = (String::new(), 0, None);
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let path = format!("/rest/madake/1.0/builds/BENCH-LOG-2/log?after={after}");
        let answer = client.send("GET", &path, &[], b"")?;
        if answer.status == 404 {
            // The push is not decided yet.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        // Read as text: the viewers share the processors with the server, and are not what is measured.
        let piece = String::from_utf8(answer.body).context("a piece of the log is no text")?;
        lines += piece.matches("xxx\"").count();
        let (_, next) = piece
            .rsplit_once("\"next\":\"")
            .context("a piece of the log has no `next`")?;
        next.trim_end_matches(['"', '}']).clone_into(&mut after);
        let is_empty = !piece.contains("\"lines\":[{");
        if is_empty && piece.starts_with("{\"finished\":true") {
            return Ok((lines, last.unwrap_or_else(super::machine::wall_clock)));
        }
        if is_empty {
            std::thread::sleep(Duration::from_millis(100));
        } else {
            last = Some(super::machine::wall_clock());
        }
    }
    bail!("a viewer saw {lines} lines and no end")
}
