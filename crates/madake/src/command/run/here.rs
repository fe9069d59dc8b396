//! Runs jobs one after the other, by the agent that is built into the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use madake_agent::capability_detection::detect;
use madake_agent::local::{JobEnd, LocalAgent};
use madake_agent::log_tail::tail;
use madake_domain::plan::{Job, PlanConfiguration, Variable};
use madake_engine::settings::Settings;
use madake_protocol::{Isolation, JobResult};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use super::artifacts::Artifacts;
use super::order;
use super::show::{Shown, remark};
use super::source::Source;
use crate::terminal::{WARN, paint};

/// How often the log is looked at.
const REST: Duration = Duration::from_millis(30);
/// How much of a log is read at once, in bytes.
const PIECE: usize = 1024 * 1024;

/// Where and with what jobs run.
pub(super) struct Here {
    settings: Settings,
    folder: TempDir,
    place: PathBuf,
    source: Source,
    others: Vec<Source>,
    values: BTreeMap<String, String>,
    isolation: Isolation,
    agent: LocalAgent,
    jobs: i64,
    capabilities: Vec<(String, String)>,
    /// What jobs made for those behind them.
    handed_on: Vec<Variable>,
    /// What stands for secrets that a server would have.
    stubs: Vec<Variable>,
    artifacts: Artifacts,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Successful,
    Failed,
    Stopped,
}

impl Ended {
    /// The word in JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Successful => "successful",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// What came of a job.
#[derive(Debug, Clone)]
pub(super) struct JobEnding {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) stage: String,
    pub(super) ended: Ended,
    pub(super) message: String,
    pub(super) exit_code: Option<i32>,
    pub(super) took_ms: i64,
}

impl Here {
    pub(super) fn new(
        settings: Settings,
        folder: TempDir,
        place: PathBuf,
        source: Source,
        others: Vec<Source>,
        values: BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let sources: Vec<&Source> = others.iter().chain([&source]).collect();
        let isolation = order::isolation(&settings, &sources)?;
        let agent = LocalAgent::new(place.join("jobs"), &settings.program);
        let detected = detect(&isolation);
        Ok(Self {
            settings,
            folder,
            place,
            source,
            others,
            values,
            isolation,
            agent,
            jobs: 0,
            capabilities: detected
                .iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            handed_on: Vec::new(),
            stubs: Vec::new(),
            artifacts: Artifacts::default(),
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn others(&self) -> &[Source] {
        &self.others
    }

    pub(super) fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    pub(super) fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    pub(super) fn capabilities(&self) -> &[(String, String)] {
        &self.capabilities
    }

    pub(super) fn handed_on(&self) -> &[Variable] {
        &self.handed_on
    }

    /// What stands for secrets that a server would have.
    pub(super) fn stubs(&self) -> &[Variable] {
        &self.stubs
    }

    /// Gives jobs these variables, where nothing else sets them.
    pub(super) fn stub(&mut self, stubs: Vec<Variable>) {
        self.stubs = stubs;
    }

    /// What the jobs of this run have kept.
    pub(super) fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// Leaves what the run makes.
    pub(super) fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }

    /// Runs a job and shows its log while it grows. The first request to stop is a friendly one.
    ///
    /// # Errors
    /// When the job cannot be started or followed.
    pub(super) async fn run(
        &mut self,
        plan: &PlanConfiguration,
        stage: &str,
        job: &Job,
        shown: &Shown,
    ) -> anyhow::Result<JobEnding> {
        self.jobs += 1;
        let order = order::make(self, plan, stage, job, self.jobs);
        let mut interrupts = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
        let mut terminations = signal(SignalKind::terminate()).context("cannot listen for signals")?;
        let mut running = self.agent.start(&order)?;
        let directory = running.directory().clone();
        let (mut offset, mut asked) = (0, false);
        let end = loop {
            let wanted = tokio::select! {
                end = running.finished() => break end?,
                () = tokio::time::sleep(REST) => false,
                _ = interrupts.recv() => true,
                _ = terminations.recv() => true,
            };
            if wanted && !asked {
                remark(&paint(WARN, "stopping; once more ends it at once"));
                self.agent.request_stop(&directory, "you")?;
                asked = true;
            } else if wanted {
                self.agent.force_end(&directory)?;
            }
            offset = shown.log(&tail(&order.log_path, offset, PIECE)?)?;
        };
        loop {
            let piece = tail(&order.log_path, offset, PIECE)?;
            if piece.text.is_empty() {
                break;
            }
            offset = shown.log(&piece)?;
        }
        if let JobEnd::Finished(outcome) = &end {
            let made = outcome.variables.iter().map(|one| Variable {
                name: one.name.clone(),
                value: one.value.clone(),
            });
            self.handed_on.extend(made);
        }
        self.artifacts.add(stage, &directory);
        Ok(ending(stage, job, end))
    }
}

fn ending(stage: &str, job: &Job, end: JobEnd) -> JobEnding {
    let (ended, message, exit_code, took_ms) = match end {
        JobEnd::Finished(outcome) => {
            let ended = match &outcome.result {
                JobResult::Successful => Ended::Successful,
                JobResult::Stopped => Ended::Stopped,
                JobResult::Failed | JobResult::TimedOut | JobResult::Error(_) => Ended::Failed,
            };
            let message = match outcome.result {
                JobResult::Error(reason) => reason,
                _ => outcome.message,
            };
            let took_ms = outcome.finished_ms - outcome.started_ms;
            (ended, message, outcome.exit_code, took_ms)
        }
        JobEnd::Lost { reason, .. } => (Ended::Failed, reason, None, 0),
    };
    JobEnding {
        name: job.name.clone(),
        key: job.key.clone(),
        stage: stage.to_owned(),
        ended,
        message,
        exit_code,
        took_ms,
    }
}
