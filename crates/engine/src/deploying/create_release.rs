//! Makes releases: `POST /deploy/project/{id}/version`, `madake deployment release`, and triggers.

use madake_domain::deployment::{
    NamedResult, ReleaseNameError, advanced, checked_name, free_name, release_name,
};
use madake_domain::permission::Permission;
use madake_domain::plan::ReleaseNaming;
use madake_domain::schedule::{BuildOutcome, BuildState};
use madake_store::build::{self, Build};
use madake_store::deployment::{self, Deployment};
use madake_store::deployment_release::{self, NewRelease, Release};
use madake_store::{Millis, Tx, plan, variable};

use super::{facts, rights};
use crate::access::{Caller, plan_for};
use crate::{Engine, EngineError, clock};

/// What somebody asks for.
#[derive(Debug, Clone, Default)]
pub struct AskedRelease {
    /// The result: `PROJ-PLAN-7`.
    pub build: String,
    /// The name; `None`: what the project's naming gives.
    pub name: Option<String>,
    /// The template of the next name, in place of the one that follows by itself.
    pub next_name: Option<String>,
}

/// Why a release was not made, where the caller can tell the field.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Its name cannot be used.
    #[error("{0}")]
    Name(String),
    /// Something else.
    #[error(transparent)]
    Other(#[from] EngineError),
}

impl From<madake_store::StoreError> for ReleaseError {
    fn from(error: madake_store::StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl Engine {
    /// Makes a release of a result.
    ///
    /// # Errors
    /// When the project or the result is not there, the caller may not, or the name is taken.
    pub async fn create_release(
        &self,
        caller: &Caller,
        deployment_id: i64,
        asked: AskedRelease,
    ) -> Result<Release, ReleaseError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let found = rights::deployment_for(tx, &caller, deployment_id, Permission::CreateRelease)?;
                let build = result_of(tx, &caller, &found, &asked.build)?;
                let name = match &asked.name {
                    Some(name) => {
                        Some(checked_name(name).map_err(|error| ReleaseError::Name(error.to_string()))?)
                    }
                    None => None,
                };
                let made = make(tx, &found, &build, name, Some(caller.name()), clock::now_ms())?;
                if let Some(next) = &asked.next_name {
                    let next = checked_name(next).map_err(|error| ReleaseError::Name(error.to_string()))?;
                    let mut naming = deployment::by_id(tx, found.id)?.unwrap_or(found).naming;
                    naming.next = next;
                    deployment::set_naming(tx, deployment_id, &naming)?;
                }
                Ok(made)
            })
            .await
    }

    /// The name that a release of a result would get.
    ///
    /// # Errors
    /// When the project or the result is not there, the caller may not, or the naming gives no name.
    pub async fn next_release_name(
        &self,
        caller: &Caller,
        deployment_id: i64,
        result: &str,
    ) -> Result<String, EngineError> {
        let (caller, result) = (caller.clone(), result.to_owned());
        self.store()
            .read(move |tx| {
                let found = rights::deployment_for(tx, &caller, deployment_id, Permission::Read)?;
                let build = result_of(tx, &caller, &found, &result)?;
                let named = Named::of(tx, &found, &build)?;
                named
                    .name()
                    .map_err(|error| EngineError::Invalid(error.to_string()))
            })
            .await
    }
}

/// A result of the project's plan that the caller may read.
fn result_of(tx: &Tx<'_>, caller: &Caller, found: &Deployment, key: &str) -> Result<Build, EngineError> {
    let shown = madake_domain::text::inert(key, 80);
    let parsed: madake_domain::key::ResultKey = key.parse().map_err(|_| {
        EngineError::Invalid(format!(
            "`{shown}` is not the key of a result, such as {}-7",
            found.plan
        ))
    })?;
    let (plan, branch) = plan_for(tx, caller, &parsed.plan, Permission::Read)?;
    if plan.key != found.plan {
        return Err(EngineError::Invalid(format!(
            "{} releases results of {}, and {shown} is one of {}",
            found.name, found.plan, plan.key
        )));
    }
    build::by_number(tx, branch.id, parsed.number)?.ok_or_else(|| {
        EngineError::NotFound(format!("Result {} for {} not found.", parsed.number, parsed.plan))
    })
}

