//! The engine: the store, the repositories, the built-in agents, and the loops that keep them going.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use madake_agent::local::LocalAgent;
use madake_domain::capability::Capabilities;
use madake_domain::plan::PlanConfiguration;
use madake_outgoing::client::Client;
use madake_outgoing::mail::Mailer;
use madake_protocol::{Bubblewrap, Isolation};
use madake_store::blob::BlobStore;
use madake_store::seal::Sealer;
use madake_store::{Store, StoreError, Topic, meta, plan};
use madake_vcs::git::read::{GitReader, PoolLimits};
use madake_vcs::process::GitProgram;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::capabilities::PossibleJobs;
use crate::hanging::JobsInTrouble;
use crate::heads::Refreshes;
use crate::home::Home;
use crate::intake::Lanes;
use crate::lease::Slots;
use crate::listening::{KnownWebhooks, ToldNotes};
use crate::mercurial::Mercurial;
use crate::mirrors::MirrorRuns;
use crate::ops::log_in::Believed;
use crate::ops::receive_push::PushesInFlight;
use crate::ops::receive_webhook::RecentBodies;
use crate::poll::Looks;
use crate::settings::Settings;
use crate::settled::Settled;
use crate::telling::TellingLanes;
use crate::{
    EngineError, changes, clean, deploying, hanging, held, intake, lease, mirrors, notifying, order, poll,
    reconcile, telling, timer,
};

