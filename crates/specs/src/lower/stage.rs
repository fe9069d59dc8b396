//! Stages (bamboo-specs.md 3.3).

use madake_domain::plan::Stage;

use super::fields::Fields;
use super::{Context, item, scalar};
use crate::language::{job, plan as language};
use crate::report::{Finding, shown};
use crate::yaml::{Entry, Map, Node, Value};

const SHAPE: &str = "`- Stage name: [Job name]` or a map with `jobs`";

/// A stage, with the places where it names its jobs.
pub(super) struct ReadStage<'n> {
    pub(super) stage: Stage,
    pub(super) job_nodes: Vec<&'n Node>,
}

/// The `stages` of a plan document.
pub(super) fn stages<'n>(cx: &mut Context<'_>, entry: &'n Entry) -> Vec<ReadStage<'n>> {
    let items = match &entry.value.value {
        Value::List(items) => items,
        Value::Broken => return Vec::new(),
        _ => {
            scalar::wrong_type(cx, &entry.value, "`stages`", "a list of stages");
            return Vec::new();
        }
    };
    if items.is_empty() {
        cx.add(Finding::warning(
            "empty",
            entry.key.span,
            "the plan has no stages, so nothing runs",
        ));
    }
    let mut stages: Vec<ReadStage<'n>> = Vec::new();
    for item in items {
        let Some((key, stage)) = stage(cx, item) else {
            continue;
        };
        if stages.iter().any(|other| other.stage.name == stage.stage.name) {
            let message = format!("there are two stages `{}`", shown(&stage.stage.name));
            cx.add(Finding::error("duplicate-stage", key.key.span, message));
        }
        stages.push(stage);
    }
    stages
}

fn stage<'n>(cx: &mut Context<'_>, item: &'n Node) -> Option<(&'n Entry, ReadStage<'n>)> {
    let map = match &item.value {
        Value::Map(map) => map,
        Value::Broken => return None,
        Value::Scalar(name) => {
            let message = format!("the stage `{}` is only a name", shown(name));
            cx.add(Finding::error("stage-shape", item.span, message).expected(SHAPE));
            return None;
        }
        Value::Null | Value::List(_) => {
            scalar::wrong_type(cx, item, "a stage", SHAPE);
            return None;
        }
    };
    let [key, siblings @ ..] = map.entries.as_slice() else {
        scalar::wrong_type(cx, item, "a stage", SHAPE);
        return None;
    };
    if key.key.text == "name" && !siblings.is_empty() {
        let message = "the stage's name is the key of the list item, not a value";
        cx.add(Finding::error("stage-shape", key.key.span, message).expected(SHAPE));
        return None;
    }
    if key.key.text == "jobs" {
        let message = "the stage has no name, so it is called `jobs`";
        cx.add(Finding::warning("stage-shape", key.key.span, message).expected(SHAPE));
    }
    let mut read = ReadStage {
        stage: Stage {
            name: key.key.text.clone(),
            description: String::new(),
            manual: false,
            final_stage: false,
            jobs: Vec::new(),
        },
        job_nodes: Vec::new(),
    };
    if !siblings.is_empty() {
        if !key.value.is_null() {
            beside(cx, key, &siblings[0]);
            return None;
        }
        item::indentation(cx, siblings[0].key.span, &key.key.text);
        let fields = Fields::new(cx, map, &language::STAGE, key.key.span).beside(Some(key));
        options(cx, fields, &mut read);
        return Some((key, read));
    }
    match &key.value.value {
        Value::List(_) | Value::Scalar(_) => jobs(cx, &key.value, &mut read),
        Value::Map(map) if let Some(inline) = inline_job(map) => {
            inline_error(cx, inline);
        }
        Value::Map(map) => {
            let fields = Fields::new(cx, map, &language::STAGE, key.key.span);
            options(cx, fields, &mut read);
        }
        Value::Null => {
            let message = format!("the stage `{}` has no jobs", shown(&key.key.text));
            cx.add(Finding::error("stage-shape", key.key.span, message).expected(SHAPE));
        }
        Value::Broken => {}
    }
    Some((key, read))
}

