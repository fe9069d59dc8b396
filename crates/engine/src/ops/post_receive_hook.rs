//! The hook "Post-Receive Webhooks" of Bitbucket Server, which is all receivers of a repository that get one of its
//! formats: scripts see them as one hook with a list of addresses (push-payloads.md A.1).

use madake_domain::delivery::{Input, Receiver as Health};
use madake_domain::permission::Permission;
use madake_formats::outgoing::Profile;
use madake_store::receiver::{self, Receiver, ReceiverFields};
use madake_store::repository::Repository;
use madake_store::{Tx, meta};

use super::keep_receiver::{MOST_RECEIVERS, ReceiverRequest, remove_for_good, store_secrets};
use crate::access::Caller;
use crate::telling::{ReceiverSecrets, ReceiverSettings, WEBHOOK, note_health};
use crate::{Engine, EngineError, clock};

/// The hook of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostReceiveHook {
    /// The row's id of the repository.
    pub repository_id: i64,
    /// Whether its addresses are told.
    pub enabled: bool,
    /// Its addresses without user names and passwords, in the order in which they were entered.
    pub urls: Vec<String>,
}

/// Whether a receiver belongs to the hook.
#[must_use]
pub fn is_of_post_receive_hook(receiver: &Receiver) -> bool {
    receiver.kind == WEBHOOK
        && matches!(
            Profile::from_name(&receiver.profile),
            Some(Profile::PostReceive(_))
        )
}

/// An address that was checked, and what it is stored as.
struct Wanted {
    fields: ReceiverFields,
    secrets: ReceiverSecrets,
}

impl Engine {
    /// The hook of a repository. Whoever has READ may know that it is there; its addresses may hold secrets, and need
    /// ADMINISTRATION: `needed` is one of the two.
    ///
    /// # Errors
    /// When the repository is not there, or the caller may not.
    pub async fn post_receive_hook(
        &self,
        caller: &Caller,
        repository: &str,
        needed: Permission,
    ) -> Result<PostReceiveHook, EngineError> {
        let found = self.repository_for(caller, repository, needed).await?;
        self.store().read(move |tx| state_of(tx, &found)).await
    }

    /// Gives the hook these addresses and no others. Those that it has already keep their settings, secrets and log; a
    /// new one gets `stash2`, and is told if the hook is enabled.
    ///
    /// # Errors
    /// When the caller may not, or an address is refused: its index is in the message. Nothing is changed then.
    pub async fn set_post_receive_urls(
        &self,
        caller: &Caller,
        repository: &str,
        urls: Vec<(String, String)>,
    ) -> Result<PostReceiveHook, EngineError> {
        let found = self
            .repository_for(caller, repository, Permission::Administration)
            .await?;
        let wanted = self.checked(urls).await?;
        let (who, sealer) = (caller.name().to_owned(), self.sealer().clone());
        self.store()
            .write(move |tx| {
                set_urls(tx, &sealer, &found, &wanted, &who)?;
                state_of(tx, &found)
            })
            .await
    }

    /// Enables or disables the hook; with addresses, it gets these first, in the same change.
    ///
    /// # Errors
    /// As [`Self::set_post_receive_urls`].
    pub async fn enable_post_receive_hook(
        &self,
        caller: &Caller,
        repository: &str,
        enable: bool,
        urls: Option<Vec<(String, String)>>,
    ) -> Result<PostReceiveHook, EngineError> {
        let found = self
            .repository_for(caller, repository, Permission::Administration)
            .await?;
        let wanted = match urls {
            Some(urls) => Some(self.checked(urls).await?),
            None => None,
        };
        let (who, sealer) = (caller.name().to_owned(), self.sealer().clone());
        self.store()
            .write(move |tx| {
                if let Some(wanted) = &wanted {
                    set_urls(tx, &sealer, &found, wanted, &who)?;
                }
                meta::set(tx, &switch_name(found.id), enable.then_some("enabled"))?;
                for one in members(tx, found.id)? {
                    switch(tx, &one, enable)?;
                }
                state_of(tx, &found)
            })
            .await
    }

