//! Precedence, references, bounds.

use proptest::prelude::*;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Vec<Variable> {
    pairs
        .iter()
        .map(|(name, value)| variable(*name, *value))
        .collect()
}

fn plan_layer(pairs: &[(&str, &str)]) -> Vec<ResolvedVariable> {
    resolve(&VariableLayers {
        plan: &variables(pairs),
        ..VariableLayers::default()
    })
}

fn system(name: &str) -> Option<String> {
    (name == "HOME").then(|| "/home/${bamboo.a}".to_owned())
}

#[test]
fn later_layers_win() {
    let all = |value: &str| variables(&[("a", value)]);
    let (global, project, plan, manual, own) = (all("g"), all("p"), all("l"), all("m"), all("b"));
    let mut layers = VariableLayers {
        global: &global,
        ..VariableLayers::default()
    };
    let won = |layers: &VariableLayers<'_>| {
        let all = resolve(layers);
        assert_eq!(all.len(), 1);
        (all[0].value.clone(), all[0].source)
    };
    assert_eq!(won(&layers), ("g".into(), VariableSource::Global));
    layers.project = &project;
    assert_eq!(won(&layers), ("p".into(), VariableSource::Project));
    layers.plan = &plan;
    assert_eq!(won(&layers), ("l".into(), VariableSource::Plan));
    layers.manual = &manual;
    assert_eq!(won(&layers), ("m".into(), VariableSource::Manual));
    layers.build_specific = &own;
    assert_eq!(won(&layers), ("b".into(), VariableSource::BuildSpecific));

    let prefixed = variables(&[("bamboo.a", "x")]);
    let all = resolve(&VariableLayers {
        plan: &plan,
        manual: &prefixed,
        ..VariableLayers::default()
    });
    assert_eq!((all.len(), &*all[0].value), (1, "x"));
}

#[test]
fn environment_names_have_no_dots() {
    assert_eq!(environment_name("a.b"), "bamboo_a_b");
    assert_eq!(
        environment_name("planRepository.1.branch"),
        "bamboo_planRepository_1_branch"
    );
    assert_eq!(environment_name("a=b\nc\0d"), "bamboo_a_b_c_d");
}

#[test]
fn secret_names_are_recognised() {
    for name in [
        "password",
        "db.PASSWORD",
        "my_secret_thing",
        "sshKey",
        "ssh.key",
        "key.passphrase",
        "pass-word",
    ] {
        assert!(looks_secret(name), "{name}");
    }
    for name in ["user", "key", "release.version", "pass"] {
        assert!(!looks_secret(name), "{name}");
    }
}

#[test]
fn references_are_replaced() {
    let variables = plan_layer(&[
        ("a", "1"),
        ("b.c", "x${bamboo.a}y"),
        ("loop", "<${bamboo.pool}>"),
        ("pool", "${bamboo.loop}"),
        ("self", "${bamboo.self}"),
    ]);
    let rows = [
        ("plain $a ${a} $bamboo_a", "plain $a ${a} $bamboo_a"),
        ("${bamboo.a}${bamboo.a}", "11"),
        ("-${bamboo.b.c}-", "-x1y-"),
        ("${bamboo.nothing} ${bamboo.a}", "${bamboo.nothing} 1"),
        ("${system.HOME}", "/home/${bamboo.a}"),
        ("${system.NOTHING}", "${system.NOTHING}"),
        ("${bamboo.self}", "${bamboo.self}"),
        ("${bamboo.loop}", "<${bamboo.loop}>"),
        ("${bamboo.a", "${bamboo.a"),
        ("${bamboo.}", "${bamboo.}"),
        ("${${bamboo.a}}", "${1}"),
        ("${bamboo.${bamboo.a}}", "${bamboo.1}"),
        ("$${bamboo.a}", "$1"),
        ("${bamboo.A}", "${bamboo.A}"),
        ("ä${bamboo.ä}${", "ä${bamboo.ä}${"),
    ];
    for (text, expected) in rows {
        assert_eq!(substitute(text, &variables, &system).text, expected, "{text}");
    }
    let found = substitute(
        "${bamboo.no} ${bamboo.no} ${system.no} ${bamboo.self}",
        &variables,
        &system,
    );
    assert_eq!(found.unknown, ["${bamboo.no}", "${system.no}"]);
    assert_eq!(found.stopped, ["${bamboo.self}"]);
}

