//! Commits, and ranges of them.

use std::path::Path;

use super::{HgReader, ReadError, by_id, id_from, lines, text_from_hex};
use crate::git::read::Signature;
use crate::name::ObjectId;

/// One line for each commit.
const TEMPLATE: &str = r#"{node} {rev} {p1node} {p2node} {date|hgdate} {if(get(extras,"close"),"closed","open")} {branch|hex} {user|hex} {desc|hex}\n"#;

/// A commit (Mercurial's changeset).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// Its number in this repository: the order of arrival.
    pub revision: u64,
    /// Its parents, the first one first.
    pub parents: Vec<ObjectId>,
    /// Who wrote it, and when.
    pub author: Signature,
    /// The author as stored, such as `Ann <ann@example.org>`.
    pub user: String,
    /// The named branch that it is on.
    pub branch: String,
    /// Whether it closes its branch.
    pub closes_branch: bool,
    /// The message as stored; what is not UTF-8 is replaced. Show it through [`crate::text::display_text`].
    pub message: String,
}

/// A range of commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// The newest first.
    pub commits: Vec<Commit>,
    /// Whether older ones were left out because of the limit.
    pub truncated: bool,
}

impl HgReader {
    /// Whether the commit is in the repository.
    ///
    /// # Errors
    /// Mercurial's failure.
    pub async fn exists(&self, repository: &Path, id: &ObjectId) -> Result<bool, ReadError> {
        if !is_of_a_commit(id) {
            return Ok(false);
        }
        let revision = by_id(id);
        let raw = self
            .ask(repository, &["log", "-r", &revision, "-T", "{node}"])
            .await?;
        Ok(!raw.is_empty())
    }

    /// The commit `id`.
    ///
    /// # Errors
    /// [`ReadError::Missing`].
    pub async fn commit(&self, repository: &Path, id: &ObjectId) -> Result<Commit, ReadError> {
        let mut found = self.log(repository, &by_id(id), 1).await?;
        found.pop().ok_or(ReadError::Missing(*id))
    }

    /// The commits that are in `new` but neither in `old` nor in any of `excluding`: at most `limit`, newest first.
    /// Ids of `excluding` that the repository lacks count for nothing.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if `new` or `old` is not in the repository.
    pub async fn commits_between(
        &self,
        repository: &Path,
        old: Option<&ObjectId>,
        new: &ObjectId,
        excluding: &[ObjectId],
        limit: usize,
    ) -> Result<Commits, ReadError> {
        let mut known = String::new();
        for id in old.into_iter().chain(excluding) {
            known.push_str(if known.is_empty() { "" } else { " + " });
            known.push_str(&by_id(id));
        }
        let range = if known.is_empty() {
            format!("reverse(::{})", by_id(new))
        } else {
            format!("reverse(only({}, {known}))", by_id(new))
        };
        let mut commits = self.log(repository, &range, limit.saturating_add(1)).await?;
        for id in old.into_iter().chain([new]) {
            if commits.iter().all(|commit| commit.id != *id) && !self.exists(repository, id).await? {
                return Err(ReadError::Missing(*id));
            }
        }
        let truncated = commits.len() > limit;
        commits.truncate(limit);
        Ok(Commits { commits, truncated })
    }

    /// The commits from `first` to `last` in the order of arrival, which is what one push added (its
    /// [`crate::hg::serve::PushReport::added`]): at most `limit`, the oldest first.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if either is not in the repository.
    pub async fn commits_added(
        &self,
        repository: &Path,
        first: &ObjectId,
        last: &ObjectId,
        limit: usize,
    ) -> Result<Commits, ReadError> {
        let range = format!("{}:{}", by_id(first), by_id(last));
        let mut commits = self.log(repository, &range, limit.saturating_add(1)).await?;
        if commits.first().map(|commit| commit.id) != Some(*first) {
            let first_exists = self.exists(repository, first).await?;
            return Err(ReadError::Missing(if first_exists { *last } else { *first }));
        }
        let truncated = commits.len() > limit;
        commits.truncate(limit);
        Ok(Commits { commits, truncated })
    }

