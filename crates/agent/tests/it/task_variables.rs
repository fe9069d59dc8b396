//! Variables that a job makes of files, and the list of all of them.

use std::fs;
use std::os::unix::fs::symlink;

use madake_domain::plan::{InjectScope, InjectVariablesTask, Task, TaskAction};
use madake_protocol::JobResult;

use crate::bench::{Bench, script, secret, task, variable};

fn inject(file: &str, scope: InjectScope) -> Task {
    task(TaskAction::InjectVariables(InjectVariablesTask {
        file: file.into(),
        scope,
        namespace: "inject".into(),
    }))
}

#[tokio::test]
async fn injected_variables_reach_later_tasks_and_those_for_the_result_are_handed_on() {
    let bench = Bench::new();
    let order = bench.order(vec![
        script("printf 'version=1.2\\n# no\\nnot one\\nevil=${bamboo.version} $(id)\\n' > local.properties"),
        inject("local.properties", InjectScope::Local),
        script("echo \"${bamboo.inject.version} $bamboo_inject_version $bamboo_inject_evil\""),
        script("printf 'version=1.3\\nkey = a=b \\n' > result.properties"),
        inject("result.properties", InjectScope::Result),
        script("echo \"${bamboo.inject.version} $bamboo_inject_version ${bamboo.inject.key}\""),
    ]);
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(bench.output(), ["1.2 1.2 ${bamboo.version} $(id)", "1.3 1.3 a=b"]);
    assert!(
        bench
            .log_text()
            .contains("`local.properties` line 3: the line is not of the form key=value")
    );
    let made: Vec<(&str, &str)> = outcome
        .variables
        .iter()
        .map(|one| (one.name.as_str(), one.value.as_str()))
        .collect();
    assert_eq!(made, [("inject.key", "a=b"), ("inject.version", "1.3")]);
}

#[tokio::test]
async fn injected_secrets_are_masked_from_then_on_and_in_every_form_s1() {
    let bench = Bench::new();
    let order = bench.order(vec![
        script("echo 'db.password=hunter22x' > v; echo 'short.secret=ab' >> v"),
        inject("v", InjectScope::Result),
        script(
            "echo $bamboo_inject_db_password; printf %s $bamboo_inject_db_password | base64; \
             printf hunter; sleep 0.05; echo 22x",
        ),
    ]);
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(bench.output(), ["********"; 3]);
    assert!(!bench.log_text().contains("hunter22x"));
    assert!(
        bench
            .log_text()
            .contains("`bamboo.inject.short.secret` says that it is a secret, but")
    );
    assert!(outcome.variables.iter().all(|one| one.secret));
}

#[tokio::test]
async fn files_of_variables_do_not_leave_the_working_directory() {
    for bad in ["../outside", "/etc/passwd", "link", "missing", "pipe"] {
        let bench = Bench::new();
        fs::create_dir_all(bench.work()).unwrap();
        symlink("/etc/passwd", bench.work().join("link")).unwrap();
        let order = bench.order(vec![
            script("[ -e pipe ] || mkdir pipe"),
            inject(bad, InjectScope::Local),
        ]);
        let outcome = bench.run(&order).await;
        assert_eq!(outcome.result, JobResult::Failed, "{bad}");
        assert!(!bench.log_text().contains("root:"), "{bad}");
    }
}

#[tokio::test]
async fn dumped_variables_are_all_there_and_secrets_are_covered() {
    let bench = Bench::new();
    let mut order = bench.order(vec![task(TaskAction::DumpVariables)]);
    order.variables = vec![
        variable("greeting", "hello ${bamboo.name}"),
        variable("name", "anna"),
        secret("db.password", "hunter22x"),
    ];
    order.capabilities = vec![("system.jdk.JDK 21".into(), "/opt/jdk".into())];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful);
    let output = bench.output();
    for line in [
        "bamboo.capability.system.jdk.JDK 21 = /opt/jdk",
        "bamboo.db.password = ********",
        "bamboo.greeting = hello anna",
        "bamboo.name = anna",
    ] {
        assert!(output.iter().any(|one| one == line), "{line}\n{output:?}");
    }
}

#[tokio::test]
async fn value_that_holds_a_secret_is_handed_on_as_one_whatever_its_name() {
    let bench = Bench::new();
    let mut order = bench.order(vec![
        script("echo \"url=https://ann:$bamboo_db_password@host\" > v; echo plain=1 >> v"),
        inject("v", InjectScope::Result),
    ]);
    order.variables.push(secret("db.password", "correct-horse"));
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    let made: Vec<(&str, bool)> = outcome
        .variables
        .iter()
        .map(|one| (one.name.as_str(), one.secret))
        .collect();
    assert_eq!(made, [("inject.plain", false), ("inject.url", true)]);
}
