//! `cargo xtask layering`: compares who uses whom, as cargo knows it, with the table of rooms in ARCHITECTURE.md.
//!
//! Both ways: a use that the table does not allow, and one that the table has and nobody makes, are differences.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::process::{cargo, output_of, repository};

const TABLE: &str = "ARCHITECTURE.md";

/// What a crate uses of ours: in the product, and in its tests besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Uses {
    product: BTreeSet<String>,
    tests: BTreeSet<String>,
}

/// What the table says of a crate.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    product: Allowed,
    tests: Allowed,
}

/// One cell of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    /// Whatever it likes.
    All,
    /// Exactly these.
    These(BTreeSet<String>),
}

/// Compares, and prints a line when there is no difference.
///
/// # Errors
/// With a sentence for each difference.
pub(crate) fn run() -> anyhow::Result<()> {
    let path = repository().join(TABLE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {TABLE}"))?;
    let table = read_table(&text)?;
    let metadata = output_of(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let crates = read_metadata(&metadata)?;
    let differences = compare(&table, &crates);
    if !differences.is_empty() {
        bail!("{}", differences.join("\n"));
    }
    println!(
        "the dependencies of {} crates are those of the table in {TABLE}",
        crates.len()
    );
    Ok(())
}

/// Sentences that name both sides of each difference.
fn compare(table: &BTreeMap<String, Row>, crates: &BTreeMap<String, Uses>) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, uses) in crates {
        let Some(row) = table.get(name) else {
            differences.push(format!(
                "the crate `{name}` is in the workspace, and {TABLE} has no row for it"
            ));
            continue;
        };
        for (what, allowed, used, section) in [
            ("", &row.product, &uses.product, "[dependencies]"),
            (" in its tests", &row.tests, &uses.tests, "[dev-dependencies]"),
        ] {
            let Allowed::These(allowed) = allowed else {
                continue;
            };
            differences.extend(used.difference(allowed).map(|other| {
                format!(
                    "`{name}` has `{other}` under {section} of its Cargo.toml, and {TABLE} does not say that it may use \
                     `{other}`{what}"
                )
            }));
            differences.extend(allowed.difference(used).map(|other| {
                format!(
                    "{TABLE} says that `{name}` uses `{other}`{what}, and its Cargo.toml has no `{other}` under {section}"
                )
            }));
        }
    }
    let gone = table.keys().filter(|name| !crates.contains_key(*name));
    differences.extend(
        gone.map(|name| format!("{TABLE} has a row for `{name}`, and the workspace has no such crate")),
    );
    differences
}

/// Reads the table whose head is `| crate | … | may use | in tests also |`.
///
/// # Errors
/// When there is no such table, a row is cut short, or a crate has two rows.
fn read_table(text: &str) -> anyhow::Result<BTreeMap<String, Row>> {
    let mut lines = text.lines().skip_while(|line| {
        let cells = cells(line);
        cells.first() != Some(&"crate") || cells.last() != Some(&"in tests also")
    });
    let Some(head) = lines.next() else {
        bail!("{TABLE} has no table that starts with `| crate |` and ends with `| in tests also |`");
    };
    let width = cells(head).len();
    let mut table = BTreeMap::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let cells = cells(line);
        if cells.len() != width || width < 3 {
            bail!("a row of the table in {TABLE} does not have {width} cells: {line}");
        }
        let name = short(cells[0]);
        let row = Row {
            product: read_cell(cells[width - 2]),
            tests: read_cell(cells[width - 1]),
        };
        if table.insert(name.clone(), row).is_some() {
            bail!("the table in {TABLE} has two rows for `{name}`");
        }
    }
    Ok(table)
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line
        .trim()
        .strip_prefix('|')
        .and_then(|rest| rest.strip_suffix('|'));
    inner.map_or_else(Vec::new, |inner| inner.split('|').map(str::trim).collect())
}

fn read_cell(cell: &str) -> Allowed {
    match cell {
        "all" => Allowed::All,
        "-" | "" => Allowed::These(BTreeSet::new()),
        list => Allowed::These(list.split(',').map(short).collect()),
    }
}

