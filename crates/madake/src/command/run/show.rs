//! What a run shows: on standard output the log, as the server keeps it; on standard error what happens around it.

use std::io::Write as _;

use anstyle::Style;
use anyhow::Context as _;
use madake_agent::log_tail::LogPiece;
use madake_domain::plan::{Job, PlanConfiguration};
use madake_domain::text::inert;
use madake_protocol::log::{LogKind, LogLine};

use super::here::{Ended, JobEnding};
use super::source::Source;
use crate::terminal::{BAD, BOLD, DIM, GOOD, WARN, duration, is_terminal, log_text, paint, short_revision};

/// The longest line that a terminal is given.
const LONGEST_LINE: usize = 4000;

/// A line on standard error.
pub(super) fn remark(text: &str) {
    anstream::eprintln!("{text}");
}

/// How a run is shown.
pub(super) struct Shown {
    /// Standard output is for the answer: the log goes to standard error.
    json: bool,
    on_terminal: bool,
}

impl Shown {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            on_terminal: !json && is_terminal(),
        }
    }

    pub(super) fn beginning(&self, plan: &PlanConfiguration, source: &Source) {
        let repository = &source.repository;
        let with = if source.uncommitted {
            ", with what is not committed"
        } else {
            ""
        };
        remark(&format!(
            "{} {}",
            paint(BOLD, &plan.key),
            paint(
                DIM,
                format_args!(
                    "{} at {}{with}",
                    inert(&repository.branch, 200),
                    short_revision(&repository.revision)
                )
            )
        ));
    }

    pub(super) fn stage(&self, name: &str) {
        remark(&format!("{} {}", paint(DIM, "──"), paint(BOLD, inert(name, 200))));
    }

    pub(super) fn disabled(&self, job: &Job) {
        remark(&paint(
            DIM,
            format_args!("– {} is disabled", inert(&job.name, 200)),
        ));
    }

    /// Shows a piece of the log; where to read on from.
    ///
    /// # Errors
    /// When nobody reads it.
    pub(super) fn log(&self, piece: &LogPiece) -> anyhow::Result<u64> {
        if self.json {
            anstream::eprint!("{}", piece.text);
        } else if self.on_terminal {
            let mut out = anstream::stdout().lock();
            for line in piece.lines() {
                writeln!(out, "{}", on_terminal(line)).context("cannot print")?;
            }
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(piece.text.as_bytes())
                .and_then(|()| out.flush())
                .context("cannot print")?;
        }
        Ok(piece.next_offset)
    }

    pub(super) fn ended(&self, job: &JobEnding) {
        let name = inert(&job.name, 200);
        let (mark, style) = mark(job.ended);
        let took = paint(DIM, duration(job.took_ms));
        let why = match job.ended {
            Ended::Successful => String::new(),
            Ended::Failed | Ended::Stopped => format!(": {}", inert(&job.message, 500)),
        };
        remark(&format!("{} {name}{why} {took}", paint(style, mark)));
    }

    pub(super) fn verdict(&self, plan: &PlanConfiguration, jobs: &[JobEnding]) {
        let worst = jobs
            .iter()
            .map(|job| job.ended)
            .find(|ended| *ended != Ended::Successful)
            .unwrap_or(Ended::Successful);
        let took = jobs.iter().map(|job| job.took_ms).sum();
        let (mark, style) = mark(worst);
        remark(&format!(
            "{} {} {} in {}",
            paint(style, mark),
            paint(BOLD, &plan.key),
            paint(style, worst.word()),
            duration(took)
        ));
    }
}

fn mark(ended: Ended) -> (&'static str, Style) {
    match ended {
        Ended::Successful => ("✓", GOOD),
        Ended::Failed => ("✗", BAD),
        Ended::Stopped => ("–", WARN),
    }
}

/// A line of the log for a person.
fn on_terminal(line: &str) -> String {
    let Some(parsed) = LogLine::parse(line) else {
        return log_text(line, LONGEST_LINE);
    };
    let time = parsed.time.rsplit(' ').next().unwrap_or_default();
    let message = log_text(parsed.message, LONGEST_LINE);
    let message = match parsed.kind {
        LogKind::Build => message,
        LogKind::Simple | LogKind::Command => paint(DIM, message),
        LogKind::Error => paint(BAD, message),
    };
    format!("{} {message}", paint(DIM, time))
}
