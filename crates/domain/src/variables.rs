//! Variables of a build: which there are, which value wins, and how they get into texts and environments
//! (bamboo-specs.md 5).

mod given;
mod injected;
mod kinds;

use std::collections::BTreeMap;

use crate::key::PlanKey;
use crate::plan::Variable;

pub use given::{GivenVariable, give, is_replaced};
pub use injected::{DEFAULT_NAMESPACE, Injected, InjectionProblem, InjectionScope, read_injected};
pub use kinds::{DeploymentFacts, agent_specific, capability_variables, deployment_specific};

/// How deep a variable may refer to others.
pub const MAX_DEPTH: usize = 10;
/// How many references one substitution follows.
pub const MAX_REFERENCES: usize = 10_000;
/// A text of this length, in bytes, gets no further value put in; what is left of its references stays as it is.
pub const MAX_OUTPUT: usize = 4 << 20;
/// The longest name that is looked up, in bytes.
const MAX_NAME: usize = 250;

/// Where the value of a variable came from, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VariableSource {
    /// The server's variables.
    Global,
    /// The project's variables.
    Project,
    /// The plan's variables.
    Plan,
    /// What a plan branch says in place of its plan.
    Branch,
    /// The variables of a deployment environment.
    Environment,
    /// Given by the person who started the build or deployment.
    Manual,
    /// Read from a file that the build itself wrote.
    Injected,
    /// What the build is: number, keys, revision.
    BuildSpecific,
}

impl VariableSource {
    /// The word used in the store and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Project => "project",
            Self::Plan => "plan",
            Self::Branch => "branch",
            Self::Environment => "environment",
            Self::Manual => "manual",
            Self::Injected => "injected",
            Self::BuildSpecific => "build-specific",
        }
    }

    /// Whether values of this source may refer to other variables: those that people with the right to configure wrote.
    /// What a caller, a commit or a script says is put in as it is.
    #[must_use]
    pub fn may_refer(self) -> bool {
        match self {
            Self::Global | Self::Project | Self::Plan | Self::Branch | Self::Environment => true,
            Self::Manual | Self::Injected | Self::BuildSpecific => false,
        }
    }
}

/// The variables that bear on a build, by where they come from.
#[derive(Debug, Clone, Copy, Default)]
pub struct VariableLayers<'a> {
    /// The server's.
    pub global: &'a [Variable],
    /// The project's.
    pub project: &'a [Variable],
    /// The plan's.
    pub plan: &'a [Variable],
    /// The plan branch's own.
    pub branch: &'a [Variable],
    /// The deployment environment's; a deployment has no plan and no branch.
    pub environment: &'a [Variable],
    /// Those given by hand.
    pub manual: &'a [Variable],
    /// Those of files that the build wrote, earlier ones first.
    pub injected: &'a [Variable],
    /// Those of the build itself.
    pub build_specific: &'a [Variable],
}

/// A variable with the value that won.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedVariable {
    /// The name without the `bamboo.` in front.
    pub name: String,
    /// The value.
    pub value: String,
    /// Where the value came from.
    pub source: VariableSource,
}

/// One value for each name, sorted by name: the plan's wins over the project's over the server's, the branch's or the
/// deployment environment's over those, then a value given by hand, an injected one, and what the build is over all. Within one layer the last one wins. Names are
/// matched exactly; a `bamboo.` in front of a name given by hand is taken off.
#[must_use]
pub fn resolve(layers: &VariableLayers<'_>) -> Vec<ResolvedVariable> {
    let mut won: BTreeMap<&str, (&str, VariableSource)> = BTreeMap::new();
    for (variables, source) in [
        (layers.global, VariableSource::Global),
        (layers.project, VariableSource::Project),
        (layers.plan, VariableSource::Plan),
        (layers.branch, VariableSource::Branch),
        (layers.environment, VariableSource::Environment),
        (layers.manual, VariableSource::Manual),
        (layers.injected, VariableSource::Injected),
        (layers.build_specific, VariableSource::BuildSpecific),
    ] {
        for variable in variables {
            let name = variable.name.strip_prefix("bamboo.").unwrap_or(&variable.name);
            won.insert(name, (&variable.value, source));
        }
    }
    won.into_iter()
        .map(|(name, (value, source))| ResolvedVariable {
            name: name.to_owned(),
            value: value.to_owned(),
            source,
        })
        .collect()
}

