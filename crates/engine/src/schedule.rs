//! Step 7 of the walk: every change of a build goes through the state machine, and what follows from it is
//! carried out in the same transaction.

use madake_domain::schedule::{BuildOutcome, Effect, Input, InvalidTransition, Stage, StageState, step};
use madake_store::{Millis, StoreError, Topic, Tx, build, event};

use crate::telling::{self, BuildMove};
use crate::{EngineError, dependencies, deploying, notifying};

/// Puts `input` through the state machine of a build and stores what follows.
///
/// # Errors
/// [`EngineError::Conflict`] when the build is not in a state to take the input; nothing is stored then.
pub(crate) fn apply(
    tx: &Tx<'_>,
    build_id: i64,
    input: Input,
    now: Millis,
) -> Result<build::Build, EngineError> {
    let before = build::by_id(tx, build_id)?;
    let (next, effects) = step(&before.schedule, input, now).map_err(refusal)?;
    build::save(tx, &before, &next, now)?;
    notifying::jobs_ended(tx, &before, &next, now)?;
    for effect in effects {
        match effect {
            Effect::QueueJob { .. } => tx.wake(Topic::Queue),
            Effect::CancelJob { .. } => tx.wake(Topic::Cancel),
            Effect::BuildPaused { next_stage } => {
                let stage = next
                    .stages()
                    .get(next_stage)
                    .map_or("", |stage| stage.name.as_str());
                note(
                    tx,
                    &before,
                    &format!("{} waits for a person at the manual stage '{stage}'", before.key),
                    now,
                )?;
                telling::tell_build(tx, build_id, BuildMove::Ended, now)?;
                dependencies::start_children(tx, &build::by_id(tx, build_id)?, false, now)?;
                notifying::build_ended(tx, &before, &next, false, now)?;
            }
            Effect::BuildFinished { outcome } => {
                let is_successful = outcome == BuildOutcome::Successful;
                let verdict = match outcome {
                    BuildOutcome::Successful => "was successful".to_owned(),
                    BuildOutcome::Failed => "failed".to_owned(),
                    BuildOutcome::Stopped => "was stopped".to_owned(),
                    BuildOutcome::NotStarted { reason } => format!("could not start: {reason}"),
                };
                tracing::info!(build.key = %before.key, "{} {verdict}", before.key);
                note(tx, &before, &format!("{} {verdict}", before.key), now)?;
                telling::tell_build(tx, build_id, BuildMove::Ended, now)?;
                notifying::build_ended(tx, &before, &next, true, now)?;
                if is_successful {
                    deploying::after_build(tx, &before, now)?;
                }
                dependencies::start_children(tx, &build::by_id(tx, build_id)?, true, now)?;
            }
            Effect::BuildStarted => telling::tell_build(tx, build_id, BuildMove::Started, now)?,
            Effect::StageFinished { stage } => {
                if let Some(Stage {
                    name,
                    state: StageState::Successful { .. },
                    ..
                }) = next.stages().get(stage)
                {
                    deploying::after_stage(tx, &before, name, now)?;
                }
            }
            Effect::BuildContinued { .. } | Effect::StageStarted { .. } | Effect::WithdrawJob { .. } => {}
        }
    }
    Ok(build::by_id(tx, build_id)?)
}

fn note(tx: &Tx<'_>, build: &build::Build, text: &str, now: Millis) -> Result<(), StoreError> {
    match build.event_id {
        Some(event_id) => event::note(tx, event_id, "info", text, now),
        None => Ok(()),
    }
}

fn refusal(error: InvalidTransition) -> EngineError {
    match error {
        InvalidTransition::Continue(refusal) => EngineError::Conflict(refusal.sentence()),
        other => EngineError::Conflict(other.to_string()),
    }
}
