//! Keys of projects, plans, plan branches, jobs and results, as Bamboo writes them.
//!
//! A key is parsed once, where it enters; inside the product it is never a plain string.
//! A plan branch key is a plan key followed by a number (`PROJ-PLAN12`), and a plan's own key may end in a
//! digit as well, so nothing here takes the number off: the store looks keys up (bamboo-rest.md 1.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest key part that is accepted, in bytes.
pub const MAX_PART_LENGTH: usize = 64;

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text has too few or too many parts between its dashes.
    #[error("`{text}` is not {expected}")]
    Shape {
        /// The offending text, cut to a printable length.
        text: String,
        /// What was expected, with an example.
        expected: &'static str,
    },
    /// A part has characters that a key may not have.
    #[error("`{text}` has a part that is not made of the letters A-Z and digits, starting with a letter")]
    Part {
        /// The offending text, cut to a printable length.
        text: String,
    },
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn check_part(part: &str, whole: &str) -> Result<(), KeyError> {
    let mut bytes = part.bytes();
    let starts = bytes.next().is_some_and(|b| b.is_ascii_uppercase());
    let goes_on = bytes.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if starts && goes_on && part.len() <= MAX_PART_LENGTH {
        Ok(())
    } else {
        Err(KeyError::Part { text: shown(whole) })
    }
}

macro_rules! text_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The key as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = KeyError;

            fn try_from(text: String) -> Result<Self, KeyError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(key: $name) -> Self {
                key.0
            }
        }
    };
}

text_key! {
    /// A project key, `PROJ`: upper-case letters and digits, starting with a letter.
    ProjectKey
}

impl FromStr for ProjectKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        check_part(text, text)?;
        Ok(Self(text.to_owned()))
    }
}

text_key! {
    /// A plan key or plan branch key, `PROJ-PLAN` or `PROJ-PLAN0`.
    PlanKey
}

impl PlanKey {
    /// The key of the plan (or plan branch) `short` in `project`.
    ///
    /// # Errors
    /// When `short` is not a key part.
    pub fn new(project: &ProjectKey, short: &str) -> Result<Self, KeyError> {
        format!("{project}-{short}").parse()
    }

    /// The key of the project.
    #[must_use]
    pub fn project(&self) -> ProjectKey {
        ProjectKey(self.split().0.to_owned())
    }

    /// The part behind the project key: `PLAN` or `PLAN0`.
    #[must_use]
    pub fn short(&self) -> &str {
        self.split().1
    }

    /// The key of this plan's branch with the given number: `PROJ-PLAN` and 12 give `PROJ-PLAN12`.
    #[must_use]
    pub fn branch(&self, number: u32) -> Self {
        Self(format!("{}{number}", self.0))
    }

    fn split(&self) -> (&str, &str) {
        self.0.split_once('-').unwrap_or((&self.0, ""))
    }
}

impl FromStr for PlanKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.split('-');
        let (Some(project), Some(plan), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Shape {
                text: shown(text),
                expected: "a plan key such as PROJ-PLAN",
            });
        };
        check_part(project, text)?;
        check_part(plan, text)?;
        Ok(Self(text.to_owned()))
    }
}

/// A job key, `PROJ-PLAN-JOB1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    /// The plan or plan branch.
    pub plan: PlanKey,
    /// The part behind the plan key: `JOB1`.
    pub job: String,
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.plan, self.job)
    }
}

impl FromStr for JobKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let shape = || KeyError::Shape {
            text: shown(text),
            expected: "a job key such as PROJ-PLAN-JOB1",
        };
        let (plan, job) = text.rsplit_once('-').ok_or_else(shape)?;
        check_part(job, text)?;
        Ok(Self {
            plan: plan.parse().map_err(|_| shape())?,
            job: job.to_owned(),
        })
    }
}

/// The key of a plan's result, `PROJ-PLAN-7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultKey {
    /// The plan or plan branch that was built.
    pub plan: PlanKey,
    /// The build number, counted per plan branch from 1.
    pub number: i64,
}

impl fmt::Display for ResultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.plan, self.number)
    }
}

impl FromStr for ResultKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text.parse()? {
            EntityKey::Result(key) => Ok(key),
            _ => Err(KeyError::Shape {
                text: shown(text),
                expected: "a result key such as PROJ-PLAN-7",
            }),
        }
    }
}

