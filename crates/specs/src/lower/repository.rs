//! Repositories of a plan and what counts as a change in them (bamboo-specs.md 6).

use madake_domain::plan::{ChangeDetection, FileFilter, PlanRepository, RepositorySource};

use super::fields::Fields;
use super::{Context, scalar, task};
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Entry, Map, Node, Value};

const TYPES: [&str; 4] = ["git", "github", "bitbucket", "bitbucket-server"];

/// Keys that say who we are to the repository. What a plan file says is not used for that.
const CREDENTIALS: [&str; 9] = [
    "ssh-key",
    "ssh-key-passphrase",
    "username",
    "user",
    "password",
    "shared-credentials",
    "public-key",
    "private-key",
    "app-id",
];

/// Options that are understood but not acted on.
const NOT_RUN: [&str; 13] = [
    "command-timeout-minutes",
    "lfs",
    "verbose-logs",
    "use-shallow-clones",
    "cache-on-agents",
    "submodules",
    "submodules-use-shallow-clones",
    "ssh-key-applies-to-submodules",
    "fetch-all",
    "viewer",
    "webhook-enabled",
    "branch-config",
    "branch-detection-config",
];

/// The `repositories` section; `None` when it is there without a value, which is as if it were not there.
pub(super) fn repositories(cx: &mut Context<'_>, node: &Node) -> Option<Vec<PlanRepository>> {
    let items = match &node.value {
        Value::List(items) => items,
        Value::Null | Value::Broken => return None,
        _ => {
            scalar::wrong_type(cx, node, "`repositories`", "a list");
            return None;
        }
    };
    let mut repositories: Vec<PlanRepository> = Vec::new();
    for item in items {
        let Some(repository) = repository(cx, item) else {
            continue;
        };
        if repositories.iter().any(|other| other.name == repository.name) {
            let message = format!("there are two repositories `{}`", shown(&repository.name));
            cx.add(Finding::error("duplicate-repository", item.span, message));
        }
        repositories.push(repository);
    }
    Some(repositories)
}

fn repository(cx: &mut Context<'_>, item: &Node) -> Option<PlanRepository> {
    let named = |name: &str| PlanRepository {
        name: name.to_owned(),
        source: RepositorySource::Named,
        branch: None,
        change_detection: ChangeDetection::default(),
    };
    let map = match &item.value {
        Value::Scalar(_) => {
            return scalar::non_empty_text(cx, item, "the name of a repository").map(|name| named(&name));
        }
        Value::Map(map) if !map.entries.is_empty() => map,
        Value::Broken => return None,
        _ => {
            scalar::wrong_type(cx, item, "a repository", "`- name` or `- name: {type: git, ...}`");
            return None;
        }
    };
    let entry = &map.entries[0];
    let mut repository = named(&entry.key.text);
    if let Some(sibling) = map.entries.get(1) {
        if !entry.value.is_null() {
            let message = "a repository is a list item of its own";
            cx.add(
                Finding::error("repository-shape", sibling.key.span, message)
                    .expected("`- name: {type: git, ...}`"),
            );
            return None;
        }
        task::indentation(cx, sibling.key.span, &entry.key.text);
        options(cx, map, Some(entry), entry, &mut repository)?;
    } else if !entry.value.is_null() {
        if entry.value.as_map().is_none() {
            if !matches!(entry.value.value, Value::Broken) {
                scalar::wrong_type(cx, &entry.value, "the options of a repository", "a map");
            }
            return None;
        }
        options(cx, entry.value.as_map()?, None, entry, &mut repository)?;
    }
    Some(repository)
}

fn options(
    cx: &mut Context<'_>,
    map: &Map,
    name: Option<&Entry>,
    named_at: &Entry,
    repository: &mut PlanRepository,
) -> Option<()> {
    let mut fields = Fields::new(map, "a repository");
    if let Some(node) = fields.take("scope") {
        let scope = scalar::text(cx, node, "`scope`")?;
        if scope != "global" && scope != "project" {
            let message = format!("there is no scope `{}`", shown(&scope));
            cx.add(
                Finding::error("unknown-value", node.span, message)
                    .expected("`global` or `project`")
                    .suggestion(nearest(&scope, ["global", "project"])),
            );
        }
    }
    if let Some(node) = fields.take("branch") {
        repository.branch = scalar::non_empty_text(cx, node, "the branch");
    }
    if let Some(node) = fields.take("change-detection") {
        repository.change_detection = change_detection(cx, node);
    }
    let address = match fields.take("type") {
        Some(node) => address(cx, &mut fields, node, named_at),
        None => None,
    };
    if let Some(address) = address {
        repository.source = RepositorySource::Url(address);
    }
    if let Some(entry) = fields.entry("plugin-key") {
        cx.add(
            Finding::warning(
                "not-run",
                entry.key.span,
                "repositories of plugins are part of Bamboo's format, but this version does not read them",
            )
            .note("the server has to know a repository of this name"),
        );
        fields.entry("server-config");
    }
    for key in CREDENTIALS {
        if let Some(entry) = fields.entry(key) {
            let message = format!("`{key}` in a plan file is not used by this version");
            cx.add(
                Finding::warning("not-run", entry.key.span, message)
                    .note("link the repository on the server, with its credentials, and name it here"),
            );
        }
    }
    fields.not_run(cx, &NOT_RUN);
    fields.finish_except(cx, name);
    Some(())
}

