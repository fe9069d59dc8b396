//! Variables that people set: of the server, of projects, and of plans. Values of secrets are sealed.

use crate::{Millis, StoreError, Tx, params};

/// What a variable belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariableScope {
    /// The server.
    Global,
    /// A project, by key.
    Project(String),
    /// A plan, by the key of its master.
    Plan(String),
}

impl VariableScope {
    fn columns(&self) -> (&'static str, String) {
        match self {
            Self::Global => ("global", String::new()),
            Self::Project(key) => ("project", key.to_uppercase()),
            Self::Plan(key) => ("plan", key.to_uppercase()),
        }
    }

    /// Where the value of a secret is sealed for.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        let (scope, subject) = self.columns();
        format!("variable:{scope}:{subject}:{name}")
    }
}

/// The value of a variable as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredValue {
    /// As it is.
    Plain(String),
    /// Sealed to [`VariableScope::place`].
    Sealed(Vec<u8>),
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVariable {
    /// The row's id.
    pub id: i64,
    /// The name without `bamboo.` in front.
    pub name: String,
    /// The value; a secret is sealed.
    pub value: StoredValue,
    /// Who set it.
    pub changed_by: String,
    /// When.
    pub changed_ms: Millis,
}

impl StoredVariable {
    /// Whether it is a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.value, StoredValue::Sealed(_))
    }
}

const VARIABLE: &str = "SELECT id, name, value, sealed, changed_by, changed_ms FROM variable";

fn read(row: &crate::Row<'_>) -> Result<StoredVariable, StoreError> {
    let sealed: Option<Vec<u8>> = row.get(3)?;
    let value = match sealed {
        Some(sealed) => StoredValue::Sealed(sealed),
        None => StoredValue::Plain(row.get::<Option<String>>(2)?.unwrap_or_default()),
    };
    Ok(StoredVariable {
        id: row.get(0)?,
        name: row.get(1)?,
        value,
        changed_by: row.get(4)?,
        changed_ms: row.get(5)?,
    })
}

/// Sets a variable; says whether it is new.
///
/// # Errors
/// When the store cannot be written.
pub fn set(
    tx: &Tx<'_>,
    scope: &VariableScope,
    name: &str,
    value: &StoredValue,
    changed_by: &str,
    now: Millis,
) -> Result<bool, StoreError> {
    let is_new = by_name(tx, scope, name)?.is_none();
    let (scope, subject) = scope.columns();
    let (plain, sealed) = match value {
        StoredValue::Plain(text) => (Some(text.as_str()), None),
        StoredValue::Sealed(bytes) => (None, Some(bytes.as_slice())),
    };
    tx.execute(
        "INSERT INTO variable (scope, subject, name, value, sealed, secret, changed_by, changed_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (scope, subject, name) DO UPDATE
           SET value = $4, sealed = $5, secret = $6, changed_by = $7, changed_ms = $8",
        params![
            scope,
            subject,
            name,
            plain,
            sealed,
            sealed.is_some(),
            changed_by,
            now
        ],
    )?;
    Ok(is_new)
}

/// Removes a variable; says whether there was one.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, scope: &VariableScope, name: &str) -> Result<bool, StoreError> {
    let (scope, subject) = scope.columns();
    let removed = tx.execute(
        "DELETE FROM variable WHERE scope = $1 AND subject = $2 AND name = $3",
        params![scope, subject, name],
    )?;
    Ok(removed > 0)
}

/// The keys of the plans of a project that variables were set for, also of plans that are not there.
///
/// # Errors
/// When the store cannot be read.
pub fn plans_of_project(tx: &Tx<'_>, project: &str) -> Result<Vec<String>, StoreError> {
    let prefix = format!("{}-", project.to_uppercase());
    tx.all(
        "SELECT DISTINCT subject FROM variable WHERE scope = 'plan' AND substr(subject, 1, length($1)) = $1 ORDER BY subject",
        params![prefix],
        |row| row.get(0),
    )
}

/// The variable with this name.
///
/// # Errors
/// When the store cannot be read.
pub fn by_name(tx: &Tx<'_>, scope: &VariableScope, name: &str) -> Result<Option<StoredVariable>, StoreError> {
    let (scope, subject) = scope.columns();
    tx.first(
        &format!("{VARIABLE} WHERE scope = $1 AND subject = $2 AND name = $3"),
        params![scope, subject, name],
        read,
    )
}

/// The variables of a scope, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>, scope: &VariableScope) -> Result<Vec<StoredVariable>, StoreError> {
    let (scope, subject) = scope.columns();
    tx.all(
        &format!("{VARIABLE} WHERE scope = $1 AND subject = $2 ORDER BY name"),
        params![scope, subject],
        read,
    )
}

/// The names of the secrets that were set for the server, a project and a plan.
///
/// # Errors
/// When the store cannot be read.
pub fn secret_names(tx: &Tx<'_>, project: &str, plan: &str) -> Result<Vec<String>, StoreError> {
    tx.all(
        "SELECT DISTINCT name FROM variable WHERE secret = 1 AND (scope = 'global'
           OR (scope = 'project' AND subject = $1) OR (scope = 'plan' AND subject = $2)) ORDER BY name",
        params![project.to_uppercase(), plan.to_uppercase()],
        |row| row.get(0),
    )
}
