//! Build status: the forge that a revision lives on shows how its build went, beside the commit and in pull requests.
//!
//! | forge | call |
//! | - | - |
//! | Bitbucket Data Center | `POST /rest/build-status/1.0/commits/{id}` |
//! | Bitbucket Cloud | `POST /2.0/repositories/{owner}/{slug}/commit/{id}/statuses/build` |
//! | GitHub | `POST /repos/{owner}/{name}/statuses/{id}` |
//! | GitLab | `POST /api/v4/projects/{path}/statuses/{id}` |
//! | Gitea, Forgejo, Gogs | `POST /api/v1/repos/{owner}/{name}/statuses/{id}` |
//!
//! A status is named by its key (`context`): the same key again replaces what was said before.

use madake_formats::text;
use serde_json::{Value, json};

use super::Service;
use crate::address::{Address, encode};
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::{BrokerEvent, BuildState, Change};
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// GitHub and Bitbucket Cloud refuse longer descriptions than this, and longer keys than the second.
const DESCRIPTION_BYTES: usize = 120;
const KEY_BYTES: usize = 40;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "build_status",
    title: "Build status",
    aliases: &["commit status", "status"],
    description: "Shows results of builds at their commits on Bitbucket, GitHub, GitLab, Gitea or Forgejo.",
    fields: &[
        Field::new(
            "forge",
            FieldKind::Choice(&["bitbucket-dc", "bitbucket-cloud", "github", "gitlab", "gitea"]),
            "What the forge is; `gitea` also for Forgejo and Gogs.",
        )
        .required(),
        Field::new(
            "url",
            FieldKind::Url,
            "The address of the forge: `https://github.com`, `https://git.example`.",
        )
        .required()
        .alias(&["base_url"]),
        Field::new(
            "repository",
            FieldKind::Text,
            "The repository on the forge: `owner/name`, `group/subgroup/project`. Bitbucket Data Center needs none.",
        )
        .alias(&["repo", "project"]),
        Field::new(
            "token",
            FieldKind::Secret,
            "A token that may write statuses of commits, or with `username` a password.",
        )
        .required()
        .alias(&["password"]),
        Field::new(
            "username",
            FieldKind::Text,
            "Whose password the token is, where the forge takes no bearer tokens.",
        )
        .alias(&["user"]),
        Field::new(
            "context",
            FieldKind::Text,
            "One name for the results of all plans, `ci/madake`. Without it each plan has its key as the name.",
        )
        .alias(&["key"]),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: false,
    read,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forge {
    BitbucketDc,
    BitbucketCloud,
    GitHub,
    GitLab,
    Gitea,
}

#[derive(Debug)]
struct BuildStatus {
    forge: Forge,
    api: Address,
    repository: String,
    token: Secret,
    username: Option<String>,
    context: Option<String>,
}

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    UnderWay,
    Ended(BuildState),
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    let forge = match reader.choice("forge") {
        "bitbucket-cloud" => Forge::BitbucketCloud,
        "github" => Forge::GitHub,
        "gitlab" => Forge::GitLab,
        "gitea" => Forge::Gitea,
        _ => Forge::BitbucketDc,
    };
    let repository = reader.text("repository").trim_matches('/').to_owned();
    let parts: Vec<&str> = repository.split('/').collect();
    let named = parts.len() > 1 && parts.iter().all(|part| !matches!(*part, "" | "." | ".."));
    let fits = match forge {
        Forge::BitbucketDc => true,
        Forge::GitLab => named,
        Forge::BitbucketCloud | Forge::GitHub | Forge::Gitea => named && parts.len() == 2,
    };
    if !fits {
        reader.problem("repository", "is not `owner/name`; write both".to_owned());
    }
    let context = reader.optional("context");
    if context.as_ref().is_some_and(|context| context.len() > KEY_BYTES) {
        reader.problem("context", format!("is longer than {KEY_BYTES} bytes; shorten it"));
    }
    let push = reader
        .list("events")
        .iter()
        .any(|word| word.eq_ignore_ascii_case("push"));
    if push && context.is_none() {
        reader.problem(
            "events",
            "has `push`, which says that a build is under way and needs `context`, the name that its result replaces; \
             write `build`, or give `context`"
                .to_owned(),
        );
    }
    let address = reader.bare_address("url");
    Box::new(BuildStatus {
        forge,
        api: api_of(forge, address),
        repository,
        token: reader.secret("token"),
        username: reader.optional("username"),
        context,
    })
}

/// Where the API of a forge is: the two great ones have a host of its own.
fn api_of(forge: Forge, forge_address: Address) -> Address {
    let own = match (forge, forge_address.as_str()) {
        (Forge::GitHub, "https://github.com") => Some("https://api.github.com"),
        (Forge::BitbucketCloud, "https://bitbucket.org") => Some("https://api.bitbucket.org"),
        _ => None,
    };
    own.and_then(|own| Address::parse(own).ok())
        .unwrap_or(forge_address)
}

