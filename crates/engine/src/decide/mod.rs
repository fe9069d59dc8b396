//! Step 4 of the walk, the part that reads and writes: gathers what the pure decision of
//! [`madake_domain::change`] looks at, and stores what it says together with the builds that come of it.

mod heads;
mod judge;
pub(crate) mod own_file;
mod own_pushes;
mod pull_request;
mod push;
mod record;
mod tags;
mod timers;

use madake_domain::change::Source;
use madake_domain::text::counted;
use madake_store::event::{Content, Event, RefUpdate, Via};
use madake_store::repository::Repository;
use madake_store::{event, plan, repository};

use self::heads::{parent, poll, remote_trigger, whether_or_not_changed};
use self::judge::{Asked, Judged, judge_loaded, load};
use self::push::{apply_plan_files, as_news, follow_default_branch, push, push_asked};
use self::record::{Verdict, store};
use self::tags::new_tags;
use crate::listening::moved;
use crate::telling::Prepared;
use crate::{Engine, EngineError, clock, telling};

pub(crate) use self::judge::would_act;
pub(crate) use self::record::set_version;
pub(crate) use self::tags::has_tag_trigger;

/// How many decisions that nothing comes of share a transaction: enough to share its cost, and few enough that the
/// arrivals of a flood, which use the same writer and the same processor, hardly wait for it.
const TOGETHER: usize = 32;

/// Decides arrivals of one repository in their order and stores the decisions, the builds, and that the arrivals are
/// decided. `decided` counts those that are done, also when a later one fails.
///
/// # Errors
/// Why the arrival behind the decided ones cannot be decided now.
pub(crate) async fn decide_events(
    engine: &Engine,
    events: &[Event],
    decided: &mut usize,
) -> Result<(), EngineError> {
    while let Some(event) = events.get(*decided) {
        if engine.stopping().is_cancelled() {
            break;
        }
        let webhooks = events[*decided..]
            .iter()
            .take_while(|one| is_webhook(one))
            .count();
        if webhooks > 0 {
            let together = *decided..*decided + webhooks;
            decide_webhooks(engine, &events[together], decided).await?;
        } else {
            decide_event(engine, event).await?;
            *decided += 1;
        }
    }
    Ok(())
}

fn is_webhook(event: &Event) -> bool {
    matches!(
        event.content,
        Content::Push {
            via: Via::Webhook,
            ..
        }
    )
}

async fn decide_event(engine: &Engine, event: &Event) -> Result<(), EngineError> {
    match &event.content {
        Content::Push {
            via, updates, pusher, ..
        } => push(engine, event, *via, updates, pusher.as_deref()).await,
        Content::RemoteTrigger {
            plan_key,
            skip_branches,
        } => remote_trigger(engine, event, plan_key, *skip_branches).await,
        Content::Poll { plans, branches } => poll(engine, event, plans, branches).await,
        Content::Cron {
            plan_id,
            expression,
            branch,
        } => {
            let source = Source::Cron {
                expression: expression.clone(),
            };
            whether_or_not_changed(engine, event, *plan_id, source, branch.as_deref()).await
        }
        Content::Deployment {
            plan_id,
            target,
            project,
            environment,
            release,
            ..
        } => {
            let source = Source::Deployment {
                project: project.clone(),
                environment: environment.clone(),
                release: release.clone(),
            };
            whether_or_not_changed(engine, event, *plan_id, source, Some(target)).await
        }
        Content::Parent {
            plan_id,
            target,
            build,
            ..
        } => parent(engine, event, *plan_id, target, build).await,
        Content::PullRequest { told } => pull_request::pull_request(engine, event, told).await,
        Content::Request { .. } | Content::Refused => close(engine, event, "nothing is to be decided").await,
    }
}

