//! Bamboo: a push queues plans (bamboo-rest.md 6, 7; push-payloads.md C.3).

use super::Service;
use crate::address::{Address, encode, with_query};
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall, Method};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::BrokerEvent;
use crate::refs::Targets;
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "bamboo",
    title: "Bamboo",
    aliases: &[],
    description: "Queues plans of a Bamboo server, or of another Madake, when somebody pushes.",
    fields: &[
        Field::new("base_url", FieldKind::Url, "The address of the server: `https://bamboo.example`.")
            .required()
            .alias(&["url", "server_url", "bamboo_url"]),
        Field::new(
            "build_key",
            FieldKind::List,
            "Plan keys, each for any branch or for one: `main:PROJ-TRUNK, release/*:PROJ-REL, PROJ-TESTS`.",
        )
        .required()
        .alias(&["plan_key", "plan", "plan_keys"]),
        Field::new("username", FieldKind::Text, "A user who may build the plans.").alias(&["user"]),
        Field::new("password", FieldKind::Secret, "The password of that user; or a personal access token, without a user.")
            .alias(&["token"]),
        Field::new(
            "call",
            FieldKind::Choice(&["queue", "updateAndBuild"]),
            "`queue` builds the plan; `updateAndBuild` makes Bamboo look for changes and build what they concern.",
        )
        .default("queue"),
        Field::new("custom_revision", FieldKind::Bool, "With `queue`: build the very commit that was pushed.").default("false"),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: false,
    read,
};

#[derive(Debug)]
struct Bamboo {
    base: Address,
    plans: Targets,
    user: String,
    password: Secret,
    update: bool,
    custom_revision: bool,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    let plans = reader.targets("build_key");
    for key in plans.names().map(str::to_owned).collect::<Vec<_>>() {
        if !is_plan_key(&key) {
            let key = madake_formats::text::line(&key, 100);
            reader.problem(
                "build_key",
                format!("has `{key}`, which is no plan key; write keys such as `PROJ-PLAN`"),
            );
        }
    }
    let base = reader.address("base_url");
    let (mut user, mut password) = (reader.text("username"), reader.secret("password"));
    if let Some((name, word)) = base
        .credentials()
        .filter(|_| user.is_empty() && password.is_empty())
    {
        (user, password) = (name.to_owned(), word.clone());
    }
    Box::new(Bamboo {
        base,
        plans,
        user,
        password,
        update: reader.choice("call") == "updateAndBuild",
        custom_revision: reader.flag("custom_revision"),
    })
}

fn is_plan_key(key: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    key.split_once('-')
        .is_some_and(|(project, plan)| part(project) && part(plan))
}

impl Service for Bamboo {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let changes = event.changes();
        let calls = self.plans.once(&changes).into_iter().map(|(plan, change)| {
            let request = if self.update {
                let url = self.base.join("/updateAndBuild.action");
                HttpCall::new(
                    Method::Get,
                    with_query(&url, &[("buildKey", plan), ("os_authType", "basic")]),
                )
            } else {
                let url = self
                    .base
                    .join(&format!("/rest/api/latest/queue/{}", encode(plan)));
                let url = match change.revision {
                    revision if self.custom_revision && !revision.is_empty() => {
                        with_query(&url, &[("customRevision", revision)])
                    }
                    _ => url,
                };
                HttpCall::post(url)
                    .header("Accept", "application/json")
                    .body("application/xml", "")
            };
            let request = match (self.user.as_str(), self.password.is_empty()) {
                ("", true) => request,
                ("", false) => request.bearer(&self.password),
                (user, _) => request.basic(user, &self.password),
            };
            Call {
                key: plan.to_owned(),
                title: format!("queue {plan} at {}", self.base.origin()),
                action: Action::Http(Exchange::once(
                    request.header("X-Atlassian-Token", "no-check"),
                    judge,
                )),
            }
        });
        Ok(calls.collect())
    }

    fn why_none(&self) -> &'static str {
        "no plan of `build_key` is for a branch of this push"
    }
}

pub(crate) fn judge(answer: &Answer) -> Verdict {
    let at_limit = answer.status == 400 && answer.body.contains("maximum number of concurrent builds");
    if at_limit {
        return Verdict::Retry(format!("Bamboo builds as much as it may now{}", answer.said()));
    }
    let verdict = answer.judged(
        "Bamboo",
        &[
            (301, "check `base_url`: it names a page that has moved, often `http` where `https` is meant"),
            (302, "check `username` and `password`: it sent the call to its page for logging in"),
            (400, "the plan is disabled, or the revision is unknown to it"),
            (401, "check `username` and `password`; after several failures a user must log in once in a browser"),
            (403, "the user may not build this plan: give the permission Build, or check the password"),
            (404, "check `base_url` and the plan keys in `build_key`; the user must be able to see the plan"),
            (415, "the address answers, but not as Bamboo does; check `base_url`"),
            (422, "check `username` and `password`"),
        ],
    );
    match verdict {
        Verdict::Ok(_) => Verdict::Ok(
            answer.json()["buildResultKey"]
                .as_str()
                .map(|key| format!("queued {key}")),
        ),
        other => other,
    }
}
