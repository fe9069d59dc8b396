//! Looks at what a plan file wants to change: whose plans they are, and whether its repository may. Nothing is written.

use std::collections::BTreeSet;

use madake_domain::credential::{named_by_deployment, named_by_plan};
use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::plan::{PlanConfiguration, RepositorySource, TaskAction};
use madake_specs::{Diagnostic, DocumentPosition, Mention, MentionKind, Position, Reading, Severity};
use madake_store::repository::{self, Repository};
use madake_store::variable::{self, VariableScope};
use madake_store::{Tx, credential, plan};

use super::left_out::left_out;
use super::{people, rights};
use crate::EngineError;
use crate::credentials::{may_use, not_granted, shell_word, unknown};
use crate::dependencies::loop_of;
use crate::deploying;

/// What came of looking at a plan file.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    /// What stands in the way, or is worth knowing, with its place.
    pub(crate) findings: Vec<Diagnostic>,
    /// Plans that are not put in force.
    pub(crate) refused: BTreeSet<PlanKey>,
    /// Plans of others that the file describes.
    pub(crate) claimed: Vec<i64>,
    /// Deployment projects that are not put in force.
    pub(crate) deployments_refused: BTreeSet<String>,
    /// Plans whose permissions are not set.
    pub(crate) permissions_refused: BTreeSet<PlanKey>,
    /// Deployment projects whose permissions are not set.
    pub(crate) deployment_permissions_refused: BTreeSet<String>,
}

/// Looks at the plans and permissions of a reading.
pub(crate) fn examine(tx: &Tx<'_>, found: &Repository, reading: &Reading) -> Result<Examined, EngineError> {
    let mut examined = Examined::default();
    let described: Vec<&PlanConfiguration> = reading.plans.iter().map(|one| &one.configuration).collect();
    for document in &reading.plans {
        let configuration = &document.configuration;
        let mut places = Places::of(reading, &document.position, "plan", configuration.key.as_str());
        let claimed = owner(tx, found, configuration, &mut places)?;
        examined.claimed.extend(claimed);
        if claimed.is_none() {
            repositories(tx, found, configuration, &mut places)?;
            secrets(tx, configuration, &mut places)?;
            children(tx, found, configuration, &described, &mut places)?;
            let project = configuration.key.project();
            credentials(tx, found, &project, &named_by_plan(configuration), &mut places)?;
        }
        if places.findings.iter().any(|one| one.severity == Severity::Error) {
            examined.refused.insert(configuration.key.clone());
        }
        examined.findings.append(&mut places.findings);
    }
    for document in &reading.deployments {
        let configuration = &document.configuration;
        let mut places = Places::of(
            reading,
            &document.position,
            "deployment project",
            &configuration.name,
        );
        let project = configuration.source_plan.project();
        let names = named_by_deployment(configuration);
        credentials(tx, found, &project, &names, &mut places)?;
        let is_made = |key: &PlanKey| {
            let made_here = described.iter().any(|one| one.key == *key);
            made_here && !examined.refused.contains(key)
        };
        if let Some(sentence) = deploying::refusal(tx, found, configuration, &is_made)? {
            places.refuse(&MentionKind::Plan, "deployment-refused", sentence);
        }
        if places.findings.iter().any(|one| one.severity == Severity::Error) {
            examined.deployments_refused.insert(configuration.name.clone());
        }
        examined.findings.append(&mut places.findings);
    }
    for permissions in &reading.permissions {
        let key = &permissions.plan;
        let refusal = match plan::by_key(tx, key)? {
            Some(existing) => {
                let owner = existing.specs_repository_id;
                (!rights::may_set_permissions(tx, found, key, owner)?).then(|| {
                    format!(
                        "the repository {} may not set permissions of {key}: an administrator allows it with `madake \
                         permission grant plan {key} ADMINISTRATION --repository {}`",
                        found.name, found.name
                    )
                })
            }
            None => {
                let made_here = reading.plans.iter().any(|one| one.configuration.key == *key);
                let made = made_here && !examined.refused.contains(key);
                (!made).then(|| format!("permissions of {key}: there is no such plan"))
            }
        };
        if let Some(sentence) = refusal {
            let place = reading.mentions.iter().find(|one| {
                one.kind == MentionKind::Permissions
                    && (one.is_about("permissions of plan", key.as_str())
                        || one.is_about("plan", key.as_str()))
            });
            let subject = Some(format!("permissions of plan {key}"));
            let place = place.cloned().unwrap_or_else(|| {
                Mention::beginning(MentionKind::Permissions, subject, reading.file().to_owned())
            });
            examined
                .findings
                .push(place.finding(Severity::Error, "permissions-refused", sentence));
            examined.permissions_refused.insert(key.clone());
        }
    }
    for permissions in &reading.deployment_permissions {
        let name = &permissions.deployment;
        let is_made = reading
            .deployments
            .iter()
            .map(|one| &one.configuration.name)
            .any(|made| {
                made.to_lowercase() == name.to_lowercase() && !examined.deployments_refused.contains(made)
            });
        if let Some(sentence) = deploying::permissions_refusal(tx, found, name, is_made)? {
            examined
                .findings
                .push(deployment_permissions_finding(reading, name, sentence));
            examined.deployment_permissions_refused.insert(name.clone());
        }
    }
    let unknown = people::unknown(tx, found, reading, &examined)?;
    examined.findings.extend(unknown);
    examined.findings.extend(left_out(tx, found, Some(reading))?);
    Ok(examined)
}

