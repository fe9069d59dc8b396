//! The one file that knows which engine the tables live in.
//!
//! Statements are written once, in the subset that SQLite and PostgreSQL share: `BIGINT`, `TEXT`, `BYTEA`,
//! booleans as 0 and 1, placeholders `$1`, `ON CONFLICT`, `RETURNING`. A second engine is added here and
//! nowhere else.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::wake::Topic;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A row with the same unique value exists already.
    #[error("{0} exists already")]
    Duplicate(String),
    /// A row that the operation needs is not there.
    #[error("{0} does not exist")]
    Missing(String),
    /// The disk is full, read-only or broken: nothing was stored, the caller may try again later.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
    /// A stored value does not read back; the row was written by another version or damaged.
    #[error("a stored value cannot be read: {0}")]
    Damaged(String),
    /// A rule of the product forbids the change.
    #[error("{0}")]
    Refused(String),
    /// The engine refused a statement.
    #[error("the store refused a statement: {0}")]
    Engine(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match &error {
            rusqlite::Error::SqliteFailure(code, message) => match code.code {
                ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen => Self::Unavailable(error.to_string()),
                ErrorCode::ConstraintViolation
                    if matches!(
                        code.extended_code,
                        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                    ) =>
                {
                    let what = message
                        .as_deref()
                        .and_then(|m| m.split(": ").nth(1))
                        .unwrap_or("the row");
                    Self::Duplicate(what.to_owned())
                }
                _ => Self::Engine(error.to_string()),
            },
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Engine(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// A value that goes into a statement.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A number, a time, or a boolean as 0 or 1.
    Integer(i64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// Anything that can be a parameter of a statement.
pub trait Param {
    /// The value as the engine gets it.
    fn value(&self) -> Value<'_>;
}

impl Param for i64 {
    fn value(&self) -> Value<'_> {
        Value::Integer(*self)
    }
}

impl Param for bool {
    fn value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl Param for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Param for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Param for [u8] {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl Param for Vec<u8> {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<T: Param + ?Sized> Param for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

impl<T: Param> Param for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Param::value)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Parameters of a statement, in the order of `$1`, `$2`, and so on.
#[macro_export]
#[doc(hidden)]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$(&$value as &dyn $crate::Param),*][..] };
}

/// One row of an answer. Columns are counted from 0.
pub struct Row<'a>(&'a rusqlite::Row<'a>);

/// A type that a column can be read as.
pub trait Column: Sized {
    /// Reads the column.
    ///
    /// # Errors
    /// When the column holds something else.
    fn read(row: &Row<'_>, index: usize) -> Result<Self, StoreError>;
}

macro_rules! plain_column {
    ($($kind:ty),*) => {$(
        impl Column for $kind {
            fn read(row: &Row<'_>, index: usize) -> Result<Self, StoreError> {
                Ok(row.0.get(index)?)
            }
        }
    )*};
}

plain_column!(i64, String, Vec<u8>, Option<i64>, Option<String>, Option<Vec<u8>>);

impl Column for bool {
    fn read(row: &Row<'_>, index: usize) -> Result<Self, StoreError> {
        Ok(row.0.get::<_, i64>(index)? != 0)
    }
}

impl Row<'_> {
    /// The column at `index`.
    ///
    /// # Errors
    /// When the column holds something else than asked for.
    pub fn get<T: Column>(&self, index: usize) -> Result<T, StoreError> {
        T::read(self, index)
    }

    /// The JSON text of the column at `index`, read as `T`.
    ///
    /// # Errors
    /// When the text is not JSON of that shape.
    pub fn json<T: serde::de::DeserializeOwned>(&self, index: usize) -> Result<T, StoreError> {
        Ok(serde_json::from_str(&self.get::<String>(index)?)?)
    }
}

/// A transaction. Statements run in it; topics named with [`Tx::wake`] are woken after it is committed.
pub struct Tx<'a> {
    connection: &'a Connection,
    woken: RefCell<BTreeSet<Topic>>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            woken: RefCell::new(BTreeSet::new()),
        }
    }

    /// Wakes the loops that wait for `topic`, after the commit.
    pub fn wake(&self, topic: Topic) {
        self.woken.borrow_mut().insert(topic);
    }

    pub(crate) fn take_woken(&self) -> BTreeSet<Topic> {
        self.woken.take()
    }

    /// Runs a statement and says how many rows it changed.
    ///
    /// # Errors
    /// When the engine refuses it.
    pub fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        Ok(statement.raw_execute()?)
    }

    /// Runs an `INSERT ... RETURNING id` and gives the id.
    ///
    /// # Errors
    /// When the engine refuses it.
    pub fn insert(&self, sql: &str, params: &[&dyn Param]) -> Result<i64, StoreError> {
        self.first(sql, params, |row| row.get(0))?
            .ok_or_else(|| StoreError::Missing("the inserted row".into()))
    }

    /// Each row of an answer, through `read`.
    ///
    /// # Errors
    /// When the engine refuses the statement or `read` fails.
    pub fn all<T>(
        &self,
        sql: &str,
        params: &[&dyn Param],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(&Row(row))?);
        }
        Ok(found)
    }

    /// The first row of an answer, through `read`.
    ///
    /// # Errors
    /// When the engine refuses the statement or `read` fails.
    pub fn first<T>(
        &self,
        sql: &str,
        params: &[&dyn Param],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        rows.next()?.map(|row| read(&Row(row))).transpose()
    }

    pub(crate) fn script(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch(sql)?)
    }
}

