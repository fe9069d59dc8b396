//! `madake specs`: checks plan files on this machine, without a server, writes plans as files, and describes the
//! language to editors.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use madake_domain::text::{counted, inert};
use madake_engine::specs::reading_options;
use madake_specs::{
    Diagnostic, IncludeError, Reading, Severity, entry_file, read, render_sarif, render_text,
};
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{BAD, DIM, GOOD, WARN, is_terminal, list, paint, say, say_json, short_revision, text};

/// The largest file that is read, in bytes; the server reads no larger one.
const FILE_LIMIT: u64 = 1024 * 1024;

/// The exit code when something cannot be read at all.
const UNREADABLE: u8 = 2;

/// Check and write plan files.
#[derive(Debug, Subcommand)]
pub(crate) enum Specs {
    /// Check plan files, and show each mistake with its line and what would be right.
    ///
    /// Files that an `!include` names are read, too. Where a single file is checked that lies in no folder `bamboo-specs`, those that
    /// are not there are a warning.
    ///
    /// Ends with 0 when there are no errors, with 1 when there are, and with 2 when a file cannot be read.
    Validate(Validate),
    /// Write a plan as a plan file.
    Export {
        /// The plan, or one of its branches: PROJ-PLAN.
        key: String,
    },
    /// Print a JSON Schema of plan files, for editors.
    Schema,
    /// Have the server read the plan file of a repository again: what stood in its way may be gone. Nothing is built by
    /// that.
    Reread {
        /// The repository: OWNER/SLUG, or the name of a linked one.
        repository: String,
    },
}

/// Check plan files.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Plan files, folders with `bamboo-specs/` in them, or `-` for standard input.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// The name of the server that it is for; documents for others are passed over.
    #[arg(long, default_value = "madake")]
    server_name: String,
    /// Print the findings as SARIF 2.1.0, which code hosts and editors understand.
    #[arg(long)]
    sarif: bool,
    /// Warnings count as errors.
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(global: &Global, specs: Specs) -> anyhow::Result<ExitCode> {
    match specs {
        Specs::Validate(validate) => validate_all(global, &validate),
        Specs::Export { key } => export(global, &key).map(|()| ExitCode::SUCCESS),
        Specs::Schema => say_json(&madake_specs::json_schema()).map(|()| ExitCode::SUCCESS),
        Specs::Reread { repository } => reread(global, &repository).map(|()| ExitCode::SUCCESS),
    }
}

/// A plan file that was read.
struct Checked {
    name: String,
    reading: Reading,
}

