//! Properties of the stage machine over random plans, calls and reports, among them repeated, stale and
//! overtaken ones. A watcher that knows nothing of the machine's inside follows inputs and effects.

#![expect(
    clippy::unwrap_used,
    reason = "what these helpers unwrap, the test has just made"
)]

use std::collections::{BTreeMap, BTreeSet};

use madake_domain::schedule::{
    Build, BuildOutcome, BuildState, Effect, Input, InvalidTransition, JobOutcome, LostJobPolicy, NewJob,
    NewStage, StageState, step,
};
use madake_domain::stage_selection::{Limit, StageRequest};
use proptest::prelude::*;

use crate::schedule_fixture::{failed, is_queued};

/// More inputs than any of these builds can take before it must have ended.
const PATIENCE: usize = 2_000;

/// A random deed. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Deed {
    Lease {
        pick: usize,
        holder: u8,
    },
    Start {
        pick: usize,
    },
    Finishing {
        pick: usize,
    },
    Finish {
        pick: usize,
        verdict: u8,
    },
    Lose {
        pick: usize,
    },
    /// Any report at all, about any job and attempt, from anybody.
    Noise {
        kind: u8,
        pick: usize,
        attempt: u32,
        holder: u8,
    },
    /// A report that was taken before, once more.
    Again {
        pick: usize,
    },
    Stop,
    Continue {
        stage: Option<usize>,
        all: bool,
    },
    RerunFailed,
    Begin,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let pick = 0_usize..16;
    let deed = prop_oneof![
        8 => (pick.clone(), 0_u8..3).prop_map(|(pick, holder)| Deed::Lease { pick, holder }),
        4 => pick.clone().prop_map(|pick| Deed::Start { pick }),
        2 => pick.clone().prop_map(|pick| Deed::Finishing { pick }),
        8 => (pick.clone(), 0_u8..10).prop_map(|(pick, verdict)| Deed::Finish { pick, verdict }),
        2 => pick.clone().prop_map(|pick| Deed::Lose { pick }),
        3 => (0_u8..5, pick.clone(), 0_u32..4, 0_u8..3)
            .prop_map(|(kind, pick, attempt, holder)| Deed::Noise { kind, pick, attempt, holder }),
        3 => pick.prop_map(|pick| Deed::Again { pick }),
        1 => Just(Deed::Stop),
        3 => (proptest::option::of(0_usize..7), proptest::bool::weighted(0.2))
            .prop_map(|(stage, all)| Deed::Continue { stage, all }),
        1 => Just(Deed::RerunFailed),
        1 => Just(Deed::Begin),
    ];
    proptest::collection::vec(deed, 0..120)
}

fn stages() -> impl Strategy<Value = Vec<NewStage>> {
    let stage = (
        any::<bool>(),
        any::<bool>(),
        proptest::collection::vec(proptest::bool::weighted(0.9), 0..5),
    );
    proptest::collection::vec(stage, 1..7).prop_map(|stages| {
        let numbered = stages.into_iter().enumerate();
        numbered
            .map(|(index, (manual, final_stage, enabled))| {
                let ids = 10 * (i64::try_from(index).unwrap() + 1)..;
                let jobs = ids
                    .zip(enabled)
                    .map(|(id, enabled)| NewJob { id, enabled })
                    .collect();
                NewStage {
                    name: format!("S{index}"),
                    manual,
                    final_stage,
                    jobs,
                }
            })
            .collect()
    })
}

fn request(stage: Option<usize>, execute_all_stages: bool) -> StageRequest {
    StageRequest {
        stage: stage.map(|index| format!("S{index}")),
        execute_all_stages,
    }
}

fn policies() -> impl Strategy<Value = LostJobPolicy> {
    prop_oneof![Just(LostJobPolicy::EndInError), Just(LostJobPolicy::QueueAgain)]
}

/// Follows a build from outside and objects to whatever must not happen.
struct Watcher {
    build: Build,
    limit: Limit,
    now_ms: i64,
    running: bool,
    /// Attempts that are queued (no holder) or leased, by job.
    active: BTreeMap<i64, (u32, Option<String>)>,
    ever_queued: BTreeSet<(i64, u32)>,
    accepted_reports: Vec<Input>,
    /// Jobs whose success an earlier run has left to this one.
    kept: BTreeSet<i64>,
    stops_in_this_run: usize,
}

