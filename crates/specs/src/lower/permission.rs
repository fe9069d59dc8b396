//! Plan permissions (bamboo-specs.md 12).

use madake_domain::key::PlanKey;
use madake_domain::plan::{PermissionEntry, PlanPermissions};

use super::fields::Fields;
use super::{Context, plan, scalar};
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Entry, Map, Node, Value};

const NAMES: [&str; 7] = [
    "view",
    "edit",
    "build",
    "clone",
    "admin",
    "view-configuration",
    "create-plan-branch",
];

/// A plan permissions document.
pub(super) fn document(cx: &mut Context<'_>, map: &Map, root: &Node) -> Option<PlanPermissions> {
    plan::version(cx, map);
    let mut fields = Fields::new(map, "a plan permissions document");
    fields.entry("version");
    fields.entry("server-name");
    let plan = fields.take("plan");
    let entry = fields.entry("plan-permissions");
    fields.finish(cx);
    let entries = entry.map(|entry| entries(cx, &entry.value));
    let Some(plan) = plan else {
        let shape = "`plan: {key: PROJ-PLAN}`";
        cx.add(Finding::error("missing-key", root.span, "the permissions name no plan").expected(shape));
        return None;
    };
    Some(PlanPermissions {
        plan: plan_key(cx, plan)?,
        entries: entries?,
    })
}

/// Permissions inside a plan document, which stand for that plan.
pub(super) fn beside_plan(cx: &mut Context<'_>, map: &Map, entry: &Entry) -> Option<PlanPermissions> {
    let entries = entries(cx, &entry.value);
    let plan = map.get("plan")?.value.as_map()?;
    let project = plan.get("project-key")?.value.as_text()?.parse().ok()?;
    let short = plan.get("key")?.value.as_text()?;
    Some(PlanPermissions {
        plan: PlanKey::new(&project, short).ok()?,
        entries,
    })
}

/// `PROJ-PLAN` or `{key: PROJ-PLAN}`.
fn plan_key(cx: &mut Context<'_>, node: &Node) -> Option<PlanKey> {
    let node = match &node.value {
        Value::Map(map) => {
            let mut fields = Fields::new(map, "the plan of a permissions document");
            let key = fields.take("key");
            fields.finish(cx);
            if key.is_none() {
                cx.add(
                    Finding::error("missing-key", node.span, "the plan has no `key`")
                        .expected("`key: PROJ-PLAN`"),
                );
            }
            key?
        }
        _ => node,
    };
    let text = scalar::non_empty_text(cx, node, "the plan's key")?;
    match text.parse() {
        Ok(key) => Some(key),
        Err(error) => {
            cx.add(
                Finding::error("bad-key", node.span, format!("{error}"))
                    .expected("project and plan, `PROJ-PLAN`"),
            );
            None
        }
    }
}

fn entries(cx: &mut Context<'_>, node: &Node) -> Vec<PermissionEntry> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| entry(cx, item)).collect(),
        Value::Null | Value::Broken => Vec::new(),
        _ => {
            scalar::wrong_type(cx, node, "`plan-permissions`", "a list");
            Vec::new()
        }
    }
}

fn entry(cx: &mut Context<'_>, node: &Node) -> Option<PermissionEntry> {
    let mut fields = Fields::of(cx, node, "a permissions entry")?;
    let mut entry = PermissionEntry::default();
    if let Some(node) = fields.take("users") {
        entry.users = scalar::texts(cx, node, "`users`");
    }
    if let Some(node) = fields.take("groups") {
        entry.groups = scalar::texts(cx, node, "`groups`");
    }
    let roles_node = fields.take("roles");
    if let Some(node) = roles_node {
        roles(cx, node, &mut entry);
    }
    match fields.take("permissions") {
        Some(node) => {
            for text in scalar::texts(cx, node, "`permissions`") {
                match text.parse() {
                    Ok(permission) => entry.permissions.push(permission),
                    Err(_) => {
                        let message = format!("there is no permission `{}`", shown(&text));
                        cx.add(
                            Finding::error("unknown-permission", node.span, message)
                                .expected(super::fields::any_of(&NAMES))
                                .suggestion(nearest(&text, NAMES)),
                        );
                    }
                }
            }
        }
        None => cx.add(Finding::warning(
            "empty",
            node.span,
            "the entry gives no permissions",
        )),
    }
    fields.finish(cx);
    if entry.users.is_empty() && entry.groups.is_empty() && roles_node.is_none() {
        cx.add(Finding::warning(
            "empty",
            node.span,
            "the entry gives its permissions to nobody",
        ));
    }
    Some(entry)
}

fn roles(cx: &mut Context<'_>, node: &Node, entry: &mut PermissionEntry) {
    for role in scalar::texts(cx, node, "`roles`") {
        match role.as_str() {
            "logged-in" => entry.logged_in = true,
            "anonymous" => entry.anonymous = true,
            _ => {
                let message = format!("there is no role `{}`", shown(&role));
                cx.add(
                    Finding::error("unknown-role", node.span, message)
                        .expected("`logged-in` or `anonymous`")
                        .suggestion(nearest(&role, ["logged-in", "anonymous"])),
                );
            }
        }
    }
}
