//! Tasks (bamboo-specs.md 4).

use madake_domain::key::PlanKey;
use madake_domain::plan::{
    ArtifactDownloadItem, ArtifactDownloadTask, CheckoutTask, InjectScope, InjectVariablesTask, StopJobTask,
    Task, TaskAction, TaskCondition, TestFormat, TestParserTask, TestReportKind,
};

use super::fields::Fields;
use super::item::{self, Item};
use super::{Context, any_task, path, remote_task, scalar, script, task_condition, tool_task, vcs_task};
use crate::language::task as language;
use crate::mention::MentionKind;
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Node, Value};

/// The tasks of a list.
pub(super) fn tasks(cx: &mut Context<'_>, node: &Node, what: &str) -> Vec<Task> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| task(cx, item)).collect(),
        Value::Null | Value::Broken => Vec::new(),
        _ => {
            scalar::wrong_type(cx, node, what, "a list of tasks");
            Vec::new()
        }
    }
}

fn task(cx: &mut Context<'_>, node: &Node) -> Option<Task> {
    let item = item::take_apart(cx, node, &language::TASKS)?;
    if item.is_broken() {
        return None;
    }
    let task = match item.choice.name {
        "script" => script::script(cx, &item),
        "checkout" => checkout(cx, &item),
        "clean" => without_options(cx, &item, TaskAction::Clean),
        "dump-variables" => without_options(cx, &item, TaskAction::DumpVariables),
        "artifact-download" => artifact_download(cx, &item),
        "inject-variables" => inject_variables(cx, &item),
        "test-parser" => test_parser(cx, &item),
        "stop-job" => stop_job(cx, &item),
        "maven" => tool_task::maven(cx, &item),
        "command" => tool_task::command(cx, &item),
        "ssh" => remote_task::ssh(cx, &item),
        "scp" => remote_task::scp(cx, &item),
        "any-task" => any_task::any_task(cx, &item),
        name => vcs_task::task(cx, name, &item),
    };
    if cx.in_environment
        && let Some(task) = &task
        && matches!(
            task.action,
            TaskAction::VcsTag(_) | TaskAction::VcsBranch(_) | TaskAction::VcsPush(_)
        )
    {
        let what = format!("the task `{}` in an environment", task.action.type_name());
        cx.not_run(item.span, &what, language::FAILS_IN_DEPLOYMENT);
    }
    task
}

/// What any task may say about itself.
#[derive(Default)]
pub(super) struct Common {
    description: String,
    enabled: Option<bool>,
    conditions: Vec<TaskCondition>,
}

