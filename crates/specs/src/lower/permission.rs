//! Permissions of plans, deployment projects and environments (bamboo-specs.md 12, 14).

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_domain::plan::{
    DeploymentGrant, DeploymentPermission, DeploymentPermissions, EnvironmentGrant, EnvironmentPermission,
    PermissionEntry, PlanPermissions,
};

use super::fields::Fields;
use super::{Context, plan, scalar};
use crate::language::Section;
use crate::language::permission as language;
use crate::mention::MentionKind;
use crate::report::{Finding, Reference, nearest, shown};
use crate::yaml::{Entry, Map, Node, Value};

/// A plan permissions document.
pub(super) fn document(cx: &mut Context<'_>, map: &Map, root: &Node) -> Option<PlanPermissions> {
    plan::version(cx, map);
    let mut fields = Fields::new(cx, map, &language::PLAN_DOCUMENT, root.span);
    fields.entry("version");
    fields.entry("server-name");
    let plan = fields.take("plan");
    let entry = fields.entry("plan-permissions");
    fields.finish(cx);
    if let Some(entry) = entry {
        cx.report.mention(MentionKind::Permissions, entry.key.span);
    }
    let entries = entry.map(|entry| plan_entries(cx, &entry.value));
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
pub(super) fn beside_plan(
    cx: &mut Context<'_>,
    plan: Option<&PlanKey>,
    entry: &Entry,
) -> Option<PlanPermissions> {
    cx.report.mention(MentionKind::Permissions, entry.key.span);
    let entries = plan_entries(cx, &entry.value);
    Some(PlanPermissions {
        plan: plan?.clone(),
        entries,
    })
}

/// `PROJ-PLAN` or `{key: PROJ-PLAN}`.
fn plan_key(cx: &mut Context<'_>, node: &Node) -> Option<PlanKey> {
    let node = match &node.value {
        Value::Map(_) => {
            let mut fields = Fields::of(cx, node, &language::PLAN)?;
            let key = fields.need(cx, "key");
            fields.finish(cx);
            key?
        }
        _ => node,
    };
    scalar::plan_key(cx, node)
}

/// A deployment permissions document.
pub(super) fn deployment_document(
    cx: &mut Context<'_>,
    map: &Map,
    root: &Node,
) -> Option<DeploymentPermissions> {
    plan::version(cx, map);
    let mut fields = Fields::new(cx, map, &language::DEPLOYMENT_DOCUMENT, root.span);
    fields.entry("version");
    fields.entry("server-name");
    let named = map.get("deployment").map_or(root.span, |entry| entry.key.span);
    cx.report.mention(MentionKind::Permissions, named);
    let deployment = fields.need(cx, "deployment").and_then(|node| match &node.value {
        Value::Map(_) => {
            let mut fields = Fields::of(cx, node, &language::DEPLOYMENT)?;
            let name = fields.need_text(cx, "name");
            fields.finish(cx);
            name
        }
        _ => scalar::non_empty_text(cx, node, "the name of the deployment project"),
    });
    let project = fields.take("deployment-permissions").map(|node| {
        grants(cx, node, &language::DEPLOYMENT_GRANT, deployment_permission()).collect_as(deployment_grant)
    });
    let default_environment = fields.take("default-environment-permissions").map(|node| {
        grants(cx, node, &language::ENVIRONMENT_GRANT, environment_permission()).collect_as(environment_grant)
    });
    let mut environments = Vec::new();
    if let Some(node) = fields.take("environment-permissions") {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for item in items {
            let Some(map) = item.as_map() else {
                scalar::wrong_type(cx, item, "an environment's permissions", "`- Environment: [...]`");
                continue;
            };
            for entry in &map.entries {
                let granted = grants(
                    cx,
                    &entry.value,
                    &language::ENVIRONMENT_GRANT,
                    environment_permission(),
                );
                if let Some(deployment) = deployment.clone() {
                    let name = entry.key.text.clone();
                    let reference = Reference::Environment { deployment, name };
                    cx.report.refer(reference, entry.key.span);
                }
                environments.push((entry.key.text.clone(), granted.collect_as(environment_grant)));
            }
        }
    }
    fields.finish(cx);
    Some(DeploymentPermissions {
        deployment: deployment?,
        project,
        default_environment,
        environments,
    })
}

/// Who gets what, whatever it is about.
struct Grant<P> {
    users: Vec<String>,
    groups: Vec<String>,
    logged_in: bool,
    anonymous: bool,
    permissions: Vec<P>,
}

struct Grants<P>(Vec<Grant<P>>);

impl<P> Grants<P> {
    fn collect_as<G>(self, make: fn(Grant<P>) -> G) -> Vec<G> {
        self.0.into_iter().map(make).collect()
    }
}

/// What turns the name of a permission into one, and the names that there are.
type Named<P> = (fn(&str) -> Option<P>, &'static [&'static str]);

fn plan_entries(cx: &mut Context<'_>, node: &Node) -> Vec<PermissionEntry> {
    let named: Named<Permission> = (|text| text.parse().ok(), &language::PLAN_PERMISSIONS);
    grants(cx, node, &language::PLAN_GRANT, named).collect_as(|grant| PermissionEntry {
        users: grant.users,
        groups: grant.groups,
        logged_in: grant.logged_in,
        anonymous: grant.anonymous,
        permissions: grant.permissions,
    })
}

fn deployment_grant(grant: Grant<DeploymentPermission>) -> DeploymentGrant {
    DeploymentGrant {
        users: grant.users,
        groups: grant.groups,
        logged_in: grant.logged_in,
        anonymous: grant.anonymous,
        permissions: grant.permissions,
    }
}

