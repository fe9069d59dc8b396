//! The script task in its five spellings (bamboo-specs.md 4.2).

use madake_domain::plan::{Interpreter, ScriptSource, ScriptTask, Task, TaskAction};

use super::item::Item;
use super::task::Common;
use super::{Context, path, scalar};
use crate::language::task as language;
use crate::report::{Finding, shown};
use crate::source::Span;
use crate::yaml::{Node, Value};

const SHAPE: &str = "a text, a list of texts, or a map with `scripts` or `file`";

/// The task that a `script` item describes.
pub(super) fn script(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut script = ScriptTask {
        interpreter: Interpreter::Shell,
        source: ScriptSource::Inline(String::new()),
        argument: String::new(),
        environment: String::new(),
        working_directory: String::new(),
    };
    let beside = item.short();
    let Some(mut fields) = item.fields(cx, &language::SCRIPT) else {
        if beside.is_none() {
            cx.add(Finding::error("missing-key", item.span, "the script is empty").expected(SHAPE));
        }
        script.source = ScriptSource::Inline(body(cx, beside?)?);
        substitution(cx, item, &script.source);
        return Some(Common::default().task(TaskAction::Script(script)));
    };
    let common = Common::of(cx, &mut fields);
    let interpreter_node = fields.take("interpreter");
    if let Some(node) = interpreter_node {
        script.interpreter = interpreter(cx, node).unwrap_or(Interpreter::Shell);
    }
    let scripts = fields.take("scripts");
    let file = fields.take("file");
    script.argument = fields.argument(cx);
    script.environment = fields.environment(cx);
    script.working_directory = fields.path(cx, "working-dir");
    let has_body = fields
        .others()
        .any(|entry| ["body", "script", "inline", "command", "commands"].contains(&entry.key.text.as_str()));
    let source = match (scripts.or(beside), file) {
        (Some(node), None) => body(cx, node).map(ScriptSource::Inline),
        (None, Some(node)) => scalar::non_empty_text(cx, node, "`file`")
            .and_then(|_| path::relative(cx, node, "the script file"))
            .map(ScriptSource::File),
        (Some(_), Some(node)) => {
            let message = "a script has either `scripts` or `file`";
            cx.add(Finding::error("exclusive-keys", node.span, message));
            None
        }
        (None, None) => {
            let finding = Finding::error(
                "missing-key",
                item.span,
                "the script has neither `scripts` nor `file`",
            );
            cx.add(finding.suggestion(has_body.then_some("scripts")));
            None
        }
    };
    fields.finish(cx);
    script.source = source?;
    if let (Some(node), ScriptSource::Inline(body)) = (interpreter_node, &script.source) {
        ignored_first_line(cx, node.span, script.interpreter, body);
    }
    substitution(cx, item, &script.source);
    Some(common.task(TaskAction::Script(script)))
}

/// Points at variables whose values outsiders choose (whoever may name a branch) and that are put into the body as
/// text, where they could end a word and start a command.
fn substitution(cx: &mut Context<'_>, item: &Item<'_>, source: &ScriptSource) {
    let ScriptSource::Inline(body) = source else {
        return;
    };
    let chosen_outside = |name: &&str| {
        let name = name.to_ascii_lowercase();
        // One of a few words of the server.
        if name == "triggerreason.key" {
            return false;
        }
        ["branch", "repository.pr.", "triggerreason"]
            .iter()
            .any(|part| name.contains(part))
    };
    let name = body
        .split("${bamboo.")
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
        .find(chosen_outside);
    if let Some(name) = name {
        let message = format!(
            "`${{bamboo.{}}}` is put into the script as text, and its value is chosen by whoever pushes",
            shown(name)
        );
        let variable = format!("$bamboo_{}", name.replace('.', "_"));
        cx.add(
            Finding::info("script-substitution", item.span, message).expected(format!(
                "the environment variable, in quotes: `\"{}\"`",
                shown(&variable)
            )),
        );
    }
}

/// Warns of a `#!` line that names another program than the one that runs the script: under `BINSH_OR_CMDEXE` that is
/// `/bin/sh`, here as in Bamboo, whose log shows `/bin/sh FILE`.
pub(super) fn ignored_first_line(cx: &mut Context<'_>, place: Span, interpreter: Interpreter, body: &str) {
    let line = body.lines().next().unwrap_or_default().trim_end();
    if interpreter != Interpreter::BinShOrCmdExe || !line.starts_with("#!") {
        return;
    }
    let named = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let mut words = line[2..].split_whitespace();
    let program = match words.next().map(named) {
        Some(program) if program == "env" => words
            .find(|word| !word.starts_with('-') && !word.contains('='))
            .map(named),
        program => program,
    };
    if program.is_none_or(|program| program == "sh") {
        return;
    }
    let message = format!(
        "the script is run by `/bin/sh`, and its first line `{}` has no effect",
        shown(line)
    );
    cx.add(
        Finding::warning("ignored-first-line", place, message)
            .expected("`SHELL`, under which the first line chooses"),
    );
}

/// One body: several items are the lines of one script.
pub(super) fn body(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    match &node.value {
        Value::Scalar(text) => Some(text.clone()),
        Value::List(items) => {
            let given = items.iter().filter(|item| !item.is_null());
            let lines: Vec<Option<String>> = given
                .map(|item| scalar::line(cx, item, "an item of a script"))
                .collect();
            let lines: Option<Vec<String>> = lines.into_iter().collect();
            lines.map(|lines| lines.join("\n"))
        }
        Value::Broken => None,
        Value::Null | Value::Map(_) => {
            scalar::wrong_type(cx, node, "a script", SHAPE);
            None
        }
    }
}

fn interpreter(cx: &mut Context<'_>, node: &Node) -> Option<Interpreter> {
    let text = scalar::text(cx, node, "the interpreter")?;
    interpreter_named(cx, node.span, &text)
}

/// The interpreter of this name, in any case; nothing means the default.
pub(super) fn interpreter_named(cx: &mut Context<'_>, place: Span, text: &str) -> Option<Interpreter> {
    match text.trim().to_ascii_lowercase().as_str() {
        // What the settings of the task are called inside Bamboo stands in files too.
        "" | "shell" | "run_as_executable" => Some(Interpreter::Shell),
        "binsh_or_cmdexe" | "/bin/sh" | "sh" | "legacy_sh_bat" => Some(Interpreter::BinShOrCmdExe),
        "cmd" | "cmd.exe" => {
            cx.not_run(
                place,
                &format!("the interpreter `{}`", shown(text)),
                language::NO_WINDOWS,
            );
            Some(Interpreter::CmdExe)
        }
        "windows_power_shell" | "powershell" => Some(Interpreter::PowerShell),
        _ => {
            let message = format!("there is no interpreter `{}`", shown(text));
            cx.add(
                Finding::error("unknown-interpreter", place, message)
                    .expected("`SHELL`, `BINSH_OR_CMDEXE` or `WINDOWS_POWER_SHELL`")
                    .note("under `SHELL` the first line of the script chooses: `#!/bin/bash`"),
            );
            None
        }
    }
}
