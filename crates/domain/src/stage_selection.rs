//! Says how far a build may run: which stages a queue call asks for, and where an existing build goes on.
//!
//! The rules are those of bamboo-rest.md 6.2 and 6.3. This module only decides; `schedule` carries the
//! decision out. It must never widen what was asked: no stage beyond the limit it returns is ever started.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::schedule::{Build, BuildState, Stage, StageState};

/// The HTTP status of every refusal in this module. Clients of the original retry on 400 and give up on
/// other codes (bamboo-rest.md 6.2).
const BAD_REQUEST: u16 = 400;

/// What a call to `/queue` says about stages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRequest {
    /// The stage to run even if it is manual. Never an empty text; see [`StageRequest::new`].
    pub stage: Option<String>,
    /// Whether to run to the last stage, manual or not. Wins over `stage`.
    pub execute_all_stages: bool,
}

impl StageRequest {
    /// Reads the two values as they came over the wire; `None` means that the parameter was not sent.
    ///
    /// A bare or empty `stage` counts as absent. `executeAllStages` is true for `true` in any case only: bare,
    /// empty and every other value mean false, so that a slip never runs more than was asked
    /// (bamboo-rest.md 1.6, 6.2, 6.3).
    #[must_use]
    pub fn new(stage: Option<&str>, execute_all_stages: Option<&str>) -> Self {
        Self {
            stage: stage.filter(|name| !name.is_empty()).map(str::to_owned),
            execute_all_stages: execute_all_stages.is_some_and(|value| value.eq_ignore_ascii_case("true")),
        }
    }

    /// Picks `stage` and `executeAllStages` out of decoded query pairs; other names are ignored. A repeated
    /// name counts once, with its first value.
    pub fn from_query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut stage = None;
        let mut execute_all_stages = None;
        for (name, value) in pairs {
            match name {
                "stage" => stage = stage.or(Some(value)),
                "executeAllStages" => execute_all_stages = execute_all_stages.or(Some(value)),
                _ => {}
            }
        }
        Self::new(stage, execute_all_stages)
    }
}

/// The last stage that a build may start without being asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// No stage at all yet: the first one is manual and nobody has asked for it.
    Nothing,
    /// Every stage up to and including the one with this index, counted from 0.
    Through(usize),
}

impl Limit {
    /// Whether the stage with this index may start.
    #[must_use]
    pub fn covers(self, stage: usize) -> bool {
        matches!(self, Self::Through(last) if stage <= last)
    }
}

/// The two facts about a stage that selection looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageOutline<'a> {
    /// The name as the plan spells it; compared exactly.
    pub name: &'a str,
    /// Whether the build waits for a person before this stage.
    pub manual: bool,
}

impl<'a> From<&'a Stage> for StageOutline<'a> {
    fn from(stage: &'a Stage) -> Self {
        Self {
            name: &stage.name,
            manual: stage.manual,
        }
    }
}

/// Why no limit could be found for a new build.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StageSelectionError {
    /// The plan has no stage of the name that was asked for.
    #[error("find stage '{stage}' in the plan: its stages are {}; name one of them", .known.join(", "))]
    UnknownStage {
        /// The name as the caller sent it.
        stage: String,
        /// The names the plan has, in order.
        known: Vec<String>,
    },
}

impl StageSelectionError {
    /// A stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownStage { .. } => "unknown-stage",
        }
    }

    /// The sentence for the person who asked.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::UnknownStage { stage, known } if known.is_empty() => {
                format!("Stage '{stage}' does not exist: the plan has no stages.")
            }
            Self::UnknownStage { stage, known } => {
                format!(
                    "Stage '{stage}' does not exist. The plan has these stages: {}.",
                    known.join(", ")
                )
            }
        }
    }

    /// The HTTP status to answer with: always 400.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        BAD_REQUEST
    }
}

/// Finds how far a new build runs (the POST rows of bamboo-rest.md 6.2, 6.3 item 1). Earlier stages are
/// never skipped: naming a stage moves the end of the run, not its beginning.
///
/// # Errors
/// [`StageSelectionError::UnknownStage`] when the named stage is not in the plan. The name is checked even
/// if `executeAllStages` makes it meaningless: a misspelt name is a mistake the caller wants to hear of.
pub fn limit_for_new_build(
    stages: &[StageOutline<'_>],
    request: &StageRequest,
) -> Result<Limit, StageSelectionError> {
    let named = named_stage(stages, request)?;
    let Some(last) = stages.len().checked_sub(1) else {
        return Ok(Limit::Nothing);
    };
    if request.execute_all_stages {
        return Ok(Limit::Through(last));
    }
    if let Some((stage, _)) = named {
        return Ok(Limit::Through(end_of_automatic_run(stages, stage)));
    }
    if stages[0].manual {
        return Ok(Limit::Nothing);
    }
    Ok(Limit::Through(end_of_automatic_run(stages, 0)))
}

/// How an existing build goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuation {
    /// The index of the first stage to run: the first one that has not yet succeeded.
    pub from: usize,
    /// The index of the last stage to run, never less than `from`.
    pub through: usize,
    /// Whether jobs run for the first time or again.
    pub kind: ContinuationKind,
}

