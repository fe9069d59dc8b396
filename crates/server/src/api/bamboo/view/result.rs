//! Results of plans, stages and jobs.

use madake_domain::key::{JobResultKey, ResultKey};

use super::{
    ArtifactView, ChangeView, CommentView, IssueView, JobRef, LogLine, PlanRef, PlanView, Reason,
    RevisionView, Slice, Status, TestCounts, TestResults, VariableView,
};

/// A plan's result in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSummary {
    /// Number of the row.
    pub id: i64,
    /// Key.
    pub key: ResultKey,
    /// What was built.
    pub plan: PlanRef,
    /// State.
    pub status: Status,
}

/// A job's result in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResultSummary {
    /// Number of the row.
    pub id: i64,
    /// Key.
    pub key: JobResultKey,
    /// The job.
    pub job: JobRef,
    /// State.
    pub status: Status,
}

/// An item of a list of results, as far as it was loaded. A full one is only printed in full where the
/// request expands it.
#[derive(Debug, Clone, PartialEq)]
pub enum ResultEntry {
    /// A plan's result in short.
    Plan(ResultSummary),
    /// A plan's result in full.
    FullPlan(Box<ResultView>),
    /// A job's result in short.
    Job(JobResultSummary),
    /// A job's result in full.
    FullJob(Box<JobResultView>),
}

impl ResultEntry {
    /// State.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Plan(summary) => summary.status,
            Self::FullPlan(result) => result.details.status,
            Self::Job(summary) => summary.status,
            Self::FullJob(result) => result.details.status,
        }
    }
}

/// What results of plans and of jobs have in common (bamboo-rest.md 5.2, 5.4).
#[derive(Debug, Clone, PartialEq)]
pub struct ResultDetails {
    /// Number of the row.
    pub id: i64,
    /// State.
    pub status: Status,
    /// Whether a manual stage waits to be started.
    pub continuable: bool,
    /// Whether it was built from a revision that somebody named.
    pub once_off: bool,
    /// Whether the build applied plan files of the repository.
    pub specs_result: bool,
    /// When the first job started.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub completed_ms: Option<i64>,
    /// Mean duration of earlier builds, when there are any; the progress is computed from it.
    pub average_duration_ms: Option<i64>,
    /// Why.
    pub reason: Reason,
    /// Revision of the plan's first repository.
    pub revision: Option<String>,
    /// Revisions of all repositories.
    pub revisions: Slice<RevisionView>,
    /// Counts of tests; zeros when there were none.
    pub tests: TestCounts,
    /// Commits since the build before.
    pub changes: Slice<ChangeView>,
    /// Files that were kept.
    pub artifacts: Slice<ArtifactView>,
    /// Comments.
    pub comments: Slice<CommentView>,
    /// Labels.
    pub labels: Slice<String>,
    /// Issues of a tracker.
    pub issues: Slice<IssueView>,
    /// Variables that were set for this build.
    pub variables: Slice<VariableView>,
    /// Further facts, by name.
    pub metadata: Slice<(String, String)>,
}

/// A plan's result in full.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultView {
    /// Key.
    pub key: ResultKey,
    /// What was built.
    pub plan: PlanRef,
    /// The plan in full, when the request expands it.
    pub full_plan: Option<Box<PlanView>>,
    /// Everything that job results have as well.
    pub details: ResultDetails,
    /// The stages in order.
    pub stages: Slice<StageResult>,
}

/// A stage of a result (bamboo-rest.md 5.3).
#[derive(Debug, Clone, PartialEq)]
pub struct StageResult {
    /// Number of the row.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Description, when it has one.
    pub description: Option<String>,
    /// State.
    pub status: Status,
    /// Whether it waits for somebody to start it.
    pub manual: bool,
    /// Whether its failed jobs can be run again now.
    pub restartable: bool,
    /// Whether it can be started now: true for the next manual stage only.
    pub runnable: bool,
    /// Its jobs. They are needed, in short at least, wherever stages are listed: the stage's message counts them.
    pub jobs: Slice<ResultEntry>,
}

/// A job's result in full.
#[derive(Debug, Clone, PartialEq)]
pub struct JobResultView {
    /// Key.
    pub key: JobResultKey,
    /// The job.
    pub job: JobRef,
    /// Everything that plan results have as well.
    pub details: ResultDetails,
    /// Name of the stage.
    pub stage: String,
    /// Wait for an agent.
    pub queue: Option<Span>,
    /// Checkout of the sources.
    pub vcs_update: Option<Span>,
    /// Whether an agent fits; asked only while the job has not run.
    pub has_executable_agents: Option<bool>,
    /// The tests, by kind.
    pub test_results: TestResults,
    /// Lines of the log; the page that was asked for.
    pub log: Slice<LogLine>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub started_ms: i64,
    /// How long it took, or takes so far.
    pub duration_ms: i64,
}
