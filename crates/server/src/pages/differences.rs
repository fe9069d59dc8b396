//! Differences between revisions, file by file, with an anchor for each as links of payloads name it.

use madake_formats::outgoing::links;
use madake_vcs::git::read::{CommitFile, FilePatch, Hunk, Patch, PatchBody, PatchLine};
use serde::Serialize;

use super::address::RepositorySite;
use super::shown;

/// The most that git may write of a difference, in bytes.
pub(super) const PATCH: usize = 1024 * 1024;
/// Files of one page.
const FILES: usize = 500;
/// Lines of one page.
const LINES: usize = 12_000;
/// Lines of one file.
const FILE_LINES: usize = 3000;
/// Characters of a line.
const LINE: usize = 2000;

/// A difference as a page shows it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Differences {
    pub(super) files: Vec<FileDifference>,
    pub(super) truncated: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct FileDifference {
    pub(super) path: String,
    pub(super) fragment: String,
    pub(super) letter: char,
    pub(super) mark: &'static str,
    pub(super) what: String,
    pub(super) note: String,
    pub(super) view_url: Option<String>,
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) hunks: Vec<HunkRows>,
}

#[derive(Debug, Serialize)]
pub(super) struct HunkRows {
    pub(super) heading: String,
    pub(super) lines: Vec<LineRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct LineRow {
    pub(super) kind: &'static str,
    pub(super) sign: &'static str,
    pub(super) old: String,
    pub(super) new: String,
    pub(super) text: String,
}

impl Differences {
    /// What a page shows of `patch`; `new` is the revision in which files are looked at.
    pub(super) fn of(patch: Patch, site: &RepositorySite, new: &str) -> Self {
        let mut left = LINES;
        let truncated = patch.truncated || patch.files.len() > FILES;
        let files = patch
            .files
            .into_iter()
            .take(FILES)
            .map(|one| file(one, site, new, &mut left))
            .collect();
        Self { files, truncated }
    }
}

fn file(one: FilePatch, site: &RepositorySite, new: &str, left: &mut usize) -> FileDifference {
    let FilePatch { file, body } = one;
    let (mark, what) = what_became(&file);
    let mut shown = FileDifference {
        path: shown::line(&file.path),
        // What links of payloads have behind `#`, letter for letter: browsers look for that first.
        fragment: links::fragment(&file.path),
        letter: file.status,
        mark,
        what,
        note: String::new(),
        view_url: (file.status != 'D' && !is_submodule(&file) && !file.path.contains(['\n', '\u{fffd}']))
            .then(|| site.browse(&file.path, Some(new))),
        added: 0,
        removed: 0,
        hunks: Vec::new(),
    };
    match body {
        PatchBody::Binary => shown.note = "Binary, or too large to compare.".to_owned(),
        PatchBody::LeftOut => shown.note = "Left out: the whole is too much for a page.".to_owned(),
        PatchBody::Text(hunks) => {
            let count = |is_counted: fn(&PatchLine) -> bool| {
                let lines = hunks.iter().flat_map(|hunk| &hunk.lines);
                lines.filter(|line| is_counted(line)).count()
            };
            shown.added = count(|line| matches!(line, PatchLine::Added(_)));
            shown.removed = count(|line| matches!(line, PatchLine::Removed(_)));
            let lines: usize = hunks.iter().map(|hunk| hunk.lines.len()).sum();
            if lines > FILE_LINES || lines > *left {
                shown.note =
                    format!("{lines} lines differ or stand beside those that do: too many for this page.");
            } else {
                *left -= lines;
                shown.hunks = hunks.into_iter().map(rows).collect();
            }
        }
    }
    shown
}

fn is_submodule(file: &CommitFile) -> bool {
    const SUBMODULE: u32 = 0o160_000;
    file.new_mode == SUBMODULE || file.old_mode == SUBMODULE
}

fn what_became(file: &CommitFile) -> (&'static str, String) {
    let from = || shown::line(file.source.as_deref().unwrap_or_default());
    match file.status {
        'A' => ("new", "added".to_owned()),
        'D' => ("gone", "deleted".to_owned()),
        'R' => ("changed", format!("moved from {}", from())),
        'C' => ("changed", format!("copied from {}", from())),
        'T' => ("changed", "became another kind of file".to_owned()),
        _ if file.old_mode != file.new_mode => {
            let mode = if file.new_mode & 0o111 == 0 {
                "changed, no longer executable"
            } else {
                "changed, now executable"
            };
            ("changed", mode.to_owned())
        }
        _ => ("changed", String::new()),
    }
}

fn rows(hunk: Hunk) -> HunkRows {
    let (mut old, mut new) = (hunk.old_start, hunk.new_start);
    let take = |number: &mut u64| {
        let shown = number.to_string();
        *number += 1;
        shown
    };
    let lines = hunk
        .lines
        .into_iter()
        .map(|line| {
            let (kind, sign, numbers, text) = match line {
                PatchLine::Same(text) => ("same", " ", (take(&mut old), take(&mut new)), text),
                PatchLine::Removed(text) => ("removed", "-", (take(&mut old), String::new()), text),
                PatchLine::Added(text) => ("added", "+", (String::new(), take(&mut new)), text),
                PatchLine::NoEnd => (
                    "same",
                    "",
                    (String::new(), String::new()),
                    "(no line feed at the end)".to_owned(),
                ),
            };
            LineRow {
                kind,
                sign,
                old: numbers.0,
                new: numbers.1,
                text: shown::several_lines(&text, LINE),
            }
        })
        .collect();
    HunkRows {
        heading: shown::line(&hunk.heading),
        lines,
    }
}
