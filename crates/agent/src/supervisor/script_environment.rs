//! The variables of a job: in texts of the plan, and in the environment of its scripts (bamboo-specs.md 5).

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use madake_domain::capability::Capabilities;
use madake_domain::plan::Variable;
use madake_domain::variables::{
    ResolvedVariable, VariableSource, capability_variables, environment_name, substitute,
};
use madake_protocol::{Isolation, JobOrder};

use crate::bubblewrap::{seen_of_path, sees};
use crate::capability_detection::find_program;
use crate::environment::inheritable;
use crate::processes::COOKIE_VARIABLE;

use super::words::{self, OpenQuote};

/// Where programs are looked for when the server itself was started without a `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most references of a job that are told of because nothing is known of them.
const MOST_UNKNOWN: usize = 50;

/// Why the `environment` of a task is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum EnvironmentError {
    /// A quote is left open.
    #[error("the task's environment: {0}")]
    Quote(#[from] OpenQuote),
    /// An entry is no assignment.
    #[error("the task's environment has `{0}`, which is not of the form NAME=value")]
    NoAssignment(String),
}

/// The variables and the environment that all tasks of a job share.
#[derive(Debug)]
pub(crate) struct ScriptEnvironment {
    variables: Vec<ResolvedVariable>,
    environment: Vec<(OsString, OsString)>,
    /// How many entries at the beginning are those of this machine.
    of_machine: usize,
    /// The last entries, which the order itself names.
    of_order: Vec<(OsString, OsString)>,
    /// Whether scripts run where those mean nothing.
    is_elsewhere: bool,
    tmp_directory: OsString,
    working_directory: PathBuf,
    isolation: Isolation,
    capabilities: Capabilities,
    /// References of tasks that nothing is known of, each once; those that were told of are at the beginning.
    unknown: RefCell<Unknown>,
}

/// References that nothing is known of.
#[derive(Debug, Default)]
struct Unknown {
    noted: Vec<String>,
    told: usize,
}

impl ScriptEnvironment {
    /// What the order says, and the folders of this job.
    pub(crate) fn new(order: &JobOrder, tmp_directory: &Path) -> Self {
        let mut variables: Vec<ResolvedVariable> = order
            .variables
            .iter()
            .map(|variable| ResolvedVariable {
                name: variable.name.clone(),
                value: variable.value.clone(),
                source: if variable.may_refer {
                    VariableSource::Plan
                } else {
                    VariableSource::BuildSpecific
                },
            })
            .collect();
        let working_directory = &*order.working_directory;
        let of_agent = working_directory.parent().unwrap_or(working_directory);
        for (name, value) in [
            ("working.directory", working_directory),
            ("build.working.directory", working_directory),
            ("agentWorkingDirectory", of_agent),
            ("tmp.directory", tmp_directory),
        ] {
            variables.retain(|variable| variable.name != name);
            variables.push(ResolvedVariable {
                name: name.to_owned(),
                value: value.to_string_lossy().into_owned(),
                source: VariableSource::BuildSpecific,
            });
        }
        let mut shared = Self {
            variables,
            environment: inheritable(),
            of_machine: 0,
            of_order: order
                .environment
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            is_elsewhere: false,
            tmp_directory: tmp_directory.as_os_str().to_owned(),
            working_directory: order.working_directory.clone(),
            isolation: order.isolation.clone(),
            capabilities: order.capabilities.iter().cloned().collect(),
            unknown: RefCell::default(),
        };
        shared.set(build_failed(false), VariableSource::BuildSpecific);
        for variable in capability_variables(&shared.capabilities) {
            shared.set(variable, VariableSource::BuildSpecific);
        }
        if shared.system("PATH").is_none() {
            shared.environment.push(("PATH".into(), DEFAULT_PATH.into()));
        }
        for (name, value) in &mut shared.environment {
            if name == "PATH" {
                *value = seen_of_path(value, &order.isolation);
            }
        }
        shared.of_machine = shared.environment.len();
        shared.refresh();
        shared
    }

    /// Makes the entries of variables anew: values may refer to variables that changed.
    fn refresh(&mut self) {
        let of_variables: Vec<_> = self
            .variables
            .iter()
            .filter(|variable| reaches_environment(&variable.name))
            .map(|variable| {
                let value = if variable.source.may_refer() {
                    substitute(&variable.value, &self.variables, &|name| self.system(name)).text
                } else {
                    variable.value.clone()
                };
                (environment_name(&variable.name).into(), value.into())
            })
            .collect();
        self.environment.truncate(self.of_machine);
        self.environment.extend(of_variables);
        self.environment.extend(self.of_order.iter().cloned());
    }

