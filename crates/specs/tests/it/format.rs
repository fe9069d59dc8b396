//! The rest of the format: what is read and not run yet is read as it is meant.

use madake_domain::plan::{
    ArtifactDownloadItem, BlockStrategy, BranchIntegration, DockerTaskAction, EnvironmentEvent,
    EnvironmentPermission, EnvironmentTriggerKind, ExpiryPeriod, IntegrationStrategy, NodeTool, PlanEvent,
    PlanOther, Recipient, ReleaseApproval, RemoteAuthentication, RepositoryAuthentication,
    RepositoryDefinition, ScriptSource, Task, TaskAction, TaskCondition, TaskTests, TestFormat,
    TestReportKind,
};
use madake_specs::{Reading, Severity};

use crate::{plan, plan_text, reading};

fn whole() -> madake_domain::plan::PlanConfiguration {
    plan(include_str!("whole.yml"))
}

fn task(text: &str) -> Task {
    let plan = plan(&plan_text(&format!("Build:\n  tasks:\n    - {text}\n")));
    plan.jobs[0].tasks[0].clone()
}

fn codes(result: &Reading, severity: Severity) -> Vec<&str> {
    result
        .diagnostics
        .iter()
        .filter(|found| found.severity == severity)
        .map(|found| found.code.as_str())
        .collect()
}

#[test]
fn artifacts_are_shared_unless_the_file_says_otherwise() {
    let plan = whole();
    let job = plan.job("Compile").unwrap();
    let [jars, logs] = job.artifacts.as_slice() else {
        panic!("{:?}", job.artifacts);
    };
    assert_eq!(
        (jars.shared, jars.required, jars.location.as_str()),
        (true, true, "target")
    );
    assert_eq!(
        (logs.shared, logs.required, logs.http_compression),
        (false, false, false)
    );
    assert_eq!(job.artifact_subscriptions, Some(Vec::new()));
    let subscriptions = plan.job("Check").unwrap().artifact_subscriptions.clone().unwrap();
    assert_eq!(subscriptions[0].destination, "lib");
    assert_eq!(subscriptions[1].destination, "");
    assert_eq!(plan.job("Sweep").unwrap().artifact_subscriptions, None);
}

#[test]
fn downloads_take_all_their_spellings() {
    let item = |name: Option<&str>, destination: &str| ArtifactDownloadItem {
        name: name.map(str::to_owned),
        destination: destination.to_owned(),
    };
    for (text, plan, items) in [
        ("artifact-download", None, vec![item(None, "")]),
        ("artifact-download: {destination: /}", None, vec![item(None, "")]),
        (
            "artifact-download: {name: a, destination: ./lib}",
            None,
            vec![item(Some("a"), "./lib")],
        ),
        (
            "artifact-download: {source-plan: P-Q, artifacts: [{name: a}, {destination: b}, {}]}",
            Some("P-Q"),
            vec![item(Some("a"), ""), item(None, "b"), item(None, "")],
        ),
        ("artifact-download: {artifacts: []}", None, vec![item(None, "")]),
    ] {
        let TaskAction::ArtifactDownload(task) = task(text).action else {
            panic!("{text}");
        };
        assert_eq!(
            task.source_plan.as_ref().map(madake_domain::key::PlanKey::as_str),
            plan,
            "{text}"
        );
        assert_eq!(task.items, items, "{text}");
    }
}

#[test]
fn conditions_name_variables_with_or_without_bamboo() {
    let task = task(
        "script: {scripts: x, conditions: [{variable: {equals: {bamboo.a: b, '${bamboo.c}': d}}}, {variable: {exists: [e, f]}}]}",
    );
    let equals = |variable: &str, value: &str| TaskCondition::Equals {
        variable: variable.to_owned(),
        value: value.to_owned(),
    };
    let exists = |variable: &str| TaskCondition::Exists {
        variable: variable.to_owned(),
    };
    assert_eq!(
        task.conditions,
        [equals("a", "b"), equals("c", "d"), exists("e"), exists("f")]
    );
}

#[test]
fn hosts_are_a_text_a_list_or_lines() {
    for text in ["'a, b'", "[a, b]", "\"a\\nb\""] {
        let TaskAction::Ssh(task) = task(&format!("ssh: {{host: {text}, command: c}}")).action else {
            panic!("{text}");
        };
        assert_eq!(task.login.hosts, ["a", "b"], "{text}");
        assert_eq!(task.login.authentication, RemoteAuthentication::Agent);
    }
}