    async fn checked(&self, urls: Vec<(String, String)>) -> Result<Vec<Wanted>, EngineError> {
        let mut wanted: Vec<Wanted> = Vec::with_capacity(urls.len());
        for (name, url) in urls {
            let mut fields = ReceiverFields {
                profile: "stash2".into(),
                name: String::new(),
                url: String::new(),
                active: true,
                settings: serde_json::to_string(&ReceiverSettings::default())
                    .map_err(|error| EngineError::Internal(error.to_string()))?,
            };
            let mut secrets = ReceiverSecrets::default();
            let request = ReceiverRequest {
                url: Some(url),
                ..ReceiverRequest::default()
            };
            self.apply(&mut fields, &mut secrets, request)
                .await
                .map_err(|error| match error {
                    EngineError::Invalid(text) => {
                        EngineError::Invalid(format!("{name}: {}", text.trim_start_matches("url: ")))
                    }
                    other => other,
                })?;
            wanted.push(Wanted { fields, secrets });
        }
        Ok(wanted)
    }
}

fn members(tx: &Tx<'_>, repository_id: i64) -> Result<Vec<Receiver>, EngineError> {
    let mut all = receiver::of_repository(tx, repository_id)?;
    all.retain(is_of_post_receive_hook);
    Ok(all)
}

/// Where it is kept that the hook is enabled, which counts while it has no address.
fn switch_name(repository_id: i64) -> String {
    format!("bitbucket.post-receive-hook.{repository_id}")
}

fn is_told(receiver: &Receiver) -> bool {
    receiver.active && !matches!(receiver.health, Health::Disabled { .. })
}

fn state_of(tx: &Tx<'_>, found: &Repository) -> Result<PostReceiveHook, EngineError> {
    let members = members(tx, found.id)?;
    let enabled = if members.is_empty() {
        meta::get(tx, &switch_name(found.id))?.is_some()
    } else {
        members.iter().any(is_told)
    };
    Ok(PostReceiveHook {
        repository_id: found.id,
        enabled,
        urls: members.into_iter().map(|one| one.url).collect(),
    })
}

fn switch(tx: &Tx<'_>, one: &Receiver, on: bool) -> Result<(), EngineError> {
    let now = clock::now_ms();
    if one.active != on {
        let fields = ReceiverFields {
            profile: one.profile.clone(),
            name: one.name.clone(),
            url: one.url.clone(),
            active: on,
            settings: one.settings.clone(),
        };
        receiver::update(tx, one.id, &fields, now)?;
    }
    if on && matches!(one.health, Health::Disabled { .. }) {
        note_health(tx, one.id, Input::Enable, now)?;
    }
    Ok(())
}

fn set_urls(
    tx: &Tx<'_>,
    sealer: &madake_store::seal::Sealer,
    found: &Repository,
    wanted: &[Wanted],
    who: &str,
) -> Result<(), EngineError> {
    let now = clock::now_ms();
    let enabled = state_of(tx, found)?.enabled;
    let mut left = members(tx, found.id)?;
    let mut new = Vec::new();
    for one in wanted {
        match left.iter().position(|known| known.url == one.fields.url) {
            Some(place) => {
                let known = left.remove(place);
                if one.secrets != ReceiverSecrets::default() {
                    store_secrets(tx, sealer, known.id, &one.secrets)?;
                }
            }
            None => new.push(one),
        }
    }
    for one in left {
        remove_for_good(tx, one.id, now)?;
    }
    let others = receiver::of_repository(tx, found.id)?.len();
    if others + new.len() > MOST_RECEIVERS {
        return Err(EngineError::Invalid(format!(
            "a repository has at most {MOST_RECEIVERS} receivers: remove one first"
        )));
    }
    for one in new {
        let fields = ReceiverFields {
            active: enabled,
            ..one.fields.clone()
        };
        let id = receiver::insert(tx, found.id, WEBHOOK, &fields, who, now)?;
        store_secrets(tx, sealer, id, &one.secrets)?;
    }
    Ok(())
}