    /// Leaves the environment of this machine out of what scripts get: a container has its own.
    pub(crate) fn leave_out_machine(&mut self) {
        self.is_elsewhere = true;
    }

    /// The text with `${bamboo.name}` and `${system.NAME}` replaced; what is unknown stays.
    pub(crate) fn substituted(&self, text: &str) -> String {
        if !text.contains("${") {
            return text.to_owned();
        }
        let substituted = substitute(text, &self.variables, &|name| self.system(name));
        let noted = &mut self.unknown.borrow_mut().noted;
        for reference in substituted.unknown.into_iter().chain(substituted.stopped) {
            if noted.len() < MOST_UNKNOWN && !noted.contains(&reference) {
                noted.push(reference);
            }
        }
        substituted.text
    }

    /// As [`Self::substituted`], for a text that is of no use with a reference in it.
    ///
    /// # Errors
    /// The first reference that no variable answers.
    pub(crate) fn resolved(&self, text: &str) -> Result<String, String> {
        let mut substituted = substitute(text, &self.variables, &|name| self.system(name));
        substituted.unknown.append(&mut substituted.stopped);
        match substituted.unknown.into_iter().next() {
            Some(reference) => Err(reference),
            None => Ok(substituted.text),
        }
    }

    /// References that stayed as they are since this was last asked.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let mut unknown = self.unknown.borrow_mut();
        let first = unknown.told;
        unknown.told = unknown.noted.len();
        unknown.noted[first..].to_vec()
    }

    /// Adds variables that a task read from a file, for the tasks behind it.
    pub(crate) fn inject(&mut self, variables: Vec<Variable>) {
        for variable in variables {
            self.set(variable, VariableSource::Injected);
        }
        self.refresh();
    }

    /// Says whether the job has failed so far, for the final tasks.
    pub(crate) fn set_failed(&mut self, failed: bool) {
        self.set(build_failed(failed), VariableSource::BuildSpecific);
        self.refresh();
    }

    fn set(&mut self, variable: Variable, source: VariableSource) {
        self.variables.retain(|known| known.name != variable.name);
        self.variables.push(ResolvedVariable {
            name: variable.name,
            value: variable.value,
            source,
        });
    }

    /// The value of a variable, with the references in it replaced.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let found = self.variables.iter().find(|variable| variable.name == name)?;
        Some(if found.source.may_refer() {
            self.substituted(&found.value)
        } else {
            found.value.clone()
        })
    }

    /// The names of all variables, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.variables.iter().map(|one| one.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// What the agent of the job can do.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether scripts run where paths of this machine's programs mean nothing.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// Whether the job's scripts see a file or folder of the machine. What its own checkout brings they do.
    pub(crate) fn sees(&self, path: &Path) -> bool {
        path.starts_with(&self.working_directory) || sees(path, &self.isolation)
    }

    /// The program of this name along the `PATH` that tasks get.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        find_program(OsStr::new(&self.system("PATH")?), name)
    }

    /// The whole environment of a task with these assignments of its own; a later entry wins over an earlier.
    pub(crate) fn for_task(&self, assignments: &str) -> Result<Vec<(OsString, OsString)>, EnvironmentError> {
        self.for_program(Vec::new(), assignments)
    }

    /// As [`Self::for_task`], with entries that its own assignments win over.
    pub(crate) fn for_program(
        &self,
        of_program: Vec<(OsString, OsString)>,
        assignments: &str,
    ) -> Result<Vec<(OsString, OsString)>, EnvironmentError> {
        let first = if self.is_elsewhere { self.of_machine } else { 0 };
        let mut environment = self.environment[first..].to_vec();
        environment.extend(of_program);
        for word in self.words(assignments)? {
            match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => environment.push((name.into(), value.into())),
                _ => return Err(EnvironmentError::NoAssignment(word)),
            }
        }
        environment.push((COOKIE_VARIABLE.into(), self.tmp_directory.clone()));
        Ok(environment)
    }

    /// The words of a text after substitution. What a person configured may hold several words, as in Bamboo;
    /// what the build says of itself stays within its word, whatever quotes and spaces it has.
    pub(crate) fn words(&self, text: &str) -> Result<Vec<String>, OpenQuote> {
        let configured: Vec<_> = self
            .variables
            .iter()
            .filter(|v| v.source.may_refer())
            .cloned()
            .collect();
        let text = substitute(text, &configured, &|_| None).text;
        Ok(words::split(&text)?
            .iter()
            .map(|word| self.substituted(word))
            .collect())
    }

    pub(crate) fn system(&self, name: &str) -> Option<String> {
        let found = self
            .environment
            .iter()
            .rfind(|(known, _)| known == OsStr::new(name))?;
        Some(found.1.to_string_lossy().into_owned())
    }
}

