//! Deployment projects that people keep over REST: made, renamed, their environments added and taken away. What a plan
//! file describes is changed in the plan file alone.

use madake_domain::deployment::checked_name;
use madake_domain::key::PlanKey;
use madake_domain::permission::{Grantee, Permission, Principal, Scope};
use madake_domain::plan::{DeploymentConfiguration, Environment, ReleaseNaming};
use madake_store::deployment::{self, Deployment};
use madake_store::{StoreError, Tx, deployment_release, deployment_result, permission, plan, repository};

use super::rights;
use super::show::release_for;
use crate::access::{Caller, Target, plan_for, require};
use crate::{Engine, EngineError, clock};

/// The name of the first release of a project that was made without a file; its number is counted up.
const FIRST_RELEASE: &str = "release-1";

/// The most environments of a project that is kept over REST.
const MAX_ENVIRONMENTS: usize = 100;

/// What is asked of a project. `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct AskedProject {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The plan whose results become releases.
    pub plan: Option<PlanKey>,
    /// Everybody may see it; for new projects.
    pub public: bool,
}

/// What is asked of an environment. `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct AskedEnvironment {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

impl Engine {
    /// Makes a deployment project without environments, which who makes it administers. Needs CREATE on the plan's
    /// project, and READ on the plan.
    ///
    /// # Errors
    /// When the plan is not there, the caller may not, or the name is missing or taken.
    pub async fn create_deployment(&self, caller: &Caller, asked: AskedProject) -> Result<i64, EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let key = asked
                    .plan
                    .as_ref()
                    .ok_or_else(|| EngineError::Invalid("planKey.key names the source plan".to_owned()))?;
                let source = source_plan(tx, &caller, key)?;
                let name = named(asked.name.as_deref().unwrap_or_default(), "deployment project")?;
                let configuration = DeploymentConfiguration {
                    name,
                    description: asked.description.unwrap_or_default(),
                    source_plan: source,
                    release_naming: ReleaseNaming {
                        next_version_name: FIRST_RELEASE.to_owned(),
                        auto_increment: true,
                        ..ReleaseNaming::default()
                    },
                    environments: Vec::new(),
                };
                let now = clock::now_ms();
                let id = deployment::insert(tx, &configuration, None, now)
                    .map_err(|error| taken(error, &configuration.name))?;
                let version = deployment::ensure_version(tx, id, &configuration, &by(&caller), now)?;
                if let Some(row) = deployment::by_id(tx, id)? {
                    deployment::adopt_version(tx, &row, version, &configuration, now)?;
                }
                let grant = |grantee: &Grantee, permission| {
                    permission::grant(tx, Scope::Deployment, &id.to_string(), grantee, permission, now)
                };
                if matches!(caller.principal, Principal::User(_)) {
                    grant(
                        &Grantee::User(caller.name().to_owned()),
                        Permission::Administration,
                    )?;
                }
                if asked.public {
                    grant(&Grantee::LoggedIn, Permission::Read)?;
                    grant(&Grantee::Anonymous, Permission::Read)?;
                }
                Ok(id)
            })
            .await
    }

    /// Changes a deployment project that no plan file describes.
    ///
    /// # Errors
    /// When it is not there, the caller may not, a plan file describes it, or the name is taken.
    pub async fn update_deployment(
        &self,
        caller: &Caller,
        id: i64,
        asked: AskedProject,
    ) -> Result<(), EngineError> {
        self.change(caller, id, move |tx, caller, configuration| {
            if let Some(name) = &asked.name {
                configuration.name = named(name, "deployment project")?;
            }
            if let Some(description) = asked.description {
                configuration.description = description;
            }
            if let Some(key) = &asked.plan
                && *key != configuration.source_plan
            {
                configuration.source_plan = source_plan(tx, caller, key)?;
            }
            Ok(())
        })
        .await
    }

    /// Adds an environment without tasks to a deployment project that no plan file describes, and gives its id.
    ///
    /// # Errors
    /// As [`Engine::update_deployment`].
    pub async fn create_environment(
        &self,
        caller: &Caller,
        project: i64,
        asked: AskedEnvironment,
    ) -> Result<i64, EngineError> {
        let name = named(asked.name.as_deref().unwrap_or_default(), "environment")?;
        let wanted = name.clone();
        self.change(caller, project, move |_, _, configuration| {
            if configuration.environments.len() >= MAX_ENVIRONMENTS {
                return Err(EngineError::Invalid(format!(
                    "a deployment project has {MAX_ENVIRONMENTS} environments at most"
                )));
            }
            free(configuration, &name, None)?;
            configuration.environments.push(Environment {
                name,
                description: asked.description.unwrap_or_default(),
                ..Environment::default()
            });
            Ok(())
        })
        .await?;
        let found = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(deployment::environment_by_name(tx, project, &wanted)?))
            .await?;
        found
            .map(|row| row.id)
            .ok_or_else(|| EngineError::Internal("the new environment is gone".to_owned()))
    }

    /// Changes an environment of a deployment project that no plan file describes. Its history stays with it.
    ///
    /// # Errors
    /// As [`Engine::update_deployment`].
    pub async fn update_environment(
        &self,
        caller: &Caller,
        id: i64,
        asked: AskedEnvironment,
    ) -> Result<(), EngineError> {
        let project = self.project_of(caller, id).await?;
        self.change(caller, project, move |tx, _, configuration| {
            let row = deployment::environment(tx, id)?;
            let before = row.map(|row| row.name).unwrap_or_default();
            if let Some(name) = &asked.name {
                let name = named(name, "environment")?;
                if name != before {
                    free(configuration, &name, Some(&before))?;
                    deployment::rename_environment(tx, id, &name).map_err(|error| taken(error, &name))?;
                }
                if let Some(found) = configuration
                    .environments
                    .iter_mut()
                    .find(|one| one.name == before)
                {
                    found.name.clone_from(&name);
                }
            }
            let now = asked.name.as_deref().map_or(before.as_str(), str::trim);
            if let Some(description) = asked.description
                && let Some(found) = configuration.environments.iter_mut().find(|one| one.name == now)
            {
                found.description = description;
            }
            Ok(())
        })
        .await
    }

    /// Takes an environment out of a deployment project that no plan file describes. Its results stay in the store.
    ///
    /// # Errors
    /// As [`Engine::update_deployment`], and when a deployment waits or runs.
    pub async fn remove_environment(&self, caller: &Caller, id: i64) -> Result<(), EngineError> {
        let project = self.project_of(caller, id).await?;
        self.change(caller, project, move |tx, _, configuration| {
            if deployment_result::is_busy(tx, id)? {
                return Err(EngineError::Conflict(
                    "a deployment to it waits or runs; stop it first".to_owned(),
                ));
            }
            let row = deployment::environment(tx, id)?;
            let name = row.map(|row| row.name).unwrap_or_default();
            configuration.environments.retain(|one| one.name != name);
            Ok(())
        })
        .await
    }

    /// Removes a release that was never deployed.
    ///
    /// # Errors
    /// When it is not there, the caller may not, or it was deployed.
    pub async fn remove_release(&self, caller: &Caller, id: i64) -> Result<(), EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let (_, found) = release_for(tx, &caller, id, Permission::Write)?;
                if !deployment_result::of_release(tx, id)?.is_empty() {
                    return Err(EngineError::Conflict(format!(
                        "{} was deployed, and its history needs it",
                        found.name
                    )));
                }
                Ok(deployment_release::remove(tx, id)?)
            })
            .await
    }

    /// The project of an environment that the caller may change.
    async fn project_of(&self, caller: &Caller, environment: i64) -> Result<i64, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                rights::environment_for(tx, &caller, environment, Permission::Write)
                    .map(|(found, _)| found.id)
            })
            .await
    }

    async fn change<F>(&self, caller: &Caller, id: i64, edit: F) -> Result<(), EngineError>
    where
        F: FnOnce(&Tx<'_>, &Caller, &mut DeploymentConfiguration) -> Result<(), EngineError> + Send + 'static,
    {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let found = rights::deployment_for(tx, &caller, id, Permission::Write)?;
                kept_by_people(tx, &found)?;
                let mut configuration = deployment::configuration(tx, found.version_id)?;
                edit(tx, &caller, &mut configuration)?;
                if configuration.name != found.name {
                    deployment::rename(tx, id, &configuration.name)
                        .map_err(|error| taken(error, &configuration.name))?;
                }
                let now = clock::now_ms();
                let version = deployment::ensure_version(tx, id, &configuration, &by(&caller), now)?;
                Ok(deployment::adopt_version(
                    tx,
                    &found,
                    version,
                    &configuration,
                    now,
                )?)
            })
            .await
    }
}

