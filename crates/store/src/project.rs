//! Projects: what plans and repositories lie in.

use madake_domain::key::ProjectKey;

use crate::{Millis, StoreError, Tx, params};

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The row's id.
    pub id: i64,
    /// `PROJ`
    pub key: String,
    /// The name that people read.
    pub name: String,
    /// What it is for.
    pub description: String,
}

const PROJECT: &str = "SELECT id, key, name, description FROM project";

fn read_project(row: &crate::Row<'_>) -> Result<Project, StoreError> {
    Ok(Project {
        id: row.get(0)?,
        key: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
    })
}

/// The project with this key.
///
/// # Errors
/// When the store cannot be read.
pub fn by_key(tx: &Tx<'_>, key: &ProjectKey) -> Result<Option<Project>, StoreError> {
    tx.first(
        &format!("{PROJECT} WHERE key = $1"),
        params![key.as_str()],
        read_project,
    )
}

/// All projects by key.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<Project>, StoreError> {
    tx.all(&format!("{PROJECT} ORDER BY key"), &[], read_project)
}

/// The project with this key, made with its key as its name when it is not there.
///
/// # Errors
/// When the store cannot be written.
pub fn ensure(tx: &Tx<'_>, key: &ProjectKey, now: Millis) -> Result<Project, StoreError> {
    tx.execute(
        "INSERT INTO project (key, name, description, created_ms) VALUES ($1, $1, '', $2) ON CONFLICT DO NOTHING",
        params![key.as_str(), now],
    )?;
    by_key(tx, key)?.ok_or_else(|| StoreError::Missing(format!("the project {key}")))
}

/// Names a project.
///
/// # Errors
/// When the store cannot be written.
pub fn rename(tx: &Tx<'_>, id: i64, name: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE project SET name = $1 WHERE id = $2", params![name, id])?;
    Ok(())
}