/// Binds by name, as SQLite numbers `$n` by first appearance and not by n.
fn bind(statement: &mut rusqlite::CachedStatement<'_>, params: &[&dyn Param]) -> Result<(), StoreError> {
    let wanted = statement.parameter_count();
    for index in 1..=wanted {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok())
            .filter(|number| *number >= 1)
            .ok_or_else(|| StoreError::Engine("a parameter is not `$` and a number".into()))?;
        let param = params
            .get(number - 1)
            .ok_or_else(|| StoreError::Engine(format!("the statement has no value for ${number}")))?;
        statement.raw_bind_parameter(index, param.value())?;
    }
    if wanted == params.len() {
        Ok(())
    } else {
        Err(StoreError::Engine(format!(
            "the statement has {wanted} parameters, and {} values are given",
            params.len()
        )))
    }
}

/// What a migration writes for "an id that the engine counts up".
const ID_COLUMN: &str = "INTEGER PRIMARY KEY AUTOINCREMENT";

/// The same for rows that are never removed: without a memory of ids that were used, which costs a write for each row.
const PERMANENT_ID_COLUMN: &str = "INTEGER PRIMARY KEY";

/// What a migration writes for "the number of another table's row, under which this row is found".
const NUMBER_COLUMN: &str = "INTEGER PRIMARY KEY";

/// Turns the text of a migration into that of this engine.
pub(crate) fn migration_text(text: &str) -> String {
    text.replace("{id}", ID_COLUMN)
        .replace("{permanent_id}", PERMANENT_ID_COLUMN)
        .replace("{number}", NUMBER_COLUMN)
        .replace("BYTEA", "BLOB")
}

/// Calls `noticed` for each row that a change of this connection touches in one of `tables`.
pub(crate) fn watch_tables(
    connection: &mut Connection,
    tables: &'static [&'static str],
    noticed: impl Fn() + Send + 'static,
) -> Result<(), StoreError> {
    connection.update_hook(Some(move |_, _: &str, table: &str, _| {
        if tables.contains(&table) {
            noticed();
        }
    }))?;
    Ok(())
}

/// Tells `counted` after each commit how many pages the write-ahead log has; the engine itself then moves none.
pub(crate) fn watch_log(
    connection: &mut Connection,
    counted: impl Fn(i32) + Send + 'static,
) -> Result<(), StoreError> {
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
        counted(pages);
        Ok(())
    }))?;
    Ok(())
}

/// The write-ahead log as a file, to be synced apart from commits. A commit whose pages were written before a sync
/// began is on disk after it: the engine writes them to the file before `COMMIT` returns, and its reader accepts a
/// commit only when all before it in the log are whole.
pub(crate) struct LogFile {
    path: std::path::PathBuf,
    file: Option<std::fs::File>,
}

impl LogFile {
    /// The log of the database `database`; it is opened when it is synced first, as the engine makes it when needed.
    pub(crate) fn new(database: &std::path::Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        Self {
            path: name.into(),
            file: None,
        }
    }

    /// Each call returns when what was written to the log before is on disk.
    pub(crate) fn into_sync(mut self) -> impl FnMut() -> std::io::Result<()> {
        move || {
            let file = match self.file.take() {
                Some(file) => file,
                None => std::fs::File::open(&self.path)?,
            };
            self.file.insert(file).sync_data()
        }
    }
}

/// How much of the write-ahead log is in the database.
pub(crate) struct Moved {
    /// Pages of the log, from its beginning.
    pub(crate) pages: i32,
}

/// Moves what it can of the write-ahead log into the database, without waiting for readers or the writer.
pub(crate) fn move_log(connection: &Connection) -> Result<Moved, StoreError> {
    let pages: i32 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))?;
    Ok(Moved { pages })
}

/// Opens the connection that moves the write-ahead log beside the writer.
pub(crate) fn open_checkpointer(path: &std::path::Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Opens a connection that reads and writes.
pub(crate) fn open_writer(path: &std::path::Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // The engine syncs what keeps the file whole; that a commit is on disk before it is acknowledged is the writer's
    // work, with [`LogFile`], as it can prepare the next commit meanwhile.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is needed to take one change of a commit back alone stays in memory.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.pragma_update(None, "journal_size_limit", 32 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &std::path::Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
