//! Each fault that plan files have in practice gives a precise message (bamboo-specs.md 15.3): the findings of
//! `faults/NAME.yml`, as people see them, are those of `faults/NAME.txt`. `MADAKE_UPDATE_FAULTS=1` writes them down
//! anew.

use std::path::{Path, PathBuf};

use madake_specs::{render_line, render_text};

use crate::reading;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults")
}

#[test]
fn faults_are_reported_as_written_down() {
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yml"))
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    let mut differences = Vec::new();
    for path in names {
        let result = reading(&std::fs::read_to_string(&path).unwrap());
        let rendered = render_text(&result.diagnostics, &result.sources, false);
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if rendered != expected && std::env::var_os("MADAKE_UPDATE_FAULTS").is_some() {
            std::fs::write(path.with_extension("txt"), &rendered).unwrap();
        } else if rendered != expected {
            differences.push(format!("== {}\n{rendered}", path.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn one_line_forms_have_the_place_in_front() {
    let result = reading("version: 2\nplan: {}\nstages: text\n");
    let lines: Vec<String> = result.diagnostics.iter().map(render_line).collect();
    assert_eq!(
        lines,
        [
            "bamboo-specs/bamboo.yml:2:1: error: the plan has no `project-key` [specs::missing-key]",
            "bamboo-specs/bamboo.yml:2:1: error: the plan has no `key` [specs::missing-key]",
            "bamboo-specs/bamboo.yml:2:1: error: the plan has no `name` [specs::missing-key]",
            "bamboo-specs/bamboo.yml:3:9: error: `stages` cannot be `text`; expected a list of stages [specs::wrong-type]",
        ]
    );
}

#[test]
fn findings_survive_json_and_colour_adds_escapes_only() {
    let result = reading("version: 3\nplan: {project-key: P, key: P, name: n}\nstages: []\n");
    let json = serde_json::to_string(&result.diagnostics).unwrap();
    let back: Vec<madake_specs::Diagnostic> = serde_json::from_str(&json).unwrap();
    assert_eq!(back, result.diagnostics);
    assert!(
        json.contains(r#""code":"specs::version","severity":"error""#),
        "{json}"
    );
    let coloured = render_text(&result.diagnostics, &result.sources, true);
    assert!(coloured.contains("\u{1b}["), "{coloured}");
}

#[test]
fn user_text_reaches_a_terminal_without_escapes() {
    let result =
        reading("version: 2\nplan: {project-key: P, key: P, name: n}\nstages:\n  - \"\\e[31mred\\nline\"\n");
    let line = render_line(&result.diagnostics[0]);
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(line.contains("[31mredline"), "{line}");
}
