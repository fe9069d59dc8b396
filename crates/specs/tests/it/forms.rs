//! Forms that mean the same are read as the same, in each task that has a place for them; and the schema takes them.

use madake_domain::plan::{Job, Trigger};

use crate::language::schema_refuses;
use crate::{plan, plan_text, reading};

/// The job of `text`, which stands below `Build:`; nothing is said of it.
fn job(text: &str) -> Job {
    let lines: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let text = plan_text(&format!("Build:\n{lines}"));
    let result = reading(&text);
    let said: Vec<_> = result.diagnostics.iter().map(|one| &one.code).collect();
    assert!(
        said.iter().all(|code| *code == "specs::missing-artifact"),
        "{said:?}: {text}"
    );
    assert_eq!(schema_refuses(&text), None, "{text}");
    plan(&text).jobs[0].clone()
}

fn same(rows: &[(&str, &[&str])]) {
    for (plain, others) in rows {
        let expected = job(plain);
        for other in *others {
            assert_eq!(job(other), expected, "{other}");
        }
    }
}

#[test]
fn a_repository_is_named_alike_in_every_task() {
    for task in [
        "vcs-tag: {tag: t,",
        "vcs-branch: {branch: b,",
        "vcs-commit: {message: m,",
        "vcs-push: {",
        "checkout: {",
    ] {
        let expected = job(&format!("tasks: [{task} repository: r}}]"));
        for form in ["{name: r}", "{name: r, scope: global}"] {
            assert_eq!(
                job(&format!("tasks: [{task} repository: {form}}}]")),
                expected,
                "{task} {form}"
            );
        }
    }
}

#[test]
fn texts_of_tasks_may_be_lists_of_their_parts() {
    same(&[
        (
            "tasks: [{ssh: {host: h, command: \"a\\nb\"}}]",
            &[
                "tasks: [{ssh: {host: [h], command: [a, b]}}]",
                "tasks: [{ssh: {host: h, command: [a, null, b]}}]",
            ],
        ),
        (
            "tasks: [{maven: {executable: m, goal: clean install}}]",
            &["tasks: [{maven: {executable: m, goal: [clean, install]}}]"],
        ),
        (
            "tasks: [{command: {executable: c, argument: -a 1}}]",
            &["tasks: [{command: {executable: c, argument: [-a, 1]}}]"],
        ),
        (
            "tasks: [{script: {file: f, argument: a b}}]",
            &["tasks: [{script: {file: f, argument: [a, b]}}]"],
        ),
        (
            "tasks: [{vcs-commit: {message: \"a\\nb\"}}]",
            &[
                "tasks: [{vcs-commit: {message: [a, b]}}]",
                "tasks: [{vcs-commit: [a, b]}]",
            ],
        ),
    ]);
}

#[test]
fn environments_of_tasks_may_be_lists_and_maps() {
    let rows: [(&str, &[&str]); 5] = [
        (
            "A=\"-Xmx1g -Db.c=d\"",
            &["['A=-Xmx1g -Db.c=d']", "{A: '-Xmx1g -Db.c=d'}"],
        ),
        ("A=1 B=two", &["[A=1, B=two]", "['A=1 B=two']", "{A: 1, B: two}"]),
        (
            "A=\"two words\"",
            &["['A=two words']", "['A=\"two words\"']", "{A: two words}"],
        ),
        (
            "A= B=${bamboo.x}",
            &["[A=, 'B=${bamboo.x}']", "{A: , B: '${bamboo.x}'}"],
        ),
        ("A=\"say \\\"x\\\" \\\\ y\"", &["{A: 'say \"x\" \\ y'}"]),
    ];
    for task in [
        "script: {file: f,",
        "maven: {executable: m, goal: g,",
        "command: {executable: c,",
    ] {
        for (plain, others) in rows {
            let expected = job(&format!("tasks: [{task} environment: '{plain}'}}]"));
            for other in others {
                assert_eq!(
                    job(&format!("tasks: [{task} environment: {other}}}]")),
                    expected,
                    "{task} {other}"
                );
            }
        }
    }
}

