//! What clients see of a build: the table of bamboo-rest.md 1.12 and the stage fields of 5.3.

#![expect(
    clippy::unwrap_used,
    reason = "what these helpers unwrap, the test has just made"
)]

use madake_domain::schedule::{Build, BuildSummary, Input, JobOutcome, StageSummary};
use madake_domain::stage_selection::StageRequest;

use crate::schedule_fixture::{Story, failed, plan};

const GREEN: JobOutcome = JobOutcome::Successful;

/// `lifeCycleState`, `state`, then those of the five flags that are set, in the order of the table.
fn row(summary: &BuildSummary) -> String {
    let flags = [
        (summary.finished, "finished"),
        (summary.successful, "successful"),
        (summary.not_run_yet, "notRunYet"),
        (summary.continuable, "continuable"),
        (summary.restartable, "restartable"),
    ];
    let mut words = vec![summary.life_cycle.as_str(), summary.state.as_str()];
    words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| name));
    words.join(" ")
}

fn stage_row(summary: &StageSummary) -> String {
    let flags = [
        (summary.manual, "manual"),
        (summary.restartable, "restartable"),
        (summary.runnable, "runnable"),
    ];
    let mut words = vec![
        summary.life_cycle.as_str(),
        summary.state.as_str(),
        summary.display_class,
    ];
    words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| name));
    format!("{}: {}", words.join(" "), summary.display_message)
}

fn stage_rows(build: &Build) -> Vec<String> {
    (0..build.stages().len())
        .map(|index| stage_row(&build.stage_summary(index).unwrap()))
        .collect()
}

fn job_row(build: &Build, job: i64) -> String {
    let summary = build.job_summary(job).unwrap();
    format!("{} {}", summary.life_cycle.as_str(), summary.state.as_str())
}

#[test]
fn a_build_shows_the_states_and_flags_of_the_table() {
    let created = Story::created("A", "");
    let queued = Story::started("A", "");
    let mut taken = Story::started("A", "");
    taken.lease(10);
    let mut green = Story::started("A", "");
    green.work_off(&[]);
    let mut paused = Story::started("A M*", "");
    paused.work_off(&[]);
    let mut red = Story::started("A M*", "");
    red.work_off(&["A"]);
    let mut stopping = Story::started("A", "");
    stopping.run(10);
    stopping.stop();
    let mut stopped = Story::started("A", "");
    stopped.stop();
    let mut missing = Story::created("A", "");
    missing.take(Input::GiveUp {
        reason: "no such revision".to_owned(),
    });
    let mut repeated = Story::started("A", "");
    repeated.work_off(&["A"]);
    repeated.put("").unwrap();
    let mut second_stage = Story::started("A B", "");
    second_stage.work(10, GREEN);
    let cases = [
        (created, "Pending Unknown notRunYet"),
        (queued, "Queued Unknown notRunYet"),
        (taken, "InProgress Unknown"),
        (green, "Finished Successful finished successful"),
        (paused, "Finished Successful finished successful continuable"),
        (red, "Finished Failed finished restartable"),
        (stopping, "InProgress Unknown"),
        (stopped, "NotBuilt Unknown restartable"),
        (missing, "NotBuilt Unknown restartable"),
        (repeated, "Queued Unknown"),
        (second_stage, "InProgress Unknown"),
    ];
    for (story, expected) in cases {
        assert_eq!(row(&story.build.summary()), expected, "{:?}", story.build);
    }
}

#[test]
fn stages_of_a_paused_build_look_as_documented() {
    let mut story = Story::started("First Second* Third*", "");
    story.work_off(&[]);
    assert_eq!(
        stage_rows(&story.build),
        [
            "Finished Successful Successful: 1 job passed",
            "NotBuilt Unknown NotBuilt manual runnable: 1 of 1 job not executed",
            "NotBuilt Unknown NotBuilt manual: 1 of 1 job not executed",
        ]
    );
    assert_eq!(job_row(&story.build, 10), "Finished Successful");
    assert_eq!(job_row(&story.build, 20), "NotBuilt Unknown");
}

#[test]
fn stages_of_a_failed_build_look_as_documented() {
    let mut story = Story::started("A:2 B:2 F! M*", "");
    story.work(10, failed());
    story.work(11, GREEN);
    story.work_off(&[]);
    assert_eq!(
        stage_rows(&story.build),
        [
            "Finished Failed Failed restartable: 1 of 2 jobs failed",
            "NotBuilt Unknown NotBuilt: 2 of 2 jobs not executed",
            "Finished Successful Successful: 1 job passed",
            "NotBuilt Unknown NotBuilt manual: 1 of 1 job not executed",
        ]
    );
    let mut single = Story::started("A", "");
    single.work_off(&["A"]);
    assert_eq!(
        stage_rows(&single.build),
        ["Finished Failed Failed restartable: 1 of 1 job failed"]
    );
    assert_eq!(job_row(&single.build, 10), "Finished Failed");
}

#[test]
fn stages_of_a_running_build_show_how_far_they_are() {
    let mut story = Story::started("A:2 B:3 M*", "");
    assert_eq!(
        stage_rows(&story.build),
        [
            "Queued Unknown Queued: 2 jobs queued",
            "Pending Unknown Queued: 3 jobs pending",
            "NotBuilt Unknown NotBuilt manual: 1 of 1 job not executed",
        ]
    );
    assert_eq!(
        [10, 20, 30].map(|job| job_row(&story.build, job)),
        ["Queued Unknown", "Pending Unknown", "NotBuilt Unknown"]
    );
    story.work(10, GREEN);
    assert_eq!(
        stage_rows(&story.build)[0],
        "InProgress Unknown InProgress: 1 of 2 jobs completed"
    );
    assert_eq!(story.build.current_stage().unwrap().name, "A");
    story.run(11);
    assert_eq!(job_row(&story.build, 11), "InProgress Unknown");
    story.finish(11, GREEN);
    assert_eq!(
        stage_rows(&story.build)[0],
        "Finished Successful Successful: 2 jobs passed"
    );
}

#[test]
fn stages_of_a_stopped_build_are_not_built() {
    let mut story = Story::started("A:3 B", "");
    story.work(10, GREEN);
    story.run(11);
    story.stop();
    assert_eq!(
        stage_rows(&story.build)[0],
        "InProgress Unknown InProgress: 2 of 3 jobs completed"
    );
    story.finish(11, JobOutcome::Stopped);
    assert_eq!(
        stage_rows(&story.build),
        [
            "NotBuilt Unknown NotBuilt restartable: 2 of 3 jobs not executed",
            "NotBuilt Unknown NotBuilt: 1 of 1 job not executed",
        ]
    );
    assert_eq!(
        [10, 11, 12].map(|job| job_row(&story.build, job)),
        ["Finished Successful", "NotBuilt Unknown", "NotBuilt Unknown"]
    );
}

#[test]
fn disabled_jobs_do_not_count() {
    let mut stages = plan("A:3");
    stages[0].jobs[1].enabled = false;
    let build = Build::new(stages, &StageRequest::default()).unwrap();
    let mut story = Story {
        build,
        effects: Vec::new(),
        now_ms: 0,
    };
    story.take(Input::Start);
    story.work_off(&[]);
    assert_eq!(
        stage_rows(&story.build),
        ["Finished Successful Successful: 2 jobs passed"]
    );
    assert_eq!(job_row(&story.build, 11), "NotBuilt Unknown");
}

#[test]
fn what_does_not_exist_has_no_summary() {
    let story = Story::created("A", "");
    assert_eq!(story.build.stage_summary(1), None);
    assert_eq!(story.build.job_summary(99), None);
}
