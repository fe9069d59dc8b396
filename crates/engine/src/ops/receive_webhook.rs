//! Takes push webhooks of other forges: a hint that something moved. What moved is read from the repository.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use madake_domain::repository::Scm;
use madake_domain::text::counted;
use madake_formats::pull_request::PullRequest;
use madake_formats::push::{Action, Push, RefChange, RefKind};
use madake_formats::signature::delivery::{self, DeliveryCheck};
use madake_formats::{Delivery, Limits, NotAPush, PushError, delivery_id, read_delivery};
use madake_store::event::{self, Content, NewEvent, Received, RefUpdate, Via};
use madake_store::hearing;
use madake_store::mirror;
use madake_store::pull_request::Told;
use madake_store::repository::{self, Repository};
use madake_vcs::hg;
use madake_vcs::hg::name::LabelKind;
use madake_vcs::name::{NameError, RefName};

use crate::access::Caller;
use crate::listening::{KnownWebhook, Scope};
use crate::{Engine, EngineError, clock};

/// A webhook request.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    /// The token at the end of the address.
    pub token: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// Why a webhook was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookRefusal {
    /// The token is nobody's, or the payload is about another repository: it is not told which.
    Unknown(String),
    /// The signature is missing or wrong.
    Signature(String),
    /// The body is larger than is read.
    TooLarge(String),
    /// The body cannot be understood.
    Malformed(String),
}

impl Engine {
    /// Enters a push or a pull request that a webhook tells of, once for each repository that it serves and that the payload is about:
    /// as a rule one. `None`: it tells of neither (a connection test, another event), which is entered, too. The inner
    /// result says why it was refused; a refusal has its own entry in the ledger, written by the face that took the
    /// request.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when nothing can be stored: the sender is to try again.
    pub async fn receive_webhook(
        &self,
        caller: &Caller,
        request: WebhookRequest,
    ) -> Result<Result<Option<Received>, WebhookRefusal>, EngineError> {
        let Some(known) = self.webhook(&request.token).await? else {
            return Ok(Err(WebhookRefusal::Unknown("no webhook has this token".into())));
        };
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let proof = check_proof(known.secret.as_deref(), &headers, &request.body);
        let read = match proof {
            Ok(()) => read_delivery(&headers, &request.body, &Limits::default()),
            // Bitbucket Data Center signs everything but its connection test, of which nothing comes.
            Err(ref refusal) if is_unsigned_test(refusal, &headers) => Err(NotAPush::Ping.into()),
            Err(refusal) => return Ok(Err(refusal)),
        };
        let told = match read {
            Ok(told) => told,
            Err(PushError::NotAPush(reason @ (NotAPush::Ping | NotAPush::OtherEvent(_)))) => {
                self.enter_notice(caller, &known, &reason, request.body).await?;
                return Ok(Ok(None));
            }
            Err(error) if error.is_too_large() => {
                return Ok(Err(WebhookRefusal::TooLarge(error.to_string())));
            }
            Err(error) => return Ok(Err(WebhookRefusal::Malformed(error.to_string()))),
        };
        let hint = match &told {
            Delivery::Push(push) => &push.repository,
            Delivery::PullRequest(request) => &request.repository,
        };
        let repositories = match known.scope.meant_by(hint) {
            Ok(repositories) => repositories,
            Err(reason) => return Ok(Err(WebhookRefusal::Unknown(reason))),
        };
        let given = delivery_id(&headers).map(str::to_owned);
        let digest = self.recent_bodies().digest(&request.body);
        let mut first = None;
        let mut body = Some(request.body);
        let count = repositories.len();
        for (place, found) in repositories.into_iter().enumerate() {
            let raw = if place + 1 == count {
                body.take()
            } else {
                body.clone()
            };
            let delivery = given.as_ref().map(|id| match &known.scope {
                Scope::One { .. } => format!("webhook {}: {id}", known.id),
                Scope::Linked(_) => format!("webhook {} of {}: {id}", known.id, found.id),
            });
            let raw = raw.unwrap_or_default();
            let received = match &told {
                Delivery::Push(push) => {
                    let arrival = as_event(caller, found, push, delivery, raw);
                    self.enter_webhook(&known, found, push, arrival, digest).await?
                }
                Delivery::PullRequest(request) => {
                    let event = as_proposal(caller, found, request, delivery, raw);
                    self.enter_proposal(found, event, digest).await?
                }
            };
            first = first.or(Some(received));
        }
        Ok(Ok(first))
    }