/// The name of a variable in the environment of a process: `a.b` gives `bamboo_a_b`.
///
/// Dots become underscores, as in Bamboo; so do white space, control characters and `=`, which an environment
/// cannot carry.
#[must_use]
pub fn environment_name(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 7);
    text.push_str("bamboo_");
    text.extend(name.chars().map(|c| match c {
        '.' | '=' => '_',
        c if c.is_control() || c.is_whitespace() => '_',
        c => c,
    }));
    text
}

/// Whether the name says that the value is a secret: Bamboo's words, in any case and with any separators.
#[must_use]
pub fn looks_secret(name: &str) -> bool {
    let folded: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    ["password", "passphrase", "secret", "sshkey"]
        .iter()
        .any(|word| folded.contains(word))
}

/// A text with its references replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substituted {
    /// The text.
    pub text: String,
    /// References that were left as they are since nothing of that name is known, each once, in order.
    pub unknown: Vec<String>,
    /// References that were left as they are since a limit was reached or they lead back to themselves.
    pub stopped: Vec<String>,
}

/// Replaces `${bamboo.name}` and `${system.NAME}` in a text.
///
/// `system` gives the values of the environment. What is not known is left as it is. Values that people
/// configured may refer to other variables; what the build itself says (a branch name, a commit's author), and what
/// comes from a caller or a script, is put in as it is, so that nobody can push a branch called `${bamboo.some.secret}` and read the answer.
/// Depth, number of references and length of the text are bounded.
#[must_use]
pub fn substitute(
    text: &str,
    variables: &[ResolvedVariable],
    system: &dyn Fn(&str) -> Option<String>,
) -> Substituted {
    let mut work = Substitution {
        by_name: variables
            .iter()
            .map(|variable| (variable.name.as_str(), variable))
            .collect(),
        system,
        output: String::with_capacity(text.len()),
        open: Vec::new(),
        followed: 0,
        unknown: Vec::new(),
        stopped: Vec::new(),
    };
    work.expand(text);
    Substituted {
        text: work.output,
        unknown: work.unknown,
        stopped: work.stopped,
    }
}

struct Substitution<'a> {
    by_name: BTreeMap<&'a str, &'a ResolvedVariable>,
    system: &'a dyn Fn(&str) -> Option<String>,
    output: String,
    open: Vec<&'a str>,
    followed: usize,
    unknown: Vec<String>,
    stopped: Vec<String>,
}

impl Substitution<'_> {
    fn expand(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            self.output.push_str(&rest[..at]);
            let from = &rest[at..];
            match reference(from) {
                Some((name, length)) => {
                    self.replace(&from[..length], name);
                    rest = &from[length..];
                }
                None => {
                    self.output.push_str("${");
                    rest = &from[2..];
                }
            }
        }
        self.output.push_str(rest);
    }

    fn replace(&mut self, whole: &str, name: &str) {
        if let Some(name) = name.strip_prefix("system.") {
            match (self.system)(name) {
                Some(value) => self.insert(whole, &value),
                None => self.leave_unknown(whole),
            }
            return;
        }
        let name = name.strip_prefix("bamboo.").unwrap_or(name);
        let Some((&name, &variable)) = self.by_name.get_key_value(name) else {
            return self.leave_unknown(whole);
        };
        if !variable.source.may_refer() || !variable.value.contains("${") {
            return self.insert(whole, &variable.value);
        }
        if self.open.contains(&name) || self.open.len() == MAX_DEPTH || !self.fits(&variable.value) {
            return self.leave_stopped(whole);
        }
        self.followed += 1;
        self.open.push(name);
        self.expand(&variable.value);
        self.open.pop();
    }

    fn fits(&self, value: &str) -> bool {
        self.followed < MAX_REFERENCES && self.output.len().saturating_add(value.len()) <= MAX_OUTPUT
    }

    fn insert(&mut self, whole: &str, value: &str) {
        if self.fits(value) {
            self.followed += 1;
            self.output.push_str(value);
        } else {
            self.leave_stopped(whole);
        }
    }

    fn leave_unknown(&mut self, whole: &str) {
        self.output.push_str(whole);
        note(&mut self.unknown, whole);
    }

    fn leave_stopped(&mut self, whole: &str) {
        self.output.push_str(whole);
        note(&mut self.stopped, whole);
    }
}

