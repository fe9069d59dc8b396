//! Buildbot: a push becomes a change of the `base` hook (`master/buildbot/www/hooks/base.py`).
//!
//! One change for each ref, its tip: the hook takes one change a request, and a call is delivered whole or not.

use serde_json::json;

use super::Service;
use crate::address::Address;
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::{BrokerEvent, RefMove};
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// The most files that a change lists.
const MAX_FILES: usize = 1000;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "buildbot",
    title: "Buildbot",
    aliases: &[],
    description: "Tells Buildbot of a change through its base hook.",
    fields: &[
        Field::new(
            "url",
            FieldKind::Url,
            "The address of the server: `https://buildbot.example`.",
        )
        .required()
        .alias(&["base_url"]),
        Field::new(
            "username",
            FieldKind::Text,
            "The name that `change_hook_auth` asks for.",
        )
        .alias(&["user"]),
        Field::new(
            "password",
            FieldKind::Secret,
            "The password that `change_hook_auth` asks for.",
        ),
        Field::new(
            "project",
            FieldKind::Text,
            "The project of the change, if it is not `owner/slug`.",
        ),
        Field::new("category", FieldKind::Text, "The category of the change."),
        Field::new(
            "codebase",
            FieldKind::Text,
            "The codebase of the change, for masters with several.",
        ),
    ],
    takes: Takes::Pushes,
    tags_too: false,
    read,
};

#[derive(Debug)]
struct Buildbot {
    base: Address,
    user: String,
    password: Secret,
    project: Option<String>,
    category: Option<String>,
    codebase: Option<String>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    let base = reader.address("url");
    let (mut user, mut password) = (reader.text("username"), reader.secret("password"));
    if let Some((name, word)) = base.credentials().filter(|_| user.is_empty()) {
        (user, password) = (name.to_owned(), word.clone());
    }
    Box::new(Buildbot {
        base,
        user,
        password,
        project: reader.optional("project"),
        category: reader.optional("category"),
        codebase: reader.optional("codebase"),
    })
}

impl Buildbot {
    fn form(&self, event: &BrokerEvent, moved: &RefMove, revision: &str) -> Vec<(&'static str, String)> {
        let tip = moved
            .commits
            .iter()
            .find(|commit| commit.id == revision)
            .or(moved.commits.first());
        let mut files: Vec<&str> = moved
            .commits
            .iter()
            .flat_map(|commit| &commit.files)
            .map(|file| file.path.as_str())
            .collect();
        files.sort_unstable();
        files.dedup();
        files.truncate(MAX_FILES);
        let person = tip.map(|commit| &commit.author).or(event.pusher.as_ref());
        let author = match person {
            Some(person) => match &person.email {
                Some(email) => format!("{} <{email}>", person.shown()),
                None => person.shown().to_owned(),
            },
            None => "unknown".to_owned(),
        };
        let comments = match tip {
            Some(commit) => madake_formats::text::lines(&commit.message, 16 * 1024),
            None => format!("{} moved to {revision}", moved.name),
        };
        let mut form = vec![
            ("author", madake_formats::text::line(&author, 500)),
            ("revision", revision.to_owned()),
            ("branch", moved.name.clone()),
            ("comments", comments),
            ("files", json!(files).to_string()),
            (
                "project",
                self.project.clone().unwrap_or_else(|| event.repository_path()),
            ),
            ("properties", json!({ "madake_event": event.id }).to_string()),
        ];
        if let Some(repository) = &event.repository {
            form.push(("repository", repository.clone_url.clone()));
        }
        if let Some(link) = tip.and_then(|commit| commit.link.clone()) {
            form.push(("revlink", link));
        }
        if let Some(commit) = tip {
            form.push(("when", commit.time_ms.div_euclid(1000).to_string()));
        }
        for (name, value) in [("category", &self.category), ("codebase", &self.codebase)] {
            if let Some(value) = value {
                form.push((name, value.clone()));
            }
        }
        form
    }
}

impl Service for Buildbot {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let calls = event.refs.iter().filter_map(|moved| {
            let revision = moved.new.as_deref()?;
            let form = self.form(event, moved, revision);
            let mut request = HttpCall::post(self.base.join("/change_hook/base"))
                .form(form.iter().map(|(name, value)| (*name, value.as_str())));
            if !self.user.is_empty() {
                request = request.basic(&self.user, &self.password);
            }
            Some(Call {
                key: moved.full_name.clone(),
                title: format!(
                    "tell {} of {}",
                    self.base.origin(),
                    madake_formats::text::line(&moved.name, 100)
                ),
                action: Action::Http(Exchange::once(request, judge)),
            })
        });
        Ok(calls.collect())
    }
}

fn judge(answer: &Answer) -> Verdict {
    answer.judged(
        "Buildbot",
        &[
            (
                400,
                "switch the hook on: `change_hook_dialects={'base': True}` in `c['www']`; its log says more",
            ),
            (401, "check `username` and `password` against `change_hook_auth`"),
            (
                404,
                "switch the hook on: `change_hook_dialects={'base': True}` in `c['www']`, and check `url`",
            ),
        ],
    )
}
