//! Plan versions as homes hold them: what older versions wrote is read, and means what it meant.

use madake_domain::plan::{
    BranchPolicy, Dependencies, DockerTask, PlanConfiguration, PlanOther, RepositorySource, SecretText, Task,
    TaskAction, TaskCondition, Trigger, TriggerKind,
};

/// A plan version as version 0.1 stored it, with everything that it knew.
const OF_0_1: &str = r#"{
    "project_key": "PROJ", "key": "PROJ-PLAN", "name": "Plan", "description": "d", "enabled": true,
    "stages": [{"name": "One", "description": "", "manual": true, "final": false, "jobs": ["Build"]}],
    "jobs": [{
        "name": "Build", "key": "BUILD", "description": "", "enabled": true,
        "tasks": [
            {"description": "x", "enabled": true, "type": "script", "interpreter": "bin-sh-or-cmd-exe",
             "source": {"inline": "make"}, "argument": "", "environment": "A=1", "working_directory": "src"},
            {"description": "", "enabled": false, "type": "checkout", "repository": "lib", "path": "lib",
             "force_clean_build": true},
            {"description": "", "enabled": true, "type": "clean"},
            {"description": "", "enabled": true, "type": "unsupported", "name": "maven"}
        ],
        "final_tasks": [],
        "requirements": [{"key": "os", "matches": "Linux"}, {"key": "docker", "matches": null}],
        "docker": {"image": "alpine", "volumes": [["/a", "/b"]], "run_arguments": ["--init"]},
        "timeout_seconds": null, "clean_working_directory": true
    }],
    "variables": [{"name": "a", "value": "1.10"}],
    "repositories": [{
        "name": "app", "source": {"url": "https://example.org/app.git"}, "branch": "main",
        "change_detection": {"file_filter": {"exclude-all": "docs/.*"}, "exclude_changeset_pattern": null}
    }, {
        "name": "lib", "source": "named", "branch": null,
        "change_detection": {"file_filter": null, "exclude_changeset_pattern": "no-build"}
    }],
    "triggers": [
        {"description": "", "repositories": ["app"], "conditions": [{"condition": "weekdays", "days": [4],
         "time_zone": null}], "type": "polling", "period_seconds": 180, "cron": null},
        {"description": "", "repositories": [], "conditions": [], "type": "push"}
    ],
    "branches": {"create": {"create": "for-new-branch", "pattern": "f/.*"}, "delete_after_deleted_days": 1,
                 "delete_after_inactive_days": null},
    "concurrent_builds": 2, "docker": null, "labels": ["l"]
}"#;

fn value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn versions_that_older_homes_hold_are_read() {
    let plan: PlanConfiguration = serde_json::from_str(OF_0_1).expect("it is read");
    assert!(plan.rerunnable && plan.notifications.is_empty());
    assert_eq!(plan.dependencies, Dependencies::default());
    assert_eq!(plan.other, PlanOther::default());
    assert_eq!(plan.branches.integration, BranchPolicy::default().integration);
    let job = plan.job("Build").expect("the job");
    assert!(job.artifacts.is_empty() && job.artifact_subscriptions.is_none());
    assert!(job.docker.as_ref().expect("an image").use_default_volumes);
    assert!(job.tasks.iter().all(|task| task.conditions.is_empty()));
    assert_eq!(
        job.tasks[3].action,
        TaskAction::Unsupported { name: "maven".into() }
    );
    let repositories = plan.repositories.expect("repositories");
    assert_eq!(
        repositories[0].source,
        RepositorySource::Url("https://example.org/app.git".into())
    );
    assert_eq!(
        (&repositories[0].definition, repositories[1].scope),
        (&None, None)
    );
}

/// A version is known by the hash of its JSON: a file that did not change must not make a new one.
#[test]
fn what_older_homes_hold_is_written_as_it_was() {
    let plan: PlanConfiguration = serde_json::from_str(OF_0_1).expect("it is read");
    assert_eq!(serde_json::to_value(&plan).expect("it is written"), value(OF_0_1));
}

#[test]
fn tasks_are_told_apart_by_their_type() {
    let tasks = [
        (
            r#"{"enabled":true,"description":"","type":"dump-variables"}"#,
            "dump-variables",
        ),
        (
            r#"{"enabled":true,"description":"","type":"inject-variables","file":"a","scope":"result","namespace":"n"}"#,
            "inject-variables",
        ),
        (
            r#"{"enabled":true,"description":"","type":"test-parser","format":{"known":"junit"},"patterns":["a"]}"#,
            "test-parser",
        ),
        (
            r#"{"enabled":true,"description":"","type":"docker","action":{"do":"pull","image":"a","registry":"hub"}}"#,
            "docker",
        ),
        (
            r#"{"enabled":true,"description":"","type":"node","tool":"npm","runtime":"Node","command":"ci"}"#,
            "npm",
        ),
        (
            r#"{"enabled":true,"description":"","type":"plugin","plugin_key":"a:b","configuration":[["k","v"]]}"#,
            "a:b",
        ),
    ];
    for (text, name) in tasks {
        let task: Task = serde_json::from_str(text).expect(text);
        assert_eq!(task.action.type_name(), name);
        assert_eq!(
            serde_json::to_value(&task).expect("it is written"),
            value(text),
            "{name}"
        );
    }
}

#[test]
fn conditions_and_triggers_keep_what_they_say() {
    let mut task = Task::from(TaskAction::Clean);
    task.conditions = vec![TaskCondition::Matches {
        variable: "a.b".into(),
        pattern: "x.*".into(),
    }];
    let back: Task = serde_json::from_value(serde_json::to_value(&task).expect("written")).expect("read");
    assert_eq!(back, task);
    for kind in [
        TriggerKind::Tag {
            filter: Some("v.*".into()),
            in_branch: true,
        },
        TriggerKind::AfterDeployment {
            deployment_project: "d".into(),
            environment: None,
        },
    ] {
        let mut trigger = Trigger::from(kind);
        trigger.other_conditions = vec![("custom.x".into(), "true".into())];
        let back: Trigger =
            serde_json::from_value(serde_json::to_value(&trigger).expect("written")).expect("read");
        assert_eq!(back, trigger);
    }
}

#[test]
fn secrets_do_not_come_into_logs_by_accident() {
    let secret = SecretText::new("hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
    let task: DockerTask = serde_json::from_str(
        r#"{"action":{"do":"push","image":"a","registry":"hub","login":{"by":"password","username":"u","password":"hunter2"}}}"#,
    )
    .expect("it is read");
    assert!(!format!("{task:?}").contains("hunter2"), "{task:?}");
}
