//! GitHub: a push dispatches an event to a repository (`repository_dispatch`) or runs a workflow (`workflow_dispatch`).

use serde_json::{Map, Value, json};

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
    key: "github",
    title: "GitHub dispatch",
    aliases: &["github actions", "repository dispatch", "workflow dispatch"],
    description: "Runs workflows of GitHub Actions, or of a server that speaks like it.",
    fields: &[
        Field::new(
            "api_url",
            FieldKind::Url,
            "The address of the API; `https://HOST/api/v3` for a server of one's own.",
        )
        .default("https://api.github.com")
        .alias(&["url"]),
        Field::new("repository", FieldKind::Text, "The repository: `owner/name`.")
            .required()
            .alias(&["repo"]),
        Field::new(
            "token",
            FieldKind::Secret,
            "A token that may write contents (for an event) or actions (for a workflow).",
        )
        .required(),
        Field::new(
            "event_type",
            FieldKind::Text,
            "The name of the event that workflows wait for with `repository_dispatch`.",
        )
        .default("madake-push"),
        Field::new(
            "workflow",
            FieldKind::Text,
            "The file of a workflow, `deploy.yml`: runs that one with `workflow_dispatch` instead.",
        ),
        Field::new(
            "ref",
            FieldKind::Text,
            "With `workflow`: the branch whose workflow runs, if it is not the one that was pushed.",
        ),
        Field::new(
            "inputs",
            FieldKind::NamedTemplates,
            "With `workflow`: its inputs, one a line: `revision={{ change.revision }}`.",
        ),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: false,
    read,
};

#[derive(Debug)]
struct GitHub {
    api: Address,
    owner: String,
    name: String,
    token: Secret,
    event_type: String,
    workflow: Option<String>,
    reference: Option<String>,
    inputs: Vec<(String, Template)>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    let repository = reader.text("repository");
    let part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('/');
    let (owner, name) = repository.split_once('/').unwrap_or((&repository, ""));
    let fits = part(owner) && part(name);
    if !repository.is_empty() && !fits {
        reader.problem("repository", "is not `owner/name`; write both".to_owned());
    }
    let event_type = reader.text("event_type");
    if event_type.chars().count() > 100 {
        reader.problem(
            "event_type",
            "is longer than 100 characters; shorten it".to_owned(),
        );
    }
    let workflow = reader.optional("workflow");
    if workflow.as_deref().is_some_and(|file| !part(file)) {
        reader.problem(
            "workflow",
            "is a path; write the name of the file alone, `deploy.yml`".to_owned(),
        );
    }
    Box::new(GitHub {
        api: reader.bare_address("api_url"),
        owner: owner.to_owned(),
        name: name.to_owned(),
        token: reader.secret("token"),
        event_type,
        workflow,
        reference: reader.optional("ref"),
        inputs: reader.named_templates("inputs", '=', Escape::Plain),
    })
}

impl GitHub {
    fn call(&self, event: &BrokerEvent, change: &Change<'_>) -> Result<Call, TemplateError> {
        let path = format!("/repos/{}/{}", encode(&self.owner), encode(&self.name));
        let (path, body) = match &self.workflow {
            Some(workflow) => {
                let inputs: Map<String, Value> = render_named(&self.inputs, &context_of(event, change))?
                    .into_iter()
                    .map(|(name, value)| (name, Value::String(value)))
                    .collect();
                let body =
                    json!({ "ref": self.reference.as_deref().unwrap_or(change.name), "inputs": inputs });
                (
                    format!("{path}/actions/workflows/{}/dispatches", encode(workflow)),
                    body,
                )
            }
            None => (format!("{path}/dispatches"), self.dispatch(event, change)),
        };
        let request = HttpCall::post(self.api.join(&path))
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
            .bearer(&self.token)
            .json(&body);
        Ok(Call {
            key: change.full_name.to_owned(),
            title: format!(
                "dispatch to {}/{} at {}",
                self.owner,
                self.name,
                self.api.origin()
            ),
            action: Action::Http(Exchange::once(request, judge)),
        })
    }

    /// At most ten properties are allowed in a payload.
    fn dispatch(&self, event: &BrokerEvent, change: &Change<'_>) -> Value {
        json!({
            "event_type": self.event_type,
            "client_payload": {
                "event": event.id,
                "kind": event.kind,
                "repository": event.repository_path(),
                "clone_url": event.repository.as_ref().map(|repository| &repository.clone_url),
                "ref": change.full_name,
                "name": change.name,
                "before": change.moved.and_then(|moved| moved.old.as_ref()),
                "after": change.revision,
                "pusher": event.pusher.as_ref().map(|person| &person.name),
                "build": event.build.as_ref().map(|build| json!({ "key": build.build_key, "state": build.state })),
            },
        })
    }
}

impl Service for GitHub {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        event
            .changes()
            .iter()
            .map(|change| self.call(event, change))
            .collect()
    }
}

fn judge(answer: &Answer) -> Verdict {
    if matches!(answer.status, 403 | 429)
        && (answer.header("x-ratelimit-remaining") == Some("0")
            || answer.body.to_ascii_lowercase().contains("rate limit"))
    {
        return Verdict::Retry(format!(
            "GitHub asks to wait ({}){}",
            answer.status,
            answer.said()
        ));
    }
    answer.judged(
        "GitHub",
        &[
            (401, "check `token`; it may have expired"),
            (403, "the token may not do this: it needs to write contents (for an event) or actions (for a workflow)"),
            (404, "check `repository` and `workflow`; GitHub answers so too where the token cannot see the repository"),
            (422, "the workflow has no `workflow_dispatch`, no such inputs, or the branch in `ref` does not exist"),
        ],
    )
}
