//! What people said of results.

use crate::{Millis, StoreError, Tx, params};

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// The row's id.
    pub id: i64,
    /// The build.
    pub build_id: i64,
    /// The name of the user who wrote it.
    pub author: String,
    /// The text.
    pub content: String,
    /// When it was written.
    pub created_ms: Millis,
}

/// Adds a comment.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(
    tx: &Tx<'_>,
    build_id: i64,
    author: &str,
    content: &str,
    now: Millis,
) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO result_comment (build_id, author, content, created_ms) VALUES ($1, $2, $3, $4) RETURNING id",
        params![build_id, author, content, now],
    )
}

/// The comments on a build, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn of_build(tx: &Tx<'_>, build_id: i64) -> Result<Vec<Comment>, StoreError> {
    tx.all(
        "SELECT id, build_id, author, content, created_ms FROM result_comment WHERE build_id = $1 ORDER BY id",
        params![build_id],
        |row| {
            Ok(Comment {
                id: row.get(0)?,
                build_id: row.get(1)?,
                author: row.get(2)?,
                content: row.get(3)?,
                created_ms: row.get(4)?,
            })
        },
    )
}

/// Removes a comment.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM result_comment WHERE id = $1", params![id])?;
    Ok(())
}
