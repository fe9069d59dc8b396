//! Plans in shorthand and a build that is easy to push about, for the tests of the stage machine.

#![expect(
    clippy::unwrap_used,
    reason = "what these helpers unwrap, the test has just made"
)]

use std::collections::BTreeMap;

use madake_domain::schedule::{
    Build, BuildOutcome, BuildState, Effect, Input, InvalidTransition, Job, JobOutcome, JobState, NewJob,
    NewStage, StageState, step,
};
use madake_domain::stage_selection::StageRequest;

/// The agent that does the work where it does not matter which.
pub(crate) const AGENT: &str = "agent-1";

/// Makes stages of a shorthand: names in order, each followed by `*` if manual, `!` if final, and `:n` for n jobs
/// in place of one. The jobs of the first stage have the ids 10, 11, …, those of the second 20, 21, …
pub(crate) fn plan(shorthand: &str) -> Vec<NewStage> {
    let stage = |(index, word): (usize, &str)| {
        let (flagged, jobs) = word.split_once(':').unwrap_or((word, "1"));
        let first_id = 10 * (i64::try_from(index).unwrap() + 1);
        NewStage {
            name: flagged.trim_end_matches(['*', '!']).to_owned(),
            manual: flagged.contains('*'),
            final_stage: flagged.contains('!'),
            jobs: (0..jobs.parse::<i64>().unwrap())
                .map(|job| NewJob {
                    id: first_id + job,
                    enabled: true,
                })
                .collect(),
        }
    };
    shorthand.split_whitespace().enumerate().map(stage).collect()
}

/// Reads a query as a server would, without percent decoding.
pub(crate) fn query(text: &str) -> StageRequest {
    let pairs = text
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    StageRequest::from_query(pairs)
}

pub(crate) fn failed() -> JobOutcome {
    JobOutcome::Failed {
        reason: "a test failed".to_owned(),
    }
}

/// A build and what has come of it since the last look.
pub(crate) struct Story {
    pub(crate) build: Build,
    pub(crate) effects: Vec<Effect>,
    pub(crate) now_ms: i64,
}

impl Story {
    /// A build that has not been started.
    pub(crate) fn created(shorthand: &str, post: &str) -> Self {
        let build = Build::new(plan(shorthand), &query(post)).unwrap();
        Self {
            build,
            effects: Vec::new(),
            now_ms: 1_000,
        }
    }

    /// A build that has just been started.
    pub(crate) fn started(shorthand: &str, post: &str) -> Self {
        let mut story = Self::created(shorthand, post);
        story.take(Input::Start);
        story
    }

    pub(crate) fn take(&mut self, input: Input) {
        self.attempt(input).unwrap();
    }

    pub(crate) fn attempt(&mut self, input: Input) -> Result<(), InvalidTransition> {
        self.now_ms += 1;
        let (build, effects) = step(&self.build, input, self.now_ms)?;
        self.build = build;
        self.effects.extend(effects);
        Ok(())
    }

    pub(crate) fn lease(&mut self, job: i64) {
        let attempt = self.attempt_of(job);
        self.take(Input::JobLeased {
            job,
            attempt,
            holder: AGENT.to_owned(),
        });
    }

    pub(crate) fn run(&mut self, job: i64) {
        self.lease(job);
        let attempt = self.attempt_of(job);
        self.take(Input::JobStarted {
            job,
            attempt,
            holder: AGENT.to_owned(),
        });
    }

    pub(crate) fn finish(&mut self, job: i64, outcome: JobOutcome) {
        let attempt = self.attempt_of(job);
        self.take(Input::JobFinished {
            job,
            attempt,
            holder: AGENT.to_owned(),
            outcome,
        });
    }

    /// Runs a queued job to its end.
    pub(crate) fn work(&mut self, job: i64, outcome: JobOutcome) {
        self.run(job);
        self.finish(job, outcome);
    }

    pub(crate) fn stop(&mut self) {
        self.take(Input::Stop { by: "joe".to_owned() });
    }

    pub(crate) fn put(&mut self, text: &str) -> Result<(), InvalidTransition> {
        self.attempt(Input::Continue { request: query(text) })
    }

    /// Works off the queue: jobs of the stages in `failing` fail, the others succeed. Returns the names of the
    /// stages that started since the last look, in order.
    pub(crate) fn work_off(&mut self, failing: &[&str]) -> Vec<String> {
        while let Some((job, outcome)) = self.next_queued(failing) {
            self.work(job, outcome);
        }
        self.started_stages()
    }

    /// The names of the stages that started since the last look, in order; forgets all effects.
    pub(crate) fn started_stages(&mut self) -> Vec<String> {
        let name = |effect: Effect| match effect {
            Effect::StageStarted { stage } => Some(self.build.stages()[stage].name.clone()),
            _ => None,
        };
        std::mem::take(&mut self.effects)
            .into_iter()
            .filter_map(name)
            .collect()
    }

    /// The words that stand for the states of the stages.
    pub(crate) fn stage_words(&self) -> Vec<&'static str> {
        self.build
            .stages()
            .iter()
            .map(|stage| stage_word(stage.state))
            .collect()
    }

    /// How often each job has been queued, by id.
    pub(crate) fn attempts(&self) -> BTreeMap<i64, u32> {
        self.build
            .stages()
            .iter()
            .flat_map(|stage| &stage.jobs)
            .map(|job| (job.id, job.attempt))
            .collect()
    }

    /// How the build ended; it must have.
    pub(crate) fn outcome(&self) -> &BuildOutcome {
        match self.build.state() {
            BuildState::Finished { outcome, .. } => outcome,
            other => panic!("the build has not finished: {other:?}"),
        }
    }

    pub(crate) fn attempt_of(&self, job: i64) -> u32 {
        self.build.job(job).unwrap().1.attempt
    }

    fn next_queued(&self, failing: &[&str]) -> Option<(i64, JobOutcome)> {
        self.build.stages().iter().find_map(|stage| {
            let job = stage.jobs.iter().find(|job| is_queued(job))?;
            let outcome = if failing.contains(&stage.name.as_str()) {
                failed()
            } else {
                JobOutcome::Successful
            };
            Some((job.id, outcome))
        })
    }
}

pub(crate) fn is_queued(job: &Job) -> bool {
    matches!(job.state, JobState::Queued { .. })
}

fn stage_word(state: StageState) -> &'static str {
    match state {
        StageState::NotBuilt { .. } => "not built",
        StageState::Pending => "pending",
        StageState::InProgress { .. } => "in progress",
        StageState::Stopping { .. } => "stopping",
        StageState::Successful { .. } => "successful",
        StageState::Failed { .. } => "failed",
        StageState::Stopped { .. } => "stopped",
    }
}
