//! What a caller watches, and what people said of results.

use std::rc::Rc;

use madake_domain::permission::Principal;
use madake_engine::EngineError;
use madake_store::plan::{self, Plan};
use madake_store::{comment, watcher};

use super::super::super::view::CommentView;
use super::Loader;

impl Loader<'_, '_> {
    /// Whether the caller watches a plan branch.
    pub(in super::super) fn is_favourite(&self, plan_branch_id: i64) -> Result<bool, EngineError> {
        match &self.caller.principal {
            Principal::User(user) => Ok(watcher::is_watched(self.tx, plan_branch_id, user.id)?),
            _ => Ok(false),
        }
    }

    /// The plans that the caller watches.
    pub(in super::super) fn keep_favourites(
        &self,
        plans: Vec<Rc<Plan>>,
    ) -> Result<Vec<Rc<Plan>>, EngineError> {
        let mut kept = Vec::new();
        for one in plans {
            if self.is_favourite(plan::master(self.tx, one.id)?.id)? {
                kept.push(one);
            }
        }
        Ok(kept)
    }

    /// The comments on a build, oldest first.
    pub(in super::super) fn comments(&self, build_id: i64) -> Result<Vec<CommentView>, EngineError> {
        let view = |one: comment::Comment| CommentView {
            id: one.id,
            author: one.author,
            content: one.content,
            created_ms: one.created_ms,
            modified_ms: one.created_ms,
        };
        let found = comment::of_build(self.tx, build_id)?;
        Ok(found.into_iter().map(view).collect())
    }
}
