//! Git and Mercurial over SSH for hosted and attached repositories: who a key belongs to, and what serves a repository.
//!
//! `madake-ssh` speaks the protocol; here is what it asks. Each refusal is a line in the log and an entry in the
//! ledger, as those of requests over HTTP are.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use madake_domain::permission::Permission;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_domain::text::inert;
use madake_engine::access::Caller;
use madake_engine::ops::lfs::{LfsOperation, PASS_SECONDS};
use madake_engine::ops::ssh_keys::KeyHolder;
use madake_engine::{Engine, EngineError};
use madake_ssh::{
    Answer, Gate, HostKeyError, HostKeys, Identity, KeyAttempt, LfsWish, Limits, OpenRequest, Refusal,
    Service, Session, SshServer,
};
use madake_store::event::{Content, NewEvent, Via};
use madake_store::repository::Repository;
use madake_vcs::git::smart_http::{Command, ReceiveLimits, ReceivePack};
use madake_vcs::git::ssh::{start_upload_archive, start_upload_pack};
use madake_vcs::hg::serve::stdio::StdioSession;
use madake_vcs::hg::serve::{Access, ServeLimits};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::git::recorder;

/// The names before the `@` of an address; who comes is known by the key.
const USER_NAMES: [&str; 2] = ["git", "hg"];
/// How long commands may go on after the server was told to stop: as long as requests over HTTP.
const GRACE: Duration = Duration::from_secs(20);
/// Refusals that wait for their entry in the ledger where nobody waits for them; more are in the log alone.
const WAITING_ENTRIES: usize = 32;
/// The exit code of a command that failed on our side.
const FAILED: u32 = 1;

/// A port that SSH is served on, and the key by which clients know this server.
#[derive(Debug)]
pub struct SshListener {
    listener: TcpListener,
    bound: SocketAddr,
    keys: HostKeys,
}

/// Why SSH cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {address} for SSH (ssh.listen): {source}")]
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The host key cannot be used.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
}

impl SshListener {
    /// Takes the port, and the host key at `host_key`, which is made if there is none.
    ///
    /// # Errors
    /// When the port cannot be had or the key not be used.
    pub async fn bind(address: SocketAddr, host_key: &Path) -> Result<Self, SshError> {
        let keys = HostKeys::load_or_create(host_key)?;
        let refused = |source| SshError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let made = if keys.was_created() { ", made now" } else { "" };
        tracing::info!(
            fingerprint = keys.fingerprint(),
            "SSH: listening on {bound}, host key {}{made}",
            keys.fingerprint()
        );
        Ok(Self {
            listener,
            bound,
            keys,
        })
    }

    /// What clone addresses start with: `ssh://git@HOST:PORT`. The host is that of `base_url`, unless only this
    /// machine can connect.
    #[must_use]
    pub fn address(&self, base_url: &str) -> String {
        let named = base_url
            .parse::<http::Uri>()
            .ok()
            .and_then(|uri| uri.host().map(str::to_owned))
            .filter(|_| !self.bound.ip().is_loopback());
        match named {
            Some(host) => format!("ssh://git@{host}:{}", self.bound.port()),
            None => format!("ssh://git@{}", self.bound),
        }
    }

    /// Serves until `stop` is cancelled, then lets commands that are running end.
    pub async fn serve(self, engine: Engine, stop: CancellationToken) {
        let gate = EngineGate {
            engine,
            entries: Arc::new(Semaphore::new(WAITING_ENTRIES)),
        };
        let limits = Limits {
            stop_time: GRACE,
            ..Limits::default()
        };
        SshServer::new(&self.keys, Arc::new(gate), limits, stop)
            .run(self.listener)
            .await;
    }
}

/// The gate of the SSH server: asks the engine.
struct EngineGate {
    engine: Engine,
    entries: Arc<Semaphore>,
}

/// What is known of a client that came in: its key, which is looked up again for each command, as it may have been
/// removed meanwhile.
struct CameIn {
    openssh: String,
}

