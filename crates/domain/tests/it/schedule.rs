//! The stage machine story by story: order, failure, final stages, stop, rerun, guards, and what clients see.

use madake_domain::schedule::{
    Build, BuildOutcome, BuildState, Effect, Input, InvalidTransition, JobOutcome, JobState, LifeCycleState,
    NewBuildError, NewJob, NewStage, ResultState, StageState, StaleReason, StopScope,
};
use madake_domain::stage_selection::StageRequest;

use crate::schedule_fixture::{AGENT, Story, failed, plan};

const GREEN: JobOutcome = JobOutcome::Successful;

#[test]
fn jobs_of_a_stage_are_queued_together_and_all_must_succeed_before_the_next() {
    let mut story = Story::started("Build:2 Test", "");
    assert_eq!(
        std::mem::take(&mut story.effects),
        [
            Effect::BuildStarted,
            Effect::StageStarted { stage: 0 },
            Effect::QueueJob { job: 10, attempt: 1 },
            Effect::QueueJob { job: 11, attempt: 1 },
        ]
    );
    story.work(10, GREEN);
    assert_eq!(story.effects, []);
    story.work(11, GREEN);
    assert_eq!(
        std::mem::take(&mut story.effects),
        [
            Effect::StageFinished { stage: 0 },
            Effect::StageStarted { stage: 1 },
            Effect::QueueJob { job: 20, attempt: 1 },
        ]
    );
    story.work(20, GREEN);
    assert_eq!(
        story.effects,
        [
            Effect::StageFinished { stage: 1 },
            Effect::BuildFinished {
                outcome: BuildOutcome::Successful
            }
        ]
    );
}

#[test]
fn the_rest_of_a_failing_stage_runs_to_its_end() {
    let mut story = Story::started("Build:2 Test", "");
    story.work(10, failed());
    assert_eq!(story.stage_words(), ["in progress", "pending"]);
    story.work(11, GREEN);
    assert_eq!(story.stage_words(), ["failed", "not built"]);
    assert_eq!(*story.outcome(), BuildOutcome::Failed);
}

#[test]
fn stages_without_jobs_and_stages_of_disabled_jobs_succeed_at_once() {
    let mut stages = plan("Empty:0 Off:2 Work Last:0");
    stages[1].jobs.iter_mut().for_each(|job| job.enabled = false);
    let build = Build::new(stages, &StageRequest::default()).unwrap();
    let mut story = Story {
        build,
        effects: Vec::new(),
        now_ms: 0,
    };
    story.take(Input::Start);
    assert_eq!(
        story.stage_words(),
        ["successful", "successful", "in progress", "pending"]
    );
    assert_eq!(story.work_off(&[]), ["Empty", "Off", "Work", "Last"]);
    assert_eq!(*story.outcome(), BuildOutcome::Successful);
    assert_eq!(story.attempt_of(20), 0);
}

#[test]
fn a_plan_without_stages_finishes_at_once() {
    let story = Story::started("", "");
    assert_eq!(*story.outcome(), BuildOutcome::Successful);
}

#[test]
fn a_job_id_used_twice_is_refused() {
    let stage = |name: &str| NewStage {
        name: name.to_owned(),
        manual: false,
        final_stage: false,
        jobs: vec![NewJob { id: 7, enabled: true }],
    };
    let refused = Build::new(vec![stage("A"), stage("B")], &StageRequest::default());
    assert_eq!(refused, Err(NewBuildError::DuplicateJob { job: 7 }));
}

