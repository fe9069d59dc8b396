//! Takes secrets out of a plan before it is shown.

use madake_domain::plan::{
    DockerTaskAction, Job, PlanConfiguration, PlanRepository, RegistryLogin, RemoteAuthentication,
    RepositoryAuthentication, RepositoryDefinition, SecretText, Task, TaskAction, Variable,
};
use madake_domain::variables::looks_secret;

/// What stands in the place of a secret.
pub(super) const COVER: &str = "********";

/// The plan with its secrets covered, and whether there were any.
pub(super) fn covered(plan: &PlanConfiguration) -> (PlanConfiguration, bool) {
    let mut plan = plan.clone();
    let mut cover = Cover { found: false };
    cover.variables(&mut plan.variables);
    plan.jobs.iter_mut().for_each(|job| cover.job(job));
    for one in &mut plan.branch_overrides {
        one.jobs.iter_mut().for_each(|job| cover.job(job));
        if let Some(variables) = &mut one.variables {
            cover.variables(variables);
        }
    }
    plan.repositories
        .iter_mut()
        .flatten()
        .for_each(|repository| cover.repository(repository));
    (plan, cover.found)
}

struct Cover {
    found: bool,
}

impl Cover {
    /// Covers a secret. One that is only a variable, or that another server encrypted, says nothing to a reader.
    fn text(&mut self, text: &mut String) {
        let is_variable = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
        if !text.is_empty() && !is_variable && !SecretText::new(text.as_str()).is_foreign() {
            COVER.clone_into(text);
            self.found = true;
        }
    }

    fn secret(&mut self, secret: &mut SecretText) {
        let mut text = secret.reveal().to_owned();
        self.text(&mut text);
        *secret = SecretText::new(text);
    }

    fn variables(&mut self, variables: &mut [Variable]) {
        for variable in variables {
            if looks_secret(&variable.name) {
                self.text(&mut variable.value);
            }
        }
    }

    fn job(&mut self, job: &mut Job) {
        for task in job.tasks.iter_mut().chain(&mut job.final_tasks) {
            self.task(task);
        }
    }

    fn task(&mut self, task: &mut Task) {
        match &mut task.action {
            TaskAction::Ssh(task) => self.login(&mut task.login.authentication),
            TaskAction::Scp(task) => self.login(&mut task.login.authentication),
            TaskAction::Docker(task) => {
                let login = match &mut task.action {
                    DockerTaskAction::Push(push) => &mut push.login,
                    DockerTaskAction::Pull(pull) => &mut pull.login,
                    DockerTaskAction::Build(_) | DockerTaskAction::Run(_) => return,
                };
                if let RegistryLogin::Password { password, .. } = login {
                    self.secret(password);
                }
            }
            TaskAction::Plugin(plugin) => {
                for (name, value) in &mut plugin.configuration {
                    if looks_secret(name) {
                        self.text(value);
                    }
                }
            }
            _ => {}
        }
    }

    fn login(&mut self, authentication: &mut RemoteAuthentication) {
        match authentication {
            RemoteAuthentication::Password { password } => self.secret(password),
            RemoteAuthentication::Key { key, passphrase } => {
                self.secret(key);
                passphrase.iter_mut().for_each(|one| self.secret(one));
            }
            RemoteAuthentication::Agent | RemoteAuthentication::Shared { .. } => {}
        }
    }

    fn repository(&mut self, repository: &mut PlanRepository) {
        match &mut repository.definition {
            Some(
                RepositoryDefinition::Git { authentication, .. }
                | RepositoryDefinition::GitHub { authentication, .. }
                | RepositoryDefinition::BitbucketCloud { authentication, .. },
            ) => match authentication {
                RepositoryAuthentication::Password { password, .. } => self.secret(password),
                RepositoryAuthentication::Key { key, passphrase } => {
                    self.secret(key);
                    passphrase.iter_mut().for_each(|one| self.secret(one));
                }
                RepositoryAuthentication::GitHubApp { key, .. } => self.secret(key),
                RepositoryAuthentication::None | RepositoryAuthentication::Shared(_) => {}
            },
            Some(RepositoryDefinition::BitbucketServer { private_key, .. }) => {
                private_key.iter_mut().for_each(|one| self.secret(one));
            }
            Some(RepositoryDefinition::App { settings, .. }) => {
                for (name, value) in settings {
                    if looks_secret(name) {
                        self.text(value);
                    }
                }
            }
            None => {}
        }
    }
}
