//! Users, groups, access tokens and browser sessions.

use madake_domain::permission::{TokenLimit, UserPrincipal};
use sha2::{Digest as _, Sha256};

use crate::{Millis, StoreError, Tx, params};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The row's id.
    pub id: i64,
    /// The name that logs in.
    pub name: String,
    /// The name that people read.
    pub full_name: String,
    /// The e-mail address; may be empty.
    pub email: String,
    /// The argon2id hash; `None`: no password, tokens only.
    pub password_hash: Option<String>,
    /// May do everything.
    pub administrator: bool,
    /// May log in.
    pub enabled: bool,
}

const USER: &str = "SELECT id, name, full_name, email, password_hash, administrator, enabled FROM users";

fn read_user(row: &crate::Row<'_>) -> Result<User, StoreError> {
    Ok(User {
        id: row.get(0)?,
        name: row.get(1)?,
        full_name: row.get(2)?,
        email: row.get(3)?,
        password_hash: row.get(4)?,
        administrator: row.get(5)?,
        enabled: row.get(6)?,
    })
}

/// What a new user is made of.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name that logs in.
    pub name: String,
    /// The name that people read.
    pub full_name: String,
    /// The e-mail address; may be empty.
    pub email: String,
    /// The argon2id hash.
    pub password_hash: Option<String>,
    /// May do everything.
    pub administrator: bool,
}

/// Adds a user.
///
/// # Errors
/// [`StoreError::Duplicate`] when the name is taken.
pub fn insert(tx: &Tx<'_>, user: &NewUser, now: Millis) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO users (name, folded, full_name, email, password_hash, administrator, enabled, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7) RETURNING id",
        params![
            user.name,
            user.name.to_lowercase(),
            user.full_name,
            user.email,
            user.password_hash,
            user.administrator,
            now
        ],
    )
    .map_err(|error| match error {
        StoreError::Duplicate(_) => StoreError::Duplicate(format!("a user named {}", user.name)),
        other => other,
    })
}

/// The user with this name, in any case.
///
/// # Errors
/// When the store cannot be read.
pub fn by_name(tx: &Tx<'_>, name: &str) -> Result<Option<User>, StoreError> {
    tx.first(
        &format!("{USER} WHERE folded = $1"),
        params![name.to_lowercase()],
        read_user,
    )
}

/// The user with this e-mail address, in any case; none if several have it.
///
/// # Errors
/// When the store cannot be read.
pub fn by_email(tx: &Tx<'_>, email: &str) -> Result<Option<User>, StoreError> {
    let mut found = tx.all(
        &format!("{USER} WHERE lower(email) = lower($1) AND email <> '' LIMIT 2"),
        params![email],
        read_user,
    )?;
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// The user with this id.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<User>, StoreError> {
    tx.first(&format!("{USER} WHERE id = $1"), params![id], read_user)
}

/// All users by name.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<User>, StoreError> {
    tx.all(&format!("{USER} ORDER BY folded"), &[], read_user)
}

/// Sets the password hash and ends the user's browser sessions: who knew the old password is out.
///
/// # Errors
/// When the store cannot be written.
pub fn set_password(tx: &Tx<'_>, user_id: i64, hash: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE users SET password_hash = $1 WHERE id = $2",
        params![hash, user_id],
    )?;
    tx.execute("DELETE FROM session WHERE user_id = $1", params![user_id])?;
    Ok(())
}

/// Makes the principal that a user acts as.
///
/// # Errors
/// When the store cannot be read.
pub fn principal(
    tx: &Tx<'_>,
    user: &User,
    token_limit: Option<TokenLimit>,
) -> Result<UserPrincipal, StoreError> {
    let groups = tx.all(
        "SELECT g.name FROM user_group g JOIN group_member m ON m.group_id = g.id WHERE m.user_id = $1 ORDER BY g.folded",
        params![user.id],
        |row| row.get(0),
    )?;
    Ok(UserPrincipal {
        id: user.id,
        name: user.name.clone(),
        groups,
        administrator: user.administrator,
        token_limit,
    })
}

/// Adds a group.
///
/// # Errors
/// [`StoreError::Duplicate`] when the name is taken.
pub fn insert_group(tx: &Tx<'_>, name: &str, now: Millis) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO user_group (name, folded, created_ms) VALUES ($1, $2, $3) RETURNING id",
        params![name, name.to_lowercase(), now],
    )
    .map_err(|error| match error {
        StoreError::Duplicate(_) => StoreError::Duplicate(format!("a group named {name}")),
        other => other,
    })
}

