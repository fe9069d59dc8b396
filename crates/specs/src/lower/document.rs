//! Tells the kinds of document apart (bamboo-specs.md 2.1) and hands each to its section.

use madake_domain::change::matches_whole;
use madake_domain::key::{PlanKey, ProjectKey};

use super::{Context, Stream, deployment, job, permission, plan, scalar, task, version_1};
use crate::language::{
    Section, deployment as deployment_language, job as job_language, task as task_language,
};
use crate::options::Options;
use crate::report::{Finding, Report, nearest, shown};
use crate::source::Span;
use crate::yaml::{Entry, Key, Map, Node, Value};
use crate::{DeploymentDocument, DocumentPosition, OtherDocument, OtherKind, PlanDocument, Reading};

use crate::yaml::Document;

/// What the documents of the plan file `name` have in common.
pub(crate) fn stream(name: &str, documents: &[Document]) -> Stream {
    let key = |document: &Document| {
        let map = document.root.as_map()?;
        described_plan(&kind(map), map)?.key()
    };
    let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
    Stream {
        plans: documents.iter().filter_map(key).collect(),
        is_entry: ["bamboo.yml", "bamboo.yaml"].contains(&file),
    }
}

/// Adds what a document says to the reading.
pub(crate) fn lower(
    document: Document,
    stream: &Stream,
    options: &Options<'_>,
    report: &mut Report,
    reading: &mut Reading,
) {
    let Document { root, faulty, id } = document;
    report.resume_document(id);
    let mut cx = Context {
        options,
        stream,
        report,
        downloads: Vec::new(),
        in_environment: false,
    };
    let map = match &root.value {
        Value::Map(map) => map,
        Value::Null | Value::Broken => return,
        Value::Scalar(_) | Value::List(_) => {
            if !faulty && !part(&mut cx, &root) {
                unrecognised(&mut cx, &root, None);
            }
            return;
        }
    };
    let position = |span: Span, cx: &Context<'_>| DocumentPosition {
        file: cx.report.sources.name(span.file).to_owned(),
        line: span.line,
    };
    let at = position(root.span, &cx);
    let note = |kind, reading: &mut Reading| {
        reading.other_documents.push(OtherDocument {
            kind,
            position: at.clone(),
        });
    };
    if !is_for_this_server(&mut cx, map) {
        note(OtherKind::ForAnotherServer, reading);
        return;
    }
    let kind = match kind(map) {
        Kind::Plan | Kind::Deployment if let Some((entry, meant)) = misspelt_permissions(map) => {
            let message = format!("`{}` is not a section of a plan file", shown(&entry.key.text));
            cx.add(Finding::error("unknown-section", entry.key.span, message).suggestion(Some(meant)));
            return;
        }
        kind => kind,
    };
    if let Some(subject) = subject(&kind, map) {
        cx.report.name_document(subject);
    }
    let errors = cx.report.errors();
    match kind {
        Kind::Plan | Kind::Version1 => {
            let (configuration, header) = if let Kind::Plan = kind {
                (plan::plan(&mut cx, map, &root), "plan")
            } else {
                (version_1::plan(&mut cx, map, &root), "project")
            };
            let key = configuration.as_ref().map(|configuration| &configuration.key);
            let permissions = map
                .get("plan-permissions")
                .and_then(|entry| permission::beside_plan(&mut cx, key, entry));
            if let (Some(permissions), Some(entry)) = (&permissions, map.get("plan-permissions")) {
                let what = format!("the permissions of the plan {}", permissions.plan);
                once(&mut cx, &what, entry.key.span);
            }
            let Some(configuration) = configuration else {
                return;
            };
            if faulty || cx.report.errors() > errors {
                return;
            }
            let header = map.get(header).map_or(root.span, |entry| entry.key.span);
            let twin = reading
                .plans
                .iter()
                .find(|other| other.configuration.key == configuration.key);
            if let Some(twin) = twin {
                let message = format!(
                    "the plan `{}` is defined twice, first in {}:{}",
                    configuration.key, twin.position.file, twin.position.line
                );
                cx.add(Finding::error("duplicate-plan", header, message));
                return;
            }
            let position = position(header, &cx);
            reading.plans.push(PlanDocument {
                configuration,
                position,
            });
            reading.permissions.extend(permissions);
        }
        Kind::PlanPermissions => {
            let permissions = permission::document(&mut cx, map, &root);
            if let Some(permissions) = &permissions {
                cx.report
                    .name_document(format!("permissions of plan {}", permissions.plan));
                let place = map.get("plan").map_or(root.span, |entry| entry.key.span);
                once(
                    &mut cx,
                    &format!("the permissions of the plan {}", permissions.plan),
                    place,
                );
            }
            if !faulty && cx.report.errors() == errors {
                reading.permissions.extend(permissions);
            }
        }
        Kind::Deployment => {
            let header = map.get("deployment").map_or(root.span, |entry| entry.key.span);
            let configuration = deployment::deployment(&mut cx, map, &root);
            if let Some(configuration) = &configuration {
                let what = format!("the deployment project `{}`", shown(&configuration.name));
                once(&mut cx, &what, header);
            }
            if !faulty && cx.report.errors() == errors {
                let position = position(header, &cx);
                reading
                    .deployments
                    .extend(configuration.map(|configuration| DeploymentDocument {
                        configuration,
                        position,
                    }));
            }
        }
        Kind::DeploymentPermissions => {
            let permissions = permission::deployment_document(&mut cx, map, &root);
            if let Some(permissions) = &permissions {
                let place = map.get("deployment").map_or(root.span, |entry| entry.key.span);
                let name = shown(&permissions.deployment);
                once(
                    &mut cx,
                    &format!("the permissions of the deployment project `{name}`"),
                    place,
                );
            }
            if !faulty && cx.report.errors() == errors {
                reading.deployment_permissions.extend(permissions);
            }
        }
        Kind::Unknown if faulty || part(&mut cx, &root) => {}
        Kind::Unknown => unrecognised(&mut cx, &root, Some(map)),
    }
}