impl BuildStatus {
    fn call(&self, event: &BrokerEvent, change: &Change<'_>) -> Option<Call> {
        // Statuses belong to commits; a plan without a repository has none.
        if change.revision.is_empty() {
            return None;
        }
        let state = event
            .build
            .as_ref()
            .map_or(State::UnderWay, |build| State::Ended(build.state));
        let key = match (&self.context, &event.build) {
            (Some(context), _) => context.clone(),
            (None, Some(build)) => text::line(&build.plan_key, KEY_BYTES),
            (None, None) => return None,
        };
        let name = event
            .build
            .as_ref()
            .map_or_else(|| key.clone(), |build| text::line(&build.plan_name, 100));
        let description = match &event.build {
            Some(build) => text::line(
                &format!("{} {}", build.build_key, build.state.verb()),
                DESCRIPTION_BYTES,
            ),
            None => "A build is under way".to_owned(),
        };
        let link = match (&event.build, &event.repository) {
            (Some(build), _) => build.link.clone(),
            (None, Some(repository)) => repository.browse_url.clone(),
            (None, None) => String::new(),
        };
        let revision = encode(change.revision);
        let (path, body) = match self.forge {
            Forge::BitbucketDc => (
                format!("/rest/build-status/1.0/commits/{revision}"),
                bitbucket(state, &key, &name, &description, &link, "FAILED"),
            ),
            Forge::BitbucketCloud => (
                format!(
                    "/2.0/repositories/{}/commit/{revision}/statuses/build",
                    self.path()
                ),
                bitbucket(state, &key, &name, &description, &link, "STOPPED"),
            ),
            Forge::GitHub => {
                let root = if self.api.origin() == "https://api.github.com" {
                    ""
                } else {
                    "/api/v3"
                };
                (
                    format!("{root}/repos/{}/statuses/{revision}", self.path()),
                    github(state, &key, &description, &link),
                )
            }
            Forge::Gitea => (
                format!("/api/v1/repos/{}/statuses/{revision}", self.path()),
                github(state, &key, &description, &link),
            ),
            Forge::GitLab => (
                format!(
                    "/api/v4/projects/{}/statuses/{revision}",
                    encode(&self.repository)
                ),
                json!({
                    "state": match state {
                        State::UnderWay => "running",
                        State::Ended(BuildState::Successful) => "success",
                        State::Ended(BuildState::Failed) => "failed",
                        State::Ended(BuildState::Stopped) => "canceled",
                    },
                    "name": key, "target_url": link, "description": description, "ref": change.name,
                }),
            ),
        };
        let request = HttpCall::post(self.api.join(&path)).json(&body);
        Some(Call {
            key: format!("{} {}", change.full_name, change.revision),
            title: format!("report {key} at {}", self.api.origin()),
            action: Action::Http(Exchange::once(self.authorized(request), judge)),
        })
    }

    /// `owner/name`, each part encoded.
    fn path(&self) -> String {
        let parts: Vec<String> = self.repository.split('/').map(encode).collect();
        parts.join("/")
    }

    fn authorized(&self, request: HttpCall) -> HttpCall {
        match (&self.username, self.forge) {
            (Some(user), _) => request.basic(user, &self.token),
            (None, Forge::GitLab) => request
                .secret(&self.token)
                .header("PRIVATE-TOKEN", self.token.reveal()),
            (None, _) => request.bearer(&self.token),
        }
    }
}

/// `stopped` is the word for a build that was stopped: Data Center knows none of its own before version 8.
fn bitbucket(state: State, key: &str, name: &str, description: &str, link: &str, stopped: &str) -> Value {
    let state = match state {
        State::UnderWay => "INPROGRESS",
        State::Ended(BuildState::Successful) => "SUCCESSFUL",
        State::Ended(BuildState::Failed) => "FAILED",
        State::Ended(BuildState::Stopped) => stopped,
    };
    json!({ "state": state, "key": key, "name": name, "url": link, "description": description })
}

fn github(state: State, key: &str, description: &str, link: &str) -> Value {
    let state = match state {
        State::UnderWay => "pending",
        State::Ended(BuildState::Successful) => "success",
        State::Ended(BuildState::Failed) => "failure",
        State::Ended(BuildState::Stopped) => "error",
    };
    json!({ "state": state, "context": key, "description": description, "target_url": link })
}

impl Service for BuildStatus {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let changes = event.changes();
        Ok(changes
            .iter()
            .filter_map(|change| self.call(event, change))
            .collect())
    }

    fn why_none(&self) -> &'static str {
        "the event has no revision whose status could be reported"
    }
}

fn judge(answer: &Answer) -> Verdict {
    let remedies = [
        (401, "check `token`, and `username` if it is a password"),
        (403, "the token may not write statuses of commits there"),
        (
            404,
            "check `url`, `forge` and `repository`; forges answer so, too, where the token may not look, or the commit is \
             not there",
        ),
    ];
    // GitLab says so when a status is told twice.
    if answer.status == 400 && answer.body.contains("Cannot transition status") {
        return Verdict::Ok(Some("the status was there already".to_owned()));
    }
    answer.judged("the forge", &remedies)
}
