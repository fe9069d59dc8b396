//! Reading never panics, whatever the text.

use madake_specs::{render_line, render_text};
use proptest::prelude::*;

use crate::{plan_text, reading};

/// A document with most of the format in it.
fn document() -> String {
    plan_text(concat!(
        "variables: &v {a: 1.10, b: 'x'}\n",
        "repositories:\n  - main: {scope: global}\n  - own:\n      type: git\n      url: https://example.org/a.git\n",
        "triggers:\n  - polling: 180\n  - cron: 0 0 12 ? * *\n  - remote:\n      ip: 10.0.0.1\n",
        "      conditions:\n        - time-window: {from: '17:00', until: '24:00'}\n        - weekdays: [thu]\n",
        "branches:\n  create: {for-new-branch: 'f/.*'}\n  delete: {after-deleted-days: 7}\n",
        "other: {concurrent-build-plugin: 3}\nlabels: [a]\ndocker: alpine\n",
        "Build: &b\n  key: B1\n  tasks:\n    - checkout: {path: x}\n    - script:\n        - echo !!\n        - |-\n          é\n",
        "    - clean\n  final-tasks:\n    - !!map {script: x}\n  requirements: [docker, os: Linux]\n",
        "Other:\n  <<: *b\n  key: O\n---\nversion: 2\nplan: PROJ-PLAN\nplan-permissions:\n  - users: a\n    permissions: view\n...\n",
    ))
}

/// Reads and renders; every place lies in the text.
fn exercise(text: &str) {
    let result = reading(text);
    let _ = render_text(&result.diagnostics, &result.sources, false);
    for found in &result.diagnostics {
        assert!(!render_line(found).contains('\n'));
        let source = result.sources.text(&found.file).expect("the file is known");
        assert!(found.line >= 1 && found.column >= 1);
        assert!(found.line as usize <= source.split('\n').count(), "{found:?}");
        assert!(
            (found.end.line, found.end.column) >= (found.line, found.column),
            "{found:?}"
        );
    }
}

#[test]
fn the_document_that_is_mutated_is_valid() {
    let result = reading(&document());
    assert!(!result.has_errors(), "{:#?}", result.diagnostics);
    assert_eq!((result.plans.len(), result.permissions.len()), (1, 1));
}

#[test]
fn every_line_may_be_missing() {
    let document = document();
    let lines: Vec<&str> = document.lines().collect();
    for missing in 0..lines.len() {
        let text: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, line)| *line)
            .collect();
        exercise(&text.join("\n"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        exercise(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_yaml_characters_do_no_harm(text in "[-a-c:?,{}\\[\\]&*!<>|'\"#%@` \n\t~0-9é]{0,120}") {
        exercise(&text);
    }

    #[test]
    fn mutated_documents_do_no_harm(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), "[-a-z:?,{}\\[\\]&*!<|'\"# \n\t]{0,4}", 0usize..6), 1..6)
    ) {
        let mut characters: Vec<char> = document().chars().collect();
        for (at, insert, remove) in edits {
            let at = at.index(characters.len());
            let end = (at + remove).min(characters.len());
            characters.splice(at..end, insert.chars());
            if characters.is_empty() {
                characters.push('a');
            }
        }
        let text: String = characters.into_iter().collect();
        exercise(&text);
    }
}
