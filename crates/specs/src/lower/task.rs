//! Tasks (bamboo-specs.md 4).

use madake_domain::plan::{CheckoutTask, Task, TaskAction};

use super::fields::Fields;
use super::{Context, path, scalar, script};
use crate::report::{Finding, nearest, shown};
use crate::source::Span;
use crate::yaml::{Entry, Map, Node, Value};

/// Tasks that run.
const RUN: [&str; 3] = ["script", "checkout", "clean"];

/// Tasks that may be named but do not run yet.
const NOT_RUN: [&str; 13] = [
    "artifact-download",
    "inject-variables",
    "test-parser",
    "maven",
    "command",
    "ssh",
    "scp",
    "stop-job",
    "vcs-tag",
    "vcs-branch",
    "vcs-commit",
    "vcs-push",
    "any-task",
];

/// Keys that any task takes.
const COMMON: [&str; 3] = ["description", "enabled", "conditions"];

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

/// One item of a task list, taken apart.
pub(super) struct Item<'n> {
    name: &'n str,
    span: Span,
    /// What stands behind the name.
    pub(super) value: Option<&'n Node>,
    /// The map that has the options: the value, or the item itself when its options are siblings of the name.
    options: Option<&'n Map>,
    /// The entry of `options` that is the name.
    name_entry: Option<&'n Entry>,
}

fn is_task(name: &str) -> bool {
    RUN.contains(&name) || NOT_RUN.contains(&name)
}

fn take_apart<'n>(cx: &mut Context<'_>, node: &'n Node) -> Option<Item<'n>> {
    let map = match &node.value {
        Value::Scalar(name) => {
            return Some(Item {
                name,
                span: node.span,
                value: None,
                options: None,
                name_entry: None,
            });
        }
        Value::Map(map) => map,
        Value::Broken => return None,
        Value::Null | Value::List(_) => {
            scalar::wrong_type(
                cx,
                node,
                "a task",
                "a task's name, or a map from it to its options",
            );
            return None;
        }
    };
    let entry = map
        .entries
        .iter()
        .find(|entry| is_task(&entry.key.text))
        .or_else(|| map.entries.first())?;
    let siblings = || map.entries.iter().filter(|other| !std::ptr::eq(*other, entry));
    let item = |options, name_entry| Item {
        name: entry.key.text.as_str(),
        span: entry.key.span,
        value: Some(&entry.value),
        options,
        name_entry,
    };
    let Some(sibling) = siblings().next() else {
        return Some(item(entry.value.as_map(), None));
    };
    let only_common = siblings().all(|other| COMMON.contains(&other.key.text.as_str()));
    if is_task(&entry.key.text) && (entry.value.is_null() || (only_common && entry.value.as_map().is_none()))
    {
        indentation(cx, sibling.key.span, &entry.key.text);
        return Some(item(Some(map), Some(entry)));
    }
    let message = format!(
        "a task is a list item of its own, and `{}` stands in the same one",
        shown(&sibling.key.text)
    );
    cx.add(
        Finding::error("task-shape", sibling.key.span, message)
            .expected("`- ` in front of each task, its options indented below it"),
    );
    None
}

/// Says that options stand beside the name that they belong to.
pub(super) fn indentation(cx: &mut Context<'_>, span: Span, name: &str) {
    let message = format!(
        "the options of `{}` are indented as if they stood beside it",
        shown(name)
    );
    cx.add(Finding::warning("indentation", span, message).expected("four spaces more than the `-`"));
}

