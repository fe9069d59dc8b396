//! Repositories and what is known of their refs.

use std::collections::BTreeMap;

use madake_domain::repository::{RepositoryKind, RepositoryPath, Scm};

use crate::{Millis, StoreError, Topic, Tx, params};

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The row's id.
    pub id: i64,
    /// Hosted, attached or linked.
    pub kind: RepositoryKind,
    /// Git or Mercurial.
    pub scm: Scm,
    /// `OWNER/SLUG`, or the name of a linked one, as written.
    pub name: String,
    /// The owner of a hosted or attached one.
    pub owner: String,
    /// The slug of a hosted or attached one.
    pub slug: String,
    /// The repository on this machine, a bare one of Git: of a linked one, our mirror.
    pub path: String,
    /// The address of a linked one, without credentials.
    pub url: String,
    /// Sealed user name and password of a linked one.
    pub credential: Option<Vec<u8>>,
    /// The branch that the master plan builds.
    pub default_branch: String,
    /// Our hook is in place (attached only).
    pub hook_installed: bool,
    /// A webhook told us of a push (linked only).
    pub hears_pushes: bool,
    /// The refs were read once; before that, what is found is a starting point and not a push.
    pub refs_known: bool,
    /// Its `bamboo-specs/` configures plans.
    pub specs_enabled: bool,
    /// When its refs were last read.
    pub last_checked_ms: Option<Millis>,
    /// Why it could not be read the last time.
    pub problem: Option<String>,
}

impl Repository {
    /// Whether its pushes come to us without being asked for.
    #[must_use]
    pub fn pushes_known(&self) -> bool {
        match self.kind {
            RepositoryKind::Hosted => true,
            RepositoryKind::Attached => self.hook_installed,
            RepositoryKind::Linked => self.hears_pushes,
        }
    }

    /// The project that permissions on it come from.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        (self.kind != RepositoryKind::Linked).then_some(self.owner.as_str())
    }
}

const REPOSITORY: &str =
    "SELECT id, kind, name, owner, slug, path, url, credential, default_branch, hook_installed,
  hears_pushes, refs_known, specs_enabled, last_checked_ms, problem, scm FROM repository";

fn read_repository(row: &crate::Row<'_>) -> Result<Repository, StoreError> {
    Ok(Repository {
        id: row.get(0)?,
        kind: row.get::<String>(1)?.parse().map_err(StoreError::Damaged)?,
        name: row.get(2)?,
        owner: row.get(3)?,
        slug: row.get(4)?,
        path: row.get(5)?,
        url: row.get(6)?,
        credential: row.get(7)?,
        default_branch: row.get(8)?,
        hook_installed: row.get(9)?,
        hears_pushes: row.get(10)?,
        refs_known: row.get(11)?,
        specs_enabled: row.get(12)?,
        last_checked_ms: row.get(13)?,
        problem: row.get(14)?,
        scm: row.get::<String>(15)?.parse().map_err(StoreError::Damaged)?,
    })
}

/// What a new repository is made of.
#[derive(Debug, Clone)]
pub struct NewRepository {
    /// Hosted, attached or linked.
    pub kind: RepositoryKind,
    /// Git or Mercurial.
    pub scm: Scm,
    /// `OWNER/SLUG`, or the name of a linked one.
    pub name: String,
    /// The owner; empty for a linked one.
    pub owner: String,
    /// The slug; empty for a linked one.
    pub slug: String,
    /// The repository on this machine.
    pub path: String,
    /// The address of a linked one, without credentials.
    pub url: String,
    /// The branch that the master plan builds.
    pub default_branch: String,
}

/// Adds a repository.
///
/// # Errors
/// [`StoreError::Duplicate`] when the name is taken.
pub fn insert(tx: &Tx<'_>, new: &NewRepository, now: Millis) -> Result<i64, StoreError> {
    tx.wake(Topic::Plans);
    tx.execute(
        "DELETE FROM repository_former_name WHERE folded = $1",
        params![new.name.to_lowercase()],
    )?;
    tx.insert(
        "INSERT INTO repository (kind, name, folded, owner, slug, path, url, default_branch, hook_installed,
           hears_pushes, refs_known, specs_enabled, created_ms, scm)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, $9, 1, $10, $11) RETURNING id",
        params![
            new.kind.as_str(),
            new.name,
            new.name.to_lowercase(),
            new.owner,
            new.slug,
            new.path,
            new.url,
            new.default_branch,
            new.kind == RepositoryKind::Hosted,
            now,
            new.scm.as_str()
        ],
    )
    .map_err(|error| match error {
        StoreError::Duplicate(_) => StoreError::Duplicate(format!("a repository named {}", new.name)),
        other => other,
    })
}

