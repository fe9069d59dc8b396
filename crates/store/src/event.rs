//! The ledger: each arrival with its bytes, each decision with its rules, and what came of them.
//! Entries are permanent: nothing here removes one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::pull_request::Told;
use crate::{Millis, StoreError, Topic, Tx, mirror, params, repository};
use madake_domain::text::counted;

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Content {
    /// Refs moved: a push to us, an attached repository's hook, a webhook, or reconciliation.
    Push {
        /// How we came to know.
        via: Via,
        /// The refs.
        updates: Vec<RefUpdate>,
        /// Who pushed, where that is known.
        pusher: Option<String>,
        /// Push options, as sent.
        #[serde(default)]
        options: Vec<String>,
    },
    /// Somebody asks for change detection of a plan.
    RemoteTrigger {
        /// The key as asked: of the plan or of one of its branches.
        plan_key: String,
        /// Only that one.
        skip_branches: bool,
    },
    /// A look at a repository found something for these plans.
    Poll {
        /// The plans whose polling trigger asked.
        plans: Vec<i64>,
        /// The plan branches whose own polling trigger asked: the plan, and the key.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        branches: Vec<(i64, String)>,
    },
    /// A cron trigger was due.
    Cron {
        /// The plan.
        plan_id: i64,
        /// Its expression.
        expression: String,
        /// The plan branch whose own trigger it is; `None`: the plan's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
    },
    /// A build of a parent was successful, which starts a child.
    Parent {
        /// The child.
        plan_id: i64,
        /// The key of the child, or of its plan branch.
        target: String,
        /// The key of the parent's build.
        build: String,
        /// The keys of the plans that led here, the first one first.
        chain: Vec<String>,
    },
    /// A deployment was successful, which starts a plan.
    Deployment {
        /// The plan.
        plan_id: i64,
        /// The key of the plan, or of its plan branch.
        target: String,
        /// The name of the deployment project.
        project: String,
        /// The name of the environment.
        environment: String,
        /// The name of the release.
        release: String,
        /// The keys of the plans that led here, the first one first.
        chain: Vec<String>,
    },
    /// A pull request was opened, moved or closed.
    PullRequest {
        /// What is told of it.
        told: Told,
    },
    /// A person asked for a build, a continuation, a stop.
    Request {
        /// What was asked, in a sentence.
        request: String,
    },
    /// A request that was refused before anything else was looked at.
    Refused,
}

/// How a push came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// A push over HTTP to a hosted repository.
    Http,
    /// A push over SSH to a hosted repository.
    Ssh,
    /// The hook of an attached repository.
    Hook,
    /// A webhook of another forge.
    Webhook,
    /// Refs that nobody had told us of.
    Reconciliation,
    /// A hosted repository follows a remote, and we fetched.
    Mirror,
}

/// A ref that moved. Object ids are full lower-case hexadecimal; `None`: the ref did not or does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefUpdate {
    /// The full name, `refs/heads/main`.
    pub name: String,
    /// Before.
    pub old: Option<String>,
    /// After.
    pub new: Option<String>,
}

/// What a new entry is made of.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// A word for lists: `push`, `webhook`, `remote-trigger`, `poll`, `cron`, `reconciliation`, `mirror`, `refused`.
    pub kind: &'static str,
    /// The sender's id of this delivery, made unique by the receiving end; a repeat is a no-op.
    pub delivery_id: Option<String>,
    /// The address that it came from; empty for our own doing.
    pub address: String,
    /// Who it came from.
    pub principal: String,
    /// The repository that it is about.
    pub repository_id: Option<i64>,
    /// The plan that it is about.
    pub plan_key: Option<String>,
    /// One line for lists.
    pub summary: String,
    /// The bytes as they came.
    pub raw: Vec<u8>,
    /// What they mean.
    pub content: Content,
}

/// What became of an arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It was entered and will be decided.
    Entered(i64),
    /// It was entered as a repeat of an earlier one.
    Repeat {
        /// The new entry.
        id: i64,
        /// The entry that it repeats.
        first: i64,
    },
}