#[test]
fn after_a_failure_only_final_stages_within_the_limit_run() {
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);
    // Plan, query, failing stages; stages that start, states at the end.
    let cases: &[Case<'_>] = &[
        (
            "A B F!",
            "",
            &["A"],
            &["A", "F"],
            &["failed", "not built", "successful"],
        ),
        (
            "A F! B G!",
            "",
            &["A"],
            &["A", "F", "G"],
            &["failed", "successful", "not built", "successful"],
        ),
        // A failing final stage fails the build and takes later stages out, final ones excepted.
        (
            "A F! B G!",
            "",
            &["F"],
            &["A", "F", "G"],
            &["successful", "failed", "not built", "successful"],
        ),
        ("A F!", "", &["F"], &["A", "F"], &["successful", "failed"]),
        // An untriggered manual stage holds the final ones behind it, also after a failure.
        (
            "A F! M* G!",
            "",
            &["A"],
            &["A", "F"],
            &["failed", "successful", "not built", "not built"],
        ),
        // A triggered manual stage is skipped like any other and holds nothing.
        (
            "A M* G!",
            "stage=M",
            &["A"],
            &["A", "G"],
            &["failed", "not built", "successful"],
        ),
        (
            "A M* G!",
            "executeAllStages=true",
            &["A"],
            &["A", "G"],
            &["failed", "not built", "successful"],
        ),
        // A stage both manual and final waits until it is triggered, and then runs whatever happened.
        ("A F*!", "", &["A"], &["A"], &["failed", "not built"]),
        ("A F*!", "stage=F", &["A"], &["A", "F"], &["failed", "successful"]),
        (
            "A F*! G!",
            "stage=A",
            &["A"],
            &["A"],
            &["failed", "not built", "not built"],
        ),
    ];
    for (stages, post, failing, started, words) in cases {
        let mut story = Story::started(stages, post);
        assert_eq!(
            story.work_off(failing),
            *started,
            "{stages} ?{post} with {failing:?} failing"
        );
        assert_eq!(
            story.stage_words(),
            *words,
            "{stages} ?{post} with {failing:?} failing"
        );
        assert_eq!(
            *story.outcome(),
            BuildOutcome::Failed,
            "{stages} ?{post} with {failing:?} failing"
        );
    }
}

#[test]
fn a_green_build_waits_before_the_manual_stage_and_final_stages_behind_it_wait_too() {
    let mut story = Story::started("A F! M* G!", "");
    assert_eq!(story.work_off(&[]), ["A", "F"]);
    assert!(matches!(
        story.build.state(),
        BuildState::Paused { next_stage: 2, .. }
    ));
    assert_eq!(
        story.stage_words(),
        ["successful", "successful", "not built", "not built"]
    );
}

#[test]
fn a_build_whose_first_stage_is_manual_runs_nothing_and_waits() {
    let mut story = Story::started("M* A", "");
    assert_eq!(
        story.effects,
        [Effect::BuildStarted, Effect::BuildPaused { next_stage: 0 }]
    );
    let summary = story.build.summary();
    assert!(summary.continuable && summary.finished && summary.not_run_yet);
    assert_eq!((summary.state, summary.successful), (ResultState::Unknown, false));
    story.put("").unwrap();
    assert_eq!(story.work_off(&[]), ["M", "A"]);
}

#[test]
fn a_rerun_repeats_only_jobs_that_did_not_succeed_and_the_final_stages_behind_them() {
    let mut story = Story::started("A:3 B F!:2", "");
    story.work(10, GREEN);
    story.work(11, failed());
    story.work(
        12,
        JobOutcome::Error {
            reason: "no disk".to_owned(),
        },
    );
    assert_eq!(story.work_off(&[]), ["A", "F"]);
    assert_eq!(
        story.build.job_summary(20).unwrap().life_cycle,
        LifeCycleState::NotBuilt
    );
    story.take(Input::RerunFailed);
    assert_eq!(story.stage_words(), ["in progress", "pending", "pending"]);
    assert_eq!(story.work_off(&[]), ["A", "B", "F"]);
    assert_eq!(
        story.attempts().into_iter().collect::<Vec<_>>(),
        [(10, 1), (11, 2), (12, 2), (20, 1), (30, 2), (31, 2)]
    );
    assert_eq!(*story.outcome(), BuildOutcome::Successful);
}

