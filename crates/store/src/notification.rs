//! What people are told of plans: what happened and is to be told, the messages that came of it, and how each attempt
//! to send them went.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use madake_domain::delivery::Progress;

use crate::{Millis, StoreError, Topic, Tx, params};

/// Something that happened, entered in the transaction in which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The row's id.
    pub id: i64,
    /// The plan.
    pub plan_id: Option<i64>,
    /// The build.
    pub build_id: Option<i64>,
    /// What happened, as JSON of the engine.
    pub content: String,
    /// When.
    pub created_ms: Millis,
    /// When it was settled who is told; `None`: not yet.
    pub settled_ms: Option<Millis>,
    /// Who was told and who was not, in a sentence.
    pub summary: String,
}

/// What a new notice is made of.
#[derive(Debug, Clone)]
pub struct NewNotice {
    /// The plan.
    pub plan_id: Option<i64>,
    /// The build.
    pub build_id: Option<i64>,
    /// What happened, as JSON of the engine.
    pub content: String,
}

/// A message to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The row's id.
    pub id: i64,
    /// The id that receivers see: the same at every attempt.
    pub uid: String,
    /// What it tells of.
    pub notice_id: i64,
    /// `mail` or `webhook`.
    pub medium: String,
    /// The user's name, the address of a mail, or the name of a webhook: for people.
    pub recipient: String,
    /// Where it goes. That of a webhook may hold a password.
    pub address: String,
    /// The event of the plan file, as people call it.
    pub event: String,
    /// One line for lists.
    pub subject: String,
    /// What is sent to this address alone, as JSON of the engine.
    pub content: String,
    /// The row with what is sent to others too.
    pub body_id: Option<i64>,
    /// How far it has come.
    pub progress: Progress,
    /// When it was entered.
    pub created_ms: Millis,
}

/// What a new message is made of.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The id that receivers see.
    pub uid: String,
    /// `mail` or `webhook`.
    pub medium: &'static str,
    /// For people.
    pub recipient: String,
    /// Where it goes.
    pub address: String,
    /// The event of the plan file.
    pub event: String,
    /// One line for lists.
    pub subject: String,
    /// What is sent to this address alone.
    pub content: String,
    /// What is sent to others too: equal ones of a notice are kept once.
    pub body: Option<String>,
    /// Messages of one line wait for each other; lines take turns.
    pub line: String,
}

/// One attempt to send a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAttempt {
    /// Counts from 1.
    pub number: i64,
    /// When it began.
    pub began_ms: Millis,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// What came of it, in a sentence without secrets.
    pub answer: String,
}

/// Enters a notice of a build, if the version that the build runs has anybody told of anything.
///
/// # Errors
/// When the store cannot be written.
pub fn enter_of_build(tx: &Tx<'_>, build_id: i64, content: &str, now: Millis) -> Result<(), StoreError> {
    let entered = tx.execute(
        "INSERT INTO notice (plan_id, build_id, content, created_ms, summary)
         SELECT b.plan_id, b.id, $2, $3, '' FROM build b JOIN plan_version v ON v.id = b.version_id
         WHERE b.id = $1 AND v.notifies = 1",
        params![build_id, content, now],
    )?;
    if entered > 0 {
        tx.wake(Topic::Notices);
    }
    Ok(())
}

/// Enters a notice.
///
/// # Errors
/// When the store cannot be written.
pub fn enter(tx: &Tx<'_>, new: &NewNotice, now: Millis) -> Result<i64, StoreError> {
    tx.wake(Topic::Notices);
    tx.insert(
        "INSERT INTO notice (plan_id, build_id, content, created_ms, summary) VALUES ($1, $2, $3, $4, '') RETURNING id",
        params![new.plan_id, new.build_id, new.content, now],
    )
}

const NOTICE: &str = "SELECT id, plan_id, build_id, content, created_ms, settled_ms, summary FROM notice";

