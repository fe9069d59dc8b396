//! Why a build runs, in Bamboo's words (bamboo-rest.md 1.13).
//!
//! The long text is HTML: clients take its tags off, and one of them reads the key out of `Child of <a ..>`.
//! Everything that users chose (names, stages, revisions) is escaped.

use madake_domain::key::ResultKey;
use madake_engine::deploying::start::sentence;
use madake_store::deployment_result::DeploymentReason;

use super::link::Links;

/// Somebody who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRef {
    /// Login name; the page of the user is named by it.
    pub name: String,
    /// Name for readers.
    pub full_name: String,
}

/// What made a build, or made it go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked for a build.
    ManualBuild {
        /// Who.
        user: UserRef,
    },
    /// Somebody asked for a build of one revision.
    CustomRevision {
        /// Who.
        user: UserRef,
        /// The revision as it was asked for.
        revision: String,
    },
    /// Somebody continued the build at a manual stage.
    StageContinued {
        /// The stage.
        stage: String,
        /// Who.
        user: UserRef,
    },
    /// Somebody ran failed jobs again.
    Rebuilt {
        /// Who.
        user: UserRef,
    },
    /// A push or a poll brought commits.
    CodeChanged,
    /// A remote trigger was called and found commits.
    RemoteTrigger,
    /// The plan, or the plan branch, was never built before.
    FirstBuild,
    /// A time of a schedule came.
    Scheduled,
    /// Another plan's build succeeded.
    ChildOf {
        /// That build.
        parent: ResultKey,
    },
    /// A tag was pushed.
    Tag {
        /// Its name.
        name: String,
    },
    /// A deployment succeeded.
    Deployment {
        /// The deployment project.
        project: String,
        /// The environment.
        environment: String,
        /// The release.
        release: String,
    },
}

impl Reason {
    /// `buildReason` and `reasonSummary` of the result `key`, with links.
    #[must_use]
    pub fn html(&self, key: &ResultKey, links: &Links) -> String {
        match self {
            Self::ManualBuild { user } => format!("Manual run by {}", user_link(user, links)),
            Self::CustomRevision { user, revision } => format!(
                "Custom build by {}&nbsp;with revision {}",
                user_link(user, links),
                anchor(&format!("{}#changesSummary", links.result_page(key)), revision)
            ),
            Self::StageContinued { stage, user } => format!(
                "Manual run from the stage: <b>{}</b> by {}",
                escape_html(stage),
                user_link(user, links)
            ),
            Self::Rebuilt { user } => format!("Rebuilt by {}", user_link(user, links)),
            Self::CodeChanged | Self::RemoteTrigger => "Code has changed".to_owned(),
            Self::FirstBuild => "First build for this plan".to_owned(),
            Self::Scheduled => "Scheduled".to_owned(),
            Self::ChildOf { parent } => format!(
                "Child of {}",
                anchor(&links.result_page(parent), &parent.to_string())
            ),
            Self::Tag { name } => format!("Tag <b>{}</b> was pushed", escape_html(name)),
            Self::Deployment {
                project,
                environment,
                release,
            } => format!(
                "Deployment of <b>{}</b> of {} to {}",
                escape_html(release),
                escape_html(project),
                escape_html(environment)
            ),
        }
    }

    /// `triggerReason` of queue answers: short and plain.
    #[must_use]
    pub fn trigger_reason(&self) -> &'static str {
        match self {
            Self::ManualBuild { .. } | Self::StageContinued { .. } | Self::Rebuilt { .. } => "Manual build",
            Self::CustomRevision { .. } => "Custom revision build",
            Self::CodeChanged | Self::RemoteTrigger => "Code has changed",
            Self::FirstBuild => "First build",
            Self::Scheduled => "Scheduled",
            Self::ChildOf { .. } => "Dependency build",
            Self::Tag { .. } => "Tag",
            Self::Deployment { .. } => "After deployment",
        }
    }

    /// Who asked for it, when a person did.
    #[must_use]
    pub fn user(&self) -> Option<&UserRef> {
        match self {
            Self::ManualBuild { user }
            | Self::CustomRevision { user, .. }
            | Self::StageContinued { user, .. }
            | Self::Rebuilt { user } => Some(user),
            _ => None,
        }
    }
}