fn note(list: &mut Vec<String>, whole: &str) {
    const MAX_NOTED: usize = 100;
    if list.len() < MAX_NOTED && !list.iter().any(|noted| noted == whole) {
        list.push(whole.to_owned());
    }
}

/// The name in a text that starts with `${bamboo.name}` or `${system.NAME}`, and the length of the whole.
fn reference(text: &str) -> Option<(&str, usize)> {
    let inside = text.strip_prefix("${")?;
    let named = ["bamboo.", "system."]
        .into_iter()
        .any(|prefix| inside.starts_with(prefix) && !inside[prefix.len()..].starts_with('}'));
    if !named {
        return None;
    }
    for (at, byte) in inside.bytes().enumerate().take(MAX_NAME) {
        match byte {
            b'}' => return Some((&inside[..at], at + 3)),
            b'$' | b'{' | b'\n' | b'\r' | 0 => return None,
            _ => {}
        }
    }
    None
}

/// A repository as a build checks it out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildRepository {
    /// The repository's name in the plan.
    pub name: String,
    /// Its address without credentials.
    pub url: String,
    /// The branch that is built.
    pub branch: String,
    /// The revision that is built.
    pub revision: String,
    /// The revision of the build before, where there is one.
    pub previous_revision: Option<String>,
    /// The user name that is used to read it, where there is one.
    pub username: Option<String>,
    /// Whether it is a Git repository (else Mercurial).
    pub is_git: bool,
}

/// What Bamboo's keys of reasons begin with.
const TRIGGER_REASON: &str = "com.atlassian.bamboo.plugin.system.triggerReason:";

/// What a build knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFacts {
    /// The plan or plan branch.
    pub plan: PlanKey,
    /// The project's name.
    pub project_name: String,
    /// The plan's name.
    pub plan_name: String,
    /// The display name of the plan branch; `None`: the plan itself.
    pub branch_name: Option<String>,
    /// The build number.
    pub number: i64,
    /// When the build was asked for, as ISO 8601 text.
    pub timestamp: String,
    /// The server's address without a slash at the end.
    pub base_url: String,
    /// Why the build was started, in Bamboo's words: `ManualBuildTriggerReason`; `None`: by what Bamboo has no word for.
    pub trigger_reason: Option<&'static str>,
    /// Who started the build by hand.
    pub started_by: Option<String>,
    /// The key of the parent's result that started the build.
    pub parent: Option<String>,
    /// The tag that it builds.
    pub tag: Option<String>,
    /// The pull request that it builds.
    pub pull_request: Option<ProposedBy>,
    /// The repositories, the default one first.
    pub repositories: Vec<BuildRepository>,
}

/// The pull request that a build is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedBy {
    /// Its number.
    pub number: i64,
    /// The branch that it comes from.
    pub source_branch: String,
    /// The branch that it goes to.
    pub target_branch: String,
}

fn variable(name: impl Into<String>, value: impl Into<String>) -> Variable {
    Variable {
        name: name.into(),
        value: value.into(),
    }
}