fn read_notice(row: &crate::Row<'_>) -> Result<Notice, StoreError> {
    Ok(Notice {
        id: row.get(0)?,
        plan_id: row.get(1)?,
        build_id: row.get(2)?,
        content: row.get(3)?,
        created_ms: row.get(4)?,
        settled_ms: row.get(5)?,
        summary: row.get(6)?,
    })
}

/// Notices that are not settled, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn open_notices(tx: &Tx<'_>, limit: i64) -> Result<Vec<Notice>, StoreError> {
    tx.all(
        &format!("{NOTICE} WHERE settled_ms IS NULL ORDER BY id LIMIT $1"),
        params![limit],
        read_notice,
    )
}

/// One notice.
///
/// # Errors
/// When the store cannot be read.
pub fn notice(tx: &Tx<'_>, id: i64) -> Result<Option<Notice>, StoreError> {
    tx.first(&format!("{NOTICE} WHERE id = $1"), params![id], read_notice)
}

/// Settles a notice, once; whether this call did. One that tells nobody leaves nothing behind.
///
/// # Errors
/// When the store cannot be written.
pub fn settle_notice(
    tx: &Tx<'_>,
    id: i64,
    summary: &str,
    messages: &[NewMessage],
    now: Millis,
) -> Result<bool, StoreError> {
    if messages.is_empty() && summary.is_empty() {
        let gone = tx.execute(
            "DELETE FROM notice WHERE id = $1 AND settled_ms IS NULL",
            params![id],
        )?;
        return Ok(gone == 1);
    }
    let settled = tx.execute(
        "UPDATE notice SET settled_ms = $1, summary = $2 WHERE id = $3 AND settled_ms IS NULL",
        params![now, summary, id],
    )?;
    if settled == 0 {
        return Ok(false);
    }
    let progress = Progress::Waiting {
        attempts: 0,
        due_ms: now,
    };
    let mut bodies: HashMap<&str, i64> = HashMap::new();
    for one in messages {
        let body_id = match &one.body {
            None => None,
            Some(body) => Some(match bodies.entry(body) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(place) => *place.insert(tx.insert(
                    "INSERT INTO message_body (notice_id, body) VALUES ($1, $2) RETURNING id",
                    params![id, body],
                )?),
            }),
        };
        tx.execute(
            "INSERT INTO message (uid, notice_id, medium, recipient, address, event, subject, content, progress, open,
               due_ms, created_ms, body_id, line) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $10, $11, $12)",
            params![
                one.uid,
                id,
                one.medium,
                one.recipient,
                one.address,
                one.event,
                one.subject,
                one.content,
                serde_json::to_string(&progress)?,
                now,
                body_id,
                one.line
            ],
        )?;
    }
    tx.wake(Topic::Notices);
    Ok(true)
}

const MESSAGE: &str =
    "SELECT m.id, m.uid, m.notice_id, m.medium, m.recipient, m.address, m.event, m.subject, m.content, m.progress,
       m.created_ms, m.body_id FROM message m";

fn read_message(row: &crate::Row<'_>) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.get(0)?,
        uid: row.get(1)?,
        notice_id: row.get(2)?,
        medium: row.get(3)?,
        recipient: row.get(4)?,
        address: row.get(5)?,
        event: row.get(6)?,
        subject: row.get(7)?,
        content: row.get(8)?,
        progress: row.json(9)?,
        created_ms: row.get(10)?,
        body_id: row.get(11)?,
    })
}

/// Messages that are due, or whose lease has run out: the longest due of each line, at most `of_each` of them, then the
/// second of each, and so on; so that a line with many messages is not in the way of others.
///
/// # Errors
/// When the store cannot be read.
pub fn due_messages(tx: &Tx<'_>, now: Millis, of_each: i64, limit: i64) -> Result<Vec<Message>, StoreError> {
    tx.all(
        &format!(
            "{MESSAGE} JOIN (
               SELECT id, ROW_NUMBER() OVER (PARTITION BY line ORDER BY due_ms, id) AS turn
               FROM message WHERE open = 1 AND due_ms <= $1) d ON d.id = m.id
             WHERE d.turn <= $2 ORDER BY d.turn, m.due_ms, m.id LIMIT $3"
        ),
        params![now, of_each, limit],
        read_message,
    )
}

