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
    let (branch, environment, injected) = (all("n"), all("e"), all("i"));
    layers.branch = &branch;
    assert_eq!(won(&layers), ("n".into(), VariableSource::Branch));
    layers.environment = &environment;
    assert_eq!(won(&layers), ("e".into(), VariableSource::Environment));
    layers.manual = &manual;
    assert_eq!(won(&layers), ("m".into(), VariableSource::Manual));
    layers.injected = &injected;
    assert_eq!(won(&layers), ("i".into(), VariableSource::Injected));
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
fn callers_and_scripts_cannot_ask_for_a_secret_either() {
    let plan = variables(&[("db.password", "hunter2")]);
    let asking = variables(&[("x", "${bamboo.db.password}")]);
    let layers = VariableLayers {
        plan: &plan,
        ..VariableLayers::default()
    };
    for layers in [
        VariableLayers {
            manual: &asking,
            ..layers
        },
        VariableLayers {
            injected: &asking,
            ..layers
        },
    ] {
        let text = substitute("${bamboo.x}", &resolve(&layers), &system).text;
        assert_eq!(text, "${bamboo.db.password}");
    }
    let branch = VariableLayers {
        branch: &asking,
        ..layers
    };
    assert_eq!(
        substitute("${bamboo.x}", &resolve(&branch), &system).text,
        "hunter2"
    );
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
        trigger_reason: Some("ManualBuildTriggerReason"),
        started_by: Some("joe".into()),
        parent: Some("PROJ-LIB-3".into()),
        tag: Some("v1".into()),
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
            previous_revision: Some("aba".into()),
            username: Some("reader".into()),
            is_git: true,
        }],
    };
    let mut own = build_specific(&build);
    own.extend(job_specific(&JobFacts {
        build: &build,
        key: "JOB1",
        name: "Job",
    }));
    own.extend(agent_specific(2));
    let resolved = resolve(&VariableLayers {
        build_specific: &own,
        ..VariableLayers::default()
    });
    // All of bamboo-specs.md 5 and of Atlassian's page but for folders and capabilities, which the agent knows
    // (tests/scenarios/101_build_specific_names).
    let rows = [
        ("agentId", "2"),
        ("buildKey", "PROJ-PLAN0-JOB1"),
        ("buildNumber", "7"),
        ("buildPlanName", "Project - Plan - Job"),
        ("buildResultKey", "PROJ-PLAN0-JOB1-7"),
        ("buildResultsUrl", "http://ci.example/browse/PROJ-PLAN0-JOB1-7"),
        ("buildTimeStamp", "2024-02-01T17:30:00.000+01:00"),
        ("resultsUrl", "http://ci.example/browse/PROJ-PLAN0-JOB1-7"),
        ("planKey", "PROJ-PLAN0"),
        ("planName", "Project - Plan - feature-x"),
        ("shortPlanKey", "PLAN0"),
        ("shortPlanName", "feature-x"),
        ("shortJobKey", "JOB1"),
        ("shortJobName", "Job"),
        ("planRepository.branch", "feature/x"),
        ("planRepository.branchDisplayName", "feature/x"),
        ("planRepository.branchName", "feature/x"),
        ("planRepository.name", "app"),
        ("planRepository.previousRevision", "aba"),
        (
            "planRepository.repositoryUrl",
            "http://ci.example/scm/proj/app.git",
        ),
        ("planRepository.revision", "abc"),
        ("planRepository.type", "git"),
        ("planRepository.username", "reader"),
        ("planRepository.1.branch", "feature/x"),
        ("planRepository.1.branchDisplayName", "feature/x"),
        ("planRepository.1.branchName", "feature/x"),
        ("planRepository.1.name", "app"),
        ("planRepository.1.previousRevision", "aba"),
        (
            "planRepository.1.repositoryUrl",
            "http://ci.example/scm/proj/app.git",
        ),
        ("planRepository.1.revision", "abc"),
        ("planRepository.1.type", "git"),
        ("planRepository.1.username", "reader"),
        ("repository.branch.name", "feature/x"),
        ("repository.git.branch", "feature/x"),
        (
            "repository.git.repositoryUrl",
            "http://ci.example/scm/proj/app.git",
        ),
        ("repository.name", "app"),
        ("repository.pr.key", "12"),
        ("repository.pr.sourceBranch", "feature/x"),
        ("repository.pr.targetBranch", "main"),
        ("repository.previous.revision.number", "aba"),
        ("repository.revision.number", "abc"),
        ("repository.tag", "v1"),
        ("ManualBuildTriggerReason.userName", "joe"),
        (
            "triggerReason.key",
            "com.atlassian.bamboo.plugin.system.triggerReason:ManualBuildTriggerReason",
        ),
        ("dependency.parent.0", "PROJ-LIB-3"),
        ("dependency.parent.total", "1"),
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

fn injected(file: &str, namespace: &str) -> (Vec<(String, String)>, Vec<usize>) {
    let read = read_injected(file, namespace);
    (
        read.variables
            .into_iter()
            .map(|variable| (variable.name, variable.value))
            .collect(),
        read.problems.iter().map(|problem| problem.line).collect(),
    )
}

#[test]
fn files_of_variables_are_read_line_by_line() {
    let file = "\u{feff}# comment\n! too\n\nversion=1.2.3\r\n path = C:\\\\x=y \nempty=\nversion=1.3\nno assignment\n=x\n\
                a b=1\n${x}=1\ndotted.name=ä\n";
    let (variables, problems) = injected(file, "");
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        variables,
        [
            ("inject.dotted.name", "ä"),
            ("inject.empty", ""),
            ("inject.path", "C:\\x=y"),
            ("inject.version", "1.3"),
        ]
    );
    assert_eq!(problems, [8, 9, 10, 11]);
    assert_eq!(injected("a=1", " own ").0, [("own.a".to_owned(), "1".to_owned())]);
}