fn environment_grant(grant: Grant<EnvironmentPermission>) -> EnvironmentGrant {
    EnvironmentGrant {
        users: grant.users,
        groups: grant.groups,
        logged_in: grant.logged_in,
        anonymous: grant.anonymous,
        permissions: grant.permissions,
    }
}

/// Letters only, in lower case: `view-configuration` is written in three ways.
fn folded(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

const fn deployment_permission() -> Named<DeploymentPermission> {
    (deployment_permission_named, &language::DEPLOYMENT_PERMISSIONS)
}

fn deployment_permission_named(text: &str) -> Option<DeploymentPermission> {
    Some(match folded(text).as_str() {
        "view" | "read" => DeploymentPermission::View,
        "viewconfiguration" => DeploymentPermission::ViewConfiguration,
        "edit" | "write" => DeploymentPermission::Edit,
        "clone" => DeploymentPermission::Clone,
        "admin" | "administration" => DeploymentPermission::Admin,
        "approverelease" => DeploymentPermission::ApproveRelease,
        "createrelease" => DeploymentPermission::CreateRelease,
        _ => return None,
    })
}

const fn environment_permission() -> Named<EnvironmentPermission> {
    (environment_permission_named, &language::ENVIRONMENT_PERMISSIONS)
}

fn environment_permission_named(text: &str) -> Option<EnvironmentPermission> {
    Some(match folded(text).as_str() {
        "view" | "read" => EnvironmentPermission::View,
        "viewconfiguration" => EnvironmentPermission::ViewConfiguration,
        "edit" | "write" => EnvironmentPermission::Edit,
        "deploy" | "build" => EnvironmentPermission::Deploy,
        _ => return None,
    })
}

fn grants<P>(cx: &mut Context<'_>, node: &Node, section: &'static Section, named: Named<P>) -> Grants<P> {
    Grants(match &node.value {
        Value::List(items) => items
            .iter()
            .filter_map(|item| grant(cx, item, section, named))
            .collect(),
        Value::Null | Value::Broken => Vec::new(),
        _ => {
            scalar::wrong_type(cx, node, "permissions", "a list");
            Vec::new()
        }
    })
}

fn grant<P>(
    cx: &mut Context<'_>,
    node: &Node,
    section: &'static Section,
    named: Named<P>,
) -> Option<Grant<P>> {
    let (parse, names) = named;
    let mut fields = Fields::of(cx, node, section)?;
    let mut grant = Grant {
        users: people(cx, &mut fields, "users", MentionKind::User),
        groups: people(cx, &mut fields, "groups", MentionKind::Group),
        logged_in: false,
        anonymous: false,
        permissions: Vec::new(),
    };
    let roles_node = fields.take("roles");
    if let Some(node) = roles_node {
        roles(cx, node, &mut grant);
    }
    match fields.take("permissions") {
        Some(node) => {
            for (text, node) in scalar::placed_texts(cx, node, "`permissions`") {
                match parse(&text) {
                    Some(permission) => {
                        if grant.anonymous && !is_view(&text) {
                            refused_to_anonymous(cx, &text, node);
                        }
                        grant.permissions.push(permission);
                    }
                    None => {
                        let message = format!("there is no permission `{}`", shown(&text));
                        cx.add(
                            Finding::error("unknown-permission", node.span, message)
                                .expected(super::fields::any_of(names))
                                .suggestion(nearest(&text, names.iter().copied())),
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
    if grant.users.is_empty() && grant.groups.is_empty() && roles_node.is_none() {
        cx.add(Finding::warning(
            "empty",
            node.span,
            "the entry gives its permissions to nobody",
        ));
    }
    Some(grant)
}

/// Users or groups by name. Whether they are there is for the server to say.
fn people(
    cx: &mut Context<'_>,
    fields: &mut Fields<'_>,
    key: &'static str,
    kind: fn(String) -> MentionKind,
) -> Vec<String> {
    let Some(node) = fields.take(key) else {
        return Vec::new();
    };
    let placed = scalar::placed_texts(cx, node, &format!("`{key}`"));
    placed
        .into_iter()
        .map(|(name, node)| {
            cx.report.mention(kind(name.clone()), node.span);
            name
        })
        .collect()
}

/// Whether a permission is to look and no more, which is all that callers whom nobody knows can hold.
fn is_view(text: &str) -> bool {
    matches!(folded(text).as_str(), "view" | "read")
}

fn refused_to_anonymous(cx: &mut Context<'_>, text: &str, node: &Node) {
    let message = format!(
        "`anonymous` can hold `view` only: `{}` is not granted to it",
        shown(text)
    );
    cx.add(
        Finding::warning("anonymous-permission", node.span, message)
            .note("the role `logged-in` gives it to everyone who is logged in"),
    );
}

fn roles<P>(cx: &mut Context<'_>, node: &Node, grant: &mut Grant<P>) {
    for (role, node) in scalar::placed_texts(cx, node, "`roles`") {
        match role.as_str() {
            "logged-in" => grant.logged_in = true,
            "anonymous" => grant.anonymous = true,
            _ => {
                let message = format!("there is no role `{}`", shown(&role));
                cx.add(
                    Finding::error("unknown-role", node.span, message)
                        .expected("`logged-in` or `anonymous`")
                        .suggestion(nearest(&role, language::ROLE_NAMES)),
                );
            }
        }
    }
}
