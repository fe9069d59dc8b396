//! Whether two addresses mean the same repository of the same host, however they are written.
//!
//! A payload tells addresses over HTTP and SSH, of people's pages and of clones; a link has one of them. Compared are
//! host and path: without scheme, user, `.git`, slashes at the ends and default ports, and without regard to case,
//! which forges do not keep apart. Nothing is ever opened by what is read here.

use std::fmt;

/// Host names under which forges also take SSH on the port of HTTPS.
const SSH_HOSTS: [(&str, &str); 3] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
];

/// An address of a repository in the one form that is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloneAddress {
    /// Lower case; empty for a path of this machine.
    host: String,
    /// A port that is not the scheme's own.
    port: Option<u16>,
    /// Lower case, without slashes at the ends and without `.git`.
    path: String,
}

/// How well two addresses fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// Host, port and path.
    Same,
    /// Host and path: SSH and HTTP have ports of their own on one host.
    OtherPort,
    /// The host, and one path ends with the other: a forge below a path is cloned over SSH without it.
    Below,
}

impl CloneAddress {
    /// Reads `scheme://[user@]host[:port]/path`, `[user@]host:path` or `/path`; nothing for any other text.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with('/') {
            return Self::of(String::new(), None, text);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let scheme = scheme.to_ascii_lowercase();
            if scheme == "file" {
                return Self::of(String::new(), None, rest);
            }
            let own_port = match scheme.trim_start_matches("git+") {
                "http" => 80,
                "https" => 443,
                "ssh" => 22,
                "git" => 9418,
                _ => return None,
            };
            let (authority, path) = rest.split_once('/')?;
            let (host, port) = host_and_port(authority)?;
            return Self::of(host, port.filter(|port| *port != own_port), path);
        }
        // `host:path`, as scp writes it; the host may be an IPv6 address in brackets.
        let end = match text.find("]:") {
            Some(end) => end + 1,
            None => text.find(':')?,
        };
        let (authority, path) = (&text[..end], &text[end + 1..]);
        if authority.contains('/') {
            return None;
        }
        let (host, _) = host_and_port(authority)?;
        Self::of(host, None, path)
    }

    fn of(host: String, port: Option<u16>, path: &str) -> Option<Self> {
        let known = SSH_HOSTS.into_iter().find(|(ssh, _)| *ssh == host);
        let (host, port) = known.map_or((host, port), |(_, web)| (web.to_owned(), None));
        let path = path.split(['?', '#']).next().unwrap_or_default().to_lowercase();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let path = plain_path(&parts);
        let path = path.strip_suffix(".git").unwrap_or(&path);
        (!path.is_empty()).then(|| Self {
            host,
            port,
            path: path.to_owned(),
        })
    }

    /// How well this and another address fit; nothing if they mean different repositories.
    #[must_use]
    pub fn fit(&self, other: &Self) -> Option<Fit> {
        if self.host != other.host {
            return None;
        }
        if self.path == other.path {
            return Some(if self.port == other.port {
                Fit::Same
            } else {
                Fit::OtherPort
            });
        }
        let below = |long: &str, short: &str| {
            short.contains('/')
                && long
                    .strip_suffix(short)
                    .is_some_and(|before| before.ends_with('/'))
        };
        let fits =
            !self.host.is_empty() && (below(&self.path, &other.path) || below(&other.path, &self.path));
        fits.then_some(Fit::Below)
    }

    /// Whether the path is, or ends with, `owner/slug`; with an empty owner, whether it ends with the slug.
    #[must_use]
    pub fn is_named(&self, owner: &str, slug: &str) -> bool {
        let wanted = if owner.is_empty() {
            slug.to_lowercase()
        } else {
            format!("{}/{}", owner.to_lowercase(), slug.to_lowercase())
        };
        self.path
            .strip_suffix(&wanted)
            .is_some_and(|before| before.is_empty() || before.ends_with('/'))
    }

    /// The host, in lower case; empty for a path of this machine.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path, in lower case, without slashes at the ends and without `.git`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for CloneAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        write!(formatter, "/{}", self.path)
    }
}

