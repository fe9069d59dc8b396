//! What a run does not have although its jobs ask for it: variables that are set on a server, and what jobs would hand
//! on that do not run. It is said before anything begins.

use std::collections::{BTreeMap, BTreeSet};

use madake_domain::plan::{InjectScope, Job, PlanConfiguration, Task, TaskAction, Variable};
use madake_domain::text::inert;
use madake_domain::variables::{
    ResolvedVariable, VariableSource, capability_variables, environment_name, looks_secret, substitute,
};
use serde_json::Value;

use super::Part;

/// The value of a secret that nobody gave.
pub(super) const STUB: &str = "stub-of-a-secret";

/// Variables that the agent adds, by their names.
const OF_THE_AGENT: [&str; 4] = [
    "working.directory",
    "build.working.directory",
    "agentWorkingDirectory",
    "tmp.directory",
];

/// Names of variables that jobs use and nobody has set.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unset {
    /// Those that are secrets by their names; they get a stub.
    pub(super) secrets: BTreeSet<String>,
    /// The others.
    pub(super) others: BTreeSet<String>,
}

impl Unset {
    /// The secrets, each with the value that stands for what nobody gave.
    pub(super) fn stubs(&self) -> Vec<Variable> {
        let names = self.secrets.iter();
        names
            .map(|name| Variable {
                name: name.clone(),
                value: STUB.to_owned(),
            })
            .collect()
    }
}

/// What the jobs use that is neither among `known` nor made by a job of the plan.
pub(super) fn unset(plan: &PlanConfiguration, jobs: &[&Job], known: &[String]) -> Unset {
    let made = made_namespaces(plan.jobs.iter().flat_map(tasks));
    let names = jobs.iter().flat_map(|job| used(plan, job, known));
    let mut found = Unset::default();
    for name in names.filter(|name| !made.iter().any(|namespace| is_of(name, namespace))) {
        if looks_secret(&name) {
            found.secrets.insert(name);
        } else {
            found.others.insert(name);
        }
    }
    // `$bamboo_a_b` and `${bamboo.a.b}` are one variable.
    let dotted: BTreeSet<String> = found
        .secrets
        .iter()
        .chain(&found.others)
        .filter(|name| name.contains('.'))
        .map(|name| environment_name(name))
        .collect();
    for list in [&mut found.secrets, &mut found.others] {
        list.retain(|name| name.contains('.') || !dotted.contains(&environment_name(name)));
    }
    found
}

/// A job that does not run, and what the jobs that do would get of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Absent {
    pub(super) stage: String,
    pub(super) job: String,
    pub(super) artifacts: BTreeSet<String>,
    pub(super) variables: BTreeSet<String>,
}

impl Absent {
    /// For people: `Compile of the stage First does not run, and so there is no artifact 'lib'`.
    pub(super) fn sentence(&self) -> String {
        let list = |names: &BTreeSet<String>| {
            let quoted: Vec<String> = names
                .iter()
                .map(|name| format!("`{}`", inert(name, 100)))
                .collect();
            quoted.join(", ")
        };
        let mut what = Vec::new();
        for (names, one, several) in [
            (&self.artifacts, "artifact", "artifacts"),
            (&self.variables, "variable", "variables"),
        ] {
            match names.len() {
                0 => {}
                1 => what.push(format!("the {one} {}", list(names))),
                _ => what.push(format!("the {several} {}", list(names))),
            }
        }
        format!(
            "the job {} of the stage {} does not run: {} of it will be missing",
            inert(&self.job, 200),
            inert(&self.stage, 200),
            what.join(" and ")
        )
    }
}

