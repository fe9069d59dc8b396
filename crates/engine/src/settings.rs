//! What an administrator can set, as the engine needs it. The server reads it from the configuration file, the
//! environment and flags.

use std::path::PathBuf;

use jiff::tz::TimeZone;
use madake_domain::address::AddressPattern;
use madake_domain::hanging::HangingRules;
use madake_domain::plan::Docker;
use madake_domain::retention::RetentionPolicy;
use madake_outgoing::client::ClientSettings;
use madake_outgoing::guard::AddressPolicy;
use madake_outgoing::mail::MailSettings;
use madake_protocol::{
    Bubblewrap, ContainerOrder, ContainerPolicy, DEFAULT_ARTIFACT_BYTES, DEFAULT_ARTIFACT_FILES,
    DEFAULT_REPORT_BYTES, DEFAULT_TEST_CASES, DEFAULT_TEST_TEXT_BYTES, IsolationChoice, TestOrder,
};

pub use madake_protocol::SecretsInArtifacts;

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address that links start with, without a slash at the end.
    pub base_url: String,
    /// The name that `server-name` in plan files is matched with.
    pub server_name: String,
    /// The time zone of logs, cron expressions and time windows.
    pub time_zone: TimeZone,
    /// How many jobs the built-in agents run at once.
    pub agents: usize,
    /// How many builds of one plan branch may run at once, where the plan says nothing. `None`: any number.
    pub concurrent_builds: Option<u32>,
    /// How many pushes of builds may follow from one another before what the last one pushed is not built. 0: any number.
    pub pushes_in_a_row: usize,
    /// The longest time that a job may run, in seconds, where the plan says nothing.
    pub job_timeout_seconds: u64,
    /// How long a job that is told to stop may take before it is killed, in seconds.
    pub stop_grace_seconds: u64,
    /// When a job hangs or waits too long, where the plan says nothing.
    pub hanging: HangingRules,
    /// What follows from it.
    pub when_hanging: WhenHanging,
    /// How the built-in agents keep jobs apart from the machine.
    pub agent: AgentSettings,
    /// How much is kept of what jobs leave, and how long.
    pub results: ResultSettings,
    /// How often the refs of hosted and attached repositories are compared with the ledger, in seconds.
    pub reconcile_seconds: u64,
    /// How often a linked repository is looked at for plans that say nothing of triggers, in seconds.
    pub poll_seconds: u64,
    /// Addresses whose remote triggers count for every plan, besides those of the plan's own trigger.
    pub trigger_addresses: Vec<AddressPattern>,
    /// Whether callers that are not logged in may use remote triggers of plans that they may read.
    pub anonymous_triggers: bool,
    /// Whether linked repositories may be folders of this machine.
    pub local_repositories: bool,
    /// Whether linked repositories may be at loopback and private addresses.
    pub private_repositories: bool,
    /// Where requests may go that users asked for: webhooks and brokers.
    pub outgoing_policy: AddressPolicy,
    /// How they are made.
    pub outgoing_client: ClientSettings,
    /// The mail server; none: no mail is sent.
    pub mail: Option<MailSettings>,
    /// The absolute paths of programs that brokers may run.
    pub broker_programs: Vec<String>,
    /// The largest object of Git LFS that is taken, in bytes. `None`: any size.
    pub lfs_object_limit: Option<u64>,
    /// Plans and refs of one push that are looked at, at most.
    pub refs_per_push: usize,
    /// This very program, which supervises jobs and answers hooks.
    pub program: PathBuf,
    /// The `git` program.
    pub git: PathBuf,
    /// The `hg` program.
    pub hg: PathBuf,
}

/// What follows when a job hangs, or has waited too long for an agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenHanging {
    /// It is told of, in the ledger and in the server's log.
    #[default]
    Tell,
    /// Its build is stopped besides.
    Stop,
}

/// How the built-in agents keep jobs apart from the machine.
#[derive(Debug, Clone, Default)]
pub struct AgentSettings {
    /// In which way.
    pub isolation: IsolationChoice,
    /// What isolated jobs see; the engine hides its home besides.
    pub sandbox: Bubblewrap,
    /// What plans may ask for that run in containers.
    pub containers: ContainerPolicy,
}

impl AgentSettings {
    /// The container that a plan asks for, within what an administrator allows; its volumes are those of
    /// `volume_scope` alone.
    #[must_use]
    pub fn container(&self, docker: &Docker, volume_scope: String) -> ContainerOrder {
        ContainerOrder {
            image: docker.image.clone(),
            volumes: docker.volumes.clone(),
            volume_scope,
            default_volumes: docker.use_default_volumes,
            run_arguments: docker.run_arguments.clone(),
            network: self.sandbox.network,
            policy: self.containers.clone(),
        }
    }
}

/// How much is kept of what jobs leave, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSettings {
    /// The most bytes of one artifact.
    pub artifact_bytes: u64,
    /// The most files of one artifact.
    pub artifact_files: u64,
    /// What becomes of artifacts that hold a secret.
    pub secrets_in_artifacts: SecretsInArtifacts,
    /// The most test cases of one job.
    pub test_cases: usize,
    /// The most bytes that are read of one test report.
    pub test_report_bytes: usize,
    /// The most bytes that texts of the tests of one job have together, and the most of their names.
    pub test_text_bytes: usize,
    /// What goes when, where a plan says nothing. `None`: all is kept.
    pub retention: Option<RetentionPolicy>,
}

impl ResultSettings {
    /// How the test reports of a job without quarantine are read.
    #[must_use]
    pub fn tests(&self) -> TestOrder {
        TestOrder {
            quarantined: Vec::new(),
            most_cases: self.test_cases,
            most_report_bytes: self.test_report_bytes,
            most_text_bytes: self.test_text_bytes,
        }
    }
}

impl Default for ResultSettings {
    fn default() -> Self {
        Self {
            artifact_bytes: DEFAULT_ARTIFACT_BYTES,
            artifact_files: DEFAULT_ARTIFACT_FILES,
            secrets_in_artifacts: SecretsInArtifacts::default(),
            test_cases: DEFAULT_TEST_CASES,
            test_report_bytes: DEFAULT_REPORT_BYTES,
            test_text_bytes: DEFAULT_TEST_TEXT_BYTES,
            retention: None,
        }
    }
}
