//! What a receiver may ask for beyond the choice of a profile.

use jiff::tz::TimeZone;

use super::clock;
use super::post_receive::Generation;

/// How bodies are rendered for one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// One delivery for each ref instead of one for the push: most receivers read the first ref only
    /// (push-payloads.md A.6). GitHub's format is always like this.
    pub delivery_per_ref: bool,
    /// Page limits of the Post-Receive profiles; `None`: as the generation has them.
    pub pages: Option<PageLimits>,
    /// Most commits told in one body, the newest ones; `None`: what the format is known for. It does not
    /// apply to the Post-Receive profiles, which have `pages`.
    pub commits: Option<usize>,
    /// Most changed files told in one body, all commits together, so that no body grows without end.
    pub files: usize,
    /// Whether bodies of the POST service have the key `truncated`, as they had from 2013 on.
    pub cloud_post_truncated: bool,
    /// The zone of `timestamp` in bodies of the POST service.
    pub cloud_post_zone: TimeZone,
    /// Which version of Bitbucket Data Center to speak like.
    pub dc_version: DcVersion,
    /// The id of the webhook for `X-Hook-UUID` of Bitbucket Cloud; characters other than letters, digits
    /// and hyphens are left out.
    pub hook_uuid: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delivery_per_ref: false,
            pages: None,
            commits: None,
            files: 10_000,
            cloud_post_truncated: false,
            cloud_post_zone: clock::amsterdam(),
            dc_version: DcVersion::V9,
            hook_uuid: None,
        }
    }
}

/// Page limits of the Post-Receive profiles. They are written into the `limit` of each page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// Most changesets in a body.
    pub changesets: usize,
    /// The limit that the empty page of a push that only deletes shows.
    pub changesets_of_deletion: usize,
    /// Most changes in a changeset.
    pub changes: usize,
}

impl PageLimits {
    /// The limits that bodies of this generation show (push-payloads.md A.2).
    pub fn of(generation: Generation) -> Self {
        match generation {
            Generation::Stash2 => Self {
                changesets: 100,
                changesets_of_deletion: 100,
                changes: 500,
            },
            Generation::Stash3 => Self {
                changesets: 100,
                changesets_of_deletion: 100,
                changes: 100,
            },
            Generation::Bbs5 => Self {
                changesets: 100,
                changesets_of_deletion: 500,
                changes: 100,
            },
        }
    }
}

/// Versions of Bitbucket Data Center whose `repo:refs_changed` differ (push-payloads.md B.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DcVersion {
    /// 5.4 and later: actor, repository, changes.
    V5,
    /// 5.16 and later: links of people, projects and repositories besides.
    V6,
    /// 8 and 9: `commits`, `toCommit`, `hierarchyId` and `archived` besides, times as milliseconds.
    V9,
    /// 10: times of commits as ISO 8601 text.
    V10,
}