/// The jobs of earlier stages that do not run and that would have handed something to those that do.
pub(super) fn absent(plan: &PlanConfiguration, parts: &[Part<'_>]) -> Vec<Absent> {
    let runs = |stage: &str, job: &Job| {
        let mut parts = parts.iter();
        parts.any(|part| part.stage == stage && part.jobs.iter().any(|one| one.name == job.name))
    };
    let mut found = Vec::new();
    for (position, stage) in plan.stages.iter().enumerate() {
        let later: Vec<&Job> = parts
            .iter()
            .filter(|part| {
                plan.stages[position + 1..]
                    .iter()
                    .any(|stage| stage.name == part.stage)
            })
            .flat_map(|part| part.jobs.iter().copied())
            .filter(|job| job.enabled)
            .collect();
        let not_run = stage.jobs.iter().filter_map(|name| plan.job(name));
        for job in not_run.filter(|job| job.enabled && !runs(&stage.name, job)) {
            let shared = job.artifacts.iter().filter(|artifact| artifact.shared);
            let artifacts = shared
                .map(|artifact| artifact.name.clone())
                .filter(|name| later.iter().any(|job| wants(plan, job, name)))
                .collect::<BTreeSet<_>>();
            let handed_on = handed_on_namespaces(tasks(job));
            let variables = later
                .iter()
                .flat_map(|job| used(plan, job, &[]))
                .filter(|name| handed_on.iter().any(|namespace| is_of(name, namespace)))
                .collect::<BTreeSet<_>>();
            if !artifacts.is_empty() || !variables.is_empty() {
                found.push(Absent {
                    stage: stage.name.clone(),
                    job: job.name.clone(),
                    artifacts,
                    variables,
                });
            }
        }
    }
    found
}

fn tasks(job: &Job) -> impl Iterator<Item = &Task> {
    let all = job.tasks.iter().chain(&job.final_tasks);
    all.filter(|task| task.enabled)
}

/// Whether a job gets a shared artifact of an earlier stage.
fn wants(plan: &PlanConfiguration, job: &Job, artifact: &str) -> bool {
    let subscribed = match &job.artifact_subscriptions {
        None => true,
        Some(wanted) => wanted.iter().any(|one| one.artifact == artifact),
    };
    subscribed
        || tasks(job).any(|task| match &task.action {
            TaskAction::ArtifactDownload(task) => {
                let own = task.source_plan.as_ref().is_none_or(|key| *key == plan.key);
                let mut items = task.items.iter();
                own && items.any(|item| item.name.as_ref().is_none_or(|name| name == artifact))
            }
            _ => false,
        })
}

/// What stands in front of the names of variables that these tasks make.
fn made_namespaces<'a>(tasks: impl Iterator<Item = &'a Task>) -> BTreeSet<&'a str> {
    tasks
        .filter_map(|task| match &task.action {
            TaskAction::InjectVariables(task) => Some(task.namespace.as_str()),
            TaskAction::Plugin(app) => {
                let mut settings = app.configuration.iter();
                let prefix = settings.find(|(key, value)| key == "customPrefix" && !value.is_empty());
                Some(prefix.map_or("maven", |(_, value)| value.as_str()))
            }
            _ => None,
        })
        .collect()
}

/// The same, of those that reach later stages.
fn handed_on_namespaces<'a>(tasks: impl Iterator<Item = &'a Task>) -> BTreeSet<&'a str> {
    tasks
        .filter_map(|task| match &task.action {
            TaskAction::InjectVariables(task) if task.scope == InjectScope::Result => {
                Some(task.namespace.as_str())
            }
            _ => None,
        })
        .collect()
}

/// Whether a variable is of a namespace, however it is spelled.
fn is_of(name: &str, namespace: &str) -> bool {
    let name = name.replace('.', "_");
    // A namespace with a variable in it may become anything.
    namespace.contains("${")
        || name
            .strip_prefix(&namespace.replace('.', "_"))
            .is_some_and(|rest| rest.starts_with('_'))
}

/// Names that a job refers to, besides the known ones: `${bamboo.name}` in any field, `$bamboo_name` as in shells.
fn used(plan: &PlanConfiguration, job: &Job, known: &[String]) -> BTreeSet<String> {
    let capabilities = capability_variables(&Default::default());
    let known: BTreeMap<&str, String> = known
        .iter()
        .map(String::as_str)
        .chain(OF_THE_AGENT)
        .chain(capabilities.iter().map(|one| one.name.as_str()))
        .map(|name| (name, environment_name(name)))
        .collect();
    let resolved: Vec<ResolvedVariable> = known
        .keys()
        .map(|name| ResolvedVariable {
            name: (*name).to_owned(),
            value: String::new(),
            source: VariableSource::BuildSpecific,
        })
        .collect();
    let mut texts = Vec::new();
    for task in tasks(job) {
        // What is stored is JSON; a task that is none has no texts.
        let read = serde_json::to_value(&task.action).unwrap_or_default();
        collect_texts(&read, &mut texts);
    }
    let image = job.docker.as_ref().or(plan.docker.as_ref());
    texts.extend(image.map(|docker| docker.image.clone()));
    let mut names = BTreeSet::new();
    for text in &texts {
        let unknown = substitute(text, &resolved, &|_| None).unknown;
        let plain = unknown
            .iter()
            .filter_map(|whole| whole.strip_prefix("${bamboo.")?.strip_suffix('}'));
        names.extend(plain.map(str::to_owned));
        let of_shell = environment_references(text).into_iter();
        names.extend(of_shell.filter(|name| {
            let whole = environment_name(name);
            !known.values().any(|known| *known == whole)
        }));
    }
    names.retain(|name| !name.starts_with("capability."));
    names
}

