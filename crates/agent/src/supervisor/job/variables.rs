//! Tasks that make variables of a file, and that show all variables (bamboo-specs.md 4.4, 4.5, 5).

use std::io::Read as _;

use madake_domain::mask::{COVER, SecretWeakness, weakness};
use madake_domain::plan::{InjectScope, InjectVariablesTask, PluginTask, Variable};
use madake_domain::variables::{looks_secret, read_injected};
use madake_formats::maven_pom;
use madake_protocol::JobVariable;
use madake_protocol::log::LogKind;

use super::{Job, TaskEnd};
use crate::artifact::open_file;
use crate::supervisor::confine;

/// The most that is read of a file; the reader has its own, lower limit and says where it stopped.
const MOST_READ: u64 = (1 << 20) + 4096;

/// The most variables that a job hands on.
const MOST_HANDED_ON: usize = 1000;

/// The app that makes variables of the coordinates of a Maven project (bamboo-specs.md 4.5).
pub(super) const MAVEN_POM: &str =
    "com.davidehringer.atlassian.bamboo.maven.maven-pom-parser-plugin:maven-pom-parser-plugin";

impl Job<'_> {
    /// The text of a file below the working directory.
    fn read_text(&self, what: &str, name: &str) -> Result<String, String> {
        confine::existing(&self.order.working_directory, name)
            .map_err(|error| format!("the {what} {error}"))?;
        let mut bytes = Vec::new();
        // Something that the job left running could have put another in its place since.
        let read = open_file(&self.order.working_directory, name)
            .and_then(|file| file.take(MOST_READ).read_to_end(&mut bytes));
        read.map_err(|error| format!("cannot read the {what} `{name}`: {error}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Makes `maven.groupId`, `maven.artifactId` and `maven.version`.
    pub(super) fn read_pom(&mut self, app: &PluginTask) -> TaskEnd {
        let setting = |name: &str| {
            let found = app.configuration.iter().find(|(key, _)| key == name);
            found.map_or("", |(_, value)| value.trim())
        };
        if !matches!(setting("gavOrCustom"), "" | "0") {
            return TaskEnd::failed(
                "this version of madake reads group, artifact and version of a project, and no other element of it"
                    .to_owned(),
            );
        }
        let name = match self.environment.substituted(setting("projectFile")) {
            empty if empty.is_empty() => "pom.xml".to_owned(),
            named => named,
        };
        let prefix = match self.environment.substituted(setting("customPrefix")) {
            empty if empty.is_empty() => "maven".to_owned(),
            named => named,
        };
        let read = self
            .read_text("project's file", &name)
            .and_then(|text| maven_pom::read(&text).map_err(|error| format!("`{name}`: {error}")));
        let found = match read {
            Ok(found) => found,
            Err(reason) => return TaskEnd::failed(reason),
        };
        let made = [
            ("groupId", found.group_id),
            ("artifactId", found.artifact_id),
            ("version", found.version),
        ];
        let variables: Vec<Variable> = made
            .into_iter()
            .map(|(key, value)| Variable {
                name: format!("{prefix}.{key}"),
                value,
            })
            .collect();
        for variable in &variables {
            self.tell(&format!(
                "The variable `bamboo.{}` is `{}` for this job",
                variable.name, variable.value
            ));
        }
        self.environment.inject(variables);
        TaskEnd::Succeeded
    }

    pub(super) fn inject_variables(&mut self, task: &InjectVariablesTask) -> TaskEnd {
        let name = self.environment.substituted(&task.file);
        let text = match self.read_text("file of variables", &name) {
            Ok(text) => text,
            Err(reason) => return TaskEnd::failed(reason),
        };
        let namespace = self.environment.substituted(&task.namespace);
        let injected = read_injected(&text, &namespace);
        let secrets: Vec<&str> = injected
            .variables
            .iter()
            .filter(|variable| looks_secret(&variable.name))
            .map(|variable| variable.value.as_str())
            .collect();
        self.log.add_secrets(&secrets);
        for problem in &injected.problems {
            let text = format!("`{name}` line {}: {}", problem.line, problem.message);
            self.log.say(LogKind::Error, &text);
        }
        let (reach, is_kept) = match task.scope {
            InjectScope::Local => ("this job", false),
            InjectScope::Result => ("this job, later stages and the result", true),
        };
        for variable in &injected.variables {
            // A value that holds a secret is one, whatever its name.
            let secret = looks_secret(&variable.name) || self.log.masked(&variable.value) != variable.value;
            let shown = if secret { COVER } else { &variable.value };
            self.tell(&format!(
                "The variable `bamboo.{}` is `{shown}` for {reach}",
                variable.name
            ));
            if secret && let Some(weakness) = weakness(&variable.value) {
                self.log.say(LogKind::Error, &unmasked(&variable.name, weakness));
            }
            if is_kept {
                self.made_variables.retain(|known| known.name != variable.name);
                if self.made_variables.len() >= MOST_HANDED_ON {
                    return TaskEnd::failed(format!(
                        "a job hands on at most {MOST_HANDED_ON} variables to later stages"
                    ));
                }
                self.made_variables.push(JobVariable {
                    name: variable.name.clone(),
                    value: variable.value.clone(),
                    secret,
                    may_refer: false,
                });
            }
        }
        if injected.variables.is_empty() {
            self.log.say(
                LogKind::Error,
                &format!("`{name}` has no variable: its lines are to be of the form key=value"),
            );
        }
        self.environment.inject(injected.variables);
        TaskEnd::Succeeded
    }

    pub(super) fn dump_variables(&self) -> TaskEnd {
        let names = self.environment.names();
        let lines: Vec<String> = names
            .iter()
            .map(|name| {
                let is_secret = looks_secret(name)
                    || self
                        .order
                        .variables
                        .iter()
                        .any(|variable| variable.name == **name && variable.secret);
                let value = if is_secret {
                    COVER.to_owned()
                } else {
                    self.environment.value(name).unwrap_or_default()
                };
                format!("bamboo.{name} = {value}")
            })
            .collect();
        self.tell(&format!(
            "The {} variables of the job:\n{}",
            lines.len(),
            lines.join("\n")
        ));
        TaskEnd::Succeeded
    }
}

fn unmasked(name: &str, weakness: SecretWeakness) -> String {
    format!("The name of the variable `bamboo.{name}` says that it is a secret, but {weakness}")
}