/// Removes a group, its memberships and what was granted to it.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such group.
pub fn remove_group(tx: &Tx<'_>, name: &str) -> Result<(), StoreError> {
    let id = group_id(tx, name)?;
    tx.execute("DELETE FROM group_member WHERE group_id = $1", params![id])?;
    tx.execute(
        "DELETE FROM granted WHERE grantee_kind = 'group' AND lower(grantee) = $1",
        params![name.to_lowercase()],
    )?;
    tx.execute(
        "DELETE FROM credential_grant WHERE grantee_kind = 'group' AND grantee = $1",
        params![name.to_lowercase()],
    )?;
    tx.execute("DELETE FROM user_group WHERE id = $1", params![id])?;
    Ok(())
}

/// Whether a group has this name.
///
/// # Errors
/// When the store cannot be read.
pub fn group_exists(tx: &Tx<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(find_group(tx, name)?.is_some())
}

fn find_group(tx: &Tx<'_>, name: &str) -> Result<Option<i64>, StoreError> {
    tx.first(
        "SELECT id FROM user_group WHERE folded = $1",
        params![name.to_lowercase()],
        |row| row.get(0),
    )
}

fn group_id(tx: &Tx<'_>, name: &str) -> Result<i64, StoreError> {
    find_group(tx, name)?.ok_or_else(|| StoreError::Missing(format!("a group named {name}")))
}

fn user_id(tx: &Tx<'_>, name: &str) -> Result<i64, StoreError> {
    by_name(tx, name)?
        .map(|user| user.id)
        .ok_or_else(|| StoreError::Missing(format!("a user named {name}")))
}

/// Puts a user into a group; a no-op when the user is in it.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such group or user.
pub fn add_member(tx: &Tx<'_>, group: &str, user: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO group_member (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        params![group_id(tx, group)?, user_id(tx, user)?],
    )?;
    Ok(())
}

/// Takes a user out of a group.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such group or user.
pub fn remove_member(tx: &Tx<'_>, group: &str, user: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM group_member WHERE group_id = $1 AND user_id = $2",
        params![group_id(tx, group)?, user_id(tx, user)?],
    )?;
    Ok(())
}

/// All groups by name, with the names of their members.
///
/// # Errors
/// When the store cannot be read.
pub fn groups(tx: &Tx<'_>) -> Result<Vec<(String, Vec<String>)>, StoreError> {
    let groups = tx.all("SELECT id, name FROM user_group ORDER BY folded", &[], |row| {
        Ok((row.get::<i64>(0)?, row.get::<String>(1)?))
    })?;
    groups
        .into_iter()
        .map(|(id, name)| {
            let members = tx.all(
                "SELECT u.name FROM users u JOIN group_member m ON m.user_id = u.id WHERE m.group_id = $1 ORDER BY u.folded",
                params![id],
                |row| row.get(0),
            )?;
            Ok((name, members))
        })
        .collect()
}

/// The stored form of a token or a session: nobody who reads the table can log in with it.
#[must_use]
pub fn token_hash(raw: &str) -> String {
    hex::encode(Sha256::digest(raw.as_bytes()))
}

/// An access token, without the token itself.
#[derive(Debug, Clone)]
pub struct Token {
    /// The row's id.
    pub id: i64,
    /// The owner's name.
    pub user: String,
    /// What the owner calls it.
    pub name: String,
    /// What it allows.
    pub limit: TokenLimit,
    /// When it was made.
    pub created_ms: Millis,
    /// When it stops working; `None`: never.
    pub expires_ms: Option<Millis>,
    /// When it was revoked.
    pub revoked_ms: Option<Millis>,
}

/// Stores a token by its hash.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such user.
pub fn insert_token(
    tx: &Tx<'_>,
    user: &str,
    name: &str,
    raw: &str,
    limit: &TokenLimit,
    expires_ms: Option<Millis>,
    now: Millis,
) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO token (user_id, name, hash, permissions, project, created_ms, expires_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        params![
            user_id(tx, user)?,
            name,
            token_hash(raw),
            serde_json::to_string(&limit.permissions)?,
            limit.project,
            now,
            expires_ms
        ],
    )
}

