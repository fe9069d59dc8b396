//! Jira: commits that name an issue become a comment there (`POST /rest/api/2/issue/{key}/comment`).

use madake_domain::issue::jira_keys;
use serde_json::json;

use super::Service;
use crate::address::{Address, encode};
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::chat::{defused, safe_link};
use crate::event::{BrokerEvent, Commit, first_line, short_id};
use crate::issues;
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// The most commits that a comment lists.
const MAX_COMMITS: usize = 20;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "jira",
    title: "Jira",
    aliases: &[],
    description: "Comments on the issues that commits name by key, once for each push.",
    fields: &[
        Field::new(
            "base_url",
            FieldKind::Url,
            "The address of the server: `https://jira.example`.",
        )
        .required()
        .alias(&["url"]),
        Field::new(
            "username",
            FieldKind::Text,
            "The user; in Jira Cloud the e-mail address. Empty for a personal access token.",
        )
        .alias(&["user", "email"]),
        Field::new(
            "password",
            FieldKind::Secret,
            "The password, API token, or personal access token.",
        )
        .required()
        .alias(&["token", "api_token"]),
        Field::new(
            "projects",
            FieldKind::List,
            "Only issues of these projects: `PROJ, OPS`. Empty means every key that looks like one.",
        ),
    ],
    takes: Takes::Pushes,
    tags_too: false,
    read,
};

#[derive(Debug)]
struct Jira {
    base: Address,
    user: String,
    password: Secret,
    projects: Vec<String>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    Box::new(Jira {
        base: reader.bare_address("base_url"),
        user: reader.text("username"),
        password: reader.secret("password"),
        projects: reader.list("projects").into_iter().map(str::to_owned).collect(),
    })
}

impl Service for Jira {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let issues = issues::of_event(event, |message| jira_keys(message, &self.projects));
        let calls = issues.into_iter().map(|(key, commits)| {
            let url = self
                .base
                .join(&format!("/rest/api/2/issue/{}/comment", encode(&key)));
            let request = HttpCall::post(url)
                .header("Accept", "application/json")
                .header("X-Atlassian-Token", "no-check");
            let request = if self.user.is_empty() {
                request.bearer(&self.password)
            } else {
                request.basic(&self.user, &self.password)
            };
            Call {
                title: format!("comment on {key} at {}", self.base.origin()),
                key,
                action: Action::Http(Exchange::once(
                    request.json(&json!({ "body": comment(event, &commits) })),
                    judge,
                )),
            }
        });
        Ok(calls.collect())
    }

    fn why_none(&self) -> &'static str {
        "no commit of this push names an issue"
    }
}

fn comment(event: &BrokerEvent, commits: &[&Commit]) -> String {
    let mut lines = vec![format!("Pushed to {}:", escaped(&event.repository_path()))];
    for commit in commits.iter().take(MAX_COMMITS) {
        let id = escaped(short_id(&commit.id));
        let id = match commit.link.as_deref().and_then(safe_link) {
            Some(link) => format!("[{id}|{}]", link.replace('|', "%7C")),
            None => id,
        };
        lines.push(format!(
            "* {id} {} ({})",
            escaped(first_line(&commit.message)),
            escaped(commit.author.shown())
        ));
    }
    if commits.len() > MAX_COMMITS {
        lines.push(format!("and {} more", commits.len() - MAX_COMMITS));
    }
    lines.join("\n")
}

/// Strangers' words in Jira's mark-up, where a backslash takes the meaning from every mark.
fn escaped(words: &str) -> String {
    let mut safe = String::new();
    for c in defused(words, 240).chars() {
        if matches!(
            c,
            '\\' | '{' | '}' | '[' | ']' | '*' | '_' | '-' | '+' | '^' | '~' | '?' | '!' | '|' | '#'
        ) {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

fn judge(answer: &Answer) -> Verdict {
    answer.judged(
        "Jira",
        &[
            (400, "the issue takes no such comment"),
            (401, "check `username` and `password`; Jira Cloud takes an API token, not a password"),
            (403, "the user may not comment in this project, or must pass a captcha once by logging in with a browser"),
            (404, "there is no such issue, or the user cannot see it; name the projects in `projects` if this was no key at all"),
        ],
    )
}
