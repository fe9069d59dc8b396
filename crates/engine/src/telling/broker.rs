//! Brokers among the receivers: what is stored of one, and the delivery that an event becomes.
//!
//! A delivery to a broker holds the event, and the key of the call once it is known. The call itself has secrets in it
//! and follows from settings and event, so it is made anew at each attempt.

use madake_brokers::{Allowed, Broker, BrokerEvent, BrokerType, Settings, Wishes, find};
use madake_store::delivery::NewDelivery;
use madake_store::receiver::Receiver;
use serde::{Deserialize, Serialize};

use super::secrets_of;
use crate::{Engine, EngineError};

/// The kind of receivers that are brokers.
pub const BROKER: &str = "broker";
/// The media type of what is stored for them.
pub(crate) const EVENT: &str = "application/vnd.madake.broker-event+json";
/// The stored header that names the call.
pub(crate) const CALL: &str = "call";

/// The longest that a request of a broker may take, in seconds.
pub(crate) const LONGEST_TIMEOUT_SECONDS: u64 = super::LONGEST_TIMEOUT_SECONDS;

/// What is kept of a broker beside its secrets. Kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerSettings {
    /// The settings of its type, with secrets covered; whole, they are among the sealed secrets.
    pub values: Settings,
    /// Deliveries keep the order of the events.
    pub ordered: bool,
    /// How long an answer may take, in seconds.
    pub timeout_seconds: Option<u64>,
    /// Whether the certificate of the receiver is checked.
    pub verify_tls: bool,
    /// Certificates of authorities to trust besides those of this machine, as PEM.
    pub authorities: Option<String>,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            values: Settings::new(),
            ordered: false,
            timeout_seconds: None,
            verify_tls: true,
            authorities: None,
        }
    }
}

impl BrokerSettings {
    /// What is kept of a receiver.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn of(receiver: &Receiver) -> Result<Self, EngineError> {
        serde_json::from_str(&receiver.settings)
            .map_err(|error| EngineError::Invalid(format!("its settings cannot be read: {error}")))
    }

    /// How long an attempt may take at most, in milliseconds.
    pub(crate) fn longest_attempt_ms(&self) -> i64 {
        let steps = u64::try_from(madake_brokers::MAX_STEPS).unwrap_or(u64::MAX);
        let program = self
            .values
            .get("timeout")
            .and_then(|text| text.trim().parse().ok());
        let longest = steps
            .saturating_mul(LONGEST_TIMEOUT_SECONDS)
            .max(program.unwrap_or(0));
        i64::try_from(longest.min(24 * 3600) * 1000).unwrap_or(i64::MAX)
    }
}

/// The type of a broker.
pub(crate) fn type_of(receiver: &Receiver) -> Result<&'static BrokerType, EngineError> {
    find(&receiver.profile).map_err(|unknown| EngineError::Invalid(unknown.to_string()))
}

/// What a broker wants to hear of.
pub(crate) fn wishes(receiver: &Receiver) -> Result<Wishes, EngineError> {
    let kept = BrokerSettings::of(receiver)?;
    Ok(Wishes::of(type_of(receiver)?, &kept.values))
}

/// A broker with its secrets.
pub(crate) fn open(engine: &Engine, receiver: &Receiver) -> Result<Broker, EngineError> {
    let values = secrets_of(engine, receiver)?.broker;
    with_settings(engine, &receiver.profile, &values)
}

/// A broker of settings that somebody gave.
///
/// # Errors
/// [`EngineError::Invalid`] with everything that is wrong with them.
pub(crate) fn with_settings(engine: &Engine, kind: &str, values: &Settings) -> Result<Broker, EngineError> {
    Broker::new(kind, values, &allowed(engine)).map_err(|problems| {
        let sentences: Vec<String> = problems.iter().map(ToString::to_string).collect();
        EngineError::Invalid(sentences.join("; "))
    })
}

fn allowed(engine: &Engine) -> Allowed {
    Allowed {
        executables: engine.settings().broker_programs.clone(),
    }
}

/// The delivery that an event becomes. Which calls are to be made is asked when it is sent.
pub(crate) fn delivery(
    receiver: &Receiver,
    told: &BrokerEvent,
    kind: &str,
    event_id: Option<i64>,
    summary: String,
) -> Result<NewDelivery, EngineError> {
    let ordered = BrokerSettings::of(receiver)?.ordered;
    Ok(NewDelivery {
        uid: told.id.clone(),
        receiver_id: receiver.id,
        event_id,
        kind: kind.to_owned(),
        summary,
        ordering: ordered.then_some(receiver.repository_id),
        content_type: EVENT.to_owned(),
        headers: Vec::new(),
        body: serde_json::to_vec(told)?,
    })
}
