//! What others on the machine see of the processes of a job (hostile-inputs.md S12).

use std::fs;
use std::path::Path;

use madake_protocol::{Isolation, JobResult};

use crate::bench::{Bench, await_that, script, secret};
use crate::sandboxes::sandbox;

/// The arguments of all processes of the machine, one line for each.
fn arguments() -> String {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n")
        .collect()
}

/// Whether some process has this in its environment: there it is known to be.
fn is_in_an_environment(text: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let content = fs::read(entry.path().join("environ")).unwrap_or_default();
        content
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

fn left_in(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => left_in(&path, text),
            kind if kind.is_file() => fs::read(&path)
                .unwrap()
                .windows(text.len())
                .any(|window| window == text.as_bytes()),
            _ => false,
        }
    })
}

#[tokio::test]
async fn s12_secrets_of_a_job_are_in_its_environment_and_never_among_arguments() {
    for sandboxed in [false, true] {
        let bench = Bench::new();
        let value = format!("horse-battery-{}-{sandboxed}", std::process::id());
        let body = "touch began; while [ ! -e go ]; do sleep 0.01; done; echo \"it is <$bamboo_token>\"";
        let mut order = bench.order(vec![script(body)]);
        order.variables = vec![secret("token", &value)];
        if sandboxed {
            let Some(settings) = sandbox(&bench).await else {
                return;
            };
            order.isolation = Isolation::Bubblewrap(settings);
        }
        let mut job = bench.agent.start(&order).unwrap();
        await_that("the script", || bench.work().join("began").exists());
        let seen = arguments();
        let was_there = is_in_an_environment(&value);
        bench.touch("go");
        let ended = job.finished().await.unwrap();
        let home = bench.home().to_str().unwrap();
        assert!(seen.contains(home), "the job is among the processes: {seen}");
        assert!(!seen.contains(&value), "{seen}");
        assert!(was_there, "a script has its variables");
        let madake_agent::local::JobEnd::Finished(outcome) = ended else {
            panic!("{ended:?}")
        };
        assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
        assert!(bench.log_text().contains("it is <********>"));
        // Nothing of it is written down for others, the order aside, which the server removes with the job.
        assert!(!left_in(&bench.work(), &value));
    }
}
