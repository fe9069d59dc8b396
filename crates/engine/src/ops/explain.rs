//! Says why: what arrived, which rules were looked at, what was decided, and what came of it.

use madake_domain::change::Rule;
use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_store::build::Build;
use madake_store::decision::{self, Decision};
use madake_store::delivery::{self, Delivery};
use madake_store::event::{self, Event, NewEvent, Note};
use madake_store::{StoreError, Tx, build, plan, receiver, repository};

use crate::access::{Caller, Target, may, plan_for, require};
use crate::{Engine, EngineError, clock};

/// A decision with the key of the build that came of it.
#[derive(Debug, Clone)]
pub struct ExplainedDecision {
    /// The decision.
    pub decision: Decision,
    /// `PROJ-PLAN-7`
    pub build_key: Option<String>,
}

/// An entry of the ledger with everything that belongs to it.
#[derive(Debug, Clone)]
pub struct ExplainedEvent {
    /// The entry.
    pub event: Event,
    /// The repository's name.
    pub repository: Option<String>,
    /// The size of the bytes as they came.
    pub raw_bytes: usize,
    /// Lines that were added to it.
    pub notes: Vec<Note>,
    /// Decisions about plans that the caller may read.
    pub decisions: Vec<ExplainedDecision>,
    /// What receivers were told of it, for those who may administer their repository.
    pub deliveries: Vec<EventDelivery>,
}

/// A delivery that came of an entry.
#[derive(Debug, Clone)]
pub struct EventDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// What people call its receiver.
    pub name: String,
    /// The format, or the type of broker.
    pub profile: String,
    /// Where it is reached.
    pub url: String,
}

impl Engine {
    /// Explains one entry of the ledger.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when there is none that the caller may see.
    pub async fn explain_event(&self, caller: &Caller, id: i64) -> Result<ExplainedEvent, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let missing = || EngineError::NotFound(format!("there is no event {id}"));
                let found = event::by_id(tx, id)?.ok_or_else(missing)?;
                let explained = explain(tx, &caller, found)?;
                explained.ok_or_else(|| {
                    if caller.principal.is_logged_in() {
                        missing()
                    } else {
                        EngineError::Unauthenticated {
                            needed: Permission::Read,
                            subject: format!("event {id}"),
                        }
                    }
                })
            })
            .await
    }

    /// The bytes of an entry as they came, for administrators.
    ///
    /// # Errors
    /// When there is none, or the caller may not.
    pub async fn event_bytes(&self, caller: &Caller, id: i64) -> Result<Vec<u8>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                event::raw(tx, id)?.ok_or_else(|| EngineError::NotFound(format!("there is no event {id}")))
            })
            .await
    }

    /// The newest entries that the caller may see, below the id `before`, of one state or of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_events(
        &self,
        caller: &Caller,
        before: i64,
        state: Option<String>,
        limit: i64,
    ) -> Result<Vec<Event>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let mut seen = Vec::new();
                for one in event::list(tx, before, state.as_deref(), limit)? {
                    if may_see(tx, &caller, &one)? {
                        seen.push(one);
                    }
                }
                Ok(seen)
            })
            .await
    }

    /// The newest decisions about a plan and its branches, or about the one branch named, of one revision (its
    /// first digits will do) or of all; each with its entry and the lines that were added to that.
    ///
    /// # Errors
    /// When the plan is not there, or the caller may not see it.
    pub async fn explain_plan(
        &self,
        caller: &Caller,
        key: &PlanKey,
        revision: Option<String>,
        limit: i64,
    ) -> Result<Vec<(ExplainedDecision, Event, Vec<Note>)>, EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .read(move |tx| {
                let (plan_row, branch) = plan_for(tx, &caller, &key, Permission::Read)?;
                let branch_id = (!branch.is_master).then_some(branch.id);
                let mut explained = Vec::new();
                for decision in decision::of_plan(tx, plan_row.id, branch_id, revision.as_deref(), limit)? {
                    let Some(event) = event::by_id(tx, decision.event_id)? else {
                        continue;
                    };
                    let notes = notes_for(tx, &caller, &event)?;
                    explained.push((with_build(tx, decision)?, event, notes));
                }
                Ok(explained)
            })
            .await
    }

    /// Enters a request that was refused, so that an administrator finds it. A ledger that cannot be written is
    /// logged and does not change the answer.
    pub async fn record_refusal(&self, new: NewEvent, status: u16, reason: String) {
        let stored = self
            .store()
            .write(move |tx| event::refuse(tx, &new, status, &reason, clock::now_ms()))
            .await;
        if let Err(error) = stored {
            tracing::error!("a refusal could not be entered in the ledger: {error}");
        }
    }
}

