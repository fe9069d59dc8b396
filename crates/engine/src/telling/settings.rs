//! What a webhook receiver may be set to, and its secrets.

use jiff::tz::TimeZone;
use madake_brokers::Settings;
use madake_formats::outgoing::{DcVersion, PageLimits, Profile, Settings as RenderSettings};
use madake_outgoing::Secret;
use madake_outgoing::client::{Authorization, RequestOptions, TlsOptions};
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// Settings of a webhook receiver that are no secrets. Kept as JSON; all have a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiverSettings {
    /// What it is told; builds in our own format alone.
    pub events: Vec<ReceiverEvent>,
    /// One delivery for each ref instead of one for the push.
    pub delivery_per_ref: bool,
    /// Deliveries keep the order of the pushes: a later one waits until the earlier one has ended.
    pub ordered: bool,
    /// Of a new branch, tell the newest ancestors of its tip, as Stash did, and not only the commits that no other ref
    /// has. `None`: as the format is known for (push-payloads.md 0.4).
    pub new_branch_ancestors: Option<bool>,
    /// Most changesets in a body of the Post-Receive formats; other formats: most commits.
    pub changesets_limit: Option<usize>,
    /// Most changes in a changeset of the Post-Receive formats.
    pub changes_limit: Option<usize>,
    /// Bodies of the POST service have the key `truncated`, as they had from 2013 on.
    pub truncated_key: bool,
    /// The time zone of `timestamp` in bodies of the POST service, `Europe/Amsterdam` where nothing is said.
    pub time_zone: Option<String>,
    /// The major version of Bitbucket Data Center to speak like: 5, 6, 9 or 10.
    pub data_center_version: Option<u32>,
    /// How long an answer may take, in seconds.
    pub timeout_seconds: Option<u64>,
    /// Whether the certificate of the receiver is checked.
    pub verify_tls: bool,
    /// Certificates of authorities to trust besides those of this machine, as PEM.
    pub authorities: Option<String>,
    /// The events that a script subscribed to in Bitbucket's words, such as `repo:refs_changed`; `None`: pushes. Those
    /// that never happen here are kept, as scripts compare what they asked for.
    pub subscribed_events: Option<Vec<String>>,
}

/// What a webhook receiver may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiverEvent {
    /// Refs of the repository moved.
    #[serde(rename = "push")]
    Push,
    /// A build that checks the repository out began.
    #[serde(rename = "build:started")]
    BuildStarted,
    /// Such a build ended, or waits for a person.
    #[serde(rename = "build:finished")]
    BuildFinished,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        Self {
            events: vec![ReceiverEvent::Push],
            delivery_per_ref: false,
            ordered: false,
            new_branch_ancestors: None,
            changesets_limit: None,
            changes_limit: None,
            truncated_key: false,
            time_zone: None,
            data_center_version: None,
            timeout_seconds: None,
            verify_tls: true,
            authorities: None,
            subscribed_events: None,
        }
    }
}

/// Secrets of a receiver. Kept sealed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiverSecrets {
    /// Signs bodies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The secret before, which signs too while receivers change over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret: Option<String>,
    /// The user name of Basic credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password of Basic credentials, or with no user name a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A client certificate with its key, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// All settings of a broker, secret ones among them.
    #[serde(skip_serializing_if = "Settings::is_empty")]
    pub broker: Settings,
}

impl std::fmt::Debug for ReceiverSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiverSecrets").finish_non_exhaustive()
    }
}

/// The id that the webhooks of Bitbucket Cloud have for a receiver. Stable for the receiver, and not guessable from
/// outside: no use of it grants anything.
#[must_use]
pub fn hook_uuid(receiver_id: i64) -> uuid::Uuid {
    uuid::Uuid::from_u64_pair(HOOK_UUID, receiver_id.unsigned_abs())
}

