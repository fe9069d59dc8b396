//! Shows what there is and how it stands: plans with their newest results, what waits or runs, deployment projects. All of
//! it is what the caller may see, and the rest is not counted. It is a few questions, however many plans there are.

use std::collections::{HashMap, HashSet};

use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::permission::{Grant, Permission, Scope, decide};
use madake_store::overview::{self, PlanStanding, UnderWay};
use madake_store::{Tx, deployment_result};

use crate::access::Caller;
use crate::deploying::rights;
use crate::deploying::show::{self, ShownProject, ShownResult};
use crate::{Engine, EngineError};

/// Deployment projects of an overview.
const DEPLOYMENT_PROJECTS: usize = 20;
/// Deployments under way of an overview.
const DEPLOYMENTS: usize = 50;

/// What there is, as a caller may see it.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The plans, by project and name.
    pub plans: Vec<PlanStanding>,
    /// The builds that wait or run, oldest first.
    pub under_way: Vec<UnderWay>,
    /// The first deployment projects, by name.
    pub deployments: Vec<ShownProject>,
    /// There are more of them.
    pub more_deployments: bool,
    /// Deployments that run or wait.
    pub deploying: Vec<Deploying>,
}

/// A deployment that runs or waits.
#[derive(Debug, Clone)]
pub struct Deploying {
    /// The name of the deployment project.
    pub project: String,
    /// The name of the environment.
    pub environment: String,
    /// The deployment.
    pub shown: ShownResult,
}

impl Engine {
    /// What the caller may see of the whole server, or of one project: its plans, its builds, and the deployments of those
    /// plans.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn overview(
        &self,
        caller: &Caller,
        project: Option<&ProjectKey>,
    ) -> Result<Overview, EngineError> {
        let (caller, project) = (caller.clone(), project.cloned());
        self.store()
            .read(move |tx| {
                let is_asked = |key: &PlanKey| project.as_ref().is_none_or(|one| key.project() == *one);
                let readable = Readable::of(tx)?;
                let mut plans = overview::plans(tx)?;
                plans.retain(|one| is_asked(&one.key) && readable.is_readable(&caller, &one.key));
                let ids: HashSet<i64> = plans.iter().map(|one| one.plan_id).collect();
                let mut under_way = overview::under_way(tx, None)?;
                under_way.retain(|one| ids.contains(&one.plan_id));
                let (deployments, more_deployments) =
                    show::first_projects(tx, &caller, &is_asked, DEPLOYMENT_PROJECTS)?;
                Ok(Overview {
                    plans,
                    under_way,
                    deployments,
                    more_deployments,
                    deploying: deploying(tx, &caller, &is_asked)?,
                })
            })
            .await
    }
}

/// The grants that bear on plans, by what they are on.
struct Readable(HashMap<(Scope, String), Vec<Grant>>);

impl Readable {
    fn of(tx: &Tx<'_>) -> Result<Self, EngineError> {
        let mut all: HashMap<_, Vec<Grant>> = HashMap::new();
        for one in overview::grants(tx)? {
            all.entry((one.scope, one.subject)).or_default().push(one.grant);
        }
        Ok(Self(all))
    }

    /// The same answer as [`crate::access::may`] gives for READ on the plan.
    fn is_readable(&self, caller: &Caller, key: &PlanKey) -> bool {
        let project = key.project().to_string();
        let places = [
            (Scope::Plan, key.to_string()),
            (Scope::Project, project.clone()),
            (Scope::Global, String::new()),
        ];
        let grants: Vec<Grant> = places
            .iter()
            .filter_map(|place| self.0.get(place))
            .flatten()
            .cloned()
            .collect();
        decide(&caller.principal, Permission::Read, Some(&project), &grants).is_allowed()
    }
}

/// The deployments that run, and behind them those that wait.
fn deploying(
    tx: &Tx<'_>,
    caller: &Caller,
    is_asked: &dyn Fn(&PlanKey) -> bool,
) -> Result<Vec<Deploying>, EngineError> {
    let mut all = deployment_result::held(tx)?;
    all.extend(deployment_result::queued(tx)?);
    let mut seen = Vec::new();
    let mut environments = HashMap::new();
    for one in all {
        let environment = environments.entry(one.environment_id).or_insert_with(|| {
            rights::environment_for(tx, caller, one.environment_id, Permission::Read).ok()
        });
        let Some((found, row)) = environment else {
            continue;
        };
        if !is_asked(&found.plan) {
            continue;
        }
        seen.push(Deploying {
            project: found.name.clone(),
            environment: row.name.clone(),
            shown: show::with_release(tx, one)?,
        });
        if seen.len() == DEPLOYMENTS {
            break;
        }
    }
    Ok(seen)
}
