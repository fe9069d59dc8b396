//! What people were told: messages, how each attempt to send them went, and sending one again.

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_store::notification::{self, Message, MessageAttempt};
use madake_store::{StoreError, Topic, Tx, build, plan};

use crate::access::{Caller, Target, plan_for, require};
use crate::notifying::{shown_address, shown_body};
use crate::{Engine, EngineError, clock};

/// A message as people see it.
#[derive(Debug, Clone)]
pub struct ShownMessage {
    /// The message. Of a webhook's address only scheme and host are left.
    pub message: Message,
    /// The key of the build that it tells of.
    pub build_key: Option<String>,
    /// Who was told of the same, and who was not.
    pub summary: String,
    /// The body of a call, where it was asked for.
    pub body: Option<String>,
    /// The attempts, where they were asked for.
    pub attempts: Vec<MessageAttempt>,
}

impl Engine {
    /// Messages below the id `before`, newest first: of one plan for who administers it, of all for administrators.
    ///
    /// # Errors
    /// When the plan is not there, or the caller may not.
    pub async fn notifications(
        &self,
        caller: &Caller,
        key: Option<&PlanKey>,
        before: i64,
        limit: i64,
    ) -> Result<Vec<ShownMessage>, EngineError> {
        let (caller, key) = (caller.clone(), key.cloned());
        self.store()
            .read(move |tx| {
                let plan_id = match &key {
                    Some(key) => Some(plan_for(tx, &caller, key, Permission::Administration)?.0.id),
                    None => {
                        require(tx, &caller, Permission::Administration, Target::Global)?;
                        None
                    }
                };
                let mut shown = Vec::new();
                for message in notification::messages(tx, plan_id, before, limit.clamp(1, 500))? {
                    shown.push(show(tx, message)?);
                }
                Ok(shown)
            })
            .await
    }

    /// One message with its attempts.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn notification(&self, caller: &Caller, id: i64) -> Result<ShownMessage, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let mut shown = allowed(tx, &caller, id)?;
                shown.body = shown_body(tx, &shown.message)?;
                shown.attempts = notification::attempts(tx, id)?;
                Ok(shown)
            })
            .await
    }

    /// Sends a message again, at once and with the same id.
    ///
    /// # Errors
    /// When it is not there or being sent just now, or the caller may not.
    pub async fn send_notification_again(&self, caller: &Caller, id: i64) -> Result<(), EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let shown = allowed(tx, &caller, id)?;
                let from = shown.message.progress;
                let to = from
                    .clone()
                    .redeliver(clock::now_ms())
                    .map_err(|error| EngineError::Conflict(error.to_string()))?;
                notification::advance(tx, id, &from, &to)?;
                tx.wake(Topic::Notices);
                Ok(())
            })
            .await
    }
}

/// A message, if the caller administers its plan.
fn allowed(tx: &Tx<'_>, caller: &Caller, id: i64) -> Result<ShownMessage, EngineError> {
    let missing = || EngineError::NotFound(format!("there is no notification {id}"));
    let found = notification::message(tx, id)?;
    let notice = match &found {
        Some(message) => notification::notice(tx, message.notice_id)?,
        None => None,
    };
    let key = match notice.as_ref().and_then(|notice| notice.plan_id) {
        Some(plan_id) => Some(plan::by_id(tx, plan_id)?.key),
        None => None,
    };
    // Who may not see it gets the same answer whether it is there or not.
    match &key {
        Some(key) => require(tx, caller, Permission::Administration, Target::Plan(key)),
        None => require(tx, caller, Permission::Administration, Target::Global),
    }
    .map_err(|refusal| match refusal {
        EngineError::Forbidden { .. } => missing(),
        EngineError::Unauthenticated { needed, .. } => EngineError::Unauthenticated {
            needed,
            subject: format!("notification {id}"),
        },
        other => other,
    })?;
    show(tx, found.ok_or_else(missing)?)
}

fn show(tx: &Tx<'_>, mut message: Message) -> Result<ShownMessage, EngineError> {
    let notice = notification::notice(tx, message.notice_id)?;
    let build_key = match notice.as_ref().and_then(|notice| notice.build_id) {
        Some(id) => match build::by_id(tx, id) {
            Ok(build) => Some(build.key),
            // It was removed, as the plan wants of old ones.
            Err(StoreError::Missing(_)) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    if message.medium == "webhook" {
        message.address = shown_address(&message.address);
    }
    Ok(ShownMessage {
        message,
        build_key,
        summary: notice
            .as_ref()
            .map_or_else(String::new, |notice| notice.summary.clone()),
        body: None,
        attempts: Vec::new(),
    })
}
