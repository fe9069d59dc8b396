//! Tasks that run a program which a capability knows (bamboo-specs.md 4.4).

use madake_domain::plan::{CommandTask, MavenTask, Task, TaskAction, TaskTests};

use super::Context;
use super::item::Item;
use super::task::Common;
use crate::language::task as language;
use crate::yaml::boolean;

pub(super) fn maven(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut fields = item.options(cx, &language::MAVEN)?;
    let common = Common::of(cx, &mut fields);
    let executable = fields.need_text(cx, "executable");
    let goal = fields.need_joined(cx, "goal", " ");
    let task = MavenTask {
        jdk: fields.text_or_empty(cx, "jdk"),
        tests: tests(&fields.text_or_empty(cx, "tests")),
        environment: fields.environment(cx),
        working_directory: fields.path(cx, "working-dir"),
        project_file: fields.path(cx, "project-file"),
        use_return_code: fields.flag(cx, "use-return-code").unwrap_or(false),
        executable: String::new(),
        goal: String::new(),
    };
    fields.finish(cx);
    Some(common.task(TaskAction::Maven(MavenTask {
        executable: executable?,
        goal: goal?,
        ..task
    })))
}

/// `true`, `false` or a pattern.
pub(super) fn tests(text: &str) -> TaskTests {
    match boolean(text) {
        Some(true) => TaskTests::Usual,
        Some(false) => TaskTests::None,
        None if text.trim().is_empty() => TaskTests::None,
        None => TaskTests::Pattern(text.to_owned()),
    }
}

pub(super) fn command(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut fields = item.options(cx, &language::COMMAND)?;
    let common = Common::of(cx, &mut fields);
    let executable = fields.need_text(cx, "executable");
    let task = CommandTask {
        argument: fields.argument(cx),
        environment: fields.environment(cx),
        working_directory: fields.path(cx, "working-dir"),
        executable: String::new(),
    };
    fields.finish(cx);
    Some(common.task(TaskAction::Command(CommandTask {
        executable: executable?,
        ..task
    })))
}