/// What several messages have in common.
///
/// # Errors
/// When the store cannot be read.
pub fn body(tx: &Tx<'_>, id: i64) -> Result<Option<String>, StoreError> {
    tx.first(
        "SELECT body FROM message_body WHERE id = $1",
        params![id],
        |row| row.get(0),
    )
}

/// When the next message is due.
///
/// # Errors
/// When the store cannot be read.
pub fn next_due_ms(tx: &Tx<'_>, after: Millis) -> Result<Option<Millis>, StoreError> {
    let found = tx.first(
        "SELECT MIN(due_ms) FROM message WHERE open = 1 AND due_ms > $1",
        params![after],
        |row| row.get::<Option<i64>>(0),
    )?;
    Ok(found.flatten())
}

/// Messages that have not ended.
///
/// # Errors
/// When the store cannot be read.
pub fn open_messages(tx: &Tx<'_>) -> Result<Vec<Message>, StoreError> {
    tx.all(
        &format!("{MESSAGE} WHERE m.open = 1 ORDER BY m.id"),
        &[],
        read_message,
    )
}

/// Moves a message on, if it is still where `from` says: of several that try, one succeeds.
///
/// # Errors
/// When the store cannot be written.
pub fn advance(tx: &Tx<'_>, id: i64, from: &Progress, to: &Progress) -> Result<bool, StoreError> {
    let (open, due) = match to {
        Progress::Waiting { due_ms, .. } => (true, *due_ms),
        Progress::Leased { until_ms, .. } => (true, *until_ms),
        Progress::Ended { at_ms, .. } => (false, *at_ms),
    };
    let changed = tx.execute(
        "UPDATE message SET progress = $1, open = $2, due_ms = $3 WHERE id = $4 AND progress = $5",
        params![
            serde_json::to_string(to)?,
            open,
            due,
            id,
            serde_json::to_string(from)?
        ],
    )?;
    Ok(changed == 1)
}

/// Enters an attempt.
///
/// # Errors
/// When the store cannot be written.
pub fn insert_attempt(tx: &Tx<'_>, message_id: i64, attempt: &MessageAttempt) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO message_attempt (message_id, number, began_ms, duration_ms, answer) VALUES ($1, $2, $3, $4, $5)",
        params![
            message_id,
            attempt.number,
            attempt.began_ms,
            attempt.duration_ms,
            attempt.answer
        ],
    )?;
    Ok(())
}

/// The attempts to send a message, first to last.
///
/// # Errors
/// When the store cannot be read.
pub fn attempts(tx: &Tx<'_>, message_id: i64) -> Result<Vec<MessageAttempt>, StoreError> {
    tx.all(
        "SELECT number, began_ms, duration_ms, answer FROM message_attempt WHERE message_id = $1 ORDER BY id",
        params![message_id],
        |row| {
            Ok(MessageAttempt {
                number: row.get(0)?,
                began_ms: row.get(1)?,
                duration_ms: row.get(2)?,
                answer: row.get(3)?,
            })
        },
    )
}

/// One message.
///
/// # Errors
/// When the store cannot be read.
pub fn message(tx: &Tx<'_>, id: i64) -> Result<Option<Message>, StoreError> {
    tx.first(&format!("{MESSAGE} WHERE m.id = $1"), params![id], read_message)
}

