//! Grants and revokes permissions, and lists who has which.

use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::permission::{Grant, Grantee, Permission, Scope};
use madake_store::{Tx, permission, plan, project, repository, user};

use crate::access::{Caller, Target, require};
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
    /// Grants a permission; says whether that is new.
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
        if grantee == Grantee::Anonymous && granted != Permission::Read {
            return Err(EngineError::Invalid(
                "anonymous callers can hold READ only; grant the rest to users, groups or everyone who is logged in".into(),
            ));
        }
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let key = subject.check(tx, &caller)?;
                match &grantee {
                    Grantee::User(name) if user::by_name(tx, name)?.is_none() => {
                        return Err(EngineError::NotFound(format!(
                            "a user named {name} does not exist"
                        )));
                    }
                    Grantee::Group(name) if !user::group_exists(tx, name)? => {
                        return Err(EngineError::NotFound(format!(
                            "a group named {name} does not exist"
                        )));
                    }
                    Grantee::Repository(name) if repository::with_name(tx, name)?.is_none() => {
                        return Err(EngineError::NotFound(format!(
                            "a repository named {name} does not exist"
                        )));
                    }
                    _ => {}
                }
                deploying::rights::note_grant(tx, subject.scope, &key)?;
                Ok(permission::grant(
                    tx,
                    subject.scope,
                    &key,
                    &grantee,
                    granted,
                    clock::now_ms(),
                )?)
            })
            .await
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
