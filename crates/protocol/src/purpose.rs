//! What a job is run for: its log speaks of that, and says by it why a task may not do something.

use serde::{Deserialize, Serialize};

/// What a job is run for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A build of a plan.
    #[default]
    Build,
    /// A deployment of a release.
    Deployment,
    /// A plan that somebody tries out in a work tree, without a server.
    Trial,
}

impl Purpose {
    /// The word for one of them in the log: `build`, `deployment`.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Build | Self::Trial => "build",
            Self::Deployment => "deployment",
        }
    }

    /// Where such jobs may push, for one that has no right to push somewhere; `untrusted` as in the order.
    #[must_use]
    pub fn rule_of_pushes(self, untrusted: bool) -> &'static str {
        match self {
            Self::Build if untrusted => "builds of forks push nowhere",
            Self::Build => {
                "builds push to the default repository of their plan, to others of its project, and to those on which \
                 the repository of the plan file has the permission `write`"
            }
            Self::Deployment => "deployments push nowhere; let a job of the plan do it",
            Self::Trial => "what is tried out on this machine pushes nowhere; on a server it may be allowed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_older_servers_are_builds_and_words_are_kept() {
        assert_eq!(Purpose::default(), Purpose::Build);
        for (purpose, word) in [
            (Purpose::Build, "\"build\""),
            (Purpose::Deployment, "\"deployment\""),
            (Purpose::Trial, "\"trial\""),
        ] {
            assert_eq!(serde_json::to_string(&purpose).unwrap(), word);
            assert_eq!(serde_json::from_str::<Purpose>(word).unwrap(), purpose);
        }
    }
}
