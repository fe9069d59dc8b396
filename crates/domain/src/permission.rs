//! Who may do what: principals, grants, and the one function that decides.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a principal may do (bamboo-rest.md 1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Permission {
    /// See plans, results, logs; fetch from a repository.
    Read,
    /// See the configuration.
    ViewConfiguration,
    /// Change the configuration; push to a repository.
    Write,
    /// Start, continue and stop builds.
    Build,
    /// Copy a plan.
    Clone,
    /// Make plan branches.
    CreatePlanBranch,
    /// Make plans in a project.
    Create,
    /// Make repositories in a project.
    CreateRepository,
    /// Make releases in a deployment project.
    CreateRelease,
    /// Approve releases, or call them broken.
    ApproveRelease,
    /// Everything, and give permissions to others.
    Administration,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 11] = [
        Self::Read,
        Self::ViewConfiguration,
        Self::Write,
        Self::Build,
        Self::Clone,
        Self::CreatePlanBranch,
        Self::Create,
        Self::CreateRepository,
        Self::CreateRelease,
        Self::ApproveRelease,
        Self::Administration,
    ];

    /// The name that Bamboo's REST API uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::ViewConfiguration => "VIEW_CONFIGURATION",
            Self::Write => "WRITE",
            Self::Build => "BUILD",
            Self::Clone => "CLONE",
            Self::CreatePlanBranch => "CREATE_PLAN_BRANCH",
            Self::Create => "CREATE",
            Self::CreateRepository => "CREATEREPOSITORY",
            Self::CreateRelease => "CREATE_RELEASE",
            Self::ApproveRelease => "APPROVE_RELEASE",
            Self::Administration => "ADMINISTRATION",
        }
    }

    /// Whether callers whom nobody knows can hold it: they may look, and no more.
    #[must_use]
    pub fn for_anonymous(self) -> bool {
        self == Self::Read
    }

    /// Whether holding `self` means holding `other` as well.
    #[must_use]
    pub fn implies(self, other: Self) -> bool {
        self == other
            || match self {
                Self::Administration => true,
                Self::Write => matches!(
                    other,
                    // Who may change a deployment project could always make and judge its releases.
                    Self::Read
                        | Self::ViewConfiguration
                        | Self::CreatePlanBranch
                        | Self::CreateRelease
                        | Self::ApproveRelease
                ),
                Self::Build
                | Self::Clone
                | Self::ViewConfiguration
                | Self::CreatePlanBranch
                | Self::CreateRelease
                | Self::ApproveRelease => other == Self::Read,
                Self::Read | Self::Create | Self::CreateRepository => false,
            }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a permission; there are READ, VIEW_CONFIGURATION, WRITE, BUILD, CLONE, CREATE_PLAN_BRANCH, CREATE, CREATEREPOSITORY, CREATE_RELEASE, APPROVE_RELEASE and ADMINISTRATION"
)]
pub struct PermissionNameError {
    text: String,
}

impl FromStr for Permission {
    type Err = PermissionNameError;

    /// Reads the names of the REST API and those of plan files, in any case, with `-`, `_` or nothing between
    /// the words (bamboo-specs.md 12).
    fn from_str(text: &str) -> Result<Self, PermissionNameError> {
        let folded: String = text
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase();
        Ok(match folded.as_str() {
            "read" | "view" => Self::Read,
            "viewconfiguration" => Self::ViewConfiguration,
            "write" | "edit" => Self::Write,
            "build" => Self::Build,
            "clone" => Self::Clone,
            "createplanbranch" => Self::CreatePlanBranch,
            "create" | "createplan" => Self::Create,
            "createrepository" => Self::CreateRepository,
            "createrelease" => Self::CreateRelease,
            "approverelease" => Self::ApproveRelease,
            "administration" | "admin" | "administer" => Self::Administration,
            _ => {
                return Err(PermissionNameError {
                    text: text.chars().filter(|c| !c.is_control()).take(60).collect(),
                });
            }
        })
    }
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody that we know.
    Anonymous,
    /// A user, with what limits the way the user came in.
    User(UserPrincipal),
    /// A job of a build, which may write to a few repositories while it runs.
    Job(JobPrincipal),
    /// The person at the machine itself: the local socket or the program that opened the store.
    Local,
}