/// Reports what stands beside a stage in the same item of the list.
fn beside(cx: &mut Context<'_>, stage: &Entry, sibling: &Entry) {
    let name = shown(&sibling.key.text);
    let is_of_stage = language::STAGE.key(&sibling.key.text).is_some();
    let finding = if is_of_stage || job::JOB.key(&sibling.key.text).is_some() {
        let stage = shown(&stage.key.text);
        Finding::error(
            "stage-shape",
            sibling.key.span,
            format!("`{name}` stands beside the stage `{stage}`, and not in it"),
        )
        .expected(if is_of_stage {
            format!("`- {stage}:` with `{name}` and `jobs: [Job name]` below it, indented")
        } else {
            format!("`{name}` in the definition of a job, at the root of the document")
        })
    } else {
        let message = "a stage is a list item of its own";
        Finding::error("stage-shape", sibling.key.span, message).expected(SHAPE)
    };
    cx.add(finding);
}

fn options<'n>(cx: &mut Context<'_>, mut fields: Fields<'n>, read: &mut ReadStage<'n>) {
    read.stage.manual = fields.flag(cx, "manual").unwrap_or(false);
    read.stage.final_stage = fields.flag(cx, "final").unwrap_or(false);
    read.stage.description = fields.text_or_empty(cx, "description");
    if let Some(node) = fields.take("jobs") {
        jobs(cx, node, read);
    }
    fields.finish(cx);
}

fn jobs<'n>(cx: &mut Context<'_>, node: &'n Node, read: &mut ReadStage<'n>) {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Scalar(_) => {
            cx.add(
                Finding::warning("wrong-type", node.span, "the jobs of a stage are a list")
                    .expected("`[Job name]`"),
            );
            std::slice::from_ref(node)
        }
        Value::Map(map) => {
            match map.entries.first() {
                Some(entry) => inline_error(cx, entry),
                None => scalar::wrong_type(cx, node, "the jobs of a stage", "a list of job names"),
            }
            return;
        }
        Value::Null | Value::Broken => return,
    };
    for item in items {
        match &item.value {
            Value::Scalar(name) if read.stage.jobs.contains(name) => {
                let message = format!("the stage names the job `{}` twice", shown(name));
                cx.add(Finding::warning("duplicate-job", item.span, message));
            }
            Value::Scalar(name) => {
                read.stage.jobs.push(name.clone());
                read.job_nodes.push(item);
            }
            Value::Map(map)
                if let Some(name) = map.get("name").filter(|name| name.value.as_text().is_some()) =>
            {
                let name = shown(name.value.as_text().unwrap_or_default());
                let message = format!("the job `{name}` is written inside a stage");
                let finding = Finding::error("inline-job", map.entries[0].key.span, message);
                cx.add(finding.expected(format!(
                    "`- {name}`, and a key `{name}:` at the root of the document"
                )));
            }
            Value::Map(map) if !map.entries.is_empty() => inline_error(cx, &map.entries[0]),
            Value::Broken => {}
            _ => scalar::wrong_type(cx, item, "a job of a stage", "the name of a job"),
        }
    }
}

/// A job written where a stage's options belong.
fn inline_job(map: &Map) -> Option<&Entry> {
    map.entries.iter().find(|entry| {
        let is_job_key = job::JOB.key(&entry.key.text).is_some() && entry.key.text != "description";
        let holds_job = entry.value.as_map().is_some_and(|inner| {
            inner
                .entries
                .iter()
                .any(|inner| job::JOB.key(&inner.key.text).is_some())
        });
        is_job_key || (holds_job && entry.key.text != "jobs")
    })
}

fn inline_error(cx: &mut Context<'_>, entry: &Entry) {
    let name = shown(&entry.key.text);
    let message = if job::JOB.key(&entry.key.text).is_some() {
        format!("`{name}` of a job stands inside a stage")
    } else {
        format!("the job `{name}` is written inside a stage")
    };
    cx.add(
        Finding::error("inline-job", entry.key.span, message)
            .expected("the job's name; the job itself is a key at the root of the document"),
    );
}
