//! Tasks that run a program which a capability of the agent knows by a label: any command, Maven, Ant
//! (bamboo-specs.md 4.4). Node.js and Docker have files of their own and are found in the same way.
//!
//! In a container the paths of the agent mean nothing: there a program is looked for by its usual name, along the
//! `PATH` of the image.

use std::ffi::OsString;
use std::path::Path;

use madake_domain::plan::{AntTask, CommandTask, MavenTask};
use madake_domain::text::inert;
use madake_protocol::log::LogKind;

use super::{Job, TaskEnd};
use crate::capability_detection::is_program;
use crate::supervisor::confine::{self, Refused};
use crate::supervisor::interruption::Lookout;
use crate::supervisor::script::PreparedScript;
use crate::supervisor::script_environment::{EnvironmentError, ScriptEnvironment};
use crate::supervisor::words::OpenQuote;

/// The most characters of a label that are shown.
const SHOWN: usize = 100;

/// A kind of program: which capabilities know it, and its name where none does.
#[derive(Debug)]
pub(super) struct ProgramKind {
    /// How keys begin, the one that people are told of first; the label follows.
    keys: &'static [&'static str],
    /// Where the program is when the capability names a folder.
    inside: &'static str,
    /// Its name along the `PATH`; empty: the label itself.
    name: &'static str,
    /// What stands in the reason when it fails.
    pub(super) what: &'static str,
}

const COMMAND: ProgramKind = ProgramKind {
    keys: &[
        "system.builder.command.",
        "system.builder.msbuild.",
        "system.builder.devenv.",
        "system.builder.nunit.",
    ],
    inside: "",
    name: "",
    what: "program",
};

const MAVEN: ProgramKind = ProgramKind {
    keys: &[
        "system.builder.mvn3.",
        "system.builder.mvn4.",
        "system.builder.mvn2.",
        "system.builder.maven.",
    ],
    inside: "bin/mvn",
    name: "mvn",
    what: "Maven run",
};

const ANT: ProgramKind = ProgramKind {
    keys: &["system.builder.ant."],
    inside: "bin/ant",
    name: "ant",
    what: "Ant run",
};

pub(super) const NODE: ProgramKind = ProgramKind {
    keys: &["system.builder.node."],
    inside: "bin/node",
    name: "node",
    what: "Node.js run",
};

pub(super) const DOCKER: ProgramKind = ProgramKind {
    keys: &["system.docker.executable"],
    inside: "docker",
    name: "docker",
    what: "docker command",
};

pub(super) const GIT: ProgramKind = ProgramKind {
    keys: &["system.git.executable"],
    inside: "git",
    name: "git",
    what: "run of git",
};

pub(super) const HG: ProgramKind = ProgramKind {
    keys: &["system.hg.executable"],
    inside: "hg",
    name: "hg",
    what: "run of hg",
};

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ProgramError {
    /// Neither a capability nor the `PATH` has it.
    #[error(
        "no executable labelled `{label}` on this agent: set the capability `{key}` to its path with `madake \
         capability set`{otherwise}"
    )]
    Missing {
        /// What the task calls it.
        label: String,
        /// The capability that would name it.
        key: String,
        /// What else helps.
        otherwise: String,
    },
    /// The capability names something that is not there.
    #[error(
        "the capability `{key}` of this agent names {path}, which is no program; correct it with `madake capability set`"
    )]
    NoProgram {
        /// The capability.
        key: String,
        /// What it says.
        path: String,
    },
    /// The capability names what isolated jobs do not see.
    #[error(
        "the capability `{key}` of this agent names {path}, which isolated jobs do not see: name a folder that holds it in \
         `readable` of `[agent]` in the server's configuration, or put it where they look, such as /opt or /usr/local"
    )]
    Unseen {
        /// The capability.
        key: String,
        /// What it says.
        path: String,
    },
    /// The capability names a JDK that is not there.
    #[error(
        "the capability `{key}` of this agent names {path}, which is no folder; correct it with `madake capability set`"
    )]
    NoJdkFolder {
        /// The capability.
        key: String,
        /// What it says.
        path: String,
    },
    /// There is no such JDK.
    #[error(
        "no JDK labelled `{label}` on this agent: set the capability `system.jdk.{label}` to its home with `madake \
         capability set`"
    )]
    NoJdk {
        /// What the task calls it.
        label: String,
    },
    /// The working directory, or a file of the task, is not where it may be.
    #[error("the {what} {source}")]
    Path {
        /// `working directory` or what else it is.
        what: &'static str,
        /// What is wrong with it.
        source: Refused,
    },
    /// The arguments cannot be split.
    #[error("the arguments cannot be split: {0}")]
    Arguments(#[from] OpenQuote),
    /// The task's environment is malformed.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The task asks for what cannot be done.
    #[error("{0}")]
    Refused(String),
}