#[test]
fn a_rerun_that_fails_again_can_be_rerun_again() {
    let mut story = Story::started("A F!", "");
    story.work_off(&["A"]);
    for attempt in 2..5 {
        story.take(Input::RerunFailed);
        assert_eq!(story.work_off(&["A"]), ["A", "F"]);
        assert_eq!((story.attempt_of(10), story.attempt_of(20)), (attempt, attempt));
        assert_eq!(*story.outcome(), BuildOutcome::Failed);
    }
}

#[test]
fn a_rerun_stops_before_the_next_manual_stage_and_voids_final_stages_behind_it() {
    let mut story = Story::started("A M* F!", "executeAllStages=true");
    assert_eq!(story.work_off(&["A"]), ["A", "F"]);
    story.take(Input::RerunFailed);
    assert_eq!(story.work_off(&[]), ["A"]);
    assert_eq!(story.stage_words(), ["successful", "not built", "not built"]);
    assert!(matches!(
        story.build.state(),
        BuildState::Paused { next_stage: 1, .. }
    ));
    story.put("").unwrap();
    assert_eq!(story.work_off(&[]), ["M", "F"]);
    assert_eq!(story.attempt_of(30), 2);
}

#[test]
fn a_rerun_without_a_failure_is_refused() {
    let mut paused = Story::started("A M*", "");
    paused.work_off(&[]);
    let refused = paused.attempt(Input::RerunFailed).unwrap_err();
    let InvalidTransition::Continue(refusal) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((refusal.code(), refusal.http_status()), ("nothing-failed", 400));
}

#[test]
fn a_stop_cancels_running_jobs_withdraws_queued_ones_and_lets_final_stages_run() {
    let mut story = Story::started("A:3 B F!", "");
    story.lease(10);
    story.run(11);
    story.effects.clear();
    story.stop();
    assert_eq!(
        std::mem::take(&mut story.effects),
        [
            Effect::CancelJob {
                job: 10,
                attempt: 1,
                holder: AGENT.to_owned()
            },
            Effect::CancelJob {
                job: 11,
                attempt: 1,
                holder: AGENT.to_owned()
            },
            Effect::WithdrawJob { job: 12, attempt: 1 },
        ]
    );
    assert_eq!(story.stage_words(), ["stopping", "not built", "pending"]);
    story.finish(10, JobOutcome::Stopped);
    assert_eq!(story.effects, []);
    story.finish(11, JobOutcome::Stopped);
    assert_eq!(story.work_off(&[]), ["F"]);
    assert_eq!(story.stage_words(), ["stopped", "not built", "successful"]);
    assert_eq!(*story.outcome(), BuildOutcome::Stopped);
    assert_eq!(story.build.stop().unwrap().by, "joe");
}

#[test]
fn a_stop_of_a_build_with_only_queued_jobs_ends_at_once() {
    let mut story = Story::started("A:2 B", "");
    story.stop();
    assert_eq!(*story.outcome(), BuildOutcome::Stopped);
    let attempt = 1;
    let late = story.attempt(Input::JobLeased {
        job: 10,
        attempt,
        holder: AGENT.to_owned(),
    });
    assert_eq!(
        late,
        Err(InvalidTransition::StaleReport {
            job: 10,
            attempt,
            reason: StaleReason::NotActive
        })
    );
}

#[test]
fn a_second_stop_ends_final_stages_too() {
    let mut story = Story::started("A F! G!", "");
    story.run(10);
    story.stop();
    story.finish(10, JobOutcome::Stopped);
    story.run(20);
    story.effects.clear();
    story.stop();
    assert_eq!(
        story.effects,
        [Effect::CancelJob {
            job: 20,
            attempt: 1,
            holder: AGENT.to_owned()
        }]
    );
    assert_eq!(story.build.stop().unwrap().scope, StopScope::Everything);
    story.finish(20, JobOutcome::Stopped);
    assert_eq!(story.stage_words(), ["stopped", "stopped", "not built"]);
    assert_eq!(*story.outcome(), BuildOutcome::Stopped);
}

