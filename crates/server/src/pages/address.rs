//! Every address of a page: those that links of payloads name, and what hangs below them.

use std::sync::LazyLock;

use madake_domain::key::PlanKey;
use madake_store::repository::Repository;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::path::{context_path, is_plain};

/// All but what RFC 3986 calls unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The same for paths of several segments.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// Another one for another style sheet, as browsers may keep it.
static STYLE_VERSION: LazyLock<String> =
    LazyLock::new(|| hex::encode(&Sha256::digest(super::template::STYLE)[..6]));

/// The addresses of the server as a whole.
#[derive(Debug, Clone)]
pub(super) struct Site {
    context: String,
}

impl Site {
    pub(super) fn of(app: &App) -> Self {
        Self {
            context: context_path(app.base_url()).unwrap_or_default().to_owned(),
        }
    }

    #[cfg(test)]
    pub(super) fn of_context(context: &str) -> Self {
        Self {
            context: context.to_owned(),
        }
    }

    #[cfg(test)]
    pub(super) fn repository_at(&self, owner: &str, slug: &str) -> RepositorySite {
        RepositorySite {
            root: format!("{}/repos/{slug}", self.owner(owner)),
        }
    }

    /// The address of a path below the context path.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.context)
    }

    /// What there is and how it stands.
    pub(super) fn home(&self) -> String {
        self.at("/")
    }

    /// Where deployment projects are, below the context path.
    pub(super) const DEPLOYMENTS: &str = "/deploy/viewAllDeploymentProjects.action";
    /// Where the list of repositories is, below the context path.
    pub(super) const REPOSITORIES: &str = "/repositories";

    /// The deployment projects.
    pub(super) fn deployments(&self) -> String {
        self.at(Self::DEPLOYMENTS)
    }

    /// All repositories.
    pub(super) fn repositories(&self) -> String {
        self.at(Self::REPOSITORIES)
    }

    /// The plans of a project and how they stand.
    pub(super) fn project_plans(&self, key: &str) -> String {
        self.at(&format!("/?project={}", segment(key)))
    }

    /// A plan or a plan branch.
    pub(super) fn plan(&self, key: &PlanKey) -> String {
        self.at(&format!("/browse/{key}"))
    }

    /// A result by its key.
    pub(super) fn result(&self, key: &str) -> String {
        self.at(&format!("/browse/{}", segment(key)))
    }

    /// The style sheet.
    pub(super) fn stylesheet(&self) -> String {
        self.at(&format!("/assets/pages.css?{}", *STYLE_VERSION))
    }

    /// The form to log in, which leads back to `path`.
    pub(super) fn log_in(&self, path: &str) -> String {
        if path == "/" || path.starts_with("/login") {
            return self.at("/login");
        }
        self.at(&format!("/login?next={}", utf8_percent_encode(path, SEGMENT)))
    }

    /// Where forms to log in go.
    pub(super) fn log_in_action(&self) -> String {
        self.at("/login")
    }

    /// Where the button to log out goes.
    pub(super) fn log_out(&self) -> String {
        self.at("/logout")
    }

    /// The repositories of a project or of a person, whose owner name starts with `~`.
    pub(super) fn owner(&self, owner: &str) -> String {
        self.at(&match owner.strip_prefix('~') {
            Some(name) => format!("/users/{}", segment(name)),
            None => format!("/projects/{}", segment(owner)),
        })
    }

    /// A repository in the form of the Cloud.
    pub(super) fn cloud_repository(&self, found: &Repository) -> String {
        self.at(&format!("/{}/{}", segment(&found.owner), segment(&found.slug)))
    }

    /// The addresses of a repository; none for a linked one, which has no owner.
    pub(super) fn repository(&self, found: &Repository) -> Option<RepositorySite> {
        (!found.owner.is_empty()).then(|| RepositorySite {
            root: format!("{}/repos/{}", self.owner(&found.owner), segment(&found.slug)),
        })
    }
}

/// The addresses of deployments (bamboo-rest.md 11).
#[derive(Debug, Clone)]
pub(super) struct Addresses(Site);

impl Addresses {
    /// Those of this server.
    pub(super) fn of(site: Site) -> Self {
        Self(site)
    }

    /// The server's other addresses.
    pub(super) fn site(&self) -> &Site {
        &self.0
    }

    /// A deployment project.
    pub(super) fn project(&self, id: i64) -> String {
        self.0.at(&format!(
            "/deploy/viewDeploymentProjectEnvironments.action?id={id}"
        ))
    }

