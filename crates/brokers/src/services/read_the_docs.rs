//! Read the Docs: a push builds the documentation of its branch or tag (the integration "Generic API incoming webhook").

use serde_json::{Value, json};

use super::Service;
use crate::address::Address;
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::BrokerEvent;
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "read_the_docs",
    title: "Read the Docs",
    aliases: &["rtd"],
    description: "Builds documentation on Read the Docs.",
    fields: &[
        Field::new(
            "webhook_url",
            FieldKind::Url,
            "The address of the integration: `https://app.readthedocs.org/api/v2/webhook/PROJECT/NUMBER/`.",
        )
        .required()
        .alias(&["url"]),
        Field::new(
            "token",
            FieldKind::Secret,
            "The token that the page of the integration shows.",
        )
        .required(),
    ],
    takes: Takes::Pushes,
    tags_too: true,
    read,
};

#[derive(Debug)]
struct ReadTheDocs {
    url: Address,
    token: Secret,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    Box::new(ReadTheDocs {
        url: reader.bare_address("webhook_url"),
        token: reader.secret("token"),
    })
}

impl Service for ReadTheDocs {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let mut names: Vec<&str> = event.changes().iter().map(|change| change.name).collect();
        names.dedup();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut body = json!({ "token": self.token.reveal(), "branches": names });
        if let Some(branch) = event
            .repository
            .as_ref()
            .and_then(|repository| repository.default_branch.as_ref())
        {
            body["default_branch"] = json!(branch);
        }
        // The path ends in a slash there, and a redirect would lose the body.
        let url = if self.url.as_str().contains('?') {
            self.url.as_str().to_owned()
        } else {
            self.url.join("/")
        };
        Ok(vec![Call {
            key: "build".to_owned(),
            title: format!("build documentation at {}", self.url.origin()),
            action: Action::Http(Exchange::once(
                HttpCall::post(url).secret(&self.token).json(&body),
                judge,
            )),
        }])
    }
}

fn judge(answer: &Answer) -> Verdict {
    let remedies = [
        (
            400,
            "the integration needs a secret of its own; make a new \"Generic API incoming webhook\"",
        ),
        (403, "check `token`"),
        (
            404,
            "check `webhook_url` and `token`; Read the Docs answers so for either",
        ),
    ];
    match answer.judged("Read the Docs", &remedies) {
        Verdict::Ok(_) => {
            let json = answer.json();
            Verdict::Ok(match &json["build_triggered"] {
                Value::Bool(true) => Some(madake_formats::text::line(
                    &format!("builds {}", json["versions"]),
                    200,
                )),
                Value::Bool(false) => Some("nothing to build: no active version has this name".to_owned()),
                _ => None,
            })
        }
        other => other,
    }
}