/// The address that a repository's type and its options come to.
fn address(cx: &mut Context<'_>, fields: &mut Fields<'_>, kind: &Node, named_at: &Entry) -> Option<String> {
    let name = scalar::text(cx, kind, "the type of a repository")?;
    let mut required = |cx: &mut Context<'_>, key: &'static str| {
        let node = fields.take(key);
        if node.is_none() {
            let message = format!("the repository `{}` has no `{key}`", shown(&named_at.key.text));
            cx.add(Finding::error("missing-key", named_at.key.span, message));
        }
        let node = node?;
        let text = scalar::non_empty_text(cx, node, &format!("`{key}`"))?;
        if is_address(&text) {
            return Some(text);
        }
        let message = format!("`{}` is not the address of a repository", shown(&text));
        cx.add(Finding::error("bad-address", node.span, message));
        None
    };
    match name.as_str() {
        "git" => required(cx, "url"),
        "github" => {
            let slug = required(cx, "repository")?;
            let base = fields
                .take("base-url")
                .and_then(|node| scalar::non_empty_text(cx, node, "`base-url`"))
                .filter(|base| is_address(base));
            let base = base.as_deref().unwrap_or("https://github.com");
            Some(format!("{}/{slug}.git", base.trim_end_matches('/')))
        }
        "bitbucket" => required(cx, "slug").map(|slug| format!("https://bitbucket.org/{slug}.git")),
        "bitbucket-server" => {
            let address = required(cx, "clone-url");
            for key in ["server", "project", "slug"] {
                fields.entry(key);
            }
            address
        }
        _ => {
            let message = format!("there is no repository type `{}`", shown(&name));
            cx.add(
                Finding::error("unknown-value", kind.span, message)
                    .expected(super::fields::any_of(&TYPES))
                    .suggestion(nearest(&name, TYPES)),
            );
            None
        }
    }
}

/// Refuses what a version control program would take for an option or for a command to run.
fn is_address(text: &str) -> bool {
    !text.starts_with('-')
        && !text.contains("::")
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn change_detection(cx: &mut Context<'_>, node: &Node) -> ChangeDetection {
    let mut detection = ChangeDetection::default();
    let Some(mut fields) = Fields::of(cx, node, "`change-detection`") else {
        return detection;
    };
    if let Some(node) = fields.take("exclude-changeset-pattern") {
        detection.exclude_changeset_pattern = scalar::pattern(cx, node, "`exclude-changeset-pattern`");
    }
    let kind = fields.take("file-filter-type");
    let pattern = fields.entry("file-filter-pattern");
    match (kind, pattern) {
        (None, None) => {}
        (Some(kind), Some(entry)) => detection.file_filter = file_filter(cx, kind, &entry.value),
        (Some(kind), None) => {
            if kind.as_text() != Some("none") {
                let message = "`file-filter-type` has no `file-filter-pattern` beside it";
                cx.add(Finding::error("missing-key", kind.span, message));
            }
        }
        (None, Some(entry)) => {
            let message = "`file-filter-pattern` has no `file-filter-type` beside it";
            cx.add(
                Finding::error("missing-key", entry.key.span, message)
                    .expected("`include_only` or `exclude_all`"),
            );
        }
    }
    fields.not_run(cx, &["quiet-period", "commit-isolation"]);
    fields.finish(cx);
    detection
}

fn file_filter(cx: &mut Context<'_>, kind: &Node, pattern: &Node) -> Option<FileFilter> {
    let pattern = scalar::pattern(cx, pattern, "`file-filter-pattern`");
    let name = scalar::text(cx, kind, "`file-filter-type`")?;
    let folded = name.trim().to_ascii_lowercase().replace('-', "_");
    let make: fn(String) -> FileFilter = match folded.as_str() {
        "include_only" => FileFilter::IncludeOnly,
        "exclude_all" | "exclude" => FileFilter::ExcludeAll,
        "none" => return None,
        _ => {
            let message = format!("there is no file filter `{}`", shown(&name));
            cx.add(
                Finding::error("unknown-value", kind.span, message)
                    .expected("`include_only` or `exclude_all`")
                    .suggestion(nearest(&name, ["include_only", "exclude_all"])),
            );
            return None;
        }
    };
    pattern.map(make)
}