impl Received {
    /// The id of the entry.
    #[must_use]
    pub fn id(&self) -> i64 {
        match self {
            Self::Entered(id) | Self::Repeat { id, .. } => *id,
        }
    }
}

/// Enters an arrival, in the same transaction as the refs that it moves. After the commit it is safe.
///
/// A delivery id that was seen before, or refs that the ledger already knows at their new values, make it a
/// repeat: entered, pointing at the first, and not decided again.
///
/// # Errors
/// When the store cannot be written.
pub fn receive(tx: &Tx<'_>, new: NewEvent, now: Millis) -> Result<Received, StoreError> {
    receive_push(tx, new, None, now)
}

/// Whether an arrival with this delivery id is in the ledger.
///
/// # Errors
/// When the store cannot be read.
pub fn is_delivered(tx: &Tx<'_>, delivery_id: &str) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT id FROM event WHERE delivery_id = $1",
        params![delivery_id],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Whether the success of a parent waits to be decided, which starts the plan or plan branch with this key.
///
/// # Errors
/// When the store cannot be read.
pub fn is_started_by_parent(tx: &Tx<'_>, key: &str) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT id FROM event WHERE state = 'received' AND kind = 'parent' AND plan_key = $1",
        params![key],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// As [`receive`], for a webhook. `same_body` is an earlier arrival that may have the same bytes: if it has, and
/// nobody has looked at it yet, this is a sender that repeats itself without an id.
///
/// # Errors
/// When the store cannot be written.
pub fn receive_webhook(
    tx: &Tx<'_>,
    mut new: NewEvent,
    same_body: Option<i64>,
    now: Millis,
) -> Result<Received, StoreError> {
    if let Some(first) = same_delivery(tx, &mut new)? {
        return enter_repeat(tx, &new, first, "the same delivery arrived before", now);
    }
    if let Some(first) = same_body {
        let waits = tx.first(
            "SELECT id FROM event JOIN event_body ON event_id = id WHERE id = $1 AND state = 'received'
               AND repository_id = $2 AND raw = $3",
            params![first, new.repository_id, new.raw],
            |row| row.get::<i64>(0),
        )?;
        if let Some(first) = waits {
            return enter_repeat(tx, &new, first, "the same body arrived a moment ago", now);
        }
    }
    receive_push(tx, new, None, now)
}

/// The entry with the same delivery id, which the new one then gives up.
fn same_delivery(tx: &Tx<'_>, new: &mut NewEvent) -> Result<Option<i64>, StoreError> {
    let Some(delivery_id) = &new.delivery_id else {
        return Ok(None);
    };
    let first = tx.first(
        "SELECT id FROM event WHERE delivery_id = $1",
        params![delivery_id],
        |row| row.get(0),
    )?;
    if first.is_some() {
        new.delivery_id = None;
    }
    Ok(first)
}

/// As [`receive`], for a push whose refs we can look at: `current` is where they are now.
///
/// A push whose refs did not start where the ledger has them follows one that was never entered (the server died
/// between `receive-pack` and the ledger): that one is entered first, as found by reconciliation. Unless the ledger
/// has the refs where they are now: then the push is told late, is entered as such, and the refs stay.
///
/// # Errors
/// When the store cannot be written.
pub fn receive_push(
    tx: &Tx<'_>,
    mut new: NewEvent,
    current: Option<&BTreeMap<String, Option<String>>>,
    now: Millis,
) -> Result<Received, StoreError> {
    if let Some(first) = same_delivery(tx, &mut new)? {
        return enter_repeat(tx, &new, first, "the same delivery arrived before", now);
    }
    let mut repeats = None;
    if let (Content::Push { updates, .. }, Some(repository_id)) = (&mut new.content, new.repository_id) {
        let mut fresh = Vec::with_capacity(updates.len());
        for update in updates.drain(..) {
            if repository::ref_value(tx, repository_id, &update.name)? == update.new {
                if let Some(first) = repository::ref_event(tx, repository_id, &update.name)? {
                    repeats = Some(first);
                }
            } else {
                fresh.push(update);
            }
        }
        if fresh.is_empty()
            && let Some(first) = repeats
        {
            return enter_repeat(
                tx,
                &new,
                first,
                "the refs were already entered at these values",
                now,
            );
        }
        *updates = fresh;
    }
    let late = match current {
        Some(current) => enter_unnoticed(tx, &new, current, now)?,
        None => BTreeSet::new(),
    };
    let id = enter(tx, &new, "received", None, now)?;
    // What a webhook says is a hint: the refs themselves are read when it is decided.
    if let (Content::Push { updates, via, .. }, Some(repository_id)) = (&new.content, new.repository_id)
        && *via != Via::Webhook
    {
        for update in updates.iter().filter(|update| !late.contains(&update.name)) {
            repository::set_ref(
                tx,
                repository_id,
                &update.name,
                update.new.as_deref(),
                Some(id),
                now,
            )?;
        }
        mirror::note_push(tx, repository_id, now)?;
    }
    tx.wake(Topic::Events);
    Ok(Received::Entered(id))
}

/// Enters moves that must have happened before a push and are not in the ledger; gives the refs of the push that
/// the ledger is already past.
fn enter_unnoticed(
    tx: &Tx<'_>,
    new: &NewEvent,
    current: &BTreeMap<String, Option<String>>,
    now: Millis,
) -> Result<BTreeSet<String>, StoreError> {
    let (Content::Push { updates, .. }, Some(repository_id)) = (&new.content, new.repository_id) else {
        return Ok(BTreeSet::new());
    };
    let mut late = BTreeSet::new();
    let mut unnoticed = Vec::new();
    for update in updates {
        let known = repository::ref_value(tx, repository_id, &update.name)?;
        if known == update.old {
            continue;
        }
        if current.get(&update.name) == Some(&known) {
            late.insert(update.name.clone());
        } else {
            unnoticed.push(RefUpdate {
                name: update.name.clone(),
                old: known,
                new: update.old.clone(),
            });
        }
    }
    if !unnoticed.is_empty() {
        let earlier = NewEvent {
            kind: "reconciliation",
            delivery_id: None,
            address: String::new(),
            principal: "reconciliation".into(),
            repository_id: Some(repository_id),
            plan_key: None,
            summary: format!(
                "{} had moved without our being told, before {}",
                counted(unnoticed.len(), "ref"),
                new.summary
            ),
            raw: Vec::new(),
            content: Content::Push {
                via: Via::Reconciliation,
                updates: unnoticed,
                pusher: None,
                options: Vec::new(),
            },
        };
        receive(tx, earlier, now)?;
    }
    Ok(late)
}

fn enter(
    tx: &Tx<'_>,
    new: &NewEvent,
    state: &str,
    duplicate_of: Option<i64>,
    now: Millis,
) -> Result<i64, StoreError> {
    let id = tx.insert(
        "INSERT INTO event (kind, delivery_id, received_ms, address, principal, repository_id, plan_key, summary,
           content, state, duplicate_of, repeats)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0) RETURNING id",
        params![
            new.kind,
            new.delivery_id,
            now,
            new.address,
            new.principal,
            new.repository_id,
            new.plan_key,
            new.summary,
            serde_json::to_string(&new.content)?,
            state,
            duplicate_of
        ],
    )?;
    if !new.raw.is_empty() {
        tx.execute(
            "INSERT INTO event_body (event_id, raw) VALUES ($1, $2)",
            params![id, new.raw],
        )?;
    }
    Ok(id)
}

