//! Plans that a plan starts.

use serde::{Deserialize, Serialize};

use crate::key::PlanKey;

/// Plans that a successful build of this one starts, its children (bamboo-specs.md 9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependencies {
    /// Whether children start only when manual stages have passed too.
    pub require_all_stages_passing: bool,
    /// Whether branches of this plan start branches of the children.
    pub enabled_for_branches: bool,
    /// When this plan waits for its parents.
    pub block_strategy: BlockStrategy,
    /// The children.
    pub plans: Vec<PlanKey>,
}

impl Default for Dependencies {
    /// None; what exports write when a plan has none.
    fn default() -> Self {
        Self {
            require_all_stages_passing: false,
            enabled_for_branches: true,
            block_strategy: BlockStrategy::None,
            plans: Vec::new(),
        }
    }
}

/// When a plan waits for its parents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockStrategy {
    /// Never.
    #[default]
    None,
    /// While a parent builds or waits to build.
    ParentInProgress,
    /// While a parent has changes that it has not built.
    UnbuiltChanges,
}
