//! Jobs, their keys and their requirements (bamboo-specs.md 3.4, 3.5).

use std::collections::BTreeSet;

use madake_domain::key::MAX_PART_LENGTH;
use madake_domain::plan::{Job, Requirement};

use super::fields::Fields;
use super::{Context, docker, other, scalar, task};
use crate::report::{Finding, shown};
use crate::source::Span;
use crate::yaml::{Entry, Node, Value};

/// The keys of a job.
pub(super) const KEYS: [&str; 10] = [
    "key",
    "description",
    "enabled",
    "tasks",
    "final-tasks",
    "requirements",
    "artifacts",
    "artifact-subscriptions",
    "docker",
    "other",
];

/// The longest key that is made from a name.
const MAX_MADE_KEY: usize = 20;

/// A job whose key is given by the file, or still to be made.
pub(super) struct ReadJob {
    pub(super) job: Job,
    key_span: Option<Span>,
}

/// The job that a root key defines. Nothing below the key is a job without tasks.
pub(super) fn job(cx: &mut Context<'_>, entry: &Entry) -> ReadJob {
    let mut read = ReadJob {
        job: Job {
            name: entry.key.text.clone(),
            key: String::new(),
            description: String::new(),
            enabled: true,
            tasks: Vec::new(),
            final_tasks: Vec::new(),
            requirements: Vec::new(),
            docker: None,
            timeout_seconds: None,
            clean_working_directory: false,
        },
        key_span: None,
    };
    if entry.value.is_null() {
        return read;
    }
    let Some(mut fields) = Fields::of(cx, &entry.value, "a job") else {
        return read;
    };
    let job = &mut read.job;
    if let Some(node) = fields.take("key")
        && let Some(key) = given_key(cx, node)
    {
        job.key = key;
        read.key_span = Some(node.span);
    }
    if let Some(node) = fields.take("description") {
        job.description = scalar::text(cx, node, "the job's description").unwrap_or_default();
    }
    if let Some(node) = fields.take("enabled") {
        job.enabled = scalar::flag(cx, node, "`enabled`").unwrap_or(true);
    }
    if let Some(node) = fields.take("tasks") {
        job.tasks = task::tasks(cx, node, "`tasks`");
    }
    if let Some(node) = fields.take("final-tasks") {
        job.final_tasks = task::tasks(cx, node, "`final-tasks`");
    }
    if let Some(node) = fields.take("requirements") {
        job.requirements = requirements(cx, node);
        if !job.requirements.is_empty() {
            cx.add(
                Finding::warning(
                    "not-run",
                    node.span,
                    "`requirements` are part of Bamboo's format, but this version does not act on them",
                )
                .note("the job runs on any agent, whether or not it has the capabilities"),
            );
        }
    }
    if let Some(node) = fields.take("docker") {
        job.docker = docker::docker(cx, node);
    }
    if let Some(node) = fields.take("other") {
        job.clean_working_directory = other::clean_working_directory(cx, node);
    }
    fields.not_run(cx, &["artifacts", "artifact-subscriptions"]);
    fields.finish(cx);
    read
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
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .skip_while(char::is_ascii_digit)
        .take(MAX_MADE_KEY)
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
        if !job.job.key.is_empty() {
            continue;
        }
        let mut base = key_from(&definition.key.text);
        if base.is_empty() {
            base = format!("JOB{}", index + 1);
        }
        let free = std::iter::once(base.clone())
            .chain((2u32..).map(|number| format!("{base}{number}")))
            .find(|key| !taken.contains(key))
            .expect("an endless row of numbers has one that is free");
        taken.insert(free.clone());
        job.job.key = free;
    }
}

/// `- key` asks for a capability, `- key: regex` for one whose whole value matches.
fn requirements(cx: &mut Context<'_>, node: &Node) -> Vec<Requirement> {
    let items = match &node.value {
        Value::List(items) => items,
        Value::Broken => return Vec::new(),
        _ => {
            scalar::wrong_type(cx, node, "`requirements`", "a list");
            return Vec::new();
        }
    };
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