fn enter_repeat(
    tx: &Tx<'_>,
    new: &NewEvent,
    first: i64,
    why: &str,
    now: Millis,
) -> Result<Received, StoreError> {
    let id = enter(tx, new, "duplicate", Some(first), now)?;
    tx.execute(
        "UPDATE event SET reason = $1, processed_ms = $2 WHERE id = $3",
        params![format!("{why}: see event {first}"), now, id],
    )?;
    Ok(Received::Repeat { id, first })
}

/// Enters a request that was refused. The same refusal (kind, address, principal, reason) within ten minutes is
/// counted on the first entry, so that a flood of refused requests cannot fill the disk.
///
/// # Errors
/// When the store cannot be written.
pub fn refuse(
    tx: &Tx<'_>,
    new: &NewEvent,
    status: u16,
    reason: &str,
    now: Millis,
) -> Result<i64, StoreError> {
    const WINDOW_MS: Millis = 10 * 60 * 1000;
    let recent = tx.first(
        "SELECT id FROM event WHERE id > (SELECT COALESCE(MAX(id), 0) - 200 FROM event) AND state = 'refused' AND kind = $1
           AND address = $2 AND principal = $3 AND reason = $4 AND summary = $5 AND received_ms > $6 ORDER BY id DESC LIMIT 1",
        params![new.kind, new.address, new.principal, reason, new.summary, now - WINDOW_MS],
        |row| row.get::<i64>(0),
    )?;
    if let Some(id) = recent {
        tx.execute(
            "UPDATE event SET repeats = repeats + 1 WHERE id = $1",
            params![id],
        )?;
        return Ok(id);
    }
    let id = enter(tx, new, "refused", None, now)?;
    tx.execute(
        "UPDATE event SET reason = $1, status = $2, processed_ms = $3 WHERE id = $4",
        params![reason, i64::from(status), now, id],
    )?;
    Ok(id)
}