impl Gate for EngineGate {
    fn authenticate<'a>(&'a self, attempt: &'a KeyAttempt) -> Answer<'a, Option<Identity>> {
        Box::pin(async move {
            let holder = match self.engine.ssh_key_holder(&attempt.key.openssh).await {
                Ok(holder) => holder,
                Err(error) => {
                    tracing::error!("SSH: a key could not be looked up: {error}");
                    return None;
                }
            };
            let known_name = USER_NAMES.contains(&attempt.user_name.as_str());
            let Some(holder) = holder.filter(|_| known_name) else {
                let name = inert(&attempt.user_name, 64);
                let reason = if known_name {
                    "the key is not registered, or its user may not log in"
                } else {
                    "the user name is neither `git` nor `hg`"
                };
                let detail = format!("user name {name}, key {}", attempt.key.fingerprint);
                let refused = Refused::new(attempt.peer, "anonymous", "login", 401, reason, &detail);
                refused.enter(&self.engine).await;
                return None;
            };
            if attempt.proved
                && let Err(error) = self.engine.note_ssh_key_use(&holder).await
            {
                tracing::warn!("SSH: the use of a key could not be noted: {error}");
            }
            let came_in = CameIn {
                openssh: attempt.key.openssh.clone(),
            };
            Some(Identity::new(holder.principal.name(), came_in))
        })
    }

    fn open<'a>(
        &'a self,
        identity: &'a Identity,
        request: OpenRequest,
    ) -> Answer<'a, Result<Session, Refusal>> {
        Box::pin(async move {
            let failed = |error: EngineError| {
                tracing::error!("SSH: a command could not be served: {error}");
                Refusal::from("internal error; the log of the server has the cause")
            };
            let holder = match identity.value::<CameIn>() {
                Some(came_in) => self
                    .engine
                    .ssh_key_holder(&came_in.openssh)
                    .await
                    .map_err(failed)?,
                None => None,
            };
            let Some(holder) = holder else {
                let refused = Refused::new(
                    request.peer,
                    identity.name(),
                    "login",
                    401,
                    "the key was removed after its holder came in",
                    request.service.name(),
                );
                refused.enter(&self.engine).await;
                return Err("this key is not registered any more".into());
            };
            match self.find(&holder, &request).await {
                Ok(found) if found.scm == Scm::Hg => self.hg_session(&holder, found, &request).await,
                Ok(found) => self.session(&holder, found, &request),
                Err((sentence, refused)) => {
                    if let Some(refused) = refused {
                        refused.enter(&self.engine).await;
                    }
                    Err(Refusal(sentence))
                }
            }
        })
    }

    fn refused(&self, identity: Option<&Identity>, peer: SocketAddr, what: &str) {
        let principal = identity.map_or("anonymous", Identity::name);
        // The reason is one of a few words, so that repeats are counted on one entry.
        let refused = Refused::new(
            peer,
            principal,
            "connection",
            403,
            &inert(what, 200),
            "not served",
        );
        let Ok(place) = Arc::clone(&self.entries).try_acquire_owned() else {
            refused.log();
            return;
        };
        let engine = self.engine.clone();
        tokio::spawn(async move {
            refused.enter(&engine).await;
            drop(place);
        });
    }
}

