//! Tells the person who pushes what is wrong with the plan files of the push, in the answer to the push itself.
//!
//! The push is in the ledger by then. Nothing here can refuse it, and it has little time: what cannot be read at once is
//! told by the ledger only.

use std::time::Duration;

use madake_domain::repository::RepositoryKind;
use madake_specs::{Diagnostic, Severity};
use madake_store::repository::Repository;
use madake_vcs::name::ObjectId;

use super::apply::all_findings;
use super::examine::{Examined, examine};
use super::findings::had_errors;
use super::left_out::left_out;
use super::{folder_state, read_commit};
use crate::reading::{Named, named};
use crate::{Engine, EngineError};

/// The most findings that are told.
const LINES: usize = 20;
/// The most branches of a push whose plan files are read.
const BRANCHES: usize = 3;
/// The longest line, in characters.
const WIDTH: usize = 400;
/// The longest time that a pusher waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A ref that a push moved: its full name, where it was, where it is.
pub type Moved = (String, Option<ObjectId>, Option<ObjectId>);

impl Engine {
    /// Lines for the person who pushed: what is wrong with the plan files that the push changed. None if all is well, or
    /// if it cannot be said at once.
    pub async fn tell_pusher(&self, found: &Repository, moved: &[Moved]) -> Vec<String> {
        if found.kind != RepositoryKind::Hosted || !found.specs_enabled {
            return Vec::new();
        }
        match tokio::time::timeout(PATIENCE, lines(self, found, moved)).await {
            Ok(Ok(lines)) => lines,
            Ok(Err(error)) => {
                tracing::info!(repository = %found.name, "plan files of a push to {} could not be read for its pusher: {error}", found.name);
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }
}

async fn lines(engine: &Engine, found: &Repository, moved: &[Moved]) -> Result<Vec<String>, EngineError> {
    let mut branches: Vec<(String, &Moved)> = moved
        .iter()
        .filter(|(_, _, new)| new.is_some())
        .filter_map(|one| match named(found.scm, &one.0) {
            Named::Branch(name) => Some((name, one)),
            Named::Bookmark(_) | Named::Tag(_) | Named::Other => None,
        })
        .collect();
    // The plan file of the default branch is the one that matters most.
    branches.sort_by_key(|(name, _)| *name != found.default_branch);
    let mut told = Vec::new();
    for (branch, (_, old, new)) in branches.into_iter().take(BRANCHES) {
        let Some(new) = new else { continue };
        let here = folder_state(engine, found, new).await?;
        let before = match old {
            Some(old) => Some(*old),
            None => engine
                .local_head(found, &found.default_branch)
                .await?
                .and_then(|id| ObjectId::parse(&id).ok())
                .filter(|id| id != new),
        };
        let opened = engine.open_repository(found)?;
        if let Some(before) = before
            && opened.exists(&before).await?
            && folder_state(engine, found, &before).await? == here
            && !(branch == found.default_branch && had_errors(engine, found).await?)
        {
            continue;
        }
        let reading = read_commit(engine, found, new).await?;
        // The first branch of an empty repository becomes its default branch.
        let is_default = branch == found.default_branch
            || engine.local_head(found, &found.default_branch).await?.is_none();
        let looking = found.clone();
        let all = engine
            .store()
            .read(move |tx| {
                Ok::<_, EngineError>(match &reading {
                    Some(reading) if is_default => all_findings(reading, examine(tx, &looking, reading)?),
                    Some(reading) => all_findings(reading, Examined::default()),
                    None if is_default => left_out(tx, &looking, None)?,
                    None => Vec::new(),
                })
            })
            .await?;
        told.extend(about(&all, (!is_default).then_some(branch.as_str())));
    }
    Ok(told)
}

/// The lines about one plan file.
fn about(all: &[Diagnostic], branch: Option<&str>) -> Vec<String> {
    let mut worth: Vec<&Diagnostic> = all.iter().filter(|one| one.severity != Severity::Info).collect();
    // What keeps a plan back comes first, in the order of the file.
    worth.sort_by_key(|one| one.severity != Severity::Error);
    let mut lines: Vec<String> = worth.iter().take(LINES).map(|one| line(one)).collect();
    if worth.len() > LINES {
        lines.push(format!(
            "... and {} more: `madake specs validate` shows all",
            worth.len() - LINES
        ));
    }
    if worth.first().is_some_and(|one| one.severity == Severity::Error) {
        lines.push(match branch {
            Some(branch) => {
                format!("The plan file of {branch} has errors: its plan branches are built as before.")
            }
            None => {
                "The plan file has errors: what they are about stays as it was before this push.".to_owned()
            }
        });
    }
    lines
}

/// `bamboo-specs/bamboo.yml:14:3 error: ...`
fn line(finding: &Diagnostic) -> String {
    let place = format!("{}:{}:{}", finding.file, finding.line, finding.column);
    let text = madake_specs::render_line(finding);
    let rest = text.strip_prefix(&place).unwrap_or(&text);
    let rest = rest.strip_prefix(": ").unwrap_or(rest);
    let mut line = format!("{place} {rest}");
    if let Some((cut, _)) = line.char_indices().nth(WIDTH) {
        line.truncate(cut);
        line.push_str("...");
    }
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
