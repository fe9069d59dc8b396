//! Keeps shared credentials, says who may use them and where they are used, and removes them. What they hold is never given
//! back.

use madake_agent::private_key;
use madake_domain::credential::{
    CredentialGrantee, CredentialKind, named_by_deployment, named_by_plan, person_may_use,
};
use madake_domain::key::ProjectKey;
use madake_domain::mask::weakness;
use madake_domain::permission::{Permission, Principal};
use madake_domain::text::inert;
use madake_store::credential::{self, Credential, NewCredential};
use madake_store::repository::Repository;
use madake_store::{Tx, project, repository, user};

use crate::access::{Caller, Target, may, require};
use crate::credentials::{Content, seal};
use crate::ops::reread_specs::RereadFile;
use crate::{Engine, EngineError, clock};

/// The longest name, in bytes.
const NAME_LIMIT: usize = 128;
/// The longest user name, in bytes.
const USERNAME_LIMIT: usize = 256;
/// The longest password, key or passphrase, in bytes.
const SECRET_LIMIT: usize = 64 * 1024;

/// Which credential is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialName {
    /// The key of the project that it belongs to; `None`: the server.
    pub project: Option<String>,
    /// Its name.
    pub name: String,
}

/// A credential that is to be kept.
#[derive(Debug, Clone)]
pub struct KeepCredential {
    /// Its name, and where it belongs.
    pub name: CredentialName,
    /// The user name; a key may do without.
    pub username: String,
    /// What it holds.
    pub secret: CredentialSecret,
    /// Whether one of this name gets another content; without it, a name that is taken is refused.
    pub replace: bool,
}

/// What a credential is to hold.
#[derive(Clone)]
pub enum CredentialSecret {
    /// A password or token.
    Password(String),
    /// A private key.
    Key {
        /// The key, in PEM.
        key: String,
        /// What opens it.
        passphrase: Option<String>,
    },
}

impl std::fmt::Debug for CredentialSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialSecret(..)")
    }
}

/// A credential as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCredential {
    /// The credential; what it holds is sealed.
    pub credential: Credential,
    /// Who may use it, as kind and name; empty for those who may not change that.
    pub grants: Vec<(&'static str, String)>,
    /// Where it is used, in words; empty for those who may not change it.
    pub uses: Vec<String>,
    /// Whether the caller may change it.
    pub may_change: bool,
}

/// What came of keeping a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCredential {
    /// As it is now.
    pub shown: ShownCredential,
    /// There was none of that name.
    pub is_new: bool,
    /// What is worth knowing about it.
    pub warning: Option<String>,
}

/// Whom the use is granted to, or taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialUser {
    /// A user, by name.
    User(String),
    /// A group, by name.
    Group(String),
    /// All plans of a project, by its key.
    Project(String),
    /// The plan files of a repository, by its name.
    Repository(String),
}

/// What came of letting somebody use a credential.
#[derive(Debug, Clone)]
pub struct GrantedCredential {
    /// It was not so before.
    pub changed: bool,
    /// Plan files that were refused before, and were read again.
    pub reread: Vec<RereadFile>,
}

impl Engine {
    /// Keeps a credential.
    ///
    /// # Errors
    /// When the caller does not administrate what it belongs to, when name or content will not do, or when the name is
    /// taken and nothing is to be replaced.
    pub async fn keep_credential(
        &self,
        caller: &Caller,
        new: KeepCredential,
    ) -> Result<KeptCredential, EngineError> {
        let (kind, fingerprint) = check(&new)?;
        let content = match new.secret {
            CredentialSecret::Password(password) => Content::Password { password },
            CredentialSecret::Key { key, passphrase } => Content::Key { key, passphrase },
        };
        let warning = content.secrets().find_map(weakness).map(|why| why.to_string());
        let (caller, sealer) = (caller.clone(), self.sealer().clone());
        let (name, replace, username) = (new.name, new.replace, new.username);
        self.store()
            .write(move |tx| {
                let name = administrate(tx, &caller, &name)?;
                let before = credential::by_name(tx, name.project.as_deref(), &name.name)?;
                if let Some(before) = &before {
                    if !replace {
                        return Err(EngineError::Exists(format!(
                            "there is a credential named {}: say that it is to be replaced, or take another name",
                            before.name
                        )));
                    }
                    if before.kind != kind {
                        return Err(EngineError::Conflict(format!(
                            "the credential {} is of the kind {}: what uses it could not use a {kind}; remove it first",
                            before.name, before.kind
                        )));
                    }
                }
                let row = NewCredential {
                    project: name.project,
                    name: name.name,
                    kind,
                    username,
                    fingerprint,
                };
                let id = credential::keep(tx, &row, caller.name(), clock::now_ms())?;
                seal(tx, &sealer, id, &row.username, &content)?;
                let kept = credential::by_name(tx, row.project.as_deref(), &row.name)?
                    .ok_or_else(|| EngineError::Internal("the new credential is gone".into()))?;
                let what = if before.is_some() { "replaced" } else { "added" };
                let by = caller.name();
                tracing::info!(credential = %kept.name, principal = %by, "{by} {what} the credential {}", kept.name);
                Ok(KeptCredential {
                    shown: shown(tx, kept, true)?,
                    is_new: before.is_none(),
                    warning,
                })
            })
            .await
    }