/// What findings call the document of a deployment project's permissions.
pub(super) const DEPLOYMENT_PERMISSIONS: &str = "permissions of deployment project";

/// What stands in the way of the permissions of a deployment project, with its place.
pub(crate) fn deployment_permissions_finding(reading: &Reading, name: &str, sentence: String) -> Diagnostic {
    let kind = MentionKind::Permissions;
    let mut mentions = reading.mentions.iter();
    let place = mentions.find(|one| one.kind == kind && one.is_about(DEPLOYMENT_PERMISSIONS, name));
    let subject = Some(format!("{DEPLOYMENT_PERMISSIONS} {name}"));
    let place = place
        .cloned()
        .unwrap_or_else(|| Mention::beginning(kind, subject, reading.file().to_owned()));
    place.finding(Severity::Error, "permissions-refused", sentence)
}

/// Where the things stand that a plan document names.
struct Places<'a> {
    mentions: Vec<&'a Mention>,
    beginning: Mention,
    findings: Vec<Diagnostic>,
}

impl<'a> Places<'a> {
    fn of(reading: &'a Reading, position: &DocumentPosition, kind: &str, name: &str) -> Self {
        let mentions = reading.mentions.iter();
        Self {
            mentions: mentions.filter(|one| one.is_about(kind, name)).collect(),
            beginning: beginning(position, &format!("{kind} {name}")),
            findings: Vec::new(),
        }
    }

    fn add(&mut self, kind: &MentionKind, severity: Severity, code: &str, message: String) {
        let place = self.mentions.iter().find(|one| one.kind == *kind);
        let place = place.map_or(&self.beginning, |place| *place);
        self.findings.push(place.finding(severity, code, message));
    }

    fn refuse(&mut self, kind: &MentionKind, code: &str, message: String) {
        self.add(kind, Severity::Error, code, message);
    }
}

fn beginning(position: &DocumentPosition, subject: &str) -> Mention {
    Mention {
        kind: MentionKind::Plan,
        subject: Some(subject.to_owned()),
        file: position.file.clone(),
        line: position.line,
        column: 1,
        end: Position {
            line: position.line,
            column: 1,
        },
    }
}

/// Whether the plan is this repository's, or may become so. Gives the id of a plan that is another's.
fn owner(
    tx: &Tx<'_>,
    found: &Repository,
    configuration: &PlanConfiguration,
    places: &mut Places<'_>,
) -> Result<Option<i64>, EngineError> {
    let key = &configuration.key;
    if let Some(existing) = plan::by_key(tx, key)? {
        if existing.specs_repository_id == Some(found.id) {
            return Ok(None);
        }
        let owner = match existing.specs_repository_id {
            Some(owner) => {
                repository::by_id(tx, owner)?.map_or_else(|| "another repository".into(), |one| one.name)
            }
            None => "this server's administrators".to_owned(),
        };
        places.refuse(
            &MentionKind::Plan,
            "plan-of-another",
            format!(
                "plan {key} belongs to {owner}: nothing is changed; give the plan another key, or ask an administrator \
                 to run `madake plan owner {key} {}`",
                found.name
            ),
        );
        return Ok(Some(existing.id));
    }
    if !rights::may_create_plans(tx, found, &configuration.project_key)? {
        let project = &configuration.project_key;
        places.refuse(
            &MentionKind::Project,
            "project-refused",
            format!(
                "plan {key} is not made: the repository {} may not make plans in the project {project}, which others \
                 use; move it to {project}/{}, use a project of its own, or ask an administrator to run `madake \
                 permission grant project {project} CREATE --repository {}`",
                found.name, found.slug, found.name
            ),
        );
    }
    if plan::branch_by_key(tx, key)?.is_some() {
        places.refuse(
            &MentionKind::Plan,
            "key-of-branch",
            format!("plan {key} is not made: the key is that of a plan branch"),
        );
    }
    Ok(None)
}

/// The repositories that the plan lists and those that its tasks check out.
fn repositories(
    tx: &Tx<'_>,
    found: &Repository,
    configuration: &PlanConfiguration,
    places: &mut Places<'_>,
) -> Result<(), EngineError> {
    let mut seen = BTreeSet::new();
    let listed = configuration.repositories.iter().flatten();
    for one in listed {
        let other = match &one.source {
            RepositorySource::Named => repository::by_name(tx, &one.name)?,
            RepositorySource::Url(url) => repository::by_url(tx, url)?,
        };
        seen.insert(one.name.to_lowercase());
        use_of(tx, found, &one.name, other.as_ref(), places)?;
    }
    for name in checked_out(configuration) {
        if seen.insert(name.to_lowercase()) {
            let other = repository::by_name(tx, name)?;
            use_of(tx, found, name, other.as_ref(), places)?;
        }
    }
    Ok(())
}

