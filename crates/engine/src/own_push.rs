//! What builds pushed, whoever finds it: a push, a hook, a webhook or a look.
//!
//! A job says what it pushes before it does, in a file of its attempt. Of attempts that run, that file is read; when an
//! attempt has ended, what it says goes into the store before the file goes. So there is no moment at which a push can
//! be found and is not known.

use std::time::Duration;

use madake_agent::job_directory::JobDirectoryError;
use madake_protocol::AnnouncedPush;
use madake_store::build::{self, Job};
use madake_store::own_push::{self, Attempt, OwnPush};

use crate::{Engine, EngineError, clock};

/// How long pushes are remembered, in milliseconds; those whose ref is still there are remembered longer.
const REMEMBERED_MS: i64 = 90 * 24 * 3600 * 1000;
/// How long to wait before something that must be stored is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The key of the build of this plan that put one of these refs of the repository where it is.
pub(crate) async fn build_of(
    engine: &Engine,
    plan_id: i64,
    repository_id: i64,
    refs: &[String],
    revision: &str,
) -> Result<Option<String>, EngineError> {
    // In this order: an attempt that ends meanwhile has stored what its file said.
    let attempts = engine
        .store()
        .read(move |tx| own_push::attempts_now(tx, plan_id))
        .await?;
    for one in attempts {
        let announced = read(engine, &one).await?;
        let is_it = |push: &AnnouncedPush| {
            push.repository_id == repository_id && push.revision == revision && refs.contains(&push.ref_name)
        };
        if announced.iter().any(is_it) {
            return Ok(Some(one.build_key));
        }
    }
    let (refs, revision) = (refs.to_vec(), revision.to_owned());
    engine
        .store()
        .read(move |tx| {
            for name in refs {
                let found = own_push::build_of(tx, plan_id, repository_id, &name, &revision)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok::<_, EngineError>(None)
        })
        .await
}

async fn read(engine: &Engine, one: &Attempt) -> Result<Vec<AnnouncedPush>, EngineError> {
    let directory = engine.agent().job_directory(one.job_id, one.attempt);
    let read = tokio::task::spawn_blocking(move || directory.read_pushes())
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))?;
    match read {
        Ok(pushes) => Ok(pushes),
        Err(error @ JobDirectoryError::Io { .. }) => Err(EngineError::Unavailable(error.to_string())),
        Err(error) => {
            tracing::error!(
                job.id = one.job_id,
                "what job {} pushed is not known: {error}",
                one.job_id
            );
            Ok(Vec::new())
        }
    }
}

/// Stores what an attempt that has ended says that it pushed, however long that takes. Whether it could: the server may
/// end before.
pub(crate) async fn keep(engine: &Engine, job: &Job) -> bool {
    loop {
        match try_to_keep(engine, job).await {
            // Of a build that is gone nothing is kept.
            Ok(()) | Err(EngineError::NotFound(_)) => return true,
            Err(error) => {
                tracing::error!(
                    job.id = job.id,
                    "what job {} pushed cannot be stored yet: {error}",
                    job.key
                );
                tokio::select! {
                    () = engine.stopping().cancelled() => return false,
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
        }
    }
}

async fn try_to_keep(engine: &Engine, job: &Job) -> Result<(), EngineError> {
    let attempt = Attempt {
        build_key: String::new(),
        job_id: job.id,
        attempt: job.attempt,
    };
    let pushes = read(engine, &attempt).await?;
    if pushes.is_empty() {
        return Ok(());
    }
    let build_id = job.build_id;
    engine
        .store()
        .write(move |tx| {
            let (build, now) = (build::by_id(tx, build_id)?, clock::now_ms());
            for push in pushes {
                let row = OwnPush {
                    repository_id: push.repository_id,
                    plan_id: build.plan_id,
                    ref_name: push.ref_name,
                    revision: push.revision,
                    build_key: build.key.clone(),
                    pushed_ms: now,
                };
                own_push::insert(tx, &row)?;
            }
            Ok::<_, EngineError>(())
        })
        .await
}

/// Forgets what was pushed long ago.
pub(crate) async fn forget_old(engine: &Engine) -> Result<(), EngineError> {
    engine
        .store()
        .write(|tx| own_push::forget_before(tx, clock::now_ms() - REMEMBERED_MS).map(|_| ()))
        .await?;
    Ok(())
}
