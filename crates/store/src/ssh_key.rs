//! Public keys that come in by SSH, each of a user or of one repository.

use crate::{Millis, StoreError, Tx, params};

/// A registered key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshKey {
    /// The row's id.
    pub id: i64,
    /// Who comes in with it.
    pub owner: KeyOwner,
    /// OpenSSH's text without a comment, `ssh-ed25519 AAAA...`: equal keys have equal texts.
    pub openssh: String,
    /// `SHA256:` and 43 characters of Base64.
    pub fingerprint: String,
    /// What stood behind the key, often the name of a person and a machine; may be empty.
    pub comment: String,
    /// When it was registered.
    pub created_ms: Millis,
    /// When it last came in, to the minute.
    pub last_used_ms: Option<Millis>,
}

/// Who comes in with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOwner {
    /// A user, who may do what the user may do.
    User {
        /// The user's id.
        id: i64,
        /// The user's name.
        name: String,
    },
    /// Whoever has the key of this repository, for nothing else.
    Repository {
        /// The repository's id.
        id: i64,
        /// The repository's name.
        name: String,
        /// Whether it may push.
        write: bool,
    },
}

/// What a new key is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSshKey {
    /// OpenSSH's text without a comment.
    pub openssh: String,
    /// `SHA256:` and 43 characters of Base64.
    pub fingerprint: String,
    /// What its owner calls it; may be empty.
    pub comment: String,
}

/// Whom to add a key for, by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFor {
    /// The user with this id.
    User(i64),
    /// The repository with this id.
    Repository {
        /// The repository's id.
        id: i64,
        /// Whether the key may push.
        write: bool,
    },
}

const KEY: &str = "SELECT k.id, k.user_id, u.name, k.repository_id, r.name, k.may_write, k.openssh, k.fingerprint, k.comment,
  k.created_ms, k.last_used_ms
  FROM ssh_key k LEFT JOIN users u ON u.id = k.user_id LEFT JOIN repository r ON r.id = k.repository_id";

fn read_key(row: &crate::Row<'_>) -> Result<SshKey, StoreError> {
    let user: (Option<i64>, Option<String>) = (row.get(1)?, row.get(2)?);
    let repository: (Option<i64>, Option<String>) = (row.get(3)?, row.get(4)?);
    let owner = match (user, repository) {
        ((Some(id), Some(name)), _) => KeyOwner::User { id, name },
        (_, (Some(id), Some(name))) => KeyOwner::Repository {
            id,
            name,
            write: row.get(5)?,
        },
        _ => return Err(StoreError::Damaged("an SSH key without an owner".into())),
    };
    Ok(SshKey {
        id: row.get(0)?,
        owner,
        openssh: row.get(6)?,
        fingerprint: row.get(7)?,
        comment: row.get(8)?,
        created_ms: row.get(9)?,
        last_used_ms: row.get(10)?,
    })
}

/// Adds a key.
///
/// # Errors
/// [`StoreError::Duplicate`] when the key is registered, for whomever.
pub fn insert(tx: &Tx<'_>, owner: KeyFor, new: &NewSshKey, now: Millis) -> Result<i64, StoreError> {
    let (user, repository, write) = match owner {
        KeyFor::User(id) => (Some(id), None, true),
        KeyFor::Repository { id, write } => (None, Some(id), write),
    };
    tx.insert(
        "INSERT INTO ssh_key (user_id, repository_id, openssh, fingerprint, comment, may_write, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        params![
            user,
            repository,
            new.openssh,
            new.fingerprint,
            new.comment,
            write,
            now
        ],
    )
    .map_err(|error| match error {
        StoreError::Duplicate(_) => StoreError::Duplicate(format!("the key {}", new.fingerprint)),
        other => other,
    })
}

/// The key with this text.
///
/// # Errors
/// When the store cannot be read.
pub fn by_openssh(tx: &Tx<'_>, openssh: &str) -> Result<Option<SshKey>, StoreError> {
    tx.first(&format!("{KEY} WHERE k.openssh = $1"), params![openssh], read_key)
}

/// The key with this id.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<SshKey>, StoreError> {
    tx.first(&format!("{KEY} WHERE k.id = $1"), params![id], read_key)
}

/// All keys.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<SshKey>, StoreError> {
    tx.all(&format!("{KEY} ORDER BY k.id"), &[], read_key)
}

/// The keys of a user.
///
/// # Errors
/// When the store cannot be read.
pub fn of_user(tx: &Tx<'_>, user_id: i64) -> Result<Vec<SshKey>, StoreError> {
    tx.all(
        &format!("{KEY} WHERE k.user_id = $1 ORDER BY k.id"),
        params![user_id],
        read_key,
    )
}

/// The keys of a repository.
///
/// # Errors
/// When the store cannot be read.
pub fn of_repository(tx: &Tx<'_>, repository_id: i64) -> Result<Vec<SshKey>, StoreError> {
    tx.all(
        &format!("{KEY} WHERE k.repository_id = $1 ORDER BY k.id"),
        params![repository_id],
        read_key,
    )
}

/// Notes that a key came in.
///
/// # Errors
/// When the store cannot be written.
pub fn note_use(tx: &Tx<'_>, id: i64, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ssh_key SET last_used_ms = $1 WHERE id = $2",
        params![now, id],
    )?;
    Ok(())
}

/// Removes a key; a no-op when it is not there.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM ssh_key WHERE id = $1", params![id])?;
    Ok(())
}