impl Watcher {
    fn new(build: Build) -> Self {
        Self {
            limit: build.limit(),
            build,
            now_ms: 0,
            running: false,
            active: BTreeMap::new(),
            ever_queued: BTreeSet::new(),
            accepted_reports: Vec::new(),
            kept: BTreeSet::new(),
            stops_in_this_run: 0,
        }
    }

    /// Hands over an input; the machine is stored and read back each time, as the engine does it.
    fn take(&mut self, input: Input) -> Result<(), InvalidTransition> {
        self.now_ms += 1;
        let expected = self.expected_verdict(&input);
        let outcome = step(&self.build, input.clone(), self.now_ms);
        if let Some(expected) = expected {
            assert_eq!(outcome.is_ok(), expected, "{input:?} in {:?}", self.build);
        }
        let (next, effects) = outcome?;
        let stored = serde_json::to_string(&next).unwrap();
        let read_back: Build = serde_json::from_str(&stored).unwrap();
        assert_eq!(read_back, next);
        self.note_input(input);
        let before = std::mem::replace(&mut self.build, read_back);
        for effect in effects {
            self.note_effect(&effect, &before);
        }
        self.check_state();
        Ok(())
    }

    /// Whether a report must be taken, judged by leases alone; `None` for inputs that are not reports.
    fn expected_verdict(&self, input: &Input) -> Option<bool> {
        let holds = |job: &i64, attempt: &u32, holder: &String| {
            self.active
                .get(job)
                .is_some_and(|active| *active == (*attempt, Some(holder.clone())))
        };
        Some(match input {
            Input::JobLeased { job, attempt, holder } => {
                self.active.get(job) == Some(&(*attempt, None)) || holds(job, attempt, holder)
            }
            Input::JobStarted { job, attempt, holder }
            | Input::JobFinishing { job, attempt, holder }
            | Input::JobFinished {
                job, attempt, holder, ..
            } => holds(job, attempt, holder),
            Input::JobLost { job, attempt } => {
                matches!(self.active.get(job), Some((current, Some(_))) if current == attempt)
            }
            _ => return None,
        })
    }

    fn note_input(&mut self, input: Input) {
        match &input {
            Input::JobLeased { job, attempt, holder } => {
                self.active.insert(*job, (*attempt, Some(holder.clone())));
            }
            Input::JobFinished { job, .. } | Input::JobLost { job, .. } => {
                self.active.remove(job);
            }
            Input::JobStarted { .. } | Input::JobFinishing { .. } => {}
            Input::Stop { .. } => {
                self.stops_in_this_run += 1;
                return;
            }
            _ => return,
        }
        self.accepted_reports.push(input);
    }

    fn note_effect(&mut self, effect: &Effect, before: &Build) {
        match effect {
            Effect::BuildStarted => self.begin_run(),
            Effect::BuildContinued { continuation } => {
                assert_eq!(Some(continuation.from), before.first_unsuccessful_stage());
                assert!(continuation.from <= continuation.through);
                self.limit = Limit::Through(continuation.through);
                let kept = before.stages()[..=continuation.from]
                    .iter()
                    .flat_map(|stage| &stage.jobs);
                self.kept = kept.filter(|job| job.succeeded()).map(|job| job.id).collect();
                self.begin_run();
            }
            Effect::StageStarted { stage } => self.check_start(*stage),
            Effect::QueueJob { job, attempt } => {
                assert!(self.running);
                assert!(
                    !self.kept.contains(job),
                    "job {job} had succeeded and was queued again"
                );
                assert!(
                    self.stops_in_this_run < 2,
                    "job {job} was queued after a second stop"
                );
                assert!(
                    self.ever_queued.insert((*job, *attempt)),
                    "attempt {attempt} of {job} was queued twice"
                );
                assert!(
                    self.active.insert(*job, (*attempt, None)).is_none(),
                    "two attempts of {job} at once"
                );
            }
            Effect::WithdrawJob { job, attempt } => {
                assert_eq!(self.active.remove(job), Some((*attempt, None)));
            }
            Effect::CancelJob { job, attempt, holder } => {
                assert_eq!(self.active.get(job), Some(&(*attempt, Some(holder.clone()))));
            }
            Effect::StageFinished { stage } => {
                let jobs = &self.build.stages()[*stage].jobs;
                assert!(jobs.iter().all(|job| !self.active.contains_key(&job.id)));
            }
            Effect::BuildPaused { next_stage } => {
                self.end_run();
                assert!(
                    self.build.stages()[*next_stage].manual,
                    "the build waits where nobody is asked"
                );
                assert!(!self.limit.covers(*next_stage));
            }
            Effect::BuildFinished { outcome } => {
                self.end_run();
                let all_green = self
                    .build
                    .stages()
                    .iter()
                    .all(|stage| matches!(stage.state, StageState::Successful { .. }));
                assert_eq!(*outcome == BuildOutcome::Successful, all_green);
                self.check_final_stages();
            }
        }
    }

