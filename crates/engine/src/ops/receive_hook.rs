//! Takes what the hook of an attached repository saw: lines of `old new ref`, or nothing, which means "look".

use std::collections::BTreeMap;

use madake_domain::permission::Permission;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_domain::text::counted;
use madake_store::event::{self, Content, NewEvent, Received, RefUpdate, Via};
use madake_store::repository::{self, Repository};
use madake_vcs::name::{ObjectId, RefName};

use crate::access::{Caller, Target, require};
use crate::reconcile::compare;
use crate::{Engine, EngineError, clock};

impl Engine {
    /// Enters a push that the hook of the attached repository `name` reports. `lines` is what Git gave the hook. The
    /// hook of Mercurial has none: then the refs are compared with the ledger, and `None` says that nothing moved.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for lines that are not Git's.
    pub async fn receive_hook(
        &self,
        caller: &Caller,
        name: &str,
        lines: &str,
        pusher: Option<String>,
    ) -> Result<Option<Received>, EngineError> {
        if lines.trim().is_empty() {
            return self.compare_after_hook(caller, name, pusher).await;
        }
        let updates = parse(lines, self.settings().refs_per_push)?;
        let asked = name.to_owned();
        let found = self
            .store()
            .read(move |tx| repository::by_name(tx, &asked))
            .await?;
        if found.as_ref().is_some_and(|found| found.scm == Scm::Hg) {
            return self.compare_after_hook(caller, name, pusher).await;
        }
        let current = match &found {
            Some(found) => self.current_refs(found, &updates).await,
            None => BTreeMap::new(),
        };
        let (caller, name, raw) = (caller.clone(), name.to_owned(), lines.as_bytes().to_vec());
        self.store()
            .write(move |tx| {
                let found = repository::by_name(tx, &name)?
                    .filter(|found| found.kind == RepositoryKind::Attached)
                    .ok_or_else(|| EngineError::NotFound(format!("no repository is attached as {name}")))?;
                require(tx, &caller, Permission::Write, Target::Repository(&found))?;
                let new = NewEvent {
                    kind: "push",
                    delivery_id: None,
                    address: caller.address.clone(),
                    principal: pusher.clone().unwrap_or_else(|| caller.name().to_owned()),
                    repository_id: Some(found.id),
                    plan_key: None,
                    summary: format!(
                        "push to {} ({}), told by its hook",
                        found.name,
                        counted(updates.len(), "ref")
                    ),
                    raw,
                    content: Content::Push {
                        via: Via::Hook,
                        updates,
                        pusher,
                        options: Vec::new(),
                    },
                };
                Ok(Some(event::receive_push(
                    tx,
                    new,
                    Some(&current),
                    clock::now_ms(),
                )?))
            })
            .await
    }

    async fn compare_after_hook(
        &self,
        caller: &Caller,
        name: &str,
        pusher: Option<String>,
    ) -> Result<Option<Received>, EngineError> {
        let (asking, name) = (caller.clone(), name.to_owned());
        let found: Repository = self
            .store()
            .read(move |tx| {
                let found = repository::by_name(tx, &name)?
                    .filter(|found| found.kind == RepositoryKind::Attached)
                    .ok_or_else(|| EngineError::NotFound(format!("no repository is attached as {name}")))?;
                require(tx, &asking, Permission::Write, Target::Repository(&found))?;
                Ok::<_, EngineError>(found)
            })
            .await?;
        let Some(updates) = compare(self, &found).await? else {
            return Ok(None);
        };
        let new = NewEvent {
            kind: "push",
            delivery_id: None,
            address: caller.address.clone(),
            principal: pusher.clone().unwrap_or_else(|| caller.name().to_owned()),
            repository_id: Some(found.id),
            plan_key: None,
            summary: format!(
                "push to {} ({}), told by its hook",
                found.name,
                counted(updates.len(), "ref")
            ),
            raw: Vec::new(),
            content: Content::Push {
                via: Via::Hook,
                updates,
                pusher,
                options: Vec::new(),
            },
        };
        let entered = self
            .store()
            .write(move |tx| event::receive(tx, new, clock::now_ms()));
        Ok(Some(entered.await?))
    }
}

fn parse(lines: &str, limit: usize) -> Result<Vec<RefUpdate>, EngineError> {
    let mut updates = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        if number >= limit {
            tracing::warn!("a hook reported more than {limit} refs; reconciliation finds the rest");
            break;
        }
        let wrong =
            |what: String| EngineError::Invalid(format!("line {} of the hook's input: {what}", number + 1));
        let mut parts = line.splitn(3, ' ');
        let (Some(old), Some(new), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("expected `old new ref`".into()));
        };
        let id = |text: &str| -> Result<Option<String>, EngineError> {
            let id = ObjectId::parse(text).map_err(|error| wrong(error.to_string()))?;
            Ok((!id.is_zero()).then(|| id.to_string()))
        };
        let name = RefName::parse(name).map_err(|error| wrong(error.to_string()))?;
        updates.push(RefUpdate {
            name: name.to_string(),
            old: id(old)?,
            new: id(new)?,
        });
    }
    Ok(updates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_hook_are_read_and_others_refused() {
        let (old, new) = ("1".repeat(40), "0".repeat(40));
        let read = parse(&format!("{old} {new} refs/heads/x\n"), 10).expect("a deletion");
        assert_eq!(read[0].new, None);
        assert_eq!(read[0].old.as_deref(), Some(old.as_str()));
        for bad in [
            "x",
            "1 2 refs/heads/x",
            &format!("{old} {old} refs/heads/a..b"),
            &format!("{old} {old} -x"),
        ] {
            assert!(parse(bad, 10).is_err(), "{bad}");
        }
    }
}
