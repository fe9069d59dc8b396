//! How we hear of pushes to linked repositories: webhooks that told, looks that found what none had told.

use madake_domain::hearing::{Hearing, Look};

use crate::event::{self, NewEvent};
use crate::{Millis, StoreError, Tx, params};

/// What is known of one linked repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// The repository.
    pub repository_id: i64,
    /// What decides how often it is looked at.
    pub hearing: Hearing,
    /// The webhook that told last.
    pub told_by: Option<i64>,
    /// The format in which it told.
    pub told_as: Option<String>,
    /// The entry of what was found last without being told.
    pub missed_event_id: Option<i64>,
}

const HEARD: &str = "SELECT repository_id, told_ms, told_by, told_as, polled_ms, missed_ms, missed_event_id, missed, quiet FROM hearing";

fn read_heard(row: &crate::Row<'_>) -> Result<Heard, StoreError> {
    Ok(Heard {
        repository_id: row.get(0)?,
        told_by: row.get(2)?,
        told_as: row.get(3)?,
        missed_event_id: row.get(6)?,
        hearing: Hearing {
            told_ms: row.get(1)?,
            polled_ms: row.get(4)?,
            missed_ms: row.get(5)?,
            missed: row.get(7)?,
            quiet: row.get(8)?,
        },
    })
}

/// What is known of a repository; of one that nothing is known of, that.
///
/// # Errors
/// When the store cannot be read.
pub fn of(tx: &Tx<'_>, repository_id: i64) -> Result<Heard, StoreError> {
    let found = tx.first(
        &format!("{HEARD} WHERE repository_id = $1"),
        params![repository_id],
        read_heard,
    )?;
    Ok(found.unwrap_or(Heard {
        repository_id,
        ..Heard::default()
    }))
}

/// What is known of all repositories of which anything is.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<Heard>, StoreError> {
    tx.all(&format!("{HEARD} ORDER BY repository_id"), &[], read_heard)
}

/// Notes that a webhook told of a push, in the format of that name.
///
/// # Errors
/// When the store cannot be written.
pub fn note_told(
    tx: &Tx<'_>,
    repository_id: i64,
    webhook_id: i64,
    format: &str,
    now: Millis,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO hearing (repository_id, told_ms, told_by, told_as, missed, quiet) VALUES ($1, $2, $3, $4, 0, 0)
         ON CONFLICT (repository_id) DO UPDATE SET told_ms = $2, told_by = $3, told_as = $4",
        params![repository_id, now, webhook_id, format],
    )?;
    Ok(())
}

/// Notes a look that began at `began_ms`, and for one that found what nobody had told, the entry of it.
///
/// # Errors
/// When the store cannot be written.
pub fn note_looked(
    tx: &Tx<'_>,
    repository_id: i64,
    began_ms: Millis,
    missed_event_id: Option<i64>,
) -> Result<(), StoreError> {
    let look = match missed_event_id {
        Some(_) => Look::Missed,
        None => Look::Quiet,
    };
    let before = of(tx, repository_id)?;
    let after = before.hearing.looked(began_ms, look);
    tx.execute(
        "INSERT INTO hearing (repository_id, polled_ms, missed_ms, missed_event_id, missed, quiet)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (repository_id) DO UPDATE SET polled_ms = $2, missed_ms = $3, missed_event_id = $4, missed = $5, quiet = $6",
        params![
            repository_id,
            after.polled_ms,
            after.missed_ms,
            missed_event_id.or(before.missed_event_id),
            after.missed,
            after.quiet
        ],
    )?;
    Ok(())
}

/// Enters an arrival that says nothing of refs (a connection test, another event), as decided, with the reason. The
/// same one again within ten minutes is counted on the first, as forges may send many.
///
/// # Errors
/// When the store cannot be written.
pub fn enter_notice(tx: &Tx<'_>, new: NewEvent, reason: &str, now: Millis) -> Result<i64, StoreError> {
    const WINDOW_MS: Millis = 10 * 60 * 1000;
    let recent = tx.first(
        "SELECT id FROM event WHERE id > (SELECT COALESCE(MAX(id), 0) - 200 FROM event) AND state = 'processed'
           AND kind = $1 AND address = $2 AND summary = $3 AND reason = $4 AND received_ms > $5 ORDER BY id DESC LIMIT 1",
        params![new.kind, new.address, new.summary, reason, now - WINDOW_MS],
        |row| row.get::<i64>(0),
    )?;
    if let Some(id) = recent {
        event::count_repeat(tx, id)?;
        return Ok(id);
    }
    let received = event::receive(tx, new, now)?;
    event::mark_processed(tx, received.id(), Some(reason), now)?;
    Ok(received.id())
}