/// Whether the job has failed so far.
fn build_failed(failed: bool) -> Variable {
    Variable {
        name: "buildFailed".to_owned(),
        value: failed.to_string(),
    }
}

/// Capabilities are many, and no shell hands on a variable whose name it cannot have; in texts they all work.
fn reaches_environment(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ". _".contains(letter);
    !name.starts_with("capability.") || name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> ScriptEnvironment {
        let variable = |name: &str, value: &str, source| ResolvedVariable {
            name: name.into(),
            value: value.into(),
            source,
        };
        ScriptEnvironment {
            variables: vec![
                variable("options", "--a '--b c' ${bamboo.branch}", VariableSource::Plan),
                variable(
                    "branch",
                    "x' --evil ${bamboo.options}",
                    VariableSource::BuildSpecific,
                ),
            ],
            environment: vec![("HOME".into(), "/home/m".into())],
            of_machine: 1,
            of_order: Vec::new(),
            is_elsewhere: false,
            tmp_directory: "/tmp/1".into(),
            working_directory: "/work".into(),
            isolation: Isolation::default(),
            capabilities: Capabilities::default(),
            unknown: RefCell::default(),
        }
    }

    #[test]
    fn configured_values_make_words_and_those_of_the_build_do_not() {
        let words = environment()
            .words("${bamboo.options} ${bamboo.branch} ${system.HOME}")
            .unwrap();
        let branch = "x' --evil ${bamboo.options}";
        assert_eq!(words, ["--a", "--b c", branch, branch, "/home/m"]);
    }

    #[test]
    fn references_to_nothing_are_told_of_once() {
        let environment = environment();
        let text = "${bamboo.never} ${bamboo.branch} ${bamboo.never} $never ${never}";
        assert!(environment.substituted(text).starts_with("${bamboo.never} x'"));
        assert_eq!(environment.unknown(), ["${bamboo.never}"]);
        environment.substituted("${bamboo.never} ${system.NEVER}");
        assert_eq!(environment.unknown(), ["${system.NEVER}"]);
    }

    #[test]
    fn values_that_refer_to_what_is_injected_change_with_it() {
        let mut environment = environment();
        environment.variables.push(ResolvedVariable {
            name: "full".into(),
            value: "v${bamboo.inject.version}".into(),
            source: VariableSource::Plan,
        });
        environment.refresh();
        let shown = |environment: &ScriptEnvironment| environment.system("bamboo_full");
        assert_eq!(shown(&environment).unwrap(), "v${bamboo.inject.version}");
        environment.inject(vec![Variable {
            name: "inject.version".into(),
            value: "7".into(),
        }]);
        assert_eq!(shown(&environment).unwrap(), "v7");
        assert_eq!(environment.system("bamboo_inject_version").unwrap(), "7");
        assert_eq!(environment.system("HOME").unwrap(), "/home/m");
    }

    #[test]
    fn assignments_are_taken_apart_and_other_words_are_refused() {
        let environment = environment();
        let all = environment
            .for_task("A=1 B=\"two words\" C=${bamboo.branch} D=")
            .unwrap();
        let shown: Vec<_> = all[1..]
            .iter()
            .map(|(n, v)| format!("{}={}", n.display(), v.display()))
            .collect();
        assert_eq!(
            shown,
            [
                "A=1",
                "B=two words",
                "C=x' --evil ${bamboo.options}",
                "D=",
                "bamboo_tmp_directory=/tmp/1"
            ]
        );
        let mut elsewhere = environment;
        elsewhere.leave_out_machine();
        assert_eq!(
            elsewhere.for_task("").unwrap().len(),
            1,
            "no HOME of this machine"
        );
        assert_eq!(elsewhere.substituted("${system.HOME}"), "/home/m");
        let environment = elsewhere;
        for bad in ["A", "=1", "A='"] {
            assert!(environment.for_task(bad).is_err(), "{bad}");
        }
    }
}
