//! The plan document: its sections, and the jobs between them (bamboo-specs.md 3).

use std::collections::BTreeSet;

use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::plan::{Job, PlanConfiguration, Stage};

use super::branch_override::{self, ReadOverride};
use super::fields::Fields;
use super::reference::{self, JobPlaces, PlacedJob};
use super::{
    Context, branch, dependency, docker, job, notification, other, repository, scalar, stage, trigger,
    variable,
};
use crate::language::job::JOB;
use crate::language::task::TASKS;
use crate::language::{Section, plan as language};
use crate::mention::MentionKind;
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Entry, Map, Node, Value};

/// What the key of a project or a plan is made of.
const KEY: &str = "upper-case letters A to Z and digits, a letter first";

/// What a plan document says; `None` when it has mistakes without which there is no plan.
pub(super) fn plan(cx: &mut Context<'_>, map: &Map, root: &Node) -> Option<PlanConfiguration> {
    let mut fields = Fields::new(cx, map, &language::DOCUMENT, root.span);
    fields.entry("version");
    fields.entry("server-name");
    // Permissions inside a plan document are read by the caller.
    fields.entry("plan-permissions");
    version(cx, map);
    fields.entry("plan");
    let header = header(cx, map, root);
    let docker = fields.take("docker").and_then(|node| docker::docker(cx, node));
    let errors = cx.report.errors();
    let stages = match fields.entry("stages") {
        Some(entry) => stage::stages(cx, entry),
        None => {
            missing_stages(cx, map, root);
            Vec::new()
        }
    };
    // What runs when is not known then: nothing is said that follows from it.
    let stages_are_clear = cx.report.errors() == errors;
    let repositories = fields
        .entry("repositories")
        .and_then(|entry| repository::repositories(cx, &entry.value));
    let overrides = match fields.take("branch-overrides") {
        Some(node) => {
            let mut jobs: BTreeSet<&str> = fields
                .others()
                .filter(|entry| looks_like_job(entry))
                .map(|entry| entry.key.text.as_str())
                .collect();
            let named = stages.iter().flat_map(|stage| &stage.stage.jobs);
            jobs.extend(named.map(String::as_str));
            branch_override::overrides(cx, node, repositories.as_deref(), &jobs)
        }
        None => Vec::new(),
    };
    let (jobs, places) = jobs(cx, map, &fields, (&stages, stages_are_clear), &overrides);
    let variables = match fields.take("variables") {
        Some(node) => variable::variables(cx, node),
        None => Vec::new(),
    };
    let triggers = fields
        .entry("triggers")
        .and_then(|entry| trigger::triggers(cx, &entry.value, repositories.as_deref()));
    let branches = fields
        .take("branches")
        .map(|node| branch::branches(cx, node))
        .unwrap_or_default();
    let labels = fields
        .take("labels")
        .map(|node| scalar::texts(cx, node, "the labels"));
    let (concurrent_builds, other) = fields
        .take("other")
        .map(|node| other::of_plan(cx, node))
        .unwrap_or_default();
    let dependencies = fields
        .take("dependencies")
        .map(|node| dependency::dependencies(cx, node, header.as_ref().map(|header| &header.key)))
        .unwrap_or_default();
    let notifications = fields
        .take("notifications")
        .map(|node| notification::of_plan(cx, node))
        .unwrap_or_default();
    let branch_config = fields
        .take("branch-config")
        .map(|node| branch::config(cx, node))
        .unwrap_or_default();
    fields.finish(cx);
    let stages: Vec<Stage> = stages.into_iter().map(|stage| stage.stage).collect();
    let placed: Vec<PlacedJob<'_>> = jobs.iter().zip(&places).collect();
    let mut told = Vec::new();
    if stages_are_clear {
        let overridden = overrides
            .iter()
            .any(|one| one.stages.is_some() && one.is_for_all());
        reference::artifacts(cx, &stages, &placed, None, overridden, &mut told);
    }
    let branch_overrides = branch_override::settle(cx, overrides, &stages, &placed, &mut told);
    let Header {
        key,
        name,
        description,
        enabled,
        rerunnable,
        master_branch,
    } = header?;
    Some(PlanConfiguration {
        description,
        enabled,
        rerunnable,
        master_branch,
        stages,
        jobs,
        variables,
        repositories,
        triggers,
        branches,
        concurrent_builds,
        docker,
        labels,
        dependencies,
        notifications,
        branch_overrides,
        branch_config,
        other,
        ..PlanConfiguration::new(key, name)
    })
}

