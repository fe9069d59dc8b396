//! Who may use Git LFS of a repository: a caller who may read or write it, or who shows a pass that this server gave out.
//!
//! A pass is given to who came by SSH and has no password; it stands for the key. A ticket is given out for one object
//! after permission was asked. Both are sealed text: nothing of them is stored, and they survive a restart.

use madake_domain::permission::Permission;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::repository::Repository;
use madake_store::{mirror, ssh_key};
use madake_vcs::git::lfs::LfsId;
use serde::{Deserialize, Serialize};

use super::mirror_repository::refusal_of_push;
use super::ssh_keys::KeyHolder;
use crate::access::{Caller, Target, may};
use crate::{Engine, EngineError, clock};

/// How long a pass or a ticket is good, in seconds. Clients ask again when it has run out.
pub const PASS_SECONDS: u32 = 3600;

/// What every pass starts with.
const PASS: &str = "mdkp_";
/// What every ticket starts with.
const TICKET: &str = "mdkt_";
/// Where they are sealed for: one does not open as the other.
const PASS_PLACE: &str = "lfs.pass";
const TICKET_PLACE: &str = "lfs.ticket";

/// What a client wants to do with objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LfsOperation {
    /// Read them.
    Download,
    /// Add to them, and read them.
    Upload,
}

impl LfsOperation {
    fn needed(self) -> Permission {
        match self {
            Self::Download => Permission::Read,
            Self::Upload => Permission::Write,
        }
    }
}

/// A repository whose Git LFS somebody may use: permission was asked.
#[derive(Debug, Clone)]
pub struct LfsAccess {
    /// The repository.
    pub repository: Repository,
    /// Who it is, by the name for logs and locks.
    pub principal: String,
    /// Whether the locks of others may be broken.
    pub(super) administers: bool,
}

/// Whether a text looks like a pass or a ticket; whether it is good is another question.
#[must_use]
pub fn is_lfs_token(text: &str) -> bool {
    text.starts_with(PASS) || text.starts_with(TICKET)
}

#[derive(Serialize, Deserialize)]
struct Pass {
    key: i64,
    repository: i64,
    upload: bool,
    until_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct Ticket {
    repository: i64,
    object: String,
    size: u64,
    upload: bool,
    principal: String,
    until_ms: i64,
}

impl Engine {
    /// A pass for who came with an SSH key and may do `operation` in `found`, which was asked before.
    ///
    /// # Errors
    /// When it cannot be sealed.
    pub fn lfs_pass(
        &self,
        holder: &KeyHolder,
        found: &Repository,
        operation: LfsOperation,
    ) -> Result<String, EngineError> {
        let pass = Pass {
            key: holder.key().id,
            repository: found.id,
            upload: operation == LfsOperation::Upload,
            until_ms: until_ms(),
        };
        self.sealed(PASS, PASS_PLACE, &pass)
    }

    /// Lets a caller, or who shows a pass, use Git LFS of the repository `name`.
    ///
    /// # Errors
    /// What lacks, as [`Engine::repository_for`] words it; [`EngineError::Unauthenticated`] for a pass that is no good.
    pub async fn lfs_access(
        &self,
        caller: &Caller,
        token: Option<&str>,
        name: &str,
        operation: LfsOperation,
    ) -> Result<LfsAccess, EngineError> {
        let needed = operation.needed();
        let (repository, asking) = match token {
            None => (self.repository_for(caller, name, needed).await?, caller.clone()),
            Some(token) => {
                let refused = || no_good(name, needed);
                let pass: Pass = self.opened(PASS, PASS_PLACE, token).ok_or_else(refused)?;
                if pass.until_ms < clock::now_ms() || (operation == LfsOperation::Upload && !pass.upload) {
                    return Err(refused());
                }
                // The key may have been removed since, or its user's permission taken away.
                let key = self
                    .store()
                    .read(move |tx| Ok::<_, EngineError>(ssh_key::by_id(tx, pass.key)?))
                    .await?
                    .ok_or_else(refused)?;
                let holder = self.ssh_key_holder(&key.openssh).await?.ok_or_else(refused)?;
                let repository = self
                    .repository_for_key(&holder, &caller.address, name, needed)
                    .await?;
                if repository.id != pass.repository {
                    return Err(refused());
                }
                (repository, holder.caller(&caller.address))
            }
        };
        if repository.scm != Scm::Git {
            return Err(EngineError::Invalid(format!(
                "{} is a {} repository, which has no Git LFS",
                repository.name,
                repository.scm.title()
            )));
        }
        let (one, who) = (repository.clone(), asking.clone());
        let administers = self
            .store()
            .read(move |tx| may(tx, &who, Permission::Administration, Target::Repository(&one)))
            .await?;
        let access = LfsAccess {
            repository,
            principal: asking.name().to_owned(),
            administers,
        };
        if operation == LfsOperation::Upload {
            self.takes_objects(&access.repository).await?;
        }
        Ok(access)
    }

