//! The scripts of a job in a container.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::Method;
use madake_protocol::log::LogKind;
use madake_protocol::{ContainerOrder, JobOrder};
use rustix::process::{getgid, getuid};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::{interval, sleep};

use crate::container::{
    ContainerEngine, ContainerError, ContainerNote, ContainerPlace, ContainerRequest, Frames, RequestError,
    pull, remove,
};
use crate::job_directory::{JobDirectory, make_private_directory};
use crate::log::{LineSplitter, Log};

use super::interruption::{Interruption, Lookout};
use super::script::PreparedScript;
use super::script_environment::ScriptEnvironment;
use super::task_process::{LOOK_INTERVAL, ProcessEnd};

/// How long the engine may take to tell the exit code of a command whose output has ended.
const LONGEST_END: Duration = Duration::from_secs(10);

/// Why a job has no container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BeginError {
    /// The plan asks for what it may not have, or cannot be understood.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The engine is not there, or refuses.
    #[error(transparent)]
    Engine(#[from] ContainerError),
    /// The job's folder cannot be written.
    #[error("cannot write into the job's directory: {0}")]
    Directory(#[from] io::Error),
    /// The job is ended.
    #[error("the job was {} before its container was ready", .0.reason())]
    Interrupted(Interruption),
}

/// The container of one attempt at a job.
#[derive(Debug)]
pub(crate) struct Container {
    runtime: Runtime,
    engine: ContainerEngine,
    name: String,
    image: String,
    note_path: PathBuf,
    /// The home of a user whom the image does not know.
    home: Option<PathBuf>,
    is_running: bool,
    is_paused: bool,
    /// Whether the server lets jobs in containers use the network.
    may_use_network: bool,
}

impl Container {
    /// Whether what runs for the job may use the network.
    pub(crate) fn may_use_network(&self) -> bool {
        self.may_use_network
    }

    /// Makes and starts the container; the image is fetched when it is missing.
    pub(crate) fn begin(
        order: &JobOrder,
        container: &ContainerOrder,
        directory: &JobDirectory,
        environment: &ScriptEnvironment,
        log: &Log,
        lookout: &Lookout<'_>,
    ) -> Result<Self, BeginError> {
        let engine = ContainerEngine::find()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let name = name_of(directory);
        let tmp_directory = directory.tmp_path();
        let asked = runtime.block_on(watched(lookout, async {
            let info = engine.ask("describe itself", Method::GET, "/info", None).await?;
            let place = ContainerPlace {
                working_directory: &order.working_directory,
                tmp_directory: &tmp_directory,
                sources: order
                    .repositories
                    .iter()
                    .map(|one| one.source.as_path())
                    .collect(),
                job_directory: directory.path(),
                // The engine of a person maps its root to that person already.
                user: (!is_rootless(&info)).then(|| (getuid().as_raw(), getgid().as_raw())),
            };
            let request = ContainerRequest::new(container, &place, |text| environment.substituted(text))?;
            pull(&engine, &request.image, |line| log.say(LogKind::Simple, line)).await?;
            Ok::<_, BeginError>(request)
        }));
        let request = asked.map_err(BeginError::Interrupted)??;
        let note_path = directory.container_path();
        let note = ContainerNote {
            socket: engine.socket().to_owned(),
            name: name.clone(),
        };
        note.write(&note_path)?;
        let home = (request.is_mapped && !getuid().is_root()).then(|| tmp_directory.join("home"));
        if let Some(home) = &home {
            make_private_directory(home)?;
        }
        let mut made = Self {
            runtime,
            engine,
            name,
            image: request.image.as_str().to_owned(),
            note_path,
            home,
            is_running: false,
            is_paused: false,
            may_use_network: container.network,
        };
        made.make(&request.body(), lookout)?;
        Ok(made)
    }

    /// What the job's log says about it.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "Isolation: scripts run in the container {} of the image {}",
            self.name, self.image
        )
    }

    fn make(&mut self, request: &Value, lookout: &Lookout<'_>) -> Result<(), BeginError> {
        let path = format!("/containers/create?name={}", self.name);
        let made = self.runtime.block_on(watched(lookout, async {
            let create = || {
                self.engine
                    .ask("make the container", Method::POST, &path, Some(request))
            };
            match create().await {
                // A container of this name is that of a supervisor that died before it could tell.
                Err(error) if error.is_conflict() => {
                    remove(&self.engine, &self.name).await?;
                    create().await
                }
                made => made,
            }?;
            start(&self.engine, &self.name).await
        }));
        made.map_err(BeginError::Interrupted)??;
        self.is_running = true;
        Ok(())
    }

    /// Runs a script to its end; its output is in the log when this returns.
    pub(crate) fn run(
        &mut self,
        script: &PreparedScript,
        log: &Log,
        lookout: &Lookout<'_>,
        grace: Duration,
        once_started: impl FnOnce(),
    ) -> Result<ProcessEnd, ContainerError> {
        let mut environment: Vec<(String, String)> = Vec::new();
        let home = self
            .home
            .iter()
            .map(|home| ("HOME".into(), home.as_os_str().to_owned()));
        for (name, value) in home.chain(script.environment.iter().cloned()) {
            let name = name.to_string_lossy().into_owned();
            environment.retain(|(known, _)| *known != name);
            environment.push((name, value.to_string_lossy().into_owned()));
        }
        let environment: Vec<String> = environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let body = json!({
            "AttachStdout": true,
            "AttachStderr": true,
            "Cmd": script.line,
            "Env": environment,
            "WorkingDir": script.directory,
        });
        let (engine, name, is_running) = (&self.engine, &self.name, self.is_running);
        let (end, survives) = self.runtime.block_on(async {
            if !is_running {
                start(engine, name).await?;
            }
            let id = make_command(engine, name, &body).await?;
            follow(engine, name, &id, log, lookout, grace, once_started).await
        })?;
        self.is_running = survives;
        Ok(end)
    }

    /// Holds everything that runs in the container. Where an engine cannot pause (that of a person on a system without
    /// cgroups of its own), the container is stopped, and started again by the next command: started now, the image's own
    /// shell would run meanwhile.
    pub(crate) fn pause(&mut self) -> Result<(), ContainerError> {
        if !self.is_running || self.is_paused {
            return Ok(());
        }
        let (engine, name) = (&self.engine, &self.name);
        self.is_paused = self.runtime.block_on(async {
            let path = format!("/containers/{name}/pause");
            match engine.ask("pause the container", Method::POST, &path, None).await {
                Ok(_) => Ok(true),
                Err(ContainerError::Refused { .. }) => {
                    let path = format!("/containers/{name}/stop?t=0");
                    engine
                        .ask("stop the container", Method::POST, &path, None)
                        .await
                        .map(|_| false)
                }
                Err(error) => Err(error),
            }
        })?;
        self.is_running = self.is_paused;
        Ok(())
    }

    /// Lets what runs in a paused container go on.
    pub(crate) fn go_on(&mut self) -> Result<(), ContainerError> {
        if !std::mem::take(&mut self.is_paused) {
            return Ok(());
        }
        let path = format!("/containers/{}/unpause", self.name);
        let asked = self
            .engine
            .ask("let the container go on", Method::POST, &path, None);
        self.runtime.block_on(asked).map(|_| ())
    }

    /// Removes the container with everything that runs in it.
    pub(crate) fn finish(self) -> Result<(), ContainerError> {
        self.runtime.block_on(remove(&self.engine, &self.name))?;
        // The note of a container that is gone means nothing; it goes with the job's directory.
        let _ = std::fs::remove_file(&self.note_path);
        Ok(())
    }
}

