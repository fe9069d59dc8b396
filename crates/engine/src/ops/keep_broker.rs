//! Makes, changes and tries brokers: receivers that call a product in its own way.

use std::collections::BTreeMap;

use madake_brokers::catalogue::{Field, FieldKind};
use madake_brokers::{
    Address, BrokerType, EventKind, Preview, Settings, canonical_settings, find, sample, shown_settings,
    uncovered_settings,
};
use madake_outgoing::client::TlsOptions;
use madake_store::receiver::{self, Receiver, ReceiverFields};
use serde::Deserialize;
use serde_json::Value;

use super::keep_receiver::{KeptReceiver, TRIES, changed_meanwhile, internal, is_as_read, store_secrets};
use crate::access::Caller;
use crate::telling::broker::{LONGEST_TIMEOUT_SECONDS, open, type_of, with_settings};
use crate::telling::{BROKER, BrokerSettings, NO_MAIL_SERVER, ReceiverSecrets};
use crate::{Engine, EngineError, clock};

/// What a broker is to be. What is not said stays as it is, or is the default of a new one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokerRequest {
    /// The type: `jenkins`, `slack` and so on; only for a new one.
    pub broker: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Whether it is told.
    pub active: Option<bool>,
    /// The settings of its type, all of them. A value that was shown covered may be sent back as it is.
    pub settings: Option<BTreeMap<String, Value>>,
    /// Whether deliveries keep the order of the events.
    pub ordered: Option<bool>,
    /// How long an answer may take, in seconds; 0: as the server is configured.
    pub timeout_seconds: Option<u64>,
    /// Whether the certificate of the receiver is checked.
    pub verify_tls: Option<bool>,
    /// Certificates of authorities to trust besides those of this machine, as PEM; empty: none.
    pub authorities: Option<String>,
}

impl Engine {
    /// Makes a broker for a repository.
    ///
    /// # Errors
    /// When the repository is not there, the caller may not, or the request says what cannot be: all mistakes of its
    /// settings at once.
    pub async fn create_broker(
        &self,
        caller: &Caller,
        repository: &str,
        request: BrokerRequest,
    ) -> Result<KeptReceiver, EngineError> {
        let found = self.repository_for_new_receiver(caller, repository).await?;
        let kind = request
            .broker
            .clone()
            .ok_or_else(|| EngineError::Invalid("broker: name a type".into()))?;
        let of = find(&kind).map_err(|unknown| EngineError::Invalid(format!("broker: {unknown}")))?;
        let (fields, values) = self.broker_fields(of, None, &Settings::new(), request).await?;
        let (who, sealer) = (caller.name().to_owned(), self.sealer().clone());
        let id = self
            .store()
            .write(move |tx| {
                let id = receiver::insert(tx, found.id, BROKER, &fields, &who, clock::now_ms())?;
                store_secrets(tx, &sealer, id, &sealed(values))?;
                Ok::<_, EngineError>(id)
            })
            .await?;
        Ok(KeptReceiver { id, new_secret: None })
    }

    /// Changes a broker.
    ///
    /// # Errors
    /// When it is not there, the caller may not, or the request says what cannot be.
    pub async fn change_broker(
        &self,
        caller: &Caller,
        id: i64,
        request: BrokerRequest,
    ) -> Result<KeptReceiver, EngineError> {
        for _ in 0..TRIES {
            let (current, _) = self.administered_receiver(caller, id).await?;
            if self.try_change_broker(current, request.clone()).await? {
                return Ok(KeptReceiver { id, new_secret: None });
            }
        }
        Err(changed_meanwhile(id))
    }

    /// Changes a broker as it was read; false if it was changed meanwhile, and nothing is stored then.
    async fn try_change_broker(
        &self,
        current: Receiver,
        request: BrokerRequest,
    ) -> Result<bool, EngineError> {
        let id = current.id;
        let of = type_of(&current)?;
        if let Some(other) = &request.broker
            && !find(other).is_ok_and(|found| found.key == of.key)
        {
            return Err(EngineError::Invalid(format!(
                "broker: receiver {id} is of the type {}, and stays so: make another one",
                of.key
            )));
        }
        let stored = crate::telling::secrets_of(self, &current)?.broker;
        let (fields, values) = self.broker_fields(of, Some(&current), &stored, request).await?;
        let sealer = self.sealer().clone();
        self.store()
            .write(move |tx| {
                if !is_as_read(tx, &current)? {
                    return Ok(false);
                }
                receiver::update(tx, id, &fields, clock::now_ms())?;
                store_secrets(tx, &sealer, id, &sealed(values))?;
                Ok(true)
            })
            .await
    }

    /// What a broker of these settings would send for a made-up event.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] with everything that is wrong with them.
    pub fn preview_broker(
        &self,
        kind: &str,
        settings: &BTreeMap<String, Value>,
        event: EventKind,
    ) -> Result<Vec<Preview>, EngineError> {
        let broker = with_settings(self, kind, &as_text(settings)?)?;
        preview(&broker, event)
    }

