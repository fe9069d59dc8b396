//! What there is to tell of a build, read from the store, with secrets covered and control characters left out.

use madake_domain::mask::Masks;
use madake_domain::plan::PlanConfiguration;
use madake_domain::schedule::{JobOutcome, JobState};
use madake_domain::text::inert;
use madake_domain::variables::looks_secret;
use madake_formats::outgoing::notification::{
    BuildTold, CommitTold, DeploymentTold, Happened, JobTold, NotificationFacts, State, Subject, TestTold,
    TestsTold,
};
use madake_store::build::{Build, Change};
use madake_store::plan::{Plan, PlanBranch};
use madake_store::test_result::{self, RunKind};
use madake_store::{Tx, build_query, meta, project, repository};

use super::{DeploymentNotice, Trouble, What};
use crate::EngineError;
use crate::commit_page::commit_page;
use crate::telling::{BASE_URL, reason_sentence};
use crate::variables::SetVariables;
use madake_domain::notification::{BuildVerdict, DeploymentHappening, JobVerdict};

/// The most commits that are told.
const MOST_COMMITS: usize = 20;
/// The most failed tests that are told.
const MOST_TESTS: i64 = 50;
/// The longest line, in characters.
const LONGEST_LINE: usize = 500;
/// The most lines of a text.
const MOST_LINES: usize = 40;

/// A build with what belongs to it.
pub(super) struct Known {
    pub(super) build: Build,
    pub(super) plan: Plan,
    pub(super) branch: PlanBranch,
    pub(super) changes: Vec<Change>,
}

/// Covers what must not be told.
pub(super) struct Cover(Masks);

impl Cover {
    /// Covers the secrets of a plan and of a build, and those that people set.
    pub(super) fn of(configuration: &PlanConfiguration, build: &Build, set: &SetVariables) -> Self {
        let of_plan = configuration
            .variables
            .iter()
            .map(|one| (one.name.as_str(), one.value.as_str()));
        let of_build = build
            .variables
            .iter()
            .map(|one| (one.name.as_str(), one.value.as_str()));
        let secrets = of_plan
            .chain(of_build)
            .filter(|(name, _)| looks_secret(name))
            .map(|(_, value)| value)
            .chain(set.secrets());
        Self(Masks::new(secrets))
    }

    /// Covers nothing: what is told was covered before.
    pub(super) fn nothing() -> Self {
        Self(Masks::new([]))
    }

    /// A text of one line.
    fn line(&self, text: &str) -> String {
        inert(&self.0.apply_to_text(text), LONGEST_LINE)
    }

    /// A text of several lines.
    fn lines(&self, text: &str) -> String {
        let covered = self.0.apply_to_text(text);
        let mut lines: Vec<String> = covered
            .lines()
            .take(MOST_LINES)
            .map(|line| inert(line, LONGEST_LINE))
            .collect();
        if covered.lines().count() > MOST_LINES {
            lines.push("...".to_owned());
        }
        lines.join("\n")
    }
}

/// What there is to tell of something that happened to a build; `responsible` is who is responsible now.
pub(super) fn of_build(
    tx: &Tx<'_>,
    known: &Known,
    what: &What,
    responsible: Vec<String>,
    cover: &Cover,
    at_ms: i64,
) -> Result<NotificationFacts, EngineError> {
    let Known {
        build,
        plan,
        branch,
        changes,
    } = known;
    let server_url = meta::get(tx, BASE_URL)?.unwrap_or_default();
    let project_name = project::by_key(tx, &plan.key.project())?
        .map_or_else(|| plan.key.project().to_string(), |project| project.name);
    let mut path = vec![cover.line(&project_name), cover.line(&plan.name)];
    if !branch.is_master {
        path.push(cover.line(&branch.display_name));
    }
    let jobs = jobs(tx, build, cover)?;
    let key_of = |job_id: i64| {
        let found = jobs.iter().find(|(id, _)| *id == job_id);
        found.map_or_else(String::new, |(_, job)| job.key.clone())
    };
    let (happened, state) = match what {
        What::BuildEnded { verdict, .. } => (
            Happened::Ended,
            match verdict {
                BuildVerdict::Successful => State::Successful,
                BuildVerdict::Failed => State::Failed,
                BuildVerdict::Stopped => State::Stopped,
            },
        ),
        What::JobEnded { job_id, .. } => (Happened::JobEnded { job: key_of(*job_id) }, State::Running),
        What::JobTrouble {
            job_id,
            trouble,
            reason,
        } => {
            let what = match trouble {
                Trouble::Hung => "appears to hang",
                Trouble::QueueTimeout => "has waited too long for an agent",
                Trouble::NoCapableAgent => "can be run by no agent",
            };
            let happened = Happened::JobTrouble {
                job: key_of(*job_id),
                what,
                reason: cover.lines(reason),
            };
            (happened, State::Running)
        }
        What::CommentAdded { by, text } => (
            Happened::Commented {
                by: cover.line(by),
                text: cover.lines(text),
            },
            ended_state(build),
        ),
        What::ResponsibilityChanged { by } => (
            Happened::ResponsibilityChanged { by: cover.line(by) },
            ended_state(build),
        ),
        What::Deployment(_) => {
            return Err(EngineError::Internal("a deployment is no build".into()));
        }
    };
    let verdict_of_job = match what {
        What::JobEnded { job_id, verdict, .. } => Some((*job_id, *verdict)),
        _ => None,
    };
    let jobs = jobs
        .into_iter()
        .map(|(id, job)| match verdict_of_job {
            // The job may run again by now.
            Some((told, verdict)) if told == id => JobTold {
                state: match verdict {
                    JobVerdict::Successful => State::Successful,
                    JobVerdict::Failed | JobVerdict::Error => State::Failed,
                    JobVerdict::Stopped => State::Stopped,
                },
                ..job
            },
            _ => job,
        })
        .collect();
    let built_from = match build_query::revisions(tx, build.id)?.first() {
        Some(first) => match first.repository_id {
            Some(id) => repository::by_id(tx, id)?,
            None => None,
        },
        None => None,
    };
    let commits = changes
        .iter()
        .take(MOST_COMMITS)
        .map(|one| CommitTold {
            id: one.changeset.clone(),
            author: cover.line(&one.author),
            message: cover.lines(&one.message),
            link: built_from
                .as_ref()
                .and_then(|found| commit_page(&server_url, found, &one.changeset)),
        })
        .collect();
    Ok(NotificationFacts {
        at_ms,
        path,
        subject: Subject::Build(Box::new(BuildTold {
            happened,
            key: build.key.clone(),
            number: build.number,
            plan_key: branch.key.to_string(),
            plan_name: cover.line(&plan.name),
            state,
            reason: cover.line(&reason_sentence(build)),
            branch: build.vcs_branch.as_deref().map(|branch| cover.line(branch)),
            revision: build.revision.clone(),
            started_ms: build.started_ms,
            finished_ms: build.finished_ms,
            jobs,
            tests: tests(tx, build, cover)?,
            commits,
            more_commits: changes.len().saturating_sub(MOST_COMMITS),
            responsible,
        })),
        server_url,
    })
}

