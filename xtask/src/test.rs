//! `cargo xtask test`: what the build server checks, step by step, with a headline and a time for each.
//!
//! A step that fails does not keep the later ones from running, so that one run tells everything; the exit code is
//! that of the first that failed.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::process::{answers, cargo};
use crate::{layering, prerequisites};

/// Flags of `cargo xtask test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Only this step.
    #[arg(long, value_name = "STEP")]
    only: Option<Step>,
    /// Longer runs of the tests that kill servers and jobs (sets MADAKE_LONG=1).
    #[arg(long)]
    long: bool,
}

/// One thing that is checked. The tests come last, so that their closing line stays in sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// The format of the code.
    Fmt,
    /// Who uses whom, compared with ARCHITECTURE.md.
    Layering,
    /// Lints, with warnings as errors.
    Clippy,
    /// Documentation, with warnings as errors.
    Doc,
    /// The tests.
    Test,
}

const STEPS: [Step; 5] = [Step::Fmt, Step::Layering, Step::Clippy, Step::Doc, Step::Test];

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Layering => "layering",
            Self::Clippy => "clippy",
            Self::Doc => "doc",
            Self::Test => "test",
        }
    }
}

/// How a step ended: its exit code, and the closing line of the test runner if it was the tests.
struct Ended {
    code: u8,
    closing: Option<String>,
}

/// Runs the steps.
///
/// # Errors
/// When something that the tests need is missing and cannot be installed.
pub(crate) fn run(arguments: &Test) -> anyhow::Result<ExitCode> {
    prerequisites::install_missing(&prerequisites::FOR_TESTS)?;
    if arguments.only.is_none_or(|only| only == Step::Test) {
        prerequisites::install_receivers()?;
    }
    println!("{}", prerequisites::check_git()?);
    let nextest = answers("cargo-nextest", "--version");
    let mut rows: Vec<(Step, u8, Duration)> = Vec::new();
    let mut closing = None;
    for step in STEPS {
        if arguments.only.is_some_and(|only| only != step) {
            continue;
        }
        println!("\n==> {}: {}", step.name(), purpose(step, nextest));
        let began = Instant::now();
        let ended = run_step(step, nextest, arguments.long)?;
        let took = began.elapsed();
        println!(
            "<== {} {} in {:.1} s",
            step.name(),
            verdict(ended.code),
            took.as_secs_f64()
        );
        rows.push((step, ended.code, took));
        closing = ended.closing.or(closing);
    }
    println!();
    for (step, code, took) in &rows {
        println!(
            "{:<10} {:<7} {:>7.1} s",
            step.name(),
            verdict(*code),
            took.as_secs_f64()
        );
    }
    if let Some(line) = closing {
        println!("{line}");
    }
    let first_failure = rows.iter().map(|(_, code, _)| *code).find(|code| *code != 0);
    Ok(ExitCode::from(first_failure.unwrap_or(0)))
}

fn verdict(code: u8) -> &'static str {
    if code == 0 { "passed" } else { "FAILED" }
}

fn purpose(step: Step, nextest: bool) -> &'static str {
    match step {
        Step::Fmt => "the code is formatted",
        Step::Layering => "crates use what ARCHITECTURE.md says",
        Step::Clippy => "lints, warnings are errors",
        Step::Doc => "documentation builds, warnings are errors",
        Step::Test if nextest => "all tests, by cargo nextest",
        Step::Test => "all tests, by cargo test, as cargo-nextest is not installed",
    }
}

fn run_step(step: Step, nextest: bool, long: bool) -> anyhow::Result<Ended> {
    let mut command = match step {
        Step::Layering => return Ok(layered()),
        Step::Fmt => cargo(&["fmt", "--all", "--check"]),
        Step::Clippy => cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]),
        Step::Doc => {
            let mut command = cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
            command.env("RUSTDOCFLAGS", "-D warnings");
            command
        }
        Step::Test => return tested(nextest, long),
    };
    let status = command
        .status()
        .with_context(|| format!("cannot start cargo for {}", step.name()))?;
    Ok(Ended {
        code: code_of(status),
        closing: None,
    })
}

