//! A job whose agent itself fails, which no task can bring about.

use std::fs;
use std::path::Path;

use super::*;
use crate::log_tail::tail;

fn order(home: &Path) -> JobOrder {
    let order = serde_json::json!({
        "format": madake_protocol::FORMAT,
        "job_result_key": "PROJ-PLAN-JOB1-7",
        "plan_name": "Project - Plan",
        "job_name": "Default Job",
        "agent_name": "Default Agent",
        "job_id": 1,
        "attempt": 1,
        "working_directory": home.join("work"),
        "log_path": home.join("job.log"),
        "tasks": [],
        "masks": ["correct horse"],
        "time_zone": "UTC",
    });
    JobOrder::from_json(order.to_string().as_bytes()).unwrap()
}

#[test]
fn job_whose_agent_fails_ends_its_log_with_the_place_and_shows_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let directory = JobDirectory::of(&home.path().join("jobs"), 1, 1);
    fs::create_dir_all(directory.tmp_path()).unwrap();
    panics::keep();
    let outcome = run_by(&order(home.path()), &directory, 1, |job, _| {
        job.log.say(LogKind::Build, "Starting");
        panic!("a key of `correct horse` is missing");
    });
    let JobResult::Error(reason) = outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert!(
        reason.contains("failed at crates/agent/src/supervisor/job/tests.rs:"),
        "{reason}"
    );
    assert!(!outcome.message.contains("horse"), "{}", outcome.message);
    let log = tail(&home.path().join("job.log"), 0, usize::MAX).unwrap().text;
    let mut lines = log.lines().skip_while(|line| !line.ends_with("Starting")).skip(1);
    let told = lines.next().unwrap();
    assert!(told.contains("The agent itself failed at crates/agent"), "{told}");
    assert!(told.contains("a key of `********` is missing"), "{told}");
    assert!(
        lines
            .next()
            .unwrap()
            .ends_with("Finished building PROJ-PLAN-JOB1-7: Error")
    );
    assert_eq!(lines.next(), None);
}
