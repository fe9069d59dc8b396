//! Where the scripts of a job run: as plain processes, or in a system of their own.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use madake_domain::plan::{ScriptSource, ScriptTask, Task, TaskAction};
use madake_protocol::{Isolation, JobOrder};

use crate::bubblewrap::{Sandbox, SandboxFolders};
use crate::job_directory::JobDirectory;
use crate::log::Log;
use crate::processes::{self, Children, SANDBOX_PROGRAM};

use super::container::{BeginError, Container};
use super::interruption::Lookout;
use super::script::PreparedScript;
use super::script_environment::ScriptEnvironment;
use super::task_process::{self, PipeReader, ProcessEnd, signal_name};

/// Where the exit codes begin that stand for signals.
const SIGNAL_CODES: i32 = 128;

/// A shell that waits for a word before it becomes the program that its arguments name.
const GATE: [&str; 4] = ["/bin/sh", "-c", "read -r go && exec \"$@\" </dev/null", "sh"];

/// How the scripts of a job run.
#[derive(Debug)]
pub(crate) enum Surroundings {
    /// As plain processes.
    Plain {
        /// Why not in a sandbox, as a sentence; empty when nobody wanted one.
        reason: String,
    },
    /// In a container, all in the same.
    Container(Box<Container>),
    /// In a sandbox: one for each script, all with the same folders.
    Sandbox { sandbox: Sandbox, has_network: bool },
}

impl Default for Surroundings {
    fn default() -> Self {
        Self::Plain {
            reason: String::new(),
        }
    }
}

impl Surroundings {
    /// What the order says. The working directory and the job's temporary directory must be there.
    pub(crate) fn of(
        order: &JobOrder,
        directory: &JobDirectory,
        environment: &mut ScriptEnvironment,
        log: &Log,
        lookout: &Lookout<'_>,
    ) -> Result<Self, BeginError> {
        match &order.isolation {
            Isolation::Process { reason } => Ok(Self::Plain {
                reason: reason.clone(),
            }),
            Isolation::Container(container) => {
                let container = Container::begin(order, container, directory, environment, log, lookout)?;
                environment.leave_out_machine();
                Ok(Self::Container(Box::new(container)))
            }
            Isolation::Bubblewrap(settings) => {
                let folders = SandboxFolders {
                    private: Some(directory.private_path()),
                    writable: vec![order.working_directory.clone(), directory.tmp_path()],
                    readable: order.repositories.iter().map(|one| one.source.clone()).collect(),
                };
                folders.make()?;
                Ok(Self::Sandbox {
                    sandbox: Sandbox::new(settings, &folders),
                    has_network: settings.network,
                })
            }
        }
    }

    /// Whether what runs for the job may use the network.
    pub(crate) fn has_network(&self) -> bool {
        match self {
            Self::Plain { .. } => true,
            Self::Container(container) => container.may_use_network(),
            Self::Sandbox { has_network, .. } => *has_network,
        }
    }