fn validate_all(global: &Global, validate: &Validate) -> anyhow::Result<ExitCode> {
    let mut all = Vec::with_capacity(validate.paths.len());
    let mut unreadable = false;
    for path in &validate.paths {
        match check(path, &validate.server_name) {
            Ok(checked) => all.push(checked),
            Err(error) => {
                unreadable = true;
                anstream::eprintln!("madake: {error:#}");
            }
        }
    }
    if validate.sarif {
        let findings = all.iter().flat_map(|checked| &checked.reading.diagnostics);
        say_json(&render_sarif(findings, env!("CARGO_PKG_VERSION")))?;
    } else if global.json {
        let mut files: Vec<Value> = all.iter().map(as_json).collect();
        match files.pop() {
            Some(only) if files.is_empty() => say_json(&only)?,
            last => {
                files.extend(last);
                say_json(&Value::Array(files))?;
            }
        }
    } else {
        for checked in &all {
            show(checked)?;
        }
    }
    let worst = all
        .iter()
        .flat_map(|checked| &checked.reading.diagnostics)
        .map(|finding| finding.severity)
        .max();
    Ok(match worst {
        _ if unreadable => ExitCode::from(UNREADABLE),
        Some(Severity::Error) => ExitCode::FAILURE,
        Some(Severity::Warning) if validate.strict => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn check(path: &Path, server_name: &str) -> anyhow::Result<Checked> {
    let (name, text, beside) = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .take(FILE_LIMIT + 1)
            .read_to_string(&mut text)
            .context("standard input cannot be read")?;
        // Includes are looked for where the plan file would be.
        ("bamboo-specs/bamboo.yml".to_owned(), text, None)
    } else {
        let (file, beside) = plan_file(path)?;
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let name = file.to_string_lossy();
        (name.strip_prefix("./").unwrap_or(&name).to_owned(), text, beside)
    };
    let mut reading = read_with_includes(&name, &text, server_name, stands_alone(path));
    reading.diagnostics.extend(beside);
    Ok(Checked { name, reading })
}

/// The plan file that a path means, and what there is to say of its neighbours.
pub(super) fn plan_file(path: &Path) -> anyhow::Result<(PathBuf, Option<Diagnostic>)> {
    if !path.is_dir() {
        return Ok((path.to_owned(), None));
    }
    for folder in [path.join("bamboo-specs"), path.to_owned()] {
        let names: Vec<String> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        if let Some((name, warning)) = entry_file(names.iter().map(String::as_str)) {
            return Ok((folder.join(name), warning));
        }
    }
    bail!(
        "there is no bamboo-specs/bamboo.yml in {}; name the plan file, or a folder that has one",
        path.display()
    )
}

/// Whether a file is looked at out of its repository, so that what it includes need not be there.
fn stands_alone(path: &Path) -> bool {
    if path.as_os_str() == "-" || path.is_dir() {
        return false;
    }
    // Without a working directory nothing is known of the folders above.
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    !whole.components().any(|part| part.as_os_str() == "bamboo-specs")
}

/// Reads a plan file with what it includes.
pub(super) fn read_plan_file(name: &str, text: &str, server_name: &str) -> Reading {
    read_with_includes(name, text, server_name, false)
}

fn read_with_includes(name: &str, text: &str, server_name: &str, alone: bool) -> Reading {
    let tree = |path: &str| match std::fs::metadata(path) {
        Ok(found) if found.len() > FILE_LIMIT => Err(IncludeError::TooLarge),
        Ok(_) => {
            let bytes = std::fs::read(path).map_err(|error| IncludeError::Other(error.to_string()))?;
            String::from_utf8(bytes).map_err(|_| IncludeError::NotText)
        }
        Err(_) if alone => Err(IncludeError::NotHere),
        Err(_) => Err(IncludeError::NotFound),
    };
    read(name, text, &tree, &reading_options(server_name))
}

/// How many findings of a severity there are.
pub(super) fn count(reading: &Reading, severity: Severity) -> usize {
    let found = reading.diagnostics.iter();
    found.filter(|one| one.severity == severity).count()
}

fn as_json(checked: &Checked) -> Value {
    let reading = &checked.reading;
    let plans: Vec<_> = reading
        .plans
        .iter()
        .map(|plan| {
            json!({
                "key": plan.configuration.key.to_string(),
                "name": plan.configuration.name,
                "line": plan.position.line,
            })
        })
        .collect();
    let deployments: Vec<_> = reading
        .deployments
        .iter()
        .map(|deployment| {
            json!({
                "name": deployment.configuration.name,
                "line": deployment.position.line,
            })
        })
        .collect();
    json!({
        "file": checked.name,
        "plans": plans,
        "deployments": deployments,
        "errors": count(reading, Severity::Error),
        "warnings": count(reading, Severity::Warning),
        "diagnostics": reading.diagnostics,
    })
}

/// The findings, document by document, and a line with the sum.
fn show(checked: &Checked) -> anyhow::Result<()> {
    let Checked { name, reading } = checked;
    let colour = is_terminal();
    let mut subjects: Vec<Option<&str>> = Vec::new();
    for finding in &reading.diagnostics {
        if !subjects.contains(&finding.subject.as_deref()) {
            subjects.push(finding.subject.as_deref());
        }
    }
    for subject in &subjects {
        let own: Vec<Diagnostic> = reading
            .diagnostics
            .iter()
            .filter(|finding| finding.subject.as_deref() == *subject)
            .cloned()
            .collect();
        if subjects.len() > 1 {
            say(paint(DIM, format_args!("── {}", subject.unwrap_or("the file"))))?;
        }
        say(render_text(&own, &reading.sources, colour))?;
    }
    let what = what_is_in(reading);
    let (errors, warnings) = (count(reading, Severity::Error), count(reading, Severity::Warning));
    let verdict = match (errors, warnings) {
        (0, 0) => paint(GOOD, "no findings"),
        (0, warnings) => paint(WARN, counted(warnings, "warning")),
        (errors, 0) => paint(BAD, counted(errors, "error")),
        (errors, warnings) => format!(
            "{}, {}",
            paint(BAD, counted(errors, "error")),
            paint(WARN, counted(warnings, "warning"))
        ),
    };
    say(format_args!("{name}: {what}: {verdict}"))
}

/// The documents that were understood: `PROJ-PLAN, deployment project Web`.
fn what_is_in(reading: &Reading) -> String {
    let mut what: Vec<String> = Vec::new();
    what.extend(
        reading
            .plans
            .iter()
            .map(|plan| plan.configuration.key.to_string()),
    );
    what.extend(
        reading
            .deployments
            .iter()
            .map(|deployment| format!("deployment project {}", deployment.configuration.name)),
    );
    let own = |key: &_| reading.plans.iter().any(|plan| plan.configuration.key == *key);
    let foreign = reading.permissions.iter().filter(|one| !own(&one.plan));
    what.extend(foreign.map(|one| format!("permissions of {}", one.plan)));
    let foreign = reading.deployment_permissions.iter().filter(|one| {
        let mut known = reading.deployments.iter();
        !known.any(|deployment| deployment.configuration.name == one.deployment)
    });
    what.extend(foreign.map(|one| format!("permissions of deployment project {}", one.deployment)));
    if what.is_empty() && !reading.other_documents.is_empty() {
        return "nothing for this server".to_owned();
    }
    if what.is_empty() {
        return "no plan".to_owned();
    }
    what.join(", ")
}

fn export(global: &Global, key: &str) -> anyhow::Result<()> {
    let connection = Connection::look(global)?;
    let answer = connection.get(at(&["plans", key, "specs"]))?;
    if global.json {
        return say_json(&answer);
    }
    let text = answer.get("text").and_then(Value::as_str).unwrap_or_default();
    if !is_terminal() {
        return say(text.trim_end());
    }
    for line in text.lines() {
        say(inert(line, usize::MAX))?;
    }
    Ok(())
}

fn reread(global: &Global, repository: &str) -> anyhow::Result<()> {
    let body = json!({ "repository": repository });
    let answer = Connection::open(global)?.post(at(&["plan-files", "reread"]), &body)?;
    if global.json {
        return say_json(&answer);
    }
    say_reread(&answer)
}

/// A plan file that the server read again.
pub(super) fn say_reread(one: &Value) -> anyhow::Result<()> {
    let plans: Vec<&str> = list(one, "plans").iter().filter_map(Value::as_str).collect();
    let plans = match plans.as_slice() {
        [] => "no plan is its own".to_owned(),
        plans => format!("its plans are {}", plans.join(", ")),
    };
    say(format_args!(
        "read the plan file of {} at {} again; {plans}",
        text(one, "repository"),
        short_revision(&text(one, "revision"))
    ))?;
    for finding in list(one, "findings") {
        let style = match text(finding, "severity").as_str() {
            "error" => BAD,
            "warning" => WARN,
            _ => DIM,
        };
        say(format_args!("  {}", paint(style, text(finding, "text"))))?;
    }
    Ok(())
}