/// The repositories that checkout tasks name, also those of branch overrides.
fn checked_out(configuration: &PlanConfiguration) -> impl Iterator<Item = &str> {
    let overridden = configuration.branch_overrides.iter().flat_map(|one| &one.jobs);
    let jobs = configuration.jobs.iter().chain(overridden);
    let tasks = jobs.flat_map(|job| job.tasks.iter().chain(&job.final_tasks));
    tasks.filter_map(|task| match &task.action {
        TaskAction::Checkout(checkout) => checkout.repository.as_deref(),
        _ => None,
    })
}

fn use_of(
    tx: &Tx<'_>,
    found: &Repository,
    name: &str,
    other: Option<&Repository>,
    places: &mut Places<'_>,
) -> Result<(), EngineError> {
    let kind = MentionKind::Repository(name.to_owned());
    let Some(other) = other else {
        let message = format!(
            "this server knows no repository `{name}`: builds cannot check it out until it is linked"
        );
        places.add(&kind, Severity::Warning, "unknown-repository", message);
        return Ok(());
    };
    if !rights::may_use_repository(tx, found, other)? {
        places.refuse(
            &kind,
            "repository-refused",
            format!(
                "plans of {} may not use the repository {}: an administrator allows it with `madake permission grant \
                 repository {} READ --repository {}`",
                found.name,
                other.name,
                shell_word(&other.name),
                found.name
            ),
        );
    }
    Ok(())
}

/// How the value of a secret is entered.
pub(crate) fn command_to_enter(plan: &PlanKey, name: &str) -> String {
    format!(
        "madake variable set {} --plan {plan} --secret --value-stdin",
        shell_word(name)
    )
}

/// What is said of a secret that another server encrypted, until its value is entered.
pub(crate) fn secret_to_enter(plan: &PlanKey, name: &str) -> String {
    format!(
        "the value of `{name}` was encrypted by another server and cannot be read here: enter it once with `{}`; until then \
         builds do not have it",
        command_to_enter(plan, name)
    )
}

/// Secrets that another server encrypted, and whose values nobody has entered here.
fn secrets(
    tx: &Tx<'_>,
    configuration: &PlanConfiguration,
    places: &mut Places<'_>,
) -> Result<(), EngineError> {
    let scope = VariableScope::Plan(configuration.key.to_string());
    let overridden = configuration
        .branch_overrides
        .iter()
        .flat_map(|one| one.variables.iter().flatten());
    let mut told = BTreeSet::new();
    for one in configuration.variables.iter().chain(overridden) {
        if one.is_foreign_secret()
            && told.insert(&one.name)
            && variable::by_name(tx, &scope, &one.name)?.is_none()
        {
            let message = secret_to_enter(&configuration.key, &one.name);
            let kind = MentionKind::Variable(one.name.clone());
            places.add(&kind, Severity::Warning, "secret-to-enter", message);
        }
    }
    Ok(())
}

/// The plans that are to be started.
fn children(
    tx: &Tx<'_>,
    found: &Repository,
    configuration: &PlanConfiguration,
    described: &[&PlanConfiguration],
    places: &mut Places<'_>,
) -> Result<(), EngineError> {
    for key in &configuration.dependencies.plans {
        let kind = MentionKind::Child(key.to_string());
        if let Some(way) = loop_of(tx, &configuration.key, key, described)? {
            let way: Vec<String> = way.iter().map(ToString::to_string).collect();
            let message = format!(
                "{} would start itself: it starts {}",
                configuration.key,
                way.join(", which starts ")
            );
            places.refuse(&kind, "dependency-loop", message);
            continue;
        }
        match plan::by_key(tx, key)? {
            Some(child) if !rights::may_start(tx, found, &child)? => places.refuse(
                &kind,
                "child-refused",
                format!(
                    "plans of {} may not start {key}: an administrator allows it with `madake permission grant plan {key} \
                     BUILD --repository {}`",
                    found.name, found.name
                ),
            ),
            None if described.iter().all(|one| one.key != *key) => {
                let message = format!("there is no plan {key} yet: nothing is started");
                places.add(&kind, Severity::Warning, "unknown-plan", message);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Credentials of the server that are named: whether they are there, and may be used.
fn credentials(
    tx: &Tx<'_>,
    found: &Repository,
    project: &ProjectKey,
    names: &[&str],
    places: &mut Places<'_>,
) -> Result<(), EngineError> {
    for name in names {
        let kind = MentionKind::Credential((*name).to_owned());
        match credential::meant(tx, project.as_str(), name)? {
            None => {
                let message = format!("{}; until then what logs in with it fails", unknown(name));
                places.add(&kind, Severity::Warning, "unknown-credential", message);
            }
            Some(one) if !may_use(tx, &one, project, Some(found.id))? => {
                let message = not_granted(&one, project, Some(found));
                places.refuse(&kind, "credential-refused", message);
            }
            Some(_) => {}
        }
    }
    Ok(())
}
