//! The differences between two revisions, file by file and line by line, as `git diff-tree -p` has them.

use std::path::Path;

use tokio::io::AsyncReadExt as _;

use super::browse::PAGE_TIMEOUT;
use super::changes::empty_tree;
use super::files::{CommitFile, raw_file};
use super::{GitReader, ReadError};
use crate::name::ObjectId;

/// Files larger than this are told to differ, and no more, in bytes.
const LARGEST_FILE: &str = "4m";

/// What differs between two revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// The files, in git's order.
    pub files: Vec<FilePatch>,
    /// Whether something was left out at the end, because it was too much.
    pub truncated: bool,
}

/// What differs in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePatch {
    /// The file, and what became of it.
    pub file: CommitFile,
    /// Its content.
    pub body: PatchBody,
}

/// How the content of a file differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchBody {
    /// In these places; in none, if only its name or mode is another.
    Text(Vec<Hunk>),
    /// It is binary, or too large to compare.
    Binary,
    /// It was left out, because the whole was too much.
    LeftOut,
}

/// Lines that stand together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hunk {
    /// The number of its first line before the change.
    pub old_start: u64,
    /// The number of its first line after the change.
    pub new_start: u64,
    /// The line that git found to be the heading of the place, as stored; may be empty.
    pub heading: String,
    /// Its lines.
    pub lines: Vec<PatchLine>,
}

/// A line of a difference, without its end; what is not UTF-8 is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchLine {
    /// It is in both.
    Same(String),
    /// It was taken away.
    Removed(String),
    /// It is new.
    Added(String),
    /// The line before has no line feed at its end.
    NoEnd,
}

impl GitReader {
    /// What differs between `old` (none for an empty tree) and `new`, of at most `limit` bytes as git writes it.
    /// Renames are found.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if either is not in the repository; a comparison that takes longer than 20 seconds is
    /// given up.
    pub async fn patch(
        &self,
        repository: &Path,
        old: Option<&ObjectId>,
        new: &ObjectId,
        limit: usize,
    ) -> Result<Patch, ReadError> {
        for id in old.into_iter().chain([new]) {
            if self.object(repository, id).await?.is_none() {
                return Err(ReadError::Missing {
                    object: id.to_string(),
                });
            }
        }
        let old = old.map_or_else(|| empty_tree(new).to_owned(), ObjectId::to_string);
        let mut process = self
            .git()
            .command("diff-tree")
            .repository(repository)
            .setting("core.bigFileThreshold", LARGEST_FILE)
            .setting("diff.renameLimit", "400")
            .args([
                "-r",
                "-z",
                "--no-commit-id",
                "--raw",
                "-p",
                "--no-abbrev",
                "-M",
                "--unified=3",
            ])
            .args([
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
                "--submodule=short",
                "--no-relative",
            ])
            .args([old, new.to_string()])
            .discard_stderr()
            .start()?;
        drop(process.take_stdin());
        let io = |source| ReadError::Io {
            repository: repository.to_owned(),
            source,
        };
        let stdout = process
            .take_stdout()
            .ok_or_else(|| io(std::io::ErrorKind::BrokenPipe.into()))?;
        let mut output = Vec::new();
        let mut limited = stdout.take(limit as u64 + 1);
        let reading = tokio::time::timeout(PAGE_TIMEOUT, limited.read_to_end(&mut output)).await;
        let in_time = match reading {
            Ok(read) => {
                read.map_err(io)?;
                true
            }
            Err(_) => false,
        };
        if output.len() > limit || !in_time {
            process.end();
            output.truncate(limit);
            return parse(&output, true);
        }
        if process.wait().await?.success() {
            parse(&output, false)
        } else {
            Err(ReadError::Damaged {
                object: new.to_string(),
                reason: "git diff-tree could not compare it",
            })
        }
    }
}