    /// A ticket for one object: with it the client may upload it, or download it, and nothing else.
    ///
    /// # Errors
    /// When it cannot be sealed.
    pub fn lfs_ticket(
        &self,
        access: &LfsAccess,
        object: &LfsId,
        size: u64,
        operation: LfsOperation,
    ) -> Result<String, EngineError> {
        let ticket = Ticket {
            repository: access.repository.id,
            object: object.to_string(),
            size,
            upload: operation == LfsOperation::Upload,
            principal: access.principal.clone(),
            until_ms: until_ms(),
        };
        self.sealed(TICKET, TICKET_PLACE, &ticket)
    }

    /// Lets who shows a ticket for this object, or may do it anyway, at it. Gives the size that the ticket names, in
    /// bytes.
    ///
    /// # Errors
    /// As [`Self::lfs_access`].
    pub async fn lfs_object_access(
        &self,
        caller: &Caller,
        token: Option<&str>,
        name: &str,
        object: &LfsId,
        operation: LfsOperation,
    ) -> Result<(LfsAccess, Option<u64>), EngineError> {
        let Some(token) = token.filter(|token| token.starts_with(TICKET)) else {
            let access = self.lfs_access(caller, token, name, operation).await?;
            return Ok((access, None));
        };
        let refused = || no_good(name, operation.needed());
        let ticket: Ticket = self.opened(TICKET, TICKET_PLACE, token).ok_or_else(refused)?;
        let right = ticket.object == object.as_str()
            && ticket.upload == (operation == LfsOperation::Upload)
            && ticket.until_ms >= clock::now_ms();
        if !right {
            return Err(refused());
        }
        // The name may be another repository's by now.
        let repository = self
            .repository_for(&Caller::server(), name, Permission::Read)
            .await
            .map_err(|_| refused())?;
        if repository.id != ticket.repository {
            return Err(refused());
        }
        if operation == LfsOperation::Upload {
            self.takes_objects(&repository).await?;
        }
        let access = LfsAccess {
            repository,
            principal: ticket.principal,
            administers: false,
        };
        Ok((access, Some(ticket.size)))
    }

    async fn takes_objects(&self, found: &Repository) -> Result<(), EngineError> {
        let refused = |reason: String| EngineError::Refused {
            subject: format!("repository {}", found.name),
            reason,
        };
        if found.kind != RepositoryKind::Hosted {
            return Err(refused("it is not hosted here: upload to where it lives".into()));
        }
        let id = found.id;
        let source = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(mirror::source_of(tx, id)?))
            .await?;
        match source {
            Some(url) => Err(refused(refusal_of_push(&found.name, &url))),
            None => Ok(()),
        }
    }

    pub(crate) fn sealed(
        &self,
        prefix: &str,
        place: &str,
        content: &impl Serialize,
    ) -> Result<String, EngineError> {
        let text = serde_json::to_vec(content).map_err(|error| EngineError::Internal(error.to_string()))?;
        Ok(format!(
            "{prefix}{}",
            hex::encode(self.sealer().seal(place, &text)?)
        ))
    }

    /// None for what this server did not seal.
    pub(crate) fn opened<T: for<'de> Deserialize<'de>>(
        &self,
        prefix: &str,
        place: &str,
        token: &str,
    ) -> Option<T> {
        let bytes = hex::decode(token.strip_prefix(prefix)?).ok()?;
        let text = self.sealer().open_sealed(place, &bytes).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

fn until_ms() -> i64 {
    clock::now_ms() + i64::from(PASS_SECONDS) * 1000
}

/// The same whatever is wrong, so that nothing is learned by trying.
fn no_good(name: &str, needed: Permission) -> EngineError {
    EngineError::Unauthenticated {
        needed,
        subject: format!("repository {name}"),
    }
}

impl LfsAccess {
    /// Whether a lock of this owner is the caller's own.
    #[must_use]
    pub fn owns(&self, owner: &str) -> bool {
        self.principal == owner
    }
}
