//! The processes of a job: its scripts, and whatever else runs where they do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use madake_domain::plan::ScriptTask;
use madake_protocol::log::LogKind;

use super::{Job, TaskEnd};
use crate::clock::now_ms;
use crate::supervisor::interruption::Lookout;
use crate::supervisor::script::{self, PreparedScript};
use crate::supervisor::surroundings::Ahead;
use crate::supervisor::task_process::{ProcessEnd, signal_name};

impl Job<'_> {
    pub(super) fn run_script(&mut self, task: &ScriptTask, lookout: &Lookout<'_>) -> TaskEnd {
        let ahead = self.ahead.take();
        let prepared = match &ahead {
            Some(ahead) => Ok(ahead.script.clone()),
            None => {
                self.scripts += 1;
                let (root, tmp_directory) = (&self.order.working_directory, self.directory.tmp_path());
                script::prepare(task, root, &tmp_directory, &self.environment, self.scripts)
            }
        };
        match prepared {
            Ok(prepared) => self.run_prepared(&prepared, ahead, "script", lookout),
            Err(error) => TaskEnd::failed(error.to_string()),
        }
    }

    /// Runs a process of the job to its end; `what` it is stands in the reason of its failure.
    pub(super) fn run_prepared(
        &mut self,
        prepared: &PreparedScript,
        ahead: Option<Ahead>,
        what: &str,
        lookout: &Lookout<'_>,
    ) -> TaskEnd {
        for reference in self.environment.unknown() {
            let text =
                format!("`{reference}` stays as it is written: no variable of this job gives a value for it");
            self.log.say(LogKind::Command, &text);
        }
        self.log.say(LogKind::Command, &prepared.shown());
        if prepared.line.iter().any(|word| self.log.masked(word) != *word) {
            self.tell(
                "The arguments hold a secret, which the machine's list of processes shows while this runs; an \
                 environment variable does not",
            );
        }
        let is_first = self.first_command_started_ms.is_none();
        if is_first {
            if let Err(error) = fs::write(self.directory.commanded_path(), b"") {
                return TaskEnd::failed(format!("cannot write into the job's directory: {error}"));
            }
            self.first_command_started_ms = Some(now_ms());
        }
        let grace = Duration::from_secs(self.order.stop_grace_seconds);
        let directory = self.directory;
        let make_start_durable = || {
            if is_first {
                // A start that a crash of the machine forgets is found out by the server's own records.
                let _ = directory.sync();
            }
        };
        let end = self.surroundings.run(
            prepared,
            ahead,
            (lookout, grace),
            &self.log,
            &mut self.readers,
            make_start_durable,
        );
        match end {
            Ok(ProcessEnd::Exited(0)) => TaskEnd::Succeeded,
            Ok(ProcessEnd::Exited(code)) => TaskEnd::Failed {
                reason: self.surroundings.exit_reason(what, code),
                exit_code: Some(code),
            },
            Ok(ProcessEnd::Signalled(signal)) => {
                TaskEnd::failed(format!("the {what} was killed by {}", signal_name(signal)))
            }
            Ok(ProcessEnd::Interrupted(interruption)) => TaskEnd::Interrupted(interruption),
            Err(reason) => TaskEnd::failed(reason),
        }
    }

    /// Makes ready what can be made ready while the checkouts run.
    pub(super) fn begin_ahead(&mut self, tmp_directory: &Path) {
        let (order, environment, scripts) = (self.order, &self.environment, &mut self.scripts);
        self.ahead = self.surroundings.begin_ahead(&order.tasks, |task| {
            *scripts += 1;
            script::prepare(
                task,
                &order.working_directory,
                tmp_directory,
                environment,
                *scripts,
            )
            .ok()
        });
    }
}