/// Reports what another document has described before.
fn once(cx: &mut Context<'_>, what: &str, span: Span) {
    if let Some(first) = cx.report.describe(what, span) {
        let message = format!("another document describes {what} too");
        cx.add(Finding::error("duplicate-document", span, message).related(first, "first described here"));
    }
}

/// What a document says of the plan that it describes.
struct DescribedPlan<'n> {
    project: Option<&'n str>,
    short: Option<&'n str>,
    name: Option<&'n str>,
}

impl DescribedPlan<'_> {
    /// The plan's key, where only one can be meant.
    fn key(&self) -> Option<PlanKey> {
        let project: ProjectKey = self.project?.trim().parse().ok()?;
        plan::meant_key(&project, self.short?)
    }
}

fn described_plan<'n>(kind: &Kind, map: &'n Map) -> Option<DescribedPlan<'n>> {
    let text = |map: &'n Map, key: &str| map.get(key)?.value.as_text();
    let below = |map: &'n Map, key: &str| map.get(key)?.value.as_map();
    let (plan, project) = match kind {
        Kind::Plan => {
            let plan = below(map, "plan")?;
            (plan, text(plan, "project-key"))
        }
        Kind::Version1 => {
            let project = below(map, "project")?;
            (below(project, "plan")?, text(project, "key"))
        }
        _ => return None,
    };
    Some(DescribedPlan {
        project,
        short: text(plan, "key"),
        name: text(plan, "name"),
    })
}

/// What a document is about, as far as can be told: `plan PROJ-PLAN`.
fn subject(kind: &Kind, map: &Map) -> Option<String> {
    let inner = |outer: &str, key: &str| {
        let value = &map.get(outer)?.value;
        match value.as_map() {
            Some(map) => map.get(key)?.value.as_text(),
            None => value.as_text(),
        }
        .map(shown)
    };
    match kind {
        Kind::Plan | Kind::Version1 => {
            let described = described_plan(kind, map)?;
            let named = described.name.map(|name| format!("plan {}", shown(name)));
            match (described.key(), described.project, described.short) {
                (Some(key), ..) => Some(format!("plan {key}")),
                (None, Some(project), Some(short)) => {
                    Some(format!("plan {}-{}", shown(project), shown(short)))
                }
                (None, None, Some(whole)) if whole.trim().parse::<PlanKey>().is_ok() => {
                    Some(format!("plan {}", whole.trim()))
                }
                _ => named,
            }
        }
        Kind::PlanPermissions => inner("plan", "key").map(|key| format!("permissions of plan {key}")),
        Kind::Deployment => inner("deployment", "name").map(|name| format!("deployment project {name}")),
        Kind::DeploymentPermissions => {
            inner("deployment", "name").map(|name| format!("permissions of deployment project {name}"))
        }
        Kind::Unknown => None,
    }
}

enum Kind {
    Plan,
    PlanPermissions,
    Deployment,
    DeploymentPermissions,
    Version1,
    Unknown,
}

const DEPLOYMENT_PERMISSIONS: [&str; 3] = [
    "deployment-permissions",
    "default-environment-permissions",
    "environment-permissions",
];

