//! The outbox: what is to be delivered, how far each delivery has come, and a log of all attempts.

use madake_domain::delivery::{Answer, Ending, Progress};

use crate::{Millis, StoreError, Topic, Tx, params};

/// What a new delivery is made of.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The id that receivers see: the same at every attempt.
    pub uid: String,
    /// Who gets it.
    pub receiver_id: i64,
    /// The entry of the ledger that it tells of; none for a test.
    pub event_id: Option<i64>,
    /// `push`, `build`, `test` or `ping`.
    pub kind: String,
    /// One line for lists.
    pub summary: String,
    /// Deliveries with the same number to the same receiver keep their order.
    pub ordering: Option<i64>,
    /// The media type of the body.
    pub content_type: String,
    /// Headers that go with the body. Signatures are made at each attempt and not kept.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The row's id.
    pub id: i64,
    /// The id that receivers see.
    pub uid: String,
    /// Who gets it.
    pub receiver_id: i64,
    /// The entry of the ledger that it tells of.
    pub event_id: Option<i64>,
    /// `push`, `build`, `test` or `ping`.
    pub kind: String,
    /// One line for lists.
    pub summary: String,
    /// Deliveries with the same number to the same receiver keep their order.
    pub ordering: Option<i64>,
    /// How far it has come.
    pub progress: Progress,
    /// What the receiver answered the last time.
    pub last_answer: Option<Answer>,
    /// When it was entered.
    pub created_ms: Millis,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The media type.
    pub content_type: String,
    /// Headers that go with it.
    pub headers: Vec<(String, String)>,
    /// The bytes.
    pub body: Vec<u8>,
}

/// One attempt, as the log keeps it. Secrets are covered by whoever enters it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1.
    pub number: i64,
    /// When it began.
    pub began_ms: Millis,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The address that was connected to; empty when it did not come to that.
    pub address: String,
    /// What was sent, without credentials.
    pub request_headers: Vec<(String, String)>,
    /// The status of the answer.
    pub status: Option<i64>,
    /// Its headers.
    pub response_headers: Vec<(String, String)>,
    /// The beginning of its body.
    pub response_body: Vec<u8>,
    /// What it means, in a sentence.
    pub answer: String,
    /// Milliseconds of the parts (queue, dns, connect, first byte, total), as JSON.
    pub timings: String,
}

const DELIVERY: &str =
    "SELECT id, uid, receiver_id, event_id, kind, summary, ordering, state, attempts, due_ms,
  leased_since_ms, leased_until_ms, ending, ended_ms, last_answer, created_ms FROM delivery";

fn read_delivery(row: &crate::Row<'_>) -> Result<Delivery, StoreError> {
    let attempts = u32::try_from(row.get::<i64>(8)?).unwrap_or(u32::MAX);
    let damaged = || StoreError::Damaged("a delivery lacks the times of its state".into());
    let progress = match row.get::<String>(7)?.as_str() {
        "waiting" => Progress::Waiting {
            attempts,
            due_ms: row.get(9)?,
        },
        "leased" => Progress::Leased {
            attempts,
            since_ms: row.get::<Option<i64>>(10)?.ok_or_else(damaged)?,
            until_ms: row.get::<Option<i64>>(11)?.ok_or_else(damaged)?,
        },
        _ => Progress::Ended {
            attempts,
            at_ms: row.get::<Option<i64>>(13)?.ok_or_else(damaged)?,
            ending: row.json::<Ending>(12)?,
        },
    };
    Ok(Delivery {
        id: row.get(0)?,
        uid: row.get(1)?,
        receiver_id: row.get(2)?,
        event_id: row.get(3)?,
        kind: row.get(4)?,
        summary: row.get(5)?,
        ordering: row.get(6)?,
        progress,
        last_answer: match row.get::<Option<String>>(14)? {
            Some(text) => Some(serde_json::from_str(&text)?),
            None => None,
        },
        created_ms: row.get(15)?,
    })
}

/// Enters a delivery.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(tx: &Tx<'_>, new: &NewDelivery, progress: &Progress, now: Millis) -> Result<i64, StoreError> {
    let due_ms = match progress {
        Progress::Waiting { due_ms, .. } => *due_ms,
        _ => now,
    };
    let id = tx.insert(
        "INSERT INTO delivery (uid, receiver_id, event_id, kind, summary, ordering, state, attempts, due_ms, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, $7, $8) RETURNING id",
        params![
            new.uid,
            new.receiver_id,
            new.event_id,
            new.kind,
            new.summary,
            new.ordering,
            due_ms,
            now
        ],
    )?;
    tx.execute(
        "INSERT INTO delivery_body (delivery_id, content_type, headers, body) VALUES ($1, $2, $3, $4)",
        params![
            id,
            new.content_type,
            serde_json::to_string(&new.headers)?,
            new.body
        ],
    )?;
    tx.wake(Topic::Outbox);
    Ok(id)
}