    fn begin_run(&mut self) {
        assert!(!self.running);
        self.running = true;
        self.stops_in_this_run = 0;
    }

    fn end_run(&mut self) {
        assert!(self.running, "the build ended twice");
        assert!(self.active.is_empty(), "the build ended with jobs under way");
        self.running = false;
    }

    /// A stage starts within the limit; behind it all succeeded, or, for a final stage, all is over.
    fn check_start(&self, index: usize) {
        assert!(
            self.limit.covers(index),
            "stage {index} started beyond {:?}",
            self.limit
        );
        let stages = self.build.stages();
        for earlier in &stages[..index] {
            let succeeded = matches!(earlier.state, StageState::Successful { .. });
            let over = matches!(
                earlier.state,
                StageState::Failed { .. } | StageState::Stopped { .. } | StageState::NotBuilt { .. }
            );
            assert!(
                succeeded || (stages[index].final_stage && over),
                "{index} started after {earlier:?}"
            );
        }
    }

    /// Final stages within the limit have run, whatever happened before, unless they were stopped too.
    fn check_final_stages(&self) {
        let numbered = self.build.stages().iter().enumerate();
        for (index, stage) in numbered.filter(|(index, stage)| stage.final_stage && self.limit.covers(*index))
        {
            let left_out = matches!(stage.state, StageState::NotBuilt { .. });
            assert!(
                !left_out || self.stops_in_this_run > 1,
                "final stage {index} was left out"
            );
        }
    }

    /// What holds after each step.
    fn check_state(&self) {
        let build = &self.build;
        assert_eq!(build.limit(), self.limit);
        assert_eq!(matches!(build.state(), BuildState::Running { .. }), self.running);
        let under_way = build.stages().iter().filter(|stage| {
            matches!(
                stage.state,
                StageState::InProgress { .. } | StageState::Stopping { .. }
            )
        });
        assert_eq!(under_way.count(), usize::from(self.running));
        for (job, (attempt, holder)) in &self.active {
            let (_, found) = build.job(*job).unwrap();
            assert_eq!((found.attempt, found.holder()), (*attempt, holder.as_deref()));
        }
        if let BuildState::Paused { next_stage, .. } = build.state() {
            let (done, left) = build.stages().split_at(*next_stage);
            assert!(
                done.iter()
                    .all(|stage| matches!(stage.state, StageState::Successful { .. }))
            );
            assert!(
                left.iter()
                    .all(|stage| matches!(stage.state, StageState::NotBuilt { .. }))
            );
        }
        let summary = build.summary();
        assert!(!(summary.continuable && summary.restartable));
        self.check_what_is_held_up();
        let runnable =
            (0..build.stages().len()).filter(|index| build.stage_summary(*index).unwrap().runnable);
        assert_eq!(runnable.count(), usize::from(summary.continuable));
    }

    /// A final stage that was left out though nobody stopped it twice stands behind a manual one beyond the limit.
    fn check_what_is_held_up(&self) {
        let stages = self.build.stages();
        for (index, stage) in stages.iter().enumerate() {
            let held = self.build.held_up_by(index);
            let left_out = matches!(stage.state, StageState::NotBuilt { .. });
            if let Some(manual) = held {
                assert!(!self.running && left_out && stage.final_stage && manual.manual);
                assert!(stages[..index].iter().any(|one| one == manual));
            } else if !self.running && left_out && stage.final_stage && !stage.manual {
                // The first stage of a build that was never started, or a second stop.
                assert!(
                    self.limit.covers(index) || self.stops_in_this_run > 1,
                    "{stage:?}"
                );
            }
        }
    }

    fn do_deed(&mut self, deed: &Deed) {
        let Some(input) = self.input_of(deed) else { return };
        let before = self.build.clone();
        if self.take(input).is_err() {
            assert_eq!(self.build, before);
        }
    }

