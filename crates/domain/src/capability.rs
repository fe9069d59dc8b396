//! What an agent can do, what a job asks for, and why no agent fits (bamboo-specs.md 3.5).
//!
//! A capability is a key with a value: `system.git.executable` = `/usr/bin/git`, `os` = `linux`. A plan file may name
//! it by its label alone, the part that people chose: `JDK 21` for `system.jdk.JDK 21`, `Maven 3` for
//! `system.builder.mvn3.Maven 3`.
//!
//! Expressions of plans are matched in time linear in the value, and their size is bounded (hostile-inputs.md L1).

mod fit;

use std::collections::BTreeMap;
use std::fmt;

pub use fit::{AgentFit, AgentProfile, AgentState, Fit, find_agents};

use crate::change::pattern::Pattern;
use crate::plan::{Docker, Requirement, Task, TaskAction};
use crate::text::inert;

/// The most characters of a key, value or expression that are shown in a sentence.
const SHOWN: usize = 100;

/// The capabilities of an agent: value by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    values: BTreeMap<String, String>,
}

impl Capabilities {
    /// Sets a capability; an earlier value of the key is replaced. So what an administrator says is added behind what
    /// the agent found out by itself.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.values.insert(key.into(), value.into());
    }

    /// All keys with their values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of the capability with this key; where there is none, of the one with this label.
    #[must_use]
    pub fn value(&self, key_or_label: &str) -> Option<&str> {
        let exact = self.values.get(key_or_label);
        let found = exact.or_else(|| {
            self.values
                .iter()
                .find(|(key, _)| label(key) == Some(key_or_label))
                .map(|(_, value)| value)
        })?;
        Some(found)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Capabilities {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let mut capabilities = Self::default();
        for (key, value) in all {
            capabilities.set(key, value);
        }
        capabilities
    }
}

/// The part of a key that people chose: what follows `system.builder.KIND.` and `system.jdk.`.
#[must_use]
pub fn label(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("system.")?;
    let label = match rest.strip_prefix("builder.") {
        Some(builder) => builder.split_once('.')?.1,
        None => rest.strip_prefix("jdk.")?,
    };
    (!label.is_empty()).then_some(label)
}

/// Who asks for a capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedBy {
    /// The job's own list of requirements.
    Job,
    /// A task, by its number from 1 and its name.
    Task(usize, String),
    /// The image that the job runs in.
    Docker,
}

impl fmt::Display for AskedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job => f.write_str("the job"),
            Self::Task(number, name) => write!(f, "task {number} ({})", inert(name, SHOWN)),
            Self::Docker => f.write_str("its `docker` setting"),
        }
    }
}

/// What the value of a capability must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueTest {
    /// Anything: the capability must be there.
    Exists,
    /// Exactly this.
    Equals(String),
    /// Something that this regular expression matches as a whole.
    Matches(String),
}

/// A capability that a job needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The capability's key, or its label.
    pub key: String,
    /// What its value must be.
    pub test: ValueTest,
    /// Who asks for it.
    pub asked_by: AskedBy,
}

impl Demand {
    /// What an entry of a job's `requirements` asks for.
    #[must_use]
    pub fn of_requirement(requirement: &Requirement) -> Self {
        Self {
            key: requirement.key.clone(),
            test: match &requirement.matches {
                Some(expression) => ValueTest::Matches(expression.clone()),
                None => ValueTest::Exists,
            },
            asked_by: AskedBy::Job,
        }
    }

    /// All that a job or an environment asks for: its own list, and the JDKs that its tasks name (bamboo-specs.md 3.5).
    ///
    /// Programs are not among them, as another one may stand in for a label that is missing; nor is what a container has
    /// of its own, what only a variable tells, or what a task needs that may not run.
    #[must_use]
    pub fn of_work<'a>(
        requirements: &[Requirement],
        docker: Option<&Docker>,
        tasks: impl IntoIterator<Item = &'a Task>,
    ) -> Vec<Self> {
        let mut all: Vec<Self> = requirements.iter().map(Self::of_requirement).collect();
        if docker.is_some() {
            return all;
        }
        for (index, task) in tasks.into_iter().enumerate() {
            let jdk = match &task.action {
                TaskAction::Maven(maven) => maven.jdk.trim(),
                TaskAction::Ant(ant) => ant.jdk.trim(),
                _ => "",
            };
            if jdk.is_empty() || jdk.contains("${") || !task.enabled || !task.conditions.is_empty() {
                continue;
            }
            let key = if jdk.starts_with("system.") {
                jdk.to_owned()
            } else {
                format!("system.jdk.{jdk}")
            };
            if all.iter().all(|demand| demand.key != key) {
                let name = if task.description.is_empty() {
                    task.action.type_name()
                } else {
                    &task.description
                };
                all.push(Self::of_task(key, index + 1, name));
            }
        }
        all
    }

    /// That a capability exists, asked for by a task.
    #[must_use]
    pub fn of_task(key: impl Into<String>, number: usize, name: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            test: ValueTest::Exists,
            asked_by: AskedBy::Task(number, name.into()),
        }
    }

    fn compiled(&self) -> CompiledDemand<'_> {
        let expression = match &self.test {
            ValueTest::Matches(expression) => Some(Pattern::whole(expression)),
            ValueTest::Exists | ValueTest::Equals(_) => None,
        };
        CompiledDemand {
            demand: self,
            expression,
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = inert(&self.key, SHOWN);
        match &self.test {
            ValueTest::Exists => write!(f, "`{key}`"),
            ValueTest::Equals(value) => write!(f, "`{key}` with the value `{}`", inert(value, SHOWN)),
            ValueTest::Matches(value) => {
                write!(f, "`{key}` with a value that matches `{}`", inert(value, SHOWN))
            }
        }
    }
}

/// Why an agent does not meet a demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortfall {
    /// It has no such capability.
    Missing,
    /// It has, with another value.
    OtherValue(String),
    /// The expression of the demand cannot be read, so nobody meets it.
    BadExpression(String),
}

/// A demand ready to be compared with many agents.
struct CompiledDemand<'a> {
    demand: &'a Demand,
    expression: Option<Pattern>,
}

impl CompiledDemand<'_> {
    /// Why these capabilities do not meet the demand; `None`: they do.
    fn shortfall(&self, capabilities: &Capabilities) -> Option<Shortfall> {
        if let Some(problem) = self.expression.as_ref().and_then(Pattern::problem) {
            return Some(Shortfall::BadExpression(problem.to_owned()));
        }
        let Some(value) = capabilities.value(&self.demand.key) else {
            return Some(Shortfall::Missing);
        };
        let met = match (&self.demand.test, &self.expression) {
            (ValueTest::Equals(wanted), _) => value == wanted,
            (ValueTest::Matches(_), Some(expression)) => match expression.matches(value) {
                Ok(matches) => matches,
                Err(problem) => return Some(Shortfall::BadExpression(problem.to_owned())),
            },
            (ValueTest::Exists, _) | (ValueTest::Matches(_), _) => true,
        };
        (!met).then(|| Shortfall::OtherValue(value.to_owned()))
    }
}

#[cfg(test)]
mod tests;