    async fn enter_webhook(
        &self,
        known: &KnownWebhook,
        found: &Repository,
        push: &Push,
        (event, notes): (NewEvent, Vec<String>),
        digest: u64,
    ) -> Result<Received, EngineError> {
        let (id, heard) = (found.id, found.hears_pushes);
        let is_mirror = matches!(&known.scope, Scope::One { follows: Some(_), .. });
        let same_body = self.recent_bodies().find(id, digest);
        let (webhook_id, format) = (known.id, push.sender.name());
        let told = self
            .told_notes()
            .is_due(id, (webhook_id, format), clock::now_ms());
        let received = self
            .store()
            .write(move |tx| {
                let now = clock::now_ms();
                let received = event::receive_webhook(tx, event, same_body, now)?;
                for note in notes {
                    event::note(tx, received.id(), "warning", &note, now)?;
                }
                if told {
                    hearing::note_told(tx, id, webhook_id, format, now)?;
                }
                if !heard {
                    repository::set_hears_pushes(tx, id)?;
                }
                if is_mirror {
                    mirror::hurry_source(tx, id, now)?;
                }
                Ok::<_, EngineError>(received)
            })
            .await;
        if received.is_err() && told {
            self.told_notes().forget(id);
        }
        let received = received?;
        if let Received::Entered(event_id) = received {
            self.recent_bodies().note(id, digest, event_id);
        }
        Ok(received)
    }

    /// Enters a pull request. It announces no push: how we hear of those does not change by it.
    async fn enter_proposal(
        &self,
        found: &Repository,
        event: NewEvent,
        digest: u64,
    ) -> Result<Received, EngineError> {
        let id = found.id;
        let same_body = self.recent_bodies().find(id, digest);
        let received = self
            .store()
            .write(move |tx| event::receive_webhook(tx, event, same_body, clock::now_ms()))
            .await?;
        if let Received::Entered(event_id) = received {
            self.recent_bodies().note(id, digest, event_id);
        }
        Ok(received)
    }

    /// Enters a delivery that moves no ref.
    async fn enter_notice(
        &self,
        caller: &Caller,
        known: &KnownWebhook,
        reason: &NotAPush,
        raw: Vec<u8>,
    ) -> Result<(), EngineError> {
        let (repository_id, of) = match &known.scope {
            Scope::One { found, .. } => (Some(found.id), found.name.clone()),
            Scope::Linked(_) => (None, "all linked repositories".to_owned()),
        };
        let new = NewEvent {
            kind: "webhook",
            delivery_id: None,
            address: caller.address.clone(),
            principal: "webhook".into(),
            repository_id,
            plan_key: None,
            summary: format!("webhook {} of {of}", known.id),
            raw,
            content: Content::Push {
                via: Via::Webhook,
                updates: Vec::new(),
                pusher: None,
                options: Vec::new(),
            },
        };
        let reason = reason.to_string();
        self.store()
            .write(move |tx| hearing::enter_notice(tx, new, &reason, clock::now_ms()))
            .await?;
        Ok(())
    }
}

/// Whether what lacks a signature is the connection test of Bitbucket Data Center.
fn is_unsigned_test(refusal: &WebhookRefusal, headers: &[(&str, &str)]) -> bool {
    let is_test = |(name, value): &(&str, &str)| {
        name.eq_ignore_ascii_case("x-event-key") && *value == "diagnostics:ping"
    };
    let signed = |(name, _): &(&str, &str)| name.to_ascii_lowercase().contains("signature");
    matches!(refusal, WebhookRefusal::Signature(_))
        && headers.iter().any(is_test)
        && !headers.iter().any(signed)
}

fn check_proof(secret: Option<&[u8]>, headers: &[(&str, &str)], body: &[u8]) -> Result<(), WebhookRefusal> {
    let Some(secret) = secret else {
        return Ok(());
    };
    let reason = match delivery::check(headers, body, &[secret], clock::now_ms()) {
        DeliveryCheck::Valid => return Ok(()),
        DeliveryCheck::Missing => {
            "the body is not signed: X-Hub-Signature is missing, and so are the headers of other \
                                   senders"
                .to_owned()
        }
        DeliveryCheck::Malformed(name) => {
            let form = match name {
                "X-Hub-Signature" | "X-Hub-Signature-256" => "`sha256=` and 64 lower-case hexadecimal digits",
                "webhook-id" | "webhook-timestamp" | "webhook-signature" => "as Standard Webhooks say",
                "X-Gitlab-Token" => "there once",
                _ => "64 lower-case hexadecimal digits",
            };
            format!("the signature is not of its documented form: {name} is not {form}")
        }
        DeliveryCheck::Mismatch("X-Gitlab-Token") => "X-Gitlab-Token is not the webhook's secret".to_owned(),
        DeliveryCheck::Mismatch(name) => {
            format!("the signature in {name} is not that of this body with the webhook's secret")
        }
        DeliveryCheck::Unsupported(_) => "the signature is of an algorithm other than sha256".to_owned(),
        DeliveryCheck::TooOld => {
            "the delivery was signed more than five minutes ago: it is a replay, or a clock is wrong"
                .to_owned()
        }
        DeliveryCheck::TooNew => {
            "the delivery was signed more than five minutes ahead: a clock is wrong".to_owned()
        }
    };
    Err(WebhookRefusal::Signature(reason))
}

/// Where bodies of webhooks that came a moment ago are: some senders repeat themselves without an id. What is
/// forgotten here is not lost: the repeat is decided, and finds nothing changed.
#[derive(Debug, Default)]
pub(crate) struct RecentBodies {
    keys: RandomState,
    /// Repository, digest, event; the newest first.
    recent: Mutex<VecDeque<(i64, u64, i64)>>,
}

