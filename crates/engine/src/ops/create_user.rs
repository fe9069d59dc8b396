//! Adds a user, or gives one a new password.

use madake_domain::permission::Permission;
use madake_store::user::{self, NewUser, User};

use crate::access::{Caller, Target, require};
use crate::ops::create_token::is_own;
use crate::{Engine, EngineError, clock, password};

/// What a new user is made of.
#[derive(Debug, Clone)]
pub struct CreateUser {
    /// The name that logs in: letters, digits, `.`, `_`, `-`, `@`.
    pub name: String,
    /// The name that people read; empty: the name.
    pub full_name: String,
    /// The e-mail address; may be empty.
    pub email: String,
    /// The password; `None`: the user can come in by token only.
    pub password: Option<String>,
    /// May do everything.
    pub administrator: bool,
}

impl Engine {
    /// Adds a user.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a name or password that will not do, [`EngineError::Exists`] for a name that
    /// is taken.
    pub async fn create_user(&self, caller: &Caller, new: CreateUser) -> Result<User, EngineError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        if new.name.is_empty()
            || new.name.len() > 64
            || !new.name.chars().all(plain)
            || new.name.starts_with('-')
        {
            return Err(EngineError::Invalid(
                "a user name has 1 to 64 letters, digits, or `.`, `_`, `-`, `@`, and does not start with `-`"
                    .into(),
            ));
        }
        if matches!(new.name.to_lowercase().as_str(), "anonymous" | "local") {
            return Err(EngineError::Invalid(format!(
                "`{}` stands for somebody else; choose another name",
                new.name
            )));
        }
        if new.full_name.len() > 255 || new.email.len() > 255 || new.full_name.chars().any(char::is_control) {
            return Err(EngineError::Invalid(
                "a full name and an e-mail address have at most 255 bytes".into(),
            ));
        }
        let password_hash = match new.password.clone() {
            Some(secret) => Some(hash_elsewhere(secret).await?),
            None => None,
        };
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                let full_name = if new.full_name.is_empty() {
                    new.name.clone()
                } else {
                    new.full_name
                };
                let row = NewUser {
                    name: new.name.clone(),
                    full_name,
                    email: new.email,
                    password_hash,
                    administrator: new.administrator,
                };
                let id = user::insert(tx, &row, clock::now_ms())?;
                user::by_id(tx, id)?.ok_or_else(|| EngineError::Internal("the new user is gone".into()))
            })
            .await
    }

    /// Gives a user a new password. Users may change their own.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when there is no such user.
    pub async fn set_password(&self, caller: &Caller, name: &str, secret: String) -> Result<(), EngineError> {
        let hash = hash_elsewhere(secret).await?;
        let (caller, name) = (caller.clone(), name.to_owned());
        self.store()
            .write(move |tx| {
                if !is_own(&caller, &name)? {
                    require(tx, &caller, Permission::Administration, Target::Global)?;
                }
                let user = user::by_name(tx, &name)?
                    .ok_or_else(|| EngineError::NotFound(format!("a user named {name} does not exist")))?;
                Ok(user::set_password(tx, user.id, &hash)?)
            })
            .await
    }

    /// All users, for administrators.
    ///
    /// # Errors
    /// When the caller may not see them.
    pub async fn list_users(&self, caller: &Caller) -> Result<Vec<User>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                Ok(user::all(tx)?)
            })
            .await
    }
}

/// Hashing takes tens of milliseconds of a processor and must not hold others up.
async fn hash_elsewhere(secret: String) -> Result<String, EngineError> {
    tokio::task::spawn_blocking(move || password::hash(&secret))
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))?
}
