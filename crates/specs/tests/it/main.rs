//! Tests of reading plan files.

mod corpus;
mod documents;
mod export;
mod faults;
mod format;
mod forms;
mod hostile;
mod language;
mod properties;
mod real_files;
mod sections;

use madake_domain::plan::PlanConfiguration;
use madake_specs::{IncludeError, Options, Reading, read};

/// Reads `text` as the plan file, without other files.
fn reading(text: &str) -> Reading {
    reading_with(text, &[])
}

/// Reads `text` as the plan file, with files beside it (paths start with `bamboo-specs/`).
fn reading_with(text: &str, files: &[(&str, &str)]) -> Reading {
    let tree = |path: &str| {
        files
            .iter()
            .find(|(name, _)| *name == path)
            .map(|(_, text)| (*text).to_owned())
            .ok_or(IncludeError::NotFound)
    };
    let validate_cron = |text: &str| match text.split_whitespace().count() {
        6 | 7 => Ok(()),
        count => Err(format!("it has {count} fields")),
    };
    let validate_address = |text: &str| {
        if text.bytes().all(|b| b.is_ascii_digit() || b"./*:".contains(&b)) {
            Ok(())
        } else {
            Err("it has letters".to_owned())
        }
    };
    let options = Options {
        server_name: Some("build.example.org"),
        validate_cron: &validate_cron,
        validate_address: &validate_address,
        ..Options::default()
    };
    read("bamboo-specs/bamboo.yml", text, &tree, &options)
}

/// The one plan of `text`, which must have no error.
fn plan(text: &str) -> PlanConfiguration {
    let reading = reading(text);
    assert!(!reading.has_errors(), "{:#?}", reading.diagnostics);
    assert_eq!(reading.plans.len(), 1, "{:#?}", reading.diagnostics);
    reading.plans[0].configuration.clone()
}

/// A plan with one stage, the job `Build`, and `rest` at the root.
fn plan_text(rest: &str) -> String {
    format!(
        "version: 2\nplan:\n  project-key: PROJ\n  key: PLAN\n  name: A plan\nstages:\n  - Build stage: [Build]\n{rest}"
    )
}