/// Finds the program with this label.
pub(super) fn find(
    kind: &ProgramKind,
    label: &str,
    environment: &ScriptEnvironment,
) -> Result<String, ProgramError> {
    let name = if kind.name.is_empty() { label } else { kind.name };
    // A name that could be read as a path would reach programs that no administrator named.
    let is_name = !name.is_empty() && !name.contains('/') && !name.chars().any(char::is_whitespace);
    if environment.is_elsewhere() && is_name {
        return Ok(name.to_owned());
    }
    if let Some(key) = known_key(kind, label, environment) {
        let value = environment.capabilities().value(&key).unwrap_or_default();
        let path = Path::new(value);
        let found = [path.to_owned(), path.join(kind.inside)]
            .into_iter()
            .find(|path| is_program(path));
        let value = inert(value, SHOWN);
        return match found {
            Some(path) if environment.sees(&path) => Ok(path.to_string_lossy().into_owned()),
            Some(_) => Err(ProgramError::Unseen { key, path: value }),
            None => Err(ProgramError::NoProgram { key, path: value }),
        };
    }
    if is_name && let Some(path) = environment.program(name) {
        return Ok(path.to_string_lossy().into_owned());
    }
    Err(ProgramError::Missing {
        label: inert(if label.is_empty() { name } else { label }, SHOWN),
        key: format!("{}{}", kind.keys[0], inert(label, SHOWN)),
        otherwise: if is_name {
            format!(", or put `{}` on the PATH of the server", inert(name, SHOWN))
        } else {
            String::new()
        },
    })
}

/// The key of the capability that knows the program with this label.
fn known_key(kind: &ProgramKind, label: &str, environment: &ScriptEnvironment) -> Option<String> {
    let keys = kind.keys.iter().map(|beginning| format!("{beginning}{label}"));
    let known = environment.capabilities();
    keys.chain([label.to_owned()])
        .find(|key| known.iter().any(|(one, _)| one == key))
}

/// The environment that makes programs use the JDK with this label; nothing where no label is given.
fn java(label: &str, environment: &ScriptEnvironment) -> Result<Vec<(OsString, OsString)>, ProgramError> {
    if label.is_empty() || environment.is_elsewhere() {
        return Ok(Vec::new());
    }
    let known = environment.capabilities();
    let (key, home) = [format!("system.jdk.{label}"), label.to_owned()]
        .into_iter()
        .find_map(|key| known.value(&key).map(|home| (key, home)))
        .ok_or_else(|| ProgramError::NoJdk {
            label: inert(label, SHOWN),
        })?;
    let path = inert(home, SHOWN);
    if !Path::new(home).is_dir() {
        return Err(ProgramError::NoJdkFolder {
            key: inert(&key, SHOWN),
            path,
        });
    }
    if !environment.sees(Path::new(home)) {
        return Err(ProgramError::Unseen {
            key: inert(&key, SHOWN),
            path,
        });
    }
    let mut all = vec![("JAVA_HOME".into(), home.into())];
    all.extend(with_first_folder(&Path::new(home).join("bin"), environment));
    Ok(all)
}

/// The `PATH` with this folder in front.
pub(super) fn with_first_folder(
    folder: &Path,
    environment: &ScriptEnvironment,
) -> Option<(OsString, OsString)> {
    let path = environment.system("PATH")?;
    let folders = [folder.to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    // A folder with a colon in its name cannot be part of it.
    Some(("PATH".into(), std::env::join_paths(folders).ok()?))
}

/// A line that is nearly ready: its program is found and its arguments are words.
pub(super) struct ProgramLine<'a> {
    pub(super) kind: &'a ProgramKind,
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    /// Environment that the task's own wins over.
    pub(super) of_program: Vec<(OsString, OsString)>,
    /// The task's own environment.
    pub(super) environment: &'a str,
    /// The folder below the job's working directory.
    pub(super) working_directory: &'a str,
}