    /// The credentials that the caller may change or use.
    ///
    /// # Errors
    /// When nobody is logged in.
    pub async fn list_credentials(&self, caller: &Caller) -> Result<Vec<ShownCredential>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                if !caller.principal.is_logged_in() {
                    require(tx, &caller, Permission::Administration, Target::Global)?;
                }
                let mut all = Vec::new();
                for one in credential::all(tx)? {
                    let may_change = may_administrate(tx, &caller, one.project.as_deref())?;
                    if may_change || holds(tx, &caller, one.id)? {
                        all.push(shown(tx, one, may_change)?);
                    }
                }
                Ok(all)
            })
            .await
    }

    /// Removes a credential. One that is used is removed by force only; linked repositories are then read without it.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] with where it is used, and what the other operations refuse.
    pub async fn remove_credential(
        &self,
        caller: &Caller,
        name: CredentialName,
        force: bool,
    ) -> Result<(), EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let name = administrate(tx, &caller, &name)?;
                let found = existing(tx, &name)?;
                let uses = uses(tx, &found)?;
                if !uses.is_empty() && !force {
                    return Err(EngineError::Conflict(format!(
                        "the credential {} is used by {}: change these first, or remove it by force",
                        found.name,
                        uses.join(", ")
                    )));
                }
                for (id, _) in credential::repositories_of(tx, found.id)? {
                    repository::drop_credential(tx, id)?;
                }
                credential::remove(tx, found.id)?;
                let by = caller.name();
                tracing::info!(credential = %found.name, principal = %by, "{by} removed the credential {}", found.name);
                Ok(())
            })
            .await
    }

    /// Lets somebody use a credential, or with `granting` unset takes that back; says whether that changed anything. Plan
    /// files that had errors, of repositories that may use it now, are read again.
    ///
    /// Who holds its use without administrating it may grant it to repositories and projects that the caller
    /// administrates.
    ///
    /// # Errors
    /// When the caller may not, or one of the names is not there.
    pub async fn grant_credential(
        &self,
        caller: &Caller,
        name: CredentialName,
        to: CredentialUser,
        granting: bool,
    ) -> Result<GrantedCredential, EngineError> {
        let caller = caller.clone();
        let (changed, refused) = self
            .store()
            .write(move |tx| {
                let found = grantable(tx, &caller, &name, &to)?;
                let grantee = grantee(tx, &caller, &found, to, granting)?;
                if granting {
                    let by = caller.name();
                    let changed = credential::grant(tx, found.id, &grantee, by, clock::now_ms())?;
                    let mut seen = Vec::new();
                    for one in repositories_of(tx, &grantee)? {
                        if may(tx, &caller, Permission::Read, Target::Repository(&one))? {
                            seen.push(one);
                        }
                    }
                    Ok::<_, EngineError>((changed, seen))
                } else {
                    Ok((credential::revoke(tx, found.id, &grantee)?, Vec::new()))
                }
            })
            .await?;
        let mut reread = Vec::new();
        for found in refused {
            reread.extend(self.reread_after_grant(&found).await);
        }
        Ok(GrantedCredential { changed, reread })
    }
}

