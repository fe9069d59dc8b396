//! Tasks that make variables of a file, and that show all variables (bamboo-specs.md 4.4, 4.5, 5).

use std::fs::File;
use std::io::Read as _;

use madake_domain::mask::{COVER, SecretWeakness, weakness};
use madake_domain::plan::{InjectScope, InjectVariablesTask};
use madake_domain::variables::{looks_secret, read_injected};
use madake_protocol::JobVariable;
use madake_protocol::log::LogKind;

use super::{Job, TaskEnd};
use crate::supervisor::confine;

/// The most that is read of a file; the reader has its own, lower limit and says where it stopped.
const MOST_READ: u64 = (1 << 20) + 4096;

/// The most variables that a job hands on.
const MOST_HANDED_ON: usize = 1000;

impl Job<'_> {
    pub(super) fn inject_variables(&mut self, task: &InjectVariablesTask) -> TaskEnd {
        let name = self.environment.substituted(&task.file);
        let path = match confine::existing(&self.order.working_directory, &name) {
            Ok(path) => path,
            Err(error) => return TaskEnd::failed(format!("the file of variables {error}")),
        };
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| {
            // Somebody could have made a pipe in its place, which never ends.
            if file.metadata()?.is_file() {
                file.take(MOST_READ).read_to_end(&mut bytes)
            } else {
                Err(std::io::Error::other("it is no file"))
            }
        });
        if let Err(error) = read {
            return TaskEnd::failed(format!("cannot read the file of variables `{name}`: {error}"));
        }
        let namespace = self.environment.substituted(&task.namespace);
        let injected = read_injected(&String::from_utf8_lossy(&bytes), &namespace);
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
            let secret = looks_secret(&variable.name);
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
