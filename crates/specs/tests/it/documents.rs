//! The documents of a plan file, what they include, and which file is the plan file.

use madake_domain::plan::{ScriptSource, TaskAction};
use madake_specs::{Options, OtherKind, Severity, entry_file, read};

use crate::{plan_text, reading, reading_with};

const JOB: &str = "Build:\n  tasks: []\n";

#[test]
fn documents_stand_for_themselves() {
    let good = plan_text(JOB);
    let text = format!(
        "{good}---\nversion: 2\nplan: [broken\n---\n# nothing\n---\nversion: 2\ndeployment: {{name: d, source-plan: PROJ-PLAN}}\nrelease-naming: v1\nenvironments: []\n---\nversion: 2\ndeployment: d\ndeployment-permissions: []\n---\n{}...\n",
        good.replace("key: PLAN", "key: NEXT")
    );
    let result = reading(&text);
    let keys: Vec<_> = result
        .plans
        .iter()
        .map(|plan| plan.configuration.key.as_str())
        .collect();
    assert_eq!(keys, ["PROJ-PLAN", "PROJ-NEXT"]);
    assert_eq!(result.plans[0].position.line, 2);
    assert_eq!(result.plans[1].position.line, 26);
    assert_eq!(result.deployments[0].configuration.name, "d");
    assert_eq!(result.deployment_permissions[0].deployment, "d");
    assert!(result.other_documents.is_empty());
    let errors: Vec<_> = result
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| found.code.as_str())
        .collect();
    assert_eq!(errors, ["specs::yaml-syntax"]);
}

#[test]
fn byte_order_marks_and_carriage_returns_change_nothing() {
    let unix = plan_text("Build:\n  tasks:\n    - script: |\n        one\n        two\n");
    let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    assert_eq!(reading(&windows).plans, reading(&unix).plans);
    assert_eq!(reading(&windows).diagnostics, []);
}

#[test]
fn the_same_plan_twice_is_an_error() {
    let text = format!("{0}---\n{0}", plan_text(JOB));
    let result = reading(&text);
    assert_eq!(result.plans.len(), 1);
    assert_eq!(result.diagnostics[0].code, "specs::duplicate-plan");
}

#[test]
fn documents_for_other_servers_are_skipped() {
    for (name, applies) in [
        ("build\\..*", true),
        ("build", false),
        ("other\\.example\\.org", false),
    ] {
        let result = reading(&format!("server-name: {name}\n{}", plan_text(JOB)));
        assert_eq!(result.plans.len(), usize::from(applies), "{name}");
        assert!(!result.has_errors(), "{name}");
        if !applies {
            assert_eq!(result.diagnostics[0].severity, Severity::Info);
            assert_eq!(result.other_documents[0].kind, OtherKind::ForAnotherServer);
        }
    }
    let nameless = read(
        "bamboo-specs/bamboo.yml",
        &format!("server-name: .*x\n{}", plan_text(JOB)),
        &|_: &str| Err(madake_specs::IncludeError::NotFound),
        &Options::default(),
    );
    assert!(nameless.plans.is_empty());
}

#[test]
fn includes_stand_for_any_node_and_nest() {
    let files = [
        (
            "bamboo-specs/jobs/build.yml",
            "tasks:\n  - !include 'tasks/make.yml'\n  - script: !include tasks/body.yml\n",
        ),
        ("bamboo-specs/tasks/make.yml", "script: make\n"),
        ("bamboo-specs/tasks/body.yml", "|\n  one\n  two\n"),
        (
            "bamboo-specs/plans.yml",
            "version: 2\nplan: {project-key: P, key: A, name: a}\nstages: []\n---\nversion: 2\nplan: {project-key: P, key: B, name: b}\nstages: []\n",
        ),
    ];
    let text = format!(
        "{}---\n!include plans.yml\n",
        plan_text("Build: !include \"jobs/build.yml\"\n")
    );
    let result = reading_with(&text, &files);
    assert!(!result.has_errors(), "{:#?}", result.diagnostics);
    let keys: Vec<_> = result
        .plans
        .iter()
        .map(|plan| plan.configuration.key.as_str())
        .collect();
    assert_eq!(keys, ["PROJ-PLAN", "P-A", "P-B"]);
    assert_eq!(result.plans[1].position.file, "bamboo-specs/plans.yml");
    let sources: Vec<_> = result.plans[0].configuration.jobs[0]
        .tasks
        .iter()
        .map(|task| match &task.action {
            TaskAction::Script(script) => script.source.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        sources,
        [
            ScriptSource::Inline("make".to_owned()),
            ScriptSource::Inline("one\ntwo\n".to_owned())
        ]
    );
}

#[test]
fn findings_in_included_files_name_them() {
    let files = [(
        "bamboo-specs/job.yml",
        "description: d\ntasks:\n  - scirpt: make\n",
    )];
    let result = reading_with(&plan_text("Build: !include job.yml\n"), &files);
    let found = &result.diagnostics[0];
    assert_eq!(
        (found.file.as_str(), found.line, found.column),
        ("bamboo-specs/job.yml", 3, 5)
    );
    assert_eq!(found.suggestion.as_deref(), Some("script"));
    assert!(result.plans.is_empty());
}

#[test]
fn the_plan_file_is_bamboo_yml_first() {
    assert_eq!(entry_file(["x.yml", "bamboo.yaml"]), Some(("bamboo.yaml", None)));
    let (name, warning) = entry_file(["bamboo.yaml", "bamboo.yml"]).unwrap();
    assert_eq!(name, "bamboo.yml");
    assert_eq!(warning.unwrap().severity, Severity::Warning);
    assert_eq!(entry_file(["pom.xml"]), None);
}
