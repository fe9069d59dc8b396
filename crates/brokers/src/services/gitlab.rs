//! GitLab: a push triggers a pipeline with a trigger token (`POST /projects/:id/trigger/pipeline`).

use super::{Service, context_of, render_named};
use crate::address::{Address, encode};
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::{BrokerEvent, Change};
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::{Escape, Template, TemplateError};

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "gitlab",
    title: "GitLab",
    aliases: &["gitlab ci", "gitlab trigger"],
    description: "Triggers a pipeline of a GitLab project.",
    fields: &[
        Field::new("base_url", FieldKind::Url, "The address of the server.")
            .default("https://gitlab.com")
            .alias(&["url"]),
        Field::new(
            "project",
            FieldKind::Text,
            "The id of the project, or its path `group/project`.",
        )
        .required()
        .alias(&["project_id"]),
        Field::new(
            "token",
            FieldKind::Secret,
            "A pipeline trigger token, from the CI/CD settings of the project.",
        )
        .required(),
        Field::new(
            "ref",
            FieldKind::Text,
            "The branch or tag whose pipeline runs, if it is not the one that was pushed.",
        ),
        Field::new(
            "variables",
            FieldKind::NamedTemplates,
            "Variables of the pipeline, one a line: `UPSTREAM={{ change.revision }}`.",
        ),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: false,
    read,
};

#[derive(Debug)]
struct GitLab {
    base: Address,
    project: String,
    token: Secret,
    reference: Option<String>,
    variables: Vec<(String, Template)>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    let project = reader.text("project").trim_matches('/').to_owned();
    if matches!(project.as_str(), "." | "..") {
        reader.problem(
            "project",
            "is no id and no path; write `group/project`".to_owned(),
        );
    }
    Box::new(GitLab {
        base: reader.bare_address("base_url"),
        project,
        token: reader.secret("token"),
        reference: reader.optional("ref"),
        variables: reader.named_templates("variables", '=', Escape::Plain),
    })
}

impl GitLab {
    fn call(&self, event: &BrokerEvent, change: &Change<'_>) -> Result<Call, TemplateError> {
        let url = self.base.join(&format!(
            "/api/v4/projects/{}/trigger/pipeline",
            encode(&self.project)
        ));
        let reference = self.reference.as_deref().unwrap_or(change.name);
        let mut form = vec![
            ("token".to_owned(), self.token.reveal().to_owned()),
            ("ref".to_owned(), reference.to_owned()),
        ];
        for (name, value) in render_named(&self.variables, &context_of(event, change))? {
            form.push((format!("variables[{name}]"), value));
        }
        let request = HttpCall::post(url)
            .secret(&self.token)
            .form(form.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Ok(Call {
            key: change.full_name.to_owned(),
            title: format!("trigger {} at {}", self.project, self.base.origin()),
            action: Action::Http(Exchange::once(request, judge)),
        })
    }
}

impl Service for GitLab {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        event
            .changes()
            .iter()
            .map(|change| self.call(event, change))
            .collect()
    }
}

fn judge(answer: &Answer) -> Verdict {
    let remedies = [
        (
            400,
            "the project has no such branch or tag, or no job for it: check `ref` and its `.gitlab-ci.yml`",
        ),
        (401, "check `token`"),
        (
            403,
            "the owner of the trigger token may not run pipelines on this branch",
        ),
        (404, "check `project` and `token`: GitLab answers so for either"),
        (422, "check `variables`"),
    ];
    match answer.judged("GitLab", &remedies) {
        Verdict::Ok(_) => Verdict::Ok(
            answer.json()["id"]
                .as_i64()
                .map(|id| format!("created pipeline {id}")),
        ),
        other => other,
    }
}