fn may_see(tx: &Tx<'_>, caller: &Caller, one: &Event) -> Result<bool, EngineError> {
    if may(tx, caller, Permission::Administration, Target::Global)? {
        return Ok(true);
    }
    if one.state == "refused" {
        return Ok(false);
    }
    if let Some(key) = one
        .plan_key
        .as_deref()
        .and_then(|key| key.parse::<PlanKey>().ok())
        && let Some(branch) = plan::branch_by_key(tx, &key)?
    {
        let master = plan::by_id(tx, branch.plan_id)?.key;
        return may(tx, caller, Permission::Read, Target::Plan(&master));
    }
    match one.repository_id {
        Some(id) => match repository::by_id(tx, id)? {
            Some(found) => may(tx, caller, Permission::Read, Target::Repository(&found)),
            None => Ok(false),
        },
        None => Ok(false),
    }
}

fn explain(tx: &Tx<'_>, caller: &Caller, found: Event) -> Result<Option<ExplainedEvent>, EngineError> {
    let mut decisions = Vec::new();
    for decision in decision::of_event(tx, found.id)? {
        let readable = match decision.plan_key.parse::<PlanKey>() {
            Ok(key) => match plan::branch_by_key(tx, &key)? {
                Some(branch) => {
                    let master = plan::by_id(tx, branch.plan_id)?.key;
                    may(tx, caller, Permission::Read, Target::Plan(&master))?
                }
                None => may(tx, caller, Permission::Read, Target::Plan(&key))?,
            },
            Err(_) => false,
        };
        if readable {
            decisions.push(with_build(tx, decision)?);
        }
    }
    if decisions.is_empty() && !may_see(tx, caller, &found)? {
        return Ok(None);
    }
    let repository = match found.repository_id {
        Some(id) => repository::by_id(tx, id)?.map(|one| one.name),
        None => None,
    };
    let deliveries = deliveries_of(tx, caller, found.id)?;
    let raw_bytes = event::raw(tx, found.id)?.map_or(0, |raw| raw.len());
    let notes = notes_for(tx, caller, &found)?;
    Ok(Some(ExplainedEvent {
        event: found,
        repository,
        raw_bytes,
        notes,
        decisions,
        deliveries,
    }))
}

/// The lines that were added to an entry, for whoever may see the entry itself: they quote plan files, and name who was told.
/// Who sees a decision alone may not see those of other plans.
fn notes_for(tx: &Tx<'_>, caller: &Caller, found: &Event) -> Result<Vec<Note>, EngineError> {
    if may_see(tx, caller, found)? {
        Ok(event::notes(tx, found.id)?)
    } else {
        Ok(Vec::new())
    }
}

fn deliveries_of(tx: &Tx<'_>, caller: &Caller, event_id: i64) -> Result<Vec<EventDelivery>, EngineError> {
    let mut told = Vec::new();
    for delivery in delivery::of_event(tx, event_id)? {
        let Some(one) = receiver::by_id_even_removed(tx, delivery.receiver_id)? else {
            continue;
        };
        let Some(found) = repository::by_id(tx, one.repository_id)? else {
            continue;
        };
        if may(tx, caller, Permission::Administration, Target::Repository(&found))? {
            told.push(EventDelivery {
                delivery,
                name: one.name,
                profile: one.profile,
                url: one.url,
            });
        }
    }
    Ok(told)
}

fn with_build(tx: &Tx<'_>, decision: Decision) -> Result<ExplainedDecision, EngineError> {
    let build_key = match decision.build_id {
        // A result that had its time is gone; what came of the decision is written beside it.
        Some(id) => build::key_of(tx, id)?,
        None => None,
    };
    Ok(ExplainedDecision { decision, build_key })
}

/// What was noted of the plan file when a build was decided: that it had errors, and an older version is built.
///
/// # Errors
/// When the store cannot be read.
pub fn plan_file_of(tx: &Tx<'_>, build: &Build) -> Result<Option<String>, EngineError> {
    let Some(event_id) = build.event_id else {
        return Ok(None);
    };
    let decisions = decision::of_event(tx, event_id)?;
    let Some(own) = decisions.iter().find(|one| one.build_id == Some(build.id)) else {
        return Ok(None);
    };
    let rules: Vec<Rule> = serde_json::from_str(&own.rules).map_err(StoreError::from)?;
    let noted = rules.into_iter().find(|rule| rule.name == Rule::PLAN_FILE);
    Ok(noted.map(|rule| rule.input))
}
