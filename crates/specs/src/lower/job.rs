//! Jobs, their keys and their requirements (bamboo-specs.md 3.4, 3.5).

use std::collections::BTreeSet;

use madake_domain::artifact_path::check_artifact_name;
use madake_domain::key::MAX_PART_LENGTH;
use madake_domain::plan::{Artifact, ArtifactSubscription, Job, Requirement};

use super::fields::Fields;
use super::reference::JobPlaces;
use super::{Context, docker, other, scalar, task};
use crate::language::job as language;
use crate::report::{Finding, Reference, shown};
use crate::source::Span;
use crate::yaml::{Entry, Node, Value};

/// The longest key that is made from a name.
const MAX_MADE_KEY: usize = 20;

/// A job whose key is given by the file, or still to be made.
pub(super) struct ReadJob {
    pub(super) job: Job,
    pub(super) key_span: Option<Span>,
    pub(super) places: JobPlaces,
}

/// The job that a root key defines. Nothing below the key is a job without tasks.
pub(super) fn job(cx: &mut Context<'_>, entry: &Entry) -> ReadJob {
    let mut read = ReadJob {
        job: Job::new(entry.key.text.as_str(), ""),
        key_span: None,
        places: JobPlaces::default(),
    };
    if entry.value.is_null() {
        return read;
    }
    let Some(mut fields) = Fields::of(cx, &entry.value, &language::JOB) else {
        return read;
    };
    let job = &mut read.job;
    if let Some(node) = fields.take("key")
        && let Some(key) = given_key(cx, node)
    {
        job.key = key;
        read.key_span = Some(node.span);
    }
    job.description = fields.text_or_empty(cx, "description");
    job.enabled = fields.flag(cx, "enabled").unwrap_or(true);
    cx.downloads.clear();
    if let Some(node) = fields.take("tasks") {
        job.tasks = task::tasks(cx, node, "`tasks`");
    }
    if let Some(node) = fields.take("final-tasks") {
        job.final_tasks = task::tasks(cx, node, "`final-tasks`");
    }
    if let Some(node) = fields.take("requirements") {
        job.requirements = requirements(cx, node);
    }
    if let Some(node) = fields.take("artifacts") {
        (job.artifacts, read.places.artifacts) = artifacts(cx, node).into_iter().unzip();
    }
    if let Some(node) = fields.take("artifact-subscriptions") {
        let (subscriptions, names): (Vec<_>, Vec<_>) = subscriptions(cx, node).into_iter().unzip();
        let uses = subscriptions.iter().zip(names);
        let uses = uses.map(|(one, span)| (one.artifact.clone(), span));
        read.places.uses.extend(uses);
        job.artifact_subscriptions = Some(subscriptions);
    }
    for (plan, name, span) in std::mem::take(&mut cx.downloads) {
        match plan {
            None => read.places.uses.push((name, span)),
            Some(plan) => cx.report.refer(Reference::Artifact { plan, name }, span),
        }
    }
    if let Some(node) = fields.take("docker") {
        job.docker = docker::docker(cx, node);
    }
    if let Some(node) = fields.take("other") {
        (job.clean_working_directory, job.other) = other::of_job(cx, node);
    }
    fields.finish(cx);
    read
}

/// Files that the job keeps, with the places of their names.
fn artifacts(cx: &mut Context<'_>, node: &Node) -> Vec<(Artifact, Span)> {
    let mut artifacts: Vec<(Artifact, Span)> = Vec::new();
    for item in scalar::one_or_more(cx, node, "`artifacts`") {
        let Some(mut fields) = Fields::of(cx, item, &language::ARTIFACT) else {
            continue;
        };
        let name_node = fields.need(cx, "name");
        let name = name_node.and_then(|node| scalar::non_empty_text(cx, node, "`name` of an artifact"));
        let pattern = fields.need_text(cx, "pattern");
        let location = fields.location(cx, "location");
        let required = fields.flag(cx, "required").unwrap_or(false);
        let shared = fields.flag(cx, "shared").unwrap_or(true);
        let http_compression = fields.flag(cx, "httpCompressionOn").unwrap_or(true);
        fields.finish(cx);
        let (Some(name), Some(pattern)) = (name, pattern) else {
            continue;
        };
        let span = name_node.map_or(item.span, |node| node.span);
        if let Err(reason) = check_artifact_name(&name) {
            let message = format!("`{}` cannot be the name of an artifact: {reason}", shown(&name));
            cx.add(
                Finding::warning("artifact-name", span, message)
                    .note("a job with files for it fails when it ends"),
            );
        }
        // Two that are shared are reported where those of all jobs are.
        if let Some((other, first)) = artifacts.iter().find(|(other, _)| other.name == name)
            && !(shared && other.shared)
        {
            let message = format!("the job has two artifacts `{}`", shown(&name));
            cx.add(Finding::warning("duplicate-artifact", span, message).related(*first, "the first one"));
        }
        artifacts.push((
            Artifact {
                name,
                location,
                pattern,
                required,
                shared,
                http_compression,
            },
            span,
        ));
    }
    artifacts
}

