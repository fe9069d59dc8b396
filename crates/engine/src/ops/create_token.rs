//! Makes, lists and revokes access tokens.

use madake_domain::permission::{Permission, Principal, TokenLimit};
use madake_store::user::{self, Token};

use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError, clock, password};

/// What a new token is made of.
#[derive(Debug, Clone)]
pub struct CreateToken {
    /// The owner.
    pub user: String,
    /// What the owner calls it.
    pub name: String,
    /// What it allows; empty: all that the owner may.
    pub permissions: Vec<Permission>,
    /// The project that it is for.
    pub project: Option<String>,
    /// Days until it expires; `None`: never.
    pub days_until_expiry: Option<u32>,
}

impl Engine {
    /// Makes a token and gives it away, the only time that it can be seen. Users make their own, administrators
    /// anybody's.
    ///
    /// # Errors
    /// When the caller may not, or there is no such user.
    pub async fn create_token(
        &self,
        caller: &Caller,
        new: CreateToken,
    ) -> Result<(i64, String), EngineError> {
        if new.name.is_empty() || new.name.len() > 255 || new.name.chars().any(char::is_control) {
            return Err(EngineError::Invalid(
                "a token's name has 1 to 255 printable characters".into(),
            ));
        }
        let raw = password::random_token("mdk_")?;
        let (caller, stored) = (caller.clone(), raw.clone());
        let id = self
            .store()
            .write(move |tx| {
                if !is_own(&caller, &new.user)? {
                    require(tx, &caller, Permission::Administration, Target::Global)?;
                }
                let permissions = if new.permissions.is_empty() {
                    vec![
                        Permission::Administration,
                        Permission::Create,
                        Permission::CreateRepository,
                    ]
                } else {
                    new.permissions
                };
                let limit = TokenLimit {
                    permissions,
                    project: new.project,
                };
                let now = clock::now_ms();
                let expires = new
                    .days_until_expiry
                    .map(|days| now + i64::from(days) * 24 * 3600 * 1000);
                Ok::<_, EngineError>(user::insert_token(
                    tx, &new.user, &new.name, &stored, &limit, expires, now,
                )?)
            })
            .await?;
        Ok((id, raw))
    }

    /// Tokens of a user, or of all for administrators.
    ///
    /// # Errors
    /// When the caller may not see them.
    pub async fn list_tokens(
        &self,
        caller: &Caller,
        owner: Option<String>,
    ) -> Result<Vec<Token>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let own = match owner.as_deref() {
                    Some(owner) => is_own(&caller, owner)?,
                    None => false,
                };
                if !own {
                    require(tx, &caller, Permission::Administration, Target::Global)?;
                }
                Ok(user::tokens(tx, owner.as_deref())?)
            })
            .await
    }

    /// Revokes a token. Users may revoke their own.
    ///
    /// # Errors
    /// When the caller may not, or there is no such token.
    pub async fn revoke_token(&self, caller: &Caller, id: i64) -> Result<(), EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let own = user::tokens(tx, Some(caller.name()))?
                    .iter()
                    .any(|token| token.id == id);
                if !(own && is_own(&caller, caller.name())?) {
                    require(tx, &caller, Permission::Administration, Target::Global)?;
                }
                Ok(user::revoke_token(tx, id, clock::now_ms())?)
            })
            .await
    }
}

/// Whether an account is the caller's own. A token that allows less than its owner may is not let near accounts: it
/// could make itself a token, or a password, that allows all.
///
/// # Errors
/// [`EngineError::Refused`] for such a token.
pub(super) fn is_own(caller: &Caller, account: &str) -> Result<bool, EngineError> {
    let Principal::User(user) = &caller.principal else {
        return Ok(false);
    };
    if !user.name.eq_ignore_ascii_case(account) {
        return Ok(false);
    }
    match &user.token_limit {
        Some(limit)
            if limit.project.is_some() || !limit.permissions.contains(&Permission::Administration) =>
        {
            Err(EngineError::Refused {
                subject: format!("the account {}", user.name),
                reason:
                    "an access token that allows less than its owner may cannot manage tokens, keys and passwords"
                        .into(),
            })
        }
        _ => Ok(true),
    }
}