    /// Whether `ancestor` is `descendant` or in its history. If not, a move from one to the other was forced.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if either is not in the repository.
    pub async fn is_ancestor(
        &self,
        repository: &Path,
        ancestor: &ObjectId,
        descendant: &ObjectId,
    ) -> Result<bool, ReadError> {
        let outside = format!("only({}, {})", by_id(ancestor), by_id(descendant));
        let raw = self
            .ask(
                repository,
                &["log", "-r", &outside, "--limit", "1", "-T", "{node}"],
            )
            .await?;
        for id in [ancestor, descendant] {
            if !self.exists(repository, id).await? {
                return Err(ReadError::Missing(*id));
            }
        }
        Ok(raw.is_empty())
    }

    pub(super) async fn log(
        &self,
        repository: &Path,
        range: &str,
        limit: usize,
    ) -> Result<Vec<Commit>, ReadError> {
        let limit = limit.to_string();
        let raw = self
            .ask(
                repository,
                &["log", "-r", range, "--limit", &limit, "-T", TEMPLATE],
            )
            .await?;
        let answer = || ReadError::Answer {
            command: "log".into(),
        };
        lines(&raw).map(|line| parse(line).ok_or_else(answer)).collect()
    }
}

/// Mercurial has an id for nothing, and one for the files of a work tree.
pub(super) fn is_of_a_commit(id: &ObjectId) -> bool {
    !id.is_zero() && id.to_string().bytes().any(|digit| digit != b'f')
}

fn parse(line: &[u8]) -> Option<Commit> {
    let mut words = line.split(|&byte| byte == b' ');
    let id = id_from(words.next()?)?;
    let mut number = || std::str::from_utf8(words.next()?).ok();
    let revision = number()?.parse().ok()?;
    let mut parents = Vec::with_capacity(1);
    for _ in 0..2 {
        let parent = id_from(words.next()?)?;
        if !parent.is_zero() {
            parents.push(parent);
        }
    }
    let mut number = || std::str::from_utf8(words.next()?).ok()?.parse::<i64>().ok();
    let (seconds, west_seconds) = (number()?, number()?);
    let closes_branch = words.next()? == b"closed";
    let branch = text_from_hex(words.next()?)?;
    let user = text_from_hex(words.next()?)?;
    let message = text_from_hex(words.next()?)?;
    let (name, email) = name_and_email(&user);
    Some(Commit {
        id,
        revision,
        parents,
        author: Signature {
            name,
            email,
            time_ms: seconds.saturating_mul(1000),
            offset_minutes: i32::try_from(-west_seconds / 60).unwrap_or(0),
        },
        user,
        branch,
        closes_branch,
        message,
    })
}

/// Splits `Ann <ann@example.org>`. A lone address is both, as in Mercurial's own display.
fn name_and_email(user: &str) -> (String, String) {
    match user.split_once('<') {
        Some((name, rest)) => {
            let email = rest.split('>').next().unwrap_or_default();
            let name = name.trim().trim_matches('"');
            let name = if name.is_empty() { email } else { name };
            (name.to_owned(), email.trim().to_owned())
        }
        None if user.contains('@') && !user.contains(char::is_whitespace) => {
            (user.to_owned(), user.to_owned())
        }
        None => (user.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::name_and_email;

    #[test]
    fn users_are_split_into_name_and_address() {
        for (user, name, email) in [
            ("Ann Author <ann@example.org>", "Ann Author", "ann@example.org"),
            ("\"Ann\" <ann@example.org> (home)", "Ann", "ann@example.org"),
            ("ann@example.org", "ann@example.org", "ann@example.org"),
            ("<ann@example.org>", "ann@example.org", "ann@example.org"),
            ("ann", "ann", ""),
            ("ann at home", "ann at home", ""),
            ("", "", ""),
            ("Ann <unfinished", "Ann", "unfinished"),
        ] {
            assert_eq!(
                name_and_email(user),
                (name.to_owned(), email.to_owned()),
                "{user}"
            );
        }
    }
}