/// A result with what its name is made of.
struct Named {
    naming: ReleaseNaming,
    found: Deployment,
    branch: Option<String>,
    of_fork: bool,
    number: i64,
    variables: Vec<madake_domain::variables::ResolvedVariable>,
}

impl Named {
    fn of(tx: &Tx<'_>, found: &Deployment, build: &Build) -> Result<Self, EngineError> {
        let (loaded, variables) = facts::of_build(tx, build.id)?;
        Ok(Self {
            naming: deployment::configuration(tx, found.version_id)?.release_naming,
            found: found.clone(),
            branch: (!loaded.branch.is_master).then(|| loaded.branch.display_name.clone()),
            of_fork: loaded.of_fork,
            number: build.number,
            variables: variables.resolved(),
        })
    }

    fn result(&self) -> NamedResult<'_> {
        NamedResult {
            branch: self.branch.as_deref(),
            number: self.number,
            variables: &self.variables,
        }
    }

    fn name(&self) -> Result<String, ReleaseNameError> {
        release_name(&self.naming, &self.found.naming, &self.result())
    }
}

/// Makes a release. One that nobody named gets the next name of the project, and one that nobody asked for a free one.
pub(super) fn make(
    tx: &Tx<'_>,
    found: &Deployment,
    build: &Build,
    name: Option<String>,
    creator: Option<&str>,
    now: Millis,
) -> Result<Release, ReleaseError> {
    if !has_result(build) {
        return Err(EngineError::Conflict(format!(
            "{} has not begun, so there is nothing to release",
            build.key
        ))
        .into());
    }
    let named = Named::of(tx, found, build)?;
    if named.of_fork {
        // Its tasks would run with the secrets of the environment.
        let reason = format!(
            "{} builds what a fork brings, and such results are not released",
            build.key
        );
        return Err(EngineError::Conflict(reason).into());
    }
    let by_template = name.is_none();
    let wanted = match name {
        Some(name) => name,
        None => named
            .name()
            .map_err(|error| ReleaseError::Name(error.to_string()))?,
    };
    let taken = |name: &str| deployment_release::by_name(tx, found.id, name).map(|one| one.is_some());
    let name = if !taken(&wanted)? {
        wanted
    } else if creator.is_some() {
        return Err(ReleaseError::Name(format!(
            "This release version is already in use, please select another: {wanted}"
        )));
    } else {
        free_name(&wanted, &|name| taken(name).unwrap_or(false))
    };
    let plan = plan::by_id(tx, build.plan_id)?;
    let secrets = variable::secret_names(tx, plan.key.project().as_str(), plan.key.as_str())?;
    let id = deployment_release::insert(
        tx,
        &NewRelease {
            deployment_id: found.id,
            name: name.clone(),
            build_id: build.id,
            build_key: build.key.clone(),
            branch_name: named.branch.clone(),
            creator: creator.map(str::to_owned),
            variables: facts::shown(&named.variables, &secrets),
        },
        now,
    )?;
    if by_template {
        deployment::set_naming(
            tx,
            found.id,
            &advanced(&named.naming, &found.naming, &named.result()),
        )?;
    }
    let text = match creator {
        Some(creator) => format!("{creator} made the release {name} of {}", build.key),
        None => format!("the release {name} was made of {}", build.key),
    };
    deployment::note(tx, found.id, (None, Some(id)), "info", &text, now)?;
    Ok(deployment_release::by_id(tx, id)?
        .ok_or_else(|| EngineError::Internal(format!("the release {id} is gone")))?)
}

/// Whether there is something to release: what failed or was stopped can be released by hand, what has not begun cannot.
fn has_result(build: &Build) -> bool {
    match build.schedule.state() {
        BuildState::Created => false,
        BuildState::Finished { outcome, .. } => !matches!(outcome, BuildOutcome::NotStarted { .. }),
        _ => true,
    }
}

impl From<ReleaseError> for EngineError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Name(reason) => Self::Invalid(reason),
            ReleaseError::Other(error) => error,
        }
    }
}
