//! Real plan files, when they are at hand: `MADAKE_CORPUS` names the folder, else `../shared/corpus` beside the
//! repository.

use std::collections::BTreeMap;
use std::path::PathBuf;

use madake_specs::{IncludeError, Options, Severity, read, render_line};

use crate::language::schema_refuses;
use crate::reading;

/// Files that import into Bamboo by the study of the corpus but that we refuse, and why.
const EXCEPTIONS: [(&str, &str); 4] = [
    (
        "AdguardTeam__tsurlfilter__1.yml",
        "the files that it includes are not in the corpus",
    ),
    (
        "TrustTunnel__TrustTunnelClient__1.yml",
        "the file that it includes is not in the corpus",
    ),
    (
        "TrustTunnel__TrustTunnelClient__2.yml",
        "the file that it includes is not in the corpus",
    ),
    (
        "TrustTunnel__TrustTunnelClient__3.yml",
        "the file that it includes is not in the corpus",
    ),
];

fn folder() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder =
        std::env::var_os("MADAKE_CORPUS").map_or_else(|| root.join("../shared/corpus"), PathBuf::from);
    let specs = folder.join("specs");
    specs.join("INDEX.csv").exists().then_some(specs)
}

#[test]
fn real_files_are_read_and_faulty_ones_are_named() {
    let Some(folder) = folder() else {
        return;
    };
    let index = std::fs::read_to_string(folder.join("INDEX.csv")).unwrap();
    let mut failures = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in index.lines().skip(1) {
        let columns: Vec<&str> = row.splitn(8, ',').collect();
        let (file, kind, verdict) = (columns[0], columns[6], columns[7]);
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let result = reading(&String::from_utf8_lossy(&bytes));
        let errors: Vec<String> = result
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .map(render_line)
            .collect();
        let excepted = EXCEPTIONS.iter().any(|(name, _)| *name == file);
        if verdict.starts_with("suspect") {
            *counts.entry("suspect").or_default() += 1;
            if result.diagnostics.is_empty() {
                failures.push(format!("{file} is suspect ({verdict}) and nothing was found"));
            }
        } else if kind.split('+').any(|kind| kind == "plan") {
            *counts.entry("plan").or_default() += 1;
            if (result.plans.is_empty() || !errors.is_empty()) != excepted {
                failures.push(format!(
                    "{file} ({kind}): {} plans; {errors:#?}",
                    result.plans.len()
                ));
            }
        } else if kind == "plan-permissions" {
            *counts.entry("permissions").or_default() += 1;
            if result.permissions.is_empty() || !errors.is_empty() {
                failures.push(format!("{file} ({kind}): {errors:#?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{counts:?}\n{}", failures.join("\n"));
    assert!(counts["plan"] > 50 && counts["suspect"] > 10, "{counts:?}");
}

#[test]
fn the_schema_takes_real_files_of_which_nothing_is_said() {
    let Some(folder) = folder() else {
        return;
    };
    let index = std::fs::read_to_string(folder.join("INDEX.csv")).unwrap();
    let (mut looked_at, mut refused) = (0, Vec::new());
    for row in index.lines().skip(1) {
        let file = row.split(',').next().unwrap_or_default();
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let includes = text.contains("!include") || text.contains("<<:");
        let mut findings = reading(&text).diagnostics.into_iter();
        let is_clean =
            findings.all(|found| found.severity == Severity::Info || found.code == "specs::not-run");
        if is_clean && !includes {
            looked_at += 1;
            refused.extend(schema_refuses(&text).map(|reason| format!("{file}: {reason}")));
        }
    }
    assert!(refused.is_empty(), "{looked_at}\n{}", refused.join("\n"));
    assert!(looked_at > 20, "{looked_at}");
}

#[test]
fn files_that_are_right_have_no_errors() {
    let Some(folder) = folder() else {
        return;
    };
    let index = std::fs::read_to_string(folder.join("INDEX.csv")).unwrap();
    let mut failures = Vec::new();
    for row in index.lines().skip(1).filter(|row| row.ends_with(",ok")) {
        let file = row.split(',').next().unwrap_or_default();
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let result = read(
            file,
            &text,
            &|_: &str| Err(IncludeError::NotHere),
            &Options::default(),
        );
        let mut findings = result.diagnostics.iter();
        if findings.any(|found| found.severity == Severity::Error) {
            failures.push(format!("{file}: {:#?}", result.diagnostics));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
