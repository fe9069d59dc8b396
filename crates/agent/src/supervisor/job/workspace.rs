//! What the agent itself does to the working directory: checkouts, emptying it, artifacts of earlier stages.

use std::time::Instant;

use madake_domain::plan::{CheckoutTask, TaskAction};
use madake_protocol::log::LogKind;

use super::{Job, TaskEnd};
use crate::supervisor::checkout::{CheckoutFailure, check_out};
use crate::supervisor::interruption::Lookout;
use crate::supervisor::{artifacts, clean};

impl Job<'_> {
    pub(super) fn run_checkout(&mut self, task: &CheckoutTask, lookout: &Lookout<'_>) -> TaskEnd {
        let began = Instant::now();
        if let Err(reason) = self.hold() {
            return TaskEnd::failed(reason);
        }
        let result = check_out(task, self.order, &self.environment, lookout);
        let going_on = self.surroundings.let_go();
        let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.checkout_ms = self.checkout_ms.saturating_add(took_ms);
        if let Err(reason) = going_on {
            return TaskEnd::failed(reason);
        }
        match result {
            Ok(made) => {
                let lines = made.lines;
                self.checkouts.retain(|(_, folder)| *folder != made.folder);
                self.checkouts.push((made.repository, made.folder));
                let text = format!("{}\nThe checkout took {took_ms} ms", lines.join("\n"));
                self.log.say(LogKind::Build, &text);
                TaskEnd::Succeeded
            }
            Err(CheckoutFailure::Interrupted(interruption)) => TaskEnd::Interrupted(interruption),
            Err(failure) => TaskEnd::failed(failure.to_string()),
        }
    }

    pub(super) fn run_clean(&mut self) -> TaskEnd {
        let emptied = self.hold().and_then(|()| {
            clean::empty(&self.order.working_directory)
                .map_err(|error| format!("cannot empty the working directory: {error}"))
        });
        TaskEnd::of(emptied.and(self.surroundings.let_go()))
    }

    /// Lets nothing of the job run while the agent works in the working directory by names that a job could lead
    /// elsewhere, and with programs that a job could have do something else.
    fn hold(&mut self) -> Result<(), String> {
        // Before the first command there is nothing but what waits for its turn, and the shell of an image.
        if self.first_command_started_ms.is_none() && !self.surroundings.runs_from_the_beginning() {
            return Ok(());
        }
        self.ahead = None;
        let ended = self.surroundings.hold()?;
        if !ended.is_empty() {
            let text = format!(
                "Ended processes that the job left running, because this task works on the files that they may change: {}",
                ended.join(", ")
            );
            self.log.say(LogKind::Build, &text);
        }
        Ok(())
    }

    /// Puts the artifacts of earlier stages into the working directory before the first task that could use them:
    /// checkouts and clean would remove them again.
    pub(super) fn supply(&mut self, action: &TaskAction) -> Result<(), String> {
        if self.is_supplied || matches!(action, TaskAction::Checkout(_) | TaskAction::Clean) {
            return Ok(());
        }
        self.is_supplied = true;
        artifacts::place(
            &self.order.artifacts.subscribed,
            self.order,
            &self.environment,
            &self.log,
        )
    }
}
