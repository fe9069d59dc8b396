//! Makes an address at which another forge, or a script, tells us of pushes to a repository.

use madake_domain::permission::Permission;
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
    /// The repository's name.
    pub repository: String,
}

impl Engine {
    /// Makes a webhook address for a repository. With a secret, bodies must be signed with it.
    ///
    /// # Errors
    /// When the repository is not there, or the caller may not.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        name: &str,
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
        let token = password::random_token("wh_")?;
        let (caller, name, description) = (caller.clone(), name.to_owned(), description.to_owned());
        let (sealer, stored) = (self.sealer().clone(), token.clone());
        let (id, repository) = self
            .store()
            .write(move |tx| {
                let found = repository::by_name(tx, &name)?.ok_or_else(|| {
                    EngineError::NotFound(format!("a repository named {name} does not exist"))
                })?;
                require(
                    tx,
                    &caller,
                    Permission::Administration,
                    Target::Repository(&found),
                )?;
                let id = webhook::insert(tx, found.id, &stored, &description, clock::now_ms())?;
                if let Some(secret) = secret {
                    webhook::set_secret(
                        tx,
                        id,
                        &sealer.seal(&webhook::secret_place(id), secret.as_bytes())?,
                    )?;
                }
                Ok::<_, EngineError>((id, found.name))
            })
            .await?;
        Ok(CreatedWebhook {
            id,
            token,
            repository,
        })
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