/// `crates/store`, `madake-store` and `store` are the same.
fn short(name: &str) -> String {
    let name = name.trim().trim_matches('`');
    let name = name.strip_prefix("crates/").unwrap_or(name);
    name.strip_prefix("madake-").unwrap_or(name).to_owned()
}

/// Who uses whom, from `cargo metadata --no-deps`. What only a build script uses counts as used by the product.
///
/// # Errors
/// When it is not what cargo prints.
fn read_metadata(text: &str) -> anyhow::Result<BTreeMap<String, Uses>> {
    let metadata: Value = serde_json::from_str(text).context("cargo metadata printed no JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?;
    let mut crates = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has no name")?;
        let mut uses = Uses::default();
        let dependencies = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
        // Dependencies of ours have a path, those of others a registry.
        for dependency in dependencies.iter().filter(|one| one["path"].is_string()) {
            let other = short(dependency["name"].as_str().context("a dependency has no name")?);
            if dependency["kind"].as_str() == Some("dev") {
                uses.tests.insert(other);
            } else {
                uses.product.insert(other);
            }
        }
        crates.insert(short(name), uses);
    }
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\n| step | where |\n| - | - |\n| 1 | x |\n\n\
        | crate | what lives there | may use | in tests also |\n| - | - | - | - |\n\
        | `crates/domain` | rules | - | - |\n| `crates/store` | tables | domain | testkit |\n\
        | `crates/testkit` | fakes | all | - |\n\nMore text | with a bar\n";

    fn metadata(store_uses: &str) -> String {
        format!(
            r#"{{"packages":[{{"name":"madake-domain","dependencies":[{{"name":"serde","kind":null}}]}},
               {{"name":"madake-store","dependencies":[{store_uses}]}},
               {{"name":"madake-testkit","dependencies":[{{"name":"madake-domain","kind":null,"path":"/x"}}]}}]}}"#
        )
    }

    const FITTING: &str = r#"{"name":"madake-domain","kind":null,"path":"/x"},
        {"name":"madake-testkit","kind":"dev","path":"/x"},{"name":"rusqlite","kind":null}"#;

    fn differences(store_uses: &str) -> Vec<String> {
        let table = read_table(TEXT).expect("a table");
        compare(&table, &read_metadata(&metadata(store_uses)).expect("metadata"))
    }

    #[test]
    fn crates_that_use_what_the_table_says_pass() {
        assert_eq!(differences(FITTING), Vec::<String>::new());
    }

    #[test]
    fn use_that_the_table_does_not_allow_is_named_with_both_sides() {
        let more = format!(r#"{FITTING},{{"name":"madake-engine","kind":null,"path":"/x"}}"#);
        assert_eq!(
            differences(&more),
            [
                "`store` has `engine` under [dependencies] of its Cargo.toml, and ARCHITECTURE.md does not say that it may \
                 use `engine`"
            ]
        );
    }

    #[test]
    fn use_in_tests_is_told_apart_from_use_in_the_product() {
        let moved = FITTING.replace(r#""kind":"dev""#, r#""kind":null"#);
        assert_eq!(
            differences(&moved),
            [
                "`store` has `testkit` under [dependencies] of its Cargo.toml, and ARCHITECTURE.md does not say that it \
                 may use `testkit`",
                "ARCHITECTURE.md says that `store` uses `testkit` in its tests, and its Cargo.toml has no `testkit` under \
                 [dev-dependencies]"
            ]
        );
    }

    #[test]
    fn crate_without_a_row_and_row_without_a_crate_are_named() {
        let table = read_table(&TEXT.replace("crates/store", "crates/shop")).expect("a table");
        let crates = read_metadata(&metadata(FITTING)).expect("metadata");
        assert_eq!(
            compare(&table, &crates),
            [
                "the crate `store` is in the workspace, and ARCHITECTURE.md has no row for it",
                "ARCHITECTURE.md has a row for `shop`, and the workspace has no such crate"
            ]
        );
    }

    #[test]
    fn table_that_cannot_be_read_is_an_error() {
        assert!(read_table("# no table\n").is_err());
        assert!(read_table(&TEXT.replace("| tables | domain | testkit |", "| tables |")).is_err());
        assert!(read_table(&TEXT.replace("crates/store", "crates/domain")).is_err());
    }
}