#[test]
fn an_impatient_second_stop_repeats_the_cancel_and_drops_the_final_stages() {
    let mut story = Story::started("A F!", "");
    story.run(10);
    story.stop();
    story.effects.clear();
    story.stop();
    assert_eq!(
        story.effects,
        [Effect::CancelJob {
            job: 10,
            attempt: 1,
            holder: AGENT.to_owned()
        }]
    );
    story.finish(10, JobOutcome::Stopped);
    assert_eq!(story.stage_words(), ["stopped", "not built"]);
}

#[test]
fn a_final_stage_that_fails_after_a_stop_is_shown_as_failed_and_the_build_as_stopped() {
    let mut story = Story::started("A F! G!", "");
    story.stop();
    assert_eq!(story.work_off(&["F"]), ["A", "F", "G"]);
    assert_eq!(story.stage_words(), ["stopped", "failed", "successful"]);
    assert_eq!(*story.outcome(), BuildOutcome::Stopped);
}

#[test]
fn a_failure_before_a_stop_of_the_final_stage_stays_a_failure() {
    let mut story = Story::started("A F!", "");
    story.work(10, failed());
    story.stop();
    assert_eq!(story.stage_words(), ["failed", "stopped"]);
    assert_eq!(*story.outcome(), BuildOutcome::Failed);
}

#[test]
fn a_stop_that_comes_too_late_to_cut_anything_short_leaves_the_verdict_alone() {
    let mut all = Story::started("A", "");
    all.run(10);
    all.stop();
    all.finish(10, GREEN);
    assert_eq!(*all.outcome(), BuildOutcome::Successful);
    let mut part = Story::started("A M*", "");
    part.run(10);
    part.stop();
    part.finish(10, GREEN);
    assert!(part.build.summary().continuable);
    let mut more_to_do = Story::started("A B", "");
    more_to_do.run(10);
    more_to_do.stop();
    more_to_do.finish(10, GREEN);
    assert_eq!(more_to_do.stage_words(), ["successful", "not built"]);
    assert_eq!(*more_to_do.outcome(), BuildOutcome::Stopped);
    more_to_do.effects.clear();
    more_to_do.take(Input::RerunFailed);
    assert_eq!(more_to_do.work_off(&[]), ["B"]);
    assert_eq!(*more_to_do.outcome(), BuildOutcome::Successful);
}

#[test]
fn a_stopped_build_goes_on_where_it_was_stopped() {
    let mut story = Story::started("A:2 B", "");
    story.work(10, GREEN);
    story.stop();
    assert!(story.build.summary().restartable);
    story.effects.clear();
    story.take(Input::RerunFailed);
    assert!(story.build.stop().is_none());
    assert_eq!(story.work_off(&[]), ["A", "B"]);
    assert_eq!((story.attempt_of(10), story.attempt_of(11)), (1, 2));
}

#[test]
fn stopping_what_does_not_run_is_refused() {
    let mut paused = Story::started("A M*", "");
    paused.work_off(&[]);
    let mut finished = Story::started("A", "");
    finished.work_off(&[]);
    for mut story in [paused, finished] {
        let stop = Input::Stop { by: "joe".to_owned() };
        assert_eq!(story.attempt(stop), Err(InvalidTransition::NotRunning));
    }
}

#[test]
fn a_build_can_end_before_it_begins_and_be_taken_up_again() {
    let mut stopped = Story::created("A F!", "");
    stopped.stop();
    assert_eq!(
        stopped.effects,
        [Effect::BuildFinished {
            outcome: BuildOutcome::Stopped
        }]
    );
    let mut missing = Story::created("A F!", "");
    missing.take(Input::GiveUp {
        reason: "revision abc is gone".to_owned(),
    });
    assert!(
        matches!(missing.outcome(), BuildOutcome::NotStarted { reason } if reason == "revision abc is gone")
    );
    for mut story in [stopped, missing] {
        assert_eq!(
            story.attempt(Input::Start),
            Err(InvalidTransition::AlreadyStarted)
        );
        story.put("").unwrap();
        assert_eq!(story.work_off(&[]), ["A", "F"]);
        assert_eq!(*story.outcome(), BuildOutcome::Successful);
    }
}

