//! The plan document: its sections, and the jobs between them (bamboo-specs.md 3).

use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::plan::{Job, PlanConfiguration};

use super::fields::Fields;
use super::{Context, branch, docker, job, other, repository, scalar, stage, trigger, variable};
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Entry, Map, Node, Value};

/// Root keys that are sections; every other one is a job.
const SECTIONS: [&str; 16] = [
    "version",
    "server-name",
    "plan",
    "stages",
    "variables",
    "repositories",
    "triggers",
    "branches",
    "branch-overrides",
    "branch-config",
    "dependencies",
    "notifications",
    "labels",
    "docker",
    "other",
    "plan-permissions",
];

/// What a plan document says; `None` when it has mistakes without which there is no plan.
pub(super) fn plan(cx: &mut Context<'_>, map: &Map, root: &Node) -> Option<PlanConfiguration> {
    version(cx, map);
    let header = header(cx, map, root);
    let docker = section(map, "docker").and_then(|node| docker::docker(cx, node));
    let stages = stage::stages(cx, map, root);
    let jobs = jobs(cx, map, &stages);
    let variables = section(map, "variables").map_or_else(Vec::new, |node| variable::variables(cx, node));
    let repositories = map
        .get("repositories")
        .and_then(|entry| repository::repositories(cx, &entry.value));
    let triggers = map
        .get("triggers")
        .and_then(|entry| trigger::triggers(cx, &entry.value, repositories.as_deref()));
    let branches = section(map, "branches")
        .map(|node| branch::branches(cx, node))
        .unwrap_or_default();
    let labels = section(map, "labels").map(|node| scalar::texts(cx, node, "the labels"));
    let concurrent_builds = section(map, "other").and_then(|node| other::concurrent_builds(cx, node));
    other::sections_not_run(cx, map);
    let Header {
        project_key,
        key,
        name,
        description,
        enabled,
    } = header?;
    Some(PlanConfiguration {
        project_key,
        key,
        name,
        description,
        enabled,
        stages: stages.into_iter().map(|stage| stage.stage).collect(),
        jobs,
        variables,
        repositories,
        triggers,
        branches,
        concurrent_builds,
        docker,
        labels,
    })
}

fn section<'m>(map: &'m Map, key: &str) -> Option<&'m Node> {
    map.get(key)
        .map(|entry| &entry.value)
        .filter(|value| !value.is_null())
}

/// `version: 2`, in each document of a plan file.
pub(super) fn version(cx: &mut Context<'_>, map: &Map) {
    let Some(entry) = map.get("version") else {
        if let Some(first) = map.entries.first() {
            cx.add(
                Finding::warning("version", first.key.span, "the document does not say its version")
                    .expected("`version: 2`"),
            );
        }
        return;
    };
    let text = entry.value.as_text().unwrap_or_default();
    if text.trim() != "2" {
        let message = format!("version `{}` of the format is not read", shown(text));
        cx.add(Finding::error("version", entry.value.span, message).expected("`version: 2`"));
    }
}

struct Header {
    project_key: ProjectKey,
    key: PlanKey,
    name: String,
    description: String,
    enabled: bool,
}

fn header(cx: &mut Context<'_>, map: &Map, root: &Node) -> Option<Header> {
    let shape = "`plan:` with `project-key`, `key` and `name` below it";
    let Some(entry) = map.get("plan") else {
        let span = map.entries.first().map_or(root.span, |entry| entry.key.span);
        cx.add(Finding::error("missing-key", span, "the document has no `plan`").expected(shape));
        return None;
    };
    if entry.value.as_list().is_some() {
        let finding = Finding::error("wrong-type", entry.value.span, "the plan cannot be a list")
            .expected(shape)
            .note("take the `-` signs away: `plan` is a map");
        cx.add(finding);
        return None;
    }
    let mut fields = Fields::of(cx, &entry.value, "the plan")?;
    let project_key = required(cx, &mut fields, entry, "project-key").and_then(|(text, node)| {
        let parsed = text.parse::<ProjectKey>().ok();
        or_bad_key(cx, node, parsed, "a project's key")
    });
    let short = required(cx, &mut fields, entry, "key");
    let name = required(cx, &mut fields, entry, "name").map(|(text, _)| text);
    let description = fields
        .take("description")
        .and_then(|node| scalar::text(cx, node, "the plan's description"));
    let enabled = fields
        .take("enabled")
        .and_then(|node| scalar::flag(cx, node, "`enabled`"));
    if let Some(node) = fields.take("rerunnable")
        && scalar::flag(cx, node, "`rerunnable`") == Some(false)
    {
        cx.not_run(node.span, "`rerunnable: false`");
    }
    fields.not_run(cx, &["master-branch"]);
    if let Some(stages) = fields.entry("stages") {
        cx.add(
            Finding::error("misplaced", stages.key.span, "`stages` is nested in `plan`")
                .expected("`stages` at the root of the document, beside `plan`"),
        );
    }
    fields.finish(cx);
    let (short, node) = short?;
    let checked = project_key.clone().or_else(|| "P".parse().ok())?;
    let parsed = PlanKey::new(&checked, &short).ok();
    let key = or_bad_key(cx, node, parsed, "a plan's key")?;
    let project_key = project_key?;
    Some(Header {
        project_key,
        key,
        name: name?,
        description: description.unwrap_or_default(),
        enabled: enabled.unwrap_or(true),
    })
}

