//! Keys, labels, values, and the sentences.

use proptest::prelude::*;

use super::*;
use crate::plan::{AntTask, MavenTask, TaskCondition};

fn demand(key: &str, test: ValueTest) -> Demand {
    Demand {
        key: key.to_owned(),
        test,
        asked_by: AskedBy::Job,
    }
}

fn agent<'a>(name: &'a str, capabilities: &'a Capabilities) -> AgentProfile<'a> {
    AgentProfile {
        name,
        state: AgentState::Online,
        capabilities,
    }
}

fn linux() -> Capabilities {
    Capabilities::from_iter([
        ("os", "Ubuntu 24"),
        ("system.git.executable", "/usr/bin/git"),
        ("system.jdk.JDK 21", "/usr/lib/jvm/21"),
        ("system.builder.mvn3.Maven 3.9", "/usr/share/maven"),
        ("hasDocker", ""),
    ])
}

fn windows() -> Capabilities {
    Capabilities::from_iter([("os", "Windows"), ("adg-docker", "true")])
}

#[test]
fn capabilities_are_asked_for_by_key_label_and_value() {
    let linux = linux();
    let exists = || ValueTest::Exists;
    let equals = |value: &str| ValueTest::Equals(value.to_owned());
    let matches = |value: &str| ValueTest::Matches(value.to_owned());
    for (key, test, met) in [
        ("hasDocker", exists(), true),
        ("HASDOCKER", exists(), false),
        ("JDK 21", exists(), true),
        ("JDK", exists(), false),
        ("jdk.JDK 21", exists(), false),
        ("Maven 3.9", exists(), true),
        ("system.builder.mvn3.Maven 3.9", exists(), true),
        ("executable", exists(), false),
        ("os", equals("Ubuntu 24"), true),
        ("os", equals("Ubuntu"), false),
        ("os", matches(r"Ubuntu \d+"), true),
        ("os", matches("Ubuntu"), false),
        ("os", matches("Windows|Ubuntu 24"), true),
        ("os", matches("x)|(?:.*"), false),
        ("hasDocker", matches(""), true),
        ("JDK 21", matches(".*"), true),
    ] {
        let demands = [demand(key, test.clone())];
        let fit = find_agents(&demands, &[agent("a", &linux)]);
        assert_eq!(!fit.able.is_empty(), met, "{key} {test:?}");
        assert_eq!(fit.explanation.is_empty(), met, "{key} {test:?}");
    }
}

#[test]
fn labels_are_what_people_chose() {
    for (key, expected) in [
        ("system.jdk.JDK 1.8", Some("JDK 1.8")),
        ("system.builder.command.Python 3.11", Some("Python 3.11")),
        ("system.builder.node.Node.js 18", Some("Node.js 18")),
        ("system.builder.node", None),
        ("system.jdk.", None),
        ("system.git.executable", None),
        ("JDK 21", None),
    ] {
        assert_eq!(label(key), expected, "{key}");
    }
}

#[test]
fn requirement_that_nobody_meets_is_named() {
    let (linux, windows) = (linux(), windows());
    let agents = [agent("one", &linux), agent("two", &windows)];
    for (demands, expected) in [
        (
            vec![demand("gpu", ValueTest::Exists)],
            "no agent can take the job: the job asks for `gpu`, which no agent has",
        ),
        (
            vec![demand("os", ValueTest::Matches("macOS.*".into()))],
            "no agent can take the job: the job asks for `os` with a value that matches `macOS.*`, which no agent has (there is `Ubuntu 24` and `Windows`)",
        ),
        (
            vec![
                Demand::of_task("system.builder.ant.Ant", 2, "ant"),
                demand("os", ValueTest::Equals("x".into())),
                demand("hasDocker", ValueTest::Exists),
            ],
            "no agent can take the job: task 2 (ant) asks for `system.builder.ant.Ant`, which no agent has; the job asks for `os` with the value `x`, which no agent has (there is `Ubuntu 24` and `Windows`)",
        ),
        (
            vec![
                demand("hasDocker", ValueTest::Exists),
                demand("adg-docker", ValueTest::Equals("true".into())),
            ],
            "no agent can take the job: each requirement is met by some agent, but none meets all of them; `one` lacks `adg-docker` with the value `true` and `two` lacks `hasDocker`",
        ),
    ] {
        assert_eq!(find_agents(&demands, &agents).explanation, expected);
    }
    let bad = find_agents(&[demand("os", ValueTest::Matches("(".into()))], &agents);
    assert!(
        bad.explanation
            .contains("`os` with a value that matches `(`, which is no regular expression ("),
        "{}",
        bad.explanation
    );
    assert_eq!(
        find_agents(&[], &[]).explanation,
        "no agent can take the job: there is no agent at all"
    );
}