impl<'n> Item<'n> {
    /// The options, if there are any.
    pub(super) fn fields(&self, what: &'static str) -> Option<Fields<'n>> {
        self.options.map(|map| Fields::new(map, what))
    }

    /// Reports the options that nobody asked for.
    pub(super) fn finish(&self, cx: &mut Context<'_>, fields: Fields<'n>) {
        fields.finish_except(cx, self.name_entry);
    }

    /// Whether there is an option of this name.
    pub(super) fn has(&self, key: &str) -> bool {
        self.options.is_some_and(|map| map.has(key))
    }

    /// The place of the task's name.
    pub(super) fn span(&self) -> Span {
        self.span
    }
}

/// What any task may say about itself.
#[derive(Default)]
pub(super) struct Common {
    description: String,
    enabled: Option<bool>,
    conditional: bool,
}

impl Common {
    /// Reads the keys that any task takes.
    pub(super) fn of(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Self {
        let description = fields
            .take("description")
            .and_then(|node| scalar::text(cx, node, "the task's description"));
        let enabled = fields
            .take("enabled")
            .and_then(|node| scalar::flag(cx, node, "`enabled`"));
        let conditions = fields
            .entry("conditions")
            .filter(|entry| !entry.value.says_nothing());
        if let Some(entry) = conditions {
            cx.add(
                Finding::warning(
                    "not-run",
                    entry.key.span,
                    "`conditions` of tasks are part of Bamboo's format, but this version does not evaluate them",
                )
                .note("the task fails with a message, rather than run when it should not"),
            );
        }
        Self {
            description: description.unwrap_or_default(),
            enabled,
            conditional: conditions.is_some(),
        }
    }

    /// The task that does `action`.
    pub(super) fn task(self, name: &str, action: TaskAction) -> Task {
        let action = match action {
            TaskAction::Unsupported { name } => TaskAction::Unsupported { name },
            _ if self.conditional => TaskAction::Unsupported {
                name: format!("{name} with conditions"),
            },
            action => action,
        };
        Task {
            description: self.description,
            enabled: self.enabled.unwrap_or(true),
            action,
        }
    }
}

fn task(cx: &mut Context<'_>, node: &Node) -> Option<Task> {
    let item = take_apart(cx, node)?;
    match item.name {
        "script" => script::script(cx, &item),
        "checkout" => checkout(cx, &item),
        "clean" => clean(cx, &item),
        name if NOT_RUN.contains(&name) => Some(not_run(cx, &item)),
        name => {
            let message = format!("there is no task `{}`", shown(name));
            let finding = Finding::error("unknown-task", item.span, message);
            let suggestion = nearest(name, RUN.into_iter().chain(NOT_RUN));
            cx.add(match suggestion {
                Some(_) => finding.suggestion(suggestion),
                None => finding.expected("`script`, `checkout`, `clean` or another task of Bamboo's format"),
            });
            None
        }
    }
}

fn checkout(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut checkout = CheckoutTask {
        repository: None,
        path: String::new(),
        force_clean_build: false,
    };
    let mut common = Common::default();
    if let Some(mut fields) = item.fields("a checkout") {
        common = Common::of(cx, &mut fields);
        checkout.repository = fields
            .take("repository")
            .and_then(|node| repository_name(cx, node));
        if let Some(node) = fields.take("path") {
            checkout.path = path::relative(cx, node, "the path of the checkout")?;
        }
        if let Some(node) = fields.take("force-clean-build") {
            checkout.force_clean_build = scalar::flag(cx, node, "`force-clean-build`").unwrap_or(false);
        }
        item.finish(cx, fields);
    }
    if let Some(node) = item
        .value
        .filter(|node| !node.is_null() && node.as_map().is_none())
    {
        checkout.repository = scalar::non_empty_text(cx, node, "the repository of the checkout");
    }
    Some(common.task("checkout", TaskAction::Checkout(checkout)))
}

/// A repository by name, or as `{name: ..., scope: ...}`.
fn repository_name(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let Some(map) = node.as_map() else {
        return scalar::non_empty_text(cx, node, "the repository of the checkout");
    };
    let mut fields = Fields::new(map, "a repository of a checkout");
    fields.entry("scope");
    let name = fields.take("name");
    fields.finish(cx);
    if name.is_none() {
        scalar::wrong_type(
            cx,
            node,
            "the repository of the checkout",
            "the name of a repository",
        );
    }
    scalar::non_empty_text(cx, name?, "the repository of the checkout")
}

fn clean(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut common = Common::default();
    if let Some(mut fields) = item.fields("a clean task") {
        common = Common::of(cx, &mut fields);
        item.finish(cx, fields);
    } else if let Some(node) = item.value.filter(|node| !node.is_null()) {
        scalar::wrong_type(cx, node, "the options of `clean`", "nothing, or a map");
        return None;
    }
    Some(common.task("clean", TaskAction::Clean))
}

fn not_run(cx: &mut Context<'_>, item: &Item<'_>) -> Task {
    let plugin = item
        .options
        .and_then(|map| map.get("plugin-key"))
        .and_then(|entry| entry.value.as_text())
        .filter(|_| item.name == "any-task");
    let name = plugin.unwrap_or(item.name);
    let message = format!(
        "the task `{}` is part of Bamboo's format, but this version does not run it",
        shown(name)
    );
    cx.add(
        Finding::warning("not-run", item.span, message)
            .note("the job fails with a message when it comes to this task"),
    );
    let mut common = Common::default();
    if let Some(map) = item.options {
        let text = |key| map.get(key).and_then(|entry| entry.value.as_text());
        common.description = text("description").unwrap_or_default().to_owned();
        common.enabled = text("enabled").and_then(crate::yaml::boolean);
    }
    common.task(
        name,
        TaskAction::Unsupported {
            name: name.to_owned(),
        },
    )
}
