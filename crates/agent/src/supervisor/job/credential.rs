//! What tasks log in with: secrets that they have themselves, and shared credentials that they name.

use madake_domain::plan::SecretText;
use madake_domain::text::inert;
use madake_protocol::{CredentialContent, Secret};

use super::Job;

impl Job<'_> {
    /// What the job got of the credential with this name; the log does not show it from now on.
    pub(super) fn credential(&self, name: &str) -> Result<CredentialContent, String> {
        let mut all = self.order.credentials.iter();
        let found = all.find(|one| one.name.eq_ignore_ascii_case(name));
        let Some(found) = found else {
            return Err(format!(
                "the credential `{}` did not come with the job: it is named by what the job made of its variables, or \
                 another version of madake gave the order",
                inert(name, 100)
            ));
        };
        let secrets: Vec<&str> = found.content.secrets().map(Secret::reveal).collect();
        self.log.add_secrets(&secrets);
        Ok(found.content.clone())
    }

    /// The secret with its variables replaced; the log does not show it from now on. Where there is no such variable its
    /// name would be sent in its place, to somebody who may keep it.
    pub(super) fn secret(&self, what: &str, text: &SecretText) -> Result<Secret, String> {
        if text.is_foreign() {
            return Err(self.enter_anew(what));
        }
        let secret = self.environment.resolved(text.reveal()).map_err(|reference| {
            format!(
                "the {what} is written as `{}`, which no variable of this job answers: set it with `madake variable set`",
                inert(&reference, 100)
            )
        })?;
        self.log.add_secrets(&[&secret]);
        Ok(Secret::new(secret))
    }

    /// That a secret of the plan file is another server's, and how its value is entered here.
    pub(super) fn enter_anew(&self, what: &str) -> String {
        // Builds have the keys of jobs, deployments have numbers.
        let mut parts = self.order.job_result_key.split('-');
        let scope = match (parts.next(), parts.next()) {
            (Some(project), Some(plan)) if project.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                format!(" --plan {project}-{plan}")
            }
            _ => String::new(),
        };
        format!(
            "the {what} was encrypted by another server and cannot be read here: enter it once with `madake variable set \
             NAME{scope} --secret --value-stdin`, and write `${{bamboo.NAME}}` in its place; or name a shared credential"
        )
    }
}