#[test]
fn agents_that_are_away_do_not_take_jobs() {
    let (linux, windows) = (linux(), windows());
    let demands = [demand("hasDocker", ValueTest::Exists)];
    let mut agents = [
        agent("one", &linux),
        agent("two", &windows),
        agent("three", &linux),
    ];
    assert_eq!(find_agents(&demands, &agents).able, [0, 2]);
    agents[0].state = AgentState::Offline;
    assert_eq!(find_agents(&demands, &agents).able, [2]);
    agents[2].state = AgentState::Disabled;
    let fit = find_agents(&demands, &agents);
    assert!(fit.able.is_empty());
    assert_eq!(
        fit.explanation,
        "no agent can take the job now: of those that could, `one` is offline and `three` is disabled"
    );
    assert_eq!(fit.agents[1].shortfalls, [(0, Shortfall::Missing)]);
}

#[test]
fn what_an_administrator_says_replaces_what_was_found() {
    let mut capabilities = linux();
    capabilities.set("os", "Debian 13");
    assert_eq!(capabilities.value("os"), Some("Debian 13"));
    assert_eq!(capabilities.iter().count(), 5);
}

#[test]
fn l1_hostile_expressions_are_bounded() {
    let capabilities = Capabilities::from_iter([("a", "a".repeat(100_000))]);
    let started = std::time::Instant::now();
    for expression in [
        "(a+)+$b",
        "(a|aa)+c",
        "(a*)*b",
        &"(".repeat(10_000),
        "a{1000}{1000}{1000}",
    ] {
        let demands = [demand("a", ValueTest::Matches(expression.to_owned()))];
        assert!(
            find_agents(&demands, &[agent("x", &capabilities)])
                .able
                .is_empty()
        );
    }
    assert!(started.elapsed().as_secs() < 20);
}

#[test]
fn long_lists_are_cut_in_sentences() {
    let windows = windows();
    let names: Vec<String> = (0..20).map(|n| format!("agent{n}")).collect();
    let agents: Vec<AgentProfile<'_>> = names
        .iter()
        .map(|name| AgentProfile {
            state: AgentState::Offline,
            ..agent(name, &windows)
        })
        .collect();
    let explanation = find_agents(&[], &agents).explanation;
    assert!(
        explanation.ends_with("`agent4` is offline and 15 more"),
        "{explanation}"
    );
}

proptest! {
    #[test]
    fn an_agent_is_able_exactly_when_it_lacks_nothing(
        keys in prop::collection::vec("[a-c]", 0..4),
        held in prop::collection::vec(prop::collection::vec("[a-c]", 0..4), 0..5),
    ) {
        let demands: Vec<Demand> = keys.iter().map(|key| demand(key, ValueTest::Exists)).collect();
        let capabilities: Vec<Capabilities> = held
            .iter()
            .map(|keys| keys.iter().map(|key| (key.clone(), "")).collect())
            .collect();
        let agents: Vec<AgentProfile<'_>> = capabilities.iter().map(|held| agent("x", held)).collect();
        let fit = find_agents(&demands, &agents);
        for (number, held) in held.iter().enumerate() {
            prop_assert_eq!(fit.able.contains(&number), keys.iter().all(|key| held.contains(key)));
        }
        prop_assert_eq!(fit.able.is_empty(), !fit.explanation.is_empty());
    }

    #[test]
    fn any_expression_is_matched_or_refused(expression in ".{0,30}", value in ".{0,30}") {
        let capabilities = Capabilities::from_iter([("k", value)]);
        let _ = find_agents(&[demand("k", ValueTest::Matches(expression))], &[agent("a", &capabilities)]);
    }
}

#[test]
fn jdks_that_tasks_name_are_asked_for() {
    let maven = |jdk: &str| {
        Task::from(TaskAction::Maven(MavenTask {
            jdk: jdk.to_owned(),
            ..MavenTask::default()
        }))
    };
    let ant = Task::from(TaskAction::Ant(AntTask {
        jdk: " JDK 8 ".to_owned(),
        ..AntTask::default()
    }));
    let off = Task {
        enabled: false,
        ..maven("JDK 1")
    };
    let maybe = Task {
        conditions: vec![TaskCondition::Exists {
            variable: "x".to_owned(),
        }],
        ..maven("JDK 2")
    };
    let named = Task {
        description: "Compile".to_owned(),
        ..maven("system.jdk.JDK 21")
    };
    let tasks = [
        off,
        maven(""),
        maven("${bamboo.jdk}"),
        maybe,
        maven("JDK 11"),
        ant,
        maven("JDK 11"),
        named,
    ];
    let own = [Requirement {
        key: "os".to_owned(),
        matches: None,
    }];
    let asked = |docker: Option<&Docker>| -> Vec<String> {
        Demand::of_work(&own, docker, &tasks)
            .iter()
            .map(|demand| format!("{} asks for {demand}", demand.asked_by))
            .collect()
    };
    assert_eq!(
        asked(None),
        [
            "the job asks for `os`",
            "task 5 (maven) asks for `system.jdk.JDK 11`",
            "task 6 (ant) asks for `system.jdk.JDK 8`",
            "task 8 (Compile) asks for `system.jdk.JDK 21`",
        ]
    );
    let docker = Docker {
        image: "maven:3".to_owned(),
        volumes: Vec::new(),
        run_arguments: Vec::new(),
        use_default_volumes: true,
    };
    assert_eq!(asked(Some(&docker)), ["the job asks for `os`"]);
}
