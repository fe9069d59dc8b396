//! New tags of an arrival: the commits that they name, and the parts of the arrival that plans with tag triggers are
//! asked about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use madake_domain::change::{Arrival, MovedRef, News, RefKind, Revision, Source};
use madake_domain::plan::{PlanConfiguration, TriggerKind};
use madake_store::event::RefUpdate;
use madake_store::repository::Repository;
use madake_vcs::name::ObjectId;

use super::judge::{Asked, Loaded, Part};
use super::timers::{own_versions, with_triggers_of};
use crate::reading::{Named, named};
use crate::{Engine, EngineError};

/// A tag that was not there before.
#[derive(Debug, Clone)]
pub(super) struct NewTag {
    /// Its name, without `refs/tags/`.
    name: String,
    /// The commit that it names, if it names one.
    commit: Option<Revision>,
}

/// The new tags among refs that moved, with the commits that they name.
pub(super) async fn new_tags(
    engine: &Engine,
    found: &Repository,
    updates: &[RefUpdate],
) -> Result<Vec<NewTag>, EngineError> {
    let mut tags = Vec::new();
    for update in updates.iter().filter(|update| update.old.is_none()) {
        let (Named::Tag(name), Some(id)) = (named(found.scm, &update.name), &update.new) else {
            continue;
        };
        let commit = match ObjectId::parse(id) {
            Ok(id) => engine.open_repository(found)?.commit_named(&id).await,
            Err(_) => None,
        };
        tags.push(NewTag {
            name,
            commit: commit.and_then(|id| Revision::new(&id.to_string())),
        });
    }
    Ok(tags)
}

/// The parts of an arrival that are about new tags: one for each tag, for the plan itself and for each plan branch whose
/// own file has tag triggers. Tags that have a part are taken out of the arrival.
pub(super) async fn parts(
    engine: &Engine,
    loaded: &Loaded,
    asked: &Asked,
    whole: &mut Arrival,
) -> Result<Vec<Part>, EngineError> {
    let mut parts = Vec::new();
    // What was there when the plan was made is where counting starts.
    if asked.tags.is_empty() || loaded.plan.created_ms >= asked.received_ms {
        return Ok(parts);
    }
    let own = own_versions(engine, loaded).await?;
    let mut listening: Vec<(Arc<PlanConfiguration>, BTreeSet<_>)> = Vec::new();
    if has_tag_trigger(&loaded.configuration) {
        let rows = loaded.rows.iter().filter(|row| row.is_master);
        listening.push((
            Arc::clone(&loaded.configuration),
            rows.map(|row| row.key.clone()).collect(),
        ));
    }
    for (key, version) in own {
        if has_tag_trigger(&version) {
            let of_branch = with_triggers_of(&loaded.configuration, &version);
            listening.push((Arc::new(of_branch), BTreeSet::from([key])));
        }
    }
    if listening.is_empty() {
        return Ok(parts);
    }
    let taken = &asked.tags[..asked.tags.len().min(whole.max_candidates)];
    if let News::Moved(moved) = &mut whole.news {
        let names: BTreeSet<&str> = taken.iter().map(|tag| tag.name.as_str()).collect();
        moved.retain(|one| one.kind != RefKind::Tag || !names.contains(one.name.as_str()));
    }
    for tag in taken {
        for (configuration, keys) in &listening {
            let rows = loaded.rows.iter().filter(|row| keys.contains(&row.key));
            parts.push(Part {
                configuration: Arc::clone(configuration),
                arrival: Arrival {
                    source: Source::Tag {
                        name: tag.name.clone(),
                    },
                    repository: whole.repository.clone(),
                    news: News::Moved(vec![MovedRef {
                        kind: RefKind::Tag,
                        name: tag.name.clone(),
                        old: None,
                        new: tag.commit.clone(),
                    }]),
                    current_heads: BTreeMap::new(),
                    pusher: asked.pusher.clone(),
                    max_candidates: whole.max_candidates,
                },
                rows: rows.cloned().collect(),
            });
        }
    }
    Ok(parts)
}

/// Whether a plan builds tags.
pub(crate) fn has_tag_trigger(configuration: &PlanConfiguration) -> bool {
    let mut triggers = configuration.triggers.iter().flatten();
    triggers.any(|trigger| matches!(trigger.kind, TriggerKind::Tag { .. }))
}