#[test]
fn tasks_of_apps_become_what_they_mean() {
    let app = |key: &str, configuration: &str| {
        task(&format!(
            "any-task: {{plugin-key: '{key}', configuration: {{{configuration}}}}}"
        ))
        .action
    };
    let vcs = "com.atlassian.bamboo.plugins.vcs:task.vcs";
    let TaskAction::VcsTag(tag) = app(
        &format!("{vcs}.tagging"),
        "selectedRepository: defaultRepository, tagName: v1",
    ) else {
        panic!("a tag");
    };
    assert_eq!((tag.tag.as_str(), tag.repository), ("v1", None));
    let TaskAction::VcsCommit(commit) = app(
        &format!("{vcs}.commit"),
        "selectedRepository: '12', commitMessage: changed",
    ) else {
        panic!("a commit");
    };
    assert_eq!(commit.repository.as_deref(), Some("12"));
    let TaskAction::Node(npm) = app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.npm",
        "isolatedCache: 'false', runtime: Node.js, command: run build",
    ) else {
        panic!("npm");
    };
    assert_eq!(
        (npm.tool, npm.command.as_str(), npm.isolated_cache),
        (NodeTool::Npm, "run build", false)
    );
    let TaskAction::TestParser(parser) = app(
        "com.atlassian.bamboo.plugin.dotnet:mstest",
        "mstestTestResultsDirectory: '**/*.trx', pickupOutdatedFiles: 'false'",
    ) else {
        panic!("a parser");
    };
    assert_eq!(parser.format, TestFormat::Known(TestReportKind::Mstest));
    assert_eq!(parser.patterns, ["**/*.trx"]);
    let TaskAction::Script(script) = app(
        "com.atlassian.bamboo.plugins.scripttask:task.builder.script",
        "scriptLocation: INLINE, scriptBody: make",
    ) else {
        panic!("a script");
    };
    assert_eq!(script.source, ScriptSource::Inline("make".into()));
    let TaskAction::Maven(maven) = app(
        "com.atlassian.bamboo.plugins.maven:task.builder.mvn3",
        "label: Maven 3, goal: install, testChecked: 'true', testDirectoryOption: standardTestDirectory",
    ) else {
        panic!("maven");
    };
    assert_eq!(maven.tests, TaskTests::Usual);
    let TaskAction::Docker(docker) = app(
        "com.atlassian.bamboo.plugins.bamboo-docker-plugin:task.docker.cli",
        "commandOption: run, image: a, detach: 'false', hostDirectory_0: /a, containerDataVolume_0: /b",
    ) else {
        panic!("docker");
    };
    let DockerTaskAction::Run(run) = docker.action else {
        panic!("a run");
    };
    assert_eq!(run.volumes, [("/a".to_owned(), "/b".to_owned())]);
    assert_eq!(
        app(
            "com.atlassian.bamboo.plugins.bamboo-variable-inject-plugin:dump",
            ""
        ),
        TaskAction::DumpVariables
    );
}