/// An entry of the ledger.
#[derive(Debug, Clone)]
pub struct Event {
    /// The row's id, counting up in the order of arrival.
    pub id: i64,
    /// A word for lists.
    pub kind: String,
    /// The sender's id of the delivery.
    pub delivery_id: Option<String>,
    /// When it arrived.
    pub received_ms: Millis,
    /// The address that it came from.
    pub address: String,
    /// Who it came from.
    pub principal: String,
    /// The repository that it is about.
    pub repository_id: Option<i64>,
    /// The plan that it is about.
    pub plan_key: Option<String>,
    /// One line for lists.
    pub summary: String,
    /// What it means.
    pub content: Content,
    /// `received`, `processed`, `duplicate` or `refused`.
    pub state: String,
    /// Why it is what it is.
    pub reason: Option<String>,
    /// The HTTP status of a refusal.
    pub status: Option<i64>,
    /// The entry that it repeats.
    pub duplicate_of: Option<i64>,
    /// How many more of the same were refused.
    pub repeats: i64,
    /// When it was decided.
    pub processed_ms: Option<Millis>,
}

const EVENT: &str =
    "SELECT id, kind, delivery_id, received_ms, address, principal, repository_id, plan_key, summary,
  content, state, reason, status, duplicate_of, repeats, processed_ms FROM event";

fn read_event(row: &crate::Row<'_>) -> Result<Event, StoreError> {
    Ok(Event {
        id: row.get(0)?,
        kind: row.get(1)?,
        delivery_id: row.get(2)?,
        received_ms: row.get(3)?,
        address: row.get(4)?,
        principal: row.get(5)?,
        repository_id: row.get(6)?,
        plan_key: row.get(7)?,
        summary: row.get(8)?,
        content: row.json(9)?,
        state: row.get(10)?,
        reason: row.get(11)?,
        status: row.get(12)?,
        duplicate_of: row.get(13)?,
        repeats: row.get(14)?,
        processed_ms: row.get(15)?,
    })
}

