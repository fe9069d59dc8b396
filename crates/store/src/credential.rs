//! Shared credentials: of the server or of a project, sealed, with who may use them and which linked repositories do.

use madake_domain::credential::{CredentialGrantee, CredentialKind};
use madake_domain::plan::{DeploymentConfiguration, PlanConfiguration};

use crate::{Millis, StoreError, Tx, params};

/// A credential, without what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The row's id.
    pub id: i64,
    /// The key of the project that it belongs to; `None`: the server.
    pub project: Option<String>,
    /// The name, as it was written.
    pub name: String,
    /// What it is made of.
    pub kind: CredentialKind,
    /// The user name; empty where whoever names it gives one.
    pub username: String,
    /// The fingerprint of the key, `SHA256:...`; empty for a password.
    pub fingerprint: String,
    /// What it holds, sealed to [`place`].
    pub sealed: Vec<u8>,
    /// Who entered it last.
    pub changed_by: String,
    /// When.
    pub changed_ms: Millis,
    /// When a job got it, or a linked repository was read with it, last; see [`due_of_repository`] for how exact.
    pub last_used_ms: Option<Millis>,
    /// The key of that job's result, or the name of the repository.
    pub last_used_by: Option<String>,
}

/// What a credential is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// The key of the project that it belongs to; `None`: the server.
    pub project: Option<String>,
    /// The name.
    pub name: String,
    /// What it is made of.
    pub kind: CredentialKind,
    /// The user name.
    pub username: String,
    /// The fingerprint of the key.
    pub fingerprint: String,
}

/// Where what a credential holds is sealed for.
#[must_use]
pub fn place(id: i64) -> String {
    format!("credential:{id}")
}

const CREDENTIAL: &str =
    "SELECT id, project, name, kind, username, fingerprint, sealed, changed_by, changed_ms,
  last_used_ms, last_used_by FROM credential";

fn read(row: &crate::Row<'_>) -> Result<Credential, StoreError> {
    let kind: String = row.get(3)?;
    Ok(Credential {
        id: row.get(0)?,
        project: Some(row.get::<String>(1)?).filter(|key| !key.is_empty()),
        name: row.get(2)?,
        kind: kind
            .parse()
            .map_err(|error| StoreError::Damaged(format!("{error}")))?,
        username: row.get(4)?,
        fingerprint: row.get(5)?,
        sealed: row.get(6)?,
        changed_by: row.get(7)?,
        changed_ms: row.get(8)?,
        last_used_ms: row.get(9)?,
        last_used_by: row.get(10)?,
    })
}

fn owner(project: Option<&str>) -> String {
    project.unwrap_or_default().to_uppercase()
}

/// Keeps a credential with nothing in it yet, or changes the one of the same name; gives its id. What it holds comes by
/// [`set_sealed`], as it is sealed to the id.
///
/// # Errors
/// When the store cannot be written.
pub fn keep(tx: &Tx<'_>, new: &NewCredential, changed_by: &str, now: Millis) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO credential (project, name, folded, kind, username, fingerprint, sealed, changed_by, changed_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (project, folded) DO UPDATE
           SET name = $2, kind = $4, username = $5, fingerprint = $6, changed_by = $8, changed_ms = $9
         RETURNING id",
        params![
            owner(new.project.as_deref()),
            new.name,
            new.name.to_lowercase(),
            new.kind.as_str(),
            new.username,
            new.fingerprint,
            Vec::<u8>::new(),
            changed_by,
            now
        ],
    )
}

/// Keeps what a credential holds.
///
/// # Errors
/// When the store cannot be written.
pub fn set_sealed(tx: &Tx<'_>, id: i64, sealed: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE credential SET sealed = $1 WHERE id = $2",
        params![sealed, id],
    )?;
    Ok(())
}

/// Notes that a job got it, or a repository was read with it.
///
/// # Errors
/// When the store cannot be written.
pub fn note_use(tx: &Tx<'_>, id: i64, by: &str, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE credential SET last_used_ms = $1, last_used_by = $2 WHERE id = $3",
        params![now, by, id],
    )?;
    Ok(())
}

/// The credential that a linked repository is read with, if none of its uses was noted after `since`. A repository may be
/// read each second, which need not cost a commit each time.
///
/// # Errors
/// When the store cannot be read.
pub fn due_of_repository(tx: &Tx<'_>, repository_id: i64, since: Millis) -> Result<Option<i64>, StoreError> {
    tx.first(
        "SELECT c.id FROM repository_credential r JOIN credential c ON c.id = r.credential_id
         WHERE r.repository_id = $1 AND (c.last_used_ms IS NULL OR c.last_used_ms <= $2)",
        params![repository_id, since],
        |row| row.get(0),
    )
}

/// Forgets a credential, who may use it, and which linked repositories are read with it.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM repository_credential WHERE credential_id = $1",
        "DELETE FROM credential_grant WHERE credential_id = $1",
        "DELETE FROM credential WHERE id = $1",
    ] {
        tx.execute(statement, params![id])?;
    }
    Ok(())
}

/// The credential of this name that belongs to a project, or with `None` to the server.
///
/// # Errors
/// When the store cannot be read.
pub fn by_name(tx: &Tx<'_>, project: Option<&str>, name: &str) -> Result<Option<Credential>, StoreError> {
    tx.first(
        &format!("{CREDENTIAL} WHERE project = $1 AND folded = $2"),
        params![owner(project), name.to_lowercase()],
        read,
    )
}

/// The credential that plans of a project mean by this name: the project's, or else the server's.
///
/// # Errors
/// When the store cannot be read.
pub fn meant(tx: &Tx<'_>, project: &str, name: &str) -> Result<Option<Credential>, StoreError> {
    match by_name(tx, Some(project), name)? {
        Some(own) => Ok(Some(own)),
        None => by_name(tx, None, name),
    }
}

