//! Gives a linked repository another user name and password, or those of a shared credential.

use madake_domain::permission::Permission;
use madake_domain::repository::RepositoryKind;
use madake_store::credential;
use madake_store::repository::{self, Repository};
use madake_vcs::url::{Credential, RepositoryUrl};

use crate::access::{Caller, Target, require};
use crate::credentials::{Content, open, unknown};
use crate::heads::credential_place;
use crate::{Engine, EngineError, clock};

impl Engine {
    /// Gives the linked repository `name` another credential. Its host is asked with it first: one that does not work
    /// is not kept.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when the repository is not linked, or its host does not let the credential in.
    pub async fn set_credential(
        &self,
        caller: &Caller,
        name: &str,
        username: &str,
        password: &str,
    ) -> Result<Repository, EngineError> {
        let credential =
            Credential::new(username, password).map_err(|error| EngineError::Invalid(error.to_string()))?;
        self.read_with(caller, name, credential, None).await
    }

    /// Reads the linked repository `name` with a shared credential of the server from now on, as [`Self::set_credential`]
    /// does; where that credential is replaced, the repository gets the new content.
    ///
    /// # Errors
    /// As [`Self::set_credential`], and when there is no such credential or it is not of user name and password.
    pub async fn set_shared_credential(
        &self,
        caller: &Caller,
        name: &str,
        shared: &str,
    ) -> Result<Repository, EngineError> {
        let asking = caller.clone();
        self.store()
            .read(move |tx| require(tx, &asking, Permission::Administration, Target::Global))
            .await?;
        let (id, credential) = self.shared_credential(shared).await?;
        self.read_with(caller, name, credential, Some(id)).await
    }

    /// A shared credential of the server as repositories are read with it, with its id.
    pub(crate) async fn shared_credential(&self, name: &str) -> Result<(i64, Credential), EngineError> {
        let (wanted, sealer) = (name.to_owned(), self.sealer().clone());
        self.store()
            .read(move |tx| {
                let Some(found) = credential::by_name(tx, None, &wanted)? else {
                    return Err(EngineError::NotFound(unknown(&wanted)));
                };
                let Content::Password { password } = open(&sealer, &found)? else {
                    return Err(EngineError::Invalid(format!(
                        "the credential {} is an SSH key: repositories over SSH are read with the keys of the server's \
                         user, and others with a user name and password",
                        found.name
                    )));
                };
                let credential = Credential::new(&found.username, &password)
                    .map_err(|error| EngineError::Invalid(error.to_string()))?;
                Ok((found.id, credential))
            })
            .await
    }

    async fn read_with(
        &self,
        caller: &Caller,
        name: &str,
        credential: Credential,
        shared: Option<i64>,
    ) -> Result<Repository, EngineError> {
        let asking = caller.clone();
        self.store()
            .read(move |tx| require(tx, &asking, Permission::Administration, Target::Global))
            .await?;
        let found = self.repository_for(caller, name, Permission::Read).await?;
        if found.kind != RepositoryKind::Linked {
            return Err(EngineError::Invalid(format!(
                "{} is not linked: it is read on this machine, without a password",
                found.name
            )));
        }
        let url = RepositoryUrl::parse(&found.url, self.url_policy())
            .map_err(|error| EngineError::Invalid(format!("the address cannot be used: {error}")))?;
        self.ask_remote(found.scm, &url, Some(&credential))
            .await
            .map_err(|error| {
                EngineError::Invalid(format!(
                    "{} does not answer with this password, so it is not kept: {error}",
                    url.display()
                ))
            })?;
        let text = format!("{}\0{}", credential.username(), credential.password());
        let sealed = self.sealer().seal(&credential_place(found.id), text.as_bytes())?;
        let id = found.id;
        self.store()
            .write(move |tx| {
                repository::set_credential(tx, id, &sealed)?;
                credential::set_of_repository(tx, id, shared)?;
                Ok::<_, EngineError>(repository::note_checked(tx, id, None, clock::now_ms())?)
            })
            .await?;
        let by = caller.name();
        tracing::info!(repository = %found.name, principal = %by, "{by} changed the password of {}", found.name);
        self.repository_for(caller, &found.name, Permission::Read).await
    }
}
