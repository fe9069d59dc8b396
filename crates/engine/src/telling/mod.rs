//! Step 5 of the walk: whoever asked to be told of pushes gets a delivery, in the transaction that decides the push.

mod attempts;
pub(crate) mod broker;
mod broker_event;
mod builds;
mod carry_out;
mod deliver;
mod facts;
mod lanes;
mod lease;
mod owner;
mod patch;
mod settings;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use madake_brokers::Wishes;
use madake_domain::delivery::{Progress, Receiver as Health, Schedule};
use madake_domain::repository::RepositoryKind;
use madake_formats::outgoing::{Profile, PushFacts};
use madake_store::delivery::{self, NewDelivery};
use madake_store::event::{Event, RefUpdate};
use madake_store::receiver::{self, Receiver};
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx};
use uuid::Uuid;

use crate::{Engine, EngineError};

pub use self::broker::{BROKER, BrokerSettings};
pub(crate) use self::builds::{BASE_URL, BuildMove, reason as reason_sentence, tell as tell_build};
pub(crate) use self::carry_out::{NO_MAIL_SERVER, mail_answer};
pub(crate) use self::deliver::{LONGEST_TIMEOUT_SECONDS, jitter, note_health, secrets_of};
pub(crate) use self::facts::{commit_facts, file_change, kind_and_name, repository_facts, with_accounts};
pub(crate) use self::lanes::Lanes as TellingLanes;
pub(crate) use self::lease::{recover, run};
pub use self::settings::{ReceiverEvent, ReceiverSecrets, ReceiverSettings, hook_uuid, receiver_of_hook};

/// The kind of receivers that get payloads of pushes.
pub(crate) const WEBHOOK: &str = "webhook";

/// What the receivers of a repository are to be told of a push, and notes with their level. What cannot be rendered for
/// one of them is a note, and keeps nothing back from the others.
pub(crate) async fn prepare(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    updates: &[RefUpdate],
    pusher: Option<&str>,
) -> Result<Prepared, EngineError> {
    let mut prepared = Prepared::default();
    if updates.is_empty() {
        return Ok(prepared);
    }
    let receivers = engine
        .store()
        .look_up(|tx| Ok::<_, EngineError>(receiver::of_repository(tx, found.id)?))?;
    let mut told_by_way: BTreeMap<bool, PushFacts> = BTreeMap::new();
    for receiver in receivers.iter().filter(|one| one.active) {
        let who = format!("receiver {} ({})", receiver.id, receiver.name);
        if let Health::Disabled { .. } = receiver.health {
            prepared.warn(format!("{who} is switched off and was not told"));
            continue;
        }
        let way = match Way::of(receiver) {
            Ok(Some(way)) => way,
            Ok(None) => continue,
            Err(error) => {
                prepared.warn(format!("{who} was not told: {error}"));
                continue;
            }
        };
        let facts = match told_by_way.entry(way.tells_ancestors()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let ancestors = *unknown.key();
                unknown.insert(facts::gather(engine, event, found, updates, pusher, ancestors).await?)
            }
        };
        match way.render(event, found, receiver, facts) {
            Ok(Told::Deliveries(rendered)) => prepared.deliveries.extend(rendered),
            Ok(Told::NotWanted(why)) => prepared.notes.push(("info", format!("{who} is not told: {why}"))),
            Err(error) => prepared.warn(format!("{who} was not told: {error}")),
        }
    }
    Ok(prepared)
}

/// What a push is told as.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// For the outbox.
    pub(crate) deliveries: Vec<NewDelivery>,
    /// For the entry of the ledger: level and text.
    pub(crate) notes: Vec<(&'static str, String)>,
}

impl Prepared {
    fn warn(&mut self, text: String) {
        self.notes.push(("warning", text));
    }
}

/// What one receiver is to be told of a push that tries it out, whatever it asked for.
pub(crate) async fn render_for(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    updates: &[RefUpdate],
    pusher: Option<&str>,
    receiver: &Receiver,
) -> Result<Vec<NewDelivery>, EngineError> {
    if receiver.kind == BROKER {
        let facts = facts::gather(engine, event, found, updates, pusher, false).await?;
        let told = broker_event::of_push(&facts, found, Uuid::now_v7().to_string());
        return Ok(vec![broker::delivery(
            receiver,
            &told,
            "test",
            None,
            String::new(),
        )?]);
    }
    let (profile, settings) = profile_and_settings(receiver)?;
    let ancestors = settings.tells_ancestors(profile);
    let facts = facts::gather(engine, event, found, updates, pusher, ancestors).await?;
    rendered(event, found, receiver, profile, &settings, &facts)
}

