//! Makes and removes groups, and puts users into them.

use madake_domain::permission::Permission;
use madake_store::{branch_permission, user};

use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError, clock};

/// A change of groups.
#[derive(Debug, Clone)]
pub enum GroupChange {
    /// Makes a group.
    Create,
    /// Removes it with its memberships and what was granted to it.
    Remove,
    /// Puts a user into it.
    Add(String),
    /// Takes a user out of it.
    TakeOut(String),
}

impl Engine {
    /// Changes a group.
    ///
    /// # Errors
    /// When the caller may not, or the group or user is not there.
    pub async fn change_group(
        &self,
        caller: &Caller,
        name: &str,
        change: GroupChange,
    ) -> Result<(), EngineError> {
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            return Err(EngineError::Invalid(
                "a group name has 1 to 64 printable characters".into(),
            ));
        }
        let (caller, name) = (caller.clone(), name.to_owned());
        self.store()
            .write(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                match change {
                    GroupChange::Create => user::insert_group(tx, &name, clock::now_ms()).map(|_| ()),
                    GroupChange::Remove => user::remove_group(tx, &name)
                        .and_then(|()| branch_permission::forget_group(tx, &name)),
                    GroupChange::Add(member) => user::add_member(tx, &name, &member),
                    GroupChange::TakeOut(member) => user::remove_member(tx, &name, &member),
                }?;
                Ok(())
            })
            .await
    }

    /// All groups with their members.
    ///
    /// # Errors
    /// When the caller may not see them.
    pub async fn list_groups(&self, caller: &Caller) -> Result<Vec<(String, Vec<String>)>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                Ok(user::groups(tx)?)
            })
            .await
    }
}