#[test]
fn names_that_are_no_variables_and_open_quotes_are_told_in_every_form_of_an_environment() {
    for (form, code) in [
        ("{A B: 1}", "specs::bad-variable"),
        ("{A=B: 1}", "specs::bad-variable"),
        ("['A=\"1']", "specs::open-quote"),
        ("[[A=1]]", "specs::wrong-type"),
        ("{A: [1]}", "specs::wrong-type"),
        ("{MY_TOKEN: abc}", "specs::plain-secret"),
        ("[MY_TOKEN=abc]", "specs::plain-secret"),
    ] {
        let text = plan_text(&format!(
            "Build:\n  tasks: [{{script: {{file: f, environment: {form}}}}}]\n"
        ));
        let result = reading(&text);
        let codes: Vec<_> = result.diagnostics.iter().map(|one| one.code.as_str()).collect();
        assert_eq!(codes, [code], "{form}");
    }
}

#[test]
fn one_thing_is_a_list_of_one() {
    same(&[
        (
            "tasks: [{artifact-download: {artifacts: [{name: a}]}}]",
            &[
                "tasks: [{artifact-download: {artifacts: a}}]",
                "tasks: [{artifact-download: {artifacts: {name: a}}}]",
                "tasks: [{artifact-download: a}]",
                "tasks: [{artifact-download: [a]}]",
                "tasks: [{artifact-download: {name: a}}]",
            ],
        ),
        (
            "tasks: [artifact-download]",
            &[
                "tasks: [{artifact-download: {}}]",
                "tasks: [{artifact-download: {artifacts: []}}]",
            ],
        ),
        (
            "artifacts: [{name: a, pattern: p}]",
            &["artifacts: {name: a, pattern: p}"],
        ),
        (
            "artifact-subscriptions: [{artifact: a}]",
            &[
                "artifact-subscriptions: [a]",
                "artifact-subscriptions: a",
                "artifact-subscriptions: {artifact: a}",
            ],
        ),
        ("requirements: [a]", &["requirements: a", "requirements: {a: }"]),
        (
            "requirements: [{a: b}, {c: d}]",
            &["requirements: {a: b, c: d}", "requirements: [{a: b, c: d}]"],
        ),
        (
            "tasks: [{script: {file: f, conditions: [{variable: {exists: [x]}}]}}]",
            &["tasks: [{script: {file: f, conditions: {variable: {exists: x}}}}]"],
        ),
        (
            "docker: {image: i, volumes: {/a: /b, '${bamboo.x}': /d}}",
            &[
                "docker: {image: i, volumes: ['/a:/b', '${bamboo.x}:/d']}",
                "docker: {image: i, volumes: [{/a: /b}, {'${bamboo.x}': /d}]}",
            ],
        ),
        (
            "tasks: [{script: {interpreter: SHELL, scripts: [x]}}]",
            &["tasks: [{script: {interpreter: RUN_AS_EXECUTABLE, scripts: x}}]"],
        ),
        (
            "tasks: [{script: {interpreter: BINSH_OR_CMDEXE, scripts: [x]}}]",
            &[
                "tasks: [{script: {interpreter: LEGACY_SH_BAT, scripts: [x]}}]",
                "tasks: [{script: {interpreter: sh, scripts: [x]}}]",
            ],
        ),
    ]);
    let text = plan_text("Build: {tasks: [], docker: {image: i, volumes: ['/a:/b:ro']}}\n");
    assert!(reading(&text).has_errors());
}

#[test]
fn a_trigger_behind_deployments_may_name_the_project_alone() {
    let triggers = |form: &str| -> Vec<Trigger> {
        let text = plan_text(&format!(
            "Build: {{tasks: []}}\ntriggers: [{{after-deployment: {form}}}]\n"
        ));
        assert_eq!(schema_refuses(&text), None, "{text}");
        plan(&text).triggers.unwrap()
    };
    assert_eq!(triggers("release"), triggers("{deployment-project: release}"));
}