fn missing_stages(cx: &mut Context<'_>, map: &Map, root: &Node) {
    let below_plan = map.get("plan").and_then(|entry| entry.value.as_map());
    if !below_plan.is_some_and(|plan| plan.has("stages")) {
        let span = map.get("plan").map_or(root.span, |entry| entry.key.span);
        cx.add(Finding::error("missing-key", span, "the plan has no `stages`"));
    }
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
    key: PlanKey,
    name: String,
    description: String,
    enabled: bool,
    rerunnable: bool,
    master_branch: Option<madake_domain::plan::MasterBranch>,
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
    if let Some(Ok(whole)) = entry.value.as_text().map(|text| text.trim().parse::<PlanKey>()) {
        whole_key(cx, &entry.value, &whole);
        return None;
    }
    let mut fields = Fields::of(cx, &entry.value, &language::HEADER)?;
    let in_one = entry.value.as_map().is_some_and(|map| {
        let key = map.get("key").and_then(|entry| entry.value.as_text());
        !map.has("project-key") && key.is_some_and(|key| key.trim().parse::<PlanKey>().is_ok())
    });
    let project_key = if in_one {
        // The key is of both, which is said there.
        fields.entry("project-key");
        None
    } else {
        required(cx, &mut fields, entry, "project-key")
    };
    let project_key = project_key.and_then(|(text, node)| {
        cx.report.mention(MentionKind::Project, node.span);
        let parsed = text.parse::<ProjectKey>().ok();
        or_bad_key(cx, node, parsed, "a project's key")
    });
    let short = required(cx, &mut fields, entry, "key");
    let name = required(cx, &mut fields, entry, "name").map(|(text, _)| text);
    let description = fields.text_or_empty(cx, "description");
    let enabled = fields.flag(cx, "enabled").unwrap_or(true);
    let rerunnable = match fields.take_settled("rerunnable") {
        Some(node) => {
            let rerunnable = scalar::flag(cx, node, "`rerunnable`").unwrap_or(true);
            if !rerunnable {
                cx.not_run(node.span, "`rerunnable: false`", language::RERUNNABLE_INSTEAD);
            }
            rerunnable
        }
        None => true,
    };
    let master_branch = fields
        .take("master-branch")
        .and_then(|node| branch::master(cx, node));
    fields.finish(cx);
    let (short, node) = short?;
    cx.report.mention(MentionKind::Plan, node.span);
    let key = match short.trim().parse::<PlanKey>() {
        Ok(whole) if Some(whole.project()) != project_key => {
            whole_key(cx, node, &whole);
            return None;
        }
        _ => own_key(cx, node, project_key)?,
    };
    Some(Header {
        key,
        name: name?,
        description,
        enabled,
        rerunnable,
        master_branch,
    })
}

