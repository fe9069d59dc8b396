//! Shared credentials: what the server keeps under a name for plans to log in elsewhere, and which plans may use it.
//!
//! Nobody may use one until it is granted. What plans use is asked of the repository that their file is in, as all that a
//! plan file may do is: whoever pushes there writes the file.

use std::fmt;
use std::str::FromStr;

use crate::plan::{
    DeploymentConfiguration, DockerTaskAction, PlanConfiguration, RegistryLogin, RemoteAuthentication,
    RepositoryAuthentication, RepositoryDefinition, Task, TaskAction,
};

/// What a credential is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// A user name and a password or token.
    Password,
    /// A private SSH key, perhaps with a passphrase, and the user name that goes with it.
    SshKey,
}

impl CredentialKind {
    /// The word used in the store, in answers and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::SshKey => "ssh-key",
        }
    }

    /// What it is, in a sentence.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Password => "user name and password",
            Self::SshKey => "SSH key",
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind of credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialKindError {
    /// Bamboo has this kind, and this server does not.
    #[error(
        "credentials of the kind AWS are not supported: keep the access key as secret variables, which scripts get in \
         their environment"
    )]
    Aws,
    /// Nobody has it.
    #[error("`{0}` is not a kind of credential; there are `password` and `ssh-key`")]
    Unknown(String),
}

impl FromStr for CredentialKind {
    type Err = CredentialKindError;

    /// Reads our words and those of Bamboo, in any case, with `-`, `_`, a space or nothing between them.
    fn from_str(text: &str) -> Result<Self, CredentialKindError> {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        let folded = letters.collect::<String>().to_lowercase();
        match folded.as_str() {
            "password" | "usernamepassword" | "usernameandpassword" | "usernamewithpassword" => {
                Ok(Self::Password)
            }
            "sshkey" | "ssh" | "key" | "privatekey" => Ok(Self::SshKey),
            "aws" | "awscredentials" | "amazonwebservices" => Err(CredentialKindError::Aws),
            _ => Err(CredentialKindError::Unknown(crate::text::inert(text, 60))),
        }
    }
}

/// Whom the use of a credential is granted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialGrantee {
    /// The plan files of a repository, by its number: they may name it.
    Repository(i64),
    /// All plans of a project, by its key.
    Project(String),
    /// A user, by name: sees it, and may grant its use to what the user administrates.
    User(String),
    /// A group, by name: the same for everyone in it.
    Group(String),
}

/// Whether a plan of this project, whose file is in this repository, may use a credential to which these are the grants.
/// A credential of a project (`belongs_to`) is used by plans of that project alone, whatever was granted.
#[must_use]
pub fn plan_may_use(
    grants: &[CredentialGrantee],
    belongs_to: Option<&str>,
    project: &str,
    repository: Option<i64>,
) -> bool {
    if belongs_to.is_some_and(|owner| !owner.eq_ignore_ascii_case(project)) {
        return false;
    }
    grants.iter().any(|grant| match grant {
        CredentialGrantee::Repository(id) => Some(*id) == repository,
        CredentialGrantee::Project(key) => key.eq_ignore_ascii_case(project),
        CredentialGrantee::User(_) | CredentialGrantee::Group(_) => false,
    })
}

/// Whether a user holds the use of a credential.
#[must_use]
pub fn person_may_use(grants: &[CredentialGrantee], user: &str, groups: &[String]) -> bool {
    grants.iter().any(|grant| match grant {
        CredentialGrantee::User(name) => name.eq_ignore_ascii_case(user),
        CredentialGrantee::Group(name) => groups.iter().any(|one| one.eq_ignore_ascii_case(name)),
        CredentialGrantee::Repository(_) | CredentialGrantee::Project(_) => false,
    })
}

/// The name of the credential that a task logs in with.
#[must_use]
pub fn named_by(task: &Task) -> Option<&str> {
    match &task.action {
        TaskAction::Ssh(ssh) => shared(&ssh.login.authentication),
        TaskAction::Scp(scp) => shared(&scp.login.authentication),
        TaskAction::Docker(docker) => match &docker.action {
            DockerTaskAction::Push(push) => registry(&push.login),
            DockerTaskAction::Pull(pull) => registry(&pull.login),
            DockerTaskAction::Build(_) | DockerTaskAction::Run(_) => None,
        },
        _ => None,
    }
}

fn shared(login: &RemoteAuthentication) -> Option<&str> {
    match login {
        RemoteAuthentication::Shared { name } => Some(name),
        _ => None,
    }
}