/// What continuing does with the first stage it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContinuationKind {
    /// The stage has never been started in this build.
    RunPending,
    /// The stage failed or was stopped; those of its jobs that did not succeed run again.
    RerunUnsuccessful,
}

/// Why an existing build cannot go on as asked. The build stays exactly as it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ContinueRefusal {
    /// The named stage is not part of the build.
    #[error(transparent)]
    Selection(#[from] StageSelectionError),
    /// The build is queued or running.
    #[error("continue the build: it has not ended yet; wait until it pauses or finishes")]
    StillRunning,
    /// Every stage has succeeded.
    #[error("continue the build: all of its stages have succeeded; start a new build instead")]
    NothingLeft,
    /// The named stage, and the automatic stages behind it, have been executed already.
    #[error("continue the build: stage '{stage}' has been executed already; name a later stage")]
    StageAlreadyExecuted {
        /// The name as the caller sent it.
        stage: String,
    },
    /// Failed jobs were to run again, but none has failed.
    #[error("rerun failed jobs: no stage has failed; continue the build instead")]
    NothingFailed,
}

impl ContinueRefusal {
    /// A stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Selection(error) => error.code(),
            Self::StillRunning => "build-still-running",
            Self::NothingLeft => "all-stages-executed",
            Self::StageAlreadyExecuted { .. } => "stage-already-executed",
            Self::NothingFailed => "nothing-failed",
        }
    }

    /// The sentence for the person who asked.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Selection(error) => error.sentence(),
            Self::StillRunning => "The build is queued or running and cannot be continued now.".to_owned(),
            Self::NothingLeft => "All stages of this build have already been executed.".to_owned(),
            Self::StageAlreadyExecuted { stage } => format!("Stage '{stage}' has already been executed."),
            Self::NothingFailed => {
                "No stage of this build has failed, so there is nothing to rerun.".to_owned()
            }
        }
    }

    /// The HTTP status to answer with: always 400, which clients read as "not now" (bamboo-rest.md 6.2).
    #[must_use]
    pub fn http_status(&self) -> u16 {
        BAD_REQUEST
    }
}

/// Finds where an existing build goes on and how far (the PUT rules of bamboo-rest.md 6.3).
///
/// The original runs the next manual stage when the named one has been executed already (origin 001, last
/// comment); here such a call runs nothing and is refused.
///
/// # Errors
/// [`ContinueRefusal`], in this order: unknown stage, still running, named stage already executed, nothing
/// left to run.
pub fn plan_continuation(build: &Build, request: &StageRequest) -> Result<Continuation, ContinueRefusal> {
    let outlines: Vec<StageOutline<'_>> = build.stages().iter().map(StageOutline::from).collect();
    let named = named_stage(&outlines, request)?;
    if matches!(build.state(), BuildState::Created | BuildState::Running { .. }) {
        return Err(ContinueRefusal::StillRunning);
    }
    let first_left = build.first_unsuccessful_stage();
    let last = outlines.len().saturating_sub(1);
    let through = match (request.execute_all_stages, named, first_left) {
        (true, _, _) => last,
        (false, Some((stage, name)), first_left) => {
            let through = end_of_automatic_run(&outlines, stage);
            if first_left.is_none_or(|first| through < first) {
                return Err(ContinueRefusal::StageAlreadyExecuted {
                    stage: name.to_owned(),
                });
            }
            through
        }
        (false, None, Some(first)) => end_of_automatic_run(&outlines, first),
        (false, None, None) => last,
    };
    let Some(from) = first_left else {
        return Err(ContinueRefusal::NothingLeft);
    };
    let kind = match build.stages()[from].state {
        StageState::Failed { .. } | StageState::Stopped { .. } => ContinuationKind::RerunUnsuccessful,
        _ => ContinuationKind::RunPending,
    };
    Ok(Continuation { from, through, kind })
}

/// Resolves the name in the request to the index of a stage.
fn named_stage<'r>(
    stages: &[StageOutline<'_>],
    request: &'r StageRequest,
) -> Result<Option<(usize, &'r str)>, StageSelectionError> {
    let Some(name) = request.stage.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    match stages.iter().position(|stage| stage.name == name) {
        Some(index) => Ok(Some((index, name))),
        None => Err(StageSelectionError::UnknownStage {
            stage: name.to_owned(),
            known: stages.iter().map(|stage| stage.name.to_owned()).collect(),
        }),
    }
}

/// The last stage before the next manual one behind `from`, or the last of the plan.
fn end_of_automatic_run(stages: &[StageOutline<'_>], from: usize) -> usize {
    let automatic_behind = stages[from + 1..]
        .iter()
        .take_while(|stage| !stage.manual)
        .count();
    from + automatic_behind
}
