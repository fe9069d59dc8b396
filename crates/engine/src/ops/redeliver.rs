//! The delivery log: what receivers were told and answered, sending it again, and a delivery to try things out.

use madake_domain::delivery::Progress;
use madake_store::delivery::{self, Attempt, Body, Delivery, NewDelivery};
use madake_store::event::{Content, Event, RefUpdate};
use madake_vcs::name::ObjectId;
use uuid::Uuid;

use crate::access::Caller;
use crate::reading::refs_of_branch;
use crate::telling::{BROKER, enter, profile_and_settings, render_for};
use crate::{Engine, EngineError, clock};

/// A delivery with everything that is known of it.
#[derive(Debug, Clone)]
pub struct ExplainedDelivery {
    /// The row.
    pub delivery: Delivery,
    /// What is sent.
    pub body: Option<Body>,
    /// How each attempt went, oldest first.
    pub attempts: Vec<Attempt>,
}

impl Engine {
    /// Deliveries of a receiver below the id `before`, newest first.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn deliveries(
        &self,
        caller: &Caller,
        receiver_id: i64,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Delivery>, EngineError> {
        self.administered_receiver(caller, receiver_id).await?;
        self.store()
            .read(move |tx| {
                Ok::<_, EngineError>(delivery::list(tx, receiver_id, before, limit.clamp(1, 500))?)
            })
            .await
    }

    /// One delivery.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn delivery(&self, caller: &Caller, id: i64) -> Result<ExplainedDelivery, EngineError> {
        let found = self.delivery_for(caller, id).await?;
        self.store()
            .read(move |tx| {
                Ok::<_, EngineError>(ExplainedDelivery {
                    delivery: found,
                    body: delivery::body(tx, id)?,
                    attempts: delivery::attempts(tx, id)?,
                })
            })
            .await
    }

    /// Sends a delivery again: at once, with the same id and the same body.
    ///
    /// # Errors
    /// When it is not there, the caller may not, or it is being sent.
    pub async fn redeliver(&self, caller: &Caller, id: i64) -> Result<(), EngineError> {
        let found = self.delivery_for(caller, id).await?;
        self.again(vec![found]).await.map(|_| ())
    }

    /// Sends all deliveries of a receiver again that ended without success at or after a moment; says how many.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn redeliver_failed(
        &self,
        caller: &Caller,
        receiver_id: i64,
        since_ms: i64,
    ) -> Result<usize, EngineError> {
        self.administered_receiver(caller, receiver_id).await?;
        let failed = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(delivery::failed_since(tx, receiver_id, since_ms)?))
            .await?;
        self.again(failed).await
    }

    /// Sends a receiver what the newest commit of the default branch would look like as a push, or the ping that its
    /// format has. Gives the id of the delivery.
    ///
    /// # Errors
    /// When it is not there, the caller may not, or the repository has no commit yet.
    pub async fn test_receiver(&self, caller: &Caller, receiver_id: i64) -> Result<i64, EngineError> {
        let (receiver, found) = self.administered_receiver(caller, receiver_id).await?;
        let ping = if receiver.kind == BROKER {
            None
        } else {
            profile_and_settings(&receiver)?.0.ping()
        };
        let new = if let Some(ping) = ping {
            NewDelivery {
                uid: Uuid::now_v7().to_string(),
                receiver_id,
                event_id: None,
                kind: "ping".into(),
                summary: "a test without content".into(),
                ordering: None,
                content_type: ping.content_type.to_owned(),
                headers: ping
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                body: ping.body,
            }
        } else {
            let head = self.current_head(&found, &found.default_branch).await?;
            let head = head
                .as_deref()
                .and_then(|id| ObjectId::parse(id).ok())
                .ok_or_else(|| {
                    EngineError::Conflict(format!(
                        "{} has no commit on {} yet: push one, and there is something to tell",
                        found.name, found.default_branch
                    ))
                })?;
            let opened = self.open_repository(&found)?;
            let commit = opened.commit(&head).await?;
            let names = refs_of_branch(found.scm, &found.default_branch);
            let known = opened.refs_named(&names).await?;
            let name = names.into_iter().find(|name| known.contains_key(name));
            let update = RefUpdate {
                name: name.unwrap_or_else(|| format!("refs/heads/{}", found.default_branch)),
                old: commit.parents.first().map(ToString::to_string),
                new: Some(head.to_string()),
            };
            let event = sample_event(caller, found.id);
            let rendered =
                render_for(self, &event, &found, &[update], Some(caller.name()), &receiver).await?;
            let mut first = rendered
                .into_iter()
                .next()
                .ok_or_else(|| EngineError::Conflict("the format has nothing to tell of this push".into()))?;
            first.kind = "test".into();
            first.summary = format!("a test with the newest commit of {}", found.default_branch);
            first.event_id = None;
            first
        };
        self.store()
            .write(move |tx| enter(tx, &[new], clock::now_ms()))
            .await?
            .first()
            .copied()
            .ok_or_else(|| EngineError::Internal("the test was not entered".into()))
    }

    async fn delivery_for(&self, caller: &Caller, id: i64) -> Result<Delivery, EngineError> {
        let found = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(delivery::by_id(tx, id)?))
            .await?
            .ok_or_else(|| EngineError::NotFound(format!("a delivery with the id {id} does not exist")))?;
        self.administered_receiver(caller, found.receiver_id).await?;
        Ok(found)
    }

    async fn again(&self, deliveries: Vec<Delivery>) -> Result<usize, EngineError> {
        self.store()
            .write(move |tx| {
                let mut count = 0;
                for one in &deliveries {
                    let to: Progress = one
                        .progress
                        .clone()
                        .redeliver(clock::now_ms())
                        .map_err(|error| EngineError::Conflict(error.to_string()))?;
                    count += usize::from(delivery::advance(tx, one.id, &one.progress, &to, None)?);
                }
                Ok::<_, EngineError>(count)
            })
            .await
    }
}

fn sample_event(caller: &Caller, repository_id: i64) -> Event {
    Event {
        id: 0,
        kind: "test".into(),
        delivery_id: None,
        received_ms: clock::now_ms(),
        address: caller.address.clone(),
        principal: caller.name().to_owned(),
        repository_id: Some(repository_id),
        plan_key: None,
        summary: String::new(),
        content: Content::Request {
            request: String::new(),
        },
        state: "processed".into(),
        reason: None,
        status: None,
        duplicate_of: None,
        repeats: 0,
        processed_ms: None,
    }
}
