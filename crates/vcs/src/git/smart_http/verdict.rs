//! What the caller decides about the single refs of a push, and how git is made to keep to it.
//!
//! A ref that is refused is taken out of what git reads, and put into the report. That a ref may only move forward can
//! be judged when the objects have arrived: git itself refuses what does not (`receive.denyNonFastForwards`), and what
//! it refused of the other refs is then moved by a second `git receive-pack`, which brings no objects.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use super::pkt_line;
use super::report::{StatusReport, UpdateStatus};
use super::request::{Capabilities, Command, PushRequest};
use crate::git::host::INTERNAL_REFS;
use crate::process::{GitCommand, GitProgram, ProcessError};
use crate::text::display_line;

/// What git says of a ref that would not move forward to the person who pushes; of refs that are moved after all it is not true.
const NOT_FORWARD_LINE: &[u8] = b"error: denying non-fast-forward ";
/// What is said of the other refs of an atomic push.
const ATOMIC: &str = "the push is atomic, and another ref of it was refused";
/// A pack without objects.
const EMPTY_PACK: &[u8] =
    b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";

/// What the caller says to one ref of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefVerdict {
    /// It may move as the client asks.
    Allowed,
    /// It may move to a commit that has the present one in its history; else the client reads this.
    ForwardOnly(String),
    /// It may not move, for this reason.
    Refused(String),
}

/// What the caller says to a push: one verdict for each of its refs, in the order of the client. Refs beyond the end
/// are allowed, so that the default, and `()`, allow everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushVerdict(pub Vec<RefVerdict>);

impl From<()> for PushVerdict {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// What is to be kept to while git takes a push.
#[derive(Clone, Debug, Default)]
pub(in crate::git) struct Guarded {
    /// For each ref that git does not get to see, why.
    refused: Vec<(Command, String)>,
    /// For each ref that may only move forward, what else is said.
    forward_only: Vec<(Command, String)>,
}

impl Guarded {
    /// Applies the verdicts to a push. `Err` has a reason for each ref if none is left to be moved.
    pub(in crate::git) fn apply(
        verdict: PushVerdict,
        request: &mut PushRequest,
    ) -> Result<Self, Vec<String>> {
        let atomic = request.capabilities.atomic;
        let mut verdicts = verdict.0.into_iter();
        let mut guarded = Self::default();
        let mut reasons = Vec::with_capacity(request.commands.len());
        for command in &request.commands {
            let reason = match verdicts.next().unwrap_or(RefVerdict::Allowed) {
                RefVerdict::Refused(reason) => Some(reason),
                // Git refuses a hidden ref alone, and moves the others of the push all the same.
                _ if atomic && command.name.is_below(INTERNAL_REFS) => Some(format!(
                    "{} belongs to the server ({INTERNAL_REFS}/), and the push is atomic: nothing was moved",
                    display_line(command.name.as_str(), 200)
                )),
                RefVerdict::ForwardOnly(reason) => {
                    if !command.old.is_zero() && !command.new.is_zero() {
                        guarded.forward_only.push((command.clone(), reason));
                    }
                    None
                }
                RefVerdict::Allowed => None,
            };
            reasons.push(reason);
        }
        let refused = reasons.iter().flatten().count();
        if refused > 0 && (atomic || refused == reasons.len()) {
            let reason = |reason: Option<String>| reason.unwrap_or_else(|| ATOMIC.to_owned());
            return Err(reasons.into_iter().map(reason).collect());
        }
        if refused > 0 {
            let keep: Vec<bool> = reasons.iter().map(Option::is_none).collect();
            request.keep(&keep);
            let commands = request.commands.iter().cloned();
            guarded.refused = commands
                .zip(reasons)
                .filter_map(|(command, reason)| Some((command, reason?)))
                .collect();
        }
        Ok(guarded)
    }

    /// Whether git is to refuse what does not move forward.
    pub(in crate::git) fn is_forward_only(&self) -> bool {
        !self.forward_only.is_empty()
    }

    /// The command with what git is to keep to.
    pub(in crate::git) fn restrict(&self, command: GitCommand) -> GitCommand {
        if self.is_forward_only() {
            command.setting("receive.denyNonFastForwards", "true")
        } else {
            command
        }
    }

    /// Whether the person who pushes is to see this line of git.
    pub(in crate::git) fn passes(&self, progress: &[u8]) -> bool {
        !self.is_forward_only() || !progress.starts_with(NOT_FORWARD_LINE)
    }

