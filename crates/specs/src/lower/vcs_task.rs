//! Tasks that write to repositories (bamboo-specs.md 4.4).

use madake_domain::plan::{Task, TaskAction, VcsBranchTask, VcsCommitTask, VcsPushTask, VcsTagTask};

use super::item::Item;
use super::task::{self, Common};
use super::{Context, scalar};
use crate::language::{Section, task as language};

/// The task of this name, which is `vcs-tag`, `vcs-branch`, `vcs-commit` or `vcs-push`.
pub(super) fn task(cx: &mut Context<'_>, name: &str, item: &Item<'_>) -> Option<Task> {
    let (section, key): (&'static Section, Option<&'static str>) = match name {
        "vcs-tag" => (&language::VCS_TAG, Some("tag")),
        "vcs-branch" => (&language::VCS_BRANCH, Some("branch")),
        "vcs-commit" => (&language::VCS_COMMIT, Some("message")),
        _ => (&language::VCS_PUSH, None),
    };
    let short = match (item.short(), key) {
        (Some(node), Some(key)) => {
            let what = format!("`{key}` of {}", section.what);
            Some(match key {
                "message" => scalar::non_empty_joined(cx, node, &what, "\n")?,
                _ => scalar::non_empty_text(cx, node, &what)?,
            })
        }
        _ => None,
    };
    let fields = match short {
        Some(_) => item.fields(cx, section),
        None => Some(item.options(cx, section)?),
    };
    let (mut common, mut repository, mut working_directory) = (Common::default(), None, String::new());
    let mut given = short;
    if let Some(mut fields) = fields {
        common = Common::of(cx, &mut fields);
        repository = fields
            .take("repository")
            .and_then(|node| task::repository_name(cx, node));
        working_directory = fields.path(cx, "working-dir");
        if let Some(key) = key {
            given = match given {
                Some(given) => {
                    fields.entry(key);
                    Some(given)
                }
                None if key == "message" => fields.need_joined(cx, key, "\n"),
                None => fields.need_text(cx, key),
            };
        }
        fields.finish(cx);
    }
    let action = match name {
        "vcs-tag" => TaskAction::VcsTag(VcsTagTask {
            tag: given?,
            repository,
            working_directory,
        }),
        "vcs-branch" => TaskAction::VcsBranch(VcsBranchTask {
            branch: given?,
            repository,
            working_directory,
        }),
        "vcs-commit" => TaskAction::VcsCommit(VcsCommitTask {
            message: given?,
            repository,
            working_directory,
        }),
        _ => TaskAction::VcsPush(VcsPushTask {
            repository,
            working_directory,
        }),
    };
    Some(common.task(action))
}
