//! Pull requests of linked repositories: what is said of forks, and the commits that an administrator allows.

use madake_domain::permission::Permission;
use madake_domain::pull_request::ForkTrust;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_domain::text::inert;
use madake_store::event::{self, Content, NewEvent};
use madake_store::pull_request::{self, PullRequest, Told};
use madake_store::repository::Repository;

use crate::access::Caller;
use crate::{Engine, EngineError, clock};

/// The most authors that one repository trusts.
const MAX_AUTHORS: usize = 1000;
/// The longest login, in bytes.
const LOGIN_BYTES: usize = 255;
/// The fewest digits that stand for a commit.
const FEWEST_DIGITS: usize = 7;

impl Engine {
    /// What a linked repository says of forks, and its pull requests, the open ones first.
    ///
    /// # Errors
    /// When the repository is not there or has none to follow, or the caller may not.
    pub async fn pull_requests(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<(ForkTrust, Vec<PullRequest>), EngineError> {
        let id = self.followed(caller, name, Permission::Read).await?.id;
        self.store()
            .read(move |tx| {
                Ok((
                    pull_request::fork_trust(tx, id)?,
                    pull_request::of_repository(tx, id)?,
                ))
            })
            .await
    }

    /// Says which pull requests from forks may be built. It holds from the next news of each on.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for what is no login; when the repository is not there or has none to follow, or the
    /// caller may not.
    pub async fn trust_forks(
        &self,
        caller: &Caller,
        name: &str,
        trust: ForkTrust,
    ) -> Result<ForkTrust, EngineError> {
        let found = self.followed(caller, name, Permission::Administration).await?;
        if trust.trusted_authors.len() > MAX_AUTHORS {
            return Err(EngineError::Invalid(format!(
                "a repository trusts at most {MAX_AUTHORS} authors"
            )));
        }
        let unfit = |one: &&String| {
            one.is_empty()
                || one.len() > LOGIN_BYTES
                || one.chars().any(|c| c.is_control() || c.is_whitespace())
        };
        if let Some(unfit) = trust.trusted_authors.iter().find(unfit) {
            return Err(EngineError::Invalid(format!(
                "`{}` is no login at a forge",
                inert(unfit, 80)
            )));
        }
        let kept = trust.clone();
        self.store()
            .write(move |tx| pull_request::set_fork_trust(tx, found.id, &kept))
            .await?;
        let (by, policy) = (caller.name(), trust.policy);
        tracing::info!(principal = %by, "{by} set the policy for forks of {name} to {policy}");
        Ok(trust)
    }

    /// Lets the newest commit of a pull request from a fork be built, which must be the one that the caller names: what
    /// nobody has looked at is not let in by mistake. What comes of it is the entry whose id is returned.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] when the newest commit is another one, or nothing is to be allowed; when repository or
    /// pull request are not there, or the caller may not.
    pub async fn allow_pull_request(
        &self,
        caller: &Caller,
        name: &str,
        number: i64,
        head: &str,
    ) -> Result<i64, EngineError> {
        let found = self.followed(caller, name, Permission::Administration).await?;
        let (caller, asked) = (caller.clone(), head.to_ascii_lowercase());
        if asked.len() < FEWEST_DIGITS || !asked.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(EngineError::Invalid(format!(
                "name the commit that may be built by at least {FEWEST_DIGITS} digits of its id"
            )));
        }
        self.store()
            .write(move |tx| {
                let row = pull_request::by_number(tx, found.id, number)?.ok_or_else(|| {
                    EngineError::NotFound(format!("nothing is known of a pull request {number} of {}", found.name))
                })?;
                let conflict = |why: String| Err(EngineError::Conflict(why));
                if !row.from_fork {
                    return conflict(format!(
                        "pull request {number} comes from a branch of {} itself, which needs no leave",
                        found.name
                    ));
                }
                if !row.open {
                    return conflict(format!("pull request {number} is closed"));
                }
                let Some(head) = row.head.clone() else {
                    return conflict(format!(
                        "the commits of pull request {number} have not been read: `forks` is `never`, or no plan accepts \
                         forks"
                    ));
                };
                if !head.starts_with(&asked) {
                    return conflict(format!(
                        "the newest commit of pull request {number} is {head}: look at that one"
                    ));
                }
                pull_request::allow(tx, row.id, &head, caller.name())?;
                let new = NewEvent {
                    kind: "pull-request",
                    delivery_id: None,
                    address: caller.address.clone(),
                    principal: caller.name().to_owned(),
                    repository_id: Some(found.id),
                    plan_key: None,
                    summary: format!(
                        "{} allowed {} of pull request {number} of {}",
                        caller.name(),
                        &head[..head.len().min(12)],
                        found.name
                    ),
                    raw: Vec::new(),
                    content: Content::PullRequest { told: told_before(row) },
                };
                Ok(event::receive(tx, new, clock::now_ms())?.id())
            })
            .await
    }

    async fn followed(
        &self,
        caller: &Caller,
        name: &str,
        needed: Permission,
    ) -> Result<Repository, EngineError> {
        let found = self.repository_for(caller, name, needed).await?;
        if found.kind == RepositoryKind::Linked && found.scm == Scm::Git {
            Ok(found)
        } else {
            Err(EngineError::Conflict(format!(
                "{name} is no linked repository of Git: pull requests are followed in those"
            )))
        }
    }
}

fn told_before(row: PullRequest) -> Told {
    Told {
        number: row.number,
        open: row.open,
        from_fork: row.from_fork,
        title: row.title,
        author: row.author,
        source_branch: row.source_branch,
        source_repository: row.source_repository,
        target_branch: row.target_branch,
        head_ref: row.head_ref,
        updated_ms: row.updated_ms,
    }
}