    /// As [`Self::preview_broker`], for a broker that there is.
    ///
    /// # Errors
    /// When it is not there, is no broker, or the caller may not.
    pub async fn preview_receiver(
        &self,
        caller: &Caller,
        id: i64,
        event: EventKind,
    ) -> Result<Vec<Preview>, EngineError> {
        let (current, _) = self.administered_receiver(caller, id).await?;
        if current.kind != BROKER {
            return Err(EngineError::Invalid(format!(
                "receiver {id} is no broker: `madake receiver test {id}` shows what it is sent"
            )));
        }
        preview(&open(self, &current)?, event)
    }

    /// The fields of a broker, and its settings whole.
    async fn broker_fields(
        &self,
        of: &'static BrokerType,
        current: Option<&Receiver>,
        stored: &Settings,
        request: BrokerRequest,
    ) -> Result<(ReceiverFields, Settings), EngineError> {
        let mut kept = match current {
            Some(current) => BrokerSettings::of(current)?,
            None => BrokerSettings::default(),
        };
        let values = match &request.settings {
            Some(given) => uncovered_settings(of, &as_text(given)?, stored).map_err(|problems| {
                let sentences: Vec<String> = problems.iter().map(ToString::to_string).collect();
                EngineError::Invalid(sentences.join("; "))
            })?,
            None => stored.clone(),
        };
        with_settings(self, of.key, &values)?;
        let values = canonical_settings(of, &values);
        if of.key.starts_with("email") && self.mailer().is_none() {
            return Err(EngineError::Invalid(NO_MAIL_SERVER.into()));
        }
        self.check_addresses(of, &values).await?;
        kept.values = shown_settings(of, &values);
        if let Some(ordered) = request.ordered {
            kept.ordered = ordered;
        }
        if let Some(verify) = request.verify_tls {
            kept.verify_tls = verify;
        }
        if let Some(seconds) = request.timeout_seconds {
            if seconds > LONGEST_TIMEOUT_SECONDS {
                return Err(EngineError::Invalid(format!(
                    "timeoutSeconds: from 1 to {LONGEST_TIMEOUT_SECONDS} seconds"
                )));
            }
            kept.timeout_seconds = (seconds > 0).then_some(seconds);
        }
        if let Some(authorities) = request.authorities {
            kept.authorities = (!authorities.is_empty()).then_some(authorities);
            TlsOptions {
                extra_ca_pem: kept.authorities.clone(),
                ..TlsOptions::default()
            }
            .check()
            .map_err(|error| EngineError::Invalid(format!("authorities: {error}")))?;
        }
        let name = request.name.map(|name| madake_domain::text::inert(&name, 200));
        let fields = ReceiverFields {
            profile: of.key.to_owned(),
            name: name
                .or_else(|| current.map(|current| current.name.clone()))
                .unwrap_or_default(),
            url: place(of, &values),
            active: request
                .active
                .or_else(|| current.map(|current| current.active))
                .unwrap_or(true),
            settings: serde_json::to_string(&kept).map_err(internal)?,
        };
        Ok((fields, values))
    }

    /// Addresses are checked when they are saved in the same way as when they are used.
    async fn check_addresses(&self, of: &BrokerType, values: &Settings) -> Result<(), EngineError> {
        for (field, value) in addresses(of, values) {
            self.check_receiver_address(value)
                .await
                .map_err(|refused| EngineError::Invalid(format!("`{}`: {refused}", field.name)))?;
        }
        Ok(())
    }
}

fn preview(broker: &madake_brokers::Broker, event: EventKind) -> Result<Vec<Preview>, EngineError> {
    broker
        .preview(&sample(event))
        .map_err(|error| EngineError::Invalid(error.to_string()))
}

fn sealed(values: Settings) -> ReceiverSecrets {
    ReceiverSecrets {
        broker: values,
        ..ReceiverSecrets::default()
    }
}

/// Settings that are addresses. One that is a template is known when it is sent.
fn addresses<'a>(of: &BrokerType, values: &'a Settings) -> Vec<(&'static Field, &'a str)> {
    of.all_fields()
        .filter_map(|field| Some((field, values.get(field.name)?.trim())))
        .filter(|(field, value)| match field.kind {
            FieldKind::Url | FieldKind::SecretUrl => !value.is_empty(),
            FieldKind::TemplateLine => value.starts_with("http") && !value.contains("{{"),
            _ => false,
        })
        .collect()
}

/// Where a broker is reached, for lists: without path, as that may be a secret.
fn place(of: &BrokerType, values: &Settings) -> String {
    if let Some((_, value)) = addresses(of, values).first()
        && let Ok(address) = Address::parse(value)
    {
        return address.origin().to_owned();
    }
    ["program", "address"]
        .iter()
        .find_map(|name| values.get(*name))
        .map(|value| madake_domain::text::inert(value, 200))
        .unwrap_or_default()
}

/// Values as texts: scripts write `true`, numbers and lists.
fn as_text(settings: &BTreeMap<String, Value>) -> Result<Settings, EngineError> {
    settings
        .iter()
        .map(|(name, value)| Ok((name.clone(), text_of(name, value)?)))
        .collect()
}

fn text_of(name: &str, value: &Value) -> Result<String, EngineError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(entries) if entries.iter().all(Value::is_string) => {
            let lines: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
            Ok(lines.join("\n"))
        }
        _ => Err(EngineError::Invalid(format!(
            "`{}` is neither a text, a number, true or false, nor a list of texts",
            madake_domain::text::inert(name, 100)
        ))),
    }
}