/// The repository with this name, in any case; where there is none, the one that had it before.
///
/// # Errors
/// When the store cannot be read.
pub fn by_name(tx: &Tx<'_>, name: &str) -> Result<Option<Repository>, StoreError> {
    if let Some(found) = with_name(tx, name)? {
        return Ok(Some(found));
    }
    tx.first(
        &format!(
            "{REPOSITORY} WHERE id = (SELECT repository_id FROM repository_former_name WHERE folded = $1)"
        ),
        params![name.to_lowercase()],
        read_repository,
    )
}

/// The repository that has this name now, in any case.
///
/// # Errors
/// When the store cannot be read.
pub fn with_name(tx: &Tx<'_>, name: &str) -> Result<Option<Repository>, StoreError> {
    tx.first(
        &format!("{REPOSITORY} WHERE folded = $1"),
        params![name.to_lowercase()],
        read_repository,
    )
}

/// Gives a hosted or attached repository another name, which no other may have. The one that it has leads to it from
/// now on.
///
/// # Errors
/// When the store cannot be written.
pub fn rename(tx: &Tx<'_>, found: &Repository, to: &RepositoryPath) -> Result<(), StoreError> {
    tx.wake(Topic::Plans);
    let name = to.to_string();
    tx.execute(
        "DELETE FROM repository_former_name WHERE folded = $1",
        params![name.to_lowercase()],
    )?;
    tx.execute(
        "UPDATE repository SET name = $1, folded = $2, owner = $3, slug = $4 WHERE id = $5",
        params![name, name.to_lowercase(), to.owner, to.slug, found.id],
    )?;
    if found.name.to_lowercase() != name.to_lowercase() {
        tx.execute(
            "INSERT INTO repository_former_name (folded, repository_id) VALUES ($1, $2)
             ON CONFLICT (folded) DO UPDATE SET repository_id = $2",
            params![found.name.to_lowercase(), found.id],
        )?;
    }
    Ok(())
}

/// The repository with this id.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<Repository>, StoreError> {
    tx.first(
        &format!("{REPOSITORY} WHERE id = $1"),
        params![id],
        read_repository,
    )
}

/// The repository with this path on this machine.
///
/// # Errors
/// When the store cannot be read.
pub fn by_path(tx: &Tx<'_>, path: &str) -> Result<Option<Repository>, StoreError> {
    tx.first(
        &format!("{REPOSITORY} WHERE path = $1"),
        params![path],
        read_repository,
    )
}

/// The linked repository with this address.
///
/// # Errors
/// When the store cannot be read.
pub fn by_url(tx: &Tx<'_>, url: &str) -> Result<Option<Repository>, StoreError> {
    tx.first(
        &format!("{REPOSITORY} WHERE url = $1 AND url <> ''"),
        params![url],
        read_repository,
    )
}

/// All linked repositories by name.
///
/// # Errors
/// When the store cannot be read.
pub fn linked(tx: &Tx<'_>) -> Result<Vec<Repository>, StoreError> {
    tx.all(
        &format!("{REPOSITORY} WHERE kind = $1 ORDER BY folded"),
        params![RepositoryKind::Linked.as_str()],
        read_repository,
    )
}

/// All repositories by name.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<Repository>, StoreError> {
    tx.all(&format!("{REPOSITORY} ORDER BY folded"), &[], read_repository)
}

/// Keys of the plans that build a repository or have their plan file in it.
///
/// # Errors
/// When the store cannot be read.
pub fn plans_of(tx: &Tx<'_>, id: i64) -> Result<Vec<String>, StoreError> {
    tx.all(
        "SELECT key FROM plan WHERE specs_repository_id = $1
           OR id IN (SELECT plan_id FROM plan_repository WHERE repository_id = $1) ORDER BY key",
        params![id],
        |row| row.get(0),
    )
}

/// Whether an owner has hosted or attached repositories besides one.
///
/// # Errors
/// When the store cannot be read.
pub fn has_others(tx: &Tx<'_>, owner: &str, besides: i64) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT id FROM repository WHERE lower(owner) = $1 AND kind <> 'linked' AND id <> $2",
        params![owner.to_lowercase(), besides],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Whether something that arrived about a repository waits to be decided.
///
/// # Errors
/// When the store cannot be read.
pub fn is_awaited(tx: &Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT id FROM event WHERE repository_id = $1 AND state = 'received'",
        params![id],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Forgets a repository, its refs and webhooks. What the ledger has of it stays; its id is never given again.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    crate::branch_permission::forget_repository(tx, id)?;
    crate::repository_attributes::forget_repository(tx, id)?;
    crate::pull_request::forget_repository(tx, id)?;
    crate::credential::forget_repository(tx, id)?;
    for statement in [
        "DELETE FROM repository_former_name WHERE repository_id = $1",
        "DELETE FROM plan_finding WHERE repository_id = $1",
        "DELETE FROM plan_claim WHERE repository_id = $1",
        "DELETE FROM webhook WHERE repository_id = $1",
        "DELETE FROM hearing WHERE repository_id = $1",
        "DELETE FROM ssh_key WHERE repository_id = $1",
        "DELETE FROM lfs_lock WHERE repository_id = $1",
        "DELETE FROM mirror_state WHERE mirror_id IN (SELECT id FROM mirror WHERE repository_id = $1)",
        "DELETE FROM mirror WHERE repository_id = $1",
        "DELETE FROM repository_ref WHERE repository_id = $1",
        "DELETE FROM repository WHERE id = $1",
    ] {
        tx.execute(statement, params![id])?;
    }
    Ok(())
}

/// Keeps a sealed credential.
///
/// # Errors
/// When the store cannot be written.
pub fn set_credential(tx: &Tx<'_>, id: i64, sealed: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE repository SET credential = $1 WHERE id = $2",
        params![sealed, id],
    )?;
    Ok(())
}

