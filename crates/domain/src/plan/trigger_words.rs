//! Triggers in words, for pages and the command line.

use super::{Trigger, TriggerKind};
use crate::text::{counted, inert};

/// The longest a text of a plan file gets in a sentence, in characters.
const SHOWN: usize = 100;

impl Trigger {
    /// What it does, as a sentence without a full stop: `builds each new tag whose whole name matches v.*`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = self.kind.in_words();
        if !self.repositories.is_empty() {
            let names: Vec<String> = self.repositories.iter().map(|name| inert(name, SHOWN)).collect();
            words.push_str(&format!(", of {}", names.join(", ")));
        }
        match self.conditions.len() {
            0 => {}
            1 => words.push_str(", on a condition"),
            more => words.push_str(&format!(", on {more} conditions")),
        }
        if !self.description.is_empty() {
            words.push_str(&format!(" ({})", inert(&self.description, SHOWN)));
        }
        words
    }
}

impl TriggerKind {
    fn in_words(&self) -> String {
        match self {
            Self::Push => "builds what is pushed".to_owned(),
            Self::Remote { addresses } if addresses.is_empty() => {
                "builds what is pushed here, and looks for changes when the repository's host calls"
                    .to_owned()
            }
            Self::Remote { addresses } => format!(
                "builds what is pushed here, and looks for changes when the repository's host or {} calls",
                inert(&addresses.join(", "), SHOWN)
            ),
            Self::Polling { cron: Some(cron), .. } => {
                format!("looks for changes at the times of {}", inert(cron, SHOWN))
            }
            Self::Polling {
                period_seconds: Some(seconds),
                ..
            } => format!("looks for changes every {}", counted(*seconds, "second")),
            Self::Polling { .. } => "looks for changes at the server's interval".to_owned(),
            Self::Cron { expression } => format!(
                "builds at the times of {}, changed or not",
                inert(expression, SHOWN)
            ),
            Self::Tag { filter, in_branch } => {
                let names = match filter {
                    Some(filter) => format!(" whose whole name matches {}", inert(filter, SHOWN)),
                    None => String::new(),
                };
                let place = if *in_branch { " on the branch" } else { "" };
                format!("builds each new tag{place}{names}")
            }
            Self::AfterDeployment {
                deployment_project,
                environment,
            } => {
                let place = match environment {
                    Some(environment) => format!(" to {}", inert(environment, SHOWN)),
                    None => String::new(),
                };
                format!(
                    "builds after each successful deployment of {}{place}",
                    inert(deployment_project, SHOWN)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::TriggerCondition;

    #[test]
    fn triggers_are_said_in_words() {
        let tag = |in_branch| TriggerKind::Tag {
            filter: Some("v.*".into()),
            in_branch,
        };
        let table = [
            (TriggerKind::Push, "builds what is pushed"),
            (
                TriggerKind::Polling {
                    period_seconds: Some(130),
                    cron: None,
                },
                "looks for changes every 130 seconds",
            ),
            (
                TriggerKind::Cron {
                    expression: "0 0 3 * * ?".into(),
                },
                "builds at the times of 0 0 3 * * ?, changed or not",
            ),
            (tag(false), "builds each new tag whose whole name matches v.*"),
            (
                tag(true),
                "builds each new tag on the branch whose whole name matches v.*",
            ),
            (
                TriggerKind::AfterDeployment {
                    deployment_project: "Shop".into(),
                    environment: Some("Staging\u{7}".into()),
                },
                "builds after each successful deployment of Shop to Staging",
            ),
        ];
        for (kind, words) in table {
            let said = Trigger::from(kind).in_words();
            assert!(said.starts_with(words), "{said}");
            assert!(!said.contains('\u{7}'), "{said}");
        }
        let narrow = Trigger {
            description: "nightly".into(),
            repositories: vec!["lib".into()],
            conditions: vec![TriggerCondition::MinimumCommits { count: 2 }],
            ..Trigger::from(TriggerKind::Push)
        };
        assert_eq!(
            narrow.in_words(),
            "builds what is pushed, of lib, on a condition (nightly)"
        );
    }
}