/// A user who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPrincipal {
    /// The user's id.
    pub id: i64,
    /// The user's name.
    pub name: String,
    /// Groups that the user is in.
    pub groups: Vec<String>,
    /// May do everything.
    pub administrator: bool,
    /// What the access token allows; `None` when the user came in by password or session.
    pub token_limit: Option<TokenLimit>,
}

/// A job of a build that makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPrincipal {
    /// The name of its build for logs and ledger entries: `build PROJ-PLAN-7`.
    pub name: String,
    /// The ids of the repositories that it may write to.
    pub repositories: Vec<i64>,
}

/// What an access token allows, of what its owner may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenLimit {
    /// The permissions; a permission that none of them implies is refused.
    pub permissions: Vec<Permission>,
    /// The project that the token is for; `None`: all.
    #[serde(default)]
    pub project: Option<String>,
}

impl Principal {
    /// The name that logs and ledger entries show.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User(user) => &user.name,
            Self::Job(job) => &job.name,
            Self::Local => "local administrator",
        }
    }

    /// Whether this is somebody who is logged in.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        !matches!(self, Self::Anonymous)
    }
}

/// Whom a grant is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "to", content = "name", rename_all = "kebab-case")]
pub enum Grantee {
    /// A user by name.
    User(String),
    /// Everyone in a group.
    Group(String),
    /// Everyone who is logged in.
    LoggedIn,
    /// Everyone.
    Anonymous,
    /// The plan files of a repository, by its name: what they may change and use. No person holds it.
    Repository(String),
}

/// What a grant is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The whole server.
    Global,
    /// A project, its plans and its repositories.
    Project,
    /// A plan and its branches.
    Plan,
    /// A repository.
    Repository,
    /// A deployment project.
    Deployment,
    /// An environment of a deployment project.
    Environment,
}

impl Scope {
    /// The word used in the store, in answers and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Project => "project",
            Self::Plan => "plan",
            Self::Repository => "repository",
            Self::Deployment => "deployment",
            Self::Environment => "environment",
        }
    }
}

/// One grant that bears on the thing asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whom it is for.
    pub grantee: Grantee,
    /// What it allows.
    pub permission: Permission,
}

/// What the decision rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    Allowed,
    /// Refused: the named permission is lacking.
    Lacking {
        /// The permission that would have been needed.
        permission: Permission,
        /// Whether the access token is what stands in the way, though its owner may.
        limited_by_token: bool,
    },
}

impl Verdict {
    /// Whether the request may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        *self == Self::Allowed
    }
}

/// Decides whether `principal` may do what needs `permission`, given all `grants` on the thing itself and on
/// what it lies in (its project, the server). `project` is the key of the project it lies in, for tokens that
/// are bound to one. An anonymous principal holds READ at most, whatever was granted (bamboo-rest.md 1.12).
#[must_use]
pub fn decide(
    principal: &Principal,
    permission: Permission,
    project: Option<&str>,
    grants: &[Grant],
) -> Verdict {
    let lacking = |limited_by_token| Verdict::Lacking {
        permission,
        limited_by_token,
    };
    let granted = |matches: &dyn Fn(&Grantee) -> bool| {
        grants
            .iter()
            .any(|grant| grant.permission.implies(permission) && matches(&grant.grantee))
    };
    match principal {
        Principal::Local => Verdict::Allowed,
        // Its right is on repositories by their numbers, which no grant has.
        Principal::Job(_) => lacking(true),
        Principal::Anonymous => {
            if permission == Permission::Read && granted(&|to| *to == Grantee::Anonymous) {
                Verdict::Allowed
            } else {
                lacking(false)
            }
        }
        Principal::User(user) => {
            let may = user.administrator
                || granted(&|to| match to {
                    Grantee::User(name) => name.eq_ignore_ascii_case(&user.name),
                    Grantee::Group(name) => user.groups.iter().any(|group| group.eq_ignore_ascii_case(name)),
                    Grantee::LoggedIn | Grantee::Anonymous => true,
                    Grantee::Repository(_) => false,
                });
            if !may {
                return lacking(false);
            }
            let Some(limit) = &user.token_limit else {
                return Verdict::Allowed;
            };
            let project_fits = match (&limit.project, project) {
                (None, _) => true,
                (Some(bound), Some(asked)) => bound.eq_ignore_ascii_case(asked),
                (Some(_), None) => false,
            };
            if project_fits && limit.permissions.iter().any(|held| held.implies(permission)) {
                Verdict::Allowed
            } else {
                lacking(true)
            }
        }
    }
}

