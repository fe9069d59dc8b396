//! Makes mirrors, lists them, hurries them, and ends them.

use std::time::Duration;

use madake_domain::mirror::MirrorDirection;
use madake_domain::permission::Permission;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::mirror::{self, Mirror, NewMirror, Pending};
use madake_store::repository::{self, Repository};
use madake_vcs::git::mirror::{RefScope, RemoteLimits, RemoteRefs, ls_remote};
use madake_vcs::git::read::refs::list_refs;
use madake_vcs::name::RefName;
use madake_vcs::url::{Credential, RepositoryUrl};

use crate::access::{Caller, Target, may, require};
use crate::heads::unreadable;
use crate::{Engine, EngineError, clock};

/// How often a remote is looked at that a repository is pushed on to, in seconds: whoever changes it there is undone.
const PUSHED_PERIOD_SECONDS: u64 = 3600;
/// The shortest time between two looks, in seconds.
const SHORTEST_PERIOD_SECONDS: u64 = 10;

/// What a mirror is to be.
#[derive(Debug, Clone)]
pub struct MirrorRepository {
    /// The hosted repository. With [`MirrorDirection::From`] it is made if it is not there.
    pub repository: String,
    /// Which way refs go.
    pub direction: MirrorDirection,
    /// The address of the remote: http(s), ssh, git, or a path of this machine. A credential in it is taken out and sealed.
    pub url: String,
    /// User name and password or token; wins over one in the address.
    pub credential: Option<(String, String)>,
    /// Whether refs are deleted that the other side does not have. `None`: yes when following a remote, no otherwise.
    pub prune: Option<bool>,
    /// How often the remote is looked at, in seconds. `None`: as linked repositories, or hourly when pushing to it.
    pub period_seconds: Option<u64>,
    /// Whether branches and tags may be overwritten that the repository to be kept equal has already.
    pub replace: bool,
}

/// A mirror as people see it.
#[derive(Debug, Clone)]
pub struct MirrorView {
    /// The mirror with its state.
    pub mirror: Mirror,
    /// Pushes that the remote does not have.
    pub pending: Pending,
}

/// What who pushes to a repository reads that follows a remote.
pub(crate) fn refusal_of_push(name: &str, url: &str) -> String {
    format!("{name} is a mirror of {url} and takes no pushes: push there, and it comes here by itself")
}

impl Engine {
    /// Makes a mirror, or changes the one with the same repository, direction and address. The remote is asked at once,
    /// so that a wrong address or password shows here.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for an address that is not allowed or does not answer, [`EngineError::Conflict`] for a
    /// repository that has something already or follows another remote.
    pub async fn mirror_repository(
        &self,
        caller: &Caller,
        new: MirrorRepository,
    ) -> Result<MirrorView, EngineError> {
        let check = caller.clone();
        self.store()
            .read(move |tx| require(tx, &check, Permission::Administration, Target::Global))
            .await?;
        let url = RepositoryUrl::parse(&new.url, self.url_policy())
            .map_err(|error| EngineError::Invalid(format!("the address cannot be used: {error}")))?;
        let credential = match &new.credential {
            Some((username, password)) => Some(
                Credential::new(username, password)
                    .map_err(|error| EngineError::Invalid(error.to_string()))?,
            ),
            None => url.credential().cloned(),
        };
        let period = match (new.period_seconds, new.direction) {
            (Some(seconds), _) => seconds.max(SHORTEST_PERIOD_SECONDS),
            (None, MirrorDirection::From) => self.settings().poll_seconds.max(SHORTEST_PERIOD_SECONDS),
            (None, MirrorDirection::To) => PUSHED_PERIOD_SECONDS,
        };
        let limits = RemoteLimits {
            timeout: Duration::from_secs(60),
            ..RemoteLimits::default()
        };
        let remote = ls_remote(
            self.git(),
            &url,
            credential.as_ref(),
            RefScope::Everything,
            &limits,
        )
        .await
        .map_err(|error| {
            EngineError::Invalid(format!(
                "{} does not answer as a repository: {error}",
                url.display()
            ))
        })?;
        let found = match new.direction {
            MirrorDirection::From => self.repository_to_follow(caller, &new, &remote).await?,
            MirrorDirection::To => {
                self.repository_for(caller, &new.repository, Permission::Read)
                    .await?
            }
        };
        if found.kind != RepositoryKind::Hosted || found.scm != Scm::Git {
            return Err(EngineError::Invalid(format!(
                "{} is not a Git repository that is hosted here: only those are mirrored",
                found.name
            )));
        }
        let row = NewMirror {
            repository_id: found.id,
            direction: new.direction,
            url: url.display().to_owned(),
            prune: new.prune.unwrap_or(new.direction == MirrorDirection::From),
            period_ms: i64::try_from(period.saturating_mul(1000)).unwrap_or(i64::MAX / 2),
            made_by: caller.name().to_owned(),
        };
        let sealer = self.sealer().clone();
        let id = self
            .store()
            .write(move |tx| {
                let follows = mirror::source_of(tx, row.repository_id)?;
                if let Some(other) =
                    follows.filter(|other| row.direction == MirrorDirection::From && *other != row.url)
                {
                    return Err(EngineError::Conflict(format!(
                        "the repository follows {other} already: end that first"
                    )));
                }
                let id = mirror::keep(tx, &row, clock::now_ms())?;
                let sealed = match &credential {
                    Some(credential) => {
                        let text = format!("{}\0{}", credential.username(), credential.password());
                        Some(sealer.seal(&mirror::credential_place(id), text.as_bytes())?)
                    }
                    None => None,
                };
                mirror::set_credential(tx, id, sealed.as_deref())?;
                Ok(id)
            })
            .await?;
        let (by, to) = (caller.name(), new.direction);
        tracing::info!(repository = %found.name, principal = %by, "{by} mirrors {} {to} {}", found.name, url.display());
        self.mirror(id).await
    }