/// Reads what git wrote: a record for each file, an empty record, the patch.
pub(crate) fn parse(output: &[u8], truncated: bool) -> Result<Patch, ReadError> {
    let mut files: Vec<CommitFile> = Vec::new();
    let mut rest = output;
    let mut is_cut = truncated;
    let mut next = || {
        let end = rest.iter().position(|&byte| byte == 0)?;
        let record = &rest[..end];
        rest = &rest[end + 1..];
        Some(record)
    };
    loop {
        match next() {
            Some([]) => break,
            Some(record) => match raw_file(record, &mut next)? {
                Some(file) => files.push(file),
                None => break,
            },
            None => break,
        }
    }
    let mut patch = rest;
    if truncated {
        // The last line is part of one.
        let end = patch
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        patch = &patch[..end];
    }
    let mut sections = sections(patch).into_iter();
    let mut found = Vec::with_capacity(files.len());
    for file in files {
        let body = match sections.next() {
            Some(first) if file.status == 'T' => {
                // A file that became a link was removed and made.
                join(first, sections.next())
            }
            Some(body) => body,
            None => {
                is_cut = true;
                PatchBody::LeftOut
            }
        };
        found.push(FilePatch { file, body });
    }
    Ok(Patch {
        files: found,
        truncated: is_cut,
    })
}

fn join(first: PatchBody, second: Option<PatchBody>) -> PatchBody {
    match (first, second) {
        (PatchBody::Text(mut hunks), Some(PatchBody::Text(more))) => {
            hunks.extend(more);
            PatchBody::Text(hunks)
        }
        (first, None) => first,
        _ => PatchBody::Binary,
    }
}

/// The patches of the single files.
fn sections(patch: &[u8]) -> Vec<PatchBody> {
    let mut bodies: Vec<PatchBody> = Vec::new();
    // The head of a section has lines that look like removed and added ones.
    let mut in_hunk = false;
    for line in patch.split(|&byte| byte == b'\n') {
        if line.starts_with(b"diff --git ") {
            in_hunk = false;
            bodies.push(PatchBody::Text(Vec::new()));
            continue;
        }
        let Some(body) = bodies.last_mut() else { continue };
        if line.starts_with(b"Binary files ") && !in_hunk {
            *body = PatchBody::Binary;
            continue;
        }
        let PatchBody::Text(hunks) = body else { continue };
        if let Some(hunk) = hunk_head(line) {
            in_hunk = true;
            hunks.push(hunk);
            continue;
        }
        if let (true, Some(hunk), Some((mark, text))) = (in_hunk, hunks.last_mut(), line.split_first()) {
            let text = String::from_utf8_lossy(text).into_owned();
            hunk.lines.push(match mark {
                b'+' => PatchLine::Added(text),
                b'-' => PatchLine::Removed(text),
                b' ' => PatchLine::Same(text),
                _ => PatchLine::NoEnd,
            });
        }
    }
    bodies
}

/// `@@ -1,2 +3,4 @@ heading`
fn hunk_head(line: &[u8]) -> Option<Hunk> {
    let text = String::from_utf8_lossy(line.strip_prefix(b"@@ -")?).into_owned();
    let (places, heading) = text.split_once(" @@")?;
    let (old, new) = places.split_once(" +")?;
    let start = |place: &str| place.split(',').next()?.parse().ok();
    Some(Hunk {
        old_start: start(old)?,
        new_start: start(new)?,
        heading: heading.trim_start().to_owned(),
        lines: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arbitrary_ends_of_what_git_wrote_do_no_harm() {
        let id = "1".repeat(40);
        let whole = format!(
            ":100644 100644 {id} {id} M\0a\0:000000 100644 {} {id} A\0b\0\0\
             diff --git a/a b/a\nindex 1..1\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@ fn x\n one\n-two\n+2\n\\ No newline\n\
             diff --git a/b b/b\nBinary files /dev/null and b/b differ\n",
            "0".repeat(40)
        );
        let all = parse(whole.as_bytes(), false).unwrap();
        assert!(!all.truncated);
        let hunk = Hunk {
            old_start: 1,
            new_start: 1,
            heading: "fn x".into(),
            lines: vec![
                PatchLine::Same("one".into()),
                PatchLine::Removed("two".into()),
                PatchLine::Added("2".into()),
                PatchLine::NoEnd,
            ],
        };
        assert_eq!(all.files[0].body, PatchBody::Text(vec![hunk]));
        assert_eq!(all.files[1].body, PatchBody::Binary);
        for end in 0..whole.len() {
            let cut = parse(&whole.as_bytes()[..end], true).unwrap();
            assert!(cut.truncated && cut.files.len() <= 2, "{end}");
        }
    }
}
