//! The administration and reading interfaces of Bitbucket Server and Bitbucket Cloud, as far as scripts call them.
//!
//! Other faces of what is here already: the hooks, webhooks and services that a script makes are receivers, and commits
//! are read from the repositories. docs/bitbucket-api.md lists every call and where it differs.
//!
//! `server/view` and `cloud/view` are pure: values in, JSON out. Handlers load, call one operation of the engine, and
//! word what came of it.

pub(crate) mod body;
pub(crate) mod cloud;
pub(crate) mod paging;
mod receivers;
pub(crate) mod refused;
pub(crate) mod server;
pub(crate) mod time;

use crate::routes::Routes;

/// All routes of both interfaces.
pub(crate) fn routes() -> Routes {
    Routes::default().merge(server::routes()).merge(cloud::routes())
}

/// Which of the two interfaces a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// Bitbucket Server, Stash and Data Center: `/rest/api/1.0/projects`.
    Server,
    /// Bitbucket Cloud: `/api/1.0`, `/api/2.0`.
    Cloud,
}

impl Face {
    /// The interface of a cleaned path; `None` for everything that is not Bitbucket's.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let below = |root: &str| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if below("/rest/api/latest/projects") || below("/rest/api/latest/repos") {
            Some(Self::Server)
        } else if below("/api/1.0") || below("/api/2.0") {
            Some(Self::Cloud)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Face;

    #[test]
    fn bamboos_paths_are_not_bitbuckets() {
        let rows = [
            ("/rest/api/latest/projects/PROJ/repos/app", Some(Face::Server)),
            ("/rest/api/latest/repos", Some(Face::Server)),
            ("/rest/api/latest/project/PROJ", None),
            ("/rest/api/latest/repository", None),
            ("/api/rest/updateAndBuild.action", None),
            ("/api/2.0/repositories", Some(Face::Cloud)),
            ("/api/2.00", None),
        ];
        for (path, expected) in rows {
            assert_eq!(Face::of(path), expected, "{path}");
        }
    }
}