impl EngineGate {
    /// The repository that is asked for; or what the client reads, and what an administrator finds.
    async fn find(
        &self,
        holder: &KeyHolder,
        request: &OpenRequest,
    ) -> Result<Repository, (String, Option<Refused>)> {
        let (needed, verb, hosted_only) = match request.service {
            Service::GitUploadPack => (Permission::Read, "fetch from", false),
            Service::GitUploadArchive => (Permission::Read, "make archives of", true),
            Service::GitReceivePack => (Permission::Write, "push to", true),
            // One session reads and writes: what it may do beyond reading is found out when it begins.
            Service::HgServeStdio => (Permission::Read, "read", false),
            Service::GitLfsAuthenticate(LfsWish::Download) => (Permission::Read, "fetch from", false),
            Service::GitLfsAuthenticate(LfsWish::Upload) => (Permission::Write, "push to", true),
        };
        let peer = request.peer.ip().to_canonical().to_string();
        let name = name_of(&request.path);
        let refused = |subject: String, reason: &str| {
            Refused::new(
                request.peer,
                holder.principal.name(),
                &subject,
                403,
                reason,
                request.service.name(),
            )
        };
        // The same for one that is hidden and one that is not there.
        let hidden = || {
            format!(
                "there is no repository {}, or you may not {verb} it",
                inert(name, 200)
            )
        };
        let found = self
            .engine
            .repository_for_key(holder, &peer, name, needed)
            .await
            .map_err(|error| match error {
                EngineError::Forbidden { needed, subject, .. } => {
                    (hidden(), Some(refused(subject, &format!("lacks {needed}"))))
                }
                EngineError::NotFound(_) => (hidden(), None),
                other => {
                    tracing::error!("SSH: a repository could not be looked up: {other}");
                    ("internal error; the log of the server has the cause".into(), None)
                }
            })?;
        let wanted = match request.service {
            Service::HgServeStdio => Scm::Hg,
            Service::GitUploadPack
            | Service::GitUploadArchive
            | Service::GitReceivePack
            | Service::GitLfsAuthenticate(_) => Scm::Git,
        };
        if found.scm != wanted {
            let title = found.scm.title();
            return Err((format!("{} is a {title} repository", found.name), None));
        }
        if hosted_only && found.kind != RepositoryKind::Hosted {
            let reason = format!(
                "{} on a repository that is not hosted here",
                request.service.name()
            );
            return Err((
                format!("{} is not hosted here: you cannot {verb} it here", found.name),
                Some(refused(format!("repository {}", found.name), &reason)),
            ));
        }
        Ok(found)
    }

    async fn hg_session(
        &self,
        holder: &KeyHolder,
        found: Repository,
        request: &OpenRequest,
    ) -> Result<Session, Refusal> {
        let peer = request.peer.ip().to_canonical().to_string();
        let may_write = found.kind == RepositoryKind::Hosted
            && self
                .engine
                .repository_for_key(holder, &peer, &found.name, Permission::Write)
                .await
                .is_ok();
        let access = if may_write { Access::Write } else { Access::Read };
        Ok(hg_session(&self.engine, holder.caller(&peer), found, access))
    }

    fn session(
        &self,
        holder: &KeyHolder,
        found: Repository,
        request: &OpenRequest,
    ) -> Result<Session, Refusal> {
        let (git, path) = (self.engine.git(), Path::new(&found.path));
        let started = match request.service {
            Service::GitUploadPack => start_upload_pack(git, path, request.git_protocol.as_deref()),
            Service::GitUploadArchive => start_upload_archive(git, path),
            Service::GitReceivePack | Service::HgServeStdio => {
                return Ok(push(&self.engine, holder, found, request));
            }
            Service::GitLfsAuthenticate(wish) => return self.lfs_pass(holder, &found, wish),
        };
        started
            .map(|process| Session::program(process, Duration::ZERO))
            .map_err(|error| {
                tracing::error!(repository = %found.name, "SSH: {} cannot be served: {error}", found.name);
                Refusal::from("the repository cannot be read")
            })
    }
}

impl EngineGate {
    /// Tells git-lfs where to go on over HTTP (git-lfs `docs/api/server-discovery.md`).
    fn lfs_pass(&self, holder: &KeyHolder, found: &Repository, wish: LfsWish) -> Result<Session, Refusal> {
        let operation = match wish {
            LfsWish::Download => LfsOperation::Download,
            LfsWish::Upload => LfsOperation::Upload,
        };
        let pass = self.engine.lfs_pass(holder, found, operation).map_err(|error| {
            tracing::error!(repository = %found.name, "SSH: a pass for {} cannot be made: {error}", found.name);
            Refusal::from("internal error; the log of the server has the cause")
        })?;
        let text = serde_json::json!({
            "href": crate::git::lfs::address(&self.engine.settings().base_url, found),
            "header": { "Authorization": format!("Bearer {pass}") },
            "expires_in": PASS_SECONDS,
        });
        Ok(Session::handler(move |_input, mut output, _error| async move {
            // A client that has gone needs no pass.
            let _ = output.write_all(format!("{text}\n").as_bytes()).await;
            0
        }))
    }
}

