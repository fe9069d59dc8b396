//! Projects, plans, plan branches and jobs as they are configured.

use madake_domain::key::{JobKey, PlanKey, ProjectKey, ResultKey};

use super::{ResultEntry, Slice, Status, VariableView};

/// A project without its plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRef {
    /// Number of the project.
    pub id: i64,
    /// Key.
    pub key: ProjectKey,
    /// Name.
    pub name: String,
    /// Description, may be empty.
    pub description: String,
}

/// A project in a list or on its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectView {
    /// The project.
    pub project: ProjectRef,
    /// Its readable plans.
    pub plans: Slice<PlanView>,
}

/// A plan or plan branch in short: an item of lists, and the `plan` of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRef {
    /// Number of the plan.
    pub id: i64,
    /// Key.
    pub key: PlanKey,
    /// Name of the project.
    pub project_name: String,
    /// Name of the plan, or display name of the plan branch.
    pub short_name: String,
    /// Whether it may be built.
    pub enabled: bool,
    /// The plan that this is a branch of.
    pub master: Option<Box<PlanRef>>,
}

impl PlanRef {
    /// `My project - Build`, and `My project - Build - feature-bar` for a plan branch.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.master {
            Some(master) => format!("{} - {}", master.name(), self.short_name),
            None => format!("{} - {}", self.project_name, self.short_name),
        }
    }
}

/// A job in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRef {
    /// Number of the job.
    pub id: i64,
    /// Key.
    pub key: JobKey,
    /// Name of the job.
    pub short_name: String,
    /// Whether it runs in builds of the plan.
    pub enabled: bool,
    /// The plan or plan branch.
    pub plan: PlanRef,
}

impl JobRef {
    /// `My project - Build - Unit tests`
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} - {}", self.plan.name(), self.short_name)
    }
}

/// A plan or plan branch in full. For lists in which nobody asked for more, [`PlanView::short`] will do.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanView {
    /// The plan.
    pub plan: PlanRef,
    /// Its project.
    pub project: ProjectRef,
    /// Description, may be empty.
    pub description: String,
    /// Whether the caller marked it.
    pub is_favourite: bool,
    /// Whether a build of it is queued or running.
    pub is_active: bool,
    /// Whether a build of it is running.
    pub is_building: bool,
    /// Mean duration of its builds, 0 when unknown.
    pub average_build_time_ms: i64,
    /// Its stages.
    pub stages: Slice<StageDefinition>,
    /// Its plan branches; a plan branch has none.
    pub branches: Slice<BranchView>,
    /// Its variables.
    pub variables: Slice<VariableView>,
}

impl PlanView {
    /// A plan of which nothing but its line in a list is known.
    #[must_use]
    pub fn short(plan: PlanRef, project: ProjectRef) -> Self {
        Self {
            plan,
            project,
            description: String::new(),
            is_favourite: false,
            is_active: false,
            is_building: false,
            average_build_time_ms: 0,
            stages: Slice::default(),
            branches: Slice::default(),
            variables: Slice::default(),
        }
    }
}

/// A stage of a plan's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageDefinition {
    /// Name.
    pub name: String,
    /// Description, may be empty.
    pub description: String,
    /// Whether it waits for somebody to start it.
    pub manual: bool,
    /// Its jobs.
    pub jobs: Slice<JobRef>,
}

/// A plan branch as its own resource.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchView {
    /// The plan branch, with its master.
    pub plan: PlanRef,
    /// Description, may be empty.
    pub description: String,
    /// Whether the caller marked it.
    pub is_favourite: bool,
    /// Its newest result.
    pub latest_result: Option<ResultEntry>,
    /// Its newest result that is queued or running.
    pub latest_active: Option<ActiveResult>,
}

/// A result that is queued or running, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveResult {
    /// Key.
    pub key: ResultKey,
    /// State.
    pub status: Status,
}
