//! Grants: who may do what on what.

use madake_domain::permission::{Grant, Grantee, Permission, Scope};

use crate::{Millis, StoreError, Tx, params};

fn grantee_columns(grantee: &Grantee) -> (&'static str, &str) {
    match grantee {
        Grantee::User(name) => ("user", name),
        Grantee::Group(name) => ("group", name),
        Grantee::LoggedIn => ("logged-in", ""),
        Grantee::Anonymous => ("anonymous", ""),
        Grantee::Repository(name) => ("repository", name),
    }
}

pub(crate) fn read_grant(row: &crate::Row<'_>) -> Result<Grant, StoreError> {
    let kind: String = row.get(0)?;
    let name: String = row.get(1)?;
    let grantee = match kind.as_str() {
        "user" => Grantee::User(name),
        "group" => Grantee::Group(name),
        "logged-in" => Grantee::LoggedIn,
        "anonymous" => Grantee::Anonymous,
        "repository" => Grantee::Repository(name),
        other => return Err(StoreError::Damaged(format!("`{other}` is not a kind of grantee"))),
    };
    let permission: String = row.get(2)?;
    let permission = permission
        .parse()
        .map_err(|error| StoreError::Damaged(format!("{error}")))?;
    Ok(Grant { grantee, permission })
}

/// The text under which grants on a thing are stored: plan and project keys as they are, repositories folded,
/// deployment projects and environments by their ids, nothing for the server.
#[must_use]
pub fn subject(scope: Scope, key: &str) -> String {
    match scope {
        Scope::Global => String::new(),
        Scope::Project | Scope::Plan => key.to_uppercase(),
        Scope::Repository | Scope::Deployment | Scope::Environment => key.to_lowercase(),
    }
}

/// Grants `permission`; says whether that is new.
///
/// # Errors
/// When the store cannot be written.
pub fn grant(
    tx: &Tx<'_>,
    scope: Scope,
    key: &str,
    grantee: &Grantee,
    permission: Permission,
    now: Millis,
) -> Result<bool, StoreError> {
    let (kind, name) = grantee_columns(grantee);
    let changed = tx.execute(
        "INSERT INTO granted (scope, subject, grantee_kind, grantee, permission, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        params![
            scope.as_str(),
            subject(scope, key),
            kind,
            name.to_lowercase(),
            permission.as_str(),
            now
        ],
    )?;
    Ok(changed > 0)
}

/// Takes a grant back; says whether there was one.
///
/// # Errors
/// When the store cannot be written.
pub fn revoke(
    tx: &Tx<'_>,
    scope: Scope,
    key: &str,
    grantee: &Grantee,
    permission: Permission,
) -> Result<bool, StoreError> {
    let (kind, name) = grantee_columns(grantee);
    let changed = tx.execute(
        "DELETE FROM granted WHERE scope = $1 AND subject = $2 AND grantee_kind = $3 AND grantee = $4 AND permission = $5",
        params![scope.as_str(), subject(scope, key), kind, name.to_lowercase(), permission.as_str()],
    )?;
    Ok(changed > 0)
}

/// Takes back everything that is granted to people on a thing, as a plan-permissions document does before it grants.
/// What the plan files of repositories may do with it stays.
///
/// # Errors
/// When the store cannot be written.
pub fn revoke_from_people(tx: &Tx<'_>, scope: Scope, key: &str) -> Result<usize, StoreError> {
    tx.execute(
        "DELETE FROM granted WHERE scope = $1 AND subject = $2 AND grantee_kind <> 'repository'",
        params![scope.as_str(), subject(scope, key)],
    )
}

/// Lets the plan file of a repository with a new name do what it could do under the old one; `None`: nothing any more.
///
/// # Errors
/// When the store cannot be written.
pub fn rename_repository(tx: &Tx<'_>, from: &str, to: Option<&str>) -> Result<(), StoreError> {
    let from = from.to_lowercase();
    let to = to.map(str::to_lowercase);
    if to.as_ref() == Some(&from) {
        return Ok(());
    }
    if let Some(to) = to {
        tx.execute(
            "DELETE FROM granted WHERE grantee_kind = 'repository' AND grantee = $1",
            params![to],
        )?;
        tx.execute(
            "UPDATE granted SET grantee = $1 WHERE grantee_kind = 'repository' AND grantee = $2",
            params![to, from],
        )?;
    } else {
        tx.execute(
            "DELETE FROM granted WHERE grantee_kind = 'repository' AND grantee = $1",
            params![from],
        )?;
    }
    Ok(())
}

/// Takes back everything that is granted on a thing.
///
/// # Errors
/// When the store cannot be written.
pub fn revoke_all(tx: &Tx<'_>, scope: Scope, key: &str) -> Result<usize, StoreError> {
    tx.execute(
        "DELETE FROM granted WHERE scope = $1 AND subject = $2",
        params![scope.as_str(), subject(scope, key)],
    )
}

/// Lets the grants on one thing be those on another, which had none of its own or loses them.
///
/// # Errors
/// When the store cannot be written.
pub fn move_all(tx: &Tx<'_>, scope: Scope, from: &str, to: &str) -> Result<(), StoreError> {
    let (from, to) = (subject(scope, from), subject(scope, to));
    if from == to {
        return Ok(());
    }
    tx.execute(
        "DELETE FROM granted WHERE scope = $1 AND subject = $2",
        params![scope.as_str(), to],
    )?;
    tx.execute(
        "UPDATE granted SET subject = $1 WHERE scope = $2 AND subject = $3",
        params![to, scope.as_str(), from],
    )?;
    Ok(())
}

/// The grants on one thing itself.
///
/// # Errors
/// When the store cannot be read.
pub fn on(tx: &Tx<'_>, scope: Scope, key: &str) -> Result<Vec<Grant>, StoreError> {
    tx.all(
        "SELECT grantee_kind, grantee, permission FROM granted WHERE scope = $1 AND subject = $2 ORDER BY id",
        params![scope.as_str(), subject(scope, key)],
        read_grant,
    )
}

/// All grants that bear on a plan or a repository: its own, its project's, the server's.
///
/// # Errors
/// When the store cannot be read.
pub fn bearing_on(
    tx: &Tx<'_>,
    scope: Scope,
    key: &str,
    project: Option<&str>,
) -> Result<Vec<Grant>, StoreError> {
    tx.all(
        "SELECT grantee_kind, grantee, permission FROM granted
         WHERE (scope = $1 AND subject = $2) OR (scope = 'project' AND subject = $3) OR scope = 'global' ORDER BY id",
        params![scope.as_str(), subject(scope, key), project.unwrap_or("-").to_uppercase()],
        read_grant,
    )
}