    /// What the job's log says about it.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Plain { reason } if reason.is_empty() => {
                "Isolation: none; scripts are plain processes of the agent, as agent.isolation says"
                    .to_owned()
            }
            Self::Container(container) => container.sentence(),
            Self::Plain { reason } => {
                format!("Isolation: none; scripts are plain processes of the agent, because {reason}")
            }
            Self::Sandbox { has_network, .. } => format!(
                "Isolation: bubblewrap; scripts have processes, home and /tmp of their own, read the system, write to \
                 the working directory, and have {}",
                if *has_network {
                    "the machine's network"
                } else {
                    "no network"
                }
            ),
        }
    }

    /// Runs a script to its end; `ahead` is the same script when it waits already. Readers of pipes that are still
    /// open are added to `readers`.
    ///
    /// # Errors
    /// When it cannot be run, as a sentence.
    pub(crate) fn run(
        &mut self,
        script: &PreparedScript,
        ahead: Option<Ahead>,
        patience: (&Lookout<'_>, Duration),
        log: &Arc<Log>,
        readers: &mut Vec<PipeReader>,
        once_started: impl FnOnce(),
    ) -> Result<ProcessEnd, String> {
        let (lookout, grace) = patience;
        if let Self::Container(container) = self {
            return container
                .run(script, log, lookout, grace, once_started)
                .map_err(|error| error.to_string());
        }
        let failed = |error: io::Error| format!("cannot run `{}`: {error}", script.line[0]);
        let child = match ahead.and_then(Ahead::release) {
            Some(child) => child,
            None => self.start(script).map_err(failed)?,
        };
        task_process::run(child, log, lookout, grace, readers, once_started).map_err(failed)
    }

    /// Lets nothing of the job run, so that the agent itself can work in the working directory: a container is paused,
    /// other processes are ended. Gives the names of those; called when no script runs, followed by [`Self::let_go`].
    ///
    /// # Errors
    /// When something still runs, as a sentence.
    pub(crate) fn hold(&mut self) -> Result<Vec<String>, String> {
        if let Self::Container(container) = self {
            container.pause().map_err(|error| error.to_string())?;
            return Ok(Vec::new());
        }
        let ended = processes::end_descendants();
        if processes::reap_dead_children() == Children::Left {
            return Err("a process that the job left running cannot be ended".to_owned());
        }
        Ok(self.without_own(ended))
    }

    /// Whether something that a plan chose runs before the first command, as the shell of its image does.
    pub(crate) fn runs_from_the_beginning(&self) -> bool {
        matches!(self, Self::Container(_))
    }

    /// What was paused goes on.
    ///
    /// # Errors
    /// When the container cannot go on, as a sentence.
    pub(crate) fn let_go(&mut self) -> Result<(), String> {
        match self {
            Self::Container(container) => container.go_on().map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    }

    /// Removes what the scripts ran in; called when no script runs any more.
    ///
    /// # Errors
    /// When a container cannot be removed, as a sentence.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        match std::mem::take(self) {
            Self::Container(container) => container.finish().map_err(|error| error.to_string()),
            other => {
                *self = other;
                Ok(())
            }
        }
    }

    fn start(&self, script: &PreparedScript) -> io::Result<Child> {
        match self {
            Self::Container(_) => Err(io::Error::other("it runs in a container")),
            Self::Plain { .. } => {
                let mut command = Command::new(&script.line[0]);
                command.args(&script.line[1..]).current_dir(&script.directory);
                command
                    .env_clear()
                    .envs(script.environment.iter().map(|(name, value)| (name, value)));
                task_process::start(&mut command, Stdio::null())
            }
            Self::Sandbox { sandbox, .. } => {
                // Inside, a missing program would look like a script that failed.
                if script.line[0].starts_with('/') {
                    std::fs::metadata(&script.line[0])?;
                }
                start(sandbox, script, &script.line, Stdio::null())
            }
        }
    }

    /// Makes the sandbox of the job's first script while its checkouts run, where that can be known by now.
    pub(crate) fn begin_ahead(
        &self,
        tasks: &[Task],
        prepare: impl FnOnce(&ScriptTask) -> Option<PreparedScript>,
    ) -> Option<Ahead> {
        let Self::Sandbox { sandbox, .. } = self else {
            return None;
        };
        let script = prepare(first_script_after_checkouts(tasks)?)?;
        // A shell drops variables whose names it cannot have.
        let is_plain = script.environment.iter().all(|(name, _)| {
            let name = name.as_encoded_bytes();
            name.iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                && !name.first().is_none_or(u8::is_ascii_digit)
        });
        let program = std::path::Path::new(&script.line[0]);
        if !is_plain || !program.is_absolute() || !program.exists() {
            return Some(Ahead { script, child: None });
        }
        let line = GATE.iter().copied().chain(script.line.iter().map(String::as_str));
        let line: Vec<&str> = line.collect();
        let child = start(sandbox, &script, &line, Stdio::piped()).ok();
        Some(Ahead { script, child })
    }

    /// How the log tells of an exit code that is not 0. A sandbox makes a signal a code, as a shell does.
    pub(crate) fn exit_reason(&self, what: &str, code: i32) -> String {
        let reason = format!("the {what} ended with exit code {code}");
        match (self, code - SIGNAL_CODES) {
            (Self::Sandbox { .. } | Self::Container(_), signal @ 1..64) => {
                format!("{reason}, as after {}", signal_name(signal))
            }
            _ => reason,
        }
    }

    /// Without the processes of sandboxes, which are ours and not the job's.
    pub(crate) fn without_own(&self, mut processes: Vec<String>) -> Vec<String> {
        if matches!(self, Self::Sandbox { .. }) {
            let own = format!("{SANDBOX_PROGRAM} (");
            processes.retain(|label| !label.starts_with(&own));
        }
        processes
    }
}