#[test]
fn times_are_those_of_the_inputs() {
    let mut story = Story::started("A", "");
    let started = story.now_ms;
    story.run(10);
    let began = story.now_ms;
    story.finish(10, GREEN);
    let over = story.now_ms;
    let (stage, job) = story.build.job(10).unwrap();
    let expected = StageState::Successful {
        started_ms: started,
        finished_ms: over,
    };
    assert_eq!(stage.state, expected);
    assert_eq!(
        job.state,
        JobState::Done {
            outcome: GREEN,
            started_ms: Some(began),
            finished_ms: over
        }
    );
    assert!(matches!(story.build.state(), BuildState::Finished { at_ms, .. } if *at_ms == over));
}

/// The names of the manual stages that hold up each stage.
fn held_up(story: &Story) -> Vec<Option<String>> {
    let indices = 0..story.build.stages().len();
    indices
        .map(|index| story.build.held_up_by(index).map(|stage| stage.name.clone()))
        .collect()
}

#[test]
fn a_final_stage_says_which_manual_stage_holds_it_up_after_a_failure_a_stop_and_a_pause() {
    let behind_hand = [None, None, Some("Hand".to_owned())];
    let mut failed = Story::started("First Hand* Last!", "");
    assert_eq!(held_up(&failed), [None, None, None], "while it runs nobody knows");
    failed.work_off(&["First"]);
    assert_eq!(*failed.outcome(), BuildOutcome::Failed);
    assert_eq!(held_up(&failed), behind_hand);

    let mut stopped = Story::started("First Hand* Last!", "");
    stopped.take(Input::Stop { by: "joe".to_owned() });
    assert_eq!(*stopped.outcome(), BuildOutcome::Stopped);
    assert_eq!(held_up(&stopped), behind_hand);

    let mut paused = Story::started("First Hand* Last!", "");
    paused.work_off(&[]);
    assert_eq!(held_up(&paused), behind_hand);
    paused.put("").unwrap();
    paused.work_off(&["Hand"]);
    assert_eq!(paused.stage_words(), ["successful", "failed", "successful"]);
    assert_eq!(held_up(&paused), [None, None, None]);

    let mut further = Story::started("First Hand* Last!", "executeAllStages=true");
    further.work_off(&["First"]);
    assert_eq!(further.stage_words(), ["failed", "not built", "successful"]);
    assert_eq!(held_up(&further), [None, None, None]);
}

#[test]
fn time_that_a_build_lies_idle_is_no_time_of_running() {
    let mut story = Story::started("A:2 B", "");
    // Each input takes a millisecond.
    let run = |story: &mut Story, job: i64, from: i64, until: i64, outcome: JobOutcome| {
        story.now_ms = from - 2;
        story.run(job);
        story.now_ms = until - 1;
        story.finish(job, outcome);
    };
    assert_eq!(story.build.ran_ms(), 0);
    // Beside each other, with 50 in common.
    run(&mut story, 10, 1_000, 1_150, GREEN);
    run(&mut story, 11, 1_100, 1_300, failed());
    assert_eq!(story.build.ran_ms(), 300);
    // An hour later the failed one runs again.
    story.now_ms = 3_600_000;
    story.take(Input::RerunFailed);
    run(&mut story, 11, 3_600_010, 3_600_110, GREEN);
    run(&mut story, 20, 3_600_120, 3_600_125, GREEN);
    assert_eq!(story.build.ran_ms(), 150 + 100 + 5);
}