    fn input_of(&self, deed: &Deed) -> Option<Input> {
        Some(match deed {
            Deed::Lease { pick, holder } => {
                let (job, attempt, _) = self.pick(*pick, false)?;
                Input::JobLeased {
                    job,
                    attempt,
                    holder: format!("agent-{holder}"),
                }
            }
            Deed::Start { pick } => {
                let (job, attempt, holder) = self.pick(*pick, true)?;
                Input::JobStarted { job, attempt, holder }
            }
            Deed::Finishing { pick } => {
                let (job, attempt, holder) = self.pick(*pick, true)?;
                Input::JobFinishing { job, attempt, holder }
            }
            Deed::Finish { pick, verdict } => {
                let (job, attempt, holder) = self.pick(*pick, true)?;
                Input::JobFinished {
                    job,
                    attempt,
                    holder,
                    outcome: outcome(*verdict),
                }
            }
            Deed::Lose { pick } => {
                let (job, attempt, _) = self.pick(*pick, true)?;
                Input::JobLost { job, attempt }
            }
            Deed::Noise {
                kind,
                pick,
                attempt,
                holder,
            } => self.noise(*kind, *pick, *attempt, *holder),
            Deed::Again { pick } => {
                let index = pick % self.accepted_reports.len().max(1);
                self.accepted_reports.get(index)?.clone()
            }
            Deed::Stop => Input::Stop { by: "joe".to_owned() },
            Deed::Continue { stage, all } => Input::Continue {
                request: request(*stage, *all),
            },
            Deed::RerunFailed => Input::RerunFailed,
            Deed::Begin => Input::Start,
        })
    }

    /// One of the attempts that are leased, or one of those that are queued.
    fn pick(&self, pick: usize, leased: bool) -> Option<(i64, u32, String)> {
        let candidates: Vec<_> = self
            .active
            .iter()
            .filter(|(_, (_, holder))| holder.is_some() == leased)
            .collect();
        let (job, (attempt, holder)) = candidates.get(pick % candidates.len().max(1))?;
        Some((**job, *attempt, holder.clone().unwrap_or_default()))
    }

    fn noise(&self, kind: u8, pick: usize, attempt: u32, holder: u8) -> Input {
        let jobs: Vec<i64> = self
            .build
            .stages()
            .iter()
            .flat_map(|stage| &stage.jobs)
            .map(|job| job.id)
            .collect();
        let job = jobs.get(pick).copied().unwrap_or(999);
        let holder = format!("agent-{holder}");
        match kind {
            0 => Input::JobLeased { job, attempt, holder },
            1 => Input::JobStarted { job, attempt, holder },
            2 => Input::JobFinishing { job, attempt, holder },
            3 => Input::JobFinished {
                job,
                attempt,
                holder,
                outcome: JobOutcome::Successful,
            },
            _ => Input::JobLost { job, attempt },
        }
    }

    /// Answers everything that is queued or leased until nothing is.
    fn answer_all(&mut self, verdict: u8) {
        for _ in 0..PATIENCE {
            if let Some((job, attempt, holder)) = self.pick(0, true) {
                self.take(Input::JobFinished {
                    job,
                    attempt,
                    holder,
                    outcome: outcome(verdict),
                })
                .unwrap();
            } else if let Some((job, attempt, _)) = self.pick(0, false) {
                self.take(Input::JobLeased {
                    job,
                    attempt,
                    holder: "agent-0".to_owned(),
                })
                .unwrap();
            } else {
                return;
            }
        }
        panic!("the build goes on for ever: {:?}", self.build);
    }
}

fn outcome(verdict: u8) -> JobOutcome {
    match verdict {
        0 => failed(),
        1 => JobOutcome::Error {
            reason: "the disk is full".to_owned(),
        },
        2 => JobOutcome::Stopped,
        _ => JobOutcome::Successful,
    }
}

fn watched(stages: Vec<NewStage>, request: &StageRequest, policy: LostJobPolicy) -> Option<Watcher> {
    let build = Build::new(stages, request).ok()?.with_lost_jobs(policy);
    Some(Watcher::new(build))
}