const TOKEN: &str =
    "SELECT t.id, u.name, t.name, t.permissions, t.project, t.created_ms, t.expires_ms, t.revoked_ms
                     FROM token t JOIN users u ON u.id = t.user_id";

fn read_token(row: &crate::Row<'_>) -> Result<Token, StoreError> {
    Ok(Token {
        id: row.get(0)?,
        user: row.get(1)?,
        name: row.get(2)?,
        limit: TokenLimit {
            permissions: row.json(3)?,
            project: row.get(4)?,
        },
        created_ms: row.get(5)?,
        expires_ms: row.get(6)?,
        revoked_ms: row.get(7)?,
    })
}

/// Tokens, of one user or of all.
///
/// # Errors
/// When the store cannot be read.
pub fn tokens(tx: &Tx<'_>, user: Option<&str>) -> Result<Vec<Token>, StoreError> {
    match user {
        Some(name) => tx.all(
            &format!("{TOKEN} WHERE u.folded = $1 ORDER BY t.id"),
            params![name.to_lowercase()],
            read_token,
        ),
        None => tx.all(&format!("{TOKEN} ORDER BY t.id"), &[], read_token),
    }
}

/// Revokes a token. It stays listed.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such token.
pub fn revoke_token(tx: &Tx<'_>, id: i64, now: Millis) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE token SET revoked_ms = $1 WHERE id = $2 AND revoked_ms IS NULL",
        params![now, id],
    )?;
    if changed == 0 {
        Err(StoreError::Missing(format!("a valid token with the id {id}")))
    } else {
        Ok(())
    }
}

/// The principal that a raw token stands for, unless it is unknown, expired or revoked, or its owner disabled.
///
/// # Errors
/// When the store cannot be read.
pub fn principal_by_token(tx: &Tx<'_>, raw: &str, now: Millis) -> Result<Option<UserPrincipal>, StoreError> {
    let Some(token) = tx.first(
        &format!("{TOKEN} WHERE t.hash = $1"),
        params![token_hash(raw)],
        read_token,
    )?
    else {
        return Ok(None);
    };
    let valid = token.revoked_ms.is_none() && token.expires_ms.is_none_or(|end| now < end);
    match by_name(tx, &token.user)? {
        Some(user) if valid && user.enabled => principal(tx, &user, Some(token.limit)).map(Some),
        _ => Ok(None),
    }
}

/// Stores a browser session by its hash.
///
/// # Errors
/// When the store cannot be written.
pub fn insert_session(
    tx: &Tx<'_>,
    raw: &str,
    user_id: i64,
    form_token: &str,
    expires_ms: Millis,
    now: Millis,
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM session WHERE expires_ms < $1", params![now])?;
    // Scripts that log in with each request would fill the table; a person has a few browsers.
    tx.execute(
        "DELETE FROM session WHERE user_id = $1 AND id NOT IN
           (SELECT id FROM session WHERE user_id = $1 ORDER BY id DESC LIMIT 50)",
        params![user_id],
    )?;
    tx.execute(
        "INSERT INTO session (hash, user_id, form_token, created_ms, expires_ms) VALUES ($1, $2, $3, $4, $5)",
        params![token_hash(raw), user_id, form_token, now, expires_ms],
    )?;
    Ok(())
}

/// Ends a session.
///
/// # Errors
/// When the store cannot be written.
pub fn end_session(tx: &Tx<'_>, raw: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM session WHERE hash = $1", params![token_hash(raw)])?;
    Ok(())
}

/// The principal and the form token of a session that has not ended.
///
/// # Errors
/// When the store cannot be read.
pub fn principal_by_session(
    tx: &Tx<'_>,
    raw: &str,
    now: Millis,
) -> Result<Option<(UserPrincipal, String)>, StoreError> {
    let found = tx.first(
        "SELECT user_id, form_token FROM session WHERE hash = $1 AND expires_ms > $2",
        params![token_hash(raw), now],
        |row| Ok((row.get::<i64>(0)?, row.get::<String>(1)?)),
    )?;
    let Some((user_id, form_token)) = found else {
        return Ok(None);
    };
    match by_id(tx, user_id)? {
        Some(user) if user.enabled => Ok(Some((principal(tx, &user, None)?, form_token))),
        _ => Ok(None),
    }
}
