//! What there is to tell. Texts are inert and covered already: this crate knows no secrets.

/// What there is to tell, whoever is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationFacts {
    /// The server's address without a slash at the end.
    pub server_url: String,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
    /// Where it happened, from the project to the plan branch or the environment.
    pub path: Vec<String>,
    /// What it is about.
    pub subject: Subject,
}

/// What it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A build, or something in it.
    Build(Box<BuildTold>),
    /// A deployment.
    Deployment(Box<DeploymentTold>),
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It went well.
    Successful,
    /// It failed.
    Failed,
    /// It was stopped, or could not start.
    Stopped,
    /// It has not ended.
    Running,
}

impl State {
    /// `buildState` of Bamboo (bamboo-rest.md 1.12).
    pub fn word(self) -> &'static str {
        match self {
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Stopped | Self::Running => "Unknown",
        }
    }
}

/// What happened to a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// It ended, or waits at a manual stage.
    Ended,
    /// A job ended; its key.
    JobEnded {
        /// `PROJ-PLAN-JOB1-7`
        job: String,
    },
    /// A job hangs, or waits.
    JobTrouble {
        /// `PROJ-PLAN-JOB1-7`
        job: String,
        /// `appears to hang`
        what: &'static str,
        /// Why that is thought.
        reason: String,
    },
    /// Somebody commented.
    Commented {
        /// Who.
        by: String,
        /// What.
        text: String,
    },
    /// Others are responsible now.
    ResponsibilityChanged {
        /// Who changed it.
        by: String,
    },
}

/// A build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildTold {
    /// What happened to it.
    pub happened: Happened,
    /// `PROJ-PLAN-7`
    pub key: String,
    /// The number.
    pub number: i64,
    /// `PROJ-PLAN`
    pub plan_key: String,
    /// The plan's name.
    pub plan_name: String,
    /// How the build stands.
    pub state: State,
    /// Why it ran, as a sentence.
    pub reason: String,
    /// The branch.
    pub branch: Option<String>,
    /// The revision, a full id.
    pub revision: Option<String>,
    /// When its first job began.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// Its jobs.
    pub jobs: Vec<JobTold>,
    /// Its tests, where it had some.
    pub tests: Option<TestsTold>,
    /// The commits that are new in it, newest first.
    pub commits: Vec<CommitTold>,
    /// How many more there are.
    pub more_commits: usize,
    /// The names of those who are responsible.
    pub responsible: Vec<String>,
}

/// A job of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTold {
    /// `PROJ-PLAN-JOB1-7`
    pub key: String,
    /// The name.
    pub name: String,
    /// The name of its stage.
    pub stage: String,
    /// How it stands.
    pub state: State,
    /// What the agent said of its end.
    pub message: String,
}

/// The tests of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestsTold {
    /// How many ran.
    pub total: usize,
    /// How many failed.
    pub failed: usize,
    /// Those that failed, or as many of them as are told.
    pub failures: Vec<TestTold>,
}

/// A test that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestTold {
    /// Class and method.
    pub name: String,
    /// The name of the job.
    pub job: String,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTold {
    /// The full id.
    pub id: String,
    /// The author's name.
    pub author: String,
    /// The message.
    pub message: String,
    /// Its page.
    pub link: Option<String>,
}

/// A deployment of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentTold {
    /// The id of the result.
    pub id: i64,
    /// The id of the deployment project.
    pub project_id: i64,
    /// The id of the environment.
    pub environment_id: i64,
    /// The environment's name.
    pub environment: String,
    /// The release's name.
    pub release: String,
    /// How it stands.
    pub state: State,
    /// Why it ran, as a sentence.
    pub reason: String,
    /// The page about it.
    pub link: String,
    /// When it began.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// What the agent said of its end.
    pub message: String,
}
