//! The machine: which processor runs what, how busy it is, and what a process has used.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use crate::process::{answers, output_of};

/// The load average above which figures are not to be trusted.
const QUIET: f64 = 0.5;

/// Where servers and load run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pinning {
    on: bool,
}

impl Pinning {
    /// Moves this process, and what it starts from now on, to the second processor; the first is for servers.
    /// Without `taskset` or a second processor everything runs where the system likes.
    ///
    /// # Errors
    /// When `taskset` is there and refuses.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let on = processors > 1 && answers("taskset", "--version");
        if on {
            output_of(Command::new("taskset").args(["-a", "-c", "-p", "1", &std::process::id().to_string()]))
                .context("cannot pin the load to the second processor")?;
        }
        Ok(Self { on })
    }

    /// A call of a server, on the first processor. The process has the id that the call returns.
    pub(crate) fn server(self, program: &Path) -> Command {
        if !self.on {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program);
        command
    }

    /// In a few words, for the report.
    pub(crate) fn shown(self) -> &'static str {
        if self.on {
            "server on processor 0, load on processor 1"
        } else {
            "not pinned"
        }
    }
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of processor time, with those of children that have ended and were waited for.
    pub(crate) cpu_seconds: f64,
    /// The most memory that it ever had resident, in MiB.
    pub(crate) peak_mib: f64,
    /// The memory that it has resident now, in MiB.
    pub(crate) resident_mib: f64,
}

/// Reads the usage of a running process.
///
/// # Errors
/// When it is not running.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("the process {pid} is not running"))?;
    // The name in brackets may hold anything; numbers start behind the last bracket.
    let numbers: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|word| word.parse().unwrap_or(0.0))
        .collect();
    let ticks: f64 = numbers.get(11..15).map_or(0.0, |times| times.iter().sum());
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |name: &str| {
        status
            .lines()
            .find_map(|line| {
                line.strip_prefix(name)?
                    .split_whitespace()
                    .next()?
                    .parse::<f64>()
                    .ok()
            })
            .map_or(0.0, |kib| kib / 1024.0)
    };
    Ok(Usage {
        // Linux counts in hundredths of a second whatever the machine.
        cpu_seconds: ticks / 100.0,
        peak_mib: mib("VmHWM:"),
        resident_mib: mib("VmRSS:"),
    })
}

/// The load average of the last minute.
pub(crate) fn load() -> f64 {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0.0)
}

/// Waits up to two minutes for the machine to be quiet; says whether it is.
pub(crate) fn wait_until_quiet() -> bool {
    let began = Instant::now();
    while load() > QUIET {
        if began.elapsed() > Duration::from_secs(120) {
            return false;
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    true
}

/// The kind of file system that `folder` is on, such as `ext4`.
pub(crate) fn file_system(folder: &Path) -> String {
    output_of(Command::new("stat").args(["-f", "-c", "%T"]).arg(folder))
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// The processor's name and how many there are.
pub(crate) fn processors() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let count = text.lines().filter(|line| line.starts_with("processor")).count();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown", |(_, name)| name.trim());
    format!("{count} x {name}")
}

/// Seconds since 1970, to compare with the `date` of a job.
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement compares its clock with that of a job"
)]
pub(crate) fn wall_clock() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// A number below `limit` that differs from call to call.
pub(crate) fn random_below(limit: u64) -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Each state is keyed anew by the standard library.
    let drawn = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    drawn % limit.max(1)
}

/// Asks `question` every few milliseconds until it answers or `limit` is over.
pub(crate) fn wait_for<T>(limit: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = question() {
            return Some(answer);
        }
        if began.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