/// Artifacts that the job gets, with the places of their names.
fn subscriptions(cx: &mut Context<'_>, node: &Node) -> Vec<(ArtifactSubscription, Span)> {
    let mut subscriptions = Vec::new();
    for item in scalar::one_or_more(cx, node, "`artifact-subscriptions`") {
        if let Value::Scalar(artifact) = &item.value {
            let subscription = ArtifactSubscription {
                artifact: artifact.clone(),
                destination: String::new(),
            };
            subscriptions.push((subscription, item.span));
            continue;
        }
        let Some(mut fields) = Fields::of(cx, item, &language::SUBSCRIPTION) else {
            continue;
        };
        let node = fields.need(cx, "artifact");
        let artifact = node.and_then(|node| scalar::non_empty_text(cx, node, "`artifact` of a subscription"));
        let destination = fields.destination(cx, "destination");
        fields.finish(cx);
        subscriptions.extend(artifact.zip(node).map(|(artifact, node)| {
            let subscription = ArtifactSubscription {
                artifact,
                destination,
            };
            (subscription, node.span)
        }));
    }
    subscriptions
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && text.len() <= MAX_PART_LENGTH
}

fn given_key(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = scalar::non_empty_text(cx, node, "the job's key")?;
    if is_key(&text) {
        scalar::foreign_key(cx, node);
        return Some(text);
    }
    let made = key_from(&text);
    cx.add(
        Finding::error(
            "bad-key",
            node.span,
            format!("`{}` is not a job key", shown(&text)),
        )
        .expected("upper-case letters and digits, a letter first")
        .suggestion((!made.is_empty()).then_some(made)),
    );
    None
}

/// What is left of a name in a key: its ASCII letters and digits in upper case from the first letter on.
pub(super) fn key_from(name: &str) -> String {
    letters_and_digits(name).chars().take(MAX_MADE_KEY).collect()
}

/// The same, however long.
pub(super) fn letters_and_digits(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .skip_while(char::is_ascii_digit)
        .collect()
}

/// Makes a key for each job without one, and reports keys that are given twice.
///
/// The rule is stable: the name's letters and digits in upper case, from the first letter on, at most 20; `JOB`
/// and the job's number in the file when nothing is left; and the first free number from 2 behind it when the key
/// is taken. Keys that the file gives are taken first.
pub(super) fn give_keys(cx: &mut Context<'_>, jobs: &mut [ReadJob], definitions: &[&Entry]) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for job in jobs.iter() {
        if let Some(span) = job.key_span
            && !taken.insert(job.job.key.clone())
        {
            let first = jobs
                .iter()
                .find(|other| other.job.key == job.job.key)
                .and_then(|other| other.key_span);
            let message = format!("two jobs have the key `{}`", shown(&job.job.key));
            let finding = Finding::error("duplicate-key", span, message);
            cx.add(match first {
                Some(first) => finding.related(first, "first given here"),
                None => finding,
            });
        }
    }
    for (index, (job, definition)) in jobs.iter_mut().zip(definitions).enumerate() {
        if job.job.key.is_empty() {
            job.job.key = made_key(&definition.key.text, index, &taken);
            taken.insert(job.job.key.clone());
        }
    }
}

/// A key that is not taken yet, made from a job's name, or from its place among the jobs, from 0.
pub(super) fn made_key(name: &str, place: usize, taken: &BTreeSet<String>) -> String {
    let mut base = key_from(name);
    if base.is_empty() {
        base = format!("JOB{}", place + 1);
    }
    std::iter::once(base.clone())
        .chain((2u32..).map(|number| format!("{base}{number}")))
        .find(|key| !taken.contains(key))
        .expect("an endless row of numbers has one that is free")
}

/// `- key` asks for a capability, `- key: regex` for one whose whole value matches.
pub(super) fn requirements(cx: &mut Context<'_>, node: &Node) -> Vec<Requirement> {
    let items = scalar::one_or_more(cx, node, "`requirements`");
    let mut requirements = Vec::new();
    for item in items {
        match &item.value {
            Value::Scalar(key) => requirements.push(Requirement {
                key: key.clone(),
                matches: None,
            }),
            Value::Map(map) => {
                for entry in &map.entries {
                    let matches = if entry.value.is_null() {
                        None
                    } else {
                        scalar::pattern(cx, &entry.value, "the value of a requirement")
                    };
                    requirements.push(Requirement {
                        key: entry.key.text.clone(),
                        matches,
                    });
                }
            }
            Value::Broken => {}
            _ => scalar::wrong_type(
                cx,
                item,
                "a requirement",
                "`- capability` or `- capability: value`",
            ),
        }
    }
    requirements
}

#[cfg(test)]
mod tests {
    use super::key_from;

    #[test]
    fn keys_are_what_is_left_of_a_name() {
        let rows = [
            ("Build frontend", "BUILDFRONTEND"),
            ("1. build", "BUILD"),
            ("42", ""),
            ("Сборка", ""),
            ("• deploy-2", "DEPLOY2"),
            ("a very long name that goes on", "AVERYLONGNAMETHATGOE"),
        ];
        for (name, key) in rows {
            assert_eq!(key_from(name), key, "{name}");
        }
    }
}
