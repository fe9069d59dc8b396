//! Where a configuration was read: the repository, the commit and the folder of plan files at that commit, as links where
//! the visitor may read the repository here.

use madake_domain::permission::Permission;
use madake_engine::EngineError;
use madake_engine::access::{Caller, Target, may};
use madake_store::{Tx, repository};
use madake_vcs::name::ObjectId;
use serde::Serialize;

use super::address::Site;
use super::shown;

/// The folder of plan files (bamboo-specs.md 1).
const FOLDER: &str = "bamboo-specs";

/// Where a configuration was read. Addresses are empty where the visitor has no pages of the repository.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Source {
    /// The repository; what is known of another place.
    repository: String,
    repository_url: String,
    /// The commit, and the first digits of it; empty for another place.
    revision: String,
    short: String,
    commit_url: String,
    folder_url: String,
}

/// The parts of `PROJ/app at 1a2b...`, which versions say of themselves.
fn parts(text: &str) -> Option<(&str, &str)> {
    let (name, revision) = text.rsplit_once(" at ")?;
    ObjectId::parse(revision).ok().map(|_| (name, revision))
}

/// The place that a version names as its source.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn source(tx: &Tx<'_>, caller: &Caller, site: &Site, text: &str) -> Result<Source, EngineError> {
    let Some((name, revision)) = parts(text) else {
        return Ok(Source {
            repository: shown::line(text),
            ..Source::default()
        });
    };
    let mut source = Source {
        repository: shown::line(name),
        revision: revision.to_owned(),
        short: revision.chars().take(shown::SHORT_ID).collect(),
        ..Source::default()
    };
    let Some(found) = repository::by_name(tx, name)? else {
        return Ok(source);
    };
    if let Some(pages) = site.repository(&found)
        && may(tx, caller, Permission::Read, Target::Repository(&found))?
    {
        source.repository_url = pages.browse_root();
        source.commit_url = pages.commit(revision);
        source.folder_url = pages.browse(FOLDER, Some(revision));
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_taken_apart_at_their_commit_alone() {
        let id = "a".repeat(40);
        let text = format!("a at b/app at {id}");
        assert_eq!(parts(&text), Some(("a at b/app", id.as_str())));
        for other in ["test", "PROJ/app at noon", "PROJ/app"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