/// Webhooks are hints, and may come in thousands: the refs themselves are read once for those that wait together,
/// and those of which nothing comes share a transaction.
async fn decide_webhooks(engine: &Engine, events: &[Event], decided: &mut usize) -> Result<(), EngineError> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Ok(());
    };
    let Some(found) = repository_of(engine, first).await? else {
        for event in events {
            close(engine, event, "the repository is gone").await?;
            *decided += 1;
        }
        return Ok(());
    };
    let told: Vec<RefUpdate> = events
        .iter()
        .flat_map(|event| moved_refs(event).0)
        .cloned()
        .collect();
    let found = follow_default_branch(engine, found, &told).await?;
    let read = engine.refs_since(&found, last.received_ms).await?;
    // A look sees what no webhook names, too: a ref that its sender does not tell, and one whose webhook was lost.
    // What has moved since the last look is told once, with the first of those that wait together.
    let mut to_tell = moved::since_last_look(engine, &found, &read).await?;
    let untold = moved::untold(&to_tell, &told);
    // They go with the first, so that a crash between two parts loses none of them.
    let with_untold = [moved_refs(first).0, &untold].concat();
    let news_of = |event: &Event| (event.id == first.id).then_some(with_untold.as_slice());
    for event in events {
        let updates = news_of(event).unwrap_or_else(|| moved_refs(event).0);
        // What is put in force is the plan file that is there now: once is enough.
        if apply_plan_files(engine, event, &found, updates, Some(&read)).await? {
            break;
        }
    }
    let mut tags = new_tags(&found, &to_tell);
    let plan_ids = plans_of(engine, found.id).await?;
    let mut plans = load(engine, Some(&found), plan_ids.clone()).await?;
    let mut verdicts = Vec::new();
    for event in events {
        let (updates, pusher) = moved_refs(event);
        let (moved, current_heads) =
            as_news(&found, news_of(event).unwrap_or(updates), Some(&read), &read.refs);
        let asked = Asked {
            tags: std::mem::take(&mut tags),
            received_ms: event.received_ms,
            ..push_asked(&found, Via::Webhook, moved, current_heads, pusher)
        };
        let judged = match judge_loaded(engine, Some(&found), &plans, &asked).await {
            Ok(judged) => judged,
            Err(error) => {
                let done = verdicts.len();
                store(engine, verdicts, Some(&found), Some(&read)).await?;
                *decided += done;
                return Err(error);
            }
        };
        let acts = judged.iter().any(Judged::acts);
        let told = telling::prepare(engine, event, &found, &std::mem::take(&mut to_tell), pusher).await?;
        let tells = !told.deliveries.is_empty();
        let mut verdict = verdict(event, judged, told);
        if event.id == first.id && !untold.is_empty() && !updates.is_empty() {
            let note = format!(
                "{} that no webhook named had moved, too, as was found when the refs were read",
                counted(untold.len(), "ref")
            );
            verdict.notes.push(("warning", note));
        }
        verdicts.push(verdict);
        if acts || tells || (verdicts.len() >= TOGETHER && event.id != last.id) {
            let done = verdicts.len();
            // After a part that nothing comes of, the refs are remembered with the rest.
            let read = (acts || tells).then_some(&read);
            store(engine, std::mem::take(&mut verdicts), Some(&found), read).await?;
            *decided += done;
        }
        if acts {
            plans = load(engine, Some(&found), plan_ids.clone()).await?;
        }
    }
    let done = verdicts.len();
    store(engine, verdicts, Some(&found), Some(&read)).await?;
    *decided += done;
    Ok(())
}

fn moved_refs(event: &Event) -> (&[RefUpdate], Option<&str>) {
    match &event.content {
        Content::Push { updates, pusher, .. } => (updates, pusher.as_deref()),
        _ => (&[], None),
    }
}

fn verdict(event: &Event, judged: Vec<Judged>, told: Prepared) -> Verdict {
    Verdict {
        event: event.clone(),
        judged,
        deliveries: told.deliveries,
        notes: told.notes,
        tags: Vec::new(),
        pull_request_id: None,
    }
}

async fn plans_of(engine: &Engine, repository_id: i64) -> Result<Vec<i64>, EngineError> {
    engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(plan::using_repository(tx, repository_id)?))
        .await
}

async fn repository_of(engine: &Engine, event: &Event) -> Result<Option<Repository>, EngineError> {
    let Some(id) = event.repository_id else {
        return Ok(None);
    };
    Ok(engine.store().read(move |tx| repository::by_id(tx, id)).await?)
}

/// Ends an event of which nothing can come.
async fn close(engine: &Engine, event: &Event, why: &str) -> Result<(), EngineError> {
    let (id, why) = (event.id, why.to_owned());
    engine
        .store()
        .write(move |tx| event::mark_processed(tx, id, Some(&why), clock::now_ms()).map(|_| ()))
        .await?;
    Ok(())
}
