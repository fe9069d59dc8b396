//! Registers, lists and removes SSH keys, and finds out who comes in with one.
//!
//! A user's key lets in as the user. An access key is a repository's: it reads, or reads and writes, that repository
//! and nothing else.

use madake_domain::permission::{Permission, Principal, TokenLimit, UserPrincipal};
use madake_store::repository::{self, Repository};
use madake_store::ssh_key::{self, KeyFor, KeyOwner, NewSshKey, SshKey};
use madake_store::{Tx, user};

use super::create_token::is_own;
use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError, clock};

/// How far `last_used_ms` may lag behind: a client that comes every second need not cost a commit each time.
const USE_LAG_MS: i64 = 60 * 1000;
/// The longest comment of a key that is kept, in characters.
const COMMENT_LIMIT: usize = 200;

/// Whose keys are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysOf {
    /// A user, by name.
    User(String),
    /// A repository, by name.
    Repository(String),
}

/// Who came in with a key.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    /// Who that is: the user, or for an access key a principal that is permitted nothing and only has a name.
    pub principal: Principal,
    key: SshKey,
}

impl Engine {
    /// Registers a key. Users register their own, administrators anybody's, administrators of a repository its access
    /// keys; `write` counts for those alone. `new` is as [`SshKey`] keeps it; its comment is cut to 200 characters.
    ///
    /// # Errors
    /// When the caller may not, there is no such user or repository, or the key is registered already.
    pub async fn add_ssh_key(
        &self,
        caller: &Caller,
        owner: KeysOf,
        write: bool,
        mut new: NewSshKey,
    ) -> Result<SshKey, EngineError> {
        new.comment = new
            .comment
            .chars()
            .filter(|one| !one.is_control())
            .take(COMMENT_LIMIT)
            .collect();
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let owner = match find(tx, &caller, &owner)? {
                    KeyFor::Repository { id, .. } => KeyFor::Repository { id, write },
                    user => user,
                };
                let id = ssh_key::insert(tx, owner, &new, clock::now_ms())?;
                ssh_key::by_id(tx, id)?
                    .ok_or_else(|| EngineError::Internal("the key that was added is not there".into()))
            })
            .await
    }

    /// Keys of a user or a repository; without one, all, for administrators.
    ///
    /// # Errors
    /// When the caller may not see them, or there is no such user or repository.
    pub async fn list_ssh_keys(
        &self,
        caller: &Caller,
        owner: Option<KeysOf>,
    ) -> Result<Vec<SshKey>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let Some(owner) = owner else {
                    require(tx, &caller, Permission::Administration, Target::Global)?;
                    return Ok(ssh_key::all(tx)?);
                };
                Ok(match find(tx, &caller, &owner)? {
                    KeyFor::User(id) => ssh_key::of_user(tx, id)?,
                    KeyFor::Repository { id, .. } => ssh_key::of_repository(tx, id)?,
                })
            })
            .await
    }

    /// Removes a key. Who may register a key may remove it.
    ///
    /// # Errors
    /// When the caller may not, or there is no such key.
    pub async fn remove_ssh_key(&self, caller: &Caller, id: i64) -> Result<(), EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                // Without a key there is nothing that could be the caller's own: numbers are not told to strangers.
                let Some(key) = ssh_key::by_id(tx, id)? else {
                    require(tx, &caller, Permission::Administration, Target::Global)?;
                    return Err(EngineError::NotFound(format!(
                        "an SSH key with the id {id} does not exist"
                    )));
                };
                let owner = match key.owner {
                    KeyOwner::User { name, .. } => KeysOf::User(name),
                    KeyOwner::Repository { name, .. } => KeysOf::Repository(name),
                };
                find(tx, &caller, &owner)?;
                Ok(ssh_key::remove(tx, id)?)
            })
            .await
    }

    /// Who comes in with a key, given as OpenSSH's text without a comment; none if nobody may.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ssh_key_holder(&self, openssh: &str) -> Result<Option<KeyHolder>, EngineError> {
        let openssh = openssh.to_owned();
        self.store()
            .read(move |tx| {
                let Some(key) = ssh_key::by_openssh(tx, &openssh)? else {
                    return Ok(None);
                };
                let principal = match &key.owner {
                    KeyOwner::User { id, .. } => match user::by_id(tx, *id)?.filter(|user| user.enabled) {
                        Some(user) => user::principal(tx, &user, None)?,
                        None => return Ok(None),
                    },
                    KeyOwner::Repository { name, .. } => nobody(format!("access key {} of {name}", key.id)),
                };
                Ok(Some(KeyHolder {
                    principal: Principal::User(principal),
                    key,
                }))
            })
            .await
    }

    /// Notes that the holder of a key came in with it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn note_ssh_key_use(&self, holder: &KeyHolder) -> Result<(), EngineError> {
        let (id, now) = (holder.key.id, clock::now_ms());
        if holder
            .key
            .last_used_ms
            .is_some_and(|last| now - last < USE_LAG_MS)
        {
            return Ok(());
        }
        self.store()
            .write(move |tx| Ok(ssh_key::note_use(tx, id, now)?))
            .await
    }

    /// The repository with this name, if the holder of a key may do what needs `needed`.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] or [`EngineError::Forbidden`].
    pub async fn repository_for_key(
        &self,
        holder: &KeyHolder,
        address: &str,
        name: &str,
        needed: Permission,
    ) -> Result<Repository, EngineError> {
        let KeyOwner::Repository { id, write, .. } = holder.key.owner else {
            return self.repository_for(&holder.caller(address), name, needed).await;
        };
        let (principal, name) = (holder.principal.name().to_owned(), name.to_owned());
        self.store()
            .read(move |tx| {
                let found = existing(tx, &name)?;
                let allowed = needed == Permission::Read || (write && needed == Permission::Write);
                if found.id == id && allowed {
                    return Ok(found);
                }
                Err(EngineError::Forbidden {
                    principal,
                    needed,
                    subject: format!("repository {}", found.name),
                    token: false,
                })
            })
            .await
    }
}

