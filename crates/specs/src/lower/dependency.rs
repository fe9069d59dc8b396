//! Plans that a plan starts (bamboo-specs.md 9).

use madake_domain::key::PlanKey;
use madake_domain::plan::{BlockStrategy, Dependencies};

use super::fields::Fields;
use super::{Context, scalar};
use crate::language::plan as language;
use crate::mention::MentionKind;
use crate::report::Reference;
use crate::yaml::{Node, Value};

/// The `dependencies` section of the plan with this key.
pub(super) fn dependencies(cx: &mut Context<'_>, node: &Node, parent: Option<&PlanKey>) -> Dependencies {
    let mut dependencies = Dependencies::default();
    let Some(mut fields) = Fields::of(cx, node, &language::DEPENDENCIES) else {
        return dependencies;
    };
    if let Some(node) = fields.take("plans") {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        dependencies.plans = items
            .iter()
            .filter_map(|item| {
                let key = scalar::plan_key(cx, item)?;
                cx.report.mention(MentionKind::Child(key.to_string()), item.span);
                if let Some(parent) = parent {
                    let (parent, child) = (parent.clone(), key.clone());
                    cx.report.refer(Reference::Child { parent, child }, item.span);
                }
                Some(key)
            })
            .collect();
    }
    if let Some(flag) = fields.flag(cx, "require-all-stages-passing") {
        dependencies.require_all_stages_passing = flag;
    }
    if let Some(flag) = fields.flag(cx, "enabled-for-branches") {
        dependencies.enabled_for_branches = flag;
    }
    if let Some(node) = fields.take("block-strategy") {
        dependencies.block_strategy = strategy(cx, node).unwrap_or_default();
    }
    fields.finish(cx);
    dependencies
}

fn strategy(cx: &mut Context<'_>, node: &Node) -> Option<BlockStrategy> {
    let text = scalar::text(cx, node, "`block-strategy`")?;
    let folded = text.trim().to_ascii_lowercase().replace('-', "_");
    match folded.as_str() {
        "none" => Some(BlockStrategy::None),
        "block_if_parent_in_progress" => Some(BlockStrategy::ParentInProgress),
        "block_if_parent_has_changes" | "block_if_unbuilt_changes" => Some(BlockStrategy::UnbuiltChanges),
        _ => {
            scalar::unknown_word(cx, node, "way to wait", &text, &language::BLOCK_STRATEGIES);
            None
        }
    }
}
