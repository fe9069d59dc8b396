//! What an agent is asked to do: one attempt at one job.

use std::fmt;
use std::path::PathBuf;

use madake_domain::plan::Task;
use madake_domain::repository::Scm;
use serde::{Deserialize, Serialize};

use crate::isolation::Isolation;
use crate::message::{self, MessageError};
use crate::purpose::Purpose;
use crate::results::{ArtifactOrder, TestOrder};

/// Seconds between a friendly and a forced end of a task, unless the order says otherwise.
pub const DEFAULT_STOP_GRACE_SECONDS: u64 = 10;

/// Seconds that final tasks get after a stop or after the job's time limit, unless the order says otherwise.
pub const DEFAULT_FINAL_TASKS_SECONDS: u64 = 300;

const WHAT: &str = "job order";

/// One attempt at one job, complete: the agent needs nothing but this and the repositories that it names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobOrder {
    /// The format of this message, [`crate::FORMAT`].
    pub format: u32,
    /// The key of the job's result, `PROJ-PLAN-JOB1-7`.
    pub job_result_key: String,
    /// The name of the project and plan (and plan branch), for the log.
    pub plan_name: String,
    /// The name of the job, for the log.
    pub job_name: String,
    /// The name of the agent, for the log.
    pub agent_name: String,
    /// The server's number of the job.
    pub job_id: i64,
    /// Counts the attempts at the job from 1.
    pub attempt: i64,
    /// Where the job works. It is made when missing and kept between builds.
    pub working_directory: PathBuf,
    /// The file that the log is appended to, in the format of [`crate::log`].
    pub log_path: PathBuf,
    /// Tasks in order; the first that fails ends the list.
    pub tasks: Vec<Task>,
    /// Tasks that run after the others whatever happened, also after a stop.
    #[serde(default)]
    pub final_tasks: Vec<Task>,
    /// The repositories that checkout tasks may name.
    #[serde(default)]
    pub repositories: Vec<JobRepository>,
    /// Where tasks may push to.
    #[serde(default)]
    pub push_rights: Vec<PushRight>,
    /// Shared credentials that tasks name.
    #[serde(default)]
    pub credentials: Vec<JobCredential>,
    /// Resolved variables; `${bamboo.name}` in texts, `bamboo_name` in the environment.
    #[serde(default)]
    pub variables: Vec<JobVariable>,
    /// What the agent can do, key and value: where programs are that tasks name by their label.
    #[serde(default)]
    pub capabilities: Vec<(String, String)>,
    /// Further environment of each task.
    #[serde(default)]
    pub environment: Vec<(String, String)>,
    /// Further texts that never appear in the log, besides the values of secret variables.
    #[serde(default)]
    pub masks: Vec<Secret>,
    /// The longest time that the tasks together may take, in seconds. `None`: no limit.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
    /// Seconds that a task gets between SIGTERM and SIGKILL.
    #[serde(default = "default_stop_grace_seconds")]
    pub stop_grace_seconds: u64,
    /// Seconds that the final tasks together get after a stop or after the time limit.
    #[serde(default = "default_final_tasks_seconds")]
    pub final_tasks_seconds: u64,
    /// The most bytes that the log may have; what comes after is counted but not written. `None`: no limit.
    #[serde(default)]
    pub log_limit_bytes: Option<u64>,
    /// The time zone of the log's times, by its IANA name.
    pub time_zone: String,
    /// The git program for checkouts: a path, or a name on the `PATH`.
    #[serde(default = "default_git_program")]
    pub git_program: PathBuf,
    /// The hg program for checkouts: a path, or a name on the `PATH`.
    #[serde(default = "default_hg_program")]
    pub hg_program: PathBuf,
    /// The folder with the settings that hg runs with; empty where no Mercurial repository is checked out.
    #[serde(default)]
    pub hg_settings: PathBuf,
    /// Empties the working directory after the last task.
    #[serde(default)]
    pub clean_working_directory: bool,
    /// Whether strangers wrote what runs, so that it gets nothing that belongs to the server's user.
    #[serde(default)]
    pub untrusted: bool,
    /// What the job is run for.
    #[serde(default)]
    pub purpose: Purpose,
    /// How the job's commands are kept apart from the machine; checkouts are the agent's own work.
    #[serde(default)]
    pub isolation: Isolation,
    /// Artifacts that the job gets and keeps.
    #[serde(default)]
    pub artifacts: ArtifactOrder,
    /// How test reports are read.
    #[serde(default)]
    pub tests: TestOrder,
}

fn default_stop_grace_seconds() -> u64 {
    DEFAULT_STOP_GRACE_SECONDS
}

fn default_git_program() -> PathBuf {
    PathBuf::from("git")
}

fn default_hg_program() -> PathBuf {
    PathBuf::from("hg")
}

fn default_final_tasks_seconds() -> u64 {
    DEFAULT_FINAL_TASKS_SECONDS
}

fn default_scm() -> Scm {
    Scm::Git
}

impl JobOrder {
    /// Reads an order.
    ///
    /// # Errors
    /// When the format is unknown or the text is damaged.
    pub fn from_json(json: &[u8]) -> Result<Self, MessageError> {
        message::read(WHAT, json)
    }

    /// The order as JSON. It holds secrets: only the agent may read the file that it goes to.
    ///
    /// # Errors
    /// When a path is not UTF-8.
    pub fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write(WHAT, self)
    }
}

