//! Every link of an outgoing body: a function of the server's address and the repository.
//!
//! Bitbucket Server has pages below `/projects/KEY/repos/SLUG`, or `/users/NAME/repos/SLUG` for a person's
//! project; Bitbucket Cloud has them at `/OWNER/SLUG`. Names are percent-encoded, slashes inside paths and
//! ref names are kept, as the captured bodies have them.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::facts::{AccountFacts, RefMove, RepositoryFacts, ServerFacts};
use crate::object_id::ObjectIdText;
use crate::push::Scm;

/// What RFC 3986 does not allow in a fragment.
const FRAGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// What it does not allow in a path of several segments.
const PATH: &AsciiSet = &FRAGMENT.add(b'?');
/// What it does not allow in one segment.
const SEGMENT: &AsciiSet = &PATH.add(b'/');

/// The links of one repository.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    server: &'a ServerFacts,
    repository: &'a RepositoryFacts,
}

impl<'a> Links<'a> {
    /// The links of this repository on this server.
    pub fn new(server: &'a ServerFacts, repository: &'a RepositoryFacts) -> Self {
        Self { server, repository }
    }

    /// The server's address without a slash at the end (`canon_url`).
    pub fn base(&self) -> &'a str {
        self.server.base_url.trim_end_matches('/')
    }

    /// The absolute form of a link that begins with a slash.
    pub fn absolute(&self, relative: &str) -> String {
        format!("{}{relative}", self.base())
    }

    /// `/projects/KEY`, or `/users/NAME` for a person's project.
    pub fn project(&self) -> String {
        match &self.repository.project.owner {
            Some(owner) => user(owner),
            None => format!("/projects/{}", segment(&self.repository.project.key)),
        }
    }

    /// `/users/NAME`.
    pub fn user(&self, account: &AccountFacts) -> String {
        user(account)
    }

    /// `/projects/KEY/repos/SLUG/browse`.
    pub fn browse(&self) -> String {
        format!("{}/browse", self.server_repository())
    }

    /// `/projects/KEY/repos/SLUG/commits/HASH`.
    pub fn commit(&self, id: &ObjectIdText) -> String {
        format!("{}/commits/{id}", self.server_repository())
    }

    /// `/projects/KEY/repos/SLUG/commits/HASH#path/in/it`.
    pub fn change(&self, id: &ObjectIdText, path: &str) -> String {
        format!("{}#{}", self.commit(id), fragment(path))
    }

    /// Where to clone from over HTTP, absolute: `/scm/owner/slug.git`, or `/hg/owner/slug` for Mercurial.
    pub fn clone_http(&self) -> String {
        self.absolute(&match self.repository.scm {
            Scm::Git => format!("/scm{}.git", self.clone_path()),
            Scm::Mercurial => format!("/hg{}", self.clone_path()),
        })
    }

    /// Where to clone from over SSH, if the server has it.
    pub fn clone_ssh(&self) -> Option<String> {
        let base = self.server.ssh_url.as_ref()?.trim_end_matches('/');
        let ending = match self.repository.scm {
            Scm::Git => ".git",
            Scm::Mercurial => "",
        };
        Some(format!("{base}{}{ending}", self.clone_path()))
    }

    /// `/OWNER/SLUG`, the page in the Cloud form. `absolute_url` of the POST service has one more slash.
    pub fn cloud_repository(&self) -> String {
        format!(
            "/{}/{}",
            segment(&self.repository.owner),
            segment(&self.repository.slug)
        )
    }

    /// `/OWNER/SLUG/commits/HASH`.
    pub fn cloud_commit(&self, id: &ObjectIdText) -> String {
        format!("{}/commits/{id}", self.cloud_repository())
    }

    /// `/OWNER/SLUG/branch/NAME`, or `/OWNER/SLUG/commits/tag/NAME`.
    pub fn cloud_ref(&self, moved: &RefMove) -> String {
        let folder = if moved.is_tag() { "commits/tag" } else { "branch" };
        format!("{}/{folder}/{}", self.cloud_repository(), path(&moved.name))
    }

    /// `/OWNER/SLUG/branches/compare/NEW..OLD`.
    pub fn cloud_compare(&self, old: &ObjectIdText, new: &ObjectIdText) -> String {
        format!("{}/branches/compare/{new}..{old}", self.cloud_repository())
    }

    /// `/api/2.0/repositories/OWNER/SLUG` and what is below it; `below` begins with a slash or is empty.
    pub fn cloud_api(&self, below: &str) -> String {
        format!("/api/2.0/repositories{}{below}", self.cloud_repository())
    }

    /// The ref in the Cloud API: `/api/2.0/repositories/OWNER/SLUG/refs/branches/NAME`.
    pub fn cloud_api_ref(&self, moved: &RefMove) -> String {
        let folder = if moved.is_tag() { "tags" } else { "branches" };
        self.cloud_api(&format!("/refs/{folder}/{}", path(&moved.name)))
    }

    /// The log of a ref in the Cloud API: `/api/2.0/repositories/OWNER/SLUG/commits/NAME`.
    pub fn cloud_api_log(&self, moved: &RefMove) -> String {
        self.cloud_api(&format!("/commits/{}", path(&moved.name)))
    }

    /// What GitHub calls `compare`: both ids in twelve digits, or the name of a ref that is new.
    pub fn github_compare(&self, moved: &RefMove) -> String {
        let (old, new) = moved.hashes();
        let range = match moved.old {
            Some(_) => format!("{}...{}", &old[..12], &new[..12]),
            None => path(&moved.name),
        };
        format!("{}/compare/{range}", self.cloud_repository())
    }

    fn server_repository(&self) -> String {
        format!("{}/repos/{}", self.project(), segment(&self.repository.slug))
    }

    fn clone_path(&self) -> String {
        // Clone addresses are lower case, as Bitbucket Server writes them.
        let owner = self.repository.owner.to_lowercase();
        let slug = self.repository.slug.to_lowercase();
        format!("/{}/{}", segment(&owner), segment(&slug))
    }
}

/// What a link to a changed file has behind `#`. The page of the commit has it as an anchor.
pub fn fragment(path: &str) -> String {
    utf8_percent_encode(path, FRAGMENT).to_string()
}

fn user(account: &AccountFacts) -> String {
    format!("/users/{}", segment(&account.slug()))
}

fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

fn path(name: &str) -> String {
    utf8_percent_encode(name, PATH).to_string()
}