/// The path of a clone. Bitbucket Data Center puts `scm` before it over HTTP, and has its pages at
/// `projects/KEY/repos/SLUG` and `users/NAME/repos/SLUG` (push-payloads.md B.3).
fn plain_path(parts: &[&str]) -> String {
    for (at, part) in parts.iter().enumerate() {
        match (*part, &parts[at + 1..]) {
            ("scm", [owner, slug]) => return format!("{owner}/{slug}"),
            ("projects", [key, "repos", slug, ..]) => return format!("{key}/{slug}"),
            ("users", [name, "repos", slug, ..]) => return format!("~{name}/{slug}"),
            _ => {}
        }
    }
    parts.join("/")
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let host_part = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port_at = match host_part.find(']') {
        Some(end) => host_part[end..].find(':').map(|colon| end + colon),
        None => host_part.find(':'),
    };
    let (host, port) = match port_at {
        Some(at) => (&host_part[..at], host_part[at + 1..].parse().ok()),
        None => (host_part, None),
    };
    let host = host.trim_end_matches('.').to_lowercase();
    (!host.is_empty() && !host.contains(char::is_whitespace)).then_some((host, port))
}

/// Which of the repositories a sender means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant<T> {
    /// These: one, or several links to one repository.
    These(Vec<T>),
    /// None of them.
    Unknown,
    /// Any of several: it cannot be told which.
    Ambiguous(usize),
}

