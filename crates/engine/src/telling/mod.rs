//! Step 5 of the walk: whoever asked to be told of pushes gets a delivery, in the transaction that decides the push.

mod attempts;
mod deliver;
mod facts;
mod lanes;
mod lease;
mod settings;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use madake_domain::delivery::{Progress, Receiver as Health, Schedule};
use madake_domain::repository::RepositoryKind;
use madake_formats::outgoing::{Profile, PushFacts};
use madake_store::delivery::{self, NewDelivery};
use madake_store::event::{Event, RefUpdate};
use madake_store::receiver::{self, Receiver};
use madake_store::repository::Repository;
use madake_store::{Millis, Tx};
use uuid::Uuid;

use crate::{Engine, EngineError};

pub(crate) use self::deliver::{LONGEST_TIMEOUT_SECONDS, note_health, secrets_of};
pub(crate) use self::facts::{commit_facts, file_change, repository_facts};
pub(crate) use self::lanes::Lanes as TellingLanes;
pub(crate) use self::lease::{recover, run};
pub use self::settings::{ReceiverSecrets, ReceiverSettings, hook_uuid, receiver_of_hook};

/// The kind of receivers that get payloads of pushes.
pub(crate) const WEBHOOK: &str = "webhook";

/// What the receivers of a repository are to be told of a push. What cannot be rendered for one of them is a note, and
/// keeps nothing back from the others.
pub(crate) async fn prepare(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    updates: &[RefUpdate],
    pusher: Option<&str>,
) -> Result<(Vec<NewDelivery>, Vec<String>), EngineError> {
    if updates.is_empty() || found.kind == RepositoryKind::Linked {
        return Ok((Vec::new(), Vec::new()));
    }
    let receivers = engine
        .store()
        .look_up(|tx| Ok::<_, EngineError>(receiver::of_repository(tx, found.id)?))?;
    let mut told_by_way: BTreeMap<bool, PushFacts> = BTreeMap::new();
    let (mut deliveries, mut notes) = (Vec::new(), Vec::new());
    for receiver in receivers.iter().filter(|one| one.active && one.kind == WEBHOOK) {
        if let Health::Disabled { .. } = receiver.health {
            notes.push(format!(
                "receiver {} ({}) is switched off and was not told",
                receiver.id, receiver.name
            ));
            continue;
        }
        let not_told = |error: EngineError| {
            format!(
                "receiver {} ({}) was not told: {error}",
                receiver.id, receiver.name
            )
        };
        let (profile, settings) = match profile_and_settings(receiver) {
            Ok(read) => read,
            Err(error) => {
                notes.push(not_told(error));
                continue;
            }
        };
        if !settings.wants_pushes() {
            continue;
        }
        let facts = match told_by_way.entry(settings.tells_ancestors(profile)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let ancestors = *unknown.key();
                unknown.insert(facts::gather(engine, event, found, updates, pusher, ancestors).await?)
            }
        };
        match rendered(event, found, receiver, profile, &settings, facts) {
            Ok(rendered) => deliveries.extend(rendered),
            Err(error) => notes.push(not_told(error)),
        }
    }
    Ok((deliveries, notes))
}

/// What one receiver is to be told of a push.
pub(crate) async fn render_for(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    updates: &[RefUpdate],
    pusher: Option<&str>,
    receiver: &Receiver,
) -> Result<Vec<NewDelivery>, EngineError> {
    let (profile, settings) = profile_and_settings(receiver)?;
    let ancestors = settings.tells_ancestors(profile);
    let facts = facts::gather(engine, event, found, updates, pusher, ancestors).await?;
    rendered(event, found, receiver, profile, &settings, &facts)
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