/// The key of the plan that a document describes, which `node` gives without the project's. Where Bamboo would refuse
/// what stands there and only one thing can be meant, that is taken, with a warning.
pub(super) fn own_key(cx: &mut Context<'_>, node: &Node, project: Option<ProjectKey>) -> Option<PlanKey> {
    let text = node.as_text().unwrap_or_default().trim();
    let known = project.clone().or_else(|| "P".parse().ok())?;
    if let Ok(whole) = text.parse::<PlanKey>()
        && whole.project() != known
    {
        let message = format!("`{whole}` is the key of a plan of another project than `{known}`");
        cx.add(
            Finding::error("bad-key", node.span, message)
                .expected(KEY)
                .suggestion(Some(whole.short().to_owned())),
        );
        return None;
    }
    match (meant_key(&known, text), project) {
        (Some(meant), Some(_)) if meant.short() != text => {
            let message = format!(
                "`{}` is not a plan's key, and `{}` is taken",
                shown(text),
                meant.short()
            );
            cx.add(
                Finding::warning("bad-key", node.span, message)
                    .expected(KEY)
                    .suggestion(Some(meant.short().to_owned())),
            );
            Some(meant)
        }
        (meant, project) => {
            let key = or_bad_key(
                cx,
                node,
                meant.filter(|meant| meant.short() == text),
                "a plan's key",
            );
            project.and(key)
        }
    }
}

/// The plan of this project that is meant by a text which stands for its key: the text as it is, without the project's
/// key in front, or with its letters and digits alone. Nothing where another thing may be meant.
pub(super) fn meant_key(project: &ProjectKey, text: &str) -> Option<PlanKey> {
    let text = text.trim();
    if let Ok(key) = PlanKey::new(project, text) {
        return Some(key);
    }
    if text
        .parse::<PlanKey>()
        .is_ok_and(|whole| whole.project() != *project)
    {
        return None;
    }
    let prefix = format!("{project}-");
    let short = match text.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(&prefix) => &text[prefix.len()..],
        _ => text,
    };
    let is_plain = short.is_ascii() && short.starts_with(|c: char| c.is_ascii_alphabetic());
    is_plain
        .then(|| PlanKey::new(project, &job::letters_and_digits(short)).ok())
        .flatten()
}

/// Says that the key of project and plan stands where they are two keys.
fn whole_key(cx: &mut Context<'_>, node: &Node, key: &PlanKey) {
    let message = format!("`{key}` is the key of the project and that of the plan in one");
    cx.add(Finding::error("bad-key", node.span, message).expected(format!(
        "`project-key: {}` and `key: {}` below `plan`",
        key.project(),
        key.short()
    )));
}

fn required<'n>(
    cx: &mut Context<'_>,
    fields: &mut Fields<'n>,
    plan: &Entry,
    key: &'static str,
) -> Option<(String, &'n Node)> {
    let node = fields.need_at(cx, key, plan.key.span)?;
    scalar::non_empty_text(cx, node, &format!("the plan's `{key}`")).map(|text| (text, node))
}

/// The key that a text is; reports that it is none.
pub(super) fn or_bad_key<K>(cx: &mut Context<'_>, node: &Node, parsed: Option<K>, what: &str) -> Option<K> {
    if parsed.is_none() {
        let text = node.as_text().unwrap_or_default();
        // What is left of a word without its other letters is another word.
        let made = job::key_from(text);
        let is_near = text.is_ascii() && !made.is_empty();
        cx.add(
            Finding::error("bad-key", node.span, format!("`{}` is not {what}", shown(text)))
                .expected(KEY)
                .suggestion(is_near.then_some(made)),
        );
    } else {
        scalar::foreign_key(cx, node);
    }
    parsed
}

