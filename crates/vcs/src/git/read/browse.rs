//! What people look up in a repository: revisions by the names that they use, histories, lists of branches and tags.

use std::path::Path;
use std::time::Duration;

use super::refs::read_ref;
use super::{Commits, GitReader, ReadError};
use crate::name::{ObjectId, RefKind, RefName};
use crate::process::ProcessError;

/// How long git may search for one page.
pub(super) const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Fewest digits of an abbreviated id.
const SHORTEST_ID: usize = 4;

/// What a name for a revision stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The branch or tag; none for an id.
    pub name: Option<RefName>,
    /// The commit.
    pub commit: ObjectId,
}

/// A branch or tag with what a list shows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefSummary {
    /// Its name.
    pub name: RefName,
    /// What it finally names; not always a commit.
    pub target: ObjectId,
    /// When the commit or the annotated tag was made, in milliseconds since 1970; 0 where that is not told.
    pub time_ms: i64,
    /// The first line of the commit or of the annotated tag, as stored; what is not UTF-8 is replaced.
    pub subject: String,
}

/// Some branches or tags, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefSummaries {
    /// Those with names that were accepted.
    pub refs: Vec<RefSummary>,
    /// Whether there were more than asked for.
    pub truncated: bool,
}

impl GitReader {
    /// The commit that `text` names: a branch, else a tag, else an id of at least four digits. Full names of refs are
    /// taken as well. None if there is no such commit, or more than one.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn resolve(&self, repository: &Path, text: &str) -> Result<Option<Resolved>, ReadError> {
        let names = if text.starts_with("refs/") {
            vec![text.to_owned()]
        } else {
            vec![format!("refs/heads/{text}"), format!("refs/tags/{text}")]
        };
        for name in names {
            let Ok(name) = RefName::parse(&name) else { continue };
            if !matches!(name.kind(), RefKind::Branch | RefKind::Tag) {
                continue;
            }
            if let Some(id) = read_ref(self.git(), repository, &name).await? {
                let found = self.commit_of(repository, &id).await?;
                return Ok(found.map(|commit| Resolved {
                    name: Some(name),
                    commit,
                }));
            }
        }
        let commit = match ObjectId::parse(text) {
            Ok(id) => self.commit_of(repository, &id).await?,
            Err(_) => self.unabbreviated(repository, text).await?,
        };
        Ok(commit.map(|commit| Resolved { name: None, commit }))
    }

    async fn commit_of(&self, repository: &Path, id: &ObjectId) -> Result<Option<ObjectId>, ReadError> {
        match self.peel_to_commit(repository, id).await {
            Ok(commit) => Ok(Some(commit)),
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn unabbreviated(&self, repository: &Path, digits: &str) -> Result<Option<ObjectId>, ReadError> {
        let is_id =
            (SHORTEST_ID..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_id {
            return Ok(None);
        }
        let output = self
            .git()
            .command("rev-parse")
            .repository(repository)
            .args(["--verify", "--quiet", "--end-of-options"])
            .arg(format!("{digits}^{{commit}}"))
            .timeout(PAGE_TIMEOUT)
            .run_unchecked()
            .await?
            .into_output();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(ObjectId::parse(text.trim()).ok())
    }

    /// The history of `tip`, the newest first: `limit` commits after the first `skip`; with a path, those that changed
    /// something at or below it.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if `tip` is not in the repository, [`ReadError::Path`] for a path that cannot be asked
    /// for; a search that takes longer than 20 seconds is given up.
    pub async fn page_of_history(
        &self,
        repository: &Path,
        tip: &ObjectId,
        path: Option<&str>,
        skip: usize,
        limit: usize,
    ) -> Result<Commits, ReadError> {
        let tip = self.peel_to_commit(repository, tip).await?;
        let mut command = self
            .git()
            .command("rev-list")
            .repository(repository)
            // A path is a path, whatever git's patterns make of its characters.
            .environment("GIT_LITERAL_PATHSPECS", "1")
            .arg(format!("--max-count={}", limit.saturating_add(1)))
            .arg(format!("--skip={skip}"))
            .arg(tip.to_string())
            .arg("--")
            .timeout(PAGE_TIMEOUT);
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            if path.contains('\0') {
                return Err(ReadError::Path);
            }
            command = command.arg(path);
        }
        let output = command.run().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let ids: Vec<ObjectId> = text
            .lines()
            .filter_map(|line| ObjectId::parse(line).ok())
            .collect();
        let mut found = Commits {
            commits: Vec::with_capacity(ids.len().min(limit)),
            truncated: ids.len() > limit,
        };
        for id in ids.iter().take(limit) {
            found.commits.push(self.commit(repository, id).await?);
        }
        Ok(found)
    }

    /// The branches or tags of a repository, at most `limit`, the newest first.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn ref_summaries(
        &self,
        repository: &Path,
        kind: RefKind,
        limit: usize,
    ) -> Result<RefSummaries, ReadError> {
        let folder = match kind {
            RefKind::Tag => "refs/tags/",
            _ => "refs/heads/",
        };
        let output = self
            .git()
            .command("for-each-ref")
            .repository(repository)
            .arg(format!("--count={}", limit.saturating_add(1)))
            .args(["--sort=refname", "--sort=-creatordate"])
            .arg("--format=%(objectname) %(*objectname) %(creatordate:unix) %(refname)%00%(contents:subject)")
            .arg(folder)
            .timeout(PAGE_TIMEOUT)
            .run()
            .await?;
        let lines = output.stdout.split(|&byte| byte == b'\n');
        let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
        Ok(RefSummaries {
            refs: lines
                .iter()
                .take(limit)
                .filter_map(|line| summary(line))
                .collect(),
            truncated: lines.len() > limit,
        })
    }

    /// The newest commit that both have in their histories.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn merge_base(
        &self,
        repository: &Path,
        one: &ObjectId,
        other: &ObjectId,
    ) -> Result<Option<ObjectId>, ReadError> {
        let asked = self
            .git()
            .command("merge-base")
            .repository(repository)
            .args([one.to_string(), other.to_string()])
            .timeout(PAGE_TIMEOUT)
            .run_unchecked()
            .await?;
        match asked.into_successful() {
            Ok(output) => Ok(ObjectId::parse(String::from_utf8_lossy(&output.stdout).trim()).ok()),
            Err(ProcessError::Failed { code: Some(1), .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn summary(line: &[u8]) -> Option<RefSummary> {
    let end = line.iter().position(|&byte| byte == 0)?;
    let (head, subject) = (&line[..end], &line[end + 1..]);
    let mut words = head.splitn(4, |&byte| byte == b' ');
    let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok());
    let (id, peeled, time) = (word()?, word()?, word()?);
    let id = ObjectId::parse(id).ok()?;
    Some(RefSummary {
        name: RefName::from_bytes(words.next()?).ok()?,
        target: ObjectId::parse(peeled).unwrap_or(id),
        time_ms: time.parse::<i64>().unwrap_or(0).saturating_mul(1000),
        subject: String::from_utf8_lossy(subject).into_owned(),
    })
}