impl KeyHolder {
    /// The holder as the one who asks, from `address`.
    #[must_use]
    pub fn caller(&self, address: &str) -> Caller {
        Caller {
            principal: self.principal.clone(),
            address: address.to_owned(),
        }
    }

    /// The registered key.
    #[must_use]
    pub fn key(&self) -> &SshKey {
        &self.key
    }
}

/// The owner of keys, if the caller may manage them.
fn find(tx: &Tx<'_>, caller: &Caller, owner: &KeysOf) -> Result<KeyFor, EngineError> {
    match owner {
        KeysOf::User(name) => {
            if !is_own(caller, name)? {
                require(tx, caller, Permission::Administration, Target::Global)?;
            }
            let found = user::by_name(tx, name)?
                .ok_or_else(|| EngineError::NotFound(format!("a user named {name} does not exist")))?;
            Ok(KeyFor::User(found.id))
        }
        KeysOf::Repository(name) => {
            if !caller.principal.is_logged_in() {
                // The same for one that is hidden and one that is not there: names are not told.
                return Err(EngineError::Unauthenticated {
                    needed: Permission::Administration,
                    subject: format!("repository {name}"),
                });
            }
            let found = existing(tx, name)?;
            require(tx, caller, Permission::Administration, Target::Repository(&found))?;
            Ok(KeyFor::Repository {
                id: found.id,
                write: false,
            })
        }
    }
}

fn existing(tx: &Tx<'_>, name: &str) -> Result<Repository, EngineError> {
    repository::by_name(tx, name)?
        .ok_or_else(|| EngineError::NotFound(format!("a repository named {name} does not exist")))
}

/// Somebody with a name, who is permitted nothing whatever is granted to those who are logged in.
fn nobody(name: String) -> UserPrincipal {
    UserPrincipal {
        id: 0,
        name,
        groups: Vec::new(),
        administrator: false,
        token_limit: Some(TokenLimit {
            permissions: Vec::new(),
            project: None,
        }),
    }
}
