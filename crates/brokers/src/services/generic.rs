//! Any HTTP receiver: method, address, headers and body from templates.

use minijinja::context;
use minijinja::value::Value;

use super::Service;
use crate::address::Address;
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall, Method};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::{BrokerEvent, Change};
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::{Escape, Template, TemplateError};

/// Headers that belong to the connection, not to whoever writes a template.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "http",
    title: "HTTP",
    aliases: &["generic", "generic http", "custom", "webhook template"],
    description: "Calls any address; method, headers and body are yours.",
    fields: &[
        Field::new(
            "url",
            FieldKind::TemplateLine,
            "The address. Values are percent-encoded: `https://ci.example/build?ref={{ change.name }}`.",
        )
        .required(),
        Field::new(
            "method",
            FieldKind::Choice(&["POST", "GET", "PUT", "PATCH", "DELETE"]),
            "The method.",
        )
        .default("POST"),
        Field::new(
            "content_type",
            FieldKind::Text,
            "The type of the body; it decides how values are escaped.",
        )
        .default("application/json"),
        Field::new(
            "headers",
            FieldKind::NamedTemplates,
            "Headers, one a line: `Authorization: Bearer {{ token }}`.",
        ),
        Field::new(
            "body",
            FieldKind::Template,
            "The body. In JSON, values bring their quotes: `{\"ref\": {{ change.name }}}`. Empty sends the whole event.",
        ),
        Field::new(
            "token",
            FieldKind::Secret,
            "A password or token, for `{{ token }}`; it is covered wherever the call is shown.",
        ),
        Field::new(
            "per_ref",
            FieldKind::Bool,
            "One call for each ref that still exists, with `change`, instead of one for the push.",
        )
        .default("false"),
        Field::new(
            "success",
            FieldKind::List,
            "The status codes that mean success, if not 2xx: `200, 409`.",
        ),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: true,
    read,
};

#[derive(Debug)]
struct Generic {
    url: Template,
    method: Method,
    content_type: String,
    headers: Vec<(String, Template)>,
    body: Option<Template>,
    token: Secret,
    per_ref: bool,
    success: Vec<u16>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    // The part before the first template is looked at now; the whole address is, once it is made.
    let written = reader.text("url");
    let fixed = written
        .split("{{")
        .next()
        .unwrap_or_default()
        .split("{%")
        .next()
        .unwrap_or_default()
        .to_owned();
    let host_is_fixed = fixed
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains(['/', '?']))
        || fixed == written;
    if !written.is_empty() {
        if let Err(problem) = Address::parse(&fixed) {
            reader.problem(
                "url",
                format!("{problem}; write an address such as `https://ci.example/path`"),
            );
        } else if !host_is_fixed {
            reader.problem(
                "url",
                "has a template before its path; write scheme, host and port as they are".to_owned(),
            );
        }
    }
    let content_type = reader.text("content_type");
    let token_char = |c: char| c.is_ascii_alphanumeric() || "/+-._; =\"".contains(c);
    if !content_type.contains('/') || !content_type.chars().all(token_char) {
        reader.problem(
            "content_type",
            "is no type; write one such as `application/json`".to_owned(),
        );
    }
    let headers = reader.named_templates("headers", ':', Escape::Plain);
    for (name, _) in &headers {
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            reader.problem(
                "headers",
                format!("has `{name}`, which is set by the server or another setting; leave it out"),
            );
        }
    }
    let method = match reader.choice("method") {
        "GET" => Method::Get,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => Method::Post,
    };
    let mut success = Vec::new();
    for entry in reader.list("success") {
        match entry.parse() {
            Ok(status @ 100..=599) => success.push(status),
            _ => reader.problem(
                "success",
                "has an entry that is no status code; write numbers such as `200, 409`".to_owned(),
            ),
        }
    }
    Box::new(Generic {
        url: reader.required_template("url", Escape::Url),
        method,
        body: reader.template("body", Escape::of_content_type(&content_type)),
        content_type,
        headers,
        token: reader.secret("token"),
        per_ref: reader.flag("per_ref"),
        success,
    })
}

impl Generic {
    fn call(&self, event: &BrokerEvent, key: &str, context: &Value) -> Result<Call, TemplateError> {
        let text = self.url.render(context)?;
        let address = Address::parse(&text)
            .map_err(|problem| self.url.error(None, format!("makes an address that {problem}")))?;
        let mut request = HttpCall::new(self.method, address.as_str()).secret(&self.token);
        if let Some((user, password)) = address.credentials() {
            request = request.basic(user, password);
        }
        for (name, template) in &self.headers {
            let value = template.render(context)?;
            if value.chars().any(|c| c.is_control() && c != '\t') {
                let sentence = format!(
                    "makes a line break or another control character in `{name}`; use `first_line` or `urlencode`"
                );
                return Err(template.error(None, sentence));
            }
            request = request.header(name, &value);
        }
        match &self.body {
            Some(template) => {
                let body = template.render(context)?;
                if Escape::of_content_type(&self.content_type) == Escape::Json {
                    serde_json::from_str::<serde::de::IgnoredAny>(&body).map_err(|error| {
                        let sentence = format!(
                            "makes text that is not JSON (line {} of it, column {}); values bring their quotes, so write \
                             `{{{{ name }}}}` without quotes around it",
                            error.line(),
                            error.column()
                        );
                        template.error(None, sentence)
                    })?;
                }
                request = request.body(&self.content_type, body);
            }
            None if self.method != Method::Get => {
                request = request.body(
                    "application/json",
                    serde_json::to_vec(event).expect("an event has only string keys"),
                );
            }
            None => {}
        }
        let wanted = self.success.clone();
        Ok(Call {
            key: key.to_owned(),
            title: format!("{} {}", self.method.as_str(), address.origin()),
            action: Action::Http(Exchange::new(Wanted { request, wanted })),
        })
    }

    fn context(&self, event: &BrokerEvent, change: Option<&Change<'_>>) -> Value {
        let token = self.token.reveal();
        let rest = match change {
            Some(change) => super::context_of(event, change),
            None => Value::from_serialize(event),
        };
        context! { token, ..rest }
    }
}

impl Service for Generic {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        if self.per_ref {
            let calls = event.changes();
            return calls
                .iter()
                .map(|change| self.call(event, change.full_name, &self.context(event, Some(change))))
                .collect();
        }
        let changes = event.changes();
        let only = changes.first().filter(|_| changes.len() == 1);
        Ok(vec![self.call(event, "call", &self.context(event, only))?])
    }
}

/// One request, with success as the settings define it.
struct Wanted {
    request: HttpCall,
    wanted: Vec<u16>,
}

impl crate::call::Dialogue for Wanted {
    fn next(&self, answers: &[Answer]) -> crate::call::Step {
        let Some(answer) = answers.first() else {
            return crate::call::Step::Send(self.request.clone());
        };
        crate::call::Step::End(match answer.judged("the receiver", &[]) {
            _ if self.wanted.contains(&answer.status) => Verdict::Ok(None),
            Verdict::Ok(_) if !self.wanted.is_empty() => Verdict::Refused(format!(
                "the receiver answered {}, which `success` does not name{}",
                answer.status,
                answer.said()
            )),
            other => other,
        })
    }
}
