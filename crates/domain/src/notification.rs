//! Who is told of what happened to a plan or an environment: a pure function of what the plan says, what happened and
//! who is known (bamboo-specs.md 10; the meaning of each event is that of Bamboo's own documentation).

mod audience;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::audience::{
    Audience, Call, Committer, LeftOut, Letter, People, Person, Unheard, Wanted, audience,
    looks_like_an_address,
};

use crate::plan::{EnvironmentEvent, Notification, PlanEvent, Recipient};

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildVerdict {
    /// All went well, as far as it ran.
    Successful,
    /// A stage failed.
    Failed,
    /// It was stopped, or could not start: neither good nor bad.
    Stopped,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobVerdict {
    /// All tasks succeeded.
    Successful,
    /// A task failed.
    Failed,
    /// It could not be run rightly.
    Error,
    /// It was stopped.
    Stopped,
}

impl JobVerdict {
    /// Whether it counts as a failure.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// What happened to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// A build ended, or waits for a person at a manual stage.
    BuildEnded {
        /// How.
        verdict: BuildVerdict,
        /// How the last build of the plan branch ended that had a verdict; `None` for the first.
        before: Option<BuildVerdict>,
        /// How many builds of the plan branch have failed since the last good one, this one included.
        failures_in_a_row: u32,
    },
    /// A job ended.
    JobEnded {
        /// How.
        verdict: JobVerdict,
        /// How the same job ended in the build before.
        before: Option<JobVerdict>,
        /// Whether no other job of the build has failed before it.
        first_failure: bool,
    },
    /// A job seems to hang.
    JobHung,
    /// A job waits for an agent for too long.
    JobQueueTimeout,
    /// No agent can take a job.
    JobWithoutCapableAgents,
    /// Somebody commented on a result.
    CommentAdded,
    /// Somebody else is responsible for a failure.
    ResponsibilityChanged,
}

/// What happened in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentHappening {
    /// A deployment began.
    Started,
    /// It went well.
    Succeeded,
    /// It failed.
    Failed,
    /// It was stopped, or could not begin.
    Stopped,
}

/// A rule that fits, and the event in it that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitting<'a> {
    /// The first event of the rule that fits.
    pub event: PlanEvent,
    /// Who is told.
    pub recipients: &'a [Recipient],
}

/// The rules of a plan that tell of what happened.
#[must_use]
pub fn fitting<'a>(rules: &'a [Notification], happening: &Happening) -> Vec<Fitting<'a>> {
    rules
        .iter()
        .filter_map(|rule| {
            let event = *rule.events.iter().find(|event| tells(**event, happening))?;
            Some(Fitting {
                event,
                recipients: &rule.recipients,
            })
        })
        .collect()
}

/// Whether an event of the plan file is what happened.
///
/// As in Bamboo, `plan-failed` and `job-failed` tell of each failure and of the first success after it,
/// `plan-failed: 3` once when the third build in a row fails, and `job-first-failed` of the first job that fails in a
/// build. What ran for the first time counts as having been well before.
#[must_use]
pub fn tells(event: PlanEvent, happening: &Happening) -> bool {
    match *happening {
        Happening::BuildEnded {
            verdict,
            before,
            failures_in_a_row,
        } => {
            let failed = verdict == BuildVerdict::Failed;
            let failed_before = before == Some(BuildVerdict::Failed);
            let mended = verdict == BuildVerdict::Successful && failed_before;
            match event {
                PlanEvent::PlanCompleted => true,
                PlanEvent::PlanFailed { failures: 0 | 1 } => failed || mended,
                PlanEvent::PlanFailed { failures } => failed && failures_in_a_row == failures,
                PlanEvent::PlanStatusChanged => mended || (failed && !failed_before),
                _ => false,
            }
        }
        Happening::JobEnded {
            verdict,
            before,
            first_failure,
        } => {
            let failed = verdict.is_failure();
            let failed_before = before.is_some_and(JobVerdict::is_failure);
            let mended = verdict == JobVerdict::Successful && failed_before;
            match event {
                PlanEvent::JobCompleted => true,
                PlanEvent::JobFailed => failed || mended,
                PlanEvent::JobStatusChanged => mended || (failed && !failed_before),
                PlanEvent::JobError { first_only } => {
                    verdict == JobVerdict::Error && !(first_only && before == Some(JobVerdict::Error))
                }
                PlanEvent::JobFirstFailed => failed && first_failure,
                _ => false,
            }
        }
        Happening::JobHung => event == PlanEvent::JobHung,
        Happening::JobQueueTimeout => event == PlanEvent::JobQueueTimeout,
        Happening::JobWithoutCapableAgents => event == PlanEvent::JobQueuedWithoutCapableAgents,
        Happening::CommentAdded => event == PlanEvent::PlanCommentAdded,
        Happening::ResponsibilityChanged => event == PlanEvent::PlanResponsibilityChanged,
    }
}

/// Whether an event of an environment is what happened. A deployment that was stopped has finished, and not failed.
#[must_use]
pub fn tells_of_deployment(event: EnvironmentEvent, happening: DeploymentHappening) -> bool {
    match event {
        EnvironmentEvent::DeploymentStartedAndFinished => true,
        EnvironmentEvent::DeploymentFinished => happening != DeploymentHappening::Started,
        EnvironmentEvent::DeploymentFailed => happening == DeploymentHappening::Failed,
    }
}

/// What an event is called for people, as Bamboo calls it.
#[must_use]
pub fn title(event: PlanEvent) -> String {
    match event {
        PlanEvent::PlanFailed { failures: 0 | 1 } => "Failed builds and first successful".into(),
        PlanEvent::PlanFailed { failures } => format!("After {failures} failed builds"),
        PlanEvent::PlanCompleted => "All builds completed".into(),
        PlanEvent::PlanStatusChanged => "Change of build status".into(),
        PlanEvent::PlanCommentAdded => "Comment added".into(),
        PlanEvent::PlanResponsibilityChanged => "Change of responsibilities".into(),
        PlanEvent::JobCompleted => "All jobs completed".into(),
        PlanEvent::JobStatusChanged => "Change of job status".into(),
        PlanEvent::JobFailed => "Failed jobs and first successful".into(),
        PlanEvent::JobError { .. } => "Job error".into(),
        PlanEvent::JobFirstFailed => "First failed job for plan".into(),
        PlanEvent::JobHung => "Job hung".into(),
        PlanEvent::JobQueueTimeout => "Job queue timeout".into(),
        PlanEvent::JobQueuedWithoutCapableAgents => "Job queued without capable agents".into(),
    }
}

/// What an event of an environment is called for people.
#[must_use]
pub fn environment_title(event: EnvironmentEvent) -> &'static str {
    match event {
        EnvironmentEvent::DeploymentStartedAndFinished => "Deployment started and finished",
        EnvironmentEvent::DeploymentFailed => "Deployment failed",
        EnvironmentEvent::DeploymentFinished => "Deployment finished",
    }
}