/// The key of a job's result, `PROJ-PLAN-JOB1-7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobResultKey {
    /// The job.
    pub job: JobKey,
    /// The build number of the plan result that the job belongs to.
    pub number: i64,
}

impl fmt::Display for JobResultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.job, self.number)
    }
}

/// Which result of a plan a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResultNumber {
    /// A build number.
    Number(i64),
    /// The word `latest`.
    Latest,
}

/// Anything that a REST path may name with dashes (bamboo-rest.md 1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityKey {
    /// `PROJ`
    Project(ProjectKey),
    /// `PROJ-PLAN` or `PROJ-PLAN0`
    Plan(PlanKey),
    /// `PROJ-PLAN-JOB1`
    Job(JobKey),
    /// `PROJ-PLAN-7`
    Result(ResultKey),
    /// `PROJ-PLAN-JOB1-7`
    JobResult(JobResultKey),
    /// `PROJ-PLAN-latest`
    LatestResult(PlanKey),
    /// `PROJ-PLAN-JOB1-latest`
    LatestJobResult(JobKey),
}

/// Reads `7` or `latest`.
#[must_use]
pub fn result_number(text: &str) -> Option<ResultNumber> {
    if text == "latest" {
        return Some(ResultNumber::Latest);
    }
    let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| text.parse().ok().map(ResultNumber::Number))
        .flatten()
}

impl FromStr for EntityKey {
    type Err = KeyError;

    /// A last part that is a number or `latest` makes a result; two parts make a plan, three a job.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Some((front, last)) = text.rsplit_once('-')
            && let Some(number) = result_number(last)
        {
            let is_plan = front.bytes().filter(|b| *b == b'-').count() == 1;
            return Ok(match (is_plan, number) {
                (true, ResultNumber::Number(number)) => Self::Result(ResultKey {
                    plan: front.parse()?,
                    number,
                }),
                (true, ResultNumber::Latest) => Self::LatestResult(front.parse()?),
                (false, ResultNumber::Number(number)) => Self::JobResult(JobResultKey {
                    job: front.parse()?,
                    number,
                }),
                (false, ResultNumber::Latest) => Self::LatestJobResult(front.parse()?),
            });
        }
        match text.bytes().filter(|b| *b == b'-').count() {
            0 => text.parse().map(Self::Project),
            1 => text.parse().map(Self::Plan),
            _ => text.parse().map(Self::Job),
        }
    }
}

/// The display name of an automatically made plan branch: each run of characters outside `0-9A-Za-z`
/// becomes one dash (bamboo-rest.md 4.1; the hook of origin 000 compares with exactly this).
#[must_use]
pub fn branch_display_name(vcs_branch: &str) -> String {
    let mut name = String::with_capacity(vcs_branch.len());
    for c in vcs_branch.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_keys_are_told_apart_by_their_parts() {
        let rows = [
            ("PROJ", "Project"),
            ("PROJ-PLAN", "Plan"),
            ("PROJ-PLAN12", "Plan"),
            ("PROJ-PLAN-JOB1", "Job"),
            ("PROJ-PLAN-7", "Result"),
            ("PROJ-PLAN0-7", "Result"),
            ("PROJ-PLAN-JOB1-7", "JobResult"),
            ("PROJ-PLAN-latest", "LatestResult"),
            ("PROJ-PLAN-JOB1-latest", "LatestJobResult"),
        ];
        for (text, kind) in rows {
            let key: EntityKey = text.parse().expect(text);
            assert!(format!("{key:?}").starts_with(kind), "{text} gave {key:?}");
        }
    }

    #[test]
    fn texts_that_are_not_keys_are_refused() {
        let long = "A".repeat(300);
        for text in [
            "",
            "-",
            "proj",
            "PROJ-plan",
            "../",
            "PROJ-",
            "-PLAN",
            "PROJ--7",
            "P R",
            "PROJ-PLAN-JOB-X-7",
            &long,
        ] {
            assert!(text.parse::<EntityKey>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn display_name_follows_the_rule_of_the_hook_script() {
        assert_eq!(branch_display_name("feature/bar_baz"), "feature-bar-baz");
        assert_eq!(branch_display_name("a//b  c"), "a-b-c");
        assert_eq!(branch_display_name("release/1.0"), "release-1-0");
    }
}
