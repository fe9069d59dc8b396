//! New tags of an arrival: the commits that they name, the parts of the arrival that plans with tag triggers are asked
//! about, and those that are handed on to be judged for all plans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use madake_domain::change::{Arrival, Decision, MovedRef, News, RefKind, Revision, Source};
use madake_domain::plan::{PlanConfiguration, TriggerKind};
use madake_store::event::RefUpdate;
use madake_store::plan;
use madake_store::repository::Repository;
use madake_vcs::name::ObjectId;
use tokio::sync::OnceCell;

use super::judge::{Asked, Loaded, Part};
use super::timers::{own_versions, with_triggers_of};
use crate::reading::{Named, named};
use crate::{Engine, EngineError};

/// A tag that was not there before.
#[derive(Debug)]
pub(super) struct NewTag {
    /// Its name, without `refs/tags/`.
    name: String,
    /// What the ref holds: a commit, or something that names one.
    id: String,
    /// The commit that it names, if it names one; it is read when a plan listens, and once for all plans.
    commit: OnceCell<Option<Revision>>,
}

impl NewTag {
    async fn commit(&self, engine: &Engine, found: &Repository) -> Result<Option<Revision>, EngineError> {
        let read = self.commit.get_or_try_init(|| async {
            let commit = match ObjectId::parse(&self.id) {
                Ok(id) => engine.open_repository(found)?.commit_named(&id).await,
                Err(_) => None,
            };
            Ok::<_, EngineError>(commit.and_then(|id| Revision::new(&id.to_string())))
        });
        Ok(read.await?.clone())
    }
}

/// The new tags among refs that moved.
pub(super) fn new_tags(found: &Repository, updates: &[RefUpdate]) -> Vec<NewTag> {
    let new = updates.iter().filter(|update| update.old.is_none());
    new.filter_map(|update| match (named(found.scm, &update.name), &update.new) {
        (Named::Tag(name), Some(id)) => Some(NewTag {
            name,
            id: id.clone(),
            commit: OnceCell::new(),
        }),
        _ => None,
    })
    .collect()
}

/// Takes the new tags out of refs that moved, for an arrival that is not about all plans but remembers all refs. Where no
/// plan listens, nothing is taken out.
pub(super) async fn hand_on(
    engine: &Engine,
    found: &Repository,
    moved: &mut Vec<RefUpdate>,
) -> Result<Vec<RefUpdate>, EngineError> {
    if new_tags(found, moved).is_empty() || !is_listened_to(engine, found).await? {
        return Ok(Vec::new());
    }
    let (tags, rest) = std::mem::take(moved)
        .into_iter()
        .partition(|one| !new_tags(found, std::slice::from_ref(one)).is_empty());
    *moved = rest;
    Ok(tags)
}

/// Whether a plan that uses the repository, or one of its plan branches, builds tags.
async fn is_listened_to(engine: &Engine, found: &Repository) -> Result<bool, EngineError> {
    let id = found.id;
    let versions = engine
        .store()
        .read(move |tx| {
            let mut versions = BTreeSet::new();
            for plan_id in plan::using_repository(tx, id)? {
                versions.insert(plan::by_id(tx, plan_id)?.version_id);
                let branches = plan::branches(tx, plan_id)?;
                versions.extend(branches.iter().filter_map(|branch| branch.version_id));
            }
            Ok::<_, EngineError>(versions)
        })
        .await?;
    for version_id in versions {
        let configuration = engine.configuration(version_id).await?;
        if has_tag_trigger(&configuration) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a plan is asked about new tags.
#[derive(Default)]
pub(super) struct Tagged {
    pub(super) parts: Vec<Part>,
    /// The tags that are more than are taken up at once.
    pub(super) too_many: Option<Decision>,
}

impl Tagged {
    /// Whether tags were taken out of the arrival.
    pub(super) fn any(&self) -> bool {
        !self.parts.is_empty() || self.too_many.is_some()
    }
}

/// The parts of an arrival that are about new tags: one for each tag, for the plan itself and for each plan branch whose
/// own file has tag triggers. Where somebody listens, the tags are taken out of the arrival.
pub(super) async fn parts(
    engine: &Engine,
    found: Option<&Repository>,
    loaded: &Loaded,
    asked: &Asked,
    whole: &mut Arrival,
) -> Result<Tagged, EngineError> {
    let mut tagged = Tagged::default();
    // What was there when the plan was made is where counting starts.
    let Some(found) = found.filter(|_| !asked.tags.is_empty()) else {
        return Ok(tagged);
    };
    if loaded.plan.created_ms >= asked.received_ms {
        return Ok(tagged);
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
        return Ok(tagged);
    }
    let (taken, rest) = asked.tags.split_at(asked.tags.len().min(whole.max_candidates));
    if !rest.is_empty() {
        let names = rest.iter().map(|tag| tag.name.clone()).collect();
        tagged.too_many = Some(Decision::too_many_tags(&loaded.plan.key, taken.len(), names));
    }
    if let News::Moved(moved) = &mut whole.news {
        let names: BTreeSet<&str> = asked.tags.iter().map(|tag| tag.name.as_str()).collect();
        moved.retain(|one| one.kind != RefKind::Tag || !names.contains(one.name.as_str()));
    }
    for tag in taken {
        let commit = tag.commit(engine, found).await?;
        for (configuration, keys) in &listening {
            let rows = loaded.rows.iter().filter(|row| keys.contains(&row.key));
            tagged.parts.push(Part {
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
                        new: commit.clone(),
                    }]),
                    current_heads: BTreeMap::new(),
                    pusher: asked.pusher.clone(),
                    max_candidates: whole.max_candidates,
                },
                rows: rows.cloned().collect(),
            });
        }
    }
    Ok(tagged)
}

/// Whether a plan builds tags.
pub(crate) fn has_tag_trigger(configuration: &PlanConfiguration) -> bool {
    let mut triggers = configuration.triggers.iter().flatten();
    triggers.any(|trigger| matches!(trigger.kind, TriggerKind::Tag { .. }))
}