/// Moves a delivery on, if it is still where `from` says: of several that try, one succeeds. Wakes the deliverer.
///
/// # Errors
/// When the store cannot be written.
pub fn advance(
    tx: &Tx<'_>,
    id: i64,
    from: &Progress,
    to: &Progress,
    last_answer: Option<Answer>,
) -> Result<bool, StoreError> {
    let changed = settle(tx, id, from, to, last_answer)?;
    if changed {
        tx.wake(Topic::Outbox);
    }
    Ok(changed)
}

/// As [`advance`], for the deliverer itself, which knows better when it has something to do.
///
/// # Errors
/// When the store cannot be written.
pub fn settle(
    tx: &Tx<'_>,
    id: i64,
    from: &Progress,
    to: &Progress,
    last_answer: Option<Answer>,
) -> Result<bool, StoreError> {
    let state = |progress: &Progress| match progress {
        Progress::Waiting { .. } => "waiting",
        Progress::Leased { .. } => "leased",
        Progress::Ended { .. } => "ended",
    };
    let (mut due, mut since, mut until, mut ending, mut ended) = (None, None, None, None, None);
    match to {
        Progress::Waiting { due_ms, .. } => due = Some(*due_ms),
        Progress::Leased {
            since_ms, until_ms, ..
        } => (since, until) = (Some(*since_ms), Some(*until_ms)),
        Progress::Ended {
            at_ms, ending: how, ..
        } => (ending, ended) = (Some(serde_json::to_string(how)?), Some(*at_ms)),
    }
    let answer = match last_answer {
        Some(answer) => Some(serde_json::to_string(&answer)?),
        None => None,
    };
    let held_since = match from {
        Progress::Leased { since_ms, .. } => Some(*since_ms),
        _ => None,
    };
    let changed = tx.execute(
        "UPDATE delivery SET state = $1, attempts = $2, due_ms = COALESCE($3, due_ms), leased_since_ms = $4,
           leased_until_ms = $5, ending = $6, ended_ms = $7, last_answer = COALESCE($8, last_answer)
         WHERE id = $9 AND state = $10 AND attempts = $11 AND COALESCE(leased_since_ms, -1) = COALESCE($12, -1)",
        params![
            state(to),
            i64::from(to.attempts()),
            due,
            since,
            until,
            ending,
            ended,
            answer,
            id,
            state(from),
            i64::from(from.attempts()),
            held_since
        ],
    )?;
    Ok(changed == 1)
}

/// The next receiver behind `after` with deliveries that have not ended. One step in an index, however many there are.
///
/// # Errors
/// When the store cannot be read.
pub fn next_open_receiver(tx: &Tx<'_>, after: i64) -> Result<Option<i64>, StoreError> {
    tx.first(
        "SELECT receiver_id FROM delivery WHERE state <> 'ended' AND receiver_id > $1 ORDER BY receiver_id LIMIT 1",
        params![after],
        |row| row.get(0),
    )
}

/// Deliveries whose lease runs out at or before `until_ms`.
///
/// # Errors
/// When the store cannot be read.
pub fn leases(tx: &Tx<'_>, until_ms: Millis) -> Result<Vec<Delivery>, StoreError> {
    tx.all(
        &format!(
            "{DELIVERY} WHERE state <> 'ended' AND state = 'leased' AND leased_until_ms <= $1 ORDER BY id"
        ),
        params![until_ms],
        read_delivery,
    )
}

/// Deliveries of one receiver that have not ended, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn open_of(tx: &Tx<'_>, receiver_id: i64, limit: i64) -> Result<Vec<Delivery>, StoreError> {
    tx.all(
        &format!("{DELIVERY} WHERE receiver_id = $1 AND state <> 'ended' ORDER BY id LIMIT $2"),
        params![receiver_id, limit],
        read_delivery,
    )
}

/// One delivery.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<Delivery>, StoreError> {
    tx.first(&format!("{DELIVERY} WHERE id = $1"), params![id], read_delivery)
}

/// What a delivery sends.
///
/// # Errors
/// When the store cannot be read.
pub fn body(tx: &Tx<'_>, id: i64) -> Result<Option<Body>, StoreError> {
    tx.first(
        "SELECT content_type, headers, body FROM delivery_body WHERE delivery_id = $1",
        params![id],
        |row| {
            Ok(Body {
                content_type: row.get(0)?,
                headers: row.json(1)?,
                body: row.get(2)?,
            })
        },
    )
}

/// Deliveries of a receiver below the id `before`, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn list(tx: &Tx<'_>, receiver_id: i64, before: i64, limit: i64) -> Result<Vec<Delivery>, StoreError> {
    tx.all(
        &format!("{DELIVERY} WHERE receiver_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"),
        params![receiver_id, before, limit],
        read_delivery,
    )
}