/// `reasonSummary` of a deployment, with links; `user` is who asked for it.
pub(super) fn deployment_html(reason: &DeploymentReason, user: Option<&UserRef>, links: &Links) -> String {
    match (reason, user) {
        (DeploymentReason::Manual { .. }, Some(user)) => format!("Manual run by {}", user_link(user, links)),
        (DeploymentReason::BuildSuccess { build }, _) => {
            format!("Child of {}", anchor(&links.browse(&[build]), build))
        }
        _ => escape_html(&sentence(reason)),
    }
}

/// Text as it may stand between HTML tags and in quoted attributes.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn user_link(user: &UserRef, links: &Links) -> String {
    anchor(&links.user_page(&user.name), &user.full_name)
}

fn anchor(href: &str, text: &str) -> String {
    format!("<a href=\"{}\">{}</a>", escape_html(href), escape_html(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joe() -> UserRef {
        UserRef {
            name: "joe".to_owned(),
            full_name: "Joe".to_owned(),
        }
    }

    #[test]
    fn reasons_read_like_those_of_the_original() {
        let links = Links::new("http://ci.example");
        let key: ResultKey = "PROJ-PLAN-7".parse().unwrap();
        let user = "<a href=\"http://ci.example/browse/user/joe\">Joe</a>";
        let rows = [
            (
                Reason::ManualBuild { user: joe() },
                format!("Manual run by {user}"),
                "Manual build",
            ),
            (
                Reason::CustomRevision {
                    user: joe(),
                    revision: "abc123".to_owned(),
                },
                format!(
                    "Custom build by {user}&nbsp;with revision \
                     <a href=\"http://ci.example/browse/PROJ-PLAN-7#changesSummary\">abc123</a>"
                ),
                "Custom revision build",
            ),
            (
                Reason::StageContinued {
                    stage: "Deploy".to_owned(),
                    user: joe(),
                },
                format!("Manual run from the stage: <b>Deploy</b> by {user}"),
                "Manual build",
            ),
            (
                Reason::Rebuilt { user: joe() },
                format!("Rebuilt by {user}"),
                "Manual build",
            ),
            (
                Reason::CodeChanged,
                "Code has changed".to_owned(),
                "Code has changed",
            ),
            (
                Reason::RemoteTrigger,
                "Code has changed".to_owned(),
                "Code has changed",
            ),
            (
                Reason::FirstBuild,
                "First build for this plan".to_owned(),
                "First build",
            ),
            (Reason::Scheduled, "Scheduled".to_owned(), "Scheduled"),
            (
                Reason::ChildOf {
                    parent: "PROJ-A-3".parse().unwrap(),
                },
                "Child of <a href=\"http://ci.example/browse/PROJ-A-3\">PROJ-A-3</a>".to_owned(),
                "Dependency build",
            ),
        ];
        for (reason, html, short) in rows {
            assert_eq!(reason.html(&key, &links), html);
            assert_eq!(reason.trigger_reason(), short);
        }
    }

    #[test]
    fn what_users_chose_cannot_bring_markup() {
        let links = Links::new("http://ci.example");
        let key: ResultKey = "PROJ-PLAN-7".parse().unwrap();
        let user = UserRef {
            name: "x\"><script>'".to_owned(),
            full_name: "<script>alert('1')</script>".to_owned(),
        };
        let evil = "<img src=x onerror=\"y\">".to_owned();
        let reasons = [
            Reason::ManualBuild { user: user.clone() },
            Reason::Rebuilt { user: user.clone() },
            Reason::CustomRevision {
                user: user.clone(),
                revision: evil.clone(),
            },
            Reason::Tag { name: evil.clone() },
            Reason::Deployment {
                project: evil.clone(),
                environment: evil.clone(),
                release: evil.clone(),
            },
            Reason::StageContinued { stage: evil, user },
        ];
        for reason in reasons {
            let html = reason.html(&key, &links);
            assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
            let quotes = html.matches('"').count();
            assert_eq!(quotes, 2 * html.matches("<a href=").count(), "{html}");
        }
    }
}
