//! Builds that began and ended, told to the receivers of the repositories that they checked out, in the transaction
//! that moves the build. Nothing is asked of repositories or other servers here: it runs where everybody waits.

use std::collections::BTreeSet;

use madake_brokers::event::{
    BrokerEvent, BuildResult, BuildState, EventKind, Repository as ToldRepository, Scm, VERSION,
};
use madake_domain::delivery::Receiver as Health;
use madake_domain::key::PlanKey;
use madake_domain::permission::{Permission, Principal};
use madake_domain::repository::{RepositoryKind, Scm as KeptBy};
use madake_domain::schedule::{JobOutcome, JobState, LifeCycleState, ResultState};
use madake_formats::outgoing::Profile;
use madake_formats::outgoing::native_build::{BuildFacts, BuiltRepository, BuiltState};
use madake_store::build::{self, Build, Reason, Revision};
use madake_store::delivery::NewDelivery;
use madake_store::receiver::{self, Receiver};
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx, build_query, meta, plan, user};
use uuid::Uuid;

use super::broker::{self, BROKER};
use super::settings::ReceiverEvent;
use super::{WEBHOOK, enter, profile_and_settings};
use crate::EngineError;
use crate::access::{Caller, Target, may};

/// The name under which the store knows the address that links start with.
pub(crate) const BASE_URL: &str = "base-url";

/// What a build did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildMove {
    /// Its first stage begins.
    Started,
    /// It ended, or waits for a person at a manual stage.
    Ended,
}

/// Enters what receivers are to be told of a build. What cannot be worded for one of them is logged, and keeps
/// nothing back from the others.
pub(crate) fn tell(tx: &Tx<'_>, build_id: i64, moved: BuildMove, now: Millis) -> Result<(), EngineError> {
    let mut seen = BTreeSet::new();
    let mut facts = None;
    for revision in build_query::revisions(tx, build_id)? {
        let Some(id) = revision.repository_id.filter(|id| seen.insert(*id)) else {
            continue;
        };
        for one in receiver::of_repository(tx, id)? {
            if !one.active || matches!(one.health, Health::Disabled { .. }) || !wants(&one, moved) {
                continue;
            }
            let known = match facts.take() {
                Some(known) => known,
                None => Known::read(tx, build_id, now)?,
            };
            if may_read(tx, &one, &known.master)? {
                match known.delivery(tx, &one, &revision, moved) {
                    Ok(Some(delivery)) => {
                        enter(tx, &[delivery], now)?;
                    }
                    Ok(None) => {}
                    Err(EngineError::Invalid(problem)) => tracing::warn!(
                        receiver = one.id,
                        "receiver {} was not told of {}: {problem}",
                        one.id,
                        known.build.key
                    ),
                    Err(error) => return Err(error),
                }
            }
            facts = Some(known);
        }
    }
    Ok(())
}

/// Whether a receiver asked for builds at all.
fn wants(one: &Receiver, moved: BuildMove) -> bool {
    match (one.kind.as_str(), moved) {
        (BROKER, BuildMove::Ended) => broker::wishes(one).is_ok_and(|wishes| wishes.builds()),
        (WEBHOOK, _) => profile_and_settings(one).is_ok_and(|(profile, settings)| {
            let event = match moved {
                BuildMove::Started => ReceiverEvent::BuildStarted,
                BuildMove::Ended => ReceiverEvent::BuildFinished,
            };
            profile == Profile::Native && settings.events.contains(&event)
        }),
        _ => false,
    }
}

/// Who has a repository need not know each plan that builds it: the receiver hears of those that whoever made it may
/// read.
fn may_read(tx: &Tx<'_>, one: &Receiver, plan: &PlanKey) -> Result<bool, EngineError> {
    let principal = match user::by_name(tx, &one.made_by)? {
        Some(user) if user.enabled => Principal::User(user::principal(tx, &user, None)?),
        Some(_) => return Ok(false),
        None if one.made_by == Principal::Local.name() => Principal::Local,
        None => return Ok(false),
    };
    let caller = Caller {
        principal,
        address: String::new(),
    };
    may(tx, &caller, Permission::Read, Target::Plan(plan))
}