/// Forgets a sealed credential: the repository is read without one.
///
/// # Errors
/// When the store cannot be written.
pub fn drop_credential(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE repository SET credential = NULL WHERE id = $1",
        params![id],
    )?;
    Ok(())
}

/// Notes that our hook is in place, or no longer.
///
/// # Errors
/// When the store cannot be written.
pub fn set_hook_installed(tx: &Tx<'_>, id: i64, installed: bool) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE repository SET hook_installed = $1 WHERE id = $2",
        params![installed, id],
    )?;
    Ok(())
}

/// Notes that webhooks tell us of pushes.
///
/// # Errors
/// When the store cannot be written.
pub fn set_hears_pushes(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE repository SET hears_pushes = 1 WHERE id = $1 AND hears_pushes = 0",
        params![id],
    )?;
    Ok(())
}

/// Notes when the refs were read, and why not if so.
///
/// # Errors
/// When the store cannot be written.
pub fn note_checked(tx: &Tx<'_>, id: i64, problem: Option<&str>, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE repository SET last_checked_ms = $1, problem = $2 WHERE id = $3",
        params![now, problem, id],
    )?;
    Ok(())
}

/// What the ledger knows of a repository's refs: full name to object id.
///
/// # Errors
/// When the store cannot be read.
pub fn refs(tx: &Tx<'_>, id: i64) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = tx.all(
        "SELECT name, object_id FROM repository_ref WHERE repository_id = $1",
        params![id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

/// What the ledger knew of a repository's refs at a moment, as far as it still holds: refs that have not moved
/// since then.
///
/// # Errors
/// When the store cannot be read.
pub fn refs_unmoved_since(
    tx: &Tx<'_>,
    id: i64,
    moment: Millis,
) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = tx.all(
        "SELECT name, object_id FROM repository_ref WHERE repository_id = $1 AND updated_ms <= $2",
        params![id, moment],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

/// The object id that the ledger knows for one ref.
///
/// # Errors
/// When the store cannot be read.
pub fn ref_value(tx: &Tx<'_>, id: i64, name: &str) -> Result<Option<String>, StoreError> {
    tx.first(
        "SELECT object_id FROM repository_ref WHERE repository_id = $1 AND name = $2",
        params![id, name],
        |row| row.get(0),
    )
}

/// The event that entered a ref's present value.
///
/// # Errors
/// When the store cannot be read.
pub fn ref_event(tx: &Tx<'_>, id: i64, name: &str) -> Result<Option<i64>, StoreError> {
    let found = tx.first(
        "SELECT event_id FROM repository_ref WHERE repository_id = $1 AND name = $2",
        params![id, name],
        |row| row.get::<Option<i64>>(0),
    )?;
    Ok(found.flatten())
}

/// Enters a ref's new value and the event that brought it; `None` removes the ref.
///
/// # Errors
/// When the store cannot be written.
pub fn set_ref(
    tx: &Tx<'_>,
    id: i64,
    name: &str,
    object_id: Option<&str>,
    event_id: Option<i64>,
    now: Millis,
) -> Result<(), StoreError> {
    match object_id {
        Some(object_id) => tx.execute(
            "INSERT INTO repository_ref (repository_id, name, object_id, updated_ms, event_id) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (repository_id, name) DO UPDATE SET object_id = $3, updated_ms = $4, event_id = $5",
            params![id, name, object_id, now, event_id],
        )?,
        None => tx
            .execute("DELETE FROM repository_ref WHERE repository_id = $1 AND name = $2", params![id, name])?,
    };
    Ok(())
}

/// Notes that the refs were read once.
///
/// # Errors
/// When the store cannot be written.
pub fn set_refs_known(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE repository SET refs_known = 1 WHERE id = $1 AND refs_known = 0",
        params![id],
    )?;
    Ok(())
}

/// Sets the branch that master plans build.
///
/// # Errors
/// When the store cannot be written.
pub fn set_default_branch(tx: &Tx<'_>, id: i64, branch: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE repository SET default_branch = $1 WHERE id = $2",
        params![branch, id],
    )?;
    Ok(())
}
