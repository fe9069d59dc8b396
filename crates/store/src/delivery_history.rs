//! What became of the attempts to reach a receiver, counted and picked out of the delivery log.

use crate::delivery::{self, Attempt};
use crate::{Millis, StoreError, Tx, params};

/// How an attempt ended, in the words of Bitbucket (push-payloads.md B.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Any 2xx.
    Success,
    /// Another status.
    Failure,
    /// No answer.
    Error,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Error];

    fn condition(self) -> &'static str {
        match self {
            Self::Success => "a.status BETWEEN 200 AND 299",
            Self::Failure => "a.status IS NOT NULL AND NOT a.status BETWEEN 200 AND 299",
            Self::Error => "a.status IS NULL",
        }
    }
}

/// Deliveries of which kind are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All.
    Any,
    /// Connection tests only.
    Pings,
    /// All but connection tests.
    Pushes,
}

impl Kind {
    fn condition(self) -> &'static str {
        match self {
            Self::Any => "1 = 1",
            Self::Pings => "d.kind = 'ping'",
            Self::Pushes => "d.kind <> 'ping'",
        }
    }
}

/// One attempt, and the delivery that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The id of the attempt.
    pub id: i64,
    /// The row's id of the delivery.
    pub delivery_id: i64,
    /// Whether it was a connection test.
    pub is_ping: bool,
    /// The attempt.
    pub attempt: Attempt,
}

/// How many attempts ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// 2xx.
    pub successes: i64,
    /// Other statuses.
    pub failures: i64,
    /// No answer.
    pub errors: i64,
}

/// The newest attempt of a receiver, of these deliveries and with this outcome if one is named.
///
/// # Errors
/// When the store cannot be read.
pub fn newest(
    tx: &Tx<'_>,
    receiver_id: i64,
    kind: Kind,
    outcome: Option<Outcome>,
) -> Result<Option<Tried>, StoreError> {
    let found = tx.first(
        &format!(
            "SELECT a.id, d.id, d.kind, a.number FROM delivery d JOIN delivery_attempt a ON a.delivery_id = d.id
             WHERE d.receiver_id = $1 AND {} AND {} ORDER BY a.id DESC LIMIT 1",
            kind.condition(),
            outcome.map_or("1 = 1", Outcome::condition)
        ),
        params![receiver_id],
        |row| {
            Ok((
                row.get::<i64>(0)?,
                row.get::<i64>(1)?,
                row.get::<String>(2)? == "ping",
                row.get::<i64>(3)?,
            ))
        },
    )?;
    let Some((id, delivery_id, is_ping, number)) = found else {
        return Ok(None);
    };
    // A delivery that was sent again has attempts of one number more than once: the last of them is meant.
    let attempt = delivery::attempts(tx, delivery_id)?
        .into_iter()
        .rfind(|one| one.number == number && outcome.is_none_or(|wanted| outcome_of(one.status) == wanted));
    Ok(attempt.map(|attempt| Tried {
        id,
        delivery_id,
        is_ping,
        attempt,
    }))
}

/// How the attempts of a receiver ended that began at or after `since_ms`.
///
/// # Errors
/// When the store cannot be read.
pub fn counts(tx: &Tx<'_>, receiver_id: i64, kind: Kind, since_ms: Millis) -> Result<Counts, StoreError> {
    let count = |outcome: Outcome| {
        tx.first(
            &format!(
                "SELECT COUNT(*) FROM delivery d JOIN delivery_attempt a ON a.delivery_id = d.id
                 WHERE d.receiver_id = $1 AND a.began_ms >= $2 AND {} AND {}",
                kind.condition(),
                outcome.condition()
            ),
            params![receiver_id, since_ms],
            |row| row.get::<i64>(0),
        )
        .map(Option::unwrap_or_default)
    };
    Ok(Counts {
        successes: count(Outcome::Success)?,
        failures: count(Outcome::Failure)?,
        errors: count(Outcome::Error)?,
    })
}

/// What a status means; `None` is no answer.
#[must_use]
pub fn outcome_of(status: Option<i64>) -> Outcome {
    match status {
        Some(200..=299) => Outcome::Success,
        Some(_) => Outcome::Failure,
        None => Outcome::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::tests::outbox;

    fn attempt(number: i64, began_ms: Millis, status: Option<i64>) -> Attempt {
        Attempt {
            number,
            began_ms,
            duration_ms: 1,
            address: String::new(),
            request_headers: Vec::new(),
            status,
            response_headers: Vec::new(),
            response_body: Vec::new(),
            answer: String::new(),
            timings: "{}".into(),
        }
    }

    #[tokio::test]
    async fn attempts_are_counted_and_the_newest_of_each_outcome_is_found() {
        let (_folder, store, receiver_id) = outbox(2).await;
        let outcome: Result<_, StoreError> = store
            .write(move |tx| {
                let tries = [
                    (1, attempt(1, 10, None)),
                    (1, attempt(2, 20, Some(500))),
                    (2, attempt(1, 30, Some(204))),
                    (1, attempt(3, 40, Some(302))),
                    // Sent again by hand, the delivery counts its attempts anew.
                    (1, attempt(1, 50, Some(404))),
                ];
                for (delivery, attempt) in &tries {
                    delivery::insert_attempt(tx, *delivery, attempt)?;
                }
                tx.execute("UPDATE delivery SET kind = 'ping' WHERE id = 2", &[])?;
                let began = |kind, outcome| {
                    let found = newest(tx, receiver_id, kind, outcome)?;
                    Ok::<_, StoreError>(found.map(|one| (one.attempt.began_ms, one.is_ping)))
                };
                Ok((
                    [
                        began(Kind::Any, None)?,
                        began(Kind::Any, Some(Outcome::Success))?,
                        began(Kind::Any, Some(Outcome::Failure))?,
                        began(Kind::Any, Some(Outcome::Error))?,
                        began(Kind::Pings, None)?,
                        began(Kind::Pushes, Some(Outcome::Success))?,
                    ],
                    counts(tx, receiver_id, Kind::Any, 0)?,
                    counts(tx, receiver_id, Kind::Pushes, 20)?,
                    newest(tx, receiver_id + 1, Kind::Any, None)?,
                ))
            })
            .await;
        let (newest, all, pushes, of_another) = outcome.expect("a change");
        assert_eq!(
            newest,
            [
                Some((50, false)),
                Some((30, true)),
                Some((50, false)),
                Some((10, false)),
                Some((30, true)),
                None
            ]
        );
        let counted = |successes, failures, errors| Counts {
            successes,
            failures,
            errors,
        };
        assert_eq!((all, pushes), (counted(1, 3, 1), counted(0, 3, 0)));
        assert!(of_another.is_none());
    }
}
