//! Makes, changes and removes receivers: who is told of pushes to a repository.

use madake_domain::delivery::{ErrorKind, Input};
use madake_domain::permission::Permission;
use madake_formats::outgoing::{Profile, Signing};
use madake_formats::signature::standard_webhooks::SigningSecret;
use madake_outgoing::guard::Target;
use madake_store::delivery;
use madake_store::receiver::{self, Receiver, ReceiverFields};
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx};
use serde::Deserialize;

use crate::access::{self, Caller, require};
use crate::telling::{
    LONGEST_TIMEOUT_SECONDS, ReceiverSecrets, ReceiverSettings, WEBHOOK, note_health, secrets_of,
};
use crate::{Engine, EngineError, clock};

/// How often a change is tried that others' changes get in the way of.
pub(crate) const TRIES: usize = 8;
/// How many receivers one repository may have.
pub(crate) const MOST_RECEIVERS: usize = 50;

/// What a receiver is to be. What is not said stays as it is, or is the default of a new one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiverRequest {
    /// The format: `stash2` (the default), `stash3`, `bbs5`, `cloud-post`, `bitbucket-dc`, `bitbucket-cloud`,
    /// `post-webhooks`, `github`, `native`.
    pub profile: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Where it is reached. A user name and a password in it become Basic credentials.
    pub url: Option<String>,
    /// Whether it is told.
    pub active: Option<bool>,
    /// Its settings, all of them.
    pub settings: Option<ReceiverSettings>,
    /// A new secret that signs bodies; the one before goes on signing until it is dropped.
    pub secret: Option<String>,
    /// Drop the secret before.
    pub drop_previous_secret: bool,
    /// The user name of Basic credentials.
    pub user: Option<String>,
    /// The password of Basic credentials; with no user name, a bearer token.
    pub password: Option<String>,
    /// A client certificate and its key, as PEM.
    pub client_certificate: Option<String>,
}

/// A receiver that was made or changed.
#[derive(Debug, Clone)]
pub struct KeptReceiver {
    /// The row's id.
    pub id: i64,
    /// A secret that was made for it: the only time that it is seen.
    pub new_secret: Option<String>,
}

/// A receiver as its administrators see it.
#[derive(Debug, Clone)]
pub struct ShownReceiver {
    /// The row. Its secrets are sealed.
    pub receiver: Receiver,
    /// The name of its repository.
    pub repository: String,
    /// Whether bodies are signed.
    pub signed: bool,
    /// The user name of Basic credentials.
    pub user: Option<String>,
}

impl Engine {
    /// Makes a receiver for a repository.
    ///
    /// # Errors
    /// When the repository is not there, the caller may not, or the request says what cannot be.
    pub async fn create_receiver(
        &self,
        caller: &Caller,
        repository: &str,
        request: ReceiverRequest,
    ) -> Result<KeptReceiver, EngineError> {
        let found = self.repository_for_new_receiver(caller, repository).await?;
        let mut fields = ReceiverFields {
            profile: "stash2".into(),
            name: String::new(),
            url: String::new(),
            active: true,
            settings: serde_json::to_string(&ReceiverSettings::default()).map_err(internal)?,
        };
        let mut secrets = ReceiverSecrets::default();
        let new_secret = self.apply(&mut fields, &mut secrets, request).await?;
        if fields.url.is_empty() {
            return Err(EngineError::Invalid("url: a receiver needs an address".into()));
        }
        let (who, sealer) = (caller.name().to_owned(), self.sealer().clone());
        let id = self
            .store()
            .write(move |tx| {
                let now = clock::now_ms();
                let id = receiver::insert(tx, found.id, WEBHOOK, &fields, &who, now)?;
                store_secrets(tx, &sealer, id, &secrets)?;
                Ok::<_, EngineError>(id)
            })
            .await?;
        Ok(KeptReceiver { id, new_secret })
    }

