//! What a job gets and leaves besides its log: artifacts and test results.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use madake_domain::plan::{
    Artifact, ArtifactDownloadItem, ArtifactDownloadTask, TaskAction, TestFormat, TestParserTask,
    TestReportKind, VcsBranchTask, VcsCommitTask, VcsTagTask,
};
use madake_protocol::{
    ArtifactDownload, JobResult, PlacedArtifact, PlacedFile, SecretsInArtifacts, TestCaseOutcome,
};

use crate::bench::{Bench, script, secret, task};

fn artifact(name: &str, pattern: &str, required: bool) -> Artifact {
    Artifact {
        name: name.into(),
        location: String::new(),
        pattern: pattern.into(),
        required,
        shared: true,
        http_compression: true,
    }
}

fn junit() -> TaskAction {
    TaskAction::TestParser(TestParserTask {
        format: TestFormat::Known(TestReportKind::Junit),
        patterns: vec!["${bamboo.folder}/*.xml".into()],
        ignore_time: false,
    })
}

#[tokio::test]
async fn files_of_artifacts_lie_beside_the_outcome_with_their_bytes() {
    let bench = Bench::new();
    let mut order = bench.order(vec![script(
        "mkdir -p out/deep; echo one > out/1.txt; echo two > out/deep/2.txt; printf x > tool; chmod +x tool",
    )]);
    order.artifacts.keep = vec![
        Artifact {
            location: "out".into(),
            ..artifact("texts", "**/*.txt", true)
        },
        artifact("tool", "tool", true),
        artifact("none", "*.none", false),
        artifact("../evil", "tool", false),
    ];
    order.clean_working_directory = true;
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert!(
        outcome.message.contains("its name is refused"),
        "{}",
        outcome.message
    );
    let kept = bench.directory().read_artifacts().unwrap().unwrap();
    let told: Vec<(&str, &str, u64, bool, String)> = kept
        .artifacts
        .iter()
        .flat_map(|one| one.files.iter().map(move |file| (one, file)))
        .map(|(one, file)| {
            let bytes = fs::read_to_string(bench.directory().kept_file(file.number)).unwrap();
            (
                one.name.as_str(),
                file.path.as_str(),
                file.size,
                file.executable,
                bytes,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("texts", "1.txt", 4, false, "one\n".to_owned()),
            ("texts", "deep/2.txt", 4, false, "two\n".to_owned()),
            ("tool", "tool", 1, true, "x".to_owned()),
        ]
    );
    assert_eq!(fs::read_dir(bench.work()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_required_artifact_fails_a_good_job_and_is_no_excuse_for_a_bad_one() {
    let bench = Bench::new();
    let mut order = bench.order(vec![script("true")]);
    order.artifacts.keep = vec![artifact("jar", "*.jar", true)];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert_eq!(
        outcome.message,
        "the artifact 'jar' is required, and nothing in the working directory matches `*.jar`"
    );
    let bench = Bench::new();
    let mut order = bench.order(vec![script("exit 3")]);
    order.artifacts.keep = vec![artifact("jar", "*.jar", true)];
    let outcome = bench.run(&order).await;
    assert!(outcome.message.contains("exit code 3"), "{}", outcome.message);
    assert_eq!(bench.directory().read_artifacts().unwrap(), None);
}

#[tokio::test]
async fn artifacts_come_before_the_first_script_and_not_through_links() {
    let bench = Bench::new();
    let source = bench.home().join("blob");
    fs::write(&source, "bytes").unwrap();
    let placed = |destination: &str, path: &str| PlacedArtifact {
        name: "lib".into(),
        destination: destination.into(),
        files: vec![PlacedFile {
            path: path.into(),
            source: source.clone(),
            size: 5,
            executable: true,
        }],
    };
    let mut order = bench.order(vec![
        task(TaskAction::Clean),
        script("test -x in/a/lib && cat in/a/lib > seen && ln -s /tmp out"),
        task(TaskAction::ArtifactDownload(ArtifactDownloadTask {
            items: vec![ArtifactDownloadItem::default()],
            ..ArtifactDownloadTask::default()
        })),
    ]);
    order.artifacts.subscribed = vec![placed("in", "a/lib")];
    let TaskAction::ArtifactDownload(download) = order.tasks[2].action.clone() else {
        panic!("a download");
    };
    order.artifacts.downloads = vec![ArtifactDownload {
        task: download,
        from: "PROJ-LIB-3".into(),
        artifacts: vec![placed("out", "lib")],
        problem: None,
    }];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert!(
        outcome.message.contains("is not below the working directory"),
        "{}",
        outcome.message
    );
    assert_eq!(fs::read_to_string(bench.work().join("seen")).unwrap(), "bytes");
    let mode = fs::metadata(bench.work().join("in/a/lib"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o100, 0o100);
}

#[tokio::test]
async fn an_artifact_that_is_gone_or_cut_short_fails_the_task_that_needs_it() {
    for (bytes, reason) in [
        (None, "is not kept any more"),
        (Some("byte"), "has 4 bytes where 5 were stored"),
    ] {
        let bench = Bench::new();
        let source = bench.home().join("blob");
        if let Some(bytes) = bytes {
            fs::write(&source, bytes).unwrap();
        }
        let mut order = bench.order(vec![script("touch ran")]);
        order.artifacts.subscribed = vec![PlacedArtifact {
            name: "lib".into(),
            destination: String::new(),
            files: vec![PlacedFile {
                path: "lib".into(),
                source,
                size: 5,
                executable: false,
            }],
        }];
        let outcome = bench.run(&order).await;
        assert_eq!(outcome.result, JobResult::Failed);
        assert!(outcome.message.contains(reason), "{}", outcome.message);
        assert!(!bench.work().join("ran").exists());
    }
}

#[tokio::test]
async fn test_results_are_kept_of_stopped_and_failed_jobs_too_with_quarantine_applied() {
    let bench = Bench::new();
    let report = "mkdir r; printf '<testsuite><testcase classname=\"C\" name=\"bad\"><failure message=\"why\"/></testcase>\
                  <testcase classname=\"C\" name=\"good\"/></testsuite>' > r/a.xml";
    let mut order = bench.order(vec![script(report), task(junit()), script("exit 4")]);
    order.variables.push(madake_protocol::JobVariable {
        name: "folder".into(),
        value: "r".into(),
        secret: false,
        may_refer: false,
    });
    let outcome = bench.run(&order).await;
    assert!(outcome.message.contains("1 test failed"), "{}", outcome.message);
    let kept = bench.directory().read_tests(u64::MAX).unwrap().unwrap();
    let told: Vec<_> = kept
        .cases
        .iter()
        .map(|case| (case.case.name.as_str(), case.outcome, case.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("bad", TestCaseOutcome::Failed, "why"),
            ("good", TestCaseOutcome::Successful, ""),
        ]
    );
    let bench = Bench::new();
    order.working_directory = bench.work();
    order.log_path = bench.home().join("job.log");
    order.tests.quarantined = vec![kept.cases[0].case.clone()];
    let outcome = bench.run(&order).await;
    // The parser passes; the program behind it is not excused.
    assert!(outcome.message.contains("exit code 4"), "{}", outcome.message);
    let kept = bench.directory().read_tests(u64::MAX).unwrap().unwrap();
    assert!(kept.cases[0].quarantined && !kept.cases[1].quarantined);
}

#[tokio::test]
async fn j2_reports_of_several_tasks_share_the_room_of_their_job() {
    let bench = Bench::new();
    let report = r#"mkdir r; for n in 1 2 3; do
        printf '<testsuite><testcase classname="C" name="c%s"><system-out>0123456789</system-out></testcase></testsuite>' $n > r/$n.xml
        done"#;
    let of_file = |name: &str| {
        task(TaskAction::TestParser(TestParserTask {
            format: TestFormat::Known(TestReportKind::Junit),
            patterns: vec![format!("r/{name}.xml")],
            ignore_time: false,
        }))
    };
    let mut order = bench.order(vec![script(report), of_file("1"), of_file("2"), of_file("3")]);
    order.tests.most_text_bytes = 15;
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", outcome.message);
    let kept = bench.directory().read_tests(u64::MAX).unwrap().unwrap();
    let texts: Vec<_> = kept.cases.iter().map(|case| case.output.as_str()).collect();
    assert_eq!(texts, ["0123456789", "01234… [cut]", ""]);
    // Their names as well: a case for whose names there is no room is told, and fails the task.
    let bench = Bench::new();
    order.working_directory = bench.work();
    order.log_path = bench.home().join("job.log");
    order.tests.most_text_bytes = 7;
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Failed, "{}", outcome.message);
    assert!(bench.log_text().contains("only the first 0 cases are taken"));
    let kept = bench.directory().read_tests(u64::MAX).unwrap().unwrap();
    assert_eq!(kept.cases.len(), 2);
}

#[tokio::test]
async fn s6_an_artifact_that_holds_a_secret_is_refused_told_of_or_kept_as_the_server_says() {
    let found = "`conf/app.properties` holds the value of the variable `bamboo.db.password`, and another file holds one too";
    for (secrets, is_kept, is_told) in [
        (SecretsInArtifacts::Refuse, false, true),
        (SecretsInArtifacts::Warn, true, true),
        (SecretsInArtifacts::Keep, true, false),
    ] {
        let bench = Bench::new();
        let mut order = bench.order(vec![script(
            "mkdir conf; printf 'password=hunter22!x\\n' > conf/app.properties; printf hunter22!x | base64 > \
             conf/encoded; echo fine > fine.txt",
        )]);
        order.variables = vec![secret("db.password", "hunter22!x")];
        order.artifacts.secrets = secrets;
        order.artifacts.keep = vec![
            artifact("conf", "conf/*", true),
            artifact("fine", "fine.txt", true),
        ];
        let outcome = bench.run(&order).await;
        let kept = bench.directory().read_artifacts().unwrap().unwrap();
        let names: Vec<&str> = kept.artifacts.iter().map(|one| one.name.as_str()).collect();
        let files = (0..4).filter(|number| bench.directory().kept_file(*number).exists());
        let (log, files) = (bench.log_text(), files.count());
        assert_eq!(log.contains(found), is_told, "{secrets:?}: {log}");
        assert!(!log.contains("hunter22!x"), "{log}");
        if is_kept {
            assert_eq!((names, files), (vec!["conf", "fine"], 3), "{secrets:?}");
            assert_eq!(outcome.result, JobResult::Successful, "{}", outcome.message);
        } else {
            assert_eq!(
                (names, files),
                (vec!["fine"], 1),
                "the others are kept, and nothing of it stays"
            );
            assert_eq!(outcome.result, JobResult::Failed);
            assert!(
                outcome
                    .message
                    .contains("the artifact 'conf' cannot be kept: `conf/")
                    && outcome.message.contains("secrets-in-artifacts"),
                "{}",
                outcome.message
            );
        }
    }
}

#[tokio::test]
async fn s6_names_and_messages_for_everybody_hold_no_secret() {
    let tag = TaskAction::VcsTag(VcsTagTask {
        repository: None,
        tag: "v-${bamboo.db.password}".into(),
        working_directory: String::new(),
    });
    let branch = TaskAction::VcsBranch(VcsBranchTask {
        repository: None,
        branch: "b/${bamboo.db.password}".into(),
        working_directory: String::new(),
    });
    let commit = TaskAction::VcsCommit(VcsCommitTask {
        repository: None,
        message: "deployed with ${bamboo.db.password}".into(),
        working_directory: String::new(),
    });
    for (action, what) in [
        (tag, "the name of the tag"),
        (branch, "the name of the branch"),
        (commit, "the message of the commit"),
    ] {
        let bench = Bench::new();
        let mut order = bench.order(vec![task(action)]);
        order.variables = vec![secret("db.password", "hunter22!x")];
        let outcome = bench.run(&order).await;
        assert_eq!(outcome.result, JobResult::Failed);
        assert!(
            outcome.message.contains(&format!("{what} holds a secret")),
            "{}",
            outcome.message
        );
    }
}