/// The name of the container of a job's directory, different for each server and attempt.
fn name_of(directory: &JobDirectory) -> String {
    let (job, attempt) = directory.ids().unwrap_or_default();
    let home = directory.path().parent().unwrap_or(directory.path());
    // FNV-1a: it keeps servers of one machine apart and need not withstand anybody.
    let hash = home
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("madake-{hash:016x}-{job}-{attempt}")
}

fn is_rootless(info: &Value) -> bool {
    let options = info.get("SecurityOptions").and_then(Value::as_array);
    options
        .into_iter()
        .flatten()
        .any(|option| option.as_str() == Some("name=rootless"))
}

/// Waits for something and looks out meanwhile.
pub(crate) async fn watched<T>(
    lookout: &Lookout<'_>,
    work: impl Future<Output = T>,
) -> Result<T, Interruption> {
    let mut work = std::pin::pin!(work);
    let mut looks = interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            _ = looks.tick() => {
                if let Some(interruption) = lookout.look() {
                    return Err(interruption);
                }
            }
        }
    }
}

async fn start(engine: &ContainerEngine, name: &str) -> Result<(), ContainerError> {
    let path = format!("/containers/{name}/start");
    engine
        .ask("start the container", Method::POST, &path, None)
        .await?;
    Ok(())
}

