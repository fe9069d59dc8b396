//! Webhooks as deliveries are checked against them, kept as long as neither webhooks nor repositories change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use madake_formats::RepositoryHint;
use madake_formats::clone_address::{CloneAddress, Meant, meant};
use madake_store::mirror;
use madake_store::repository::{self, Repository};
use madake_store::user::token_hash;
use madake_store::webhook;

use crate::{Engine, EngineError};

/// A webhook.
pub(crate) struct KnownWebhook {
    pub(crate) id: i64,
    pub(crate) scope: Scope,
    pub(crate) secret: Option<Vec<u8>>,
}

/// Whose pushes a webhook may tell of.
pub(crate) enum Scope {
    /// One repository's.
    One {
        found: Box<Repository>,
        /// The address that the repository is kept equal to.
        follows: Option<String>,
    },
    /// Those of every linked repository, found by its address.
    Linked(Vec<(Repository, CloneAddress)>),
}

impl Scope {
    /// The repositories that a payload is about, or why there is none.
    pub(crate) fn meant_by(&self, hint: &RepositoryHint) -> Result<Vec<&Repository>, String> {
        let named = || {
            let name = if hint.owner.is_empty() {
                hint.slug.clone()
            } else {
                format!("{}/{}", hint.owner, hint.slug)
            };
            madake_domain::text::inert(&name, 200)
        };
        match self {
            Self::One { found, follows } => {
                if is_about(hint, found, follows.as_deref()) {
                    Ok(vec![found])
                } else {
                    Err(format!(
                        "the payload is about {}, the webhook is of {}",
                        named(),
                        found.name
                    ))
                }
            }
            Self::Linked(known) => {
                let all = known.iter().map(|(repository, address)| (repository, address));
                let about = || {
                    let at = hint.addresses.first().map(|address| format!(" at {address}"));
                    format!("the payload is about {}{}", named(), at.unwrap_or_default())
                };
                match meant(&hint.addresses, &hint.owner, &hint.slug, all) {
                    Meant::These(found) => Ok(found),
                    Meant::Unknown => Err(format!("{}, and no linked repository has that address", about())),
                    Meant::Ambiguous(count) => Err(format!(
                        "{}, which may be any of {count} linked repositories: give each a webhook of its own",
                        about()
                    )),
                }
            }
        }
    }
}

/// Whether a payload is about the repository that the webhook belongs to: by slug, and by owner where the repository
/// has one. Its address may be another one than ours: a mirror, a name inside of the network.
fn is_about(hint: &RepositoryHint, found: &Repository, follows: Option<&str>) -> bool {
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

impl Engine {
    /// The webhook with this token. Thousands of deliveries ask for the same few.
    pub(crate) async fn webhook(&self, token: &str) -> Result<Option<Arc<KnownWebhook>>, EngineError> {
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
                let scope = match hook.repository_id {
                    Some(id) => {
                        let follows = mirror::source_of(tx, id)?;
                        repository::by_id(tx, id)?.map(|one| Scope::One {
                            found: Box::new(one),
                            follows,
                        })
                    }
                    None => Some(Scope::Linked(linked(tx)?)),
                };
                Ok::<_, EngineError>(scope.map(|scope| (hook, scope)))
            })
            .await?;
        let Some((hook, scope)) = found else {
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
            scope,
            secret,
        });
        self.webhooks().keep(generation, digest, Arc::clone(&known));
        Ok(Some(known))
    }
}

/// The linked repositories whose address can be compared.
fn linked(tx: &madake_store::Tx<'_>) -> Result<Vec<(Repository, CloneAddress)>, EngineError> {
    let all = repository::linked(tx)?.into_iter();
    let with_address = all.filter_map(|one| {
        let address = CloneAddress::read(&one.url)?;
        Some((one, address))
    });
    Ok(with_address.collect())
}
