//! A pull request was opened, moved or closed: what plans make of it. That it is open, whose it is and that it comes
//! from a fork is known from its forge alone; which commit it brings is read from the repository.

use std::collections::BTreeMap;

use madake_domain::change::{MovedRef, RefKind, Revision, Source};
use madake_domain::plan::BranchCreation;
use madake_domain::pull_request::{ForkHead, ForkPolicy, ForkTrust, PullRequestNews};
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::event::Event;
use madake_store::plan;
use madake_store::pull_request::{self, PullRequest, Told};
use madake_store::repository::Repository;

use super::judge::{Asked, AskedNews, judge};
use super::record::{Verdict, store};
use super::{close, plans_of, repository_of};
use crate::listening::forks;
use crate::{Engine, EngineError, clock};

/// What there is to build.
struct Head {
    /// The repository to read it from.
    found: Repository,
    /// The branch, or the ref that shows what the fork has.
    name: String,
    revision: Option<Revision>,
    /// Of a fork: whether it is trusted.
    fork: Option<Result<String, String>>,
}

/// Decides what comes of a delivery about a pull request.
pub(super) async fn pull_request(engine: &Engine, event: &Event, told: &Told) -> Result<(), EngineError> {
    let Some(found) = repository_of(engine, event).await? else {
        return close(engine, event, "the repository is gone").await;
    };
    if found.kind != RepositoryKind::Linked || found.scm != Scm::Git {
        let why = "pull requests are followed in linked repositories of Git alone";
        return close(engine, event, why).await;
    }
    let (id, kept) = (found.id, told.clone());
    let row = engine
        .store()
        .write(move |tx| pull_request::keep(tx, id, &kept, clock::now_ms()))
        .await?;
    let Some(row) = row else {
        let why = format!(
            "the delivery came late: something newer was told of pull request {} before",
            told.number
        );
        return close(engine, event, &why).await;
    };
    let head = match (row.open, row.from_fork) {
        (true, false) => own_head(engine, event, &found, &row).await?,
        (true, true) => fork_head(engine, event, &found, &row).await?,
        (false, from_fork) => Head {
            found: found.clone(),
            name: name_of(&row),
            revision: None,
            fork: from_fork.then(|| Err("it is closed".to_owned())),
        },
    };
    let mut notes = Vec::new();
    if let Some(Ok(why)) = &head.fork {
        notes.push((
            "info",
            format!("{why}; it is built with the plan of the default branch and without the plan's secrets"),
        ));
    }
    let asked = Asked {
        source: Source::PullRequest(PullRequestNews {
            number: u64::try_from(row.number).unwrap_or(0),
            open: row.open,
            fork: head.fork,
        }),
        news: AskedNews::Moved(vec![MovedRef {
            kind: RefKind::Branch,
            name: head.name,
            old: None,
            new: head.revision,
        }]),
        current_heads: BTreeMap::new(),
        pusher: None,
        remote_counts: false,
        pushes_known: found.pushes_known(),
        tags: Vec::new(),
        received_ms: event.received_ms,
        only: None,
    };
    let plan_ids = plans_of(engine, found.id).await?;
    let judged = judge(engine, Some(&head.found), plan_ids, &asked).await?;
    let verdict = Verdict {
        event: event.clone(),
        judged,
        deliveries: Vec::new(),
        notes,
        tags: Vec::new(),
        pull_request_id: Some(row.id),
    };
    // What else has moved is not known to be told: it is left to be found.
    store(engine, vec![verdict], None, None).await
}

/// The name that plan branches of a pull request have for what it brings: the branch, or the fork's ref, which no
/// branch of a plan is named like.
fn name_of(row: &PullRequest) -> String {
    match (&row.head_ref, row.from_fork) {
        (_, false) => row.source_branch.clone(),
        (Some(name), true) => name.clone(),
        (None, true) => format!("refs/pull-requests/{}/from", row.number),
    }
}

/// A pull request from a branch of the repository itself: what that branch holds.
async fn own_head(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    row: &PullRequest,
) -> Result<Head, EngineError> {
    let read = engine.refs_since(found, event.received_ms).await?;
    let revision = read.head(&row.source_branch).and_then(|id| Revision::new(id));
    note_head(engine, row, revision.as_ref()).await?;
    Ok(Head {
        found: found.clone(),
        name: row.source_branch.clone(),
        revision,
        fork: None,
    })
}

/// One from a fork: what the repository shows of it. It is read only if it may come to be built.
async fn fork_head(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    row: &PullRequest,
) -> Result<Head, EngineError> {
    let id = found.id;
    let trust = engine
        .store()
        .read(move |tx| pull_request::fork_trust(tx, id))
        .await?;
    let mut head = Head {
        found: found.clone(),
        name: name_of(row),
        revision: None,
        fork: None,
    };
    head.fork = Some(
        if trust.policy == ForkPolicy::Never || !accepted(engine, found.id).await? {
            Err("the repository lets no fork be built (`forks` is `never`)".to_owned())
        } else if let Some(name) = &row.head_ref {
            // An outage is seen here and waited for. What fails after it is the fork's own fault.
            engine.refs_since(found, event.received_ms).await?;
            match engine.fork_head(found, name).await {
                Ok(read) => {
                    head.revision = read.as_deref().and_then(Revision::new);
                    head.found = forks::with_forks(found);
                    note_head(engine, row, head.revision.as_ref()).await?;
                    trusted(&trust, row, head.revision.as_ref())
                }
                Err(error) => Err(format!("its commits cannot be fetched: {error}")),
            }
        } else {
            Err("its forge shows the commits of forks in no ref, so they cannot be read".to_owned())
        },
    );
    Ok(head)
}

fn trusted(trust: &ForkTrust, row: &PullRequest, head: Option<&Revision>) -> Result<String, String> {
    let Some(head) = head else {
        return Err("the repository does not show its commits".to_owned());
    };
    let allowed = row.allowed_head.as_deref().and_then(Revision::new);
    trust.judge(&ForkHead {
        author: row.author.as_deref(),
        head,
        allowed: allowed.as_ref(),
    })
}

/// Whether a plan that uses the repository accepts forks.
async fn accepted(engine: &Engine, repository_id: i64) -> Result<bool, EngineError> {
    for id in plans_of(engine, repository_id).await? {
        let one = engine
            .store()
            .read(move |tx| Ok::<_, EngineError>(plan::by_id(tx, id)?))
            .await?;
        let configuration = engine.configuration(one.version_id).await?;
        if matches!(
            configuration.branches.create,
            BranchCreation::ForPullRequest { accept_fork: true }
        ) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn note_head(
    engine: &Engine,
    row: &PullRequest,
    revision: Option<&Revision>,
) -> Result<(), EngineError> {
    let Some(head) = revision.map(ToString::to_string) else {
        return Ok(());
    };
    if row.head.as_ref() == Some(&head) {
        return Ok(());
    }
    let id = row.id;
    engine
        .store()
        .write(move |tx| Ok(pull_request::set_head(tx, id, &head)?))
        .await
}