    /// The repository that is to have one more receiver.
    pub(crate) async fn repository_for_new_receiver(
        &self,
        caller: &Caller,
        repository: &str,
    ) -> Result<Repository, EngineError> {
        let found = self.administered(caller, repository).await?;
        let id = found.id;
        let count = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(receiver::of_repository(tx, id)?.len()))
            .await?;
        if count >= MOST_RECEIVERS {
            return Err(EngineError::Invalid(format!(
                "a repository has at most {MOST_RECEIVERS} receivers: remove one first"
            )));
        }
        Ok(found)
    }

    /// Changes a receiver.
    ///
    /// # Errors
    /// When it is not there, the caller may not, or the request says what cannot be.
    pub async fn change_receiver(
        &self,
        caller: &Caller,
        id: i64,
        request: ReceiverRequest,
    ) -> Result<KeptReceiver, EngineError> {
        for _ in 0..TRIES {
            let (current, _) = self.administered_receiver(caller, id).await?;
            if let Some(kept) = self.try_change(current, request.clone()).await? {
                return Ok(kept);
            }
        }
        Err(changed_meanwhile(id))
    }

    /// [`Self::change_receiver`] where the request was made from what the caller had read.
    ///
    /// # Errors
    /// Besides, [`EngineError::Conflict`] when the receiver is not as it was read any more.
    pub async fn change_receiver_as_read(
        &self,
        caller: &Caller,
        read: &Receiver,
        request: ReceiverRequest,
    ) -> Result<KeptReceiver, EngineError> {
        self.administered_receiver(caller, read.id).await?;
        let kept = self.try_change(read.clone(), request).await?;
        kept.ok_or_else(|| changed_meanwhile(read.id))
    }

    /// Changes a receiver as it was read; none if it was changed meanwhile, and nothing is stored then.
    async fn try_change(
        &self,
        current: Receiver,
        request: ReceiverRequest,
    ) -> Result<Option<KeptReceiver>, EngineError> {
        let id = current.id;
        if current.kind != WEBHOOK {
            return Err(EngineError::Invalid(format!(
                "receiver {id} is a broker and has the settings of its type"
            )));
        }
        let mut secrets = secrets_of(self, &current)?;
        let mut fields = ReceiverFields {
            profile: current.profile.clone(),
            name: current.name.clone(),
            url: current.url.clone(),
            active: current.active,
            settings: current.settings.clone(),
        };
        // Whoever may set an address must not learn what was meant for another one.
        let moved = request
            .url
            .as_ref()
            .is_some_and(|url| !same_place(url, &current.url));
        if moved && request.password.is_none() && secrets.password.is_some() {
            return Err(EngineError::Invalid(
                "url: the receiver has a password, which another address must not get: give user and password anew".into(),
            ));
        }
        let new_secret = self.apply(&mut fields, &mut secrets, request).await?;
        let sealer = self.sealer().clone();
        let stored = self
            .store()
            .write(move |tx| {
                if !is_as_read(tx, &current)? {
                    return Ok(false);
                }
                receiver::update(tx, id, &fields, clock::now_ms())?;
                store_secrets(tx, &sealer, id, &secrets)?;
                Ok::<_, EngineError>(true)
            })
            .await?;
        Ok(stored.then_some(KeptReceiver { id, new_secret }))
    }

    /// Switches a receiver on again after it was switched off, by hand or because it failed.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn enable_receiver(&self, caller: &Caller, id: i64, enable: bool) -> Result<(), EngineError> {
        self.administered_receiver(caller, id).await?;
        let input = if enable { Input::Enable } else { Input::Disable };
        self.store()
            .write(move |tx| note_health(tx, id, input, clock::now_ms()).map(|_| ()))
            .await
    }

    /// Removes a receiver. What was not delivered yet is cancelled; its delivery log stays until it is old.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn remove_receiver(&self, caller: &Caller, id: i64) -> Result<(), EngineError> {
        self.administered_receiver(caller, id).await?;
        self.store()
            .write(move |tx| remove_for_good(tx, id, clock::now_ms()))
            .await
    }

    /// The receivers of a repository.
    ///
    /// # Errors
    /// When the repository is not there, or the caller may not.
    pub async fn receivers(
        &self,
        caller: &Caller,
        repository: &str,
    ) -> Result<Vec<ShownReceiver>, EngineError> {
        let found = self.administered(caller, repository).await?;
        let id = found.id;
        let rows = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(receiver::of_repository(tx, id)?))
            .await?;
        rows.into_iter()
            .map(|receiver| self.shown_receiver(receiver, &found))
            .collect()
    }

    /// One receiver.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn receiver(&self, caller: &Caller, id: i64) -> Result<ShownReceiver, EngineError> {
        let (receiver, found) = self.administered_receiver(caller, id).await?;
        self.shown_receiver(receiver, &found)
    }

    fn shown_receiver(&self, receiver: Receiver, found: &Repository) -> Result<ShownReceiver, EngineError> {
        let secrets = secrets_of(self, &receiver)?;
        Ok(ShownReceiver {
            receiver,
            repository: found.name.clone(),
            signed: secrets.secret.is_some(),
            user: secrets.user,
        })
    }

    async fn administered(&self, caller: &Caller, name: &str) -> Result<Repository, EngineError> {
        let (caller, name) = (caller.clone(), name.to_owned());
        self.store()
            .read(move |tx| {
                let found = repository::by_name(tx, &name)?.ok_or_else(|| {
                    EngineError::NotFound(format!("a repository named {name} does not exist"))
                })?;
                require(
                    tx,
                    &caller,
                    Permission::Administration,
                    access::Target::Repository(&found),
                )?;
                Ok(found)
            })
            .await
    }

    /// A receiver, for those who may administer its repository.
    pub(crate) async fn administered_receiver(
        &self,
        caller: &Caller,
        id: i64,
    ) -> Result<(Receiver, Repository), EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let missing = || EngineError::NotFound(format!("a receiver with the id {id} does not exist"));
                let one = receiver::by_id(tx, id)?.ok_or_else(missing)?;
                let found = repository::by_id(tx, one.repository_id)?.ok_or_else(missing)?;
                require(
                    tx,
                    &caller,
                    Permission::Administration,
                    access::Target::Repository(&found),
                )?;
                Ok((one, found))
            })
            .await
    }

    /// Checks an address as it is checked when it is used; the error says why requests may not go there.
    pub(crate) async fn check_receiver_address(&self, url: &str) -> Result<Target, String> {
        match self.outgoing().check(url).await {
            Ok(target) => Ok(target),
            // A name that nobody knows yet may be known when it is needed.
            Err(failure) if failure.kind == ErrorKind::Dns => self
                .settings()
                .outgoing_policy
                .check_url(url)
                .map_err(|refused| refused.to_string()),
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// Checks a request and lays it over what there is; gives a secret that was made.
    pub(crate) async fn apply(
        &self,
        fields: &mut ReceiverFields,
        secrets: &mut ReceiverSecrets,
        request: ReceiverRequest,
    ) -> Result<Option<String>, EngineError> {
        if let Some(profile) = request.profile {
            fields.profile = profile;
        }
        let profile = Profile::from_name(&fields.profile).ok_or_else(|| {
            let names: Vec<&str> = Profile::ALL.iter().map(|one| one.name()).collect();
            EngineError::Invalid(format!(
                "profile: there is no format {}; there are {}",
                madake_domain::text::inert(&fields.profile, 60),
                names.join(", ")
            ))
        })?;
        if let Some(settings) = request.settings {
            fields.settings = serde_json::to_string(&settings).map_err(internal)?;
        }
        let settings: ReceiverSettings = serde_json::from_str(&fields.settings).map_err(internal)?;
        settings.rendering(profile, 0)?;
        if settings
            .timeout_seconds
            .is_some_and(|seconds| seconds == 0 || seconds > LONGEST_TIMEOUT_SECONDS)
        {
            return Err(EngineError::Invalid(format!(
                "timeoutSeconds: from 1 to {LONGEST_TIMEOUT_SECONDS} seconds"
            )));
        }
        if let Some(name) = request.name {
            fields.name = madake_domain::text::inert(&name, 200);
        }
        if let Some(active) = request.active {
            fields.active = active;
        }
        if let Some(url) = request.url {
            let target = self
                .check_receiver_address(&url)
                .await
                .map_err(|refused| EngineError::Invalid(format!("url: {refused}")))?;
            if let Some(credentials) = target.credentials() {
                secrets.user = Some(credentials.user.clone());
                secrets.password = Some(credentials.password.expose().to_owned());
            }
            fields.url = target.url().to_string();
        }
        if request.user.is_some() || request.password.is_some() {
            secrets.user = request.user.filter(|user| !user.is_empty());
            secrets.password = request.password.filter(|password| !password.is_empty());
        }
        if let Some(certificate) = request.client_certificate {
            secrets.client_certificate = (!certificate.is_empty()).then_some(certificate);
        }
        let options = settings.request_options(secrets);
        options
            .tls
            .check()
            .map_err(|error| EngineError::Invalid(error.to_string()))?;
        if let Some(authorization) = &options.authorization {
            authorization
                .check()
                .map_err(|error| EngineError::Invalid(format!("user and password: {error}")))?;
        }
        if request.drop_previous_secret {
            secrets.previous_secret = None;
        }
        if let Some(secret) = request.secret {
            if profile.signing() == Signing::StandardWebhooks && !secret.is_empty() {
                SigningSecret::parse(&secret)
                    .map_err(|problem| EngineError::Invalid(format!("secret: {problem}")))?;
            }
            let before = secrets.secret.take();
            secrets.secret = (!secret.is_empty()).then_some(secret);
            secrets.previous_secret = before.filter(|_| secrets.secret.is_some());
        }
        if profile.signing() == Signing::StandardWebhooks && secrets.secret.is_none() {
            let mut bytes = vec![0; 32];
            getrandom::fill(&mut bytes).map_err(internal)?;
            let made = SigningSecret::from_bytes(bytes).map_err(internal)?.to_text();
            secrets.secret = Some(made.clone());
            return Ok(Some(made));
        }
        Ok(None)
    }
}

/// Takes a receiver out of service; what was not delivered yet is cancelled.
pub(crate) fn remove_for_good(tx: &Tx<'_>, id: i64, now: Millis) -> Result<(), EngineError> {
    for one in delivery::open_of(tx, id, i64::MAX)? {
        if let Ok(cancelled) = one.progress.clone().cancel(now) {
            delivery::advance(tx, one.id, &one.progress, &cancelled, None)?;
        }
    }
    Ok(receiver::remove(tx, id, now)?)
}

/// Seals and keeps the secrets of a receiver.
/// Whether a receiver still has the settings and secrets that it was read with. Sealing the same secret twice gives
/// different bytes, so every change shows.
pub(crate) fn is_as_read(tx: &Tx<'_>, read: &Receiver) -> Result<bool, EngineError> {
    let told = |one: &Receiver| {
        (
            one.profile.clone(),
            one.name.clone(),
            one.url.clone(),
            one.active,
            one.settings.clone(),
            one.secrets.clone(),
        )
    };
    let now = receiver::by_id(tx, read.id)?;
    Ok(now.is_some_and(|now| told(&now) == told(read)))
}

/// What is said where others change a receiver all the time.
pub(crate) fn changed_meanwhile(id: i64) -> EngineError {
    EngineError::Conflict(format!(
        "receiver {id} was changed by others at the same time: look at it, and try again"
    ))
}

pub(crate) fn store_secrets(
    tx: &Tx<'_>,
    sealer: &madake_store::seal::Sealer,
    id: i64,
    secrets: &ReceiverSecrets,
) -> Result<(), EngineError> {
    if *secrets == ReceiverSecrets::default() {
        return Ok(receiver::set_secrets(tx, id, None)?);
    }
    let text = serde_json::to_vec(secrets).map_err(internal)?;
    let sealed = sealer.seal(&receiver::secrets_place(id), &text)?;
    Ok(receiver::set_secrets(tx, id, Some(&sealed))?)
}

/// Whether two addresses have one scheme, host and port.
pub(crate) fn same_place(left: &str, right: &str) -> bool {
    let place = |url: &str| {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        (scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
    };
    place(left) == place(right)
}

pub(super) fn internal(error: impl std::fmt::Display) -> EngineError {
    EngineError::Internal(error.to_string())
}

/// How long delivery logs are kept.
pub(crate) fn prune_deliveries(tx: &Tx<'_>, now: Millis) -> Result<(), EngineError> {
    const KEPT_MS: Millis = 30 * 24 * 3600 * 1000;
    const KEPT_FOR_EACH: i64 = 1000;
    for id in receiver::all_ids(tx)? {
        delivery::prune(tx, id, now - KEPT_MS, KEPT_FOR_EACH)?;
    }
    Ok(())
}