/// Messages below the id `before`, newest first: of one plan or of all.
///
/// # Errors
/// When the store cannot be read.
pub fn messages(
    tx: &Tx<'_>,
    plan_id: Option<i64>,
    before: i64,
    limit: i64,
) -> Result<Vec<Message>, StoreError> {
    match plan_id {
        Some(plan_id) => tx.all(
            &format!(
                "{MESSAGE} JOIN notice n ON n.id = m.notice_id WHERE n.plan_id = $1 AND m.id < $2
                 ORDER BY m.id DESC LIMIT $3"
            ),
            params![plan_id, before, limit],
            read_message,
        ),
        None => tx.all(
            &format!("{MESSAGE} WHERE m.id < $1 ORDER BY m.id DESC LIMIT $2"),
            params![before, limit],
            read_message,
        ),
    }
}

/// The messages of a notice.
///
/// # Errors
/// When the store cannot be read.
pub fn messages_of_notice(tx: &Tx<'_>, notice_id: i64) -> Result<Vec<Message>, StoreError> {
    tx.all(
        &format!("{MESSAGE} WHERE m.notice_id = $1 ORDER BY m.id"),
        params![notice_id],
        read_message,
    )
}

/// Removes settled notices of before `before_ms` that have no open message; gives how many.
///
/// # Errors
/// When the store cannot be written.
pub fn prune(tx: &Tx<'_>, before_ms: Millis) -> Result<usize, StoreError> {
    let old = "SELECT id FROM notice WHERE settled_ms < $1
                 AND NOT EXISTS (SELECT 1 FROM message o WHERE o.notice_id = notice.id AND o.open = 1)";
    tx.execute(
        &format!(
            "DELETE FROM message_attempt WHERE message_id IN (SELECT id FROM message WHERE notice_id IN ({old}))"
        ),
        params![before_ms],
    )?;
    tx.execute(
        &format!("DELETE FROM message WHERE notice_id IN ({old})"),
        params![before_ms],
    )?;
    tx.execute(
        &format!("DELETE FROM message_body WHERE notice_id IN ({old})"),
        params![before_ms],
    )?;
    tx.execute(
        "DELETE FROM notice WHERE settled_ms < $1
           AND NOT EXISTS (SELECT 1 FROM message o WHERE o.notice_id = notice.id)",
        params![before_ms],
    )
}

#[cfg(test)]
mod tests {
    use madake_domain::delivery::Ending;

    use super::*;
    use crate::Store;

    fn mail(uid: &str) -> NewMessage {
        NewMessage {
            uid: uid.into(),
            medium: "mail",
            recipient: "ann".into(),
            address: "ann@example.org".into(),
            event: "All builds completed".into(),
            subject: "it ended".into(),
            content: "{}".into(),
            body: None,
            line: String::new(),
        }
    }

    #[tokio::test]
    async fn lines_take_turns_and_one_with_many_messages_is_in_nobodys_way() {
        let (_folder, store, id) = noticed().await;
        let of = |uid: String, line: &str| NewMessage {
            line: line.into(),
            ..mail(&uid)
        };
        let mut all: Vec<_> = (0..20).map(|n| of(format!("loud-{n:02}"), "loud")).collect();
        all.push(of("quiet".into(), "quiet"));
        let due = store
            .write(move |tx| {
                settle_notice(tx, id, "told", &all, 20)?;
                due_messages(tx, 20, 3, 10)
            })
            .await
            .expect("rows");
        let names: Vec<&str> = due.iter().map(|one| one.uid.as_str()).collect();
        assert_eq!(names, ["loud-00", "quiet", "loud-01", "loud-02"]);
    }

