//! Bugzilla: commits that name a bug become a comment there (`POST /rest/bug/{id}/comment`).

use serde_json::json;

use super::Service;
use crate::address::{Address, encode};
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::{BrokerEvent, Commit};
use crate::issues;
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// The most commits that a comment lists.
const MAX_COMMITS: usize = 20;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "bugzilla",
    title: "Bugzilla",
    aliases: &[],
    description: "Comments on the bugs that commits name (`bug 12`, `fixes #12`), once for each push.",
    fields: &[
        Field::new(
            "server_url",
            FieldKind::Url,
            "The address of the server: `https://bugzilla.example`.",
        )
        .required()
        .alias(&["url", "base_url"]),
        Field::new(
            "api_key",
            FieldKind::Secret,
            "An API key of a user who may comment.",
        )
        .required()
        .alias(&["password", "token"]),
        Field::new(
            "private",
            FieldKind::Bool,
            "Comment for members of the insider group only.",
        )
        .default("false"),
    ],
    takes: Takes::Pushes,
    tags_too: false,
    read,
};

#[derive(Debug)]
struct Bugzilla {
    base: Address,
    api_key: Secret,
    private: bool,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    Box::new(Bugzilla {
        base: reader.bare_address("server_url"),
        api_key: reader.secret("api_key"),
        private: reader.flag("private"),
    })
}

impl Service for Bugzilla {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let calls = issues::of_event(event, issues::bug_numbers)
            .into_iter()
            .map(|(number, commits)| {
                let request =
                    HttpCall::post(self.base.join(&format!("/rest/bug/{}/comment", encode(&number))))
                        .secret(&self.api_key)
                        .header("X-BUGZILLA-API-KEY", self.api_key.reveal())
                        .header("Accept", "application/json")
                        .json(&json!({ "comment": comment(event, &commits), "is_private": self.private }));
                Call {
                    title: format!("comment on bug {number} at {}", self.base.origin()),
                    key: number,
                    action: Action::Http(Exchange::once(request, judge)),
                }
            });
        Ok(calls.collect())
    }

    fn why_none(&self) -> &'static str {
        "no commit of this push names a bug"
    }
}

/// Comments are plain text.
fn comment(event: &BrokerEvent, commits: &[&Commit]) -> String {
    let line = |text: &str| madake_formats::text::line(text, 500);
    let mut paragraphs = vec![format!("Pushed to {}:", line(&event.repository_path()))];
    for commit in commits.iter().take(MAX_COMMITS) {
        let page = commit
            .link
            .as_deref()
            .and_then(crate::chat::safe_link)
            .unwrap_or_else(|| line(&commit.id));
        let message = madake_formats::text::lines(commit.message.trim(), 2000);
        paragraphs.push(format!(
            "{page}\nAuthor: {}\n{message}",
            line(commit.author.shown())
        ));
    }
    if commits.len() > MAX_COMMITS {
        paragraphs.push(format!("and {} more", commits.len() - MAX_COMMITS));
    }
    paragraphs.join("\n\n")
}

fn judge(answer: &Answer) -> Verdict {
    let json = answer.json();
    // Some versions tell of an error with status 200.
    let code = json["code"]
        .as_i64()
        .filter(|_| json["error"].as_bool() == Some(true));
    let remedy = match code {
        None => "",
        Some(100 | 101) => "there is no such bug",
        Some(102) => "the user of the key cannot see this bug",
        Some(109 | 113) => {
            "the user of the key may not comment on this bug, or not in private: check `private`"
        }
        Some(114) => "the comment is too long",
        Some(300 | 301 | 306 | 400 | 410) => "check `api_key`; keys are made in the preferences of a user",
        Some(32000) => return Verdict::Retry(format!("Bugzilla is in trouble{}", answer.said())),
        Some(_) => "see the message",
    };
    if !remedy.is_empty() {
        return Verdict::Refused(format!(
            "Bugzilla answered {}{}; {remedy}",
            answer.status,
            answer.said()
        ));
    }
    answer.judged(
        "Bugzilla",
        &[(
            404,
            "check `server_url`; the REST interface needs Bugzilla 5.0 or later",
        )],
    )
}