/// The jobs at the root, in the order of the file.
fn jobs(
    cx: &mut Context<'_>,
    map: &Map,
    fields: &Fields<'_>,
    (stages, stages_are_clear): (&[stage::ReadStage<'_>], bool),
    overrides: &[ReadOverride<'_>],
) -> (Vec<Job>, Vec<JobPlaces>) {
    let entries: Vec<&Entry> = fields.others().collect();
    let named: BTreeSet<&str> = stages
        .iter()
        .chain(overrides.iter().flat_map(|one| one.stages.iter().flatten()))
        .flat_map(|stage| stage.stage.jobs.iter().map(String::as_str))
        .collect();
    let mut jobs = Vec::new();
    let mut definitions = Vec::new();
    for entry in &entries {
        let named = named.contains(entry.key.text.as_str());
        if !named && !looks_like_job(entry) {
            not_a_job(cx, map, entry, &language::DOCUMENT);
            continue;
        }
        if !named && stages_are_clear {
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
    let (jobs, places): (Vec<Job>, Vec<JobPlaces>) =
        jobs.into_iter().map(|job| (job.job, job.places)).unzip();
    let known: BTreeSet<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    missing_jobs(cx, stages, &known, |finding, name| {
        let below_jobs = map
            .get("jobs")
            .and_then(|entry| entry.value.as_map())
            .and_then(|jobs| jobs.get(name));
        match below_jobs {
            Some(definition) => finding
                .related(definition.key.span, "defined here, below `jobs`")
                .note("job definitions stand at the root of the document"),
            None => finding
                .expected(format!("a root key `{}:` with the job's tasks", shown(name)))
                .suggestion(nearest(name, entries.iter().map(|entry| entry.key.text.as_str()))),
        }
    });
    (jobs, places)
}

/// Reports the jobs that stages name and that are not known.
pub(super) fn missing_jobs(
    cx: &mut Context<'_>,
    stages: &[stage::ReadStage<'_>],
    known: &BTreeSet<&str>,
    advise: impl Fn(Finding, &str) -> Finding,
) {
    for stage in stages {
        for (name, node) in stage.stage.jobs.iter().zip(&stage.job_nodes) {
            if known.contains(name.as_str()) {
                continue;
            }
            let message = format!(
                "the stage `{}` names the job `{}`, which is not defined",
                shown(&stage.stage.name),
                shown(name)
            );
            cx.add(advise(Finding::error("missing-job", node.span, message), name));
        }
    }
}

/// Whether a root key that no stage names may be a job all the same.
pub(super) fn looks_like_job(entry: &Entry) -> bool {
    matches!(entry.value.value, Value::Broken)
        || entry
            .value
            .as_map()
            .is_some_and(|map| map.entries.iter().any(|inner| JOB.key(&inner.key.text).is_some()))
}

/// Reports a key of a document or an override that is neither a section nor a job.
pub(super) fn not_a_job(cx: &mut Context<'_>, map: &Map, entry: &Entry, section: &'static Section) {
    let name = entry.key.text.as_str();
    let is_root = std::ptr::eq(section, &raw const language::DOCUMENT);
    let place = if is_root {
        "at the root of the document"
    } else {
        "in a branch override"
    };
    if name == "jobs" {
        cx.add(
            Finding::error("misplaced", entry.key.span, "jobs are not collected below `jobs`")
                .expected(format!("each job as a key {place}")),
        );
        return;
    }
    if JOB.key(name).is_some() {
        let message = format!("`{name}` stands {place}");
        cx.add(
            Finding::error("misplaced", entry.key.span, message).expected(format!("`{name}` inside a job")),
        );
        return;
    }
    if TASKS.item(name).is_some() {
        let message = format!("the task `{name}` stands {place}");
        cx.add(
            Finding::error("misplaced", entry.key.span, message)
                .expected(format!("`- {name}: ...` in the list `tasks` of a job")),
        );
        return;
    }
    if !is_root && language::DOCUMENT.key(name).is_some() {
        let message = format!("a branch cannot have `{name}` of its own");
        cx.add(
            Finding::warning("misplaced", entry.key.span, message)
                .expected(format!("`{name}` at the root of the document, for all branches"))
                .note("it has no effect where it is"),
        );
        return;
    }
    let message = if is_root {
        format!(
            "job '{}' is not referenced by any stage and has none of the job keys",
            shown(name)
        )
    } else {
        format!("`{}` is neither a section of an override nor a job", shown(name))
    };
    let absent = section.names().filter(|known| !map.has(known));
    let suggestion = nearest(name, absent);
    cx.add(
        Finding::warning("unknown-section", entry.key.span, message)
            .suggestion(suggestion)
            .note("it has no effect"),
    );
}
