//! Reports of agents, in time and out of time, and agents that are lost.

use madake_domain::schedule::{
    BuildOutcome, Effect, Input, InvalidTransition, JobOutcome, JobState, LostJobPolicy, MAX_LOSSES,
    StaleReason,
};

use crate::schedule_fixture::{AGENT, Story};

const GREEN: JobOutcome = JobOutcome::Successful;

#[test]
fn t5_reports_count_only_from_the_holder_of_the_present_attempt() {
    let mut story = Story::started("A B", "");
    let other = "agent-2".to_owned();
    let stale = |attempt, reason| {
        Err(InvalidTransition::StaleReport {
            job: 10,
            attempt,
            reason,
        })
    };
    let finish = |attempt, holder: &str| Input::JobFinished {
        job: 10,
        attempt,
        holder: holder.to_owned(),
        outcome: JobOutcome::Successful,
    };
    assert_eq!(story.attempt(finish(1, AGENT)), stale(1, StaleReason::NotLeased));
    assert_eq!(
        story.attempt(Input::JobLost { job: 10, attempt: 1 }),
        stale(1, StaleReason::NotLeased)
    );
    story.run(10);
    let lease_again = Input::JobLeased {
        job: 10,
        attempt: 1,
        holder: other.clone(),
    };
    assert_eq!(story.attempt(lease_again), stale(1, StaleReason::OtherHolder));
    assert_eq!(
        story.attempt(finish(1, &other)),
        stale(1, StaleReason::OtherHolder)
    );
    assert_eq!(
        story.attempt(finish(0, AGENT)),
        stale(0, StaleReason::OtherAttempt { current: 1 })
    );
    assert_eq!(
        story.attempt(finish(2, AGENT)),
        stale(2, StaleReason::OtherAttempt { current: 1 })
    );
    story.take(finish(1, AGENT));
    assert_eq!(story.attempt(finish(1, AGENT)), stale(1, StaleReason::NotActive));
    let never_queued = Input::JobStarted {
        job: 99,
        attempt: 1,
        holder: other,
    };
    assert_eq!(
        story.attempt(never_queued),
        Err(InvalidTransition::UnknownJob { job: 99 })
    );
}

#[test]
fn repeated_and_overtaken_progress_reports_change_nothing() {
    let mut story = Story::started("A", "");
    let holder = || AGENT.to_owned();
    story.run(10);
    story.take(Input::JobFinishing {
        job: 10,
        attempt: 1,
        holder: holder(),
    });
    let finishing = story.build.clone();
    story.effects.clear();
    story.take(Input::JobLeased {
        job: 10,
        attempt: 1,
        holder: holder(),
    });
    story.take(Input::JobStarted {
        job: 10,
        attempt: 1,
        holder: holder(),
    });
    story.take(Input::JobFinishing {
        job: 10,
        attempt: 1,
        holder: holder(),
    });
    assert_eq!(story.build, finishing);
    assert_eq!(story.effects, []);
}

#[test]
fn a_result_counts_even_if_the_reports_before_it_were_lost() {
    let mut story = Story::started("A", "");
    story.lease(10);
    story.finish(10, GREEN);
    let (_, job) = story.build.job(10).unwrap();
    assert!(matches!(job.state, JobState::Done { started_ms: None, .. }));
    assert_eq!(*story.outcome(), BuildOutcome::Successful);
}

#[test]
fn a_job_lost_before_it_began_is_queued_again_with_a_new_attempt() {
    let mut story = Story::started("A", "");
    story.lease(10);
    story.effects.clear();
    story.take(Input::JobLost { job: 10, attempt: 1 });
    assert_eq!(story.effects, [Effect::QueueJob { job: 10, attempt: 2 }]);
    let late = Input::JobFinished {
        job: 10,
        attempt: 1,
        holder: AGENT.to_owned(),
        outcome: GREEN,
    };
    assert!(matches!(
        story.attempt(late),
        Err(InvalidTransition::StaleReport {
            reason: StaleReason::OtherAttempt { current: 2 },
            ..
        })
    ));
    story.work_off(&[]);
    assert_eq!(*story.outcome(), BuildOutcome::Successful);
}

#[test]
fn a_job_that_keeps_losing_its_agent_ends_with_an_error() {
    let mut story = Story::started("A", "");
    for attempt in 1..=MAX_LOSSES + 1 {
        assert_eq!(story.attempt_of(10), attempt);
        story.lease(10);
        story.take(Input::JobLost { job: 10, attempt });
    }
    let (_, job) = story.build.job(10).unwrap();
    assert!(matches!(
        &job.state,
        JobState::Done { outcome: JobOutcome::Error { reason }, .. } if reason.contains(AGENT)
    ));
    assert_eq!(*story.outcome(), BuildOutcome::Failed);
    story.take(Input::RerunFailed);
    story.lease(10);
    story.take(Input::JobLost {
        job: 10,
        attempt: MAX_LOSSES + 2,
    });
    assert_eq!(
        story.attempt_of(10),
        MAX_LOSSES + 3,
        "a rerun starts counting anew"
    );
}

#[test]
fn a_job_lost_while_it_ran_follows_the_policy_of_the_build() {
    let mut careful = Story::started("A", "");
    careful.run(10);
    careful.take(Input::JobLost { job: 10, attempt: 1 });
    assert_eq!(*careful.outcome(), BuildOutcome::Failed);
    let mut eager = Story::created("A", "");
    eager.build = eager.build.with_lost_jobs(LostJobPolicy::QueueAgain);
    eager.take(Input::Start);
    eager.run(10);
    eager.take(Input::JobLost { job: 10, attempt: 1 });
    assert_eq!(eager.attempt_of(10), 2);
    eager.work_off(&[]);
    assert_eq!(*eager.outcome(), BuildOutcome::Successful);
}

#[test]
fn a_job_lost_after_a_stop_counts_as_stopped_and_lets_the_build_end() {
    let mut story = Story::started("A F!", "");
    story.lease(10);
    story.stop();
    story.take(Input::JobLost { job: 10, attempt: 1 });
    assert_eq!(story.work_off(&[]), ["A", "F"]);
    assert_eq!(*story.outcome(), BuildOutcome::Stopped);
}
