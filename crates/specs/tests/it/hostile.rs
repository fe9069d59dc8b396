//! Files that are meant to hurt: each is an error with a place, quickly (hostile-inputs.md Y1 to Y10).

use madake_specs::Severity;

use crate::{plan_text, reading, reading_with};

/// The code of the first error.
fn first_error(text: &str) -> String {
    let result = reading(text);
    assert!(result.plans.is_empty());
    result
        .diagnostics
        .iter()
        .find(|found| found.severity == Severity::Error)
        .map(|found| found.code.clone())
        .expect("there is an error")
}

#[test]
fn alias_bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert_eq!(first_error(&bomb), "specs::too-large");
    let keys = format!(
        "a: &a {{x: {}}}\nb: [{}]\n",
        "y".repeat(20_000),
        vec!["{<<: *a}"; 3000].join(", ")
    );
    assert_eq!(first_error(&keys), "specs::too-large");
}

#[test]
fn anchors_that_contain_themselves_are_refused() {
    for text in ["a: &a\n  b: *a\n", "a: &a\n  <<: *a\n", "a: &a [*a]\n"] {
        let result = reading(text);
        let code = "specs::yaml-syntax";
        assert!(
            result.diagnostics.iter().any(|found| found.code == code),
            "{text}"
        );
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut staircase = String::new();
    for level in 0..500 {
        staircase.push_str(&format!("{}a:\n", " ".repeat(level)));
    }
    assert_eq!(first_error(&staircase), "specs::too-deep");
    assert_eq!(first_error(&"- ".repeat(100_000)), "specs::too-deep");
    assert_eq!(
        first_error(&format!("a: {}", "[".repeat(100_000))),
        "specs::yaml-syntax"
    );
    let flow = format!("a: {}{}\n", "[".repeat(250), "]".repeat(250));
    assert_eq!(first_error(&flow), "specs::too-deep");
    let mut nested = String::from("a:\n-\n");
    for level in 1..160 {
        let blanks = " ".repeat(level);
        nested.push_str(&format!("{blanks}a:\n{blanks}-\n"));
    }
    let flow = "{a: ".repeat(250) + &"}".repeat(250);
    nested.push_str(&format!("{}{flow}\n", " ".repeat(160)));
    assert_eq!(first_error(&nested), "specs::too-deep");
}

#[test]
fn large_files_are_refused() {
    assert_eq!(
        first_error(&format!("a: {}\n", "x".repeat(2_000_000))),
        "specs::too-large"
    );
    let jobs: String = (0..100_000).map(|number| format!("j{number}:\n")).collect();
    assert_eq!(first_error(&jobs), "specs::too-large");
    let list = "- a\n".repeat(200_000);
    assert_eq!(first_error(&list), "specs::too-large");
    let documents = "---\na\n".repeat(100_000);
    let result = reading(&documents);
    assert!(result.diagnostics.len() <= 501, "{}", result.diagnostics.len());
}

#[test]
fn characters_that_end_the_text_early_are_refused() {
    assert_eq!(first_error("version: 2\0\nplan: x\n"), "specs::control-character");
    assert_eq!(
        first_error("version: 2\nplan: \u{85}x\n"),
        "specs::control-character"
    );
}

#[test]
fn includes_that_do_not_end_are_refused() {
    let cycle = [
        ("bamboo-specs/a.yml", "x: !include b.yml\n"),
        ("bamboo-specs/b.yml", "x: !include a.yml\n"),
    ];
    let result = reading_with(&plan_text("Build: !include a.yml\n"), &cycle);
    assert!(
        result
            .diagnostics
            .iter()
            .any(|found| found.message.contains("includes itself"))
    );
    let itself = reading_with("!include bamboo.yml\n", &[("bamboo-specs/bamboo.yml", "a: 1\n")]);
    assert!(itself.diagnostics[0].message.contains("includes itself"));
    let names: Vec<(String, String)> = (0..30)
        .map(|level| {
            (
                format!("bamboo-specs/f{level}.yml"),
                format!("x: !include f{}.yml\n", level + 1),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let chain = reading_with("a: !include f0.yml\n", &files);
    assert!(
        chain
            .diagnostics
            .iter()
            .any(|found| found.message.contains("10 deep"))
    );
    let wide = format!("[{}]", vec!["x"; 20_000].join(","));
    let many = format!("a: [{}]\n", vec!["!include w.yml"; 100].join(", "));
    let result = reading_with(&many, &[("bamboo-specs/w.yml", &wide)]);
    assert!(
        result
            .diagnostics
            .iter()
            .any(|found| found.code == "specs::too-large")
    );
}

#[test]
fn names_of_images_are_not_options() {
    for image in ["--privileged", "'a b'"] {
        let result = reading(&plan_text(&format!("docker: {image}\nBuild: {{tasks: []}}\n")));
        assert!(result.has_errors(), "{image}");
    }
}

#[test]
fn values_that_outsiders_choose_are_pointed_at_in_scripts() {
    let codes = |body: &str| {
        let result = reading(&plan_text(&format!("Build:\n  tasks:\n    - script: {body}\n")));
        assert_eq!(result.plans.len(), 1);
        result
            .diagnostics
            .into_iter()
            .map(|found| found.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        codes("git push ${bamboo.planRepository.branchName}"),
        ["specs::script-substitution"]
    );
    assert_eq!(
        codes("[echo, 'echo ${bamboo.repository.pr.key}']"),
        ["specs::script-substitution"]
    );
    assert_eq!(
        codes("echo ${bamboo.buildNumber} \"$bamboo_planRepository_branchName\""),
        [""; 0]
    );
}

#[test]
fn typed_scalars_are_read_as_yaml_1_1_where_a_boolean_is_expected() {
    for (text, manual) in [
        ("yes", true),
        ("On", true),
        ("'true'", true),
        ("n", false),
        ("OFF", false),
    ] {
        let text = format!(
            "version: 2\nplan: {{project-key: P, key: A, name: a}}\nstages:\n  - S: {{manual: {text}, jobs: []}}\n"
        );
        assert_eq!(
            reading(&text).plans[0].configuration.stages[0].manual,
            manual,
            "{text}"
        );
    }
    for text in ["0o777", "1e3", "1", "~x"] {
        let text = format!(
            "version: 2\nplan: {{project-key: P, key: A, name: a}}\nstages:\n  - S: {{manual: {text}, jobs: []}}\n"
        );
        assert_eq!(first_error(&text), "specs::wrong-type", "{text}");
    }
}