#[test]
fn a_branch_name_cannot_ask_for_a_secret() {
    let plan = variables(&[
        ("db.password", "hunter2"),
        ("shown", "on ${bamboo.repository.branch.name}"),
    ]);
    let own = variables(&[("repository.branch.name", "${bamboo.db.password}")]);
    let resolved = resolve(&VariableLayers {
        plan: &plan,
        build_specific: &own,
        ..VariableLayers::default()
    });
    for text in ["${bamboo.repository.branch.name}", "${bamboo.shown}"] {
        assert!(!substitute(text, &resolved, &system).text.contains("hunter2"));
    }
}

#[test]
fn bombs_are_bounded() {
    let names: Vec<String> = (0..40).map(|n| format!("v{n}")).collect();
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for n in 0..39 {
        pairs.push((&names[n], format!("${{bamboo.{}}}", names[n + 1]).repeat(10)));
    }
    pairs.push((&names[39], "x".repeat(100_000)));
    let borrowed: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let bomb = substitute("${bamboo.v0}${bamboo.v31}", &plan_layer(&borrowed), &system);
    assert!(bomb.text.len() <= MAX_OUTPUT + 4_000_000, "{}", bomb.text.len());
    assert!(!bomb.stopped.is_empty());
    let wide = format!("${{bamboo.{}}}", names[39]).repeat(1000);
    assert!(substitute(&wide, &plan_layer(&borrowed), &system).text.len() <= MAX_OUTPUT + wide.len());
}

#[test]
fn build_specific_names_are_those_of_bamboo() {
    let build = BuildFacts {
        plan: "PROJ-PLAN0".parse().expect("a key"),
        project_name: "Project".into(),
        plan_name: "Plan".into(),
        branch_name: Some("feature-x".into()),
        number: 7,
        timestamp: "2024-02-01T17:30:00.000+01:00".into(),
        base_url: "http://ci.example".into(),
        started_by: Some("joe".into()),
        pull_request: Some(ProposedBy {
            number: 12,
            source_branch: "feature/x".into(),
            target_branch: "main".into(),
        }),
        repositories: vec![BuildRepository {
            name: "app".into(),
            url: "http://ci.example/scm/proj/app.git".into(),
            branch: "feature/x".into(),
            revision: "abc".into(),
            is_git: true,
            ..BuildRepository::default()
        }],
    };
    let mut own = build_specific(&build);
    own.extend(job_specific(&JobFacts {
        build: &build,
        key: "JOB1",
        name: "Job",
    }));
    let resolved = resolve(&VariableLayers {
        build_specific: &own,
        ..VariableLayers::default()
    });
    let rows = [
        ("buildNumber", "7"),
        ("buildKey", "PROJ-PLAN0-JOB1"),
        ("buildResultKey", "PROJ-PLAN0-JOB1-7"),
        ("buildResultsUrl", "http://ci.example/browse/PROJ-PLAN0-JOB1-7"),
        ("planKey", "PROJ-PLAN0"),
        ("shortPlanKey", "PLAN0"),
        ("planName", "Project - Plan - feature-x"),
        ("shortPlanName", "feature-x"),
        ("planRepository.branchName", "feature/x"),
        ("planRepository.1.revision", "abc"),
        ("repository.git.branch", "feature/x"),
        ("repository.pr.key", "12"),
        ("repository.pr.sourceBranch", "feature/x"),
        ("repository.pr.targetBranch", "main"),
        ("ManualBuildTriggerReason.userName", "joe"),
    ];
    for (name, expected) in rows {
        let text = substitute(&format!("${{bamboo.{name}}}"), &resolved, &system).text;
        assert_eq!(text, expected, "{name}");
    }
    assert_eq!(own.len(), resolved.len(), "a name is given twice");
}

proptest! {
    #[test]
    fn text_without_references_stays(text in "[^$]{0,60}|(\\$[^{]|[a-z{}]){0,40}") {
        prop_assert_eq!(substitute(&text, &plan_layer(&[("a", "1")]), &system).text, text);
    }

    #[test]
    fn substitution_ends_within_its_bounds(
        values in proptest::collection::vec("(x|\\$\\{bamboo\\.[a-f]\\}){0,12}", 6),
        text in "(y|\\$\\{bamboo\\.[a-g]\\}){0,12}",
    ) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let pairs: Vec<(&str, &str)> = names.iter().copied().zip(values.iter().map(String::as_str)).collect();
        let resolved = plan_layer(&pairs);
        let done = substitute(&text, &resolved, &system);
        // Each reference that was followed adds at most one value or its own spelling.
        prop_assert!(done.text.len() <= MAX_OUTPUT + MAX_REFERENCES * 12 * 12);
        if done.stopped.is_empty() && done.unknown.is_empty() {
            let left = done.text.contains("${bamboo.");
            prop_assert!(!left);
        }
    }
}
