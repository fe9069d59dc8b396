//! Takes push webhooks of other forges: a hint that something moved. What moved is read from the repository.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use madake_formats::push::{Action, Push, RefKind};
use madake_formats::signature::{self, SignatureCheck};
use madake_formats::{Limits, PushError, read_push};
use madake_store::event::{self, Content, NewEvent, Received, RefUpdate, Via};
use madake_store::repository::{self, Repository};
use madake_store::webhook::{self, Webhook};
use madake_vcs::name::RefName;
use sha2::{Digest as _, Sha256};

use crate::access::Caller;
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
    Signature(&'static str),
    /// The body is larger than is read.
    TooLarge(String),
    /// The body cannot be understood.
    Malformed(String),
}

impl Engine {
    /// Enters a push that a webhook tells of. The inner result says why it was refused; a refusal has its own
    /// entry in the ledger, written by the face that took the request.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when nothing can be stored: the sender is to try again.
    pub async fn receive_webhook(
        &self,
        caller: &Caller,
        request: WebhookRequest,
    ) -> Result<Result<Option<Received>, WebhookRefusal>, EngineError> {
        let found = self.store().look_up(|tx| {
            let Some(hook) = webhook::by_token(tx, &request.token)? else {
                return Ok(None);
            };
            let repository = repository::by_id(tx, hook.repository_id)?;
            Ok::<_, EngineError>(repository.map(|repository| (hook, repository)))
        })?;
        let Some((hook, found)) = found else {
            return Ok(Err(WebhookRefusal::Unknown("no webhook has this token".into())));
        };
        if let Err(refusal) = self.check_signature(&hook, &request)? {
            return Ok(Err(refusal));
        }
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let push = match read_push(&headers, &request.body, &Limits::default()) {
            Ok(push) => push,
            Err(PushError::NotAPush(_)) => return Ok(Ok(None)),
            Err(error) if error.is_too_large() => {
                return Ok(Err(WebhookRefusal::TooLarge(error.to_string())));
            }
            Err(error) => return Ok(Err(WebhookRefusal::Malformed(error.to_string()))),
        };
        if !is_about(&push, &found) {
            return Ok(Err(WebhookRefusal::Unknown(format!(
                "the payload is about {}/{}, the webhook is of {}",
                push.repository.owner, push.repository.slug, found.name
            ))));
        }
        let delivery = ["x-request-id", "webhook-id", "x-hook-uuid", "x-delivery"]
            .iter()
            .find_map(|wanted| {
                request
                    .headers
                    .iter()
                    .find(|(name, value)| name == wanted && value.len() <= 200)
            })
            .map(|(_, value)| format!("webhook {}: {value}", hook.id));
        let digest = <[u8; 32]>::from(Sha256::digest(&request.body));
        let (event, notes) = as_event(caller, &found, &push, delivery, request.body);
        let (id, same_body) = (found.id, self.recent_bodies().find(found.id, &digest));
        let received = self
            .store()
            .write(move |tx| {
                let now = clock::now_ms();
                let received = event::receive_webhook(tx, event, same_body, now)?;
                for note in notes {
                    event::note(tx, received.id(), "warning", &note, now)?;
                }
                if !found.hears_pushes {
                    repository::set_hears_pushes(tx, found.id)?;
                }
                Ok::<_, EngineError>(received)
            })
            .await?;
        if let Received::Entered(event_id) = received {
            self.recent_bodies().note(id, digest, event_id);
        }
        Ok(Ok(Some(received)))
    }

    fn check_signature(
        &self,
        hook: &Webhook,
        request: &WebhookRequest,
    ) -> Result<Result<(), WebhookRefusal>, EngineError> {
        let Some(sealed) = &hook.secret else {
            return Ok(Ok(()));
        };
        let secret = self
            .sealer()
            .open_sealed(&webhook::secret_place(hook.id), sealed)?;
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Ok(match signature::check(&headers, &request.body, &[&secret]) {
            SignatureCheck::Valid => Ok(()),
            SignatureCheck::Missing => Err(WebhookRefusal::Signature(
                "the body is not signed: X-Hub-Signature is missing",
            )),
            SignatureCheck::Malformed => Err(WebhookRefusal::Signature(
                "the signature is not `sha256=` and 64 lower-case hexadecimal digits",
            )),
            SignatureCheck::Mismatch => Err(WebhookRefusal::Signature(
                "the signature is not that of this body with the webhook's secret",
            )),
            SignatureCheck::Unsupported(_) => Err(WebhookRefusal::Signature(
                "the signature is of an algorithm other than sha256",
            )),
        })
    }
}

/// The bodies of webhooks that came a moment ago: some senders repeat themselves without an id. What is forgotten
/// here is not lost: the repeat is decided, and finds nothing changed.
#[derive(Debug, Default)]
pub(crate) struct RecentBodies(Mutex<VecDeque<(i64, [u8; 32], i64)>>);

impl RecentBodies {
    /// How many are remembered, of all repositories.
    const KEPT: usize = 64;

    fn find(&self, repository_id: i64, digest: &[u8; 32]) -> Option<i64> {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent
            .iter()
            .find(|(id, known, _)| *id == repository_id && known == digest)
            .map(|(_, _, event_id)| *event_id)
    }

    fn note(&self, repository_id: i64, digest: [u8; 32], event_id: i64) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front((repository_id, digest, event_id));
        recent.truncate(Self::KEPT);
    }
}

/// Whether a payload is about the repository that the webhook belongs to: by slug, and by owner where the
/// repository has one.
fn is_about(push: &Push, found: &Repository) -> bool {
    let hint = &push.repository;
    let address = found.url.trim_end_matches('/');
    let last = address.rsplit(['/', ':']).next().unwrap_or_default();
    let last = last.strip_suffix(".git").unwrap_or(last);
    let same = |left: &str, right: &str| !right.is_empty() && left.eq_ignore_ascii_case(right);
    if found.slug.is_empty() {
        return same(&hint.slug, last) || same(&hint.slug, &found.name);
    }
    same(&hint.slug, &found.slug) && (hint.owner.is_empty() || same(&hint.owner, &found.owner))
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
        let full = match change.kind {
            RefKind::Branch | RefKind::Tag | RefKind::Other => change.name.clone(),
            RefKind::NamedBranch | RefKind::Bookmark => format!("refs/heads/{}", change.name),
            RefKind::MercurialTag => format!("refs/tags/{}", change.name),
        };
        let checked = change.checked_name().map_err(|error| error.to_string());
        match checked.and_then(|_| RefName::parse(&full).map_err(|error| error.to_string())) {
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
            "{} webhook for {} ({} refs)",
            push.sender,
            found.name,
            updates.len()
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