/// The variables that are the same for all jobs of a build (bamboo-specs.md 5).
#[must_use]
pub fn build_specific(build: &BuildFacts) -> Vec<Variable> {
    let plan_name = match &build.branch_name {
        Some(branch) => format!("{} - {} - {branch}", build.project_name, build.plan_name),
        None => format!("{} - {}", build.project_name, build.plan_name),
    };
    let short_name = build.branch_name.as_ref().unwrap_or(&build.plan_name);
    let results_url = format!("{}/browse/{}-{}", build.base_url, build.plan, build.number);
    let mut all = vec![
        variable("buildNumber", build.number.to_string()),
        variable("planKey", build.plan.as_str()),
        variable("planName", &*plan_name),
        variable("shortPlanKey", build.plan.short()),
        variable("shortPlanName", &**short_name),
        variable("planResultKey", format!("{}-{}", build.plan, build.number)),
        variable("planResultsUrl", results_url),
        variable("buildTimeStamp", &*build.timestamp),
    ];
    if let Some(reason) = build.trigger_reason {
        all.push(variable("triggerReason.key", format!("{TRIGGER_REASON}{reason}")));
    }
    if let Some(parent) = &build.parent {
        all.push(variable("dependency.parent.0", &**parent));
        all.push(variable("dependency.parent.total", "1"));
    }
    if let Some(user) = &build.started_by {
        all.push(variable("ManualBuildTriggerReason.userName", &**user));
    }
    for (at, repository) in build.repositories.iter().enumerate() {
        let prefixes = if at == 0 {
            vec!["planRepository".to_owned(), "planRepository.1".to_owned()]
        } else {
            vec![format!("planRepository.{}", at + 1)]
        };
        for prefix in prefixes {
            all.extend(repository_variables(&prefix, repository));
        }
    }
    if let Some(default) = build.repositories.first() {
        all.push(variable("repository.name", &*default.name));
        all.push(variable("repository.branch.name", &*default.branch));
        all.push(variable("repository.revision.number", &*default.revision));
        if let Some(previous) = &default.previous_revision {
            all.push(variable("repository.previous.revision.number", &**previous));
        }
        let kind = if default.is_git { "git" } else { "hg" };
        all.push(variable(format!("repository.{kind}.branch"), &*default.branch));
        all.push(variable(
            format!("repository.{kind}.repositoryUrl"),
            &*default.url,
        ));
    }
    if let Some(tag) = &build.tag {
        all.push(variable("repository.tag", &**tag));
    }
    if let Some(one) = &build.pull_request {
        all.push(variable("repository.pr.key", one.number.to_string()));
        all.push(variable("repository.pr.sourceBranch", &*one.source_branch));
        all.push(variable("repository.pr.targetBranch", &*one.target_branch));
    }
    all
}

fn repository_variables(prefix: &str, repository: &BuildRepository) -> Vec<Variable> {
    let named = |name: &str, value: &str| variable(format!("{prefix}.{name}"), value);
    let mut all = vec![
        named("name", &repository.name),
        named("type", if repository.is_git { "git" } else { "hg" }),
        named("repositoryUrl", &repository.url),
        named("branch", &repository.branch),
        named("branchName", &repository.branch),
        named("branchDisplayName", &repository.branch),
        named("revision", &repository.revision),
    ];
    if let Some(previous) = &repository.previous_revision {
        all.push(named("previousRevision", previous));
    }
    if let Some(username) = &repository.username {
        all.push(named("username", username));
    }
    all
}

/// What a job knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts<'a> {
    /// The build that the job is part of.
    pub build: &'a BuildFacts,
    /// The job's short key, `JOB1`.
    pub key: &'a str,
    /// The job's name.
    pub name: &'a str,
}

/// The variables of one job, besides those of its build. Folders and the agent are the agent's to add.
#[must_use]
pub fn job_specific(job: &JobFacts<'_>) -> Vec<Variable> {
    let build = job.build;
    let key = format!("{}-{}", build.plan, job.key);
    let result_key = format!("{key}-{}", build.number);
    let url = format!("{}/browse/{result_key}", build.base_url);
    vec![
        variable("buildKey", key),
        variable("buildResultKey", &*result_key),
        variable("buildResultsUrl", &*url),
        variable("resultsUrl", &*url),
        variable(
            "buildPlanName",
            format!("{} - {} - {}", build.project_name, build.plan_name, job.name),
        ),
        variable("shortJobKey", job.key),
        variable("shortJobName", job.name),
    ]
}

#[cfg(test)]
mod tests;