fn ended_state(build: &Build) -> State {
    use madake_domain::schedule::{LifeCycleState, ResultState};
    let summary = build.schedule.summary();
    match (summary.life_cycle, summary.state) {
        (_, ResultState::Successful) => State::Successful,
        (_, ResultState::Failed) => State::Failed,
        (LifeCycleState::NotBuilt, _) => State::Stopped,
        _ => State::Running,
    }
}

fn jobs(tx: &Tx<'_>, build: &Build, cover: &Cover) -> Result<Vec<(i64, JobTold)>, EngineError> {
    let plan = build
        .key
        .rsplit_once('-')
        .map_or(build.key.as_str(), |(plan, _)| plan);
    let mut told = Vec::new();
    for row in build_query::jobs(tx, build.id)? {
        let Some((stage, job)) = build.schedule.job(row.id) else {
            continue;
        };
        let (state, message) = match &job.state {
            JobState::Done { outcome, .. } => match outcome {
                JobOutcome::Successful => (State::Successful, ""),
                JobOutcome::Failed { reason } | JobOutcome::Error { reason } => {
                    (State::Failed, reason.as_str())
                }
                JobOutcome::Stopped => (State::Stopped, ""),
            },
            JobState::Disabled | JobState::NotBuilt { .. } => (State::Stopped, ""),
            _ => (State::Running, ""),
        };
        let job = JobTold {
            key: format!("{plan}-{}-{}", row.key, build.number),
            name: cover.line(&row.name),
            stage: cover.line(&stage.name),
            state,
            message: cover.lines(message),
        };
        told.push((row.id, job));
    }
    Ok(told)
}

/// The tests of a build, if it had some.
fn tests(tx: &Tx<'_>, build: &Build, cover: &Cover) -> Result<Option<TestsTold>, EngineError> {
    let counts = test_result::counts_of_build(tx, build.id)?;
    if counts.all == 0 {
        return Ok(None);
    }
    let mut failures = Vec::new();
    for row in build_query::jobs(tx, build.id)? {
        let left = MOST_TESTS - i64::try_from(failures.len()).unwrap_or(MOST_TESTS);
        if left <= 0 {
            break;
        }
        for run in test_result::runs_of_job(tx, row.id, RunKind::Failed, 0, left)? {
            let name = if run.class_name.is_empty() {
                run.name
            } else {
                format!("{}.{}", run.class_name, run.name)
            };
            failures.push(TestTold {
                name: cover.line(&name),
                job: cover.line(&row.name),
            });
        }
    }
    let count = |many: u64| usize::try_from(many).unwrap_or(usize::MAX);
    Ok(Some(TestsTold {
        total: count(counts.all),
        failed: count(counts.failed),
        failures,
    }))
}

/// What there is to tell of a deployment.
pub(super) fn of_deployment(
    tx: &Tx<'_>,
    notice: &DeploymentNotice,
    at_ms: i64,
) -> Result<NotificationFacts, EngineError> {
    let cover = Cover::nothing();
    let server_url = meta::get(tx, BASE_URL)?.unwrap_or_default();
    Ok(NotificationFacts {
        at_ms,
        path: vec![cover.line(&notice.project)],
        subject: Subject::Deployment(Box::new(DeploymentTold {
            id: notice.result_id,
            project_id: notice.project_id,
            environment_id: notice.environment_id,
            environment: cover.line(&notice.environment),
            release: cover.line(&notice.release),
            state: match notice.happening {
                DeploymentHappening::Started => State::Running,
                DeploymentHappening::Succeeded => State::Successful,
                DeploymentHappening::Failed => State::Failed,
                DeploymentHappening::Stopped => State::Stopped,
            },
            reason: cover.line(&notice.reason),
            link: format!("{server_url}{}", notice.path),
            started_ms: notice.started_ms,
            finished_ms: notice.finished_ms,
            message: cover.lines(&notice.message),
        })),
        server_url,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_set_as_a_secret_is_covered_in_what_is_told() {
        let secrets = ["correct horse battery"];
        let cover = Cover(Masks::new(secrets));
        assert_eq!(cover.line("Use correct horse battery"), "Use ********");
        assert_eq!(Cover::nothing().line("Use correct horse"), "Use correct horse");
        assert!(!cover.lines("one\ncorrect horse battery\n").contains("battery"));
    }
}