fn registry(login: &RegistryLogin) -> Option<&str> {
    match login {
        RegistryLogin::Shared { id } => Some(id),
        _ => None,
    }
}

/// The names of the credentials that a plan names, in its jobs, in overrides of branches and in repositories that it
/// describes; each once, in the order of the file.
#[must_use]
pub fn named_by_plan(configuration: &PlanConfiguration) -> Vec<&str> {
    let overridden = configuration.branch_overrides.iter().flat_map(|one| &one.jobs);
    let jobs = configuration.jobs.iter().chain(overridden);
    let tasks = jobs.flat_map(|job| job.tasks.iter().chain(&job.final_tasks));
    let described = configuration.repositories.iter().flatten().filter_map(|one| {
        let definition = one.definition.as_ref()?;
        match authentication(definition)? {
            RepositoryAuthentication::Shared(shared) => Some(shared.name.as_str()),
            _ => None,
        }
    });
    once(described.chain(tasks.filter_map(named_by)))
}

/// The names of the credentials that tasks name, each once, in their order.
#[must_use]
pub fn named_by_tasks<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Vec<&'a str> {
    once(tasks.into_iter().filter_map(named_by))
}

/// The names of the credentials that the environments of a deployment project name.
#[must_use]
pub fn named_by_deployment(configuration: &DeploymentConfiguration) -> Vec<&str> {
    let environments = configuration.environments.iter();
    named_by_tasks(environments.flat_map(|one| one.tasks.iter().chain(&one.final_tasks)))
}

fn once<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in all {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    names
}

fn authentication(definition: &RepositoryDefinition) -> Option<&RepositoryAuthentication> {
    match definition {
        RepositoryDefinition::Git { authentication, .. }
        | RepositoryDefinition::BitbucketCloud { authentication, .. }
        | RepositoryDefinition::GitHub { authentication, .. } => Some(authentication),
        RepositoryDefinition::BitbucketServer { .. } | RepositoryDefinition::App { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_uses_what_is_not_granted() {
        use CredentialGrantee::{Group, Project, Repository, User};
        let app = Some(7);
        for (grants, belongs_to, project, repository, expected) in [
            (vec![], None, "PROJ", app, false),
            (vec![], Some("PROJ"), "PROJ", app, false),
            (vec![Repository(7)], None, "PROJ", app, true),
            (vec![Repository(7)], None, "PROJ", None, false),
            (vec![Repository(8)], None, "PROJ", app, false),
            (vec![Project("proj".into())], None, "PROJ", None, true),
            (vec![Project("OTHER".into())], None, "PROJ", app, false),
            (vec![Repository(7)], Some("proj"), "PROJ", app, true),
            // What belongs to a project stays in it.
            (vec![Repository(7)], Some("OTHER"), "PROJ", app, false),
            (vec![Project("PROJ".into())], Some("OTHER"), "PROJ", app, false),
            // Whoever pushes writes the file, so what people hold does not count for it.
            (
                vec![User("joe".into()), Group("all".into())],
                None,
                "PROJ",
                app,
                false,
            ),
        ] {
            let may = plan_may_use(&grants, belongs_to, project, repository);
            assert_eq!(
                may, expected,
                "{grants:?} {belongs_to:?} {project} {repository:?}"
            );
        }
    }

    #[test]
    fn people_hold_what_is_granted_to_them_or_their_groups() {
        let groups = ["devs".to_owned()];
        for (grant, expected) in [
            (CredentialGrantee::User("Joe".into()), true),
            (CredentialGrantee::User("ann".into()), false),
            (CredentialGrantee::Group("Devs".into()), true),
            (CredentialGrantee::Group("joe".into()), false),
            (CredentialGrantee::Project("joe".into()), false),
            (CredentialGrantee::Repository(1), false),
        ] {
            assert_eq!(
                person_may_use(std::slice::from_ref(&grant), "joe", &groups),
                expected,
                "{grant:?}"
            );
        }
    }

    #[test]
    fn kinds_have_the_names_of_both_servers_and_aws_is_told_apart() {
        for (text, kind) in [
            ("password", CredentialKind::Password),
            ("Username and password", CredentialKind::Password),
            ("ssh-key", CredentialKind::SshKey),
            ("SSH key", CredentialKind::SshKey),
        ] {
            assert_eq!(text.parse(), Ok(kind), "{text}");
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("AWS".parse::<CredentialKind>(), Err(CredentialKindError::Aws));
        assert!(matches!(
            "gpg".parse::<CredentialKind>(),
            Err(CredentialKindError::Unknown(_))
        ));
    }
}
