//! `madake specs validate`: checks plan files on this machine, without a server.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use madake_engine::specs::reading_options;
use madake_specs::{IncludeError, Reading, Severity, entry_file, read, render_text};
use serde_json::json;

use super::Global;
use crate::terminal::{BAD, GOOD, WARN, is_terminal, paint, say, say_json};

/// The largest file that is read, in bytes; the server reads no larger one.
const FILE_LIMIT: u64 = 1024 * 1024;

/// Check plan files.
#[derive(Debug, Subcommand)]
pub(crate) enum Specs {
    /// Check a plan file, and show each mistake with its line and what would be right.
    Validate {
        /// A plan file, a folder with `bamboo-specs/` in it, or `-` for standard input.
        #[arg(default_value = ".")]
        path: PathBuf,
        /// The name of the server that it is for; documents for others are passed over.
        #[arg(long, default_value = "madake")]
        server_name: String,
    },
}

pub(super) fn run(global: &Global, specs: Specs) -> anyhow::Result<ExitCode> {
    let Specs::Validate { path, server_name } = specs;
    let (name, text) = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .take(FILE_LIMIT + 1)
            .read_to_string(&mut text)
            .context("standard input cannot be read")?;
        // Includes are looked for where the plan file would be.
        ("bamboo-specs/bamboo.yml".to_owned(), text)
    } else {
        let file = plan_file(&path)?;
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let name = file.to_string_lossy();
        (name.strip_prefix("./").unwrap_or(&name).to_owned(), text)
    };
    let reading = validate(&name, &text, &server_name);
    report(global, &name, &reading)?;
    Ok(if reading.has_errors() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The plan file that a path means.
fn plan_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    for folder in [path.join("bamboo-specs"), path.to_owned()] {
        let names: Vec<String> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        if let Some((name, _)) = entry_file(names.iter().map(String::as_str)) {
            return Ok(folder.join(name));
        }
    }
    bail!(
        "there is no bamboo-specs/bamboo.yml in {}; name the plan file, or a folder that has one",
        path.display()
    )
}

fn validate(name: &str, text: &str, server_name: &str) -> Reading {
    let tree = |path: &str| match std::fs::metadata(path) {
        Ok(found) if found.len() > FILE_LIMIT => Err(IncludeError::TooLarge),
        Ok(_) => {
            let bytes = std::fs::read(path).map_err(|error| IncludeError::Other(error.to_string()))?;
            String::from_utf8(bytes).map_err(|_| IncludeError::NotText)
        }
        Err(_) => Err(IncludeError::NotFound),
    };
    read(name, text, &tree, &reading_options(server_name))
}

fn report(global: &Global, name: &str, reading: &Reading) -> anyhow::Result<()> {
    let count = |severity| {
        let found = reading.diagnostics.iter();
        found.filter(|one| one.severity == severity).count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if global.json {
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
        return say_json(&json!({
            "file": name,
            "plans": plans,
            "errors": errors,
            "warnings": warnings,
            "diagnostics": reading.diagnostics,
        }));
    }
    let colour = is_terminal();
    let findings = render_text(&reading.diagnostics, &reading.sources, colour);
    if !findings.is_empty() {
        say(findings)?;
    }
    let plans: Vec<String> = reading
        .plans
        .iter()
        .map(|plan| plan.configuration.key.to_string())
        .collect();
    let plans = match plans.as_slice() {
        [] => "no plan".to_owned(),
        keys => keys.join(", "),
    };
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
    say(format_args!("{name}: {plans}: {verdict}"))
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}
