//! What was found in plan files, with the lines that it is about, for those who may read the repository here.

use std::collections::HashMap;

use madake_engine::EngineError;
use madake_engine::access::Caller;
use madake_engine::ops::own_plan::{FoundInFile, ShownPlan};
use madake_engine::ops::read_files::AtPath;
use madake_engine::ops::read_repository::ReadableRepository;
use madake_vcs::name::ObjectId;
use serde::Serialize;

use super::address::Site;
use super::browse::is_binary;
use super::shown::{self, Marked};
use super::turn;
use crate::App;

/// The largest plan file of which lines are shown, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// Plan files that are read for one page.
const FILES: usize = 8;
/// Lines in front of the one that is meant, and behind it.
const AROUND: usize = 1;
/// Characters of a line.
const LINE: usize = 200;

/// A finding.
#[derive(Debug, Serialize)]
pub(super) struct FindingRow {
    severity: &'static str,
    place: String,
    /// The line of the file at its revision; empty where the visitor has no pages of the repository.
    url: String,
    message: Vec<Marked>,
    help: Vec<Marked>,
    /// Where what lacks is entered; empty where there is nothing to enter, and for those who may not.
    enter_url: String,
    from: String,
    revision: String,
    lines: Vec<ExcerptLine>,
}

/// A line of a plan file.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ExcerptLine {
    number: usize,
    text: String,
    is_meant: bool,
}

/// The findings of a plan, the worst first.
///
/// # Errors
/// When the store cannot be read. What cannot be read of a repository is left out.
pub(super) async fn rows(
    app: &App,
    caller: &Caller,
    found: &ShownPlan,
    may_enter: bool,
) -> Result<Vec<FindingRow>, EngineError> {
    let site = Site::of(app);
    let mut all: Vec<&FoundInFile> = found.findings.iter().collect();
    all.sort_by_key(|one| {
        let finding = &one.finding;
        (std::cmp::Reverse(finding.severity), &finding.file, finding.line)
    });
    let _turn = match all.is_empty() {
        true => None,
        false => turn().await,
    };
    let mut repositories: HashMap<&str, Option<ReadableRepository>> = HashMap::new();
    let mut files: HashMap<(&str, &str, &str), Option<String>> = HashMap::new();
    let mut rows = Vec::with_capacity(all.len());
    for one in all {
        let name = one.repository.as_str();
        if !repositories.contains_key(name) {
            let readable = app.engine().read_repository(caller, name).await;
            repositories.insert(name, readable.ok());
        }
        let readable = repositories.get(name).and_then(Option::as_ref);
        let mut lines = Vec::new();
        if let Some(readable) = readable {
            let file = (name, one.revision.as_str(), one.finding.file.as_str());
            if !files.contains_key(&file) && files.len() < FILES {
                files.insert(file, text_of(readable, file.1, file.2).await);
            }
            if let Some(Some(text)) = files.get(&file) {
                lines = excerpt(text, one.finding.line);
            }
        }
        let pages = readable.and_then(|readable| site.repository(readable.repository()));
        rows.push(FindingRow {
            url: pages.map_or_else(String::new, |pages| {
                let file = pages.browse(&one.finding.file, Some(&one.revision));
                format!("{file}#{}", one.finding.line)
            }),
            enter_url: match one.finding.code == "specs::secret-to-enter" && may_enter {
                true => site.at(&format!("/variables?plan={}", found.plan.key)),
                false => String::new(),
            },
            lines,
            ..row(one)
        });
    }
    Ok(rows)
}

fn row(one: &FoundInFile) -> FindingRow {
    let finding = &one.finding;
    let expected = finding.expected.as_ref().map(|text| format!("expected {text}"));
    let suggestion = finding
        .suggestion
        .as_ref()
        .map(|text| format!("did you mean `{text}`?"));
    let help: Vec<String> = [expected, suggestion, finding.note.clone()]
        .into_iter()
        .flatten()
        .collect();
    FindingRow {
        severity: finding.severity.as_str(),
        place: shown::line(&format!("{}:{}:{}", finding.file, finding.line, finding.column)),
        url: String::new(),
        message: shown::marked(&finding.message),
        help: shown::marked(&help.join("; ")),
        enter_url: String::new(),
        from: shown::line(&format!("{}, {}", one.repository, one.branch)),
        revision: one.revision.chars().take(shown::SHORT_ID).collect(),
        lines: Vec::new(),
    }
}

/// A file of a commit; `None`: there is none that can be shown.
async fn text_of(found: &ReadableRepository, revision: &str, path: &str) -> Option<String> {
    let revision = ObjectId::parse(revision).ok()?;
    let Ok(Some(AtPath::File(file))) = found.at(&revision, path).await else {
        return None;
    };
    if file.size > LARGEST {
        return None;
    }
    let content = found.content(&file, LARGEST).await.ok()?;
    (!is_binary(&content)).then(|| String::from_utf8_lossy(&content).into_owned())
}

/// The line with this number, counted from 1, and those around it.
fn excerpt(text: &str, line: u32) -> Vec<ExcerptLine> {
    let Some(meant) = usize::try_from(line).ok().and_then(|line| line.checked_sub(1)) else {
        return Vec::new();
    };
    let first = meant.saturating_sub(AROUND);
    text.lines()
        .enumerate()
        .skip(first)
        .take(meant + AROUND + 1 - first)
        .map(|(index, text)| ExcerptLine {
            number: index + 1,
            text: shown::several_lines(text, LINE),
            is_meant: index == meant,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_show_the_line_that_is_meant_and_its_neighbours() {
        let text = "a: 1\nb: 2\nc: 3\nd: 4\n";
        let shown = |line| -> Vec<(usize, String, bool)> {
            let lines = excerpt(text, line).into_iter();
            lines.map(|one| (one.number, one.text, one.is_meant)).collect()
        };
        let line = |number, text: &str, is_meant| (number, text.to_owned(), is_meant);
        assert_eq!(shown(1), [line(1, "a: 1", true), line(2, "b: 2", false)]);
        assert_eq!(
            shown(3),
            [
                line(2, "b: 2", false),
                line(3, "c: 3", true),
                line(4, "d: 4", false)
            ]
        );
        assert_eq!(shown(4), [line(3, "c: 3", false), line(4, "d: 4", true)]);
        assert_eq!(shown(0), []);
        assert_eq!(shown(9), []);
    }
}