fn layered() -> Ended {
    let code = match layering::run() {
        Ok(()) => 0,
        Err(error) => {
            println!("{error:#}");
            1
        }
    };
    Ended { code, closing: None }
}

fn code_of(status: std::process::ExitStatus) -> u8 {
    match status.code() {
        Some(code) => u8::try_from(code).unwrap_or(1),
        None => 1,
    }
}

/// How many tests run at once: half as many again as there are processors, since most of them wait for programs and
/// servers for a good part of their time.
fn threads() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    processors + processors.div_ceil(2)
}

/// Runs the tests, shows what the runner prints as it comes, and keeps its closing line.
fn tested(nextest: bool, long: bool) -> anyhow::Result<Ended> {
    let mut command = if nextest {
        let mut command = cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]);
        command.args(["--test-threads", &threads().to_string()]);
        command
    } else {
        cargo(&["test", "--workspace", "--no-fail-fast"])
    };
    if long {
        command.env("MADAKE_LONG", "1");
    }
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    // One pipe for both streams keeps their lines in order.
    let (reading, writing) = std::io::pipe().context("cannot make a pipe")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writing.try_clone().context("cannot share a pipe")?)
        .stderr(writing)
        .spawn()
        .context("cannot start the tests")?;
    // The command holds the writing ends; the pipe ends only when they are closed.
    drop(command);
    let mut tally = Tally::default();
    let mut lines = BufReader::new(reading);
    let mut line = Vec::new();
    while lines
        .read_until(b'\n', &mut line)
        .context("cannot read what the tests print")?
        > 0
    {
        let mut shown = std::io::stdout().lock();
        shown.write_all(&line).context("cannot print")?;
        shown.flush().context("cannot print")?;
        tally.take(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait().context("cannot wait for the tests")?;
    Ok(Ended {
        code: code_of(status),
        closing: tally.closing(),
    })
}

/// What the runners said at their ends: nextest once, cargo test once for each test program.
#[derive(Debug, Default)]
struct Tally {
    nextest: Option<String>,
    programs: usize,
    counts: [u64; 3],
}

impl Tally {
    fn take(&mut self, line: &str) {
        let plain = without_colour(line);
        let plain = plain.trim();
        if plain.starts_with("Summary [") {
            self.nextest = Some(plain.to_owned());
        } else if let Some(rest) = plain.strip_prefix("test result: ") {
            self.programs += 1;
            for (count, word) in self.counts.iter_mut().zip(["passed", "failed", "ignored"]) {
                *count += number_before(rest, word);
            }
        }
    }

    fn closing(&self) -> Option<String> {
        if self.nextest.is_some() || self.programs == 0 {
            return self.nextest.clone();
        }
        let [passed, failed, ignored] = self.counts;
        let verdict = if failed == 0 { "ok" } else { "FAILED" };
        Some(format!(
            "test result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; in {} test programs",
            self.programs
        ))
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    text.split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A colour ends with its first letter.
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally_of(lines: &[&str]) -> Option<String> {
        let mut tally = Tally::default();
        for line in lines {
            tally.take(line);
        }
        tally.closing()
    }

    #[test]
    fn closing_line_of_nextest_is_kept_without_colour() {
        let lines = [
            "        PASS [   0.004s] x y\n",
            "\u{1b}[32;1m     Summary\u{1b}[0m [   1.2s] 3 tests run: 3 passed, 0 skipped\n",
        ];
        assert_eq!(
            tally_of(&lines).as_deref(),
            Some("Summary [   1.2s] 3 tests run: 3 passed, 0 skipped")
        );
    }

    #[test]
    fn closing_lines_of_test_programs_are_added_up() {
        let lines = [
            "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n",
        ];
        assert_eq!(
            tally_of(&lines).as_deref(),
            Some("test result: FAILED. 6 passed; 1 failed; 1 ignored; in 2 test programs")
        );
        assert_eq!(tally_of(&["nothing\n"]), None);
    }
}