/// What is known of a build, whoever is told.
struct Known {
    build: Build,
    master: PlanKey,
    plan_name: String,
    base_url: String,
    previous: Option<BuildState>,
    failed_jobs: Vec<String>,
    now: Millis,
}

impl Known {
    fn read(tx: &Tx<'_>, build_id: i64, now: Millis) -> Result<Self, EngineError> {
        let build = build::by_id(tx, build_id)?;
        let plan = plan::by_id(tx, build.plan_id)?;
        let branch = plan::branch_by_id(tx, build.plan_branch_id)?;
        let failed: BTreeSet<i64> = build
            .schedule
            .stages()
            .iter()
            .flat_map(|stage| &stage.jobs)
            .filter(|job| {
                matches!(
                    job.state,
                    JobState::Done {
                        outcome: JobOutcome::Failed { .. } | JobOutcome::Error { .. },
                        ..
                    }
                )
            })
            .map(|job| job.id)
            .collect();
        let failed_jobs = build_query::jobs(tx, build_id)?
            .into_iter()
            .filter(|job| failed.contains(&job.id))
            .map(|job| format!("{}-{}", branch.key, job.key))
            .collect();
        let previous = build_query::ended_before(tx, build.plan_branch_id, build.number)?;
        Ok(Self {
            previous: previous.as_ref().map(state_of),
            master: plan.key,
            plan_name: plan.name,
            base_url: meta::get(tx, BASE_URL)?.unwrap_or_default(),
            failed_jobs,
            build,
            now,
        })
    }

    fn delivery(
        &self,
        tx: &Tx<'_>,
        one: &Receiver,
        revision: &Revision,
        moved: BuildMove,
    ) -> Result<Option<NewDelivery>, EngineError> {
        let Some(found) = repository::by_id(tx, one.repository_id)? else {
            return Ok(None);
        };
        let uid = Uuid::now_v7().to_string();
        let state = (moved == BuildMove::Ended).then(|| state_of(&self.build));
        let verb = state.map_or("started", BuildState::verb);
        let summary = format!("{} {verb}", self.build.key);
        if one.kind == BROKER {
            let told = self.broker_event(&found, revision, state_of(&self.build), uid);
            if !broker::wishes(one)?.asks_for(&told) {
                return Ok(None);
            }
            return broker::delivery(one, &told, "build", self.build.event_id, summary).map(Some);
        }
        let (_, settings) = profile_and_settings(one)?;
        let rendered = self.facts(&found, revision, state).render();
        Ok(Some(NewDelivery {
            uid,
            receiver_id: one.id,
            event_id: self.build.event_id,
            kind: "build".into(),
            summary,
            ordering: settings.ordered.then_some(found.id),
            content_type: rendered.content_type.to_owned(),
            headers: rendered
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            body: rendered.body,
        }))
    }