impl Job<'_> {
    /// Finds the program with this label, and says where it is another one that is taken.
    pub(super) fn program(&self, kind: &ProgramKind, label: &str) -> Result<String, ProgramError> {
        let path = find(kind, label, &self.environment)?;
        let elsewhere = self.environment.is_elsewhere();
        if !elsewhere
            && !label.is_empty()
            && !kind.name.is_empty()
            && known_key(kind, label, &self.environment).is_none()
        {
            let text = format!(
                "There is no executable labelled `{}` on this agent; {path} is taken, which is `{}` along the PATH",
                inert(label, SHOWN),
                kind.name
            );
            self.log.say(LogKind::Command, &text);
        }
        Ok(path)
    }

    pub(super) fn run_command(&mut self, task: &CommandTask, lookout: &Lookout<'_>) -> TaskEnd {
        let line = self.substituted(&task.executable).and_then(|label| {
            Ok(ProgramLine {
                kind: &COMMAND,
                program: self.program(&COMMAND, &label)?,
                arguments: self.environment.words(&task.argument)?,
                of_program: Vec::new(),
                environment: &task.environment,
                working_directory: &task.working_directory,
            })
        });
        self.run_line(line, lookout)
    }

    pub(super) fn run_maven(&mut self, task: &MavenTask, lookout: &Lookout<'_>) -> TaskEnd {
        let line = self
            .java_line(&MAVEN, &task.executable, &task.jdk)
            .and_then(|line| {
                let mut arguments = Vec::new();
                if !task.project_file.is_empty() {
                    arguments.extend(["-f".to_owned(), self.environment.substituted(&task.project_file)]);
                }
                arguments.extend(self.environment.words(&task.goal)?);
                Ok(ProgramLine {
                    arguments,
                    environment: &task.environment,
                    working_directory: &task.working_directory,
                    ..line
                })
            });
        self.run_line(line, lookout)
    }

    pub(super) fn run_ant(&mut self, task: &AntTask, lookout: &Lookout<'_>) -> TaskEnd {
        let line = self
            .java_line(&ANT, &task.executable, &task.jdk)
            .and_then(|line| {
                let mut arguments = Vec::new();
                if !task.build_file.is_empty() {
                    arguments.extend(["-f".to_owned(), self.environment.substituted(&task.build_file)]);
                }
                arguments.extend(self.environment.words(&task.target)?);
                Ok(ProgramLine {
                    arguments,
                    environment: &task.environment,
                    working_directory: &task.working_directory,
                    ..line
                })
            });
        self.run_line(line, lookout)
    }

    fn java_line<'a>(
        &self,
        kind: &'a ProgramKind,
        label: &str,
        jdk: &str,
    ) -> Result<ProgramLine<'a>, ProgramError> {
        let (label, jdk) = (self.substituted(label)?, self.substituted(jdk)?);
        Ok(ProgramLine {
            kind,
            program: self.program(kind, &label)?,
            arguments: Vec::new(),
            of_program: java(&jdk, &self.environment)?,
            environment: "",
            working_directory: "",
        })
    }

    /// A label with its variables replaced.
    pub(super) fn substituted(&self, label: &str) -> Result<String, ProgramError> {
        Ok(self.environment.substituted(label).trim().to_owned())
    }

    pub(super) fn run_line(
        &mut self,
        line: Result<ProgramLine<'_>, ProgramError>,
        lookout: &Lookout<'_>,
    ) -> TaskEnd {
        let prepared = line.and_then(|line| Ok((line.kind.what, self.prepare_line(line)?)));
        match prepared {
            Ok((what, prepared)) => self.run_prepared(&prepared, None, what, lookout),
            Err(error) => TaskEnd::failed(error.to_string()),
        }
    }

    pub(super) fn prepare_line(&self, line: ProgramLine<'_>) -> Result<PreparedScript, ProgramError> {
        let directory = confine::existing(
            &self.order.working_directory,
            &self.environment.substituted(line.working_directory),
        )
        .map_err(|source| ProgramError::Path {
            what: "working directory",
            source,
        })?;
        let environment = self.environment.for_program(line.of_program, line.environment)?;
        let mut words = vec![line.program];
        words.extend(line.arguments);
        Ok(PreparedScript {
            line: words,
            directory,
            environment,
            told: None,
        })
    }

    /// Says something in the log.
    pub(super) fn tell(&self, text: &str) {
        self.log.say(LogKind::Build, text);
    }
}
