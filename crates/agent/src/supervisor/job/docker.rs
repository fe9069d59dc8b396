//! The task that builds, runs, pushes and pulls images (bamboo-specs.md 4.5), by the `docker` program.
//!
//! It runs in the surroundings of the job's scripts, so it may do what a script could do with that program and no
//! more. A password goes into a configuration file of the job's temporary directory, the container's environment into
//! another, and nothing of them onto a command line.

use std::ffi::OsString;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use madake_domain::artifact_path::ArtifactPath;
use madake_domain::plan::{
    DockerBuild, DockerRun, DockerTask, DockerTaskAction, Dockerfile, Registry, RegistryLogin,
};
use madake_domain::text::inert;
use madake_protocol::CredentialContent;
use madake_protocol::log::LogKind;
use serde_json::json;

use super::program::{DOCKER, ProgramError, ProgramLine, find};
use super::{Job, TaskEnd};
use crate::artifact::Destination;
use crate::container::ImageName;
use crate::supervisor::confine;
use crate::supervisor::interruption::Lookout;

/// The name under which Docker keeps logins of its hub.
const HUB: &str = "https://index.docker.io/v1/";

/// The folder of the job's temporary directory that docker finds its login in.
const LOGIN_FOLDER: &str = "docker";

/// Docker reads lines of up to 64 KiB from a file of variables.
const LONGEST_LINE: usize = 60_000;

/// How one `docker` command is run.
struct Command {
    arguments: Vec<String>,
    environment: Vec<(OsString, OsString)>,
}

impl From<Vec<String>> for Command {
    fn from(arguments: Vec<String>) -> Self {
        Self {
            arguments,
            environment: Vec::new(),
        }
    }
}