#[test]
fn blank_behind_a_backslash_ends_the_line() {
    let (variables, problems) = injected("a=x\\ \nb=1", "n");
    let wanted = [("n.a", "x"), ("n.b", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(variables, wanted);
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn files_of_variables_are_read_as_java_reads_them() {
    for (line, expected) in [
        (r"a: b=c", Some(("a", "b=c"))),
        (r"a\:b=c", Some(("a:b", "c"))),
        ("a=one \\\n   two", Some(("a", "one two"))),
        ("a=one\\\\\nb c", Some(("a", "one\\"))),
        ("# no \\\na=1", Some(("a", "1"))),
        (r"a=x\ty\nz\q", Some(("a", "x\ty\nzq"))),
        (
            r"a=h\u00e9 \ud83d\ude00 \ud83d \u12",
            Some(("a", "hé 😀 \u{fffd} u12")),
        ),
        (r"a=\u0000", None),
        (r"a\u0020b=c", None),
        ("a=\\", Some(("a", ""))),
        ("a b", None),
    ] {
        let (variables, problems) = injected(line, "n");
        let expected: Vec<_> = expected
            .map(|(key, value)| (format!("n.{key}"), value.to_owned()))
            .into_iter()
            .collect();
        assert_eq!(variables, expected, "{line}");
        assert_eq!(
            problems.len(),
            usize::from(expected.is_empty() || line.ends_with("b c")),
            "{line}"
        );
    }
}

#[test]
fn files_of_variables_are_bounded() {
    let many: String = (0..5000).map(|n| format!("k{n}=v\n")).collect();
    let (variables, problems) = injected(&many, "n");
    assert_eq!((variables.len(), problems), (1000, vec![1001]));
    let long = format!("a={}\nb=1\n{}=1", "x".repeat(200 << 10), "k".repeat(300));
    let (variables, problems) = injected(&long, "n");
    assert_eq!((variables.len(), problems), (1, vec![1, 3]));
    let endless = "# x\n".repeat(1 << 20);
    assert_eq!(injected(&endless, "n").1.len(), 1);
    let wrong = "x\n".repeat(1000);
    assert_eq!(injected(&wrong, "n").1.len(), 20);
}

#[test]
fn scopes_are_known_in_any_case() {
    for (word, scope) in [
        ("LOCAL", Some(InjectionScope::Local)),
        ("result", Some(InjectionScope::Result)),
        (" Result ", Some(InjectionScope::Result)),
        ("global", None),
    ] {
        assert_eq!(InjectionScope::from_word(word), scope, "{word}");
    }
}

#[test]
fn deployments_and_agents_have_variables_of_their_own() {
    let value = |all: &[Variable], name: &str| {
        all.iter()
            .find(|variable| variable.name == name)
            .map(|variable| variable.value.clone())
    };
    let deployment = deployment_specific(&DeploymentFacts {
        project: "Deploy it".into(),
        environment: "QA".into(),
        release: "release-7".into(),
        previous_release: None,
        is_rollback: false,
    });
    for (name, expected) in [
        ("deploy.project", "Deploy it"),
        ("deploy.environment", "QA"),
        ("deploy.release", "release-7"),
        ("deploy.version", "release-7"),
        ("deploy.release.previous", ""),
        ("deploy.version.previous", ""),
        ("deploy.rollback", "false"),
    ] {
        assert_eq!(value(&deployment, name).as_deref(), Some(expected), "{name}");
    }
    let capabilities =
        crate::capability::Capabilities::from_iter([("system.git.executable", "/usr/bin/git")]);
    let agent = capability_variables(&capabilities);
    assert_eq!(
        value(&agent, "capability.system.git.executable").as_deref(),
        Some("/usr/bin/git")
    );
    assert_eq!(
        environment_name(&agent[0].name),
        "bamboo_capability_system_git_executable"
    );
}

proptest! {
    #[test]
    fn any_file_of_variables_is_read(file in "[a-z=# \n\r\\$\\{\u{0}]{0,80}", namespace in "[a-z ]{0,5}") {
        let read = read_injected(&file, &namespace);
        for variable in &read.variables {
            prop_assert!(!variable.name.contains(char::is_whitespace) && !variable.name.contains(char::is_control));
        }
        let names: Vec<_> = read.variables.iter().map(|variable| &variable.name).collect();
        prop_assert!(names.windows(2).all(|two| two[0] < two[1]));
    }
}
