//! Shows what describes a plan, what was found wrong with it, and who else claims it; and lets administrators decide whose
//! it is.

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_specs::Diagnostic;
use madake_store::plan::{self, Plan, PlanBranch};
use madake_store::plan_file::{self, Claim, Finding};
use madake_store::repository;
use madake_store::variable::{self, VariableScope};
use madake_store::{StoreError, Tx};
use madake_vcs::name::ObjectId;

use crate::access::{Caller, Target, may, plan_for, require};
use crate::specs::examine::secret_to_enter;
use crate::{Engine, EngineError, clock, specs};

/// A plan, or plan branch, and its plan file.
#[derive(Debug, Clone)]
pub struct ShownPlan {
    /// The plan.
    pub plan: Plan,
    /// The branch that was asked for.
    pub branch: PlanBranch,
    /// The name of the repository whose plan file describes it.
    pub owner: Option<String>,
    /// Where the version in force was read.
    pub version: String,
    /// Since when there is that version.
    pub version_ms: i64,
    /// What was found in the plan file that counts for it.
    pub findings: Vec<FoundInFile>,
    /// Repositories whose plan files describe it, too.
    pub claims: Vec<ShownClaim>,
}

/// A finding and where it was read.
#[derive(Debug, Clone)]
pub struct FoundInFile {
    /// The name of the repository.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The commit.
    pub revision: String,
    /// What was found.
    pub finding: Diagnostic,
    /// When, in milliseconds since 1970.
    pub found_ms: i64,
}

/// A repository that claims a plan of another.
#[derive(Debug, Clone)]
pub struct ShownClaim {
    /// The name of the repository.
    pub repository: String,
    /// The claim.
    pub claim: Claim,
}

impl Engine {
    /// What describes a plan or a plan branch, and what was found wrong with it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] or a refusal unless the caller may read the plan.
    pub async fn show_plan(&self, caller: &Caller, key: &PlanKey) -> Result<ShownPlan, EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .read(move |tx| {
                let (plan, branch) = plan_for(tx, &caller, &key, Permission::Read)?;
                // Findings quote the plan file, which is the configuration.
                let quotes = may(
                    tx,
                    &caller,
                    Permission::ViewConfiguration,
                    Target::Plan(&plan.key),
                )?;
                let mut shown = show(tx, plan, branch)?;
                if !quotes {
                    shown.findings.clear();
                }
                Ok(shown)
            })
            .await
    }

    /// Gives a plan to a repository, whose plan file describes it from now on; to its present owner: settles that the
    /// others' claims do not count. The new owner's plan file is put in force at once.
    ///
    /// # Errors
    /// When the caller does not administrate the server, or plan or repository are not there.
    pub async fn set_plan_owner(
        &self,
        caller: &Caller,
        key: &PlanKey,
        repository_name: &str,
    ) -> Result<ShownPlan, EngineError> {
        let (asking, wanted, name) = (caller.clone(), key.clone(), repository_name.to_owned());
        let owner = self
            .store()
            .read(move |tx| {
                require(tx, &asking, Permission::Administration, Target::Global)?;
                plan::by_key(tx, &wanted)?
                    .ok_or_else(|| EngineError::NotFound(format!("Plan {wanted} not found.")))?;
                repository::by_name(tx, &name)?
                    .ok_or_else(|| EngineError::NotFound(format!("a repository named {name} does not exist")))
            })
            .await?;
        let head = self.local_head(&owner, &owner.default_branch).await?;
        let head = head.and_then(|id| ObjectId::parse(&id).ok());
        let reading = match &head {
            Some(head) => specs::read_commit(self, &owner, head).await?,
            None => None,
        };
        let by = caller.name().to_owned();
        let (wanted, decided_for) = (key.clone(), owner.name.clone());
        self.store()
            .write(move |tx| {
                let now = clock::now_ms();
                let plan = plan::by_key(tx, &wanted)?
                    .ok_or_else(|| EngineError::NotFound(format!("Plan {wanted} not found.")))?;
                if let Some(former) = plan.specs_repository_id.filter(|former| *former != owner.id)
                    && repository::by_id(tx, former)?.is_some()
                {
                    plan_file::claim(tx, plan.id, former, "", None, now)?;
                }
                plan::set_owner(tx, plan.id, owner.id)?;
                plan_file::drop_claim(tx, plan.id, owner.id)?;
                plan_file::settle_claims(tx, plan.id, now)?;
                if let (Some(reading), Some(head)) = (&reading, &head)
                    && owner.specs_enabled
                {
                    specs::apply::put_in_force(tx, &owner, &head.to_string(), reading, None, now)?;
                }
                Ok::<_, EngineError>(())
            })
            .await?;
        tracing::info!(plan.key = %key, principal = %by, "{by} gave the plan {key} to {decided_for}");
        self.show_plan(caller, key).await
    }
}

