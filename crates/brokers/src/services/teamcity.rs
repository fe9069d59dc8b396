//! TeamCity: a push queues build configurations (`POST /app/rest/buildQueue`).

use serde_json::{Value, json};

use super::{Service, context_of, render_named};
use crate::address::Address;
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::BrokerEvent;
use crate::refs::Targets;
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::{Escape, Template, TemplateError};

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "teamcity",
    title: "TeamCity",
    aliases: &[],
    description: "Queues build configurations of a TeamCity server, on the branch that was pushed.",
    fields: &[
        Field::new(
            "base_url",
            FieldKind::Url,
            "The address of the server: `https://teamcity.example`.",
        )
        .required()
        .alias(&["url", "server_url"]),
        Field::new(
            "build_type_id",
            FieldKind::List,
            "Ids of build configurations, each for any branch or for one: `main:Grove_Cut, Grove_Tests`.",
        )
        .required()
        .alias(&["build_configuration", "build_type"]),
        Field::new(
            "token",
            FieldKind::Secret,
            "An access token of a user who may run them.",
        )
        .required(),
        Field::new(
            "properties",
            FieldKind::NamedTemplates,
            "Parameters of the build, one a line: `env.COMMIT={{ change.revision }}`.",
        ),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: false,
    read,
};

#[derive(Debug)]
struct TeamCity {
    base: Address,
    configurations: Targets,
    token: Secret,
    properties: Vec<(String, Template)>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    Box::new(TeamCity {
        base: reader.bare_address("base_url"),
        configurations: reader.targets("build_type_id"),
        token: reader.secret("token"),
        properties: reader.named_templates("properties", '=', Escape::Plain),
    })
}

impl Service for TeamCity {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let changes = event.changes();
        let call = |(id, change): (&str, crate::event::Change<'_>)| {
            let properties: Vec<Value> = render_named(&self.properties, &context_of(event, &change))?
                .into_iter()
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect();
            let body = json!({
                "buildType": { "id": id },
                "branchName": change.name,
                "comment": { "text": event.cause(&change) },
                "properties": { "property": properties },
            });
            let request = HttpCall::post(self.base.join("/app/rest/buildQueue"))
                .bearer(&self.token)
                .header("Accept", "application/json")
                .json(&body);
            Ok(Call {
                key: format!("{id} {}", change.full_name),
                title: format!("queue {id} at {}", self.base.origin()),
                action: Action::Http(Exchange::once(request, judge)),
            })
        };
        self.configurations.of(&changes).into_iter().map(call).collect()
    }

    fn why_none(&self) -> &'static str {
        "no build configuration of `build_type_id` is for a branch of this push"
    }
}

fn judge(answer: &Answer) -> Verdict {
    let remedies = [
        (
            400,
            "check `build_type_id` and `properties`; the configuration may be paused or take no such branch",
        ),
        (
            401,
            "check `token`; access tokens are made in the profile of a user",
        ),
        (
            403,
            "the user of the token may not run this build configuration: give the role Project developer",
        ),
        (
            404,
            "check `base_url` and `build_type_id`: the id stands in the settings of the build configuration",
        ),
    ];
    match answer.judged("TeamCity", &remedies) {
        Verdict::Ok(_) => Verdict::Ok(
            answer.json()["id"]
                .as_i64()
                .map(|id| format!("queued build {id}")),
        ),
        other => other,
    }
}