#[test]
fn sections_of_a_plan_may_be_one_thing_and_names_may_be_keys() {
    let whole = |section: &str| {
        let text = plan_text(&format!("Build: {{tasks: []}}\n{section}\n"));
        assert_eq!(schema_refuses(&text), None, "{text}");
        plan(&text)
    };
    let rows: [(&str, &[&str]); 6] = [
        ("triggers: [{polling: 60}]", &["triggers: {polling: 60}"]),
        ("triggers: [remote]", &["triggers: remote"]),
        (
            "notifications: [{recipients: [watchers], events: [plan-failed]}]",
            &["notifications: {recipients: watchers, events: plan-failed}"],
        ),
        ("variables: {a: 1, b: }", &["variables: [{a: 1}, {b: }]"]),
        (
            "repositories: [{a: {branch: x}}, {b: {branch: y}}]",
            &["repositories: {a: {branch: x}, b: {branch: y}}"],
        ),
        ("repositories: [a]", &["repositories: a", "repositories: {a: }"]),
    ];
    for (plain, others) in rows {
        for other in others {
            assert_eq!(whole(other), whole(plain), "{other}");
        }
    }
    let overrides = "branch-overrides: {x: {labels: a}, y: {labels: b}}";
    assert_eq!(
        whole(overrides),
        whole("branch-overrides: [{x: {labels: a}}, {y: {labels: b}}]")
    );
}

#[test]
fn what_may_mean_two_things_is_refused_still() {
    for section in [
        "variables: [{name: a, value: b}]",
        "variables: [a]",
        "variables: [{a: 1}, {a: 2}]",
        "repositories: {a: x, b: y}",
        "repositories: {a: {branch: x}, b: }",
        "triggers: {polling: 60, remote: }",
        "triggers: {}",
        "notifications: watchers",
        "plan-permissions: {admin: [view]}",
    ] {
        let text = plan_text(&format!("Build: {{tasks: []}}\n{section}\n"));
        assert!(reading(&text).has_errors(), "{text}");
    }
}

#[test]
fn a_trigger_of_an_environment_may_be_one() {
    let deployment = |triggers: &str| {
        let text = format!(
            "version: 2\ndeployment: {{name: d, source-plan: P-Q}}\nrelease-naming: r\nenvironments: [E]\nE: {{tasks: [clean], triggers: {triggers}}}\n"
        );
        assert_eq!(schema_refuses(&text), None, "{text}");
        let result = reading(&text);
        assert!(!result.has_errors(), "{:?}", result.diagnostics);
        result.deployments[0].configuration.clone()
    };
    assert_eq!(deployment("build-success"), deployment("[build-success]"));
    assert_eq!(
        deployment("{stage-success: S}"),
        deployment("[{stage-success: S}]")
    );
}

#[test]
fn the_schema_has_the_forms_that_the_reader_takes_elsewhere() {
    for section in [
        "notifications: [{recipients: {users: joe}, events: plan-failed}]",
        "notifications: [{recipients: committers, events: {plan-failed: 3}}]",
        "dependencies: {plans: P-Q, block-strategy: block_if_unbuilt_changes}",
        "triggers: [{polling: {period: 60, conditions: {green-plan: P-Q}}}]",
        "labels: one",
    ] {
        let text = plan_text(&format!("Build: {{tasks: []}}\n{section}\n"));
        assert!(!reading(&text).has_errors(), "{text}");
        assert_eq!(schema_refuses(&text), None, "{text}");
    }
    let schema = madake_specs::json_schema().to_string();
    for word in [
        "block_if_unbuilt_changes",
        "LEGACY_SH_BAT",
        "\"sh\"",
        "\"exclude\"",
    ] {
        assert!(schema.contains(word), "{word}");
    }
}