/// Which of the known repositories is meant by the addresses of a payload, or, where it tells none, by owner and slug.
/// What fits exactly wins; what fits less well counts only when it is the only one, so that nobody is told of the push
/// of another.
pub fn meant<'k, T: Clone>(
    told: &[CloneAddress],
    owner: &str,
    slug: &str,
    known: impl IntoIterator<Item = (T, &'k CloneAddress)>,
) -> Meant<T> {
    let mut fitting: Vec<(Option<Fit>, T)> = Vec::new();
    for (repository, address) in known {
        let best = told.iter().filter_map(|one| one.fit(address)).min();
        if best.is_some() || (told.is_empty() && !slug.is_empty() && address.is_named(owner, slug)) {
            fitting.push((best, repository));
        }
    }
    for grade in [Some(Fit::Same), Some(Fit::OtherPort), Some(Fit::Below), None] {
        let of_grade: Vec<T> = fitting
            .iter()
            .filter(|(fit, _)| *fit == grade)
            .map(|(_, repository)| repository.clone())
            .collect();
        match of_grade.len() {
            0 => {}
            1 => return Meant::These(of_grade),
            _ if grade == Some(Fit::Same) => return Meant::These(of_grade),
            count => return Meant::Ambiguous(count),
        }
    }
    Meant::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> CloneAddress {
        CloneAddress::read(text).unwrap_or_else(|| panic!("{text} is an address"))
    }

    #[test]
    fn addresses_of_one_repository_have_one_form() {
        let table = [
            ("https://github.com/Grove/Tools.git", "github.com/grove/tools"),
            ("https://github.com/grove/tools", "github.com/grove/tools"),
            ("https://github.com:443/grove/tools/", "github.com/grove/tools"),
            ("http://GitHub.com/grove/tools.git/", "github.com/grove/tools"),
            (
                "https://token@github.com/grove/tools.git",
                "github.com/grove/tools",
            ),
            (
                "https://u:p%40x@github.com/grove/tools.git",
                "github.com/grove/tools",
            ),
            ("git://github.com/grove/tools.git", "github.com/grove/tools"),
            ("git@github.com:grove/tools.git", "github.com/grove/tools"),
            ("github.com:grove/tools", "github.com/grove/tools"),
            ("git@github.com:/grove/tools.git", "github.com/grove/tools"),
            ("ssh://git@github.com/grove/tools.git", "github.com/grove/tools"),
            (
                "ssh://git@github.com:22/grove/tools.git",
                "github.com/grove/tools",
            ),
            (
                "ssh://git@ssh.github.com:443/grove/tools.git",
                "github.com/grove/tools",
            ),
            (
                "git+ssh://git@github.com/grove/tools.git",
                "github.com/grove/tools",
            ),
            ("https://github.com./grove//tools?x=1#y", "github.com/grove/tools"),
            (
                "https://git.example:8443/scm/GRV/tools.git",
                "git.example:8443/grv/tools",
            ),
            (
                "ssh://git@git.example:7999/grv/tools.git",
                "git.example:7999/grv/tools",
            ),
            (
                "https://git.example/bb/projects/GRV/repos/tools/browse",
                "git.example/grv/tools",
            ),
            (
                "https://git.example/users/hana/repos/tools/browse",
                "git.example/~hana/tools",
            ),
            (
                "https://git.example/scm/~hana/tools.git",
                "git.example/~hana/tools",
            ),
            (
                "https://gitlab.example/a/b/c/tools.git",
                "gitlab.example/a/b/c/tools",
            ),
            ("ssh://git@[2001:db8::1]:2222/x/y.git", "[2001:db8::1]:2222/x/y"),
            ("git@[2001:db8::1]:x/y.git", "[2001:db8::1]/x/y"),
            ("/srv/git/Tools.git", "/srv/git/tools"),
            ("file:///srv/git/tools.git", "/srv/git/tools"),
        ];
        for (text, form) in table {
            assert_eq!(read(text).to_string(), form, "{text}");
        }
        for text in [
            "",
            "tools",
            "grove/tools",
            "https://github.com",
            "https://github.com/",
            "ext::sh -c x",
            "mailto:",
            "https:///x/y",
        ] {
            assert!(
                CloneAddress::read(text)
                    .is_none_or(|one| one.host() != "github.com" && !one.path().is_empty()),
                "{text}"
            );
        }
        assert_eq!(CloneAddress::read("grove/tools"), None);
        assert_eq!(CloneAddress::read("https://github.com/"), None);
    }

    #[test]
    fn ports_of_ssh_and_http_and_a_path_in_front_do_not_keep_addresses_apart() {
        let table = [
            (
                "https://git.example/a/b",
                "git@git.example:a/b.git",
                Some(Fit::Same),
            ),
            (
                "https://git.example:8443/a/b",
                "ssh://git@git.example:7999/a/b",
                Some(Fit::OtherPort),
            ),
            (
                "https://git.example/gitea/a/b",
                "git@git.example:a/b",
                Some(Fit::Below),
            ),
            ("https://git.example/a/b", "https://git.example/a/c", None),
            ("https://git.example/a/b", "https://other.example/a/b", None),
            ("https://git.example/x/ba/b", "https://git.example/a/b", None),
            // One name alone is too little.
            ("https://git.example/a/b", "https://git.example/b", None),
            ("/srv/a/b", "/b/a/b", None),
        ];
        for (left, right, fit) in table {
            assert_eq!(read(left).fit(&read(right)), fit, "{left} {right}");
            assert_eq!(read(right).fit(&read(left)), fit, "{right} {left}");
        }
    }

    #[test]
    fn the_best_fit_is_meant_and_a_doubtful_one_only_when_it_is_alone() {
        let known: Vec<CloneAddress> = [
            "https://git.example/a/b",
            "git@git.example:a/b.git",
            "ssh://git@git.example:7999/a/b",
            "https://git.example:1/x/y",
            "https://git.example:2/x/y",
            "https://other.example/z/lib",
        ]
        .into_iter()
        .map(read)
        .collect();
        let ask = |told: &[&str], owner: &str, slug: &str| {
            let told: Vec<CloneAddress> = told.iter().map(|one| read(one)).collect();
            meant(&told, owner, slug, known.iter().enumerate())
        };
        let these = |list: &[usize]| Meant::These(list.to_vec());
        assert_eq!(ask(&["http://git.example/A/B.git"], "a", "b"), these(&[0, 1]));
        assert_eq!(ask(&["ssh://git@git.example:7999/a/b"], "a", "b"), these(&[2]));
        assert_eq!(
            ask(&["https://git.example:2/x/y", "git@git.example:x/y"], "x", "y"),
            these(&[4])
        );
        assert_eq!(ask(&["https://git.example:3/x/y"], "x", "y"), Meant::Ambiguous(2));
        assert_eq!(
            ask(&["https://other.example/context/z/lib"], "z", "lib"),
            these(&[5])
        );
        assert_eq!(
            ask(&["https://elsewhere.example/z/lib"], "z", "lib"),
            Meant::Unknown
        );
        // Without an address, by name.
        assert_eq!(ask(&[], "Z", "LIB"), these(&[5]));
        assert_eq!(ask(&[], "a", "b"), Meant::Ambiguous(3));
        assert_eq!(ask(&[], "", "lib"), these(&[5]));
        assert_eq!(ask(&[], "", "ib"), Meant::Unknown);
        assert_eq!(ask(&[], "", ""), Meant::Unknown);
    }
}