/// The next repository behind `after` for which arrivals wait, with the oldest of them; 0 stands for arrivals of no
/// repository, and comes behind -1. One step in an index, however many wait.
///
/// # Errors
/// When the store cannot be read.
pub fn next_waiting_repository(tx: &Tx<'_>, after: i64) -> Result<Option<(i64, i64)>, StoreError> {
    if after < 0 {
        let none = tx.first(
            "SELECT id FROM event WHERE state = 'received' AND repository_id IS NULL ORDER BY id LIMIT 1",
            &[],
            |row| row.get::<i64>(0),
        )?;
        if let Some(first) = none {
            return Ok(Some((0, first)));
        }
    }
    tx.first(
        "SELECT repository_id, id FROM event WHERE state = 'received' AND repository_id > $1
         ORDER BY repository_id, id LIMIT 1",
        params![after.max(0)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Arrivals of one repository (0: of none) that wait to be decided, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn waiting_of(tx: &Tx<'_>, repository_id: i64, limit: i64) -> Result<Vec<Event>, StoreError> {
    if repository_id == 0 {
        return tx.all(
            &format!("{EVENT} WHERE state = 'received' AND repository_id IS NULL ORDER BY id LIMIT $1"),
            params![limit],
            read_event,
        );
    }
    tx.all(
        &format!("{EVENT} WHERE state = 'received' AND repository_id = $1 ORDER BY id LIMIT $2"),
        params![repository_id, limit],
        read_event,
    )
}

/// How many arrivals of one plan's remote trigger wait to be decided; a further one adds nothing.
///
/// # Errors
/// When the store cannot be read.
pub fn waiting_trigger(tx: &Tx<'_>, plan_key: &str, kind: &str) -> Result<Option<i64>, StoreError> {
    tx.first(
        "SELECT id FROM event WHERE state = 'received' AND kind = $1 AND plan_key = $2 ORDER BY id DESC LIMIT 1",
        params![kind, plan_key],
        |row| row.get(0),
    )
}

/// Counts a repeat on an entry that still waits.
///
/// # Errors
/// When the store cannot be written.
pub fn count_repeat(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE event SET repeats = repeats + 1 WHERE id = $1",
        params![id],
    )?;
    Ok(())
}

/// One entry.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<Event>, StoreError> {
    tx.first(&format!("{EVENT} WHERE id = $1"), params![id], read_event)
}

/// The bytes of an entry as they came.
///
/// # Errors
/// When the store cannot be read.
pub fn raw(tx: &Tx<'_>, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
    tx.first(
        "SELECT COALESCE(raw, $2) FROM event LEFT JOIN event_body ON event_id = id WHERE id = $1",
        params![id, Vec::new()],
        |row| row.get(0),
    )
}

/// Entries newest first, below the id `before`, of all kinds or of one state.
///
/// # Errors
/// When the store cannot be read.
pub fn list(tx: &Tx<'_>, before: i64, state: Option<&str>, limit: i64) -> Result<Vec<Event>, StoreError> {
    match state {
        Some(state) => tx.all(
            &format!("{EVENT} WHERE id < $1 AND state = $2 ORDER BY id DESC LIMIT $3"),
            params![before, state, limit],
            read_event,
        ),
        None => tx.all(
            &format!("{EVENT} WHERE id < $1 ORDER BY id DESC LIMIT $2"),
            params![before, limit],
            read_event,
        ),
    }
}

/// Marks an arrival as decided, unless another has; says whether it was this call.
///
/// # Errors
/// When the store cannot be written.
pub fn mark_processed(tx: &Tx<'_>, id: i64, reason: Option<&str>, now: Millis) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE event SET state = 'processed', reason = $1, processed_ms = $2 WHERE id = $3 AND state = 'received'",
        params![reason, now, id],
    )?;
    Ok(changed == 1)
}

/// Adds a line to an entry.
///
/// # Errors
/// When the store cannot be written.
pub fn note(tx: &Tx<'_>, event_id: i64, level: &str, text: &str, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO event_note (event_id, at_ms, level, text) VALUES ($1, $2, $3, $4)",
        params![event_id, now, level, text],
    )?;
    Ok(())
}

/// A line of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When it was added.
    pub at_ms: Millis,
    /// `info`, `warning` or `error`.
    pub level: String,
    /// The line.
    pub text: String,
}

/// The lines of an entry.
///
/// # Errors
/// When the store cannot be read.
pub fn notes(tx: &Tx<'_>, event_id: i64) -> Result<Vec<Note>, StoreError> {
    tx.all(
        "SELECT at_ms, level, text FROM event_note WHERE event_id = $1 ORDER BY id",
        params![event_id],
        |row| {
            Ok(Note {
                at_ms: row.get(0)?,
                level: row.get(1)?,
                text: row.get(2)?,
            })
        },
    )
}