#[test]
fn every_app_of_the_table_is_understood() {
    let page = madake_specs::language_page();
    let apps = page.split("<a id=\"apps\"></a>").nth(1).unwrap();
    let mut count = 0;
    for line in apps.lines().filter(|line| line.starts_with("| `com.")) {
        let key = line.split('`').nth(1).unwrap();
        let task = task(&format!(
            "any-task: {{plugin-key: '{key}', configuration: {{label: l, goal: g, commandOption: pull, pullRepository: a, \
             tagName: t, branchName: b, commitMessage: m, filePath: f, variable: v, scriptBody: s, solution: x, \
             nunitTestFiles: y}}}}"
        ));
        // This one is run by its key.
        let is_kept = key.ends_with(":maven-pom-parser-plugin");
        assert_eq!(
            matches!(task.action, TaskAction::Plugin(_)),
            is_kept,
            "{key}: {task:?}"
        );
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[test]
fn notifications_go_to_people_and_programs() {
    let plan = whole();
    let [notification] = plan.notifications.as_slice() else {
        panic!("{:?}", plan.notifications);
    };
    assert_eq!(notification.recipients.len(), 8);
    assert!(
        notification
            .recipients
            .contains(&Recipient::Group { name: "ops".into() })
    );
    assert_eq!(notification.events[1], PlanEvent::PlanFailed { failures: 3 });
    let text = plan_text(
        "Build:\nnotifications:\n  - recipients: {users: ann, committers: true, watchers: false}\n    events: plan-completed\n",
    );
    let result = reading(&text);
    let notification = &result.plans[0].configuration.notifications[0];
    assert_eq!(
        notification.recipients,
        [Recipient::User { name: "ann".into() }, Recipient::Committers]
    );
    assert_eq!(notification.events, [PlanEvent::PlanCompleted]);
}

#[test]
fn repositories_keep_how_they_are_described() {
    let plan = whole();
    let repositories = plan.repositories.unwrap();
    let by_name = |name: &str| repositories.iter().find(|one| one.name == name).unwrap();
    let own = by_name("own");
    assert_eq!(own.options.command_timeout_minutes, Some(180));
    assert_eq!(
        (own.options.lfs, own.options.use_shallow_clones),
        (Some(true), Some(true))
    );
    assert_eq!(own.change_detection.quiet_period.unwrap().max_retries, 5);
    let Some(RepositoryDefinition::Git { authentication, .. }) = &own.definition else {
        panic!("{own:?}");
    };
    assert!(
        matches!(authentication, RepositoryAuthentication::Shared(shared) if shared.name == "key of own")
    );
    let Some(RepositoryDefinition::App { settings, .. }) = &by_name("svn").definition else {
        panic!("svn");
    };
    assert_eq!(settings[1], ("branch-config.a.b".to_owned(), "c".to_owned()));
}

#[test]
fn branches_and_dependencies_keep_what_they_say() {
    let plan = whole();
    let merge = |strategy, push_on_success| {
        Some(BranchIntegration {
            strategy,
            push_on_success,
        })
    };
    assert_eq!(
        plan.branches.integration,
        merge(IntegrationStrategy::MergeFrom("main".into()), true)
    );
    assert_eq!(
        plan.branch_config.integration,
        merge(IntegrationStrategy::MergeTo("main".into()), false)
    );
    assert_eq!(plan.dependencies.block_strategy, BlockStrategy::ParentInProgress);
    assert_eq!(plan.dependencies.plans.len(), 2);
}

#[test]
fn settings_of_apps_are_nested_or_dotted() {
    let plan = whole();
    let expiry = plan.other.build_expiry.clone().unwrap();
    assert_eq!(
        (expiry.duration, expiry.maximum_builds_to_keep),
        (Some(30), Some(50))
    );
    assert_eq!(expiry.labels_to_keep, ["release", "keep"]);
    assert_eq!(plan.other.custom.len(), 1);
    let hanging = plan.job("Compile").unwrap().other.hanging.unwrap();
    assert_eq!(
        (hanging.minutes_between_logs, hanging.multiplier),
        (Some(7), Some(2.5))
    );
}

#[test]
fn expiry_takes_labels_as_a_list_and_periods_in_any_case() {
    let expiry = |settings: &str| {
        let result = reading(&plan_text(&format!(
            "other:\n  all-other-apps:\n    custom:\n      buildExpiryConfig: {{enabled: 'true', duration: 3, {settings}}}\nBuild: {{tasks: []}}\n"
        )));
        let expiry = result.plans[0].configuration.other.build_expiry.clone();
        (expiry.unwrap(), result.diagnostics)
    };
    let (read, findings) = expiry("labelsToKeep: [release, 'a, b']");
    assert_eq!(read.labels_to_keep, ["release", "a", "b"]);
    assert!(findings.is_empty(), "{findings:?}");
    for (period, expected) in [
        ("Months", ExpiryPeriod::Months),
        ("WEEKS", ExpiryPeriod::Weeks),
        ("hours", ExpiryPeriod::Hours),
        ("year", ExpiryPeriod::Years),
        ("''", ExpiryPeriod::Days),
    ] {
        let (read, findings) = expiry(&format!("period: {period}"));
        assert_eq!((read.period, read.duration), (expected, Some(3)), "{period}");
        assert!(findings.is_empty(), "{findings:?}");
    }
    let (read, findings) = expiry("period: monhts");
    assert_eq!(read.duration, None, "nothing goes by a period that was not meant");
    assert_eq!(findings[0].suggestion.as_deref(), Some("months"));
}

#[test]
fn overrides_replace_whole_sections_on_their_branches() {
    let plan = whole();
    let [release, rest] = plan.branch_overrides.as_slice() else {
        panic!("{:?}", plan.branch_overrides);
    };
    let changed = release.applied_to(&plan);
    assert_eq!(changed.stages.len(), 1);
    assert_eq!(
        changed.variables.len(),
        1,
        "variables that are not given again are gone"
    );
    assert_eq!(changed.triggers, Some(Vec::new()));
    assert_eq!(
        (changed.concurrent_builds, &changed.other),
        (None, &PlanOther::default())
    );
    assert_eq!(changed.job("Compile").unwrap().key, "COMP");
    assert!(changed.job("Compile").unwrap().artifacts.is_empty());
    assert_eq!(changed.job("Publish").unwrap().key, "PUBLISH");
    assert!(changed.job("Check").is_some(), "jobs that are not given stay");
    let changed = rest.applied_to(&plan);
    assert_eq!(
        (changed.stages, changed.variables),
        (plan.stages.clone(), plan.variables.clone())
    );
}

#[test]
fn deployment_documents_are_read() {
    let text = concat!(
        "version: 2\ndeployment: {name: Deploy it, source-plan: PROJ-PLAN, description: d}\n",
        "release-naming:\n  next-version-name: 1.${bamboo.buildNumber}\n  applies-to-branches: 'true'\n",
        "  auto-increment: true\n  auto-increment-variables: patch\n",
        "environments: [QA, 'Production •', Empty]\n",
        "QA:\n  tasks: [clean, artifact-download, script: ./deploy.sh]\n  final-tasks: []\n  variables: {a: 1}\n",
        "  requirements: [docker]\n  docker: alpine\n  release-approval-prerequisite: approved\n  description: first\n",
        "  triggers:\n    - build-success: {branch: develop}\n    - stage-success: Build\n    - environment-success: {environment: Empty}\n",
        "    - cron: {expression: 0 0 12 ? * *, artifact-branch: main, skip-if-version-deployed: 'true'}\n",
        "  notifications:\n    - events: [deployment-started-and-finished, deployment-failed]\n      recipients: [{users: [ann]}]\n",
        "Production •:\n  tasks: []\n  triggers: []\nEmpty:\n",
        "---\nversion: 2\ndeployment: {name: Deploy it}\ndeployment-permissions:\n  - groups: [a]\n    permissions: [view, create-release]\n",
        "default-environment-permissions:\n  - roles: [logged-in]\n    permissions: [view_configuration]\n",
        "environment-permissions:\n  - QA:\n      - users: [b]\n        permissions: [deploy]\n",
    );
    let result = reading(text);
    assert_eq!(
        codes(&result, Severity::Error),
        Vec::<&str>::new(),
        "{:#?}",
        result.diagnostics
    );
    let warnings = codes(&result, Severity::Warning);
    assert!(
        warnings.iter().all(|code| *code == "specs::not-run"),
        "{warnings:?}"
    );
    let told = |what: &str| result.diagnostics.iter().any(|one| one.message.contains(what));
    assert!(!told("notifications") && !told("deployment projects"));
    let deployment = &result.deployments[0].configuration;
    assert_eq!(deployment.release_naming.auto_increment_variables, ["patch"]);
    let names: Vec<&str> = deployment
        .environments
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["QA", "Production •", "Empty"]);
    let qa = &deployment.environments[0];
    assert_eq!(
        (qa.tasks.len(), qa.release_approval),
        (3, ReleaseApproval::Approved)
    );
    assert_eq!(
        qa.triggers[1].kind,
        EnvironmentTriggerKind::StageSuccess {
            stage: "Build".into(),
            branch: None
        }
    );
    assert_eq!(qa.notifications[0].events[1], EnvironmentEvent::DeploymentFailed);
    let permissions = &result.deployment_permissions[0];
    let qa = &permissions.environments[0];
    assert_eq!(
        (qa.0.as_str(), &qa.1[0].permissions),
        ("QA", &vec![EnvironmentPermission::Deploy])
    );
    assert!(permissions.default_environment.as_ref().unwrap()[0].logged_in);
}

#[test]
fn the_first_version_is_read() {
    let text = concat!(
        "project:\n  key: DRAGON\n  plan: {key: SLAYER, name: Dragon Slayer Quest}\ndockerImage: alpine\nstages:\n",
        "  - jobs:\n      - scripts: [echo one, echo two]\n        interpreter: /bin/sh\n        requirements: [cap]\n",
        "        artifacts: [{name: n, path: p}]\n        testParsers: [junit, {type: mocha, testResults: '**/x.json'}]\n",
        "      - scripts: echo three\n  - jobs: [{scripts: [echo four]}]\n",
    );
    let plan = plan(text);
    assert_eq!(plan.key.as_str(), "DRAGON-SLAYER");
    let stages: Vec<(&str, Vec<&str>)> = plan
        .stages
        .iter()
        .map(|stage| {
            (
                stage.name.as_str(),
                stage.jobs.iter().map(String::as_str).collect(),
            )
        })
        .collect();
    assert_eq!(
        stages,
        [("Stage 1", vec!["Job 1", "Job 2"]), ("Stage 2", vec!["Job 3"])]
    );
    let job = &plan.jobs[0];
    assert_eq!((job.key.as_str(), job.artifacts[0].shared), ("JOB1", true));
    assert_eq!(job.final_tasks.len(), 2);
    let TaskAction::Script(script) = &job.tasks[0].action else {
        panic!("a script");
    };
    assert_eq!(script.source, ScriptSource::Inline("echo one\necho two".into()));
}

#[test]
fn what_is_not_run_is_said_once_for_each_place() {
    let result = reading(include_str!("whole.yml"));
    let said: Vec<&str> = result
        .diagnostics
        .iter()
        .filter(|found| found.code == "specs::not-run")
        .map(|found| found.message.as_str())
        .collect();
    for what in ["the task `variable-updater` of an app", "`viewer`"] {
        assert!(
            said.iter().any(|message| message.ends_with(what)),
            "{what}: {said:#?}"
        );
    }
    assert!(
        said.iter()
            .all(|message| message.starts_with("read, not run yet: "))
    );
    assert!(
        !said.iter().any(|message| message.contains("trigger")),
        "every trigger of plans starts builds: {said:#?}"
    );
    let quiet = reading(&plan_text(concat!(
        "Build:\n  artifacts: []\n  artifact-subscriptions: []\n  requirements: []\n  other: {all-other-apps: {custom: {auto: {}}}}\n",
        "notifications: []\nlabels: []\nbranches: {create: manually, delete: never, link-to-jira: 'false'}\n",
        "dependencies: {require-all-stages-passing: false, enabled-for-branches: true, block-strategy: none, plans: []}\n",
        "other: {concurrent-build-plugin: system-default}\n",
    )));
    assert_eq!(
        quiet.diagnostics,
        [],
        "what says nothing is passed over in silence"
    );
}

#[test]
fn findings_say_which_document_they_belong_to_and_where_it_is_described() {
    let text = format!(
        "{}---\nversion: 2\nplan: {{key: PROJ-PLAN}}\nplan-permissions:\n  - users: a\n    permisions: view\n",
        plan_text("Build:\n  tasks:\n    - script: {scripts: x, interpeter: SHELL}\n")
    );
    let result = reading(&text);
    let found: Vec<(Option<&str>, Option<&str>)> = result
        .diagnostics
        .iter()
        .filter(|found| found.code == "specs::unknown-key")
        .map(|found| (found.subject.as_deref(), found.documentation.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            (Some("plan PROJ-PLAN"), Some("docs/language.md#task.script")),
            (
                Some("permissions of plan PROJ-PLAN"),
                Some("docs/language.md#plan-permissions-document.plan-permissions")
            ),
        ]
    );
}

#[test]
fn sarif_has_a_rule_and_a_region_for_each_finding() {
    let result = reading("version: 2\nplan: {project-key: P, key: P, name: n}\nstages: text\nstagse: []\n");
    let sarif = madake_specs::render_sarif(&result.diagnostics, "1.0");
    let run = &sarif["runs"][0];
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(run["results"].as_array().unwrap().len(), result.diagnostics.len());
    let first = &run["results"][0];
    assert_eq!(first["ruleId"], "specs::wrong-type");
    assert_eq!(first["level"], "error");
    let place = &first["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "bamboo-specs/bamboo.yml");
    assert_eq!(
        (&place["region"]["startLine"], &place["region"]["startColumn"]),
        (&3.into(), &9.into())
    );
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]));
    }
}
