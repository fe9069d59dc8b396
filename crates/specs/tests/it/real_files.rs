//! What plan files of strangers have that the reference does not: the names, places and parts that they are read by.

use madake_domain::plan::{BlockStrategy, TaskAction};
use madake_specs::{IncludeError, MentionKind, Options, Severity, read};

use crate::{plan, plan_text, reading};

#[test]
fn plans_wait_for_their_parents_by_bamboos_names() {
    let rows = [
        ("none", BlockStrategy::None),
        ("block_if_parent_in_progress", BlockStrategy::ParentInProgress),
        ("BLOCK_IF_PARENT_HAS_CHANGES", BlockStrategy::UnbuiltChanges),
        ("block_if_unbuilt_changes", BlockStrategy::UnbuiltChanges),
    ];
    for (name, strategy) in rows {
        let text = format!("Build:\n  tasks: []\ndependencies: {{block-strategy: {name}}}\n");
        assert_eq!(
            plan(&plan_text(&text)).dependencies.block_strategy,
            strategy,
            "{name}"
        );
    }
}

#[test]
fn destinations_that_begin_with_a_slash_are_below_the_working_directory() {
    let text = "Build:\n  tasks:\n    - artifact-download: {destination: /workdir/x}\n    - artifact-download: {destination: /}\n";
    let tasks = plan(&plan_text(text)).jobs[0].tasks.clone();
    let folders: Vec<&str> = tasks
        .iter()
        .map(|task| match &task.action {
            TaskAction::ArtifactDownload(download) => download.items[0].destination.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(folders, ["workdir/x", ""]);
}

#[test]
fn parts_that_other_files_include_are_checked_for_themselves() {
    let read = |name: &str, text: &str| {
        let reading = read(
            name,
            text,
            &|_: &str| Err(IncludeError::NotFound),
            &Options::default(),
        );
        let found = reading.diagnostics.iter();
        found
            .map(|one| (one.severity, one.code.clone(), one.line))
            .collect::<Vec<_>>()
    };
    let job = "key: JOB1\ntasks:\n  - clean\n  - script: make\n";
    let (part, warning) = ("specs::part".to_owned(), Severity::Warning);
    assert_eq!(
        read("bamboo-specs/jobs/build.yml", job),
        [(warning, part.clone(), 1)]
    );
    assert_eq!(
        read("tasks.yml", "- clean\n- checkout\n- script: make\n"),
        [(warning, part.clone(), 1)]
    );
    let faulty = read("jobs/build.yml", "tasks:\n  - clean\n  - scrpit: make\n");
    assert_eq!(
        faulty,
        [
            (warning, part, 1),
            (Severity::Error, "specs::unknown-task".to_owned(), 3)
        ]
    );
    for (name, text) in [
        ("bamboo-specs/bamboo.yml", job),
        ("bamboo.yaml", job),
        ("x.yml", "- one\n- two\n"),
        ("x.yml", "a: b\n"),
    ] {
        let found = read(name, text);
        assert_eq!(found[0].1, "specs::unrecognised-document", "{name}: {text}");
    }
}

#[test]
fn keys_that_bamboo_would_refuse_are_taken_where_one_thing_is_meant() {
    let result = reading(include_str!("faults/lenient_keys.yml"));
    let keys: Vec<_> = result
        .plans
        .iter()
        .map(|plan| plan.configuration.key.as_str())
        .collect();
    assert_eq!(keys, ["PROJ-TESTPLAN", "PROJ-OTHER", "HW-GO"]);
    let named: Vec<_> = result.permissions.iter().map(|one| one.plan.as_str()).collect();
    assert_eq!(named, ["PROJ-TESTPLAN", "PROJ-OTHER"]);
}

#[test]
fn keys_are_corrected_only_where_one_thing_is_meant() {
    let rows = [
        ("PLAN", Some("ABC-PLAN"), None),
        ("test-plan", Some("ABC-TESTPLAN"), Some("TESTPLAN")),
        ("ABC-PLAN", Some("ABC-PLAN"), Some("PLAN")),
        ("abc-plan", Some("ABC-PLAN"), Some("PLAN")),
        ("ABC-my-plan", Some("ABC-MYPLAN"), Some("MYPLAN")),
        ("my plan.2", Some("ABC-MYPLAN2"), Some("MYPLAN2")),
        ("XYZ-PLAN", None, Some("PLAN")),
        ("1APP", None, Some("APP")),
        ("ÄPP", None, None),
        ("-app", None, Some("APP")),
        ("---", None, None),
    ];
    for (written, key, suggestion) in rows {
        let version_2 = format!(
            "version: 2\nplan: {{project-key: ABC, key: '{written}', name: n}}\nstages: [S: [J]]\nJ: {{tasks: [clean]}}\n"
        );
        let version_1 = format!(
            "project: {{key: ABC, plan: {{key: '{written}', name: n}}}}\nstages: [{{jobs: [{{scripts: [make]}}]}}]\n"
        );
        for text in [&version_2, &version_1] {
            let result = reading(text);
            let read = result.plans.first().map(|plan| plan.configuration.key.as_str());
            assert_eq!(read, key, "{text}");
            let mut found = result.diagnostics.iter();
            let found = found.find(|one| one.code == "specs::bad-key");
            assert_eq!(found.is_none(), written == "PLAN", "{text}");
            if let Some(found) = found.filter(|_| written != "XYZ-PLAN" || text == &version_1) {
                assert_eq!(found.suggestion.as_deref(), suggestion, "{text}");
            }
        }
    }
}

#[test]
fn documents_of_corrected_keys_are_about_the_plan_that_is_made() {
    let text = "version: 2\nplan: {project-key: PROJ, key: test-plan, name: n}\nstages: [S: [J]]\nJ: {tasks: [claen]}\n---\n\
        version: 2\nplan: {key: test-plan}\nplan-permissions: [{users: joe, permissions: view}]\n---\n\
        version: 2\nplan: {key: TESTPLAN}\nplan-permissions: [{users: joe, permissions: view}]\n---\n\
        project: {key: HW, plan: {key: HW-GO, name: Go}}\nstages: [{jobs: [{scirpts: [make]}]}]\n";
    let result = reading(text);
    let subjects: Vec<_> = result
        .diagnostics
        .iter()
        .map(|one| (one.line, one.subject.as_deref()))
        .collect();
    assert_eq!(
        subjects,
        [
            (2, Some("plan PROJ-TESTPLAN")),
            (4, Some("plan PROJ-TESTPLAN")),
            (7, Some("permissions of plan PROJ-TESTPLAN")),
            (11, Some("permissions of plan PROJ-TESTPLAN")),
            (11, Some("permissions of plan PROJ-TESTPLAN")),
            (14, Some("plan HW-GO")),
            (15, Some("plan HW-GO")),
            (15, Some("plan HW-GO")),
        ]
    );
    let place = result
        .mentions
        .iter()
        .rfind(|one| one.kind == MentionKind::Permissions)
        .unwrap();
    assert!(
        place.is_about("permissions of plan", "PROJ-TESTPLAN"),
        "{place:?}"
    );
}

#[test]
fn short_keys_name_plans_of_the_file_whose_keys_were_corrected_and_those_of_version_1() {
    let text = "version: 2\nplan: {project-key: PROJ, key: PROJ-APP, name: n}\nstages: [S: [J]]\nJ: {tasks: [clean]}\n---\n\
        project: {key: HW, plan: {key: GO, name: Go}}\nstages: [{jobs: [{scripts: [make]}]}]\n---\n\
        version: 2\nplan: {project-key: PROJ, key: NEXT, name: n}\nstages: [S: [J]]\n\
        J: {tasks: [{artifact-download: {source-plan: APP}}, {artifact-download: {source-plan: GO}}, {artifact-download: {source-plan: proj-app}}]}\n";
    let result = reading(text);
    assert!(!result.has_errors(), "{:#?}", result.diagnostics);
    let tasks = &result.plans[2].configuration.jobs[0].tasks;
    let sources: Vec<_> = tasks
        .iter()
        .map(|task| match &task.action {
            TaskAction::ArtifactDownload(download) => download.source_plan.as_ref().unwrap().as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sources, ["PROJ-APP", "HW-GO", "PROJ-APP"]);
}

#[test]
fn question_marks_outside_of_day_fields_stand_for_any_value() {
    let validate_cron = |text: &str| match text.split(' ').enumerate().find(|(_, field)| *field == "?") {
        None | Some((3 | 5, _)) => Ok(()),
        Some((index, _)) => Err(format!("`?` in field {index}")),
    };
    let options = Options {
        validate_cron: &validate_cron,
        ..Options::default()
    };
    let text = plan_text("Build:\n  tasks: []\ntriggers:\n  - cron: 0 0 * * ? *\n  - cron: 0 0 3 ? * MON\n");
    let result = read(
        "bamboo.yml",
        &text,
        &|_: &str| Err(IncludeError::NotFound),
        &options,
    );
    let found = result.diagnostics.iter();
    let found: Vec<_> = found.map(|one| (one.severity, one.line)).collect();
    assert_eq!(found, [(Severity::Warning, 11)]);
    let triggers = format!("{:?}", result.plans[0].configuration.triggers);
    assert!(
        triggers.contains("\"0 0 * * * *\"") && triggers.contains("\"0 0 3 ? * MON\""),
        "{triggers}"
    );
}