/// The repositories whose plan files may use what is granted to somebody. Linked ones are in no project.
fn repositories_of(tx: &Tx<'_>, grantee: &CredentialGrantee) -> Result<Vec<Repository>, EngineError> {
    Ok(match grantee {
        CredentialGrantee::Repository(id) => repository::by_id(tx, *id)?.into_iter().collect(),
        CredentialGrantee::Project(key) => {
            let all = repository::all(tx)?.into_iter();
            all.filter(|one| {
                one.project()
                    .is_none_or(|project| project.eq_ignore_ascii_case(key))
            })
            .collect()
        }
        CredentialGrantee::User(_) | CredentialGrantee::Group(_) => Vec::new(),
    })
}

/// What kind it is, and the fingerprint of a key.
fn check(new: &KeepCredential) -> Result<(CredentialKind, String), EngineError> {
    let invalid = |text: String| Err(EngineError::Invalid(text));
    let name = &new.name.name;
    if name.trim().is_empty() || name.len() > NAME_LIMIT || name.chars().any(char::is_control) {
        return invalid(format!(
            "a credential's name has 1 to {NAME_LIMIT} printable characters"
        ));
    }
    if new.username.len() > USERNAME_LIMIT || new.username.chars().any(char::is_control) {
        return invalid(format!(
            "a user name has at most {USERNAME_LIMIT} characters, all of them printable"
        ));
    }
    match &new.secret {
        CredentialSecret::Password(password) => {
            if new.username.is_empty() {
                return invalid("a password goes with a user name".to_owned());
            }
            if password.is_empty() || password.len() > SECRET_LIMIT || password.contains(['\0', '\n', '\r']) {
                return invalid(format!(
                    "a password has 1 to {SECRET_LIMIT} bytes, and is one line"
                ));
            }
            Ok((CredentialKind::Password, String::new()))
        }
        CredentialSecret::Key { key, passphrase } => {
            if key.len() > SECRET_LIMIT || passphrase.as_ref().is_some_and(|text| text.len() > SECRET_LIMIT) {
                return invalid(format!(
                    "a key and its passphrase have at most {SECRET_LIMIT} bytes"
                ));
            }
            let fingerprint = private_key::fingerprint(key, passphrase.as_deref())
                .map_err(|why| EngineError::Invalid(format!("the key cannot be kept: {why}")))?;
            Ok((CredentialKind::SshKey, fingerprint))
        }
    }
}

fn may_administrate(tx: &Tx<'_>, caller: &Caller, project: Option<&str>) -> Result<bool, EngineError> {
    let target = project.map_or(Target::Global, Target::Project);
    may(tx, caller, Permission::Administration, target)
}

/// Asks whether the caller may change credentials there; gives the name with the project's key as it is kept.
fn administrate(tx: &Tx<'_>, caller: &Caller, name: &CredentialName) -> Result<CredentialName, EngineError> {
    let target = name.project.as_deref().map_or(Target::Global, Target::Project);
    // Asked before the key is read: strangers learn nothing of keys.
    require(tx, caller, Permission::Administration, target)?;
    let project = match &name.project {
        Some(key) => Some(existing_project(tx, key)?),
        None => None,
    };
    Ok(CredentialName {
        project,
        name: name.name.clone(),
    })
}

fn existing_project(tx: &Tx<'_>, key: &str) -> Result<String, EngineError> {
    let missing = || EngineError::NotFound(format!("Project {} not found.", inert(key, 80)));
    let parsed: ProjectKey = key.to_uppercase().parse().map_err(|_| missing())?;
    project::by_key(tx, &parsed)?.ok_or_else(missing)?;
    Ok(parsed.to_string())
}

fn existing(tx: &Tx<'_>, name: &CredentialName) -> Result<Credential, EngineError> {
    credential::by_name(tx, name.project.as_deref(), &name.name)?.ok_or_else(|| {
        let whose = match &name.project {
            Some(key) => format!("project {}", inert(key, 80)),
            None => "the server".to_owned(),
        };
        EngineError::NotFound(format!(
            "{whose} has no credential named {}",
            inert(&name.name, 80)
        ))
    })
}

/// Whether a person holds the use of a credential.
fn holds(tx: &Tx<'_>, caller: &Caller, id: i64) -> Result<bool, EngineError> {
    let Principal::User(user) = &caller.principal else {
        return Ok(false);
    };
    // A token that is bound to something does not reach the server's credentials.
    let bound = user.token_limit.is_some();
    Ok(!bound && person_may_use(&credential::grants(tx, id)?, &user.name, &user.groups))
}

