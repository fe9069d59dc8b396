//! Who asks, and whether they may: the one place where operations check permissions.

use madake_domain::key::PlanKey;
use madake_domain::permission::{Permission, Principal, Scope, Verdict, decide};
use madake_store::plan::Plan;
use madake_store::repository::Repository;
use madake_store::{Tx, permission};

use crate::EngineError;

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// The client's address as text; `local` for the local socket.
    pub address: String,
}

impl Caller {
    /// The person at the machine itself.
    #[must_use]
    pub fn local() -> Self {
        Self {
            principal: Principal::Local,
            address: "local".into(),
        }
    }

    /// The server's own doing.
    #[must_use]
    pub fn server() -> Self {
        Self {
            principal: Principal::Local,
            address: String::new(),
        }
    }

    /// The name for logs and entries.
    #[must_use]
    pub fn name(&self) -> &str {
        self.principal.name()
    }
}

/// What a permission is needed on.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// The server.
    Global,
    /// A project by key.
    Project(&'a str),
    /// A plan by the key of its master.
    Plan(&'a PlanKey),
    /// A repository.
    Repository(&'a Repository),
}

impl Target<'_> {
    fn describe(&self) -> String {
        match self {
            Self::Global => "the server".into(),
            Self::Project(key) => format!("project {key}"),
            Self::Plan(key) => format!("plan {key}"),
            Self::Repository(repository) => format!("repository {}", repository.name),
        }
    }
}

/// Whether the caller has the permission.
///
/// # Errors
/// When the store cannot be read.
pub fn may(
    tx: &Tx<'_>,
    caller: &Caller,
    needed: Permission,
    target: Target<'_>,
) -> Result<bool, EngineError> {
    Ok(verdict(tx, caller, needed, target)?.is_allowed())
}

/// Lets the caller through or says what lacks.
///
/// # Errors
/// [`EngineError::Unauthenticated`] or [`EngineError::Forbidden`].
pub fn require(
    tx: &Tx<'_>,
    caller: &Caller,
    needed: Permission,
    target: Target<'_>,
) -> Result<(), EngineError> {
    match verdict(tx, caller, needed, target)? {
        Verdict::Allowed => Ok(()),
        Verdict::Lacking {
            permission,
            limited_by_token,
        } => {
            let subject = target.describe();
            Err(if caller.principal.is_logged_in() {
                EngineError::Forbidden {
                    principal: caller.name().to_owned(),
                    needed: permission,
                    subject,
                    token: limited_by_token,
                }
            } else {
                EngineError::Unauthenticated {
                    needed: permission,
                    subject,
                }
            })
        }
    }
}

fn verdict(
    tx: &Tx<'_>,
    caller: &Caller,
    needed: Permission,
    target: Target<'_>,
) -> Result<Verdict, EngineError> {
    if caller.principal == Principal::Local {
        return Ok(Verdict::Allowed);
    }
    if let (Principal::Job(job), Target::Repository(repository)) = (&caller.principal, target)
        && Permission::Write.implies(needed)
        && job.repositories.contains(&repository.id)
    {
        return Ok(Verdict::Allowed);
    }
    let (scope, key, project) = match target {
        Target::Global => (Scope::Global, String::new(), None),
        Target::Project(key) => (Scope::Project, key.to_owned(), Some(key.to_owned())),
        Target::Plan(key) => (Scope::Plan, key.to_string(), Some(key.project().to_string())),
        Target::Repository(repository) => (
            Scope::Repository,
            repository.name.clone(),
            repository.project().map(str::to_owned),
        ),
    };
    let grants = permission::bearing_on(tx, scope, &key, project.as_deref())?;
    Ok(decide(&caller.principal, needed, project.as_deref(), &grants))
}

/// The plan with this key, of its own or by one of its branches, if the caller may do what needs `needed`.
///
/// A caller who is not logged in gets the same refusal for a plan that is hidden and for one that is not there,
/// so that keys cannot be guessed; one who is logged in is told which it is (bamboo-rest.md 1.4).
///
/// # Errors
/// [`EngineError::NotFound`], [`EngineError::Unauthenticated`] or [`EngineError::Forbidden`].
pub fn plan_for(
    tx: &Tx<'_>,
    caller: &Caller,
    key: &PlanKey,
    needed: Permission,
) -> Result<(Plan, madake_store::plan::PlanBranch), EngineError> {
    let Some(branch) = madake_store::plan::branch_by_key(tx, key)? else {
        require(
            tx,
            caller,
            Permission::Read,
            Target::Project(key.project().as_str()),
        )
        .or_else(|refusal| {
            if caller.principal.is_logged_in() {
                Ok(())
            } else {
                Err(hide(refusal, key))
            }
        })?;
        return Err(EngineError::NotFound(format!("Plan {key} not found.")));
    };
    let plan = madake_store::plan::by_id(tx, branch.plan_id)?;
    require(tx, caller, needed, Target::Plan(&plan.key)).map_err(|refusal| hide(refusal, key))?;
    Ok((plan, branch))
}

/// Words the refusal for an anonymous caller by what was asked for, whether it is there or not.
fn hide(refusal: EngineError, key: &PlanKey) -> EngineError {
    match refusal {
        EngineError::Unauthenticated { needed, .. } => EngineError::Unauthenticated {
            needed,
            subject: format!("plan {key}"),
        },
        other => other,
    }
}
