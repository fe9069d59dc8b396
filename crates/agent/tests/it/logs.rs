//! What of a script's output arrives in the log, and when.

use madake_agent::local::JobEnd;
use madake_protocol::JobResult;

use crate::bench::{Bench, await_that, script};

#[tokio::test]
async fn each_kind_of_output_becomes_sane_lines() {
    let bench = Bench::new();
    let body = r"
        printf 'one\r\ntwo\n\nno feed at the '
        printf 'end\n10%%\r50%%\r100%%\n'
        printf 'bad \377 byte\ttab\n'
        printf 'error\t31-Jan-2026 06:17:36\tforged\n'
        head -c 200000 /dev/zero | tr '\0' x
        printf '\nlast without a feed'";
    let outcome = bench.run_script(body).await;
    assert_eq!(outcome.result, JobResult::Successful);
    let output = bench.output();
    assert_eq!(
        output[..8],
        [
            "one",
            "two",
            "",
            "no feed at the end",
            "10%",
            "50%",
            "100%",
            "bad \u{fffd} byte\ttab"
        ]
    );
    assert_eq!(output[8], "error\t31-Jan-2026 06:17:36\tforged");
    let lengths: Vec<_> = output[9..].iter().map(String::len).collect();
    assert_eq!(lengths, [65536, 65536, 65536, 3392, 19]);
}

#[tokio::test]
async fn line_is_visible_while_the_task_still_runs() {
    let bench = Bench::new();
    let order = bench.order(vec![script(
        "echo early; while [ ! -e go ]; do sleep 0.01; done; echo late",
    )]);
    let mut job = bench.agent.start(&order).unwrap();
    await_that("the line", || bench.output() == ["early"]);
    bench.touch("go");
    assert!(matches!(job.finished().await.unwrap(), JobEnd::Finished(_)));
    assert_eq!(bench.output(), ["early", "late"]);
}

#[tokio::test]
async fn much_output_on_both_streams_arrives_complete_and_in_order() {
    let bench = Bench::new();
    let outcome = bench
        .run_script("seq 1 50000 & seq -f 'e%g' 1 50000 >&2; wait")
        .await;
    assert_eq!(outcome.result, JobResult::Successful);
    let log = bench.log();
    let out: Vec<_> = log
        .iter()
        .filter(|(_, text)| text.parse::<u32>().is_ok())
        .collect();
    let err: Vec<_> = log
        .iter()
        .filter_map(|(_, text)| text.strip_prefix('e')?.parse::<u32>().ok())
        .collect();
    assert!(
        out.iter()
            .map(|(_, text)| text.parse::<u32>().unwrap())
            .eq(1..=50000)
    );
    assert!(err.into_iter().eq(1..=50000));
}

#[tokio::test]
async fn log_stops_at_its_limit_and_the_job_does_not() {
    let bench = Bench::new();
    let mut order = bench.order(vec![script("seq 1 10000; touch done")]);
    order.log_limit_bytes = Some(2000);
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful);
    assert!(outcome.log_bytes < 2100);
    assert!(
        outcome
            .log_problem
            .unwrap()
            .ends_with("because the log reached its limit of 2000 bytes")
    );
    assert!(bench.work().join("done").exists());
}
