//! Makes an address at which another forge, or a script, tells us of pushes to a repository.

use madake_domain::permission::Permission;
use madake_formats::signature::standard_webhooks::SigningSecret;
use madake_store::{repository, webhook};

use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError, clock, password};

/// A new webhook: the only time that its token is seen.
#[derive(Debug, Clone)]
pub struct CreatedWebhook {
    /// The row's id.
    pub id: i64,
    /// The token that stands at the end of the address.
    pub token: String,
    /// The repository's name; `None`: it serves all linked ones.
    pub repository: Option<String>,
}

impl Engine {
    /// Makes a webhook address for a repository, or, without a name, one that serves all linked ones. With a secret,
    /// deliveries must prove that they know it; one for all needs it.
    ///
    /// # Errors
    /// When the repository is not there, or the caller may not.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        name: Option<&str>,
        secret: Option<String>,
        description: &str,
    ) -> Result<CreatedWebhook, EngineError> {
        if secret
            .as_ref()
            .is_some_and(|secret| secret.len() < 8 || secret.len() > 1024)
        {
            return Err(EngineError::Invalid(
                "a webhook's secret has 8 to 1024 bytes".into(),
            ));
        }
        if let Some(secret) = secret.as_ref().filter(|secret| secret.starts_with("whsec_")) {
            SigningSecret::parse(secret)
                .map_err(|problem| EngineError::Invalid(format!("secret: {problem}")))?;
        }
        if secret.is_none() && name.is_none() {
            return Err(EngineError::Invalid(
                "a webhook of all linked repositories needs a secret: its address alone would vouch for all of them"
                    .into(),
            ));
        }
        let token = password::random_token("wh_")?;
        let (caller, name, description) = (caller.clone(), name.map(str::to_owned), description.to_owned());
        let (sealer, stored) = (self.sealer().clone(), token.clone());
        let (id, repository) = self
            .store()
            .write(move |tx| {
                let found = match &name {
                    Some(name) => Some(repository::by_name(tx, name)?.ok_or_else(|| {
                        EngineError::NotFound(format!("a repository named {name} does not exist"))
                    })?),
                    None => None,
                };
                let target = found.as_ref().map_or(Target::Global, Target::Repository);
                require(tx, &caller, Permission::Administration, target)?;
                let of = found.as_ref().map(|found| found.id);
                let id = webhook::insert(tx, of, &stored, &description, clock::now_ms())?;
                if let Some(secret) = secret {
                    webhook::set_secret(
                        tx,
                        id,
                        &sealer.seal(&webhook::secret_place(id), secret.as_bytes())?,
                    )?;
                }
                Ok::<_, EngineError>((id, found.map(|found| found.name)))
            })
            .await?;
        Ok(CreatedWebhook {
            id,
            token,
            repository,
        })
    }

    /// The webhooks that serve all linked repositories.
    ///
    /// # Errors
    /// When the caller may not.
    pub async fn webhooks_of_all(&self, caller: &Caller) -> Result<Vec<webhook::Webhook>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                Ok(webhook::of_all(tx)?)
            })
            .await
    }

    /// Revokes a webhook address.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn revoke_webhook(&self, caller: &Caller, id: i64) -> Result<(), EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                Ok(webhook::revoke(tx, id, clock::now_ms())?)
            })
            .await
    }
}
