//! Comments on results: `POST /result/{r}/comment` and its kin (bamboo-rest.md 5.5).

use madake_domain::key::ResultKey;
use madake_domain::permission::Permission;
use madake_store::Tx;
use madake_store::build::{self, Build};
use madake_store::comment::{self, Comment};
use madake_store::plan::Plan;

use crate::access::{Caller, Target, plan_for, require};
use crate::{Engine, EngineError, clock, notifying};

/// The longest comment, in bytes.
pub const LONGEST_COMMENT: usize = 32 * 1024;

impl Engine {
    /// Adds a comment of the caller, who must be somebody.
    ///
    /// # Errors
    /// When the result is not there, the caller may not see it or is nobody, or the text is empty or too long.
    pub async fn add_comment(
        &self,
        caller: &Caller,
        key: &ResultKey,
        content: &str,
    ) -> Result<i64, EngineError> {
        let content = content.trim();
        if content.is_empty() || content.len() > LONGEST_COMMENT {
            return Err(EngineError::Invalid(format!(
                "write a comment of 1 to {LONGEST_COMMENT} bytes"
            )));
        }
        let (caller, key, content) = (caller.clone(), key.clone(), content.to_owned());
        self.store()
            .write(move |tx| {
                let (_, found) = found(tx, &caller, &key)?;
                if !caller.principal.is_logged_in() {
                    return Err(EngineError::Unauthenticated {
                        needed: Permission::Read,
                        subject: format!("comments on {key}"),
                    });
                }
                let now = clock::now_ms();
                let id = comment::insert(tx, found.id, caller.name(), &content, now)?;
                notifying::commented(tx, found.id, caller.name(), &content, now)?;
                Ok(id)
            })
            .await
    }

    /// The comments on a result, oldest first.
    ///
    /// # Errors
    /// When the result is not there, or the caller may not see it.
    pub async fn comments(&self, caller: &Caller, key: &ResultKey) -> Result<Vec<Comment>, EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .read(move |tx| {
                let (_, found) = found(tx, &caller, &key)?;
                Ok(comment::of_build(tx, found.id)?)
            })
            .await
    }

    /// Removes a comment: one's own, or any for who administers the plan.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn remove_comment(&self, caller: &Caller, key: &ResultKey, id: i64) -> Result<(), EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .write(move |tx| {
                let (plan, found) = found(tx, &caller, &key)?;
                let comments = comment::of_build(tx, found.id)?;
                let one = comments
                    .iter()
                    .find(|one| one.id == id)
                    .ok_or_else(|| EngineError::NotFound(format!("there is no comment {id} on {key}")))?;
                let own = caller.principal.is_logged_in() && one.author == caller.name();
                if !own {
                    require(tx, &caller, Permission::Administration, Target::Plan(&plan.key))?;
                }
                Ok(comment::remove(tx, id)?)
            })
            .await
    }
}

fn found(tx: &Tx<'_>, caller: &Caller, key: &ResultKey) -> Result<(Plan, Build), EngineError> {
    let (plan, branch) = plan_for(tx, caller, &key.plan, Permission::Read)?;
    let found = build::by_number(tx, branch.id, key.number)?
        .ok_or_else(|| EngineError::NotFound(format!("Result {} for {} not found.", key.number, key.plan)))?;
    Ok((plan, found))
}
