//! The end of a job: nothing of it runs any more, what it is to leave behind is kept, its log is complete.

use std::fs;
use std::path::Path;
use std::time::Duration;

use madake_protocol::log::LogKind;
use madake_protocol::{FORMAT, JobOutcome, JobResult, Purpose};

use super::verdict::result_word;
use super::{Job, Verdict};
use crate::clock::now_ms;
use crate::log::LogTotals;
use crate::processes::{self, Children};
use crate::supervisor::{artifacts, clean};

/// How long pipes may stay open after the last process of the job was killed.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

impl Job<'_> {
    pub(super) fn finish(
        mut self,
        mut verdict: Verdict,
        tmp_directory: &Path,
        started_ms: i64,
    ) -> JobOutcome {
        self.remove_detached();
        let mut is_over = true;
        if let Err(reason) = self.surroundings.finish() {
            self.log.say(LogKind::Error, &reason);
            is_over = false;
        }
        let left_running = self.surroundings.without_own(processes::end_descendants());
        if !left_running.is_empty() {
            self.log.say(
                LogKind::Build,
                &format!(
                    "Ended processes that the job left running: {}",
                    left_running.join(", ")
                ),
            );
        }
        is_over &= processes::reap_dead_children() == Children::None;
        for reader in self.readers.drain(..) {
            if !reader.finish(LAST_OUTPUT) {
                self.log.say(
                    LogKind::Error,
                    "A process that could not be ended may still write; the log ends here",
                );
            }
        }
        self.keep_results(&mut verdict);
        if self.order.clean_working_directory {
            // Whatever still runs could lead the names of what is removed elsewhere.
            let emptied = if is_over {
                clean::empty(&self.order.working_directory).map_err(|error| error.to_string())
            } else {
                Err("something of the job still runs".to_owned())
            };
            if let Err(reason) = emptied {
                let text = format!("cannot empty the working directory: {reason}");
                self.log.say(LogKind::Error, &text);
            }
        }
        // What cannot be removed here goes with the job's directory.
        let _ = clean::empty(tmp_directory);
        let private = self.directory.private_path();
        if private.exists() {
            let _ = clean::empty(&private).and_then(|()| fs::remove_dir(&private));
        }
        if self.log.leak_is_suspected() {
            self.log.say(
                LogKind::Error,
                "A secret may have been written one character in each line, where it cannot be masked: \
                 change it, and let no script take it apart",
            );
        }
        let key = &self.order.job_result_key;
        let word = result_word(&verdict.result);
        let finished = match self.order.purpose {
            Purpose::Deployment => "Finished deployment",
            Purpose::Build | Purpose::Trial => "Finished building",
        };
        self.log
            .say(LogKind::Simple, &format!("{finished} {key}: {word}"));
        let message = self.log.masked(&verdict.message);
        let result = match verdict.result {
            JobResult::Error(reason) => JobResult::Error(self.log.masked(&reason)),
            other => other,
        };
        let LogTotals {
            bytes,
            lines,
            problem,
        } = self.log.finish();
        JobOutcome {
            format: FORMAT,
            job_id: self.order.job_id,
            attempt: self.order.attempt,
            result,
            exit_code: verdict.exit_code,
            message,
            started_ms,
            finished_ms: now_ms(),
            checkout_ms: self.checkout_ms,
            first_command_started_ms: self.first_command_started_ms,
            log_bytes: bytes,
            log_lines: lines,
            variables: std::mem::take(&mut self.made_variables),
            log_problem: problem,
        }
    }

    /// Keeps what the job is to leave behind. A job that somebody stopped keeps its test results alone.
    fn keep_results(&mut self, verdict: &mut Verdict) {
        let mut problems = match verdict.result {
            JobResult::Successful | JobResult::Failed | JobResult::TimedOut => {
                artifacts::keep(self.order, self.directory, &self.environment, &self.log)
            }
            JobResult::Stopped | JobResult::Error(_) => Vec::new(),
        };
        if let Err(error) = self.tests.write(self.directory) {
            let problem = format!("the test results cannot be kept: {error}");
            self.log.say(LogKind::Error, &problem);
            problems.push(problem);
        }
        if verdict.result == JobResult::Successful
            && let Some(problem) = problems.into_iter().next()
        {
            *verdict = Verdict {
                result: JobResult::Failed,
                exit_code: None,
                message: problem,
            };
        }
    }
}