impl Common {
    /// Reads the keys that any task takes.
    pub(super) fn of(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Self {
        Self {
            description: fields.text_or_empty(cx, "description"),
            enabled: fields.flag(cx, "enabled"),
            conditions: fields
                .take("conditions")
                .map(|node| task_condition::conditions(cx, node))
                .unwrap_or_default(),
        }
    }

    /// The task that does `action`.
    pub(super) fn task(self, action: TaskAction) -> Task {
        Task {
            description: self.description,
            enabled: self.enabled.unwrap_or(true),
            conditions: self.conditions,
            action,
        }
    }
}

fn checkout(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut checkout = CheckoutTask::default();
    let mut common = Common::default();
    if let Some(mut fields) = item.fields(cx, &language::CHECKOUT) {
        common = Common::of(cx, &mut fields);
        checkout.repository = fields
            .take("repository")
            .and_then(|node| repository_name(cx, node));
        checkout.path = match fields.take("path") {
            Some(node) => path::relative(cx, node, "the path of the checkout")?,
            None => String::new(),
        };
        checkout.force_clean_build = fields.flag(cx, "force-clean-build").unwrap_or(false);
        fields.finish(cx);
    }
    if let Some(node) = item.short() {
        checkout.repository = repository_name(cx, node);
    }
    Some(common.task(TaskAction::Checkout(checkout)))
}

/// A repository by name, or as `{name: ..., scope: ...}`.
pub(super) fn repository_name(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let name = if node.as_map().is_none() {
        scalar::non_empty_text(cx, node, "the repository of a task")?
    } else {
        let mut fields = Fields::of(cx, node, &language::REPOSITORY_REFERENCE)?;
        fields.entry("scope");
        let name = fields.need_text(cx, "name");
        fields.finish(cx);
        name?
    };
    cx.report
        .mention(MentionKind::Repository(name.clone()), node.span);
    Some(name)
}

fn without_options(cx: &mut Context<'_>, item: &Item<'_>, action: TaskAction) -> Option<Task> {
    let mut fields = item.options(cx, &language::CLEAN)?;
    let common = Common::of(cx, &mut fields);
    fields.finish(cx);
    Some(common.task(action))
}

fn stop_job(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut fields = item.options(cx, &language::STOP_JOB)?;
    let common = Common::of(cx, &mut fields);
    let success = fields.flag(cx, "success").unwrap_or(false);
    fields.finish(cx);
    Some(common.task(TaskAction::StopJob(StopJobTask { success })))
}

fn artifact_download(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let short = item
        .short()
        .filter(|node| matches!(node.value, Value::Scalar(_) | Value::List(_)));
    let fields = match short {
        Some(_) => item.fields(cx, &language::ARTIFACT_DOWNLOAD),
        None => Some(item.options(cx, &language::ARTIFACT_DOWNLOAD)?),
    };
    let (mut common, mut source_plan, mut custom_branch) = (Common::default(), None, None);
    let (mut artifacts, mut name_node, mut destination) = (short, None, String::new());
    if let Some(mut fields) = fields {
        common = Common::of(cx, &mut fields);
        source_plan = match fields.take("source-plan") {
            Some(node) => Some(scalar::plan_key(cx, node)?),
            None => None,
        };
        custom_branch = fields.text(cx, "custom-branch");
        artifacts = fields.take("artifacts").or(short);
        name_node = fields.take("name");
        destination = fields.destination(cx, "destination");
        fields.finish(cx);
    }
    let single = ArtifactDownloadItem {
        name: name_node.and_then(|node| scalar::text(cx, node, "`name` of an artifact download")),
        destination,
    };
    let items = match artifacts.map(|node| scalar::one_or_more(cx, node, "`artifacts`")) {
        Some(items) if !items.is_empty() => items
            .iter()
            .filter_map(|item| download_item(cx, item, &single.destination, source_plan.as_ref()))
            .collect(),
        _ => {
            if let (Some(name), Some(node)) = (&single.name, name_node) {
                cx.downloads.push((source_plan.clone(), name.clone(), node.span));
            }
            vec![single]
        }
    };
    Some(common.task(TaskAction::ArtifactDownload(ArtifactDownloadTask {
        source_plan,
        custom_branch,
        items,
    })))
}

/// One artifact by name, with options, or `{}` for all; `destination` is what the task says for all of them.
fn download_item(
    cx: &mut Context<'_>,
    node: &Node,
    destination: &str,
    plan: Option<&PlanKey>,
) -> Option<ArtifactDownloadItem> {
    let mut item = ArtifactDownloadItem {
        name: None,
        destination: destination.to_owned(),
    };
    if let Value::Scalar(name) = &node.value {
        cx.downloads.push((plan.cloned(), name.clone(), node.span));
        item.name = Some(name.clone());
        return Some(item);
    }
    let mut fields = Fields::of(cx, node, &language::DOWNLOAD_ITEM)?;
    if let Some(node) = fields.take("name") {
        item.name = scalar::text(cx, node, "`name` of an artifact of a download");
        let name = item.name.clone();
        cx.downloads
            .extend(name.map(|name| (plan.cloned(), name, node.span)));
    }
    if node.as_map().is_some_and(|map| map.has("destination")) {
        item.destination = fields.destination(cx, "destination");
    } else {
        fields.entry("destination");
    }
    fields.finish(cx);
    Some(item)
}

fn inject_variables(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut task = InjectVariablesTask {
        file: String::new(),
        scope: InjectScope::Local,
        namespace: "inject".to_owned(),
    };
    let mut common = Common::default();
    if let Some(node) = item.short() {
        scalar::non_empty_text(cx, node, "the file of variables")?;
        task.file = path::relative(cx, node, "the file of variables")?;
    }
    match item.fields(cx, &language::INJECT_VARIABLES) {
        Some(mut fields) => {
            common = Common::of(cx, &mut fields);
            let file = match item.short() {
                Some(_) => fields.take("file"),
                None => fields.need(cx, "file"),
            };
            let file = file.map(|node| path::relative(cx, node, "the file of variables"));
            if let Some(node) = fields.take("scope") {
                task.scope = scope(cx, node).unwrap_or_default();
            }
            if let Some(namespace) = fields.text(cx, "namespace") {
                task.namespace = namespace;
            }
            fields.finish(cx);
            if item.short().is_none() {
                task.file = file??;
            }
        }
        None if item.short().is_none() => {
            missing_value(cx, item, "the path of a file, or a map with `file`");
            return None;
        }
        None => {}
    }
    Some(common.task(TaskAction::InjectVariables(task)))
}

fn scope(cx: &mut Context<'_>, node: &Node) -> Option<InjectScope> {
    let text = scalar::text(cx, node, "the scope of variables")?;
    match text.trim().to_ascii_lowercase().as_str() {
        "local" => Some(InjectScope::Local),
        "result" => Some(InjectScope::Result),
        _ => {
            scalar::unknown_word(cx, node, "scope of variables", &text, &["LOCAL", "RESULT"]);
            None
        }
    }
}

/// Says that a task that needs a value has none.
pub(super) fn missing_value(cx: &mut Context<'_>, item: &Item<'_>, expected: &str) {
    let message = format!("`{}` has nothing behind it", item.choice.name);
    cx.add(Finding::error("missing-key", item.span, message).expected(expected));
}

fn test_parser(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut common = Common::default();
    let (mut patterns, mut ignore_time) = (Vec::new(), false);
    let mut format = item.short().map(|node| test_format(cx, node));
    match item.fields(cx, &language::TEST_PARSER) {
        Some(mut fields) => {
            common = Common::of(cx, &mut fields);
            let node = match format {
                Some(_) => fields.take("type"),
                None => fields.need(cx, "type"),
            };
            format = format.or_else(|| node.map(|node| test_format(cx, node)));
            patterns = fields.texts(cx, "test-results");
            ignore_time = fields.flag(cx, "ignore-time").unwrap_or(false);
            fields.finish(cx);
        }
        None if format.is_none() => missing_value(cx, item, "`junit` or another format of test reports"),
        None => {}
    }
    Some(common.task(TaskAction::TestParser(TestParserTask {
        format: format??,
        patterns,
        ignore_time,
    })))
}

/// A format of test reports by name, or a text with variables that will name one.
pub(super) fn test_format(cx: &mut Context<'_>, node: &Node) -> Option<TestFormat> {
    let text = scalar::non_empty_text(cx, node, "the format of test reports")?;
    if let Some(kind) = TestReportKind::from_name(&text) {
        return Some(TestFormat::Known(kind));
    }
    if text.contains("${") {
        return Some(TestFormat::Variable(text));
    }
    let message = format!("there is no format of test reports `{}`", shown(&text));
    cx.add(
        Finding::error("unknown-value", node.span, message)
            .expected(super::fields::any_of(&language::TEST_FORMATS))
            .suggestion(nearest(&text, language::TEST_FORMATS)),
    );
    None
}