async fn kill(engine: &ContainerEngine, name: &str) -> Result<(), ContainerError> {
    let path = format!("/containers/{name}/kill");
    match engine.ask("end the container", Method::POST, &path, None).await {
        // It has ended by itself.
        Err(error) if error.is_conflict() => Ok(()),
        done => done.map(|_| ()),
    }
}

async fn make_command(engine: &ContainerEngine, name: &str, body: &Value) -> Result<String, ContainerError> {
    let path = format!("/containers/{name}/exec");
    let made = engine
        .ask("run the script", Method::POST, &path, Some(body))
        .await?;
    match made["Id"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(engine.unreachable("it gave the command no id".into())),
    }
}

/// The friendly signal to all processes of the container but the first.
async fn signal(engine: &ContainerEngine, name: &str) -> Result<(), ContainerError> {
    let body = json!({ "Cmd": ["/bin/sh", "-c", "kill -TERM -1"], "User": "0" });
    let id = make_command(engine, name, &body).await?;
    let detached = json!({ "Detach": true });
    engine
        .ask(
            "stop the script",
            Method::POST,
            &format!("/exec/{id}/start"),
            Some(&detached),
        )
        .await?;
    Ok(())
}

/// Runs a command that is made, to its end; says how it ended and whether the container still runs.
async fn follow(
    engine: &ContainerEngine,
    name: &str,
    id: &str,
    log: &Log,
    lookout: &Lookout<'_>,
    grace: Duration,
    once_started: impl FnOnce(),
) -> Result<(ProcessEnd, bool), ContainerError> {
    let path = format!("/exec/{id}/start");
    let attached = json!({ "Detach": false, "Tty": false });
    let mut output = engine
        .open("run the script", Method::POST, &path, Some(&attached))
        .await?
        .into_body();
    once_started();
    let (mut frames, mut out, mut err) = (
        Frames::default(),
        LineSplitter::default(),
        LineSplitter::default(),
    );
    let mut looks = interval(LOOK_INTERVAL);
    let mut ending: Option<(Interruption, Instant)> = None;
    let mut is_killed = false;
    loop {
        tokio::select! {
            frame = output.frame() => {
                let Some(frame) = frame else { break };
                let frame = match frame {
                    Ok(frame) => frame,
                    Err(_) if ending.is_some() => break,
                    Err(error) => return Err(engine.unreachable(error.to_string())),
                };
                if let Some(bytes) = frame.data_ref() {
                    frames.push(bytes, |kind, text| {
                        let splitter = if kind == LogKind::Error { &mut err } else { &mut out };
                        log.output(kind, splitter, text);
                    });
                }
            }
            _ = looks.tick() => match &ending {
                None => {
                    if let Some(interruption) = lookout.look() {
                        log.say(LogKind::Error, &format!("The task is {}", interruption.reason()));
                        ending = Some((interruption, Instant::now()));
                        // Who cannot be told in a friendly way is ended after the grace.
                        let _ = signal(engine, name).await;
                    }
                }
                Some((_, began)) if !is_killed && began.elapsed() >= grace => {
                    kill(engine, name).await?;
                    is_killed = true;
                }
                Some((_, began)) if began.elapsed() >= grace + LONGEST_END => break,
                Some(_) => {}
            },
        }
    }
    log.end_of_output(LogKind::Build, &mut out);
    log.end_of_output(LogKind::Error, &mut err);
    if let Some((interruption, _)) = ending {
        if !is_killed {
            kill(engine, name).await?;
        }
        return Ok((ProcessEnd::Interrupted(interruption), false));
    }
    let began = Instant::now();
    loop {
        let state = engine
            .ask(
                "tell the exit code",
                Method::GET,
                &format!("/exec/{id}/json"),
                None,
            )
            .await?;
        match (state["Running"].as_bool(), state["ExitCode"].as_i64()) {
            (Some(false), Some(code)) => {
                let code = i32::try_from(code).unwrap_or(i32::MAX);
                return Ok((ProcessEnd::Exited(code), true));
            }
            _ if began.elapsed() > LONGEST_END => {
                return Err(engine.unreachable("it does not tell the exit code of the script".into()));
            }
            _ => sleep(Duration::from_millis(5)).await,
        }
    }
}
