//! Variables that a job made for later stages and for the result (`inject-variables` with the scope RESULT,
//! bamboo-specs.md 4.4). They are part of what is stored of the job's end, so that a rerun forgets them with it; the
//! secret ones are sealed there.

use madake_domain::plan::Variable;
use madake_domain::variables::is_replaced;
use madake_protocol::JobVariable;
use madake_store::build::Build;
use madake_store::seal::Sealer;
use madake_store::{StoreError, Tx, build_query};
use serde::Deserialize;

use crate::{Engine, EngineError};

/// What stands in front of a value that is sealed.
const SEALED: &str = "sealed:";

/// The part of a job's stored end that is of interest here.
#[derive(Debug, Default, Deserialize)]
struct JobEnd {
    #[serde(default)]
    variables: Vec<JobVariable>,
}

impl JobEnd {
    /// That of a job that has ended and says so; nothing otherwise.
    fn read(outcome: Option<&str>) -> Self {
        // What an agent did not tell has no such part.
        outcome
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

/// A variable of a result, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownVariable {
    /// The name without the `bamboo.` in front.
    pub name: String,
    /// The value; empty for a secret one.
    pub value: String,
    /// Whether the value is not shown.
    pub secret: bool,
}

/// The variables that jobs of a build handed on, later ones over earlier ones, sorted by name.
///
/// # Errors
/// When the store cannot be read.
pub fn shown(tx: &Tx<'_>, build_id: i64) -> Result<Vec<ShownVariable>, StoreError> {
    let mut all: Vec<ShownVariable> = Vec::new();
    for Made { variable: one, .. } in made_before(tx, build_id, i64::MAX)? {
        all.retain(|known| known.name != one.name);
        all.push(ShownVariable {
            value: if one.secret { String::new() } else { one.value },
            name: one.name,
            secret: one.secret,
        });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// What the jobs of the stages before this one handed on, in the order of stages, but for what a person replaced when a
/// later stage was let run. Without a sealer the secret ones are left out.
pub(crate) fn in_force(
    tx: &Tx<'_>,
    sealer: Option<&Sealer>,
    build: &Build,
    stage: i64,
) -> Result<Vec<Variable>, EngineError> {
    let mut all = Vec::new();
    for made in made_before(tx, build.id, stage)? {
        let one = made.variable;
        if is_replaced(&one.name, made.stage, &build.variables) {
            continue;
        }
        let value = match (one.value.strip_prefix(SEALED), sealer) {
            _ if !one.secret => one.value,
            (_, None) => continue,
            (Some(sealed), Some(sealer)) => open(sealer, made.job_id, &one.name, sealed)?,
            (None, Some(_)) => one.value,
        };
        all.push(Variable {
            name: one.name,
            value,
        });
    }
    Ok(all)
}

/// A variable with where it was made.
struct Made {
    job_id: i64,
    stage: usize,
    variable: JobVariable,
}

/// What the jobs of the stages before this one handed on, in the order of stages.
fn made_before(tx: &Tx<'_>, build_id: i64, stage: i64) -> Result<Vec<Made>, StoreError> {
    let mut jobs = build_query::jobs(tx, build_id)?;
    jobs.retain(|job| job.stage < stage);
    jobs.sort_by_key(|job| (job.stage, job.id));
    let mut all = Vec::new();
    for job in jobs {
        let end = JobEnd::read(job.outcome.as_deref());
        all.extend(end.variables.into_iter().map(|variable| Made {
            job_id: job.id,
            stage: usize::try_from(job.stage).unwrap_or(0),
            variable,
        }));
    }
    Ok(all)
}

/// Seals the secret ones of a job.
pub(crate) fn seal(engine: &Engine, job_id: i64, variables: &mut [JobVariable]) {
    for one in variables.iter_mut().filter(|one| one.secret) {
        one.value = match engine
            .sealer()
            .seal(&place(job_id, &one.name), one.value.as_bytes())
        {
            Ok(sealed) => format!("{SEALED}{}", hex::encode(sealed)),
            Err(error) => {
                tracing::error!(job.id = job_id, "the variable {} is lost: {error}", one.name);
                String::new()
            }
        };
    }
}

fn open(sealer: &Sealer, job_id: i64, name: &str, sealed: &str) -> Result<String, EngineError> {
    let damaged = |_| EngineError::Internal(format!("the variable {name} of the job {job_id} is damaged"));
    let bytes = hex::decode(sealed).map_err(damaged)?;
    let value = sealer.open_sealed(&place(job_id, name), &bytes)?;
    Ok(String::from_utf8_lossy(&value).into_owned())
}

fn place(job_id: i64, name: &str) -> String {
    format!("job.variables:{job_id}:{name}")
}
