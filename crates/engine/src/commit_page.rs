//! The web page of a commit: ours where we host its repository, that of a forge whose addresses are known.

use madake_domain::repository::RepositoryKind;
use madake_store::repository::Repository;

/// Forges, and what stands between the page of a repository and the id of a commit.
const FORGES: [(&str, &str); 5] = [
    ("github.com", "commit"),
    ("gitlab.com", "-/commit"),
    ("bitbucket.org", "commits"),
    ("codeberg.org", "commit"),
    ("gitea.com", "commit"),
];

/// The page of a commit below `server_url`, the address of this server; of a linked repository, at its forge. None
/// where nobody is known to show it.
#[must_use]
pub fn commit_page(server_url: &str, found: &Repository, id: &str) -> Option<String> {
    match found.kind {
        RepositoryKind::Linked => page_at_forge(&found.url, id),
        RepositoryKind::Hosted | RepositoryKind::Attached => {
            let owner = match found.owner.strip_prefix('~') {
                _ if found.owner.is_empty() => return None,
                Some(name) => format!("users/{name}"),
                None => format!("projects/{}", found.owner),
            };
            Some(format!("{server_url}/{owner}/repos/{}/commits/{id}", found.slug))
        }
    }
}

/// `https://github.com/o/r.git` and `git@github.com:o/r` to `https://github.com/o/r/commit/ID`.
fn page_at_forge(url: &str, id: &str) -> Option<String> {
    let schemes = ["https://", "http://", "ssh://", "git://"];
    let rest = schemes
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .unwrap_or(url);
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) if !host.contains(':') || url.contains("://") => (host, path),
        _ => rest.split_once(':')?,
    };
    let host = host.rsplit('@').next()?;
    let host = host.split(':').next()?.to_ascii_lowercase();
    let (_, between) = FORGES.iter().find(|(forge, _)| *forge == host)?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
    let names_repository = path.split('/').filter(|part| !part.is_empty()).count() >= 2;
    (names_repository && path.chars().all(is_plain)).then(|| format!("https://{host}/{path}/{between}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::page_at_forge;

    #[test]
    fn pages_of_commits_are_known_of_some_forges_alone() {
        let table = [
            (
                "https://github.com/Grove/Tools.git",
                Some("https://github.com/Grove/Tools/commit/abc"),
            ),
            (
                "https://joe@GitHub.com/grove/tools/",
                Some("https://github.com/grove/tools/commit/abc"),
            ),
            (
                "git@github.com:grove/tools.git",
                Some("https://github.com/grove/tools/commit/abc"),
            ),
            (
                "ssh://git@gitlab.com:22/a/b/c.git",
                Some("https://gitlab.com/a/b/c/-/commit/abc"),
            ),
            (
                "https://bitbucket.org/grove/tools",
                Some("https://bitbucket.org/grove/tools/commits/abc"),
            ),
            ("https://forge.example/grove/tools.git", None),
            ("https://github.com.example/grove/tools.git", None),
            ("https://github.com/grove", None),
            ("https://github.com/grove/to ols", None),
            ("/srv/github.com/a/b", None),
            ("", None),
        ];
        for (url, page) in table {
            assert_eq!(page_at_forge(url, "abc").as_deref(), page, "{url}");
        }
    }
}
