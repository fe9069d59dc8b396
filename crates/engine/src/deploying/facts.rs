//! What the result of a build says of itself to releases and deployments.

use jiff::tz::TimeZone;
use madake_domain::plan::Variable;
use madake_domain::variables::{ResolvedVariable, VariableLayers, build_specific, looks_secret, resolve};
use madake_store::build::Build;
use madake_store::seal::Sealer;
use madake_store::{Tx, meta, plan};

use super::TIME_ZONE;
use crate::order::{Loaded, build_facts, load};
use crate::{EngineError, handed_on, telling};

/// The variables of a result by where they come from.
pub(super) struct ResultVariables {
    /// The plan's.
    pub(super) plan: Vec<Variable>,
    /// Those given by hand.
    pub(super) manual: Vec<Variable>,
    /// What its jobs handed on; without the secret ones, unless [`Self::with_secrets`].
    pub(super) injected: Vec<Variable>,
    /// What the build is.
    pub(super) specific: Vec<Variable>,
}

impl ResultVariables {
    /// Those of a build.
    pub(super) fn of(tx: &Tx<'_>, loaded: &Loaded) -> Result<Self, EngineError> {
        let base_url = meta::get(tx, telling::BASE_URL)?.unwrap_or_default();
        let zone = meta::get(tx, TIME_ZONE)?
            .and_then(|name| TimeZone::get(&name).ok())
            .unwrap_or(TimeZone::UTC);
        let facts = build_facts(&base_url, &zone, loaded);
        Ok(Self {
            plan: plan::configuration(tx, loaded.build.version_id)?.variables,
            manual: loaded
                .build
                .variables
                .iter()
                .map(|one| Variable {
                    name: one.name.clone(),
                    value: one.value.clone(),
                })
                .collect(),
            injected: handed_on::in_force(tx, None, &loaded.build, i64::MAX)?,
            specific: build_specific(&facts),
        })
    }

    /// With the secrets that jobs handed on.
    pub(super) fn with_secrets(
        self,
        tx: &Tx<'_>,
        sealer: &Sealer,
        build: &Build,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            injected: handed_on::in_force(tx, Some(sealer), build, i64::MAX)?,
            ..self
        })
    }

    /// One value for each name.
    pub(super) fn resolved(&self) -> Vec<ResolvedVariable> {
        resolve(&VariableLayers {
            plan: &self.plan,
            manual: &self.manual,
            injected: &self.injected,
            build_specific: &self.specific,
            ..VariableLayers::default()
        })
    }
}

/// What a release keeps of the variables of its result: all but secrets, of which some are `known` by name.
pub(super) fn shown(resolved: &[ResolvedVariable], known: &[String]) -> Vec<(String, String)> {
    resolved
        .iter()
        .filter(|one| !looks_secret(&one.name) && !known.contains(&one.name))
        .map(|one| (one.name.clone(), one.value.clone()))
        .collect()
}

/// A build with its variables.
pub(super) fn of_build(tx: &Tx<'_>, build_id: i64) -> Result<(Loaded, ResultVariables), EngineError> {
    let loaded = load(tx, build_id)?;
    let variables = ResultVariables::of(tx, &loaded)?;
    Ok((loaded, variables))
}