    #[tokio::test]
    async fn equal_bodies_of_a_notice_are_kept_once_and_go_with_it() {
        let (_folder, store, id) = noticed().await;
        let of = |uid: &str, body: &str| NewMessage {
            body: Some(body.into()),
            ..mail(uid)
        };
        let all = [of("a", "long"), of("b", "long"), of("c", "other")];
        let told = store
            .write(move |tx| {
                settle_notice(tx, id, "told", &all, 20)?;
                let due = due_messages(tx, 20, 9, 10)?;
                let mut bodies = Vec::new();
                for one in &due {
                    bodies.push(body(tx, one.body_id.expect("a body"))?);
                    let ended = Progress::Ended {
                        attempts: 1,
                        at_ms: 30,
                        ending: Ending::Delivered,
                    };
                    assert!(advance(tx, one.id, &one.progress, &ended)?);
                }
                let count =
                    |tx: &Tx<'_>| tx.first("SELECT COUNT(*) FROM message_body", &[], |row| row.get::<i64>(0));
                let before = count(tx)?;
                prune(tx, 1000)?;
                Ok::<_, StoreError>((bodies, before, count(tx)?))
            })
            .await
            .expect("changes");
        let bodies = ["long", "long", "other"].map(|body| Some(body.to_owned()));
        assert_eq!(told, (bodies.to_vec(), Some(2), Some(0)));
    }

    async fn noticed() -> (tempfile::TempDir, Store, i64) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("madake.db")).expect("a store");
        let new = NewNotice {
            plan_id: Some(1),
            build_id: None,
            content: "{}".into(),
        };
        let id = store
            .write(move |tx| enter(tx, &new, 10))
            .await
            .expect("a notice");
        (folder, store, id)
    }

    #[tokio::test]
    async fn notice_is_settled_once_and_its_messages_are_due() {
        let (_folder, store, id) = noticed().await;
        let settle =
            |uid: &'static str| store.write(move |tx| settle_notice(tx, id, "told ann", &[mail(uid)], 20));
        assert!(settle("a").await.expect("a change"));
        assert!(!settle("b").await.expect("a change"));
        let (open, due, early) = store
            .read(|tx| {
                Ok::<_, StoreError>((
                    open_notices(tx, 10)?,
                    due_messages(tx, 20, 9, 10)?,
                    next_due_ms(tx, 19)?,
                ))
            })
            .await
            .expect("rows");
        assert!(open.is_empty());
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].uid, "a");
        assert_eq!(early, Some(20));
    }

    #[tokio::test]
    async fn notice_that_tells_nobody_leaves_nothing() {
        let (_folder, store, id) = noticed().await;
        assert!(
            store
                .write(move |tx| settle_notice(tx, id, "", &[], 20))
                .await
                .expect("a change")
        );
        assert_eq!(store.read(move |tx| notice(tx, id)).await.expect("a look"), None);
    }

    #[tokio::test]
    async fn of_two_who_move_a_message_one_succeeds_and_old_ones_are_removed() {
        let (_folder, store, id) = noticed().await;
        let outcome = store
            .write(move |tx| {
                settle_notice(tx, id, "told ann", &[mail("a"), mail("b")], 20)?;
                let both = due_messages(tx, 20, 9, 10)?;
                let (first, second) = (&both[0], &both[1]);
                let leased = first.progress.clone().lease(20, 90).expect("it is due");
                let won = advance(tx, first.id, &first.progress, &leased)?;
                let lost = advance(tx, first.id, &first.progress, &leased)?;
                let kept = prune(tx, 1000)?;
                let attempt = MessageAttempt {
                    number: 1,
                    began_ms: 20,
                    duration_ms: 5,
                    answer: "taken".into(),
                };
                insert_attempt(tx, first.id, &attempt)?;
                for (one, from) in [(first, &leased), (second, &second.progress)] {
                    let ended = Progress::Ended {
                        attempts: 1,
                        at_ms: 30,
                        ending: Ending::Delivered,
                    };
                    assert!(advance(tx, one.id, from, &ended)?);
                }
                let listed = messages(tx, Some(1), i64::MAX, 10)?.len();
                let young = prune(tx, 20)?;
                let removed = prune(tx, 21)?;
                Ok::<_, StoreError>((
                    won,
                    lost,
                    kept,
                    listed,
                    young,
                    removed,
                    messages(tx, None, i64::MAX, 10)?.len(),
                ))
            })
            .await
            .expect("changes");
        assert_eq!(outcome, (true, false, 0, 2, 0, 1, 0));
    }
}