fn show(tx: &Tx<'_>, plan: Plan, branch: PlanBranch) -> Result<ShownPlan, EngineError> {
    let owner = match plan.specs_repository_id {
        Some(id) => repository::by_id(tx, id)?,
        None => None,
    };
    let (version, version_ms) = plan::version_source(tx, branch.version_id.unwrap_or(plan.version_id))?;
    let mut rows = plan_file::findings_about(tx, plan.key.as_str())?;
    if let Some(owner) = &owner {
        // What is wrong with a whole file is wrong with each plan of it.
        let of_file = plan_file::findings_of_branch(tx, owner.id, &owner.default_branch)?;
        rows.extend(of_file.into_iter().filter(|one| one.plan_key.is_none()));
        // Of a plan branch, the plan file of its own branch counts.
        let counts = match &branch.vcs_branch {
            Some(name) if !branch.is_master => name,
            _ => &owner.default_branch,
        };
        if *counts != owner.default_branch {
            let own = plan_file::findings_of_branch(tx, owner.id, counts)?;
            rows.extend(own.into_iter().filter(|one| one.plan_key.is_none()));
        }
        rows.retain(|one| {
            one.repository_id != owner.id || one.branch == *counts || one.branch == owner.default_branch
        });
    }
    let mut findings = rows
        .into_iter()
        .map(|one| shown(tx, one))
        .collect::<Result<Vec<_>, EngineError>>()?;
    // Of files that do not count, only that they claim the plan: the rest is nobody's business here.
    let owner_name = owner.as_ref().map(|one| one.name.as_str());
    findings.retain(|one| {
        owner_name == Some(one.repository.as_str()) || one.finding.code == "specs::plan-of-another"
    });
    // A value that was entered since is missing no more.
    let entered = variable::all(tx, &VariableScope::Plan(plan.key.to_string()))?;
    let entered: Vec<String> = entered
        .iter()
        .map(|one| secret_to_enter(&plan.key, &one.name))
        .collect();
    findings.retain(|one| {
        one.finding.code != "specs::secret-to-enter" || !entered.contains(&one.finding.message)
    });
    let mut claims = Vec::new();
    for claim in plan_file::claims(tx, plan.id)? {
        let found = repository::by_id(tx, claim.repository_id)?;
        claims.push(ShownClaim {
            repository: found.map_or_else(|| "a repository that is gone".to_owned(), |one| one.name),
            claim,
        });
    }
    Ok(ShownPlan {
        plan,
        branch,
        owner: owner.map(|one| one.name),
        version,
        version_ms,
        findings,
        claims,
    })
}

fn shown(tx: &Tx<'_>, row: Finding) -> Result<FoundInFile, EngineError> {
    let repository = repository::by_id(tx, row.repository_id)?.map_or_else(String::new, |one| one.name);
    Ok(FoundInFile {
        repository,
        branch: row.branch,
        revision: row.revision,
        finding: serde_json::from_str(&row.finding).map_err(StoreError::from)?,
        found_ms: row.found_ms,
    })
}
