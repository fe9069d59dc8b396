//! What people look up in a repository: lists of branches and tags, and where two histories part.

use std::path::Path;
use std::time::Duration;

use super::{GitReader, ReadError};
use crate::name::{ObjectId, RefKind, RefName};
use crate::process::ProcessError;

/// How long git may search for one page.
pub(super) const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

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