/// The misspelt section of a document that has nothing else of a plan or a deployment project but its name, and what
/// was meant.
fn misspelt_permissions(map: &Map) -> Option<(&Entry, &'static str)> {
    if ["stages", "release-naming", "environments"]
        .iter()
        .any(|key| map.has(key))
    {
        return None;
    }
    let names = std::iter::once("plan-permissions").chain(DEPLOYMENT_PERMISSIONS);
    map.entries.iter().find_map(|entry| {
        let meant = nearest(&entry.key.text, names.clone())?;
        let outer = if meant == "plan-permissions" {
            "plan"
        } else {
            "deployment"
        };
        map.has(outer).then_some((entry, meant))
    })
}

fn kind(map: &Map) -> Kind {
    if DEPLOYMENT_PERMISSIONS.iter().any(|key| map.has(key)) {
        return Kind::DeploymentPermissions;
    }
    if map.has("deployment") {
        return Kind::Deployment;
    }
    let project = map.get("project").and_then(|entry| entry.value.as_map());
    if !map.has("plan") && project.is_some_and(|project| project.has("plan")) {
        return Kind::Version1;
    }
    if map.has("plan-permissions") && !map.has("stages") {
        return Kind::PlanPermissions;
    }
    if map.has("plan") || map.has("stages") {
        return Kind::Plan;
    }
    Kind::Unknown
}

/// Whether a document that stands alone is a job, an environment or a list of tasks, which other files include; looks at what is
/// in it.
fn part(cx: &mut Context<'_>, root: &Node) -> bool {
    if cx.stream.is_entry {
        return false;
    }
    let what = match &root.value {
        Value::Map(map) => {
            if !["tasks", "final-tasks"].iter().any(|key| map.has(key)) {
                return false;
            }
            let is = |section: &Section| {
                let mut keys = map.entries.iter();
                keys.all(|entry| section.key(&entry.key.text).is_some())
            };
            let (text, span) = (String::new(), root.span);
            let entry = Entry {
                key: Key { text, span },
                value: root.clone(),
            };
            if is(&job_language::JOB) {
                job::job(cx, &entry);
                "a job"
            } else if is(&deployment_language::ENVIRONMENT) {
                deployment::lone_environment(cx, &entry);
                "an environment"
            } else {
                return false;
            }
        }
        Value::List(items) => {
            let name = |item: &Node| match &item.value {
                Value::Scalar(name) => Some(name.clone()),
                Value::Map(map) => map.entries.first().map(|entry| entry.key.text.clone()),
                _ => None,
            };
            let is_task =
                |item: &Node| name(item).is_some_and(|name| task_language::TASKS.item(&name).is_some());
            if items.is_empty() || !items.iter().all(is_task) {
                return false;
            }
            task::tasks(cx, root, "the tasks");
            "a list of tasks"
        }
        _ => return false,
    };
    let message = format!("this is {what}, which makes no plan by itself");
    cx.add(
        Finding::warning("part", root.span, message)
            .note("a plan file takes it in with `!include 'file.yml'`; what is in it has been checked"),
    );
    true
}

fn unrecognised(cx: &mut Context<'_>, root: &Node, map: Option<&Map>) {
    let finding = Finding::error(
        "unrecognised-document",
        root.span,
        "this document is none of those that a plan file may hold",
    )
    .expected("a document with `plan`, `plan-permissions`, `deployment` or `!include 'file.yml'`");
    let keys = map.map(|map| map.entries.as_slice()).unwrap_or_default();
    let suggestion = keys.iter().find_map(|entry| {
        nearest(
            &entry.key.text,
            ["plan", "plan-permissions", "deployment", "stages"],
        )
    });
    let finding = finding.suggestion(suggestion);
    cx.add(if map.is_some_and(|map| map.has("tasks")) {
        finding.note("it looks like a part that another file is meant to include")
    } else {
        finding
    });
}

/// Whether the document's `server-name` is ours; says so when it is not.
fn is_for_this_server(cx: &mut Context<'_>, map: &Map) -> bool {
    let Some(entry) = map.get("server-name") else {
        return true;
    };
    let Some(text) = scalar::pattern(cx, &entry.value, "the server name") else {
        return false;
    };
    let name = cx.options.server_name.unwrap_or_default();
    let matches = matches_whole(&text, name);
    if !matches {
        let message = format!(
            "the document is for another server: `{}` does not match our name `{}`",
            shown(&text),
            shown(name)
        );
        cx.add(Finding::info("another-server", entry.value.span, message));
    }
    matches
}