    fn broker_event(
        &self,
        found: &Repository,
        revision: &Revision,
        state: BuildState,
        id: String,
    ) -> BrokerEvent {
        let linked = found.kind == RepositoryKind::Linked;
        let own = |path: String| format!("{}{path}", self.base_url);
        BrokerEvent {
            version: VERSION,
            id,
            kind: EventKind::Build,
            time_ms: self.now,
            repository: Some(ToldRepository {
                owner: found.owner.clone(),
                slug: slug(found),
                name: found.name.clone(),
                scm: match found.scm {
                    KeptBy::Git => Scm::Git,
                    KeptBy::Hg => Scm::Hg,
                },
                browse_url: if linked {
                    found.url.clone()
                } else {
                    own(format!("/projects/{}/repos/{}/browse", found.owner, found.slug))
                },
                clone_url: if linked {
                    found.url.clone()
                } else {
                    let path = match found.scm {
                        KeptBy::Git => format!("/scm/{}/{}.git", found.owner, found.slug),
                        KeptBy::Hg => format!("/hg/{}/{}", found.owner, found.slug),
                    };
                    own(path.to_lowercase())
                },
                default_branch: Some(found.default_branch.clone()),
            }),
            pusher: None,
            refs: Vec::new(),
            build: Some(BuildResult {
                plan_key: self.master.to_string(),
                plan_name: self.plan_name.clone(),
                build_key: self.build.key.clone(),
                state,
                previous_state: self.previous,
                branch: revision.branch.clone().unwrap_or_default(),
                revision: Some(revision.revision.clone()),
                reason: reason(&self.build),
                duration_ms: self.duration_ms(),
                link: own(format!("/browse/{}", self.build.key)),
                failed_jobs: self.failed_jobs.clone(),
            }),
        }
    }

    fn duration_ms(&self) -> i64 {
        let ended = self.build.finished_ms.unwrap_or(self.now);
        self.build
            .started_ms
            .map_or(0, |started| (ended - started).max(0))
    }

    fn facts(&self, found: &Repository, revision: &Revision, state: Option<BuildState>) -> BuildFacts {
        BuildFacts {
            server_url: self.base_url.clone(),
            repository: BuiltRepository {
                id: found.id,
                owner: found.owner.clone(),
                slug: slug(found),
                name: found.name.clone(),
            },
            plan_key: self.master.to_string(),
            plan_name: self.plan_name.clone(),
            key: self.build.key.clone(),
            number: self.build.number,
            branch: revision.branch.clone().unwrap_or_default(),
            revision: revision.revision.clone(),
            state: state.map(told_state),
            previous_state: self.previous.map(told_state),
            reason: reason(&self.build),
            triggered_by: self.build.triggered_by.clone(),
            started_ms: self.build.started_ms,
            finished_ms: self.build.finished_ms,
            failed_jobs: self.failed_jobs.clone(),
            at_ms: self.now,
        }
    }
}

fn slug(found: &Repository) -> String {
    if found.slug.is_empty() {
        found.name.clone()
    } else {
        found.slug.clone()
    }
}

/// How a build ended. One that waits for a person went well so far.
fn state_of(build: &Build) -> BuildState {
    let summary = build.schedule.summary();
    match (summary.life_cycle, summary.state) {
        (LifeCycleState::NotBuilt, _) => BuildState::Stopped,
        (_, ResultState::Successful) => BuildState::Successful,
        (_, ResultState::Failed) => BuildState::Failed,
        (_, ResultState::Unknown) => BuildState::Stopped,
    }
}

fn told_state(state: BuildState) -> BuiltState {
    match state {
        BuildState::Successful => BuiltState::Successful,
        BuildState::Failed => BuiltState::Failed,
        BuildState::Stopped => BuiltState::Stopped,
    }
}

/// Why a build was started, as a sentence.
pub(crate) fn reason(build: &Build) -> String {
    match &build.reason {
        Reason::CodeChanged => format!("changes were found ({})", build.triggered_by),
        Reason::FirstBuild => "the first build of the plan branch".to_owned(),
        Reason::Manual { user } => format!("started by {user}"),
        Reason::CustomRevision { user, revision } => format!("started by {user} for {revision}"),
        Reason::Scheduled => "started by its schedule".to_owned(),
        Reason::Parent { build, .. } => format!("started by the success of {build}"),
        Reason::Tag { name } => format!("started by the tag {name}"),
        Reason::Deployment {
            project,
            environment,
            release,
            ..
        } => format!("started by the deployment of {release} of {project} to {environment}"),
        Reason::StageContinued { user, stage } => format!("{user} let the stage {stage} run"),
        Reason::Rebuilt { user } => format!("{user} had failed jobs run again"),
    }
}