/// Changes the headers that are kept with a delivery's body.
///
/// # Errors
/// When the store cannot be written.
pub fn set_headers(
    tx: &Tx<'_>,
    id: i64,
    headers: &[(String, String)],
    summary: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE delivery_body SET headers = $1 WHERE delivery_id = $2",
        params![serde_json::to_string(headers)?, id],
    )?;
    tx.execute(
        "UPDATE delivery SET summary = $1 WHERE id = $2",
        params![summary, id],
    )?;
    Ok(())
}

/// Deliveries that came of one entry of the ledger.
///
/// # Errors
/// When the store cannot be read.
pub fn of_event(tx: &Tx<'_>, event_id: i64) -> Result<Vec<Delivery>, StoreError> {
    tx.all(
        &format!("{DELIVERY} WHERE event_id = $1 ORDER BY id"),
        params![event_id],
        read_delivery,
    )
}

/// Deliveries of a receiver that ended at or after `since_ms` without having been delivered, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn failed_since(tx: &Tx<'_>, receiver_id: i64, since_ms: Millis) -> Result<Vec<Delivery>, StoreError> {
    let delivered = serde_json::to_string(&Ending::Delivered)?;
    let nothing = serde_json::to_string(&Ending::NothingToSend)?;
    tx.all(
        &format!(
            "{DELIVERY} WHERE receiver_id = $1 AND state = 'ended' AND ended_ms >= $2 AND ending NOT IN ($3, $4) ORDER BY id"
        ),
        params![receiver_id, since_ms, delivered, nothing],
        read_delivery,
    )
}

/// Enters an attempt in the log.
///
/// # Errors
/// When the store cannot be written.
pub fn insert_attempt(tx: &Tx<'_>, delivery_id: i64, attempt: &Attempt) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO delivery_attempt (delivery_id, number, began_ms, duration_ms, address, request_headers, status,
           response_headers, response_body, answer, timings)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            delivery_id,
            attempt.number,
            attempt.began_ms,
            attempt.duration_ms,
            attempt.address,
            serde_json::to_string(&attempt.request_headers)?,
            attempt.status,
            serde_json::to_string(&attempt.response_headers)?,
            attempt.response_body,
            attempt.answer,
            attempt.timings
        ],
    )?;
    Ok(())
}

/// The attempts of a delivery, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn attempts(tx: &Tx<'_>, delivery_id: i64) -> Result<Vec<Attempt>, StoreError> {
    tx.all(
        "SELECT number, began_ms, duration_ms, address, request_headers, status, response_headers, response_body, answer,
           timings FROM delivery_attempt WHERE delivery_id = $1 ORDER BY id",
        params![delivery_id],
        |row| {
            Ok(Attempt {
                number: row.get(0)?,
                began_ms: row.get(1)?,
                duration_ms: row.get(2)?,
                address: row.get(3)?,
                request_headers: row.json(4)?,
                status: row.get(5)?,
                response_headers: row.json(6)?,
                response_body: row.get(7)?,
                answer: row.get(8)?,
                timings: row.get(9)?,
            })
        },
    )
}

/// Removes ended deliveries of a receiver with their bodies and attempts: those that ended before `ended_before_ms`,
/// and those behind the newest `kept`. Says how many.
///
/// # Errors
/// When the store cannot be written.
pub fn prune(tx: &Tx<'_>, receiver_id: i64, ended_before_ms: Millis, kept: i64) -> Result<usize, StoreError> {
    let old = "SELECT id FROM delivery WHERE receiver_id = $1 AND state = 'ended' AND (ended_ms < $2 OR id <= COALESCE(
        (SELECT id FROM delivery WHERE receiver_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $3), 0))";
    let values = params![receiver_id, ended_before_ms, kept];
    for table in ["delivery_body", "delivery_attempt"] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE delivery_id IN ({old})"),
            values,
        )?;
    }
    tx.execute(&format!("DELETE FROM delivery WHERE id IN ({old})"), values)
}

#[cfg(test)]
pub(crate) mod tests {
    use madake_domain::delivery::Schedule;
    use madake_domain::repository::{RepositoryKind, Scm};

    use super::*;
    use crate::receiver::{self, ReceiverFields};
    use crate::repository::{self, NewRepository};
    use crate::{Store, StoreError};