/// The receiver that [`hook_uuid`] gives this id for.
#[must_use]
pub fn receiver_of_hook(id: uuid::Uuid) -> Option<i64> {
    match id.as_u64_pair() {
        (HOOK_UUID, number) => i64::try_from(number).ok(),
        _ => None,
    }
}

/// The first half of the ids of hooks.
const HOOK_UUID: u64 = 0x6d61_6461_6b65_4000;

impl ReceiverSettings {
    /// Whether the receiver is told of pushes.
    #[must_use]
    pub fn wants_pushes(&self) -> bool {
        self.subscribed_events.as_ref().is_none_or(|events| {
            events
                .iter()
                .any(|event| matches!(event.as_str(), "repo:refs_changed" | "repo:push"))
        })
    }

    /// Whether a new branch is told with the newest ancestors of its tip.
    pub(crate) fn tells_ancestors(&self, profile: Profile) -> bool {
        self.new_branch_ancestors
            .unwrap_or(matches!(profile, Profile::PostReceive(_)))
    }

    /// How bodies are rendered.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a time zone or a version that does not exist.
    pub(crate) fn rendering(
        &self,
        profile: Profile,
        receiver_id: i64,
    ) -> Result<RenderSettings, EngineError> {
        if profile != Profile::Native && self.events.iter().any(|event| *event != ReceiverEvent::Push) {
            return Err(EngineError::Invalid(format!(
                "events: {profile} knows no builds; choose the format native, or a broker"
            )));
        }
        if self.events.is_empty() {
            return Err(EngineError::Invalid(
                "events: name at least one of push, build:started, build:finished".into(),
            ));
        }
        let mut settings = RenderSettings {
            delivery_per_ref: self.delivery_per_ref,
            commits: self.changesets_limit,
            cloud_post_truncated: self.truncated_key,
            hook_uuid: Some(hook_uuid(receiver_id).to_string()),
            ..RenderSettings::default()
        };
        if let Some(name) = &self.time_zone {
            settings.cloud_post_zone = TimeZone::get(name).map_err(|_| {
                EngineError::Invalid(format!(
                    "timeZone: there is no time zone {name}; write one such as Europe/Amsterdam"
                ))
            })?;
        }
        settings.dc_version = match self.data_center_version {
            None | Some(7..=9) => DcVersion::V9,
            Some(5) => DcVersion::V5,
            Some(6) => DcVersion::V6,
            Some(10) => DcVersion::V10,
            Some(other) => {
                return Err(EngineError::Invalid(format!(
                    "dataCenterVersion: {other} is not a version that is spoken; write 5, 6, 9 or 10"
                )));
            }
        };
        if let Profile::PostReceive(generation) = profile
            && (self.changesets_limit.is_some() || self.changes_limit.is_some())
        {
            let known = PageLimits::of(generation);
            settings.pages = Some(PageLimits {
                changesets: self.changesets_limit.unwrap_or(known.changesets),
                changesets_of_deletion: self.changesets_limit.unwrap_or(known.changesets_of_deletion),
                changes: self.changes_limit.unwrap_or(known.changes),
            });
        }
        Ok(settings)
    }

    /// How requests are made.
    pub(crate) fn request_options(&self, secrets: &ReceiverSecrets) -> RequestOptions {
        let secret = |text: &String| Secret::new(text.clone());
        RequestOptions {
            tls: TlsOptions {
                verify: self.verify_tls,
                extra_ca_pem: self.authorities.clone(),
                identity_pem: secrets.client_certificate.as_ref().map(secret),
            },
            authorization: match (&secrets.user, &secrets.password) {
                (Some(user), password) => Some(Authorization::Basic {
                    user: user.clone(),
                    password: Secret::new(password.clone().unwrap_or_default()),
                }),
                (None, Some(token)) => Some(Authorization::Bearer(secret(token))),
                (None, None) => None,
            },
            total_timeout: self.timeout_seconds.map(std::time::Duration::from_secs),
        }
    }
}
