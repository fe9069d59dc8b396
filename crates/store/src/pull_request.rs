//! Pull requests of linked repositories, as their forges last told of them, and what is said of forks.

use madake_domain::pull_request::ForkTrust;
use serde::{Deserialize, Serialize};

use crate::{Millis, StoreError, Tx, params};

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The row's id.
    pub id: i64,
    /// The repository that it is to be merged into.
    pub repository_id: i64,
    /// Its number in that repository.
    pub number: i64,
    /// It may still be merged.
    pub open: bool,
    /// It comes from another repository.
    pub from_fork: bool,
    /// Its title, inert.
    pub title: String,
    /// The login of who opened it, where that was ever told beyond doubt.
    pub author: Option<String>,
    /// The branch that it comes from.
    pub source_branch: String,
    /// The name of the fork that it comes from.
    pub source_repository: String,
    /// The branch that it goes to.
    pub target_branch: String,
    /// The ref that shows its newest commit, full name; `None`: its forge has none.
    pub head_ref: Option<String>,
    /// The newest commit, as read from the repository.
    pub head: Option<String>,
    /// The commit of a fork that an administrator allowed last.
    pub allowed_head: Option<String>,
    /// Who allowed it.
    pub allowed_by: Option<String>,
    /// When its forge changed it last.
    pub updated_ms: Option<Millis>,
    /// When we were told of it last.
    pub told_ms: Millis,
}

/// What a delivery tells of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its number.
    pub number: i64,
    /// It may still be merged.
    pub open: bool,
    /// It comes from another repository.
    pub from_fork: bool,
    /// Its title, inert.
    pub title: String,
    /// The login of who opened it, where it is told beyond doubt.
    pub author: Option<String>,
    /// The branch that it comes from.
    pub source_branch: String,
    /// The name of the fork.
    pub source_repository: String,
    /// The branch that it goes to.
    pub target_branch: String,
    /// The ref that shows its newest commit.
    pub head_ref: Option<String>,
    /// When its forge changed it last.
    pub updated_ms: Option<Millis>,
}

const PULL_REQUEST: &str = "SELECT id, repository_id, number, open, from_fork, title, author, source_branch,
  source_repository, target_branch, head_ref, head, allowed_head, allowed_by, updated_ms, told_ms FROM pull_request";

fn read_pull_request(row: &crate::Row<'_>) -> Result<PullRequest, StoreError> {
    Ok(PullRequest {
        id: row.get(0)?,
        repository_id: row.get(1)?,
        number: row.get(2)?,
        open: row.get(3)?,
        from_fork: row.get(4)?,
        title: row.get(5)?,
        author: row.get(6)?,
        source_branch: row.get(7)?,
        source_repository: row.get(8)?,
        target_branch: row.get(9)?,
        head_ref: row.get(10)?,
        head: row.get(11)?,
        allowed_head: row.get(12)?,
        allowed_by: row.get(13)?,
        updated_ms: row.get(14)?,
        told_ms: row.get(15)?,
    })
}

/// The pull request of a repository with this number.
///
/// # Errors
/// When the store cannot be read.
pub fn by_number(tx: &Tx<'_>, repository_id: i64, number: i64) -> Result<Option<PullRequest>, StoreError> {
    tx.first(
        &format!("{PULL_REQUEST} WHERE repository_id = $1 AND number = $2"),
        params![repository_id, number],
        read_pull_request,
    )
}

/// The pull request with this id.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<PullRequest>, StoreError> {
    tx.first(
        &format!("{PULL_REQUEST} WHERE id = $1"),
        params![id],
        read_pull_request,
    )
}

/// The pull requests of a repository, the open ones first, then by their number, the newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn of_repository(tx: &Tx<'_>, repository_id: i64) -> Result<Vec<PullRequest>, StoreError> {
    tx.all(
        &format!("{PULL_REQUEST} WHERE repository_id = $1 ORDER BY open DESC, number DESC"),
        params![repository_id],
        read_pull_request,
    )
}

/// Whether a pull request from this branch of the repository itself is open.
///
/// # Errors
/// When the store cannot be read.
pub fn is_branch_proposed(tx: &Tx<'_>, repository_id: i64, source_branch: &str) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT id FROM pull_request WHERE repository_id = $1 AND source_branch = $2 AND from_fork = 0 AND open = 1",
        params![repository_id, source_branch],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Keeps what a delivery tells, and gives the row; `None`: something newer was told already. An author who is known
/// stays, and one that once came from a fork is never taken for one of the repository itself.
///
/// # Errors
/// When the store cannot be written.
pub fn keep(
    tx: &Tx<'_>,
    repository_id: i64,
    told: &Told,
    now: Millis,
) -> Result<Option<PullRequest>, StoreError> {
    let before = by_number(tx, repository_id, told.number)?;
    if let Some(before) = &before
        && let (Some(known), Some(updated)) = (before.updated_ms, told.updated_ms)
        && updated < known
    {
        return Ok(None);
    }
    tx.execute(
        "INSERT INTO pull_request (repository_id, number, open, from_fork, title, author, source_branch,
           source_repository, target_branch, head_ref, updated_ms, told_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (repository_id, number) DO UPDATE SET open = $3,
           from_fork = CASE WHEN pull_request.from_fork = 1 THEN 1 ELSE $4 END, title = $5,
           author = COALESCE(pull_request.author, $6), source_branch = $7, source_repository = $8, target_branch = $9,
           head_ref = $10, updated_ms = COALESCE($11, pull_request.updated_ms), told_ms = $12",
        params![
            repository_id,
            told.number,
            told.open,
            told.from_fork,
            told.title,
            told.author,
            told.source_branch,
            told.source_repository,
            told.target_branch,
            told.head_ref,
            told.updated_ms,
            now
        ],
    )?;
    by_number(tx, repository_id, told.number)
}

/// Notes the newest commit.
///
/// # Errors
/// When the store cannot be written.
pub fn set_head(tx: &Tx<'_>, id: i64, head: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE pull_request SET head = $1 WHERE id = $2",
        params![head, id],
    )?;
    Ok(())
}