/// All credentials: the server's, then those of projects, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<Credential>, StoreError> {
    tx.all(&format!("{CREDENTIAL} ORDER BY project, folded"), &[], read)
}

fn grantee_columns(grantee: &CredentialGrantee) -> (&'static str, String) {
    match grantee {
        CredentialGrantee::Repository(id) => ("repository", id.to_string()),
        CredentialGrantee::Project(key) => ("project", key.to_uppercase()),
        CredentialGrantee::User(name) => ("user", name.to_lowercase()),
        CredentialGrantee::Group(name) => ("group", name.to_lowercase()),
    }
}

/// Lets somebody use a credential; says whether that is new.
///
/// # Errors
/// When the store cannot be written.
pub fn grant(
    tx: &Tx<'_>,
    id: i64,
    grantee: &CredentialGrantee,
    by: &str,
    now: Millis,
) -> Result<bool, StoreError> {
    let (kind, name) = grantee_columns(grantee);
    let changed = tx.execute(
        "INSERT INTO credential_grant (credential_id, grantee_kind, grantee, granted_by, granted_ms)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        params![id, kind, name, by, now],
    )?;
    Ok(changed > 0)
}

/// Takes the use back; says whether it was granted.
///
/// # Errors
/// When the store cannot be written.
pub fn revoke(tx: &Tx<'_>, id: i64, grantee: &CredentialGrantee) -> Result<bool, StoreError> {
    let (kind, name) = grantee_columns(grantee);
    let changed = tx.execute(
        "DELETE FROM credential_grant WHERE credential_id = $1 AND grantee_kind = $2 AND grantee = $3",
        params![id, kind, name],
    )?;
    Ok(changed > 0)
}

/// Who may use a credential.
///
/// # Errors
/// When the store cannot be read.
pub fn grants(tx: &Tx<'_>, id: i64) -> Result<Vec<CredentialGrantee>, StoreError> {
    tx.all(
        "SELECT grantee_kind, grantee FROM credential_grant WHERE credential_id = $1 ORDER BY grantee_kind, grantee",
        params![id],
        |row| {
            let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
            match kind.as_str() {
                "repository" => name.parse().map(CredentialGrantee::Repository).map_err(|_| {
                    StoreError::Damaged(format!("`{name}` is not the id of a repository"))
                }),
                "project" => Ok(CredentialGrantee::Project(name)),
                "user" => Ok(CredentialGrantee::User(name)),
                "group" => Ok(CredentialGrantee::Group(name)),
                other => Err(StoreError::Damaged(format!("`{other}` is not a kind of grantee"))),
            }
        },
    )
}

/// Notes which credential a linked repository is read with; `None`: one of its own.
///
/// # Errors
/// When the store cannot be written.
pub fn set_of_repository(
    tx: &Tx<'_>,
    repository_id: i64,
    credential_id: Option<i64>,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM repository_credential WHERE repository_id = $1",
        params![repository_id],
    )?;
    if let Some(credential_id) = credential_id {
        tx.execute(
            "INSERT INTO repository_credential (repository_id, credential_id) VALUES ($1, $2)",
            params![repository_id, credential_id],
        )?;
    }
    Ok(())
}

/// Ids and names of the linked repositories that are read with a credential.
///
/// # Errors
/// When the store cannot be read.
pub fn repositories_of(tx: &Tx<'_>, id: i64) -> Result<Vec<(i64, String)>, StoreError> {
    tx.all(
        "SELECT r.id, r.name FROM repository_credential c JOIN repository r ON r.id = c.repository_id
         WHERE c.credential_id = $1 ORDER BY r.name",
        params![id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Whether something is kept for a project, or granted to its plans.
///
/// # Errors
/// When the store cannot be read.
pub fn concerns_project(tx: &Tx<'_>, key: &str) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT id FROM credential WHERE project = $1
         UNION SELECT credential_id FROM credential_grant WHERE grantee_kind = 'project' AND grantee = $1",
        params![key.to_uppercase()],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Takes away what a repository that is removed could use and used.
///
/// # Errors
/// When the store cannot be written.
pub fn forget_repository(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM repository_credential WHERE repository_id = $1",
        params![id],
    )?;
    tx.execute(
        "DELETE FROM credential_grant WHERE grantee_kind = 'repository' AND grantee = $1",
        params![id.to_string()],
    )?;
    Ok(())
}

/// The versions in force that name credentials, of plans and of plan branches with a file of their own, each with the key.
///
/// # Errors
/// When the store cannot be read.
pub fn plans_that_name_any(tx: &Tx<'_>) -> Result<Vec<(String, PlanConfiguration)>, StoreError> {
    tx.all(
        "SELECT p.key, v.configuration FROM plan p JOIN plan_version v ON v.id = p.version_id
         WHERE v.configuration LIKE '%\"by\":\"shared\"%'
         UNION ALL
         SELECT b.key, v.configuration FROM plan_branch b JOIN plan_version v ON v.id = b.version_id
         WHERE v.configuration LIKE '%\"by\":\"shared\"%'
         ORDER BY 1",
        &[],
        |row| Ok((row.get(0)?, row.json(1)?)),
    )
}

/// The versions in force of deployment projects that name credentials.
///
/// # Errors
/// When the store cannot be read.
pub fn deployments_that_name_any(tx: &Tx<'_>) -> Result<Vec<DeploymentConfiguration>, StoreError> {
    tx.all(
        "SELECT v.configuration FROM deployment_project d JOIN deployment_version v ON v.id = d.version_id
         WHERE d.removed_ms IS NULL AND v.configuration LIKE '%\"by\":\"shared\"%' ORDER BY d.folded",
        &[],
        |row| row.json(0),
    )
}