impl RecentBodies {
    /// How many are remembered, of all repositories.
    const KEPT: usize = 64;

    /// A hint: the bytes themselves are compared in the store.
    fn digest(&self, body: &[u8]) -> u64 {
        self.keys.hash_one(body)
    }

    fn find(&self, repository_id: i64, digest: u64) -> Option<i64> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent
            .iter()
            .find(|(id, known, _)| *id == repository_id && *known == digest)
            .map(|(_, _, event_id)| *event_id)
    }

    fn note(&self, repository_id: i64, digest: u64, event_id: i64) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front((repository_id, digest, event_id));
        recent.truncate(Self::KEPT);
    }
}

/// The ref of this server that a change is about. Senders may not know that a repository is one of Mercurial.
fn ref_name_of(scm: Scm, change: &RefChange) -> Result<RefName, NameError> {
    let name = change.name.as_str();
    let (kind, label) = match change.kind {
        RefKind::NamedBranch => (LabelKind::Branch, name),
        RefKind::Bookmark => (LabelKind::Bookmark, name),
        RefKind::MercurialTag => (LabelKind::Tag, name),
        RefKind::Branch => (
            LabelKind::Branch,
            name.strip_prefix("refs/heads/").unwrap_or(name),
        ),
        RefKind::Tag => (LabelKind::Tag, name.strip_prefix("refs/tags/").unwrap_or(name)),
        RefKind::Other => return RefName::parse(name),
    };
    match (scm, change.kind) {
        (Scm::Hg, _) => hg::name::ref_name(kind, label),
        (Scm::Git, RefKind::Branch | RefKind::Tag) => RefName::parse(name),
        // Its mirror in Git may be what is linked.
        (Scm::Git, _) => {
            let namespace = match kind {
                LabelKind::Tag => "refs/tags",
                LabelKind::Branch | LabelKind::Bookmark => "refs/heads",
            };
            RefName::parse(&format!("{namespace}/{label}"))
        }
    }
}

/// The entry of a push, and notes on what of the payload could not be taken.
fn as_event(
    caller: &Caller,
    found: &Repository,
    push: &Push,
    delivery_id: Option<String>,
    raw: Vec<u8>,
) -> (NewEvent, Vec<String>) {
    let mut notes: Vec<String> = push.notes.iter().map(ToString::to_string).collect();
    let mut updates = Vec::with_capacity(push.changes.len());
    for change in &push.changes {
        let checked = change.checked_name().map_err(|error| error.to_string());
        match checked.and_then(|_| ref_name_of(found.scm, change).map_err(|error| error.to_string())) {
            Ok(name) => updates.push(RefUpdate {
                name: name.to_string(),
                old: change.old.as_ref().map(|id| id.as_str().to_owned()),
                new: match change.action {
                    Action::Delete => None,
                    Action::Add | Action::Update => change.new.as_ref().map(|id| id.as_str().to_owned()),
                },
            }),
            Err(reason) => notes.push(format!(
                "the ref `{}` is refused: {reason}",
                madake_domain::text::inert(&change.name, 200)
            )),
        }
    }
    let event = NewEvent {
        kind: "webhook",
        delivery_id,
        address: caller.address.clone(),
        principal: push.pusher.clone().unwrap_or_else(|| "webhook".into()),
        repository_id: Some(found.id),
        plan_key: None,
        summary: format!(
            "{} webhook for {} ({})",
            push.sender,
            found.name,
            counted(updates.len(), "ref")
        ),
        raw,
        content: Content::Push {
            via: Via::Webhook,
            updates,
            pusher: push.pusher.clone(),
            options: Vec::new(),
        },
    };
    (event, notes)
}

/// The entry of a pull request.
fn as_proposal(
    caller: &Caller,
    found: &Repository,
    request: &PullRequest,
    delivery_id: Option<String>,
    raw: Vec<u8>,
) -> NewEvent {
    let number = i64::try_from(request.number).unwrap_or(i64::MAX);
    let from = if request.from_fork { ", from a fork" } else { "" };
    let state = if request.open { "is open" } else { "is closed" };
    NewEvent {
        kind: "pull-request",
        delivery_id,
        address: caller.address.clone(),
        principal: request.actor.clone().unwrap_or_else(|| "webhook".into()),
        repository_id: Some(found.id),
        plan_key: None,
        summary: format!(
            "{} webhook: pull request {number} of {} {state}{from}",
            request.sender, found.name
        ),
        raw,
        content: Content::PullRequest {
            told: Told {
                number,
                open: request.open,
                from_fork: request.from_fork,
                title: request.title.clone(),
                author: request.author.clone(),
                source_branch: request.source_branch.clone(),
                source_repository: request.source_repository.clone(),
                target_branch: request.target_branch.clone(),
                head_ref: request.head_ref(),
                updated_ms: request.updated_ms,
            },
        },
    }
}
