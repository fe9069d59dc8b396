//! Arrivals that name no refs: the heads are looked at for the plans that were asked about.

use madake_domain::change::Source;
use madake_domain::key::PlanKey;
use madake_domain::repository::RepositoryKind;
use madake_store::event::{Event, RefUpdate};
use madake_store::repository::Repository;
use madake_store::{plan, repository};

use super::judge::{Asked, AskedNews, heads_asked, heads_asked_without, judge};
use super::push::apply_plan_files;
use super::record::{Verdict, store};
use super::tags::hand_on;
use super::{close, repository_of, verdict};
use crate::heads::RefsRead;
use crate::listening::moved;
use crate::reading::refs_of_branch;
use crate::telling::Prepared;
use crate::{Engine, EngineError, telling};

pub(super) async fn remote_trigger(
    engine: &Engine,
    event: &Event,
    plan_key: &str,
    skip_branches: bool,
) -> Result<(), EngineError> {
    let Ok(asked) = plan_key.parse::<PlanKey>() else {
        return close(engine, event, "the key is not a key").await;
    };
    let key = asked.clone();
    let found = engine
        .store()
        .read(move |tx| {
            let Some(branch) = plan::branch_by_key(tx, &key)? else {
                return Ok(None);
            };
            Ok::<_, EngineError>(Some((branch.plan_id, plan::repositories(tx, branch.plan_id)?)))
        })
        .await?;
    let Some((plan_id, rows)) = found else {
        return close(engine, event, "the plan is gone").await;
    };
    let mut judged = Vec::new();
    let mut first = None;
    let mut told = Prepared::default();
    let mut tags = Vec::new();
    for row in &rows {
        let Some(one) = engine.repository_of(row).await? else {
            continue;
        };
        let read = engine.refs_since(&one, event.received_ms).await?;
        apply_new_plan_file(engine, event, &one, &read).await?;
        let source = Source::RemoteTrigger {
            asked: asked.clone(),
            skip_branches,
        };
        let asked = Asked {
            received_ms: event.received_ms,
            ..heads_asked(&one, source, &read)
        };
        judged.extend(judge(engine, Some(&one), vec![plan_id], &asked).await?);
        // Of one repository alone it is remembered what was read.
        if first.is_none() {
            let mut moved = moved::since_last_look(engine, &one, &read).await?;
            tags = hand_on(engine, &one, &mut moved).await?;
            told = telling::prepare(engine, event, &one, &moved, None).await?;
            first = Some((one, read));
        }
    }
    if rows.is_empty() {
        return close(
            engine,
            event,
            "the plan has no repository, so nothing can have changed",
        )
        .await;
    }
    let (found, read) = match first {
        Some((found, read)) => (Some(found), Some(read)),
        None => {
            return close(
                engine,
                event,
                "none of the plan's repositories is known to this server",
            )
            .await;
        }
    };
    let verdict = Verdict {
        tags,
        ..verdict(event, judged, told)
    };
    store(engine, vec![verdict], found.as_ref(), read.as_ref()).await
}

async fn look_at_heads(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    asked_for: Vec<(Vec<i64>, Option<PlanKey>)>,
    source: Source,
) -> Result<(), EngineError> {
    let read = engine.refs(found).await?;
    apply_new_plan_file(engine, event, found, &read).await?;
    let mut moved = moved::since_last_look(engine, found, &read).await?;
    let tags = hand_on(engine, found, &mut moved).await?;
    let mut judged = Vec::new();
    for (plan_ids, only) in asked_for {
        let asked = Asked {
            received_ms: event.received_ms,
            only,
            ..heads_asked(found, source.clone(), &read)
        };
        judged.extend(judge(engine, Some(found), plan_ids, &asked).await?);
    }
    let told = telling::prepare(engine, event, found, &moved, None).await?;
    let verdict = Verdict {
        tags,
        ..verdict(event, judged, told)
    };
    store(engine, vec![verdict], Some(found), Some(&read)).await
}

/// A look found something for these plans, and for these plan branches with polling triggers of their own.
pub(super) async fn poll(
    engine: &Engine,
    event: &Event,
    plans: &[i64],
    branches: &[(i64, String)],
) -> Result<(), EngineError> {
    let Some(found) = repository_of(engine, event).await? else {
        return close(engine, event, "the repository is gone").await;
    };
    let mut asked_for = vec![(plans.to_vec(), None)];
    for (plan_id, key) in branches {
        if let Ok(key) = key.parse() {
            asked_for.push((vec![*plan_id], Some(key)));
        }
    }
    look_at_heads(engine, event, &found, asked_for, Source::Poll).await
}

/// Puts the plan file of a linked repository in force when its default branch has moved since the last look.
async fn apply_new_plan_file(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    read: &RefsRead,
) -> Result<(), EngineError> {
    if found.kind != RepositoryKind::Linked {
        return Ok(());
    }
    let Some(new) = read.head(&found.default_branch).cloned() else {
        return Ok(());
    };
    let (id, names) = (found.id, refs_of_branch(found.scm, &found.default_branch));
    let name = names.into_iter().find(|name| read.refs.contains_key(name));
    let Some(name) = name else { return Ok(()) };
    let asked = name.clone();
    let old = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(repository::ref_value(tx, id, &asked)?))
        .await?;
    let update = RefUpdate {
        name,
        old,
        new: Some(new),
    };
    apply_plan_files(engine, event, found, &[update], Some(read)).await?;
    Ok(())
}

/// A build of a parent was successful.
pub(super) async fn parent(
    engine: &Engine,
    event: &Event,
    plan_id: i64,
    target: &str,
    build: &str,
) -> Result<(), EngineError> {
    let Ok(target) = target.parse::<PlanKey>() else {
        return close(engine, event, "the key is not a key").await;
    };
    let source = Source::Parent {
        build: build.to_owned(),
        target,
    };
    whether_or_not_changed(engine, event, plan_id, source, None).await
}

pub(super) async fn whether_or_not_changed(
    engine: &Engine,
    event: &Event,
    plan_id: i64,
    source: Source,
    only: Option<&str>,
) -> Result<(), EngineError> {
    let Ok(only) = only.map(str::parse::<PlanKey>).transpose() else {
        return close(engine, event, "the key is not a key").await;
    };
    let rows = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(plan::repositories(tx, plan_id)?))
        .await?;
    let Some(row) = rows.first() else {
        let asked = Asked {
            news: AskedNews::NoRepository,
            only,
            ..heads_asked_without(source)
        };
        let judged = judge(engine, None, vec![plan_id], &asked).await?;
        return store(
            engine,
            vec![verdict(event, judged, Prepared::default())],
            None,
            None,
        )
        .await;
    };
    match engine.repository_of(row).await? {
        Some(found) => look_at_heads(engine, event, &found, vec![(vec![plan_id], only)], source).await,
        None => {
            close(
                engine,
                event,
                &format!("the repository {} is not known to this server", row.name),
            )
            .await
        }
    }
}