proptest! {
    #[test]
    fn every_sequence_of_calls_and_reports_keeps_the_rules_and_comes_to_rest(
        stages in stages(),
        named in proptest::option::of(0_usize..7),
        all in proptest::bool::weighted(0.3),
        policy in policies(),
        deeds in deeds(),
        verdict in 0_u8..5,
    ) {
        let Some(mut watcher) = watched(stages, &request(named, all), policy) else { return Ok(()) };
        watcher.take(Input::Start).unwrap();
        for deed in &deeds {
            watcher.do_deed(deed);
        }
        watcher.answer_all(verdict);
        prop_assert!(
            matches!(watcher.build.state(), BuildState::Paused { .. } | BuildState::Finished { .. }),
            "{:?}", watcher.build
        );
    }

    #[test]
    fn two_stops_end_a_build_as_soon_as_its_agents_answer(
        stages in stages(),
        all in any::<bool>(),
        policy in policies(),
        deeds in deeds(),
        answers in proptest::collection::vec(0_u8..6, 40),
    ) {
        let Some(mut watcher) = watched(stages, &request(None, all), policy) else { return Ok(()) };
        watcher.take(Input::Start).unwrap();
        for deed in &deeds {
            watcher.do_deed(deed);
        }
        for _ in 0..2 {
            let was_running = watcher.running;
            prop_assert_eq!(watcher.take(Input::Stop { by: "joe".to_owned() }).is_ok(), was_running);
        }
        let leased = watcher.active.len();
        for answer in answers.iter().take(leased) {
            let (job, attempt, holder) = watcher.pick(0, true).expect("queued jobs were withdrawn");
            let input = match answer {
                0 => Input::JobLost { job, attempt },
                verdict => Input::JobFinished { job, attempt, holder, outcome: outcome(verdict - 1) },
            };
            watcher.take(input).unwrap();
        }
        prop_assert!(!matches!(watcher.build.state(), BuildState::Running { .. }), "{:?}", watcher.build);
    }

    #[test]
    fn one_stop_runs_nothing_new_but_final_stages(
        stages in stages(),
        deeds in deeds(),
        verdict in 0_u8..5,
    ) {
        let Some(mut watcher) = watched(stages, &request(None, true), LostJobPolicy::QueueAgain) else {
            return Ok(());
        };
        watcher.take(Input::Start).unwrap();
        for deed in deeds.iter().filter(|deed| !matches!(deed, Deed::Stop)) {
            watcher.do_deed(deed);
        }
        if !watcher.running {
            return Ok(());
        }
        watcher.take(Input::Stop { by: "joe".to_owned() }).unwrap();
        let attempts = |build: &Build| -> Vec<Vec<u32>> {
            build.stages().iter().map(|stage| stage.jobs.iter().map(|job| job.attempt).collect()).collect()
        };
        let before = attempts(&watcher.build);
        prop_assert!(watcher.build.stages().iter().all(|stage| stage.final_stage || !stage.jobs.iter().any(is_queued)));
        watcher.answer_all(verdict);
        for (index, (before, after)) in before.iter().zip(attempts(&watcher.build)).enumerate() {
            prop_assert!(*before == after || watcher.build.stages()[index].final_stage);
        }
        for stage in watcher.build.stages().iter().filter(|stage| stage.final_stage) {
            prop_assert!(!matches!(stage.state, StageState::Pending), "{:?}", stage);
        }
    }

    /// With everything green, asking again and again visits each stage once, in order, and ends green.
    #[test]
    fn continuing_a_green_build_to_its_end_runs_every_stage_once(
        stages in stages(),
        requests in proptest::collection::vec((proptest::option::of(0_usize..7), proptest::bool::weighted(0.1)), 1..20),
    ) {
        let count = stages.len();
        let Some(mut watcher) = watched(stages, &StageRequest::default(), LostJobPolicy::EndInError) else {
            return Ok(());
        };
        watcher.take(Input::Start).unwrap();
        watcher.answer_all(9);
        for (stage, all) in requests {
            let _refused_or_not = watcher.take(Input::Continue { request: request(stage, all) });
            watcher.answer_all(9);
        }
        for _ in 0..count {
            let _refused_at_the_end = watcher.take(Input::Continue { request: StageRequest::default() });
            watcher.answer_all(9);
        }
        let green = matches!(watcher.build.state(), BuildState::Finished { outcome: BuildOutcome::Successful, .. });
        prop_assert!(green, "{:?}", watcher.build);
        for job in watcher.build.stages().iter().flat_map(|stage| &stage.jobs) {
            prop_assert_eq!(job.attempt, u32::from(job.is_enabled()));
        }
    }
}