impl Job<'_> {
    pub(super) fn run_docker(&mut self, task: &DockerTask, lookout: &Lookout<'_>) -> TaskEnd {
        let commands = match self.docker_commands(task) {
            Ok(commands) => commands,
            Err(error) => return TaskEnd::failed(error.to_string()),
        };
        for command in commands {
            let line = find(&DOCKER, "", &self.environment).map(|program| ProgramLine {
                kind: &DOCKER,
                program,
                arguments: command.arguments,
                of_program: command.environment,
                environment: &task.environment,
                working_directory: &task.working_directory,
            });
            match self.run_line(line, lookout) {
                TaskEnd::Succeeded => {}
                other => return other,
            }
        }
        TaskEnd::Succeeded
    }

    /// Removes the containers that tasks left running beside the job.
    pub(super) fn remove_detached(&mut self) {
        for name in std::mem::take(&mut self.detached) {
            let line = find(&DOCKER, "", &self.environment).map(|program| ProgramLine {
                kind: &DOCKER,
                program,
                arguments: vec!["rm".to_owned(), "--force".to_owned(), name],
                of_program: Vec::new(),
                environment: "",
                working_directory: "",
            });
            let lookout = Lookout::for_final_tasks(self.order.final_tasks_seconds);
            if let TaskEnd::Failed { reason, .. } = self.run_line(line, &lookout) {
                self.log
                    .say(LogKind::Error, &format!("a container was not removed: {reason}"));
            }
        }
    }

    fn docker_commands(&mut self, task: &DockerTask) -> Result<Vec<Command>, ProgramError> {
        Ok(match &task.action {
            DockerTaskAction::Build(build) => self.docker_build(build, &task.working_directory)?,
            DockerTaskAction::Run(run) => {
                let (name, command) = self.docker_run(run)?;
                if run.detach {
                    self.detached.push(name);
                }
                vec![command]
            }
            DockerTaskAction::Push(push) => {
                vec![self.with_login("push", &push.image, push.registry, &push.login)?]
            }
            DockerTaskAction::Pull(pull) => {
                vec![self.with_login("pull", &pull.image, pull.registry, &pull.login)?]
            }
        })
    }

    /// A name that docker cannot take for an option.
    fn image(&self, text: &str) -> Result<ImageName, ProgramError> {
        let text = self.environment.substituted(text);
        ImageName::parse(&text).ok_or_else(|| {
            ProgramError::Refused(format!("`{}` is not the name of an image", inert(&text, 100)))
        })
    }

    fn docker_build(&self, build: &DockerBuild, folder: &str) -> Result<Vec<Command>, ProgramError> {
        let image = self.image(&build.image)?;
        let mut arguments = vec!["build".to_owned()];
        if build.no_cache {
            arguments.push("--no-cache=true".to_owned());
        }
        arguments.extend([format!("--tag={}", image.as_str())]);
        if let Dockerfile::Inline(text) = &build.dockerfile {
            // Bamboo writes it into the working directory, where the instructions of others expect it.
            let path = self.write_dockerfile(folder, &self.environment.substituted(text))?;
            arguments.push(format!("--file={path}"));
        }
        arguments.extend(self.environment.words(&build.options)?);
        arguments.push(".".to_owned());
        let mut commands = vec![Command::from(arguments)];
        if let Some(file) = &build.save_to {
            let file = self.environment.substituted(file);
            confine::to_be_made(&self.order.working_directory, &file).map_err(|source| {
                ProgramError::Path {
                    what: "file that the image is saved to",
                    source,
                }
            })?;
            let save = [
                "save".to_owned(),
                format!("--output={file}"),
                image.as_str().to_owned(),
            ];
            commands.push(save.to_vec().into());
        }
        Ok(commands)
    }

    fn write_dockerfile(&self, folder: &str, text: &str) -> Result<String, ProgramError> {
        let root = &self.order.working_directory;
        let directory = confine::existing(root, &self.environment.substituted(folder)).map_err(|source| {
            ProgramError::Path {
                what: "working directory",
                source,
            }
        })?;
        // A link in its place, or on the way, would carry the text elsewhere.
        let folder = self.environment.substituted(folder);
        let written = artifact_path("Dockerfile").and_then(|path| {
            Destination::open(root, &folder)
                .and_then(|place| place.write(&path, false, &mut text.as_bytes()))
                .map_err(|error| error.to_string())
        });
        written.map_err(|error| ProgramError::Refused(format!("cannot write the Dockerfile: {error}")))?;
        Ok(directory.join("Dockerfile").to_string_lossy().into_owned())
    }

    /// The container's name, and the arguments.
    fn docker_run(&mut self, run: &DockerRun) -> Result<(String, Command), ProgramError> {
        if run.wait_for_service {
            return Err(ProgramError::Refused(
                "this version of madake does not wait for the service of a container (`serviceWait`); take it out, \
                 and let a script ask for the service until it answers"
                    .to_owned(),
            ));
        }
        let of_container = self.of_container(run)?;
        let environment = &self.environment;
        let substituted = |text: &str| environment.substituted(text);
        let root = self.order.working_directory.display();
        let mut arguments = vec!["run".to_owned()];
        if run.detach {
            arguments.push("--detach".to_owned());
        } else {
            arguments.push("--rm".to_owned());
        }
        let name = match substituted(&run.name) {
            empty if empty.is_empty() => format!(
                "madake-{}-{}-{}",
                self.order.job_result_key.to_lowercase(),
                self.order.attempt,
                self.detached.len() + 1
            ),
            given => given,
        };
        arguments.push(format!("--name={name}"));
        if run.link {
            arguments.extend(self.detached.iter().map(|other| format!("--link={other}")));
        }
        if run.volumes.is_empty() {
            arguments.push(format!("--volume={root}:{root}"));
        }
        for (outside, inside) in &run.volumes {
            arguments.push(format!(
                "--volume={}:{}",
                substituted(outside),
                substituted(inside)
            ));
        }
        let directory = match substituted(&run.container_directory) {
            empty if empty.is_empty() && run.volumes.is_empty() => root.to_string(),
            given => given,
        };
        if !directory.is_empty() {
            arguments.push(format!("--workdir={directory}"));
        }
        for (outside, inside) in &run.ports {
            let outside = substituted(outside);
            let outside = if outside.is_empty() {
                outside
            } else {
                format!("{outside}:")
            };
            arguments.push(format!("--publish={outside}{}", substituted(inside)));
        }
        arguments.extend(of_container.arguments);
        arguments.push(self.image(&run.image)?.as_str().to_owned());
        arguments.extend(environment.words(&run.command)?);
        let command = Command {
            arguments,
            environment: of_container.environment,
        };
        Ok((name, command))
    }

    /// The arguments of the plan, with the values of the container's environment out of everybody's sight: those of
    /// one line go into a file, others into the environment of `docker` itself.
    fn of_container(&mut self, run: &DockerRun) -> Result<Command, ProgramError> {
        let mut given = self.environment.words(&run.variables)?;
        let mut command = Command::from(Vec::new());
        let mut words = self.environment.words(&run.arguments)?.into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("--env=").or_else(|| word.strip_prefix("-e")) {
                Some("") => given.extend(words.next()),
                Some(value) => given.push(value.strip_prefix('=').unwrap_or(value).to_owned()),
                None if word == "--env" => given.extend(words.next()),
                None => command.arguments.push(word),
            }
        }
        let mut lines = String::new();
        for one in given {
            match one.split_once('=') {
                Some((name, value)) if fits_into_a_line(name, value) => lines.push_str(&format!("{one}\n")),
                Some((name, value)) if !name.is_empty() => {
                    command.arguments.push(format!("--env={name}"));
                    command.environment.push((name.into(), value.into()));
                }
                // Without a value it is that of `docker` itself.
                _ => command.arguments.push(format!("--env={one}")),
            }
        }
        if !lines.is_empty() {
            self.environment_files += 1;
            let name = format!("docker-{}.env", self.environment_files);
            let path = self.write_private("", &name, &lines)?;
            command
                .arguments
                .insert(0, format!("--env-file={}", path.display()));
        }
        Ok(command)
    }

    /// Writes a file of the job's temporary directory that only its owner reads, wherever a job made its name lead.
    fn write_private(&self, folder: &str, name: &str, text: &str) -> Result<PathBuf, ProgramError> {
        let root = self.directory.tmp_path();
        let written = artifact_path(name).and_then(|path| {
            Destination::open(&root, folder)
                .and_then(|place| place.write_private(&path, &mut text.as_bytes()))
                .map_err(|error| error.to_string())
        });
        written.map_err(|error| ProgramError::Refused(format!("cannot write for docker: {error}")))?;
        Ok(root.join(folder).join(name))
    }

    fn with_login(
        &self,
        verb: &str,
        image: &str,
        registry: Registry,
        login: &RegistryLogin,
    ) -> Result<Command, ProgramError> {
        let image = self.image(image)?;
        let mut command = Command::from(vec![verb.to_owned(), image.as_str().to_owned()]);
        let (username, password) = match login {
            RegistryLogin::Agent => return Ok(command),
            RegistryLogin::Shared { id } => match self.credential(id).map_err(ProgramError::Refused)? {
                CredentialContent::Password { username, password } => {
                    (username, password.reveal().to_owned())
                }
                CredentialContent::Refused { reason } => return Err(ProgramError::Refused(reason)),
                CredentialContent::Key { .. } => {
                    return Err(ProgramError::Refused(format!(
                        "a registry wants a user name and a password, and the credential `{}` is an SSH key",
                        inert(id, 60)
                    )));
                }
            },
            RegistryLogin::Password { username, password } => {
                let password = self
                    .secret("password of the registry", password)
                    .map_err(ProgramError::Refused)?;
                (
                    self.environment.substituted(username),
                    password.reveal().to_owned(),
                )
            }
        };
        let pair = BASE64.encode(format!("{username}:{password}"));
        self.log.add_secrets(&[&password, &pair]);
        let address = match (registry, image.as_str().split_once('/')) {
            (Registry::Custom, Some((address, _))) => address,
            _ => HUB,
        };
        let folder = self.write_login(address, &pair)?;
        command.environment.push(("DOCKER_CONFIG".into(), folder));
        Ok(command)
    }

    fn write_login(&self, address: &str, pair: &str) -> Result<OsString, ProgramError> {
        let text = json!({ "auths": { address: { "auth": pair } } }).to_string();
        self.write_private(LOGIN_FOLDER, "config.json", &text)?;
        Ok(self.directory.tmp_path().join(LOGIN_FOLDER).into_os_string())
    }
}

fn artifact_path(name: &str) -> Result<ArtifactPath, String> {
    ArtifactPath::parse(name).map_err(|error| error.to_string())
}

/// Whether docker reads an assignment from a file as it is.
fn fits_into_a_line(name: &str, value: &str) -> bool {
    let is_name = !name.is_empty() && !name.starts_with('#') && !name.contains(char::is_whitespace);
    let breaks = |text: &str| text.contains(['\n', '\r', '\0']);
    is_name && !breaks(name) && !breaks(value) && name.len() + value.len() < LONGEST_LINE
}