    /// The repository that is to follow a remote: made, or empty, or its owner says that it may be overwritten.
    async fn repository_to_follow(
        &self,
        caller: &Caller,
        new: &MirrorRepository,
        remote: &RemoteRefs,
    ) -> Result<Repository, EngineError> {
        let head = remote.head.as_ref().and_then(RefName::branch);
        let found = match self
            .repository_for(caller, &new.repository, Permission::Administration)
            .await
        {
            Ok(found) => found,
            Err(EngineError::NotFound(_)) => {
                let branch = head.map_or_else(|| "main".to_owned(), |branch| branch.to_string());
                return self
                    .create_repository(caller, &new.repository, Scm::Git, Some(&branch))
                    .await;
            }
            Err(error) => return Err(error),
        };
        let id = found.id;
        let follows = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(mirror::source_of(tx, id)?))
            .await?;
        let is_ours = found.kind == RepositoryKind::Hosted && found.scm == Scm::Git;
        if follows.is_none() && !new.replace && is_ours {
            let here = list_refs(self.git(), &self.local_path(&found))
                .await
                .map_err(unreadable)?;
            if !here.refs.is_empty() {
                return Err(EngineError::Conflict(format!(
                    "{} has branches or tags, which following a remote overwrites and removes: say `replace` if that is \
                     meant",
                    found.name
                )));
            }
        }
        Ok(found)
    }

    /// Mirrors of a repository; without one, of all that the caller administrates.
    ///
    /// # Errors
    /// When the caller may not see them.
    pub async fn list_mirrors(
        &self,
        caller: &Caller,
        name: Option<&str>,
    ) -> Result<Vec<MirrorView>, EngineError> {
        let only = match name {
            Some(name) => Some(
                self.repository_for(caller, name, Permission::Administration)
                    .await?,
            ),
            None => None,
        };
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let mirrors = match &only {
                    Some(found) => mirror::of_repository(tx, found.id)?,
                    None => mirror::all(tx)?,
                };
                let mut shown = Vec::new();
                for one in mirrors {
                    let Some(found) = repository::by_id(tx, one.repository_id)? else {
                        continue;
                    };
                    if may(
                        tx,
                        &caller,
                        Permission::Administration,
                        Target::Repository(&found),
                    )? {
                        let pending = mirror::pending(tx, &one)?;
                        shown.push(MirrorView { mirror: one, pending });
                    }
                }
                Ok(shown)
            })
            .await
    }

    /// Makes a run of a mirror due now. Who administrates the repository may.
    ///
    /// # Errors
    /// When there is no such mirror, or the caller may not.
    pub async fn hurry_mirror(&self, caller: &Caller, id: i64) -> Result<MirrorView, EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let (_, found) = known(tx, &caller, id)?;
                require(
                    tx,
                    &caller,
                    Permission::Administration,
                    Target::Repository(&found),
                )?;
                Ok::<_, EngineError>(mirror::hurry(tx, id, clock::now_ms())?)
            })
            .await?;
        self.mirror(id).await
    }

    /// Ends a mirror. What is at either side stays, and a repository that followed a remote takes pushes again.
    ///
    /// # Errors
    /// When there is no such mirror, or the caller may not.
    pub async fn end_mirror(&self, caller: &Caller, id: i64) -> Result<MirrorView, EngineError> {
        let asking = caller.clone();
        let ended = self
            .store()
            .write(move |tx| {
                let (one, _) = known(tx, &asking, id)?;
                require(tx, &asking, Permission::Administration, Target::Global)?;
                let pending = mirror::pending(tx, &one)?;
                mirror::remove(tx, id)?;
                Ok::<_, EngineError>(MirrorView { mirror: one, pending })
            })
            .await?;
        let (by, one) = (caller.name(), &ended.mirror);
        tracing::info!(repository = %one.repository, principal = %by, "{by} ended the mirror of {} {} {}", one.repository, one.direction, one.url);
        Ok(ended)
    }

    async fn mirror(&self, id: i64) -> Result<MirrorView, EngineError> {
        self.store()
            .read(move |tx| {
                let mirror = mirror::by_id(tx, id)?.ok_or_else(|| {
                    EngineError::NotFound(format!("a mirror with the id {id} does not exist"))
                })?;
                let pending = mirror::pending(tx, &mirror)?;
                Ok(MirrorView { mirror, pending })
            })
            .await
    }
}

/// A mirror and its repository. Strangers are not told which numbers there are.
fn known(tx: &madake_store::Tx<'_>, caller: &Caller, id: i64) -> Result<(Mirror, Repository), EngineError> {
    let found = match mirror::by_id(tx, id)? {
        Some(one) => repository::by_id(tx, one.repository_id)?.map(|found| (one, found)),
        None => None,
    };
    match found {
        Some(found) => Ok(found),
        None => {
            require(tx, caller, Permission::Administration, Target::Global)?;
            Err(EngineError::NotFound(format!(
                "a mirror with the id {id} does not exist"
            )))
        }
    }
}
