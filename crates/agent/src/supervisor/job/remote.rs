//! Tasks on other machines: `ssh` and `scp` (bamboo-specs.md 4.4).
//!
//! The connection is made here and not by the job's scripts, so that the job never sees password or key. Files are read
//! as those of artifacts are: no link leads out of the working directory.

use std::future::Future;
use std::io;
use std::time::Duration;

use madake_domain::ant_pattern::AntPatterns;
use madake_domain::plan::{RemoteAuthentication, RemoteLogin, ScpTask, SshTask};
use madake_domain::text::{counted, inert};
use madake_protocol::CredentialContent;
use madake_protocol::log::LogKind;
use tokio::runtime::Runtime;

use super::{Job, TaskEnd};
use crate::artifact::{CollectLimits, collect};
use crate::log::LineSplitter;
use crate::remote::{Authentication, Connection, Login, RemoteError, Sender, Stream};
use crate::supervisor::confine;
use crate::supervisor::container::watched;
use crate::supervisor::interruption::{Interruption, Lookout};

/// The port of SSH.
const PORT: u16 = 22;

/// Why a task on another machine did not succeed.
enum Failure {
    Interrupted(Interruption),
    Reason(String),
    ExitCode(String, i32),
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        Self::Reason(error.to_string())
    }
}

impl From<Interruption> for Failure {
    fn from(interruption: Interruption) -> Self {
        Self::Interrupted(interruption)
    }
}

/// Files that a task names: below which folder, which, and where over there they go.
struct Files {
    location: String,
    patterns: AntPatterns,
    /// What stands in front of their paths over there.
    below: String,
    named: String,
}

