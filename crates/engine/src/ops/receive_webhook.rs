//! Takes push webhooks of other forges: a hint that something moved. What moved is read from the repository.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use madake_domain::repository::Scm;
use madake_formats::push::{Action, Push, RefChange, RefKind};
use madake_formats::signature::{self, SignatureCheck};
use madake_formats::{Limits, PushError, read_push};
use madake_store::event::{self, Content, NewEvent, Received, RefUpdate, Via};
use madake_store::mirror;
use madake_store::repository::{self, Repository};
use madake_store::user::token_hash;
use madake_store::webhook;
use madake_vcs::hg;
use madake_vcs::hg::name::LabelKind;
use madake_vcs::name::{NameError, RefName};

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
        let Some(known) = self.webhook(&request.token).await? else {
            return Ok(Err(WebhookRefusal::Unknown("no webhook has this token".into())));
        };
        let found = &known.repository;
        let follows = known.follows.as_deref();
        if let Err(refusal) = check_signature(known.secret.as_deref(), &request) {
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
        if !is_about(&push, found, follows) {
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
            .map(|(_, value)| format!("webhook {}: {value}", known.id));
        let digest = self.recent_bodies().digest(&request.body);
        let (event, notes) = as_event(caller, found, &push, delivery, request.body);
        let (id, heard, is_mirror) = (found.id, found.hears_pushes, follows.is_some());
        let same_body = self.recent_bodies().find(id, digest);
        let received = self
            .store()
            .write(move |tx| {
                let now = clock::now_ms();
                let received = event::receive_webhook(tx, event, same_body, now)?;
                for note in notes {
                    event::note(tx, received.id(), "warning", &note, now)?;
                }
                if !heard {
                    repository::set_hears_pushes(tx, id)?;
                }
                if is_mirror {
                    mirror::hurry_source(tx, id, now)?;
                }
                Ok::<_, EngineError>(received)
            })
            .await?;
        if let Received::Entered(event_id) = received {
            self.recent_bodies().note(id, digest, event_id);
        }
        Ok(Ok(Some(received)))
    }

    /// The webhook with this token. Thousands of deliveries ask for the same few.
    async fn webhook(&self, token: &str) -> Result<Option<Arc<KnownWebhook>>, EngineError> {
        let generation = self.store().generation();
        let digest = token_hash(token);
        if let Some(known) = self.webhooks().find(generation, &digest) {
            return Ok(Some(known));
        }
        let token = token.to_owned();
        let found = self
            .store()
            .read(move |tx| {
                let Some(hook) = webhook::by_token(tx, &token)? else {
                    return Ok(None);
                };
                let repository = repository::by_id(tx, hook.repository_id)?;
                let follows = mirror::source_of(tx, hook.repository_id)?;
                Ok::<_, EngineError>(repository.map(|repository| (hook, repository, follows)))
            })
            .await?;
        let Some((hook, repository, follows)) = found else {
            return Ok(None);
        };
        let secret = match &hook.secret {
            Some(sealed) => Some(
                self.sealer()
                    .open_sealed(&webhook::secret_place(hook.id), sealed)?,
            ),
            None => None,
        };
        let known = Arc::new(KnownWebhook {
            id: hook.id,
            repository,
            follows,
            secret,
        });
        self.webhooks().keep(generation, digest, Arc::clone(&known));
        Ok(Some(known))
    }
}

/// A webhook as deliveries are checked against it.
struct KnownWebhook {
    id: i64,
    repository: Repository,
    /// The address that the repository is kept equal to.
    follows: Option<String>,
    secret: Option<Vec<u8>>,
}

/// Webhooks that were asked for, by the digest of their token, as of a generation of the store.
#[derive(Default)]
pub(crate) struct KnownWebhooks(Mutex<(u64, HashMap<String, Arc<KnownWebhook>>)>);

impl KnownWebhooks {
    /// How many are kept.
    const KEPT: usize = 1000;

    fn find(&self, generation: u64, digest: &str) -> Option<Arc<KnownWebhook>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 == generation {
            kept.1.get(digest).cloned()
        } else {
            None
        }
    }

    fn keep(&self, generation: u64, digest: String, known: Arc<KnownWebhook>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 > generation {
            return;
        }
        if kept.0 < generation || kept.1.len() >= Self::KEPT {
            *kept = (generation, HashMap::new());
        }
        kept.1.insert(digest, known);
    }
}

fn check_signature(secret: Option<&[u8]>, request: &WebhookRequest) -> Result<(), WebhookRefusal> {
    let Some(secret) = secret else {
        return Ok(());
    };
    let headers: Vec<(&str, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    match signature::check(&headers, &request.body, &[secret]) {
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
    }
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

/// Whether a payload is about the repository that the webhook belongs to, or that it follows: by slug, and by owner
/// where the repository has one.
fn is_about(push: &Push, found: &Repository, follows: Option<&str>) -> bool {
    let hint = &push.repository;
    let address = follows.unwrap_or(&found.url).trim_end_matches('/');
    let last = address.rsplit(['/', ':']).next().unwrap_or_default();
    let last = last.strip_suffix(".git").unwrap_or(last);
    let same = |left: &str, right: &str| !right.is_empty() && left.eq_ignore_ascii_case(right);
    if found.slug.is_empty() {
        return same(&hint.slug, last) || same(&hint.slug, &found.name);
    }
    if follows.is_some() && same(&hint.slug, last) {
        return true;
    }
    same(&hint.slug, &found.slug) && (hint.owner.is_empty() || same(&hint.owner, &found.owner))
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