fn collect_texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| collect_texts(field, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What stands behind `bamboo_` in `$bamboo_name` and `${bamboo_name}`. A form that says what to do without the
/// variable, such as `${bamboo_name:-none}`, is none.
fn environment_references(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices("bamboo_") {
        let (before, from) = (&text[..at], &text[at + "bamboo_".len()..]);
        let braced = before.ends_with("${");
        if !braced && !before.ends_with('$') {
            continue;
        }
        let length = from
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            .count();
        let has_default = braced && from[length..].starts_with([':', '-', '+', '=', '?']);
        let name = &from[..length];
        if !name.is_empty() && !has_default && !name.starts_with("capability_") {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use madake_domain::plan::PlanConfiguration;

    use super::*;
    use crate::command::specs::read_plan_file;

    fn plan(text: &str) -> PlanConfiguration {
        let head = "version: 2\nplan: {project-key: PROJ, key: PLAN, name: Here}\n";
        let reading = read_plan_file("bamboo.yml", &format!("{head}{text}"), "madake");
        let plan = reading.plans.first().expect("a plan");
        plan.configuration.clone()
    }

    fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
        names.into_iter().map(String::as_str).collect()
    }

    #[test]
    fn variables_are_found_in_fields_and_scripts_and_what_a_job_makes_is_none() {
        let plan = plan(
            "stages: [One: [A]]
A:
  tasks:
    - script: |
        echo $bamboo_channel ${bamboo_other} ${bamboo_mild:-none} $bamboo_known $bamboo_made_number
        echo ${bamboo.planKey} ${bamboo.deep.one} bamboo_word $bamboo_deep_one $bamboo_build_working_directory
    - inject-variables: {file: f, scope: local, namespace: made}
    - ssh: {host: h, authentication: {username: u, password: '${bamboo.box.password}'}, command: c}
    - script: {scripts: ['echo $bamboo_api_token_secret ${bamboo.capability.system.jdk}']}
",
        );
        let known = ["known".to_owned(), "planKey".to_owned()];
        let found = unset(&plan, &[&plan.jobs[0]], &known);
        assert_eq!(names(&found.others), ["channel", "deep.one", "other"]);
        assert_eq!(names(&found.secrets), ["api_token_secret", "box.password"]);
        assert_eq!(found.stubs()[1].value, STUB);
    }

    #[test]
    fn what_jobs_that_do_not_run_would_hand_on_is_named_once_for_each() {
        let plan = plan(
            "stages: [First: [Make, Quiet], Hand: [Use, None]]
Make:
  tasks:
    - inject-variables: {file: f, scope: RESULT, namespace: ver}
  artifacts:
    - {name: lib, pattern: '*.jar', shared: true}
    - {name: own, pattern: '*.log', shared: false}
Quiet: {tasks: [script: echo]}
Use: {tasks: [script: echo $bamboo_ver_number]}
None: {tasks: [script: echo], artifact-subscriptions: []}
",
        );
        let part = |position: usize| Part {
            stage: &plan.stages[1].name,
            is_final: false,
            jobs: vec![plan.job(&plan.stages[1].jobs[position]).expect("a job")],
        };
        let found = absent(&plan, &[part(0)]);
        let sentences: Vec<String> = found.iter().map(Absent::sentence).collect();
        assert_eq!(
            sentences,
            [
                "the job Make of the stage First does not run: the artifact `lib` and the variable `ver_number` of it \
              will be missing"
            ]
        );
        let none = part(1);
        let whole = Part {
            stage: &plan.stages[0].name,
            is_final: false,
            jobs: plan.stages[0]
                .jobs
                .iter()
                .filter_map(|name| plan.job(name))
                .collect(),
        };
        assert_eq!(absent(&plan, &[none]), []);
        assert_eq!(absent(&plan, &[whole, part(0)]), []);
    }
}