impl Job<'_> {
    pub(super) fn run_ssh(&mut self, task: &SshTask, lookout: &Lookout<'_>) -> TaskEnd {
        let command = self.environment.substituted(&task.command);
        self.on_each_host(&task.login, lookout, |job, runtime, connection, host| {
            job.log
                .say(LogKind::Command, &format!("Running on {host}:\n{command}"));
            let mut running = runtime.block_on(watched(lookout, connection.start(&command)))??;
            let (mut out, mut err) = (LineSplitter::default(), LineSplitter::default());
            let mut print = |stream, bytes: &[u8]| match stream {
                Stream::Out => job.log.output(LogKind::Build, &mut out, bytes),
                Stream::Err => job.log.output(LogKind::Error, &mut err, bytes),
            };
            let ended = runtime.block_on(watched(lookout, running.end(&mut print)));
            let grace = Duration::from_secs(job.order.stop_grace_seconds);
            let goes_on = ended.is_err() && !runtime.block_on(running.stop(grace, &mut print));
            job.log.end_of_output(LogKind::Build, &mut out);
            job.log.end_of_output(LogKind::Error, &mut err);
            if goes_on {
                let text = format!(
                    "The command may go on on {host}: it was told to end, and the machine does not say that it has"
                );
                job.log.say(LogKind::Error, &text);
            }
            match ended?? {
                Some(0) => Ok(()),
                Some(code) => Err(Failure::ExitCode(
                    format!("the command on {host} ended with exit code {code}"),
                    i32::try_from(code).unwrap_or(i32::MAX),
                )),
                None => Err(Failure::Reason(format!(
                    "the command on {host} was killed by a signal"
                ))),
            }
        })
    }

    pub(super) fn run_scp(&mut self, task: &ScpTask, lookout: &Lookout<'_>) -> TaskEnd {
        let files = match self.files_to_copy(task) {
            Ok(files) => files,
            Err(reason) => return TaskEnd::failed(reason),
        };
        let folder = self.environment.substituted(&task.destination_path);
        if folder.chars().any(char::is_control) {
            return TaskEnd::failed("`destination-path` has a control character".to_owned());
        }
        self.on_each_host(&task.login, lookout, |job, runtime, connection, host| {
            let mut sender = runtime.block_on(watched(lookout, connection.begin_copy(&folder)))??;
            let mut count = 0;
            for some in &files {
                count += job.copy(some, runtime, &mut sender, lookout)?;
            }
            runtime.block_on(watched(lookout, sender.finish()))??;
            let shown = if folder.is_empty() {
                "the home of the user"
            } else {
                &folder
            };
            job.tell(&format!(
                "Copied {} to {host}, into {shown}",
                counted(count, "file")
            ));
            Ok(())
        })
    }

    /// Sends what some patterns match; how many files those are.
    fn copy(
        &self,
        files: &Files,
        runtime: &Runtime,
        sender: &mut Sender<'_>,
        lookout: &Lookout<'_>,
    ) -> Result<u64, Failure> {
        let mut failure = None;
        let collected = collect(
            &self.order.working_directory,
            &files.location,
            &files.patterns,
            &CollectLimits::default(),
            &mut |file| {
                let path = format!("{}{}", files.below, file.path.as_str());
                let sent = runtime.block_on(watched(lookout, sender.send(file, &path)));
                sent.map_err(Failure::from)
                    .and_then(|sent| sent.map_err(Failure::from))
                    .map_err(|why| {
                        failure = Some(why);
                        io::Error::other("the file was not sent")
                    })
            },
        );
        if let Some(failure) = failure {
            return Err(failure);
        }
        let collection = collected.map_err(|error| Failure::Reason(error.to_string()))?;
        for left_out in &collection.left_out {
            let text = format!(
                "`{}` is not copied: {}",
                inert(&left_out.path, 200),
                left_out.reason
            );
            self.log.say(LogKind::Error, &text);
        }
        if collection.files == 0 {
            return Err(Failure::Reason(format!("no file matches `{}`", files.named)));
        }
        Ok(collection.files)
    }

    /// The files by patterns; a folder stands for all that is in it, and goes there with its name.
    fn files_to_copy(&self, task: &ScpTask) -> Result<Vec<Files>, String> {
        let text = self.environment.substituted(&task.local_path);
        let unreadable = |error: madake_domain::ant_pattern::AntPatternError| error.to_string();
        if task.use_ant_pattern {
            return Ok(vec![Files {
                location: String::new(),
                patterns: AntPatterns::parse(&text).map_err(unreadable)?,
                below: String::new(),
                named: inert(&text, 200),
            }]);
        }
        let mut all = Vec::new();
        for path in text
            .split(['\n', ','])
            .map(str::trim)
            .filter(|path| !path.is_empty())
        {
            let found = confine::existing(&self.order.working_directory, path)
                .map_err(|error| format!("the local path {error}"))?;
            let path = path.trim_start_matches("./").trim_end_matches('/');
            let (location, name) = if found.is_dir() {
                (path, "**")
            } else {
                path.rsplit_once('/').unwrap_or(("", path))
            };
            // Letters of a name are not to be read as a pattern.
            if name != "**" && name.contains(['*', '?']) {
                return Err(format!(
                    "`{path}` has letters of a pattern; say `use-ant-pattern: true`"
                ));
            }
            let folder = path.rsplit('/').next().unwrap_or_default();
            all.push(Files {
                location: location.to_owned(),
                patterns: AntPatterns::parse(name).map_err(unreadable)?,
                below: if found.is_dir() && !matches!(folder, "" | ".") {
                    format!("{folder}/")
                } else {
                    String::new()
                },
                named: inert(path, 200),
            });
        }
        if all.is_empty() {
            return Err("`local-path` names no file".to_owned());
        }
        Ok(all)
    }

    /// Connects to each machine in its turn; the first on which `act` fails ends the task.
    fn on_each_host(
        &mut self,
        login: &RemoteLogin,
        lookout: &Lookout<'_>,
        mut act: impl FnMut(&Self, &Runtime, &Connection, &str) -> Result<(), Failure>,
    ) -> TaskEnd {
        let logins = match self.logins(login) {
            Ok(logins) => logins,
            Err(reason) => return TaskEnd::failed(reason),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return TaskEnd::failed(format!("no connection can be made: {error}")),
        };
        // Channels that are let go of say so from a task of their own, which needs to find the runtime.
        let _entered = runtime.enter();
        for login in logins {
            let host = format!("{}:{}", inert(&login.host, 200), login.port);
            let done = open(&runtime, &login, lookout)
                .and_then(|connection| act(self, &runtime, &connection, &host));
            match done {
                Ok(()) => {}
                Err(Failure::Interrupted(interruption)) => {
                    self.log
                        .say(LogKind::Error, &format!("The task is {}", interruption.reason()));
                    return TaskEnd::Interrupted(interruption);
                }
                Err(Failure::Reason(reason)) => return TaskEnd::failed(reason),
                Err(Failure::ExitCode(reason, code)) => {
                    return TaskEnd::Failed {
                        reason,
                        exit_code: Some(code),
                    };
                }
            }
        }
        TaskEnd::Succeeded
    }

    fn logins(&self, login: &RemoteLogin) -> Result<Vec<Login>, String> {
        if !self.surroundings.has_network() {
            return Err("jobs have no network here, as agent.network says".to_owned());
        }
        let mut username = self.environment.substituted(&login.username);
        let authentication = match &login.authentication {
            RemoteAuthentication::Agent => Authentication::Agent,
            RemoteAuthentication::Password { password } => {
                Authentication::Password(self.secret("password", password)?)
            }
            RemoteAuthentication::Key { key, passphrase } => Authentication::Key {
                key: self.secret("private key", key)?,
                passphrase: passphrase
                    .as_ref()
                    .map(|text| self.secret("passphrase of the key", text))
                    .transpose()?,
            },
            RemoteAuthentication::Shared { name } => {
                let (of_credential, authentication) = match self.credential(name)? {
                    CredentialContent::Password { username, password } => {
                        (username, Authentication::Password(password))
                    }
                    CredentialContent::Key {
                        username,
                        key,
                        passphrase,
                    } => (username, Authentication::Key { key, passphrase }),
                    CredentialContent::Refused { reason } => return Err(reason),
                };
                if username.is_empty() {
                    username = of_credential;
                }
                authentication
            }
        };
        if username.is_empty() {
            return Err(
                "the task does not say as whom to log in: give `authentication` a `username`".to_owned(),
            );
        }
        let hosts: Vec<String> = login
            .hosts
            .iter()
            .flat_map(|host| {
                let host = self.environment.substituted(host);
                host.split([',', '\n'])
                    .map(|one| one.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .filter(|host| !host.is_empty())
            .collect();
        if hosts.is_empty() {
            return Err("the task names no machine".to_owned());
        }
        let fingerprint = login
            .host_fingerprint
            .as_ref()
            .map(|text| self.environment.substituted(text));
        Ok(hosts
            .into_iter()
            .map(|host| Login {
                host,
                port: login.port.unwrap_or(PORT),
                fingerprint: fingerprint.clone(),
                username: username.clone(),
                authentication: authentication.clone(),
            })
            .collect())
    }
}

fn open(runtime: &Runtime, login: &Login, lookout: &Lookout<'_>) -> Result<Connection, Failure> {
    let connecting: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(Connection::open(login));
    Ok(runtime.block_on(watched(lookout, connecting))??)
}