/// A repository that a job may check out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRepository {
    /// The name that checkout tasks use.
    pub name: String,
    /// Git or Mercurial.
    #[serde(default = "default_scm")]
    pub scm: Scm,
    /// A repository on the agent's machine that has the revision.
    pub source: PathBuf,
    /// The exact revision to build: a full object id.
    pub revision: String,
    /// The branch that is built, for display and for the commands of scripts.
    pub branch: String,
    /// The address that `git remote -v` or `hg paths` shows in the checkout, without a credential; `None`: the source.
    #[serde(default)]
    pub origin: Option<String>,
    /// Whether a checkout task without a name means this one.
    pub is_default: bool,
}

/// That tasks of the job may push to a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushRight {
    /// The repository by its name in the plan.
    pub repository: String,
    /// The repository as the server knows it.
    #[serde(default)]
    pub repository_id: i64,
    /// Its address, without a credential.
    pub url: String,
    /// The user's name over there; empty: none is needed.
    #[serde(default)]
    pub username: String,
    /// The password, or a right that ends with the job.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The server hosts it, and hears of each push by whoever it is.
    #[serde(default)]
    pub hosted: bool,
}

/// A shared credential that tasks of the job name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCredential {
    /// The name, as the tasks write it.
    pub name: String,
    /// What the job gets.
    pub content: CredentialContent,
}

/// What a job gets of a shared credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum CredentialContent {
    /// A user name and a password or token.
    Password {
        /// The user's name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A private key.
    Key {
        /// The user's name; empty: the task says it.
        username: String,
        /// The key, in PEM.
        key: Secret,
        /// What opens the key.
        passphrase: Option<Secret>,
    },
    /// Nothing: it is not there, or the plan may not use it. The task that names it fails with this sentence.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

impl CredentialContent {
    /// All that the log must not show.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let (first, second) = match self {
            Self::Password { password, .. } => (Some(password), None),
            Self::Key { key, passphrase, .. } => (Some(key), passphrase.as_ref()),
            Self::Refused { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// A variable with its value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobVariable {
    /// The name without the `bamboo.` in front.
    pub name: String,
    /// The value.
    pub value: String,
    /// Whether the value must not appear in the log.
    #[serde(default)]
    pub secret: bool,
    /// Whether a person configured the value, so that it may refer to other variables. What the build says of
    /// itself (a branch name, an author) is always put in as it is: anybody who pushes can choose it.
    #[serde(default)]
    pub may_refer: bool,
}

impl fmt::Debug for JobVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.secret { "********" } else { &self.value };
        write!(f, "{}={value:?}", self.name)
    }
}

/// A text that must not appear in a log, an error or a debug print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Marks a text as secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use madake_domain::plan::TaskAction;

    fn order() -> JobOrder {
        JobOrder {
            format: crate::FORMAT,
            job_result_key: "PROJ-PLAN-JOB1-7".into(),
            plan_name: "Project - Plan".into(),
            job_name: "Default Job".into(),
            agent_name: "Default Agent".into(),
            job_id: 12,
            attempt: 1,
            working_directory: "/home/m/work".into(),
            log_path: "/home/m/log".into(),
            tasks: vec![Task::from(TaskAction::Clean)],
            final_tasks: Vec::new(),
            repositories: Vec::new(),
            push_rights: vec![PushRight {
                repository: "app".into(),
                repository_id: 3,
                url: "http://localhost/scm/proj/app.git".into(),
                username: "x".into(),
                password: Some(Secret::new("horse")),
                hosted: true,
            }],
            credentials: vec![
                JobCredential {
                    name: "deploy".into(),
                    content: CredentialContent::Key {
                        username: "joe".into(),
                        key: Secret::new("-----BEGIN horse-----"),
                        passphrase: Some(Secret::new("stable horse")),
                    },
                },
                JobCredential {
                    name: "other".into(),
                    content: CredentialContent::Refused {
                        reason: "the server has no such credential".into(),
                    },
                },
            ],
            variables: vec![JobVariable {
                name: "password".into(),
                value: "hunter22".into(),
                secret: true,
                may_refer: false,
            }],
            capabilities: vec![("system.git.executable".into(), "/usr/bin/git".into())],
            environment: Vec::new(),
            masks: vec![Secret::new("correct horse")],
            timeout_seconds: None,
            stop_grace_seconds: 1,
            final_tasks_seconds: 1,
            log_limit_bytes: None,
            time_zone: "UTC".into(),
            git_program: default_git_program(),
            hg_program: default_hg_program(),
            hg_settings: PathBuf::new(),
            clean_working_directory: false,
            untrusted: false,
            purpose: Purpose::Deployment,
            isolation: Isolation::default(),
            artifacts: ArtifactOrder::default(),
            tests: TestOrder::default(),
        }
    }

    #[test]
    fn order_survives_the_way_through_json() {
        let order = order();
        assert_eq!(JobOrder::from_json(&order.to_json().unwrap()).unwrap(), order);
    }

    #[test]
    fn newer_format_is_named_even_when_its_fields_are_unknown() {
        let error = JobOrder::from_json(br#"{"format": 2, "jobs": "all"}"#).unwrap_err();
        assert!(matches!(error, MessageError::UnknownFormat { found: 2, .. }));
        assert!(
            error
                .to_string()
                .starts_with("the job order has format 2, but this version reads format 1")
        );
    }

    #[test]
    fn damaged_order_is_called_damaged() {
        for json in [&b""[..], b"{\"format\": 1", b"{\"format\": 1}", b"{}"] {
            let error = JobOrder::from_json(json).unwrap_err();
            assert!(matches!(error, MessageError::Damaged { .. }), "{json:?}");
        }
    }

    #[test]
    fn debug_text_hides_secrets() {
        let text = format!("{:?}", order());
        assert!(text.contains("password") && !text.contains("hunter22") && !text.contains("horse"));
    }
}