    /// A store with one receiver and this many deliveries to it, entered at 1, 2, 3 and so on.
    pub(crate) async fn outbox(count: i64) -> (tempfile::TempDir, Store, i64) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(&folder.path().join("madake.db")).expect("a new store");
        let made: Result<i64, StoreError> = store
            .write(move |tx| {
                let repository = NewRepository {
                    kind: RepositoryKind::Hosted,
                    scm: Scm::Git,
                    name: "PROJ/app".into(),
                    owner: "PROJ".into(),
                    slug: "app".into(),
                    path: String::new(),
                    url: String::new(),
                    default_branch: "main".into(),
                };
                let repository_id = repository::insert(tx, &repository, 0)?;
                let fields = ReceiverFields {
                    profile: "stash2".into(),
                    name: String::new(),
                    url: "http://ci.example/".into(),
                    active: true,
                    settings: "{}".into(),
                };
                let receiver_id = receiver::insert(tx, repository_id, "webhook", &fields, "admin", 0)?;
                for at in 1..=count {
                    let new = NewDelivery {
                        uid: at.to_string(),
                        receiver_id,
                        event_id: None,
                        kind: "test".into(),
                        summary: String::new(),
                        ordering: None,
                        content_type: "text/plain".into(),
                        headers: Vec::new(),
                        body: vec![1],
                    };
                    insert(tx, &new, &Progress::new(&Schedule::standard(), at, 0.5), at)?;
                }
                Ok(receiver_id)
            })
            .await;
        (folder, store, made.expect("an outbox"))
    }

    fn ended(at_ms: Millis, ending: Ending) -> Progress {
        Progress::Ended {
            attempts: 0,
            at_ms,
            ending,
        }
    }

    #[tokio::test]
    async fn of_two_that_take_a_delivery_one_gets_it() {
        let (_folder, store, receiver_id) = outbox(1).await;
        let outcome: Result<(bool, bool, Vec<Delivery>), StoreError> = store
            .write(move |tx| {
                let one = open_of(tx, receiver_id, 10)?.remove(0);
                let leased = one.progress.clone().lease(5, 100).expect("it is due");
                let first = advance(tx, one.id, &one.progress, &leased, None)?;
                let second = advance(tx, one.id, &one.progress, &leased, None)?;
                Ok((first, second, open_of(tx, receiver_id, 10)?))
            })
            .await;
        let (first, second, open) = outcome.expect("a change");
        assert!(first && !second);
        assert_eq!(
            open[0].progress,
            Progress::Leased {
                attempts: 1,
                since_ms: 5,
                until_ms: 100
            }
        );
    }

    #[tokio::test]
    async fn leases_are_found_by_their_end_and_receivers_by_what_is_open() {
        let (_folder, store, receiver_id) = outbox(3).await;
        let outcome: Result<_, StoreError> = store
            .write(move |tx| {
                let open = open_of(tx, receiver_id, 10)?;
                for (one, until_ms) in open[1..].iter().zip([100, 200]) {
                    let leased = one.progress.clone().lease(5, until_ms).expect("it is due");
                    settle(tx, one.id, &one.progress, &leased, None)?;
                }
                let ids = |rows: Vec<Delivery>| rows.iter().map(|one| one.id).collect::<Vec<_>>();
                Ok((
                    ids(leases(tx, 100)?),
                    ids(leases(tx, Millis::MAX)?),
                    next_open_receiver(tx, 0)?,
                    next_open_receiver(tx, receiver_id)?,
                ))
            })
            .await;
        let (ran_out, all, first, behind) = outcome.expect("a change");
        assert_eq!((ran_out, all), (vec![2], vec![2, 3]));
        assert_eq!((first, behind), (Some(receiver_id), None));
    }

    #[tokio::test]
    async fn old_and_surplus_deliveries_go_and_open_ones_stay() {
        let (_folder, store, receiver_id) = outbox(6).await;
        let outcome: Result<(Vec<i64>, usize, Vec<i64>), StoreError> = store
            .write(move |tx| {
                // The first stays open; the others ended at ten times their number, the last one without success.
                let all = open_of(tx, receiver_id, 10)?;
                for one in &all[1..] {
                    let ending = if one.id == 6 {
                        Ending::Cancelled
                    } else {
                        Ending::Delivered
                    };
                    advance(tx, one.id, &one.progress, &ended(one.id * 10, ending), None)?;
                }
                let failed = failed_since(tx, receiver_id, 60)?;
                // Number 2 is too old, and of the newest three the fourth last is too many.
                let removed = prune(tx, receiver_id, 25, 3)?;
                let left = list(tx, receiver_id, i64::MAX, 10)?;
                let ids = |rows: Vec<Delivery>| rows.iter().map(|one| one.id).collect();
                Ok((ids(failed), removed, ids(left)))
            })
            .await;
        let (failed, removed, left) = outcome.expect("a change");
        assert_eq!(failed, [6]);
        assert_eq!(removed, 2);
        assert_eq!(left, [6, 5, 4, 1]);
        let bodies = store
            .read(|tx| Ok::<_, StoreError>((body(tx, 2)?, body(tx, 4)?)))
            .await;
        let (of_removed, of_kept) = bodies.expect("bodies");
        assert!(of_removed.is_none() && of_kept.is_some());
    }
}