/// How many plan configurations are kept parsed.
const CONFIGURATIONS: usize = 2000;
/// How long a reconciler rests after a failure, so that a broken disk does not fill the log.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// The engine of one home. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    home: Home,
    settings: Settings,
    sealer: Sealer,
    blobs: BlobStore,
    git: GitProgram,
    reader: GitReader,
    mercurial: Result<Mercurial, String>,
    agent: LocalAgent,
    slots: Slots,
    refreshes: Refreshes,
    settled: Settled,
    lanes: Lanes,
    looks: Looks,
    mirror_runs: MirrorRuns,
    in_flight: PushesInFlight,
    recent_bodies: RecentBodies,
    webhooks: KnownWebhooks,
    told_notes: ToldNotes,
    outgoing: Client,
    telling_lanes: Arc<TellingLanes>,
    notifying_lanes: notifying::Lanes,
    mailer: Option<Mailer>,
    changes_seen: AtomicI64,
    believed: Believed,
    configurations: Mutex<HashMap<i64, Arc<PlanConfiguration>>>,
    pushes: TaskTracker,
    loops: TaskTracker,
    stopping: CancellationToken,
    swept: AtomicBool,
    paused: AtomicBool,
    pausing: tokio::sync::Mutex<()>,
    jobs_in_trouble: JobsInTrouble,
    isolation: tokio::sync::OnceCell<Result<Isolation, String>>,
    detected: tokio::sync::OnceCell<Capabilities>,
    possible_jobs: PossibleJobs,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("home", &self.inner.home.root())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the engine of a home. Nothing runs yet; operations work.
    ///
    /// # Errors
    /// When the store or the key of the home cannot be opened.
    pub fn open(home: Home, settings: Settings) -> Result<Self, EngineError> {
        let store = Store::open(&home.database())?;
        let sealer = Sealer::open(&home.secret_key())?;
        let blobs = BlobStore::open(&home.artifacts()).map_err(|error| {
            EngineError::Unavailable(format!("{} cannot be used: {error}", home.artifacts().display()))
        })?;
        let git = GitProgram::new(&settings.git).with_home(home.empty());
        let reader = GitReader::new(git.clone(), PoolLimits::for_git());
        let pushes = TaskTracker::new();
        let mercurial = Mercurial::new(&home, &settings, &pushes);
        let agent = LocalAgent::new(home.jobs(), settings.program.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                blobs,
                git,
                reader,
                mercurial,
                agent,
                slots: Slots::new(settings.agents),
                refreshes: Refreshes::default(),
                settled: Settled::default(),
                lanes: Lanes::default(),
                looks: Looks::default(),
                mirror_runs: MirrorRuns::default(),
                in_flight: PushesInFlight::default(),
                recent_bodies: RecentBodies::default(),
                webhooks: KnownWebhooks::default(),
                told_notes: ToldNotes::default(),
                outgoing: Client::new(settings.outgoing_policy.clone(), settings.outgoing_client.clone()),
                telling_lanes: Arc::default(),
                notifying_lanes: notifying::Lanes::default(),
                mailer: settings
                    .mail
                    .as_ref()
                    .map(Mailer::new)
                    .transpose()
                    .map_err(|error| EngineError::Invalid(format!("[mail]: {error}")))?,
                changes_seen: AtomicI64::new(0),
                believed: Believed::new()?,
                configurations: Mutex::new(HashMap::new()),
                pushes,
                loops: TaskTracker::new(),
                stopping: CancellationToken::new(),
                swept: AtomicBool::new(false),
                paused: AtomicBool::new(false),
                pausing: tokio::sync::Mutex::new(()),
                jobs_in_trouble: JobsInTrouble::default(),
                isolation: tokio::sync::OnceCell::new(),
                detected: tokio::sync::OnceCell::new(),
                possible_jobs: PossibleJobs::default(),
                home,
                settings,
                sealer,
            }),
        })
    }

    /// Takes up what was going on when the last server ended, and starts the loops.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(&self) -> Result<(), EngineError> {
        self.recall_pause().await?;
        lease::recover(self).await?;
        deploying::recover(self).await?;
        telling::recover(self).await?;
        notifying::recover(self).await?;
        self.note_base_url().await?;
        let engine = self.clone();
        self.loops().spawn(async move {
            // The first job does not wait for it, and the server's log has it.
            match engine.isolation().await {
                Ok(Isolation::Process { reason }) if !reason.is_empty() => {
                    tracing::info!("jobs run as plain processes: {reason}");
                }
                Ok(_) => {}
                Err(error) => tracing::error!("jobs cannot run: {error}"),
            }
            engine.detected_capabilities().await;
        });
        let engine = self.clone();
        self.loops().spawn(async move {
            match engine.agent().remove_left_containers().await {
                Ok(removed) if removed.is_empty() => {}
                Ok(removed) => tracing::info!("removed containers of dead jobs: {}", removed.join(", ")),
                Err(error) => tracing::debug!("containers of dead jobs were not looked for: {error}"),
            }
        });
        self.spawn(
            "intake",
            Topic::Events,
            Duration::from_secs(5),
            |engine| async move { intake::run(&engine).await },
        );
        self.spawn(
            "lease",
            Topic::Queue,
            Duration::from_secs(5),
            |engine| async move { lease::run(&engine).await },
        );
        self.spawn(
            "cancel",
            Topic::Cancel,
            Duration::from_secs(5),
            |engine| async move {
                deploying::cancel(&engine).await?;
                lease::cancel(&engine).await
            },
        );
        self.spawn(
            "timer",
            Topic::Plans,
            Duration::from_secs(60),
            |engine| async move {
                let (builds, deployments) = (timer::run(&engine).await?, deploying::tick(&engine).await?);
                Ok([builds, deployments].into_iter().flatten().min())
            },
        );
        self.spawn(
            "held",
            Topic::Builds,
            Duration::from_secs(5),
            |engine| async move { held::run(&engine).await },
        );
        self.spawn(
            "deliver",
            Topic::Outbox,
            Duration::from_secs(60),
            |engine| async move { telling::run(&engine).await },
        );
        self.spawn(
            "notify",
            Topic::Notices,
            Duration::from_secs(60),
            |engine| async move { notifying::run(&engine).await },
        );
        self.spawn(
            "mirrors",
            Topic::Mirrors,
            Duration::from_secs(60),
            |engine| async move { mirrors::run(&engine).await },
        );
        self.every("changes", Duration::from_secs(2), |engine| async move {
            changes::run(&engine).await
        });
        self.every("hanging", hanging::INTERVAL, |engine| async move {
            hanging::run(&engine).await
        });
        let reconcile = Duration::from_secs(self.settings().reconcile_seconds.max(1));
        self.every("reconcile", reconcile, |engine| async move {
            reconcile::run(&engine).await
        });
        self.every("poll", Duration::from_secs(1), |engine| async move {
            poll::run(&engine).await
        });
        self.every("clean", Duration::from_secs(600), |engine| async move {
            clean::run(&engine).await
        });
        Ok(())
    }

    /// Stops the loops and waits for pushes that are being recorded. Jobs go on; the next server adopts them.
    pub async fn stop(&self) {
        self.inner.stopping.cancel();
        self.inner.loops.close();
        self.inner.pushes.close();
        self.inner.loops.wait().await;
        self.inner.pushes.wait().await;
    }

    /// Runs `body` when `topic` rings, and now and then without, in case a ring was lost. `body` says when it
    /// wants to be called again at the latest.
    fn spawn<F, Fut>(&self, name: &'static str, topic: Topic, sweep: Duration, body: F)
    where
        F: Fn(Self) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<Duration>, EngineError>> + Send,
    {
        let engine = self.clone();
        self.inner.loops.spawn(async move {
            loop {
                let wait = match body(engine.clone()).await {
                    Ok(next) => next.unwrap_or(sweep).min(sweep),
                    Err(error) => {
                        tracing::error!(reconciler = name, "{name} failed and will try again: {error}");
                        AFTER_FAILURE
                    }
                };
                tokio::select! {
                    () = engine.inner.stopping.cancelled() => return,
                    () = engine.inner.store.wakes().wait(topic) => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        });
    }

    /// Runs `body` at once and then again and again, `rest` apart.
    fn every<F, Fut>(&self, name: &'static str, rest: Duration, body: F)
    where
        F: Fn(Self) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), EngineError>> + Send,
    {
        let engine = self.clone();
        self.inner.loops.spawn(async move {
            loop {
                if let Err(error) = body(engine.clone()).await {
                    tracing::error!(reconciler = name, "{name} failed and will try again: {error}");
                }
                tokio::select! {
                    () = engine.inner.stopping.cancelled() => return,
                    () = tokio::time::sleep(rest) => {}
                }
            }
        });
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.inner.home
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The `git` program, fenced in.
    #[must_use]
    pub fn git(&self) -> &GitProgram {
        &self.inner.git
    }

    /// The reader of repositories.
    #[must_use]
    pub fn reader(&self) -> &GitReader {
        &self.inner.reader
    }

    pub(crate) fn mercurial_parts(&self) -> &Result<Mercurial, String> {
        &self.inner.mercurial
    }

    /// Holds the ends of pushes whose clients have gone.
    #[must_use]
    pub fn pushes(&self) -> &TaskTracker {
        &self.inner.pushes
    }

    /// Whether new jobs are held back, as far as this process knows.
    pub(crate) fn paused(&self) -> &AtomicBool {
        &self.inner.paused
    }

    /// Held while that is changed.
    pub(crate) fn pausing(&self) -> &tokio::sync::Mutex<()> {
        &self.inner.pausing
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    /// Whether nobody has looked yet for what an earlier server left behind.
    pub(crate) fn is_first_sweep(&self) -> bool {
        !self.inner.swept.swap(true, Ordering::Relaxed)
    }

    /// The bytes of artifacts.
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        &self.inner.blobs
    }

    pub(crate) fn agent(&self) -> &LocalAgent {
        &self.inner.agent
    }

    /// How jobs are kept apart from the machine: found out once, and what it is then is the same for all jobs.
    ///
    /// # Errors
    /// When the way that is configured does not work here.
    pub(crate) async fn isolation(&self) -> Result<Isolation, EngineError> {
        let chosen = self.inner.isolation.get_or_init(|| async {
            let settings = &self.settings().agent;
            let choice = settings.isolation;
            let mut hidden = settings.sandbox.hidden.clone();
            hidden.push(self.home().root().to_owned());
            let sandbox = Bubblewrap {
                hidden,
                ..settings.sandbox.clone()
            };
            tokio::task::spawn_blocking(move || madake_agent::isolation::choose(choice, &sandbox))
                .await
                .unwrap_or_else(|error| Err(error.to_string()))
        });
        chosen.await.clone().map_err(EngineError::Internal)
    }

    /// What the built-in agents find out by themselves: looked for once.
    pub(crate) async fn detected_capabilities(&self) -> &Capabilities {
        self.inner
            .detected
            .get_or_init(|| async {
                // Where jobs cannot run at all, it does not matter what they would see.
                let isolation = self.isolation().await.unwrap_or_default();
                tokio::task::spawn_blocking(move || madake_agent::capability_detection::detect(&isolation))
                    .await
                    .unwrap_or_default()
            })
            .await
    }

    /// Waiting jobs that some agent can take.
    pub(crate) fn possible_jobs(&self) -> &PossibleJobs {
        &self.inner.possible_jobs
    }

    /// Jobs that hang or wait too long.
    pub(crate) fn jobs_in_trouble(&self) -> &JobsInTrouble {
        &self.inner.jobs_in_trouble
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.inner.slots
    }

    pub(crate) fn settled(&self) -> &Settled {
        &self.inner.settled
    }

    pub(crate) fn refreshes(&self) -> &Refreshes {
        &self.inner.refreshes
    }

    pub(crate) fn outgoing(&self) -> &Client {
        &self.inner.outgoing
    }

    pub(crate) fn telling_lanes(&self) -> &Arc<TellingLanes> {
        &self.inner.telling_lanes
    }

    /// Which messages to people are under way.
    pub(crate) fn notifying_lanes(&self) -> &notifying::Lanes {
        &self.inner.notifying_lanes
    }

    /// Sends mail, where the server has a mail server.
    pub(crate) fn mailer(&self) -> Option<&Mailer> {
        self.inner.mailer.as_ref()
    }

    /// The id of a message: the same for the same `name`, so that a message that is sent twice is recognised.
    pub(crate) fn message_id(&self, name: &str) -> String {
        let from = self
            .settings()
            .mail
            .as_ref()
            .map_or("", |mail| mail.from.as_str());
        let domain = from.rsplit('@').next().unwrap_or_default().trim_end_matches('>');
        let domain = if domain.is_empty() { "localhost" } else { domain };
        format!("{name}@{domain}")
    }

    /// Keeps the address that links start with, and the time zone, where transactions can read them.
    async fn note_base_url(&self) -> Result<(), EngineError> {
        let url = self.settings().base_url.clone();
        let zone = order::zone_name(&self.settings().time_zone);
        self.store()
            .write(move |tx| {
                if meta::get(tx, deploying::TIME_ZONE)?.as_deref() != Some(&zone) {
                    meta::set(tx, deploying::TIME_ZONE, Some(&zone))?;
                }
                if meta::get(tx, telling::BASE_URL)?.as_deref() != Some(&url) {
                    meta::set(tx, telling::BASE_URL, Some(&url))?;
                }
                Ok::<_, EngineError>(())
            })
            .await
    }

    pub(crate) fn webhooks(&self) -> &KnownWebhooks {
        &self.inner.webhooks
    }

    pub(crate) fn told_notes(&self) -> &ToldNotes {
        &self.inner.told_notes
    }

    pub(crate) fn recent_bodies(&self) -> &RecentBodies {
        &self.inner.recent_bodies
    }

    pub(crate) fn lanes(&self) -> &Lanes {
        &self.inner.lanes
    }

    pub(crate) fn mirror_runs(&self) -> &MirrorRuns {
        &self.inner.mirror_runs
    }

    pub(crate) fn looks(&self) -> &Looks {
        &self.inner.looks
    }

    pub(crate) fn pushes_in_flight(&self) -> &PushesInFlight {
        &self.inner.in_flight
    }

    /// Whether somebody pushes to a hosted repository just now.
    pub(crate) fn push_in_flight(&self, repository_id: i64) -> bool {
        self.inner.in_flight.contains(repository_id)
    }

    /// The id of the last build whose commits were looked up since the start.
    pub(crate) fn changes_seen(&self) -> &AtomicI64 {
        &self.inner.changes_seen
    }

    /// How many built-in agents there are, and how many are at work.
    #[must_use]
    pub fn agent_counts(&self) -> (usize, usize) {
        self.inner.slots.counts()
    }

    pub(crate) fn believed(&self) -> &Believed {
        &self.inner.believed
    }

    pub(crate) fn loops(&self) -> &TaskTracker {
        &self.inner.loops
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.inner.stopping
    }

    /// The configuration of a plan version, parsed once: a version never changes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn configuration(&self, version_id: i64) -> Result<Arc<PlanConfiguration>, EngineError> {
        let kept = || {
            self.inner
                .configurations
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(found) = kept().get(&version_id) {
            return Ok(Arc::clone(found));
        }
        let read = self
            .store()
            .read(move |tx| Ok::<_, StoreError>(Arc::new(plan::configuration(tx, version_id)?)))
            .await?;
        let mut kept = kept();
        if kept.len() >= CONFIGURATIONS {
            kept.clear();
        }
        kept.insert(version_id, Arc::clone(&read));
        Ok(read)
    }

    /// The folder on this machine that holds a repository's commits.
    #[must_use]
    pub fn local_path(&self, repository: &madake_store::repository::Repository) -> PathBuf {
        PathBuf::from(&repository.path)
    }
}