/// How a receiver is told of pushes.
enum Way {
    Webhook(Profile, Box<ReceiverSettings>),
    Broker(Box<Wishes>),
}

/// What came of a push for one receiver.
enum Told {
    Deliveries(Vec<NewDelivery>),
    NotWanted(&'static str),
}

impl Way {
    /// `None` for a receiver that has not asked for pushes.
    fn of(receiver: &Receiver) -> Result<Option<Self>, EngineError> {
        if receiver.kind == BROKER {
            return Ok(Some(Self::Broker(Box::new(broker::wishes(receiver)?))));
        }
        let (profile, settings) = profile_and_settings(receiver)?;
        let asked = settings.events.contains(&ReceiverEvent::Push) && settings.wants_pushes();
        Ok(asked.then(|| Self::Webhook(profile, Box::new(settings))))
    }

    fn tells_ancestors(&self) -> bool {
        match self {
            Self::Webhook(profile, settings) => settings.tells_ancestors(*profile),
            Self::Broker(_) => false,
        }
    }

    fn render(
        &self,
        event: &Event,
        found: &Repository,
        receiver: &Receiver,
        facts: &PushFacts,
    ) -> Result<Told, EngineError> {
        match self {
            Self::Webhook(profile, settings) => {
                rendered(event, found, receiver, *profile, settings, facts).map(Told::Deliveries)
            }
            Self::Broker(wishes) => {
                let told = broker_event::of_push(facts, found, Uuid::now_v7().to_string());
                if let Err(why) = wishes.apply(&told) {
                    return Ok(Told::NotWanted(why));
                }
                let summary = event.summary.clone();
                broker::delivery(receiver, &told, "push", Some(event.id), summary)
                    .map(|one| Told::Deliveries(vec![one]))
            }
        }
    }
}

fn rendered(
    event: &Event,
    found: &Repository,
    receiver: &Receiver,
    profile: Profile,
    settings: &ReceiverSettings,
    facts: &PushFacts,
) -> Result<Vec<NewDelivery>, EngineError> {
    let rendering = settings.rendering(profile, receiver.id)?;
    let rendered = profile
        .render(facts, &rendering)
        .into_iter()
        .map(|one| NewDelivery {
            uid: Uuid::now_v7().to_string(),
            receiver_id: receiver.id,
            event_id: Some(event.id),
            kind: "push".into(),
            summary: event.summary.clone(),
            ordering: settings.ordered.then_some(found.id),
            content_type: one.content_type.to_owned(),
            headers: one
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            body: one.body,
        });
    Ok(rendered.collect())
}

/// The format and the settings of a webhook receiver.
pub(crate) fn profile_and_settings(receiver: &Receiver) -> Result<(Profile, ReceiverSettings), EngineError> {
    let profile = Profile::from_name(&receiver.profile)
        .ok_or_else(|| EngineError::Invalid(format!("there is no format named {}", receiver.profile)))?;
    let settings = serde_json::from_str(&receiver.settings)
        .map_err(|error| EngineError::Invalid(format!("its settings cannot be read: {error}")))?;
    Ok((profile, settings))
}

/// Enters deliveries; gives their ids. The first attempt is due at once.
pub(crate) fn enter(tx: &Tx<'_>, deliveries: &[NewDelivery], now: Millis) -> Result<Vec<i64>, EngineError> {
    let progress = Progress::new(&Schedule::standard(), now, 0.5);
    let mut ids = Vec::with_capacity(deliveries.len());
    for one in deliveries {
        ids.push(delivery::insert(tx, one, &progress, now)?);
    }
    Ok(ids)
}

/// Whether somebody wants to hear of a repository.
pub(crate) fn has_receivers(engine: &Engine, repository_id: i64) -> Result<bool, EngineError> {
    engine.store().look_up(|tx| {
        let receivers = receiver::of_repository(tx, repository_id)?;
        Ok::<_, EngineError>(receivers.iter().any(|one| one.active))
    })
}

/// Linked repositories that somebody wants to hear of: they are looked at even if no plan builds them.
pub(crate) async fn linked_with_receivers(engine: &Engine) -> Result<Vec<Repository>, EngineError> {
    engine
        .store()
        .read(|tx| {
            let mut found = Vec::new();
            for id in receiver::told_repositories(tx)? {
                let linked = repository::by_id(tx, id)?.filter(|one| one.kind == RepositoryKind::Linked);
                found.extend(linked);
            }
            Ok(found)
        })
        .await
}
