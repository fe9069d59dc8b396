//! What each section of a plan document comes to.

use madake_domain::permission::Permission;
use madake_domain::plan::{
    BranchCreation, BranchPolicy, ChangeDetection, CheckoutTask, FileFilter, Interpreter, PermissionEntry,
    PlanConfiguration, RepositorySource, ScriptSource, ScriptTask, Task, TaskAction, TaskCondition,
    TriggerCondition, TriggerKind,
};

use crate::{plan, plan_text, reading};

const JOB: &str = "Build:\n  tasks: []\n";

fn with_section(section: &str) -> PlanConfiguration {
    plan(&plan_text(&format!("{section}{JOB}")))
}

/// The tasks of one job whose list is `yaml`, indented by four spaces.
fn tasks(yaml: &str) -> Vec<Task> {
    plan(&plan_text(&format!("Build:\n  tasks:\n{yaml}"))).jobs[0]
        .tasks
        .clone()
}

fn script(yaml: &str) -> ScriptTask {
    match tasks(yaml).remove(0).action {
        TaskAction::Script(script) => script,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_small_plan_gets_the_defaults() {
    let plan = with_section("");
    assert_eq!(plan.key.as_str(), "PROJ-PLAN");
    assert_eq!(plan.project_key.as_str(), "PROJ");
    assert_eq!(plan.name, "A plan");
    assert!(plan.enabled);
    assert_eq!(plan.repositories, None);
    assert_eq!(plan.triggers, None);
    assert_eq!(plan.labels, None);
    assert_eq!(plan.docker, None);
    assert_eq!(plan.concurrent_builds, None);
    assert_eq!(plan.branches, BranchPolicy::default());
    let stage = &plan.stages[0];
    assert_eq!(
        (stage.name.as_str(), stage.manual, stage.final_stage),
        ("Build stage", false, false)
    );
    assert_eq!(stage.jobs, ["Build"]);
    assert_eq!(plan.jobs[0].key, "BUILD");
    assert!(plan.jobs[0].enabled);
}

#[test]
fn stages_and_jobs_take_all_their_spellings() {
    let plan = plan(concat!(
        "version: '2'\n'plan': {project-key: PROJ, key: PLAN, name: n, description: d, enabled: 'no'}\n",
        "stages:\n- One:\n    manual: 'true'\n    final: no\n    description: first\n    jobs: [1, \"a b\"]\n",
        "- Two:\n  - Ключ\n- Three: {final: yes, jobs: []}\n",
        "1:\n  key: ONE\n  description: x\n  enabled: off\n  other: {clean-working-dir: 'true'}\n",
        "  requirements: [docker, os: 'Ubuntu \\d+', {cores: 8}]\n",
        "a b: {}\nКлюч:\nA-B: {tasks: []}\n",
    ));
    assert_eq!((plan.description.as_str(), plan.enabled), ("d", false));
    let [one, two, three] = plan.stages.as_slice() else {
        panic!("{:?}", plan.stages)
    };
    assert_eq!(
        (one.manual, one.final_stage, one.description.as_str()),
        (true, false, "first")
    );
    assert_eq!(one.jobs, ["1", "a b"]);
    assert_eq!(two.jobs, ["Ключ"]);
    assert!(three.final_stage && three.jobs.is_empty());
    let keys: Vec<_> = plan
        .jobs
        .iter()
        .map(|job| (job.name.as_str(), job.key.as_str()))
        .collect();
    assert_eq!(
        keys,
        [("1", "ONE"), ("a b", "AB"), ("Ключ", "JOB3"), ("A-B", "AB2")]
    );
    let job = &plan.jobs[0];
    assert!(!job.enabled && job.clean_working_directory);
    let requirements: Vec<_> = job
        .requirements
        .iter()
        .map(|r| (r.key.as_str(), r.matches.as_deref()))
        .collect();
    assert_eq!(
        requirements,
        [
            ("docker", None),
            ("os", Some("Ubuntu \\d+")),
            ("cores", Some("8"))
        ]
    );
}

#[test]
fn keys_that_the_file_gives_are_taken_before_keys_are_made() {
    let plan = plan(&plan_text("Build: {tasks: []}\nOther job:\n  key: BUILD\n"));
    let keys: Vec<_> = plan.jobs.iter().map(|job| job.key.as_str()).collect();
    assert_eq!(keys, ["BUILD2", "BUILD"]);
}

#[test]
fn scripts_have_five_spellings() {
    let inline = |text: &str| ScriptSource::Inline(text.to_owned());
    let rows = [
        ("    - script: echo one\n", inline("echo one")),
        (
            "    - script: |\n        one\n        two\n",
            inline("one\ntwo\n"),
        ),
        (
            "    - script: [echo one, echo two]\n",
            inline("echo one\necho two"),
        ),
        (
            "    - script: {scripts: [echo one, 'exit 1']}\n",
            inline("echo one\nexit 1"),
        ),
        ("    - script: {scripts: echo one}\n", inline("echo one")),
        (
            "    - script: {file: ci/build.sh}\n",
            ScriptSource::File("ci/build.sh".to_owned()),
        ),
    ];
    for (yaml, source) in rows {
        let script = script(yaml);
        assert_eq!(script.source, source, "{yaml}");
        assert_eq!(script.interpreter, Interpreter::Shell, "{yaml}");
    }
    let full = script(
        "    - script: {interpreter: /bin/sh, file: a.sh, argument: --fast 'x y', environment: A=1, working-dir: sub}\n",
    );
    assert_eq!(full.interpreter, Interpreter::BinShOrCmdExe);
    assert_eq!(
        (full.argument.as_str(), full.environment.as_str()),
        ("--fast 'x y'", "A=1")
    );
    assert_eq!(full.working_directory, "sub");
    let inline = script("    - script: {scripts: 'echo $1', argument: --fast}\n");
    assert_eq!(inline.argument, "--fast");
}

#[test]
fn interpreters_are_known_by_all_their_names() {
    let rows = [
        ("shell", Interpreter::Shell),
        ("BINSH_OR_CMDEXE", Interpreter::BinShOrCmdExe),
        ("cmd.exe", Interpreter::CmdExe),
        ("WINDOWS_POWER_SHELL", Interpreter::PowerShell),
        ("PowerShell", Interpreter::PowerShell),
    ];
    for (name, interpreter) in rows {
        let yaml = format!("    - script: {{interpreter: {name}, scripts: x}}\n");
        assert_eq!(script(&yaml).interpreter, interpreter, "{name}");
    }
}

#[test]
fn checkouts_and_clean_take_all_their_spellings() {
    let tasks = tasks(concat!(
        "    - checkout\n",
        "    - checkout: tools\n",
        "    - checkout: {repository: tools, path: sub/dir, force-clean-build: 'true', description: d}\n",
        "    - clean\n",
        "    - clean: {description: sweep, enabled: 'false'}\n",
    ));
    let checkout = |repository: Option<&str>, path: &str, force_clean_build| {
        TaskAction::Checkout(CheckoutTask {
            repository: repository.map(str::to_owned),
            path: path.to_owned(),
            force_clean_build,
        })
    };
    assert_eq!(tasks[0].action, checkout(None, "", false));
    assert_eq!(tasks[1].action, checkout(Some("tools"), "", false));
    assert_eq!(tasks[2].action, checkout(Some("tools"), "sub/dir", true));
    assert_eq!(tasks[2].description, "d");
    assert_eq!((&tasks[3].action, tasks[3].enabled), (&TaskAction::Clean, true));
    assert_eq!((&tasks[4].action, tasks[4].enabled), (&TaskAction::Clean, false));
    assert_eq!(tasks[4].description, "sweep");
}

#[test]
fn options_beside_their_task_count_with_a_warning() {
    let result = reading(&plan_text(
        "Build:\n  tasks:\n    - checkout:\n      repository: tools\n    - script: make\n      description: d\n",
    ));
    let tasks = &result.plans[0].configuration.jobs[0].tasks;
    assert!(
        matches!(&tasks[0].action, TaskAction::Checkout(checkout) if checkout.repository.as_deref() == Some("tools"))
    );
    assert_eq!(tasks[1].description, "d");
    assert!(matches!(&tasks[1].action, TaskAction::Script(_)));
    let codes: Vec<_> = result
        .diagnostics
        .iter()
        .map(|found| found.code.as_str())
        .collect();
    assert_eq!(codes, ["specs::indentation", "specs::indentation"]);
}

#[test]
fn tasks_that_do_not_run_are_named_and_never_run_unconditionally() {
    let tasks = tasks(concat!(
        "    - test-parser: junit\n",
        "    - any-task: {plugin-key: 'com.example:task', configuration: {a: b}, description: d}\n",
        "    - script: {scripts: deploy, conditions: [{variable: {exists: env}}]}\n",
        "    - script: {scripts: deploy, conditions: []}\n",
    ));
    assert_eq!(tasks[0].action.type_name(), "test-parser");
    let TaskAction::Plugin(plugin) = &tasks[1].action else {
        panic!("{:?}", tasks[1]);
    };
    assert_eq!(plugin.plugin_key, "com.example:task");
    assert_eq!(plugin.configuration, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(tasks[1].description, "d");
    let variable = "env".to_owned();
    assert_eq!(tasks[2].conditions, [TaskCondition::Exists { variable }]);
    assert_eq!(tasks[3].conditions, []);
}

#[test]
fn repositories_are_named_or_have_an_address() {
    let plan = with_section(concat!(
        "repositories:\n",
        "  - linked\n",
        "  - global one: {scope: global, branch: develop}\n",
        "  - own: {type: git, url: 'ssh://git@example.org/a.git', branch: main}\n",
        "  - hub: {type: github, repository: owner/repo}\n",
        "  - enterprise: {type: github, repository: owner/repo, base-url: 'https://git.example.org/'}\n",
        "  - cloud: {type: bitbucket, slug: owner/repo}\n",
        "  - server: {type: bitbucket-server, server: s, project: P, slug: r, clone-url: 'ssh://s/p/r.git'}\n",
        "  - siblings:\n    type: git\n    url: https://example.org/b.git\n",
    ));
    let url = |text: &str| RepositorySource::Url(text.to_owned());
    let repositories = plan.repositories.unwrap();
    let found: Vec<_> = repositories
        .iter()
        .map(|repository| {
            (
                repository.name.as_str(),
                repository.source.clone(),
                repository.branch.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("linked", RepositorySource::Named, None),
            ("global one", RepositorySource::Named, Some("develop")),
            ("own", url("ssh://git@example.org/a.git"), Some("main")),
            ("hub", url("https://github.com/owner/repo.git"), None),
            ("enterprise", url("https://git.example.org/owner/repo.git"), None),
            ("cloud", url("https://bitbucket.org/owner/repo.git"), None),
            ("server", url("ssh://s/p/r.git"), None),
            ("siblings", url("https://example.org/b.git"), None),
        ]
    );
    assert_eq!(with_section("repositories: []\n").repositories, Some(Vec::new()));
    assert_eq!(with_section("repositories:\n").repositories, None);
}

#[test]
fn addresses_that_are_options_or_commands_are_refused() {
    for address in ["--upload-pack=x", "ext::sh -c x", "-x", "a b"] {
        let section = format!("repositories:\n  - r: {{type: git, url: '{address}'}}\n{JOB}");
        let result = reading(&plan_text(&section));
        assert!(result.plans.is_empty(), "{address}");
        assert_eq!(result.diagnostics[0].code, "specs::bad-address", "{address}");
    }
}

#[test]
fn change_detection_has_two_filters() {
    let detection = |yaml: &str| -> ChangeDetection {
        let section = format!("repositories:\n  - r:\n      change-detection: {{{yaml}}}\n");
        with_section(&section)
            .repositories
            .unwrap()
            .remove(0)
            .change_detection
    };
    assert_eq!(
        detection("file-filter-type: include_only, file-filter-pattern: 'src/.*'").file_filter,
        Some(FileFilter::IncludeOnly("src/.*".to_owned()))
    );
    for kind in ["exclude", "EXCLUDE_ALL", "exclude-all"] {
        assert_eq!(
            detection(&format!(
                "file-filter-type: {kind}, file-filter-pattern: 'doc/.*'"
            ))
            .file_filter,
            Some(FileFilter::ExcludeAll("doc/.*".to_owned())),
            "{kind}"
        );
    }
    assert_eq!(
        detection("exclude-changeset-pattern: '.*\\[skip ci\\].*'")
            .exclude_changeset_pattern
            .as_deref(),
        Some(".*\\[skip ci\\].*")
    );
}

#[test]
fn triggers_take_all_their_spellings() {
    let plan = with_section(concat!(
        "triggers:\n",
        "  - remote\n",
        "  - remote: '10.0.0.1, 10.1.0.0/16'\n",
        "  - remote: {ip: 192.168.0.1, description: d, repositories: [tools]}\n",
        "  - polling: '180'\n",
        "  - polling: {period: 60}\n",
        "  - polling: {cron: 0 0/5 * ? * *}\n",
        "  - cron: 0 0 12 ? * MON-FRI\n",
        "  - cron: {expression: 0 0 0 ? * *, description: nightly}\n",
        "  - bitbucket-server-trigger\n",
        "  - github-trigger: {repositories: [tools]}\n",
        "  - tag: {filter: 'v.*'}\n",
    ));
    let triggers = plan.triggers.unwrap();
    let kinds: Vec<_> = triggers.iter().map(|trigger| trigger.kind.clone()).collect();
    let remote = |addresses: &[&str]| TriggerKind::Remote {
        addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
    };
    let polling = |period_seconds, cron: Option<&str>| TriggerKind::Polling {
        period_seconds,
        cron: cron.map(str::to_owned),
    };
    let cron = |expression: &str| TriggerKind::Cron {
        expression: expression.to_owned(),
    };
    assert_eq!(
        kinds,
        [
            remote(&[]),
            remote(&["10.0.0.1", "10.1.0.0/16"]),
            remote(&["192.168.0.1"]),
            polling(Some(180), None),
            polling(Some(60), None),
            polling(None, Some("0 0/5 * ? * *")),
            cron("0 0 12 ? * MON-FRI"),
            cron("0 0 0 ? * *"),
            TriggerKind::Push,
            TriggerKind::Push,
            TriggerKind::Tag {
                filter: Some("v.*".to_owned()),
                in_branch: false
            },
        ]
    );
    assert_eq!(
        (
            triggers[2].description.as_str(),
            triggers[2].repositories.as_slice()
        ),
        ("d", ["tools".to_owned()].as_slice())
    );
    assert_eq!(triggers[7].description, "nightly");
    assert_eq!(with_section("triggers: []\n").triggers, Some(Vec::new()));
}

#[test]
fn trigger_conditions_say_who_how_many_and_when() {
    let plan = with_section(concat!(
        "triggers:\n  - remote:\n      conditions:\n",
        "        - committers: [joe, ann@example.org]\n",
        "        - minimum-commits: '3'\n",
        "        - time-window: {from: '17:00', until: '24:00', time-zone: Europe/Berlin}\n",
        "        - time-window: {until: 6:30}\n",
        "        - after: '17:00'\n",
        "        - after: {time: '9:05', time-zone: UTC}\n",
        "        - weekdays: [thursday, Mon]\n",
        "        - weekdays: {days: thu, time-zone: UTC}\n",
        "        - green-plan: [PROJ-OTHER, PROJ-MORE]\n",
        "        - all-other-conditions: {}\n",
    ));
    let zone = |name: &str| Some(name.to_owned());
    let window = |from_minute, until_minute, time_zone| TriggerCondition::TimeWindow {
        from_minute,
        until_minute,
        time_zone,
    };
    assert_eq!(
        plan.triggers.unwrap()[0].conditions,
        [
            TriggerCondition::Committers {
                names: vec!["joe".to_owned(), "ann@example.org".to_owned()]
            },
            TriggerCondition::MinimumCommits { count: 3 },
            window(1020, 1440, zone("Europe/Berlin")),
            window(0, 390, None),
            window(1020, 1440, None),
            window(545, 1440, zone("UTC")),
            TriggerCondition::Weekdays {
                days: vec![1, 4],
                time_zone: None
            },
            TriggerCondition::Weekdays {
                days: vec![4],
                time_zone: zone("UTC")
            },
            TriggerCondition::GreenPlan {
                plans: vec!["PROJ-OTHER".parse().unwrap(), "PROJ-MORE".parse().unwrap()]
            },
        ]
    );
}

#[test]
fn branches_say_when_they_are_made_and_removed() {
    let policy = |create, deleted, inactive| BranchPolicy {
        create,
        delete_after_deleted_days: deleted,
        delete_after_inactive_days: inactive,
        ..BranchPolicy::default()
    };
    let new = |pattern: Option<&str>| BranchCreation::ForNewBranch {
        pattern: pattern.map(str::to_owned),
    };
    let rows = [
        (
            "create: manually",
            policy(BranchCreation::Manually, Some(1), Some(30)),
        ),
        ("create: for-new-branch", policy(new(None), Some(1), Some(30))),
        (
            "create: {for-new-branch: 'feature/.*'}",
            policy(new(Some("feature/.*")), Some(1), Some(30)),
        ),
        (
            "create: for-pull-request",
            policy(
                BranchCreation::ForPullRequest { accept_fork: false },
                Some(1),
                Some(30),
            ),
        ),
        (
            "create: {for-pull-request: {accept-fork: 'true'}}",
            policy(
                BranchCreation::ForPullRequest { accept_fork: true },
                Some(1),
                Some(30),
            ),
        ),
        ("delete: never", policy(new(None), None, None)),
        (
            "delete: {after-deleted-days: '7'}",
            policy(new(None), Some(7), Some(30)),
        ),
        (
            "delete: {after-deleted-days: never, after-inactive-days: 90}",
            policy(new(None), None, Some(90)),
        ),
    ];
    for (yaml, expected) in rows {
        assert_eq!(
            with_section(&format!("branches:\n  {yaml}\n")).branches,
            expected,
            "{yaml}"
        );
    }
}

#[test]
fn scalars_keep_what_was_written() {
    let plan = with_section(concat!(
        "variables: &v\n  version: 1.10\n  octal: 0123\n  yes: on\n  big: 1_000\n  hex: 0x10\n  empty:\n",
        "  quoted: '007'\n  time: 1:30\n  tagged: !!str 1.10\n  a.b: true\n  ratio: &r 2.50\n  same: *r\n",
    ));
    let found: Vec<_> = plan
        .variables
        .iter()
        .map(|v| (v.name.as_str(), v.value.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("version", "1.10"),
            ("octal", "0123"),
            ("yes", "on"),
            ("big", "1_000"),
            ("hex", "0x10"),
            ("empty", ""),
            ("quoted", "007"),
            ("time", "1:30"),
            ("tagged", "1.10"),
            ("a.b", "true"),
            ("ratio", "2.50"),
            ("same", "2.50"),
        ]
    );
}

#[test]
fn anchors_and_merge_keys_reuse_parts() {
    let plan = plan(&plan_text(concat!(
        "Build: &base\n  description: base\n  tasks: &tasks [script: make]\n",
        "Test:\n  <<: *base\n  description: test\n",
        "More:\n  <<: [{description: first}, *base]\n  final-tasks: *tasks\n",
    )));
    let found: Vec<_> = plan
        .jobs
        .iter()
        .map(|job| (job.description.as_str(), job.tasks.len(), job.final_tasks.len()))
        .collect();
    assert_eq!(found, [("base", 1, 0), ("test", 1, 0), ("first", 1, 1)]);
}

#[test]
fn labels_docker_and_concurrency_are_kept() {
    let plan = with_section(concat!(
        "labels: [a, 'b']\n",
        "docker:\n  image: alpine:3\n  volumes: {/cache: /var/cache/app}\n  docker-run-arguments: [--network=host]\n",
        "other: {concurrent-build-plugin: '4'}\n",
    ));
    assert_eq!(plan.labels, Some(vec!["a".to_owned(), "b".to_owned()]));
    let docker = plan.docker.unwrap();
    assert_eq!(docker.image, "alpine:3");
    assert_eq!(
        docker.volumes,
        [("/cache".to_owned(), "/var/cache/app".to_owned())]
    );
    assert_eq!(docker.run_arguments, ["--network=host"]);
    assert_eq!(plan.concurrent_builds, Some(4));
    let rows = [
        ("system-default", None),
        ("2", Some(2)),
        (
            "{number-of-concurrent-builds: 3, execution-strategy: block-triggering}",
            Some(3),
        ),
    ];
    for (yaml, expected) in rows {
        let plan = with_section(&format!("other: {{concurrent-build-plugin: {yaml}}}\n"));
        assert_eq!(plan.concurrent_builds, expected, "{yaml}");
    }
}

#[test]
fn exported_sections_that_say_nothing_are_silent() {
    let result = reading(&plan_text(concat!(
        "notifications: []\nbranch-overrides: []\n",
        "dependencies: {require-all-stages-passing: false, enabled-for-branches: true, block-strategy: none, plans: []}\n",
        "Build:\n  tasks: []\n  requirements: []\n  artifacts: []\n  artifact-subscriptions: []\n",
    )));
    assert_eq!(result.diagnostics, []);
}

#[test]
fn permissions_stand_in_documents_of_their_own_or_beside_the_plan() {
    let entry = |users: &[&str], groups: &[&str], permissions: &[Permission]| PermissionEntry {
        users: users.iter().map(|name| (*name).to_owned()).collect(),
        groups: groups.iter().map(|name| (*name).to_owned()).collect(),
        permissions: permissions.to_vec(),
        ..PermissionEntry::default()
    };
    for plan in ["PROJ-PLAN", "{key: PROJ-PLAN}"] {
        let result = reading(&format!(
            "version: 2\nplan: {plan}\nplan-permissions:\n  - users: [a, b]\n    groups: g\n    permissions: [view, admin]\n  - roles: [logged-in, anonymous]\n    permissions: view\n"
        ));
        assert_eq!(result.diagnostics, []);
        let [permissions] = result.permissions.as_slice() else {
            panic!("{result:?}")
        };
        assert_eq!(permissions.plan.as_str(), "PROJ-PLAN");
        assert_eq!(
            permissions.entries[0],
            entry(
                &["a", "b"],
                &["g"],
                &[Permission::Read, Permission::Administration]
            )
        );
        let second = &permissions.entries[1];
        assert!(second.logged_in && second.anonymous);
        assert_eq!(second.permissions, [Permission::Read]);
    }
    let beside = reading(&plan_text(&format!(
        "plan-permissions:\n  - users: a\n    permissions: view\n{JOB}"
    )));
    assert_eq!(beside.permissions[0].plan.as_str(), "PROJ-PLAN");
    assert_eq!(beside.plans.len(), 1);
}