    /// An environment.
    pub(super) fn environment(&self, id: i64) -> String {
        self.0.at(&format!("/deploy/viewEnvironment.action?id={id}"))
    }

    /// A deployment.
    pub(super) fn result(&self, id: i64) -> String {
        self.0.at(&format!(
            "/deploy/viewDeploymentResult.action?deploymentResultId={id}"
        ))
    }

    /// A release.
    pub(super) fn release(&self, id: i64) -> String {
        self.0
            .at(&format!("/deploy/viewDeploymentVersion.action?versionId={id}"))
    }

    /// The result that a release was made of.
    pub(super) fn build(&self, key: &str) -> String {
        self.0.result(key)
    }

    /// The plan whose results become releases.
    pub(super) fn plan(&self, key: &PlanKey) -> String {
        self.0.plan(key)
    }
}

/// The addresses of one repository.
#[derive(Debug, Clone)]
pub(super) struct RepositorySite {
    root: String,
}

impl RepositorySite {
    /// What all addresses of the repository begin with.
    pub(super) fn root(&self) -> String {
        self.root.clone()
    }

    /// The root folder on the default branch.
    pub(super) fn browse_root(&self) -> String {
        format!("{}/browse", self.root)
    }

    /// A file or a folder as it was at `at`, a branch, a tag or a commit; none for the default branch.
    pub(super) fn browse(&self, path: &str, at: Option<&str>) -> String {
        self.below("browse", path, &[("at", at)])
    }

    /// The bytes of a file.
    pub(super) fn raw(&self, path: &str, at: Option<&str>) -> String {
        self.below("raw", path, &[("at", at)])
    }

    /// The history of `until`, of one path or of all, after the first `start` commits.
    pub(super) fn history(&self, path: &str, until: Option<&str>, start: usize) -> String {
        let start = (start > 0).then(|| start.to_string());
        let path = (!path.is_empty()).then_some(path);
        self.with_query(
            "commits",
            &[("until", until), ("path", path), ("start", start.as_deref())],
        )
    }

    /// A commit.
    pub(super) fn commit(&self, id: &str) -> String {
        format!("{}/commits/{}", self.root, segment(id))
    }

    /// The list of branches.
    pub(super) fn branches(&self) -> String {
        format!("{}/branches", self.root)
    }

    /// The list of tags.
    pub(super) fn tags(&self) -> String {
        format!("{}/tags", self.root)
    }

    fn below(&self, page: &str, path: &str, query: &[(&str, Option<&str>)]) -> String {
        let encoded = format!("/{}", utf8_percent_encode(path, PATH));
        if path.is_empty() {
            return self.with_query(page, query);
        }
        if is_plain(&encoded) && !path.ends_with('/') {
            return self.with_query(&format!("{page}{encoded}"), query);
        }
        // A path that a router and a guard could read differently goes into the query.
        let mut query = query.to_vec();
        query.push(("path", Some(path)));
        self.with_query(page, &query)
    }

    fn with_query(&self, page: &str, query: &[(&str, Option<&str>)]) -> String {
        let mut address = format!("{}/{page}", self.root);
        let mut mark = '?';
        for (name, value) in query {
            if let Some(value) = value {
                address.push_str(&format!("{mark}{name}={}", utf8_percent_encode(value, SEGMENT)));
                mark = '&';
            }
        }
        address
    }
}

fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_payload_links_and_paths_cannot_leave_their_place() {
        let site = RepositorySite {
            root: "/projects/PROJ/repos/app".into(),
        };
        let table = [
            (site.browse("", None), "/browse"),
            (
                site.browse("src/main.rs", Some("feature/x")),
                "/browse/src/main.rs?at=feature%2Fx",
            ),
            (site.browse("a b#?%&.txt", None), "/browse/a%20b%23%3F%25%26.txt"),
            (site.browse("a;b", Some("v1")), "/browse?at=v1&path=a%3Bb"),
            (site.browse("a\\b", None), "/browse?path=a%5Cb"),
            (site.raw("竹", None), "/raw/%E7%AB%B9"),
            (
                site.history("src", Some("main"), 50),
                "/commits?until=main&path=src&start=50",
            ),
            (site.history("", None, 0), "/commits"),
            (site.commit("abc"), "/commits/abc"),
        ];
        for (address, expected) in table {
            assert_eq!(address, format!("/projects/PROJ/repos/app{expected}"));
        }
    }
}
