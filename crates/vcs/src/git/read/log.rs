//! The history of a revision in pages, of all paths or of one, and what revisions are called.

use std::path::Path;

use super::browse::PAGE_TIMEOUT;
use super::refs::RefList;
use super::{Commits, GitReader, ReadError};
use crate::name::ObjectId;

/// The fewest digits of an id that are looked up.
const FEWEST_DIGITS: usize = 4;

/// Whether merges are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merges {
    /// With all other commits.
    #[default]
    Included,
    /// Not at all.
    Excluded,
    /// And nothing else.
    Only,
}

/// The part of a history that is wanted.
#[derive(Clone, Debug)]
pub struct LogQuery<'q> {
    /// Where it begins: the newest commit.
    pub until: ObjectId,
    /// Commits that are in the history of this one are left out.
    pub since: Option<ObjectId>,
    /// Only commits that change this file or folder.
    pub path: Option<&'q str>,
    /// With a path: go on behind renames of the file.
    pub follow_renames: bool,
    /// Whether merges are listed.
    pub merges: Merges,
    /// How many of the newest are passed over.
    pub skip: usize,
    /// How many are given at most.
    pub limit: usize,
}

impl GitReader {
    /// Commits of a history, newest first.
    ///
    /// # Errors
    /// [`ReadError::Missing`] for a commit that is not there, [`ReadError::Path`]; a search that takes longer than 20
    /// seconds is given up.
    pub async fn log(&self, repository: &Path, query: &LogQuery<'_>) -> Result<Commits, ReadError> {
        let until = self.peel_to_commit(repository, &query.until).await?;
        let mut range = vec![until.to_string()];
        if let Some(since) = &query.since {
            let since = self.peel_to_commit(repository, since).await?;
            range.push(format!("^{since}"));
        }
        let path = query.path.filter(|path| !path.is_empty());
        if path.is_some_and(|path| path.contains(['\n', '\0'])) {
            return Err(ReadError::Path);
        }
        let follows = query.follow_renames && path.is_some();
        let mut command = if follows {
            // `rev-list` does not follow renames.
            self.git().command("log").repository(repository).args([
                "--follow",
                "--format=%H",
                "--no-color",
                "--no-show-signature",
            ])
        } else {
            self.git().command("rev-list").repository(repository)
        };
        command = command
            .arg(format!("--max-count={}", query.limit.saturating_add(1)))
            .arg(format!("--skip={}", query.skip));
        command = match query.merges {
            Merges::Included => command,
            Merges::Excluded => command.arg("--no-merges"),
            Merges::Only => command.arg("--merges"),
        };
        command = command.args(range).arg("--");
        if let Some(path) = path {
            command = command.arg(format!(":(top,literal){path}"));
        }
        let output = command.timeout(PAGE_TIMEOUT).run().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let ids: Vec<ObjectId> = text
            .lines()
            .filter_map(|line| ObjectId::parse(line).ok())
            .collect();
        let mut commits = Vec::with_capacity(ids.len().min(query.limit));
        for id in ids.iter().take(query.limit) {
            commits.push(self.commit(repository, id).await?);
        }
        Ok(Commits {
            commits,
            truncated: ids.len() > query.limit,
        })
    }

    /// The commit whose id begins with these digits, of which there must be four at least; `None` where no commit or
    /// more than one does.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn commit_by_digits(
        &self,
        repository: &Path,
        digits: &str,
    ) -> Result<Option<ObjectId>, ReadError> {
        let is_id = (FEWEST_DIGITS..=64).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Ok(None);
        }
        let found = self
            .objects
            .info(repository, &format!("{digits}^{{commit}}"))
            .await?;
        Ok(found.map(|found| found.id))
    }

    /// All paths of files below a folder's tree, relative to it, in the order of git.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn files_below(&self, repository: &Path, tree: &ObjectId) -> Result<Vec<String>, ReadError> {
        let output = self
            .git()
            .command("ls-tree")
            .repository(repository)
            .args(["-r", "-z", "--name-only", "--full-tree"])
            .arg(tree.to_string())
            .run()
            .await?;
        Ok(output
            .stdout
            .split(|&byte| byte == 0)
            .filter(|path| !path.is_empty())
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect())
    }

    /// All refs, those first that were made or moved to a new commit last.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn refs_newest_first(&self, repository: &Path) -> Result<RefList, ReadError> {
        super::refs::list_sorted(self.git(), repository, "--sort=-creatordate").await
    }
}