    /// Whether anything of git's report is to change.
    pub(in crate::git) fn is_needed(&self) -> bool {
        !self.refused.is_empty() || self.is_forward_only()
    }

    /// The report on the whole push, made of git's report on what it got to see.
    pub(in crate::git) async fn complete(
        &self,
        git: &GitProgram,
        repository: &Path,
        mut report: StatusReport,
        commands: &[Command],
        atomic: bool,
        timeout: Duration,
    ) -> StatusReport {
        if commands.iter().any(|command| report.is_not_forward(command)) {
            let again = Again {
                git,
                repository,
                atomic,
                timeout,
            };
            self.settle(&mut report, commands, &again).await;
        }
        for (command, reason) in &self.refused {
            report.set(command, UpdateStatus::Rejected(display_line(reason, 400)));
        }
        report
    }

    /// Tells the refs that had to move forward from those that git refused beside them.
    async fn settle(&self, report: &mut StatusReport, commands: &[Command], again: &Again<'_>) {
        let guarded: HashSet<&str> = self
            .forward_only
            .iter()
            .map(|(command, _)| command.name.as_str())
            .collect();
        let mut stopped = false;
        for (command, reason) in &self.forward_only {
            // An atomic push ends with the first ref that is refused: the others have not been looked at.
            let refused = if again.atomic {
                !again.is_forward(command).await
            } else {
                report.is_not_forward(command)
            };
            if refused {
                stopped = true;
                report.set(command, UpdateStatus::NotForward(display_line(reason, 400)));
            }
        }
        let open: Vec<&Command> = commands
            .iter()
            .filter(|command| {
                let left = report.is_not_forward(command) && !guarded.contains(command.name.as_str());
                again.atomic || left
            })
            .collect();
        if again.atomic && stopped {
            for command in open {
                if !matches!(report.status_of(command), UpdateStatus::NotForward(_)) {
                    report.set(command, UpdateStatus::Rejected(ATOMIC.to_owned()));
                }
            }
            return;
        }
        if open.is_empty() {
            return;
        }
        match again.push(&open).await {
            Ok(second) => {
                for command in open {
                    report.set(command, second.status_of(command));
                }
            }
            Err(error) => {
                tracing::warn!(repository = %again.repository.display(), %error, "the rest of a push could not be moved");
                for command in open {
                    let reason = "it could not be moved: push it once more".to_owned();
                    report.set(command, UpdateStatus::Rejected(reason));
                }
            }
        }
    }
}

/// The second look at what git refused for all refs alike.
struct Again<'a> {
    git: &'a GitProgram,
    repository: &'a Path,
    atomic: bool,
    timeout: Duration,
}

impl Again<'_> {
    /// Whether the ref would move forward. What cannot be found out counts as no.
    async fn is_forward(&self, command: &Command) -> bool {
        let asked = self
            .git
            .command("merge-base")
            .repository(self.repository)
            .args([
                "--is-ancestor".to_owned(),
                command.old.to_string(),
                command.new.to_string(),
            ])
            .timeout(self.timeout)
            .run()
            .await;
        asked.is_ok()
    }

    /// Moves refs whose objects have arrived.
    async fn push(&self, commands: &[&Command]) -> Result<StatusReport, ProcessError> {
        let mut input = Vec::new();
        for (index, command) in commands.iter().enumerate() {
            let mut line = format!("{} {} {}", command.old, command.new, command.name).into_bytes();
            if index == 0 {
                line.extend_from_slice(b"\0 report-status");
                if self.atomic {
                    line.extend_from_slice(b" atomic");
                }
            }
            input.extend_from_slice(&pkt_line::packet(&line));
        }
        input.extend_from_slice(pkt_line::FLUSH);
        input.extend_from_slice(EMPTY_PACK);
        let output = self
            .git
            .command("receive-pack")
            .directory(self.repository)
            .trusted_owner(self.repository)
            .args(["--stateless-rpc", "--"])
            .arg(self.repository)
            .input(input)
            .timeout(self.timeout)
            .run()
            .await?;
        Ok(StatusReport::parse(&output.stdout).unwrap_or_default())
    }
}

/// The answer to a push of which nothing may move.
pub(in crate::git) fn refusal(
    capabilities: &Capabilities,
    commands: &[Command],
    reasons: &[String],
) -> Vec<u8> {
    let mut report = StatusReport::default();
    for (command, reason) in commands.iter().zip(reasons) {
        report.set(command, UpdateStatus::Rejected(display_line(reason, 400)));
    }
    super::report::answer(capabilities, &[], None, &report.render(commands))
}
