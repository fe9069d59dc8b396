//! When plan branches are made and removed (bamboo-specs.md 8).

use madake_domain::plan::{
    BranchConfig, BranchCreation, BranchIntegration, BranchPolicy, IntegrationStrategy, MasterBranch,
};

use super::fields::Fields;
use super::{Context, scalar};
use crate::language::plan as language;
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Node, Value};

const CREATIONS: [&str; 3] = ["manually", "for-new-branch", "for-pull-request"];

/// The `branches` section.
pub(super) fn branches(cx: &mut Context<'_>, node: &Node) -> BranchPolicy {
    let mut policy = BranchPolicy::default();
    let Some(mut fields) = Fields::of(cx, node, &language::BRANCHES) else {
        return policy;
    };
    if let Some(create) = fields.take("create").and_then(|node| creation(cx, node)) {
        policy.create = create;
    }
    if let Some(node) = fields.take("delete") {
        deletion(cx, node, &mut policy);
    }
    policy.integration = fields.take("integration").and_then(|node| integration(cx, node));
    policy.link_to_jira = fields.flag(cx, "link-to-jira");
    fields.finish(cx);
    policy
}

/// How a branch is merged before it is built.
fn integration(cx: &mut Context<'_>, node: &Node) -> Option<BranchIntegration> {
    let mut fields = Fields::of(cx, node, &language::INTEGRATION)?;
    let from = fields.text(cx, "merge-from");
    let to = fields.text(cx, "merge-to");
    let push_on_success = fields.flag(cx, "push-on-success").unwrap_or(false);
    fields.finish(cx);
    let strategy = match (from, to) {
        (Some(from), None) => IntegrationStrategy::MergeFrom(from),
        (None, Some(to)) => IntegrationStrategy::MergeTo(to),
        (None, None) => {
            let message = "`integration` has neither `merge-from` nor `merge-to`";
            cx.add(Finding::error("missing-key", node.span, message));
            return None;
        }
        (Some(_), Some(_)) => {
            let message = "`integration` has either `merge-from` or `merge-to`";
            cx.add(Finding::error("exclusive-keys", node.span, message));
            return None;
        }
    };
    Some(BranchIntegration {
        strategy,
        push_on_success,
    })
}

/// The `branch-config` section.
pub(super) fn config(cx: &mut Context<'_>, node: &Node) -> BranchConfig {
    let mut config = BranchConfig::default();
    if let Some(mut fields) = Fields::of(cx, node, &language::BRANCH_CONFIG) {
        config.integration = fields.take("integration").and_then(|node| integration(cx, node));
        config.disable_expiry = fields.flag(cx, "disable-expiry");
        fields.finish(cx);
    }
    config
}

/// `master-branch` of a plan: a name, or a map.
pub(super) fn master(cx: &mut Context<'_>, node: &Node) -> Option<MasterBranch> {
    if node.as_map().is_none() {
        return scalar::non_empty_text(cx, node, "`master-branch`").map(|name| MasterBranch {
            name,
            display_name: None,
        });
    }
    let mut fields = Fields::of(cx, node, &language::MASTER_BRANCH)?;
    let name = fields.need_text(cx, "name");
    let display_name = fields.text(cx, "display-name");
    fields.finish(cx);
    Some(MasterBranch {
        name: name?,
        display_name,
    })
}

fn creation(cx: &mut Context<'_>, node: &Node) -> Option<BranchCreation> {
    let (name, options, span) = match &node.value {
        Value::Scalar(name) => (name.as_str(), None, node.span),
        Value::Map(map) if map.entries.len() == 1 => {
            let entry = &map.entries[0];
            let options = Some(&entry.value).filter(|value| !value.is_null());
            (entry.key.text.as_str(), options, entry.key.span)
        }
        Value::Broken => return None,
        _ => {
            scalar::wrong_type(cx, node, "`create`", &super::fields::any_of(&CREATIONS));
            return None;
        }
    };
    match name {
        "manually" => Some(BranchCreation::Manually),
        "for-new-branch" => Some(BranchCreation::ForNewBranch {
            pattern: match options {
                Some(node) => Some(scalar::pattern(cx, node, "the branch pattern")?),
                None => None,
            },
        }),
        "for-pull-request" => {
            let mut accept_fork = false;
            if let Some(node) = options {
                let mut fields = Fields::of(cx, node, &language::PULL_REQUESTS)?;
                accept_fork = fields.flag(cx, "accept-fork").unwrap_or(false);
                fields.finish(cx);
            }
            Some(BranchCreation::ForPullRequest { accept_fork })
        }
        _ => {
            let message = format!("branches cannot be created `{}`", shown(name));
            cx.add(
                Finding::error("unknown-value", span, message)
                    .expected(super::fields::any_of(&CREATIONS))
                    .suggestion(nearest(name, CREATIONS)),
            );
            None
        }
    }
}

fn deletion(cx: &mut Context<'_>, node: &Node, policy: &mut BranchPolicy) {
    if node.as_text() == Some("never") {
        policy.delete_after_deleted_days = None;
        policy.delete_after_inactive_days = None;
        return;
    }
    if node.as_map().is_none() {
        if !matches!(node.value, Value::Broken) {
            scalar::wrong_type(
                cx,
                node,
                "`delete`",
                "`never`, or a map with `after-deleted-days` and `after-inactive-days`",
            );
        }
        return;
    }
    let Some(mut fields) = Fields::of(cx, node, &language::BRANCH_DELETION) else {
        return;
    };
    if let Some(node) = fields.take("after-deleted-days") {
        policy.delete_after_deleted_days = days(cx, node, policy.delete_after_deleted_days);
    }
    if let Some(node) = fields.take("after-inactive-days") {
        policy.delete_after_inactive_days = days(cx, node, policy.delete_after_inactive_days);
    }
    fields.finish(cx);
}

fn days(cx: &mut Context<'_>, node: &Node, default: Option<u32>) -> Option<u32> {
    if node.as_text() == Some("never") {
        return None;
    }
    scalar::number(cx, node, "the number of days", 0).or(default)
}
