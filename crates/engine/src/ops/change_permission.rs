//! Grants and revokes permissions, and lists who has which.

use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::permission::{Grant, Grantee, Permission, Scope};
use madake_store::{Tx, permission, plan, project, repository};

use crate::access::{Caller, Target, require};
use crate::specs::people;
use crate::{Engine, EngineError, clock, deploying};

/// What a permission is on.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The kind of thing.
    pub scope: Scope,
    /// Its key: `PROJ`, `PROJ-PLAN`, `OWNER/SLUG`; the name or id of a deployment project; the id of an environment, or
    /// its project and name with `/` between; empty for the server.
    pub key: String,
}

impl Subject {
    /// Checks that the thing is there and that the caller may administrate it, and gives the key that its grants are
    /// stored under.
    fn check(&self, tx: &Tx<'_>, caller: &Caller) -> Result<String, EngineError> {
        let missing = || {
            EngineError::NotFound(format!(
                "a {} named {} does not exist",
                self.scope.as_str(),
                self.key
            ))
        };
        match self.scope {
            Scope::Global => require(tx, caller, Permission::Administration, Target::Global)?,
            Scope::Project => {
                let key: ProjectKey = self.key.parse().map_err(|_| missing())?;
                require(
                    tx,
                    caller,
                    Permission::Administration,
                    Target::Project(key.as_str()),
                )?;
                // A project may be granted on before its first plan or repository is made.
                project::ensure(tx, &key, clock::now_ms())?;
            }
            Scope::Plan => {
                let key: PlanKey = self.key.parse().map_err(|_| missing())?;
                require(tx, caller, Permission::Administration, Target::Plan(&key))?;
                plan::by_key(tx, &key)?.map(|_| ()).ok_or_else(missing)?;
            }
            Scope::Repository => {
                // Grants are kept under the name, so a name that it had before will not do.
                let found = repository::with_name(tx, &self.key)?.ok_or_else(missing)?;
                require(tx, caller, Permission::Administration, Target::Repository(&found))?;
            }
            Scope::Deployment | Scope::Environment => {
                return deploying::rights::grants_of(tx, caller, self.scope, &self.key);
            }
        }
        Ok(self.key.clone())
    }
}

impl Engine {
    /// Grants a permission; says whether that is new. The plan file of a repository that gets one is read again if it had
    /// errors.
    ///
    /// # Errors
    /// When the caller may not, or the thing, user or group is not there.
    pub async fn grant(
        &self,
        caller: &Caller,
        subject: Subject,
        grantee: Grantee,
        granted: Permission,
    ) -> Result<bool, EngineError> {
        if grantee == Grantee::Anonymous && !granted.for_anonymous() {
            return Err(EngineError::Invalid(
                "anonymous callers can hold READ only; grant the rest to users, groups or everyone who is logged in".into(),
            ));
        }
        let (caller, repository) = (caller.clone(), grantee.clone());
        let is_new = self
            .store()
            .write(move |tx| {
                let key = subject.check(tx, &caller)?;
                let named = match &grantee {
                    Grantee::User(name) => Some(("user", name)),
                    Grantee::Group(name) => Some(("group", name)),
                    Grantee::Repository(name) => Some(("repository", name)),
                    Grantee::LoggedIn | Grantee::Anonymous => None,
                };
                if let Some((kind, name)) = named
                    && !people::exists(tx, &grantee)?
                {
                    return Err(EngineError::NotFound(format!(
                        "a {kind} named {name} does not exist"
                    )));
                }
                deploying::rights::note_grant(tx, subject.scope, &key)?;
                Ok::<_, EngineError>(permission::grant(
                    tx,
                    subject.scope,
                    &key,
                    &grantee,
                    granted,
                    clock::now_ms(),
                )?)
            })
            .await?;
        if let Grantee::Repository(name) = repository
            && let Some(found) = self
                .store()
                .read(move |tx| repository::with_name(tx, &name))
                .await?
        {
            self.reread_after_grant(&found).await;
        }
        Ok(is_new)
    }

    /// Revokes a permission; says whether it was granted.
    ///
    /// # Errors
    /// When the caller may not, or the thing is not there.
    pub async fn revoke(
        &self,
        caller: &Caller,
        subject: Subject,
        grantee: Grantee,
        revoked: Permission,
    ) -> Result<bool, EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let key = subject.check(tx, &caller)?;
                Ok(permission::revoke(tx, subject.scope, &key, &grantee, revoked)?)
            })
            .await
    }

    /// What is granted on a thing itself.
    ///
    /// # Errors
    /// When the caller may not, or the thing is not there.
    pub async fn list_grants(&self, caller: &Caller, subject: Subject) -> Result<Vec<Grant>, EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let key = subject.check(tx, &caller)?;
                Ok(permission::on(tx, subject.scope, &key)?)
            })
            .await
    }
}