/// The credential, if the caller may say that somebody uses it.
fn grantable(
    tx: &Tx<'_>,
    caller: &Caller,
    name: &CredentialName,
    to: &CredentialUser,
) -> Result<Credential, EngineError> {
    let refusal = match administrate(tx, caller, name) {
        Ok(name) => return existing(tx, &name),
        Err(refusal) => refusal,
    };
    let Some(found) = credential::by_name(tx, name.project.as_deref(), &name.name)? else {
        return Err(refusal);
    };
    let administrates = match to {
        CredentialUser::Repository(name) => match repository::with_name(tx, name)? {
            Some(one) => may(tx, caller, Permission::Administration, Target::Repository(&one))?,
            None => false,
        },
        CredentialUser::Project(key) => may(tx, caller, Permission::Administration, Target::Project(key))?,
        CredentialUser::User(_) | CredentialUser::Group(_) => false,
    };
    if administrates && holds(tx, caller, found.id)? {
        Ok(found)
    } else {
        Err(refusal)
    }
}

/// Whom the grant is kept for.
fn grantee(
    tx: &Tx<'_>,
    caller: &Caller,
    found: &Credential,
    to: CredentialUser,
    granting: bool,
) -> Result<CredentialGrantee, EngineError> {
    Ok(match to {
        CredentialUser::User(name) => {
            if granting && user::by_name(tx, &name)?.is_none() {
                return Err(EngineError::NotFound(format!(
                    "a user named {name} does not exist"
                )));
            }
            CredentialGrantee::User(name)
        }
        CredentialUser::Group(name) => {
            if granting && !user::group_exists(tx, &name)? {
                return Err(EngineError::NotFound(format!(
                    "a group named {name} does not exist"
                )));
            }
            CredentialGrantee::Group(name)
        }
        CredentialUser::Project(key) => {
            let key = existing_project(tx, &key)?;
            if let Some(owner) = found.project.as_ref().filter(|owner| granting && **owner != key) {
                return Err(EngineError::Invalid(format!(
                    "the credential {} belongs to project {owner}: plans of other projects cannot use it",
                    found.name
                )));
            }
            CredentialGrantee::Project(key)
        }
        CredentialUser::Repository(name) => {
            let missing = || EngineError::NotFound(format!("a repository named {name} does not exist"));
            let one = repository::with_name(tx, &name)?.ok_or_else(missing)?;
            // Whoever may not see it learns nothing of it.
            if granting && !may(tx, caller, Permission::Read, Target::Repository(&one))? {
                return Err(missing());
            }
            CredentialGrantee::Repository(one.id)
        }
    })
}

fn shown(tx: &Tx<'_>, found: Credential, may_change: bool) -> Result<ShownCredential, EngineError> {
    let (mut grants, mut used) = (Vec::new(), Vec::new());
    if may_change {
        for grant in credential::grants(tx, found.id)? {
            grants.push(match grant {
                CredentialGrantee::User(name) => ("user", name),
                CredentialGrantee::Group(name) => ("group", name),
                CredentialGrantee::Project(key) => ("project", key),
                CredentialGrantee::Repository(id) => match repository::by_id(tx, id)? {
                    Some(one) => ("repository", one.name),
                    None => continue,
                },
            });
        }
        used = uses(tx, &found)?;
    }
    Ok(ShownCredential {
        credential: found,
        grants,
        uses: used,
        may_change,
    })
}

/// Where a credential is used: plans and deployment projects that mean it by its name, and linked repositories.
fn uses(tx: &Tx<'_>, found: &Credential) -> Result<Vec<String>, EngineError> {
    let is_meant = |project: &str, names: &[&str]| -> Result<bool, EngineError> {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(&found.name)) {
            return Ok(false);
        }
        let meant = credential::meant(tx, project, &found.name)?;
        Ok(meant.is_some_and(|one| one.id == found.id))
    };
    let mut uses = Vec::new();
    for (key, configuration) in credential::plans_that_name_any(tx)? {
        if is_meant(configuration.project_key.as_str(), &named_by_plan(&configuration))? {
            uses.push(format!("plan {key}"));
        }
    }
    for configuration in credential::deployments_that_name_any(tx)? {
        let project = configuration.source_plan.project();
        if is_meant(project.as_str(), &named_by_deployment(&configuration))? {
            uses.push(format!("deployment project {}", configuration.name));
        }
    }
    let repositories = credential::repositories_of(tx, found.id)?;
    uses.extend(
        repositories
            .into_iter()
            .map(|(_, name)| format!("linked repository {name}")),
    );
    Ok(uses)
}
