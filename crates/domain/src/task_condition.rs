//! Whether a task runs: its conditions on variables (bamboo-specs.md 4.1).
//!
//! All conditions must hold; a task whose conditions do not is passed over and counts as successful. Regular
//! expressions must match the whole value, in time linear in it (hostile-inputs.md L1). No sentence of this module
//! contains the value of a variable, since it may be a secret.

use crate::change::pattern::Pattern;
use crate::plan::TaskCondition;
use crate::text::inert;

/// The most characters of a name, value or expression that are shown in a sentence.
const SHOWN: usize = 100;

/// A condition that cannot be judged, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the condition on the variable `{variable}` cannot be judged: `{pattern}` is no regular expression ({problem})"
)]
pub struct UnreadableCondition {
    variable: String,
    pattern: String,
    problem: String,
}

/// The first condition that does not hold, as a sentence; `None`: all hold. `value` gives the values of variables by
/// their names without the `bamboo.` in front.
///
/// # Errors
/// When an expression cannot be read; then the task must not run, nor be passed over in silence.
pub fn first_unmet(
    conditions: &[TaskCondition],
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, UnreadableCondition> {
    for condition in conditions {
        if let Some(sentence) = unmet(condition, value)? {
            return Ok(Some(sentence));
        }
    }
    Ok(None)
}

fn unmet(
    condition: &TaskCondition,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, UnreadableCondition> {
    let named = |variable: &str| inert(variable, SHOWN);
    Ok(match condition {
        TaskCondition::Equals {
            variable,
            value: wanted,
        } => (value(variable).as_deref() != Some(wanted)).then(|| {
            format!(
                "the variable `{}` does not have the value `{}`",
                named(variable),
                named(wanted)
            )
        }),
        TaskCondition::NotEquals {
            variable,
            value: unwanted,
        } => (value(variable).as_deref() == Some(unwanted)).then(|| {
            format!(
                "the variable `{}` has the value `{}`",
                named(variable),
                named(unwanted)
            )
        }),
        TaskCondition::Matches { variable, pattern } => {
            let expression = Pattern::whole(pattern);
            // A bad expression is told of also where there is no such variable.
            let matches = expression
                .matches(&value(variable).unwrap_or_default())
                .map_err(|problem| UnreadableCondition {
                    variable: named(variable),
                    pattern: named(pattern),
                    problem: problem.to_owned(),
                })?;
            (!matches || value(variable).is_none()).then(|| {
                format!(
                    "the variable `{}` does not match `{}`",
                    named(variable),
                    named(pattern)
                )
            })
        }
        TaskCondition::Exists { variable } => value(variable)
            .is_none()
            .then(|| format!("there is no variable `{}`", named(variable))),
        TaskCondition::NotExists { variable } => value(variable)
            .is_some()
            .then(|| format!("there is a variable `{}`", named(variable))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(condition: TaskCondition) -> Option<String> {
        let value = |name: &str| match name {
            "stage" => Some("prod".to_owned()),
            "empty" => Some(String::new()),
            _ => None,
        };
        first_unmet(&[condition], &value).unwrap()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn each_operator_says_why_it_does_not_hold() {
        let equals = |(variable, value)| TaskCondition::Equals { variable, value };
        let not_equals = |(variable, value)| TaskCondition::NotEquals { variable, value };
        let matches = |(variable, pattern)| TaskCondition::Matches { variable, pattern };
        let exists = |variable: &str| TaskCondition::Exists {
            variable: variable.to_owned(),
        };
        let not_exists = |variable: &str| TaskCondition::NotExists {
            variable: variable.to_owned(),
        };
        for holds in [
            equals(pair("stage", "prod")),
            equals(pair("empty", "")),
            not_equals(pair("stage", "dev")),
            not_equals(pair("missing", "dev")),
            matches(pair("stage", "p.*|x")),
            matches(pair("empty", "")),
            exists("empty"),
            not_exists("missing"),
        ] {
            assert_eq!(sentence(holds.clone()), None, "{holds:?}");
        }
        for (fails, why) in [
            (
                equals(pair("stage", "dev")),
                "the variable `stage` does not have the value `dev`",
            ),
            (
                equals(pair("missing", "")),
                "the variable `missing` does not have the value ``",
            ),
            (
                not_equals(pair("stage", "prod")),
                "the variable `stage` has the value `prod`",
            ),
            (
                matches(pair("stage", "pro")),
                "the variable `stage` does not match `pro`",
            ),
            (
                matches(pair("missing", ".*")),
                "the variable `missing` does not match `.*`",
            ),
            (exists("missing"), "there is no variable `missing`"),
            (not_exists("stage"), "there is a variable `stage`"),
        ] {
            assert_eq!(sentence(fails).as_deref(), Some(why));
        }
    }

    #[test]
    fn all_must_hold_and_the_first_that_does_not_is_named() {
        let conditions = [
            TaskCondition::Exists { variable: "a".into() },
            TaskCondition::Exists { variable: "b".into() },
        ];
        let some = |name: &str| (name == "a").then(String::new);
        let why = first_unmet(&conditions, &some).unwrap();
        assert_eq!(why.as_deref(), Some("there is no variable `b`"));
        assert_eq!(first_unmet(&conditions, &|_| Some(String::new())).unwrap(), None);
        assert_eq!(first_unmet(&[], &|_| None).unwrap(), None);
    }

    #[test]
    fn an_expression_that_cannot_be_read_is_an_error() {
        for pattern in ["(", "a)|(b", "(?=x"] {
            let condition = TaskCondition::Matches {
                variable: "x".into(),
                pattern: pattern.into(),
            };
            let error = first_unmet(&[condition], &|_| None).unwrap_err().to_string();
            assert!(
                error.contains("`x`") && error.contains("regular expression"),
                "{error}"
            );
        }
    }

    #[test]
    fn hostile_expressions_l1_take_linear_time() {
        let condition = TaskCondition::Matches {
            variable: "x".into(),
            pattern: "(a+)+$".into(),
        };
        let long = "a".repeat(200_000) + "!";
        let why = first_unmet(&[condition], &|_| Some(long.clone())).unwrap();
        assert!(why.unwrap().len() < 200);
    }
}
