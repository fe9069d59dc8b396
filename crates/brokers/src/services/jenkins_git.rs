//! Jenkins, git plugin: a push makes Jenkins poll or build whatever uses the repository (`notifyCommit`).

use super::Service;
use crate::address::{Address, with_query};
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall, Method};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::BrokerEvent;
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "jenkins_git",
    title: "Jenkins (git plugin)",
    aliases: &["jenkins notify commit", "notifyCommit"],
    description: "Tells the git plugin of Jenkins of a push; every job that polls the repository is looked at.",
    fields: &[
        Field::new(
            "jenkins_url",
            FieldKind::Url,
            "The address of the server: `https://jenkins.example`.",
        )
        .required()
        .alias(&["url", "endpoint"]),
        Field::new(
            "token",
            FieldKind::Secret,
            "A notifyCommit access token, made in Jenkins under Security; version 4.11.4 of the plugin and later ask for it.",
        ),
        Field::new(
            "repository_url",
            FieldKind::Text,
            "The address of the repository as the jobs write it, if it is not its clone address.",
        ),
        Field::new(
            "exact",
            FieldKind::Bool,
            "Build the pushed commit instead of only polling; needs the token.",
        )
        .default("false"),
    ],
    takes: Takes::Pushes,
    tags_too: false,
    read,
};

#[derive(Debug)]
struct JenkinsGit {
    base: Address,
    token: Secret,
    repository: Option<String>,
    exact: bool,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    Box::new(JenkinsGit {
        base: reader.address("jenkins_url"),
        token: reader.secret("token"),
        repository: reader.optional("repository_url"),
        exact: reader.flag("exact"),
    })
}

impl Service for JenkinsGit {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let url = match (&self.repository, &event.repository) {
            (Some(url), _) => url,
            (None, Some(repository)) => &repository.clone_url,
            (None, None) => return Ok(Vec::new()),
        };
        let calls = event.changes().into_iter().map(|change| {
            let mut query = vec![("url", url.as_str()), ("branches", change.name)];
            if self.exact {
                query.push(("sha1", change.revision));
            }
            if !self.token.is_empty() {
                query.push(("token", self.token.reveal()));
            }
            let address = with_query(&self.base.join("/git/notifyCommit"), &query);
            let mut request = HttpCall::new(Method::Get, address).secret(&self.token);
            if let Some((user, password)) = self.base.credentials() {
                request = request.basic(user, password);
            }
            Call {
                key: change.full_name.to_owned(),
                title: format!(
                    "notify {} of {}",
                    self.base.origin(),
                    madake_formats::text::line(change.name, 100)
                ),
                action: Action::Http(Exchange::once(request, judge)),
            }
        });
        Ok(calls.collect())
    }
}

fn judge(answer: &Answer) -> Verdict {
    let remedies = [
        (400, "check `repository_url`"),
        (
            401,
            "make a notifyCommit access token in Jenkins under Security and write it into `token`",
        ),
        (
            403,
            "check `token`; it may have been revoked in Jenkins under Security",
        ),
        (
            404,
            "check `jenkins_url`, and whether the git plugin is installed",
        ),
    ];
    match answer.judged("Jenkins", &remedies) {
        Verdict::Ok(_) if answer.body.contains("No git jobs found") => Verdict::Refused(
            "Jenkins has no job with this repository address; write the address that the jobs use into `repository_url`"
                .to_owned(),
        ),
        Verdict::Ok(_) if answer.body.contains("No Git consumers") => Verdict::Refused(
            "no job of Jenkins has this repository, branch and \"Poll SCM\" switched on; compare the address in the job with \
             `repository_url`"
                .to_owned(),
        ),
        Verdict::Ok(_) => Verdict::Ok(Some(answer.said().trim_start_matches(": ").to_owned()).filter(|said| !said.is_empty())),
        other => other,
    }
}