fn start<T: AsRef<OsStr>>(
    sandbox: &Sandbox,
    script: &PreparedScript,
    line: &[T],
    stdin: Stdio,
) -> io::Result<Child> {
    let mut ready = sandbox.command(&script.directory, line, &script.environment)?;
    task_process::start(&mut ready.command, stdin)
}

/// The first script, when nothing but checkouts comes before it and nothing of it depends on what they bring.
fn first_script_after_checkouts(tasks: &[Task]) -> Option<&ScriptTask> {
    let mut enabled = tasks.iter().filter(|task| task.enabled).peekable();
    if !matches!(enabled.peek()?.action, TaskAction::Checkout(_)) {
        return None;
    }
    let next = enabled.find(|task| !matches!(task.action, TaskAction::Checkout(_)))?;
    match &next.action {
        // Another script would run in the place of one that is passed over. An environment of the plan's could have the
        // waiting shell load what an earlier build left, while the checkout works.
        TaskAction::Script(script)
            if next.conditions.is_empty()
                && script.environment.trim().is_empty()
                && matches!(script.source, ScriptSource::Inline(_))
                && script.working_directory.is_empty() =>
        {
            Some(script)
        }
        _ => None,
    }
}

/// A script whose sandbox is made and that waits for its turn. Without a word it ends by itself, also when this
/// process dies.
#[derive(Debug)]
pub(crate) struct Ahead {
    pub(crate) script: PreparedScript,
    child: Option<Child>,
}

impl Ahead {
    /// Lets the script begin; `None` where it could not be started ahead.
    pub(crate) fn release(mut self) -> Option<Child> {
        let child = self.child.as_mut()?;
        // A sandbox that is gone is made anew, and says then what is wrong.
        child.stdin.take()?.write_all(b"go\n").ok()?;
        self.child.take()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            // It ends without the word; whatever is left goes with the job's other processes.
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use madake_domain::plan::{CheckoutTask, Interpreter};

    #[test]
    fn only_a_script_that_nothing_can_turn_waits_while_a_checkout_works() {
        let script = |environment: &str| {
            Task::from(TaskAction::Script(ScriptTask {
                interpreter: Interpreter::Shell,
                source: ScriptSource::Inline("echo".into()),
                argument: String::new(),
                environment: environment.into(),
                working_directory: String::new(),
            }))
        };
        let checkout = || {
            Task::from(TaskAction::Checkout(CheckoutTask {
                repository: None,
                path: String::new(),
                force_clean_build: false,
            }))
        };
        let is_made_ready = |tasks: &[Task]| first_script_after_checkouts(tasks).is_some();
        assert!(is_made_ready(&[checkout(), script("")]));
        assert!(!is_made_ready(&[checkout(), script("LD_PRELOAD=/work/left.so")]));
        assert!(!is_made_ready(&[script(""), checkout()]));
    }
}
