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
use madake_store::{StoreError, Tx};

use crate::{Engine, EngineError, clock};

/// How long pushes are remembered, in milliseconds; those whose ref is still there are remembered longer.
const REMEMBERED_MS: i64 = 90 * 24 * 3600 * 1000;
/// How long to wait before something that must be stored is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The most pushes, each onto the one before, that are looked at.
const MOST_IN_A_ROW: usize = 100;

/// Whose pushes are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// Those of builds of the plan that is judged.
    Judged,
    /// Those of all builds.
    All,
}

/// What builds pushed, as of a moment.
pub(crate) struct OwnPushes {
    /// Of attempts that run; of others the store knows it.
    announced: Vec<OwnPush>,
}

/// A ref of a repository that somebody put at a revision.
#[derive(Clone, Copy)]
pub(crate) struct Moved<'a> {
    pub(crate) repository_id: i64,
    /// Which refs it may be.
    pub(crate) is_ref: &'a dyn Fn(&str) -> bool,
    pub(crate) revision: &'a str,
    /// The revision that was considered before: what is below it is dealt with.
    pub(crate) considered: Option<&'a str>,
}

impl OwnPushes {
    /// Reads what attempts that run have announced. Whatever is asked of the store later knows those that end meanwhile.
    ///
    /// What attempts of the plan `judged` announced must be known. Those of other plans only count, so one that cannot be
    /// read keeps nothing waiting.
    pub(crate) async fn now(engine: &Engine, judged: Option<i64>, of: Of) -> Result<Self, EngineError> {
        let attempts = engine.store().read(own_push::attempts_now).await?;
        let mut announced = Vec::new();
        for one in attempts {
            let is_judged = judged == Some(one.plan_id);
            if !is_judged && of == Of::Judged {
                continue;
            }
            match read(engine, &one).await {
                Ok(pushes) => announced.extend(pushes.into_iter().map(|push| row_of(push, &one))),
                Err(error) if is_judged => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        job.id = one.job_id,
                        "what a running job pushed is not counted: {error}"
                    );
                }
            }
        }
        Ok(Self { announced })
    }

    /// The key of the build that put the ref there, of this plan or of any, where all that came to the ref with it is
    /// builds' own. What people pushed below a push of a build is to be built.
    pub(crate) fn build_of(
        &self,
        tx: &Tx<'_>,
        plan_id: Option<i64>,
        moved: Moved<'_>,
    ) -> Result<Option<String>, StoreError> {
        let mut build = None;
        let (mut revision, mut name) = (moved.revision.to_owned(), None);
        for _ in 0..MOST_IN_A_ROW {
            let stored = own_push::of_revision(tx, moved.repository_id, &revision)?;
            let announced = self
                .announced
                .iter()
                .filter(|one| one.repository_id == moved.repository_id && one.revision == revision);
            let is_it = |one: &&OwnPush| {
                plan_id.is_none_or(|plan_id| one.plan_id == plan_id)
                    && match &name {
                        Some(name) => one.ref_name == *name,
                        None => (moved.is_ref)(&one.ref_name),
                    }
            };
            let ends = |one: &&&OwnPush| one.onto.is_none() || one.onto.as_deref() == moved.considered;
            let pushes: Vec<&OwnPush> = announced.chain(&stored).filter(is_it).collect();
            let ending = pushes.iter().find(ends);
            let Some(one) = ending.or(pushes.first()) else {
                return Ok(None);
            };
            let build = build.get_or_insert_with(|| one.build_key.clone());
            match (ending, &one.onto) {
                (None, Some(onto)) => (revision, name) = (onto.clone(), Some(one.ref_name.clone())),
                _ => return Ok(Some(build.clone())),
            }
        }
        Ok(None)
    }
}

fn row_of(push: AnnouncedPush, by: &Attempt) -> OwnPush {
    OwnPush {
        repository_id: push.repository_id,
        plan_id: by.plan_id,
        ref_name: push.ref_name,
        revision: push.revision,
        build_key: by.build_key.clone(),
        onto: push.onto,
        pushed_ms: clock::now_ms(),
    }
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
    let build_id = job.build_id;
    let build = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(build::by_id(tx, build_id)?))
        .await?;
    let attempt = Attempt {
        plan_id: build.plan_id,
        build_key: build.key,
        job_id: job.id,
        attempt: job.attempt,
    };
    let pushes = read(engine, &attempt).await?;
    if pushes.is_empty() {
        return Ok(());
    }
    engine
        .store()
        .write(move |tx| {
            for push in pushes {
                own_push::insert(tx, &row_of(push, &attempt))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn push(plan_id: i64, ref_name: &str, revision: &str, onto: Option<&str>) -> OwnPush {
        OwnPush {
            repository_id: 1,
            plan_id,
            ref_name: ref_name.to_owned(),
            revision: revision.to_owned(),
            build_key: format!("P{plan_id}-{revision}"),
            onto: onto.map(str::to_owned),
            pushed_ms: 1,
        }
    }

    #[tokio::test]
    async fn push_is_a_builds_own_as_far_as_all_below_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = madake_store::Store::open(&folder.path().join("madake.db")).unwrap();
        let stored = [
            push(7, "master", "a", None),
            push(7, "master", "b", Some("a")),
            push(7, "master", "d", Some("people")),
            push(8, "master", "c", Some("b")),
            push(7, "other", "e", None),
            push(7, "master", "x", Some("y")),
            push(7, "master", "y", Some("x")),
        ];
        let pushes = OwnPushes {
            announced: vec![push(7, "master", "r", Some("b")), push(9, "other", "r", None)],
        };
        store
            .write(move |tx| {
                for one in &stored {
                    own_push::insert(tx, one)?;
                }
                for (plan_id, revision, considered, expected) in [
                    (Some(7), "a", None, Some("P7-a")),
                    (Some(8), "a", None, None),
                    (None, "a", None, Some("P7-a")),
                    (Some(7), "b", None, Some("P7-b")),
                    (Some(7), "r", None, Some("P7-r")),
                    (Some(9), "r", None, None),
                    (Some(7), "d", None, None),
                    (Some(7), "d", Some("people"), Some("P7-d")),
                    (Some(7), "d", Some("a"), None),
                    (Some(8), "c", None, None),
                    (Some(8), "c", Some("b"), Some("P8-c")),
                    (None, "c", None, Some("P8-c")),
                    (Some(7), "e", None, None),
                    (Some(7), "x", None, None),
                ] {
                    let moved = Moved {
                        repository_id: 1,
                        is_ref: &|name| name == "master",
                        revision,
                        considered,
                    };
                    let found = pushes.build_of(tx, plan_id, moved)?;
                    assert_eq!(
                        found.as_deref(),
                        expected,
                        "{plan_id:?} {revision} {considered:?}"
                    );
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }
}