fn required<'n>(
    cx: &mut Context<'_>,
    fields: &mut Fields<'n>,
    plan: &Entry,
    key: &'static str,
) -> Option<(String, &'n Node)> {
    let Some(node) = fields.take(key) else {
        let message = format!("the plan has no `{key}`");
        cx.add(Finding::error("missing-key", plan.key.span, message));
        return None;
    };
    scalar::non_empty_text(cx, node, &format!("the plan's `{key}`")).map(|text| (text, node))
}

fn or_bad_key<K>(cx: &mut Context<'_>, node: &Node, parsed: Option<K>, what: &str) -> Option<K> {
    if parsed.is_none() {
        let text = node.as_text().unwrap_or_default();
        let made = job::key_from(text);
        cx.add(
            Finding::error("bad-key", node.span, format!("`{}` is not {what}", shown(text)))
                .expected("upper-case letters and digits, a letter first")
                .suggestion((!made.is_empty()).then_some(made)),
        );
    }
    parsed
}

/// The jobs at the root, in the order of the file.
fn jobs(cx: &mut Context<'_>, map: &Map, stages: &[stage::ReadStage<'_>]) -> Vec<Job> {
    let entries: Vec<&Entry> = map
        .entries
        .iter()
        .filter(|entry| !SECTIONS.contains(&entry.key.text.as_str()))
        .collect();
    let is_named = |name: &str| {
        stages
            .iter()
            .any(|stage| stage.stage.jobs.iter().any(|job| job == name))
    };
    let mut jobs = Vec::new();
    let mut definitions = Vec::new();
    for entry in &entries {
        let named = is_named(&entry.key.text);
        if !named && !looks_like_job(entry) {
            not_a_job(cx, map, entry);
            continue;
        }
        if !named {
            let message = format!(
                "no stage names the job `{}`, so it never runs",
                shown(&entry.key.text)
            );
            cx.add(Finding::info("unused-job", entry.key.span, message));
        }
        definitions.push(*entry);
        jobs.push(job::job(cx, entry));
    }
    job::give_keys(cx, &mut jobs, &definitions);
    let jobs: Vec<Job> = jobs.into_iter().map(|job| job.job).collect();
    for stage in stages {
        for (name, node) in stage.stage.jobs.iter().zip(&stage.job_nodes) {
            if jobs.iter().any(|job| job.name == *name) {
                continue;
            }
            let message = format!(
                "the stage `{}` names the job `{}`, which is not defined",
                shown(&stage.stage.name),
                shown(name)
            );
            let finding = Finding::error("missing-job", node.span, message);
            let below_jobs = map
                .get("jobs")
                .and_then(|entry| entry.value.as_map())
                .and_then(|jobs| jobs.get(name));
            cx.add(match below_jobs {
                Some(definition) => finding
                    .related(definition.key.span, "defined here, below `jobs`")
                    .note("job definitions stand at the root of the document"),
                None => finding
                    .expected(format!("a root key `{}:` with the job's tasks", shown(name)))
                    .suggestion(nearest(name, entries.iter().map(|entry| entry.key.text.as_str()))),
            });
        }
    }
    jobs
}

/// Whether a root key that no stage names may be a job all the same.
fn looks_like_job(entry: &Entry) -> bool {
    matches!(entry.value.value, Value::Broken)
        || entry.value.as_map().is_some_and(|map| {
            map.entries
                .iter()
                .any(|inner| job::KEYS.contains(&inner.key.text.as_str()))
        })
}

/// Reports a root key that is neither a section nor a job.
fn not_a_job(cx: &mut Context<'_>, map: &Map, entry: &Entry) {
    let name = entry.key.text.as_str();
    if name == "jobs" {
        cx.add(
            Finding::error("misplaced", entry.key.span, "jobs are not collected below `jobs`")
                .expected("each job as a key at the root of the document"),
        );
        return;
    }
    if job::KEYS.contains(&name) {
        let message = format!("`{name}` stands at the root of the document");
        cx.add(
            Finding::error("misplaced", entry.key.span, message).expected(format!("`{name}` inside a job")),
        );
        return;
    }
    let message = format!(
        "job '{}' is not referenced by any stage and has none of the job keys",
        shown(name)
    );
    let absent = SECTIONS.into_iter().filter(|section| !map.has(section));
    let suggestion = nearest(name, absent);
    cx.add(match suggestion {
        Some(_) => Finding::error("unknown-section", entry.key.span, message).suggestion(suggestion),
        None => Finding::warning("unknown-section", entry.key.span, message).note("it has no effect"),
    });
}
