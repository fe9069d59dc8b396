//! Takes remote triggers: "something may have changed, look" (bamboo-rest.md 7, origin 000).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use madake_domain::address::{AddressList, allows};
use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_domain::plan::TriggerKind;
use madake_domain::repository::RepositoryKind;
use madake_store::event::{self, Content, NewEvent, Received};
use madake_store::plan;
use madake_store::repository::Repository;
use madake_vcs::url::RepositoryUrl;

use crate::access::{Caller, plan_for};
use crate::{Engine, EngineError, clock};

/// What a remote trigger was answered with.
#[derive(Debug, Clone)]
pub struct Triggered {
    /// The ledger entry.
    pub event_id: i64,
    /// The plan's name, for the answer.
    pub plan_name: String,
}

impl Engine {
    /// Asks for change detection of a plan and its branches, or with `skip_branches` of the one named alone. The
    /// arrival is stored when this returns; detection follows. Calls for a plan that still waits to be looked at
    /// are counted on the waiting entry: one look sees all that they are about.
    ///
    /// `peer` is the address that counts for the trigger's list; `None`: the local socket, which is this machine.
    ///
    /// # Errors
    /// What lacks; [`EngineError::Conflict`] with a sentence when the plan is disabled, has no remote trigger, or
    /// the address is not on its list.
    pub async fn trigger_remotely(
        &self,
        caller: &Caller,
        key: &PlanKey,
        skip_branches: bool,
        peer: Option<IpAddr>,
    ) -> Result<Triggered, EngineError> {
        if !caller.principal.is_logged_in() && !self.settings().anonymous_triggers {
            return Err(EngineError::Unauthenticated {
                needed: Permission::Read,
                subject: format!("plan {key}"),
            });
        }
        let (check, asked) = (caller.clone(), key.clone());
        let (plan_row, branch, rows) = self
            .store()
            .read(move |tx| {
                let (plan_row, branch) = plan_for(tx, &check, &asked, Permission::Read)?;
                let rows = plan::repositories(tx, plan_row.id)?;
                Ok::<_, EngineError>((plan_row, branch, rows))
            })
            .await?;
        let configuration = self.configuration(plan_row.version_id).await?;
        if !plan_row.enabled || !configuration.enabled {
            return Err(EngineError::Conflict("Building has been disabled.".into()));
        }
        let mut lists = Vec::new();
        for trigger in configuration.triggers.iter().flatten() {
            if let TriggerKind::Remote { addresses } = &trigger.kind {
                lists.push(
                    AddressList::from_entries(addresses)
                        .map_err(|error| EngineError::Internal(error.to_string()))?,
                );
            }
        }
        if lists.is_empty() {
            return Err(EngineError::Conflict(format!(
                "Plan {} has no remote trigger: add `- remote` to its `triggers`.",
                plan_row.key
            )));
        }
        let mut repository_id = None;
        let mut hosts = Vec::new();
        for row in &rows {
            let Some(found) = self.repository_of(row).await? else {
                continue;
            };
            repository_id = repository_id.or(Some(found.id));
            hosts.extend(self.host_addresses(&found).await);
        }
        if let Some(peer) = peer {
            let server_wide = self
                .settings()
                .trigger_addresses
                .iter()
                .any(|pattern| pattern.matches(peer));
            let verdicts: Vec<_> = lists.iter().map(|list| allows(peer, list, &hosts)).collect();
            if !server_wide && !verdicts.iter().any(|verdict| verdict.allowed) {
                let rules: Vec<String> = verdicts.into_iter().map(|verdict| verdict.rule).collect();
                return Err(EngineError::Refused {
                    subject: format!("plan {}", plan_row.key),
                    reason: format!("the address {peer} may not trigger it: {}", rules.join("; ")),
                });
            }
        }
        self.enter_trigger(caller, &branch.key, skip_branches, repository_id, plan_row.name)
            .await
    }

    async fn enter_trigger(
        &self,
        caller: &Caller,
        key: &PlanKey,
        skip_branches: bool,
        repository_id: Option<i64>,
        plan_name: String,
    ) -> Result<Triggered, EngineError> {
        let kind = if skip_branches {
            "remote-trigger-one"
        } else {
            "remote-trigger"
        };
        let new = NewEvent {
            kind,
            delivery_id: None,
            address: caller.address.clone(),
            principal: caller.name().to_owned(),
            repository_id,
            plan_key: Some(key.to_string()),
            summary: format!("remote trigger of {key}"),
            raw: Vec::new(),
            content: Content::RemoteTrigger {
                plan_key: key.to_string(),
                skip_branches,
            },
        };
        let key = key.to_string();
        let event_id = self
            .store()
            .write(move |tx| {
                if let Some(waiting) = event::waiting_trigger(tx, &key, kind)? {
                    event::count_repeat(tx, waiting)?;
                    return Ok(waiting);
                }
                event::receive(tx, new, clock::now_ms()).map(|received: Received| received.id())
            })
            .await?;
        Ok(Triggered { event_id, plan_name })
    }

    /// The addresses of the repository's own host, which may always trigger. A host whose name does not resolve
    /// has none.
    async fn host_addresses(&self, found: &Repository) -> Vec<IpAddr> {
        let loopback = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        if found.kind != RepositoryKind::Linked {
            return loopback;
        }
        let Ok(url) = RepositoryUrl::parse(&found.url, self.url_policy()) else {
            return Vec::new();
        };
        let Some(host) = url.host() else { return loopback };
        match tokio::net::lookup_host((host, 0)).await {
            Ok(addresses) => addresses.map(|address| address.ip()).collect(),
            Err(_) => Vec::new(),
        }
    }
}