fn by(caller: &Caller) -> String {
    format!("{}, over REST", caller.name())
}

/// Refuses what a plan file would undo.
fn kept_by_people(tx: &Tx<'_>, found: &Deployment) -> Result<(), EngineError> {
    let Some(owner) = found.specs_repository_id else {
        return Ok(());
    };
    let owner = repository::by_id(tx, owner)?.map_or_else(|| "a repository".to_owned(), |one| one.name);
    Err(EngineError::Conflict(format!(
        "{} is described by the plan file of {owner}; change it there",
        found.name
    )))
}

/// The key of a plan whose results the caller may release.
fn source_plan(tx: &Tx<'_>, caller: &Caller, key: &PlanKey) -> Result<PlanKey, EngineError> {
    let (found, _) = plan_for(tx, caller, key, Permission::Read)?;
    require(
        tx,
        caller,
        Permission::Create,
        Target::Project(found.key.project().as_str()),
    )?;
    match plan::by_key(tx, key)? {
        Some(found) => Ok(found.key),
        None => Err(EngineError::Invalid(format!(
            "{key} is a plan branch; a deployment project has a plan"
        ))),
    }
}

fn named(text: &str, what: &str) -> Result<String, EngineError> {
    checked_name(text).map_err(|_| {
        EngineError::Invalid(format!(
            "the name of the {what} has 1 to 255 characters and no line breaks"
        ))
    })
}

/// Whether no environment but `itself` has the name.
fn free(
    configuration: &DeploymentConfiguration,
    name: &str,
    itself: Option<&str>,
) -> Result<(), EngineError> {
    let folded = name.to_lowercase();
    let mut names = configuration
        .environments
        .iter()
        .filter(|one| Some(one.name.as_str()) != itself);
    if names.any(|one| one.name.to_lowercase() == folded) {
        return Err(EngineError::Invalid(format!(
            "there is an environment {name} already"
        )));
    }
    Ok(())
}

fn taken(error: StoreError, name: &str) -> EngineError {
    match error {
        StoreError::Duplicate(_) => EngineError::Invalid(format!("the name {name} is taken")),
        other => other.into(),
    }
}