/// Whether the plan files of a repository may do what needs `permission`, given all `grants` on the thing itself and on
/// what it lies in. Only what was granted to the repository itself counts.
#[must_use]
pub fn repository_holds(repository: &str, permission: Permission, grants: &[Grant]) -> bool {
    grants.iter().any(|grant| {
        matches!(&grant.grantee, Grantee::Repository(name) if name.eq_ignore_ascii_case(repository))
            && grant.permission.implies(permission)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(limit: Option<TokenLimit>) -> Principal {
        Principal::User(UserPrincipal {
            id: 1,
            name: "joe".into(),
            groups: vec!["devs".into()],
            administrator: false,
            token_limit: limit,
        })
    }

    #[test]
    fn what_a_repository_holds_no_person_holds_and_the_other_way_round() {
        let of_repository = grant(Grantee::Repository("proj/app".into()), Permission::Administration);
        assert!(repository_holds("PROJ/app", Permission::Create, &of_repository));
        assert!(!repository_holds("PROJ/lib", Permission::Read, &of_repository));
        let named_so = Principal::User(UserPrincipal {
            id: 1,
            name: "proj/app".into(),
            groups: vec!["proj/app".into()],
            administrator: false,
            token_limit: None,
        });
        assert!(!decide(&named_so, Permission::Read, None, &of_repository).is_allowed());
        for grantee in [
            Grantee::User("proj/app".into()),
            Grantee::LoggedIn,
            Grantee::Anonymous,
        ] {
            let of_people = grant(grantee, Permission::Administration);
            assert!(!repository_holds("proj/app", Permission::Read, &of_people));
        }
    }

    fn grant(grantee: Grantee, permission: Permission) -> Vec<Grant> {
        vec![Grant { grantee, permission }]
    }

    #[test]
    fn grants_reach_users_by_name_group_and_role() {
        for grantee in [
            Grantee::User("JOE".into()),
            Grantee::Group("devs".into()),
            Grantee::LoggedIn,
            Grantee::Anonymous,
        ] {
            let grants = grant(grantee, Permission::Build);
            assert!(decide(&user(None), Permission::Build, None, &grants).is_allowed());
            assert!(decide(&user(None), Permission::Read, None, &grants).is_allowed());
            assert!(!decide(&user(None), Permission::Write, None, &grants).is_allowed());
        }
        assert!(
            !decide(
                &user(None),
                Permission::Read,
                None,
                &grant(Grantee::User("ann".into()), Permission::Read)
            )
            .is_allowed()
        );
    }

    #[test]
    fn anonymous_holds_read_at_most() {
        let grants = grant(Grantee::Anonymous, Permission::Administration);
        assert!(decide(&Principal::Anonymous, Permission::Read, None, &grants).is_allowed());
        assert!(!decide(&Principal::Anonymous, Permission::Build, None, &grants).is_allowed());
        let logged_in = grant(Grantee::LoggedIn, Permission::Read);
        assert!(!decide(&Principal::Anonymous, Permission::Read, None, &logged_in).is_allowed());
    }

    #[test]
    fn a_token_narrows_its_owner() {
        let grants = grant(Grantee::LoggedIn, Permission::Administration);
        let read_only = user(Some(TokenLimit {
            permissions: vec![Permission::Read],
            project: None,
        }));
        assert!(decide(&read_only, Permission::Read, Some("PROJ"), &grants).is_allowed());
        assert_eq!(
            decide(&read_only, Permission::Build, Some("PROJ"), &grants),
            Verdict::Lacking {
                permission: Permission::Build,
                limited_by_token: true
            }
        );
        let bound = user(Some(TokenLimit {
            permissions: vec![Permission::Build],
            project: Some("PROJ".into()),
        }));
        assert!(decide(&bound, Permission::Build, Some("PROJ"), &grants).is_allowed());
        assert!(!decide(&bound, Permission::Build, Some("OTHER"), &grants).is_allowed());
        assert!(!decide(&bound, Permission::Build, None, &grants).is_allowed());
    }
}