fn push(engine: &Engine, holder: &KeyHolder, found: Repository, request: &OpenRequest) -> Session {
    let caller = holder.caller(&request.peer.ip().to_canonical().to_string());
    let (engine, version) = (engine.clone(), request.git_protocol.clone());
    Session::handler(move |input, output, _error| async move {
        let record = recorder(&engine, caller.clone(), &found, Via::Ssh);
        let receive = ReceivePack {
            git: engine.git(),
            git_directory: Path::new(&found.path),
            git_protocol: version.as_deref(),
            limits: ReceiveLimits::default(),
            tails: engine.pushes(),
        };
        let (judge, caller, pushed) = (&engine, &caller, &found);
        let permit =
            |commands: Vec<Command>| async move { judge.judge_push(caller, pushed, &commands).await };
        let served = Box::pin(receive.serve_connected(input, output, permit, record)).await;
        match served {
            Ok(_) => 0,
            Err(error) => {
                tracing::info!(repository = %found.name, "a push to {} ended early: {error}", found.name);
                FAILED
            }
        }
    })
}

fn hg_session(engine: &Engine, caller: Caller, found: Repository, access: Access) -> Session {
    let engine = engine.clone();
    Session::handler(move |input, output, error| async move {
        let mercurial = match engine.mercurial() {
            Ok(mercurial) => mercurial,
            Err(error) => {
                tracing::error!(repository = %found.name, "SSH: {} cannot be served: {error}", found.name);
                return FAILED;
            }
        };
        let name = found.name.clone();
        let session = StdioSession {
            hg: mercurial.program(),
            repository: Path::new(&found.path),
            access,
            pusher: Some(caller.name().to_owned()),
            limits: ServeLimits::default(),
            tails: engine.pushes(),
        };
        let keeper = Arc::new(engine.hg_push_keeper(caller, found.clone(), Via::Ssh));
        match Box::pin(session.serve(input, output, error, keeper)).await {
            Ok(code) => u32::try_from(code).unwrap_or(FAILED),
            Err(error) => {
                tracing::info!(repository = %name, "a session with {name} ended early: {error}");
                FAILED
            }
        }
    })
}

/// The name of a repository in the words of a client: `/scm/proj/app.git`, `hg/proj/lib`, `proj/app`.
fn name_of(path: &str) -> &str {
    let path = path.trim_matches('/');
    let below = path.strip_prefix("scm/").or_else(|| path.strip_prefix("hg/"));
    // An owner may have the name of a prefix: then there is no slash left.
    let path = below.filter(|below| below.contains('/')).unwrap_or(path);
    path.strip_suffix(".git").unwrap_or(path)
}

/// A refusal for the log and the ledger.
struct Refused {
    entry: NewEvent,
    status: u16,
    subject: String,
    reason: String,
    detail: String,
}

impl Refused {
    /// `detail` is for the log alone: what a stranger can vary must not make entries without end.
    fn new(
        peer: SocketAddr,
        principal: &str,
        subject: &str,
        status: u16,
        reason: &str,
        detail: &str,
    ) -> Self {
        Self {
            entry: NewEvent {
                kind: "refused",
                delivery_id: None,
                address: peer.ip().to_canonical().to_string(),
                principal: principal.to_owned(),
                repository_id: None,
                plan_key: None,
                summary: format!("SSH: {subject}"),
                raw: Vec::new(),
                content: Content::Refused,
            },
            status,
            subject: subject.to_owned(),
            reason: reason.to_owned(),
            detail: detail.to_owned(),
        }
    }

    fn log(&self) {
        let (principal, address) = (&self.entry.principal, &self.entry.address);
        tracing::warn!(
            target: "madake::authorisation",
            principal = %principal,
            address = %address,
            subject = %self.subject,
            reason = %self.reason,
            "refused SSH ({}): principal {principal} from {address}, {}: {}",
            self.detail,
            self.subject,
            self.reason
        );
    }

    async fn enter(self, engine: &Engine) {
        self.log();
        engine.record_refusal(self.entry, self.status, self.reason).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_named_as_in_addresses_for_http() {
        for path in [
            "proj/app",
            "/proj/app.git",
            "/scm/proj/app.git",
            "scm/proj/app",
            "proj/app.git/",
            "hg/proj/app",
            "/hg/proj/app",
        ] {
            assert_eq!(name_of(path), "proj/app", "{path}");
        }
        assert_eq!(name_of("/"), "");
        assert_eq!(name_of("hg/app"), "hg/app");
        assert_eq!(name_of("scm/app.git"), "scm/app");
    }
}