/// Notes that an administrator allowed a commit to be built.
///
/// # Errors
/// When the store cannot be written.
pub fn allow(tx: &Tx<'_>, id: i64, head: &str, by: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE pull_request SET allowed_head = $1, allowed_by = $2 WHERE id = $3",
        params![head, by, id],
    )?;
    Ok(())
}

/// What a repository says of forks.
///
/// # Errors
/// When the store cannot be read, or there is no such repository.
pub fn fork_trust(tx: &Tx<'_>, repository_id: i64) -> Result<ForkTrust, StoreError> {
    let found = tx.first(
        "SELECT forks, trusted_authors FROM repository WHERE id = $1",
        params![repository_id],
        |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)),
    )?;
    let (policy, authors) =
        found.ok_or_else(|| StoreError::Missing(format!("a repository with the id {repository_id}")))?;
    Ok(ForkTrust {
        policy: policy.parse().map_err(StoreError::Damaged)?,
        trusted_authors: serde_json::from_str(&authors)?,
    })
}

/// Keeps what a repository says of forks.
///
/// # Errors
/// When the store cannot be written.
pub fn set_fork_trust(tx: &Tx<'_>, repository_id: i64, trust: &ForkTrust) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE repository SET forks = $1, trusted_authors = $2 WHERE id = $3",
        params![
            trust.policy.as_str(),
            serde_json::to_string(&trust.trusted_authors)?,
            repository_id
        ],
    )?;
    Ok(())
}

/// Forgets the pull requests of a repository that goes.
///
/// # Errors
/// When the store cannot be written.
pub(crate) fn forget_repository(tx: &Tx<'_>, repository_id: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM pull_request WHERE repository_id = $1",
        params![repository_id],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use madake_domain::pull_request::ForkPolicy;
    use madake_domain::repository::{RepositoryKind, Scm};

    use super::*;
    use crate::repository::{self, NewRepository};
    use crate::{Store, StoreError};

    fn told(from_fork: bool, author: Option<&str>, updated_ms: i64) -> Told {
        Told {
            number: 7,
            open: true,
            from_fork,
            title: "better".into(),
            author: author.map(str::to_owned),
            source_branch: "topic".into(),
            source_repository: "mallory/tools".into(),
            target_branch: "main".into(),
            head_ref: Some("refs/pull/7/head".into()),
            updated_ms: Some(updated_ms),
        }
    }

    #[tokio::test]
    async fn who_opened_it_and_that_it_is_a_fork_are_not_unsaid_and_old_news_are_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("store.db")).expect("a store");
        let new = NewRepository {
            kind: RepositoryKind::Linked,
            scm: Scm::Git,
            name: "tools".into(),
            owner: String::new(),
            slug: String::new(),
            path: "/nowhere".into(),
            url: "https://forge.example/tools".into(),
            default_branch: "main".into(),
        };
        let outcome = store.write(move |tx| {
            let id = repository::insert(tx, &new, 1)?;
            assert_eq!(fork_trust(tx, id)?, ForkTrust::default());
            let trust = ForkTrust {
                policy: ForkPolicy::TrustedAuthors,
                trusted_authors: vec!["hana".into()],
            };
            set_fork_trust(tx, id, &trust)?;
            assert_eq!(fork_trust(tx, id)?, trust);

            let first = keep(tx, id, &told(true, Some("mallory"), 20), 1)?.expect("a row");
            allow(tx, first.id, "abc", "admin")?;
            assert_eq!(keep(tx, id, &told(false, Some("hana"), 10), 2)?, None);
            let second = keep(tx, id, &told(false, Some("hana"), 30), 3)?.expect("a row");
            assert_eq!((second.id, second.from_fork), (first.id, true));
            assert_eq!(second.author.as_deref(), Some("mallory"));
            assert_eq!(second.allowed_head.as_deref(), Some("abc"));
            assert!(!is_branch_proposed(tx, id, "topic")?);
            repository::remove(tx, id)?;
            assert_eq!(by_number(tx, id, 7)?, None);
            Ok::<_, StoreError>(())
        });
        outcome.await.expect("stored");
    }
}
