//! The patch that goes with a mail about a push.

use std::path::Path;

use madake_brokers::{BrokerEvent, PatchWanted};
use madake_domain::repository::Scm;
use madake_store::repository;
use madake_vcs::name::ObjectId;
use madake_vcs::process::ProcessError;

use crate::heads::unreadable;
use crate::{Engine, EngineError};

/// The most that git may write before it is cut, in bytes.
const LONGEST: usize = 32 * 1024 * 1024;

/// The patch of a push, cut at a line when it is too long.
pub(super) async fn make(
    engine: &Engine,
    repository_id: i64,
    event: &BrokerEvent,
    wanted: &PatchWanted,
) -> Result<String, EngineError> {
    let found = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(repository::by_id(tx, repository_id)?))
        .await?
        .ok_or_else(|| EngineError::NotFound("the repository is gone".into()))?;
    if found.scm != Scm::Git {
        return Err(EngineError::Invalid(
            "patches are made of Git repositories only".into(),
        ));
    }
    let most = usize::try_from(wanted.max_bytes).unwrap_or(usize::MAX);
    let mut patch = String::new();
    for (old, new) in &wanted.ranges {
        let path = Path::new(&found.path);
        let base = match old {
            Some(old) => Some(old.clone()),
            None => first_parent_of_oldest(engine, path, event, new).await?,
        };
        let from = match &base {
            Some(id) => parse(id)?.to_string(),
            None => empty_tree(new).to_owned(),
        };
        let to = parse(new)?.to_string();
        let run = engine
            .git()
            .command("diff")
            .repository(path)
            .args([
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
                "--stat",
                "--patch",
                "--end-of-options",
            ])
            .args([&from, &to])
            .arg("--")
            .output_limit(LONGEST)
            .run()
            .await;
        match run {
            Ok(output) => patch.push_str(&String::from_utf8_lossy(&output.stdout)),
            Err(ProcessError::OutputTooLarge { .. }) => {
                patch.push_str(&format!(
                    "The changes from {from} to {to} are too large to be shown.\n"
                ));
            }
            Err(error) => return Err(unreadable(error)),
        }
        if patch.len() > most {
            break;
        }
    }
    Ok(cut(patch, most))
}

/// What a new ref is compared with: the parent of the oldest commit that it brought.
async fn first_parent_of_oldest(
    engine: &Engine,
    path: &Path,
    event: &BrokerEvent,
    new: &str,
) -> Result<Option<String>, EngineError> {
    let oldest = event
        .refs
        .iter()
        .find(|moved| moved.new.as_deref() == Some(new))
        .and_then(|moved| moved.commits.last());
    let Some(oldest) = oldest else {
        return Ok(Some(new.to_owned()));
    };
    let commit = engine
        .reader()
        .commit(path, &parse(&oldest.id)?)
        .await
        .map_err(unreadable)?;
    Ok(commit.parents.first().map(ToString::to_string))
}

fn parse(id: &str) -> Result<ObjectId, EngineError> {
    ObjectId::parse(id).map_err(|_| EngineError::Invalid(format!("`{id}` is not the id of a commit")))
}

/// The id of the tree without entries, in the hash that ids of this length are of.
fn empty_tree(like: &str) -> &'static str {
    if like.len() == 64 {
        "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
    } else {
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    }
}

fn cut(mut patch: String, most: usize) -> String {
    if patch.len() <= most {
        return patch;
    }
    let end = (0..=most)
        .rev()
        .find(|at| patch.is_char_boundary(*at))
        .unwrap_or(0);
    let end = patch[..end].rfind('\n').map_or(0, |at| at + 1);
    patch.truncate(end);
    patch.push_str("... the rest of the patch is cut\n");
    patch
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn long_patches_are_cut_at_a_line_and_say_so() {
        assert_eq!(cut("one\ntwo\n".into(), 8), "one\ntwo\n");
        assert_eq!(
            cut("one\ntwö\n".into(), 7),
            "one\n... the rest of the patch is cut\n"
        );
        assert_eq!(cut("long line".into(), 3), "... the rest of the patch is cut\n");
    }
}
