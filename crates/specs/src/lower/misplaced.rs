//! Keys that stand in the wrong section: where they belong.

use crate::language::{Section, deployment, job, plan, task};
use crate::report::{Finding, shown};
use crate::yaml::Entry;

/// Task keys that a section has by another meaning, or that are too common to be taken for a slip.
const ORDINARY: [&str; 2] = ["command", "description"];

/// What to say of a key that is none of this section's but of another one's; `None` if it is of none.
pub(super) fn finding(section: &Section, entry: &Entry) -> Option<Finding> {
    let name = entry.key.text.as_str();
    let is_task = task::TASKS.item(name).is_some() && !ORDINARY.contains(&name);
    let in_job = job::JOB.key(name).is_some() && !ORDINARY.contains(&name);
    let at_root = plan::DOCUMENT.key(name).is_some() && !in_job;
    let message = format!("`{}` stands in {}", shown(name), section.what);
    let warning = |expected: String| {
        Finding::warning("misplaced", entry.key.span, message.clone())
            .expected(expected)
            .note("it has no effect where it is")
    };
    match section.id {
        "job" | "environment" if is_task => Some(
            // What looks like a step would never run, and the result would be green.
            Finding::error("misplaced", entry.key.span, format!("the task {message}"))
                .expected(format!("`- {name}: ...` in the list `tasks`")),
        ),
        "job" if at_root => Some(warning(format!("`{name}` at the root of the document"))),
        "environment" if in_job => Some(warning(format!(
            "no `{name}`: only jobs of a plan have it, and an environment does not"
        ))),
        "environment" if at_root => Some(warning(format!(
            "no `{name}`: only plans have it, and an environment does not"
        ))),
        "environment" if deployment::DOCUMENT.key(name).is_some() => {
            Some(warning(format!("`{name}` at the root of the document")))
        }
        "plan" if at_root => Some(
            Finding::error(
                "misplaced",
                entry.key.span,
                format!("`{}` is nested in `plan`", shown(name)),
            )
            .expected(format!("`{name}` at the root of the document, beside `plan`")),
        ),
        "plan" if name == "repository" => {
            Some(warning("`repositories` at the root of the document".to_owned()))
        }
        "plan" if name == "project" => Some(warning("`project-key`".to_owned())),
        "plan" if name == "jobs" => Some(warning(
            "each job as a key at the root of the document".to_owned(),
        )),
        "polling" if name == "interval" => Some(warning("`period`, in seconds".to_owned())),
        "plan" if in_job => Some(warning(format!("`{name}` inside a job"))),
        "deployment" if deployment::DOCUMENT.key(name).is_some() => Some(
            Finding::error(
                "misplaced",
                entry.key.span,
                format!("`{}` is nested in `deployment`", shown(name)),
            )
            .expected(format!(
                "`{name}` at the root of the document, beside `deployment`"
            )),
        ),
        id if task::TASKS.item(id).is_some() && in_job => {
            Some(warning(format!("`{name}` in the job, indented like its `tasks`")))
        }
        _ => None,
    }
}
