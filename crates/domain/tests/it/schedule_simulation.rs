//! Several builds, a pool of agents that die, and a network that repeats, drops and delays messages, on a seeded
//! die and a clock of our own. Every run of every build must end exactly once, and no result may be counted twice.

#![expect(
    clippy::unwrap_used,
    reason = "what these helpers unwrap, the test has just made"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use madake_domain::schedule::{
    Build, BuildState, Effect, Input, InvalidTransition, JobOutcome, LostJobPolicy, NewJob, NewStage, step,
};
use madake_domain::stage_selection::StageRequest;

use crate::schedule_fixture::failed;

const BUILDS: usize = 5;
const AGENTS: usize = 3;
/// The calm after which nobody stops or continues builds any more.
const CALM_FROM_MS: i64 = 60_000;
/// By then every build must be at rest.
const DEADLINE_MS: i64 = 2_000_000;
/// An agent that has not been heard of for so long is taken for dead.
const LIVENESS_MS: i64 = 400;
const HEARTBEAT_MS: i64 = 60;
const RESEND_MS: i64 = 80;
const TICK_MS: i64 = 10;

/// A small generator (SplitMix64): the same seed gives the same story.
struct Die(u64);

impl Die {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn milliseconds(&mut self, bound: usize) -> i64 {
        i64::try_from(self.below(bound)).unwrap()
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// What an agent tells the server, or the server an agent.
#[derive(Debug, Clone)]
enum Message {
    Heartbeat {
        agent: String,
    },
    Report {
        agent: String,
        build: usize,
        input: Input,
    },
    Taken {
        agent: String,
        job: i64,
        attempt: u32,
    },
    Drop {
        agent: String,
        job: i64,
        attempt: u32,
    },
    Cancel {
        agent: String,
        job: i64,
        attempt: u32,
    },
}

#[derive(Debug)]
struct Work {
    build: usize,
    job: i64,
    attempt: u32,
    done_at_ms: i64,
    outcome: Option<JobOutcome>,
    next_send_ms: i64,
    started_sent: bool,
}

#[derive(Debug)]
struct Agent {
    name: String,
    dead_until_ms: i64,
    next_heartbeat_ms: i64,
    work: Option<Work>,
}

struct World {
    die: Die,
    now_ms: i64,
    builds: Vec<Build>,
    agents: Vec<Agent>,
    /// Messages under way, by the time of their arrival.
    network: BTreeMap<i64, VecDeque<Message>>,
    /// The server's queue: build, job, attempt.
    queue: Vec<(usize, i64, u32)>,
    /// The server's leases: build, job, attempt, holder.
    leases: Vec<(usize, i64, u32, String)>,
    heard_of: BTreeMap<String, i64>,
    runs: Vec<usize>,
    ends: Vec<usize>,
    results: BTreeSet<(usize, i64, u32)>,
    tally: Tally,
}

/// How often the trouble that the simulation is about has really occurred.
#[derive(Debug, Default)]
struct Tally {
    stale: usize,
    lost: usize,
    stops: usize,
    continued: usize,
    results: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut die = Die(seed);
        let policy = if die.one_in(2) {
            LostJobPolicy::QueueAgain
        } else {
            LostJobPolicy::EndInError
        };
        let builds = (0..BUILDS)
            .map(|number| random_build(&mut die, number).with_lost_jobs(policy))
            .collect();
        let agent = |number: usize| Agent {
            name: format!("agent-{number}"),
            dead_until_ms: 0,
            next_heartbeat_ms: 0,
            work: None,
        };
        Self {
            die,
            now_ms: 0,
            builds,
            agents: (0..AGENTS).map(agent).collect(),
            network: BTreeMap::new(),
            queue: Vec::new(),
            leases: Vec::new(),
            heard_of: BTreeMap::new(),
            runs: vec![0; BUILDS],
            ends: vec![0; BUILDS],
            results: BTreeSet::new(),
            tally: Tally::default(),
        }
    }

    fn play(mut self) -> Tally {
        for build in 0..BUILDS {
            self.feed(build, Input::Start).unwrap();
        }
        while self.now_ms < CALM_FROM_MS || !self.at_rest() {
            self.now_ms += TICK_MS;
            assert!(
                self.now_ms < DEADLINE_MS,
                "a build never came to rest: {:?}",
                self.builds
            );
            self.deliver();
            if self.now_ms < CALM_FROM_MS {
                self.people_interfere();
            }
            for agent in 0..AGENTS {
                self.let_agent_live(agent);
            }
            self.bury_silent_agents();
            self.hand_out_work();
        }
        assert_eq!(self.runs, self.ends);
        assert!(
            self.leases.is_empty() && self.queue.is_empty(),
            "{:?} {:?}",
            self.leases,
            self.queue
        );
        self.tally
    }

    fn at_rest(&self) -> bool {
        self.builds
            .iter()
            .all(|build| !matches!(build.state(), BuildState::Running { .. }))
    }

    /// The engine: takes an input, stores the build, carries out the effects.
    fn feed(&mut self, build: usize, input: Input) -> Result<(), InvalidTransition> {
        let (next, effects) = step(&self.builds[build], input, self.now_ms)?;
        self.builds[build] = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
        for effect in effects {
            match effect {
                Effect::QueueJob { job, attempt } => self.queue.push((build, job, attempt)),
                Effect::WithdrawJob { job, attempt } => {
                    self.queue.retain(|row| *row != (build, job, attempt));
                }
                Effect::CancelJob { job, attempt, holder } => {
                    self.send(Message::Cancel {
                        agent: holder,
                        job,
                        attempt,
                    });
                }
                Effect::BuildStarted | Effect::BuildContinued { .. } => self.runs[build] += 1,
                Effect::BuildPaused { .. } | Effect::BuildFinished { .. } => {
                    self.ends[build] += 1;
                    assert_eq!(self.runs[build], self.ends[build], "build {build} ended twice");
                    assert!(
                        self.queue.iter().all(|row| row.0 != build),
                        "build {build} ended with a queue"
                    );
                    assert!(
                        self.leases.iter().all(|row| row.0 != build),
                        "build {build} ended with a lease"
                    );
                }
                Effect::StageStarted { .. } | Effect::StageFinished { .. } => {}
            }
        }
        Ok(())
    }

    fn send(&mut self, message: Message) {
        let copies = match self.die.below(10) {
            0 | 1 => 0,
            2 => 2,
            _ => 1,
        };
        for copy in std::iter::repeat_n(message, copies) {
            let delay = if self.die.one_in(20) {
                1_500
            } else {
                self.die.milliseconds(120)
            };
            self.network
                .entry(self.now_ms + delay)
                .or_default()
                .push_back(copy);
        }
    }

    fn deliver(&mut self) {
        let later = self.network.split_off(&(self.now_ms + 1));
        for message in std::mem::replace(&mut self.network, later)
            .into_values()
            .flatten()
        {
            match message {
                Message::Heartbeat { agent } => self.hear_of(agent),
                Message::Report { agent, build, input } => self.receive_report(agent, build, input),
                Message::Taken { agent, job, attempt } | Message::Drop { agent, job, attempt } => {
                    self.with_work(&agent, job, attempt, |slot, _| *slot = None);
                }
                Message::Cancel { agent, job, attempt } => {
                    self.with_work(&agent, job, attempt, |slot, now_ms| {
                        if let Some(work) = slot.as_mut().filter(|work| work.outcome.is_none()) {
                            work.outcome = Some(JobOutcome::Stopped);
                            work.next_send_ms = now_ms;
                        }
                    });
                }
            }
        }
    }

    fn hear_of(&mut self, agent: String) {
        self.heard_of.insert(agent, self.now_ms);
    }

    fn receive_report(&mut self, agent: String, build: usize, input: Input) {
        self.hear_of(agent.clone());
        let (job, attempt, over) = match &input {
            Input::JobFinished { job, attempt, .. } => (*job, *attempt, true),
            Input::JobStarted { job, attempt, .. } => (*job, *attempt, false),
            other => panic!("agents do not send {other:?}"),
        };
        if over && self.builds[build].job(job).unwrap().1.holder() == Some(agent.as_str()) {
            self.leases
                .retain(|row| (row.0, row.1, row.2, &row.3) != (build, job, attempt, &agent));
        }
        match self.feed(build, input) {
            Ok(()) if over => {
                assert!(
                    self.results.insert((build, job, attempt)),
                    "a result was counted twice"
                );
                self.tally.results += 1;
                self.send(Message::Taken { agent, job, attempt });
            }
            Ok(()) => {}
            Err(InvalidTransition::StaleReport { .. }) => {
                self.tally.stale += 1;
                self.send(Message::Drop { agent, job, attempt });
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn with_work(&mut self, name: &str, job: i64, attempt: u32, change: impl FnOnce(&mut Option<Work>, i64)) {
        let now_ms = self.now_ms;
        let agent = self
            .agents
            .iter_mut()
            .find(|agent| agent.name == name && agent.dead_until_ms <= now_ms);
        let Some(agent) = agent else { return };
        if agent
            .work
            .as_ref()
            .is_some_and(|work| (work.job, work.attempt) == (job, attempt))
        {
            change(&mut agent.work, now_ms);
        }
    }

    fn people_interfere(&mut self) {
        let build = self.die.below(BUILDS);
        let input = match self.die.below(120) {
            0 => Input::Stop { by: "joe".to_owned() },
            1 => {
                let stage = self.die.one_in(3).then(|| format!("S{}", self.die.below(4)));
                Input::Continue {
                    request: StageRequest {
                        stage,
                        execute_all_stages: self.die.one_in(3),
                    },
                }
            }
            2 => Input::RerunFailed,
            _ => return,
        };
        let stops = matches!(input, Input::Stop { .. });
        if self.feed(build, input).is_ok() {
            let tally = if stops {
                &mut self.tally.stops
            } else {
                &mut self.tally.continued
            };
            *tally += 1;
        }
    }

    fn let_agent_live(&mut self, number: usize) {
        let now_ms = self.now_ms;
        if self.agents[number].dead_until_ms > now_ms {
            return;
        }
        if self.agents[number].work.is_some() && self.die.one_in(150) {
            let pause = 50 + self.die.milliseconds(1_500);
            let agent = &mut self.agents[number];
            agent.dead_until_ms = now_ms + pause;
            // A short pause is a hiccup that the work survives; after a long one it is forgotten.
            agent.work = agent.work.take().filter(|_| pause < 700);
            return;
        }
        let agent = &mut self.agents[number];
        let name = agent.name.clone();
        let mut outbox = Vec::new();
        if agent.next_heartbeat_ms <= now_ms {
            agent.next_heartbeat_ms = now_ms + HEARTBEAT_MS;
            outbox.push(Message::Heartbeat { agent: name.clone() });
        }
        if let Some(work) = &mut agent.work {
            let report = |input| Message::Report {
                agent: name.clone(),
                build: work.build,
                input,
            };
            let (job, attempt, holder) = (work.job, work.attempt, name.clone());
            if !work.started_sent {
                work.started_sent = true;
                outbox.push(report(Input::JobStarted {
                    job,
                    attempt,
                    holder: holder.clone(),
                }));
            }
            if work.outcome.is_none() && work.done_at_ms <= now_ms {
                let verdict = if self.die.one_in(5) {
                    failed()
                } else {
                    JobOutcome::Successful
                };
                work.outcome = Some(verdict);
            }
            if let Some(outcome) = work.outcome.clone().filter(|_| work.next_send_ms <= now_ms) {
                work.next_send_ms = now_ms + RESEND_MS;
                outbox.push(report(Input::JobFinished {
                    job,
                    attempt,
                    holder,
                    outcome,
                }));
            }
        }
        for message in outbox {
            self.send(message);
        }
    }

    /// An agent's leases end when it falls silent, or when it is heard of but no longer knows the job.
    fn bury_silent_agents(&mut self) {
        let now_ms = self.now_ms;
        let forgotten = |world: &Self, name: &str, job: i64, attempt: u32| {
            let agent = world.agents.iter().find(|agent| agent.name == name);
            agent.is_none_or(|agent| {
                let works = agent
                    .work
                    .as_ref()
                    .is_some_and(|work| (work.job, work.attempt) == (job, attempt));
                !works && agent.dead_until_ms <= now_ms
            })
        };
        let given_up: Vec<_> = self
            .leases
            .iter()
            .filter(|(_, job, attempt, holder)| {
                let silent_ms = now_ms - self.heard_of.get(holder).copied().unwrap_or(0);
                silent_ms > LIVENESS_MS || forgotten(self, holder, *job, *attempt)
            })
            .cloned()
            .collect();
        for lease in given_up {
            self.leases.retain(|row| *row != lease);
            let (build, job, attempt, _) = lease;
            self.feed(build, Input::JobLost { job, attempt }).unwrap();
            self.tally.lost += 1;
        }
    }

    fn hand_out_work(&mut self) {
        for number in 0..AGENTS {
            let agent = &self.agents[number];
            if agent.work.is_some() || agent.dead_until_ms > self.now_ms || self.queue.is_empty() {
                continue;
            }
            let name = agent.name.clone();
            let (build, job, attempt) = self.queue.remove(0);
            self.hear_of(name.clone());
            self.leases.push((build, job, attempt, name.clone()));
            self.feed(
                build,
                Input::JobLeased {
                    job,
                    attempt,
                    holder: name,
                },
            )
            .unwrap();
            let done_at_ms = self.now_ms + self.die.milliseconds(600);
            self.agents[number].work = Some(Work {
                build,
                job,
                attempt,
                done_at_ms,
                outcome: None,
                next_send_ms: 0,
                started_sent: false,
            });
        }
    }
}

fn random_build(die: &mut Die, number: usize) -> Build {
    let mut next_id = 1_000 * i64::try_from(number + 1).unwrap();
    let stages = (0..1 + die.below(5))
        .map(|index| NewStage {
            name: format!("S{index}"),
            manual: die.one_in(4),
            final_stage: die.one_in(3),
            jobs: (0..die.below(4))
                .map(|_| {
                    next_id += 1;
                    NewJob {
                        id: next_id,
                        enabled: !die.one_in(10),
                    }
                })
                .collect(),
        })
        .collect();
    let request = StageRequest {
        stage: None,
        execute_all_stages: die.one_in(2),
    };
    Build::new(stages, &request).unwrap()
}

#[test]
fn every_run_of_every_build_ends_exactly_once_on_a_bad_network() {
    let mut total = Tally::default();
    for seed in 0..60 {
        let tally = World::new(seed).play();
        total.stale += tally.stale;
        total.lost += tally.lost;
        total.stops += tally.stops;
        total.continued += tally.continued;
        total.results += tally.results;
    }
    assert!(total.results > 1_000, "hardly any work was done: {total:?}");
    for trouble in [total.stale, total.lost, total.stops, total.continued] {
        assert!(
            trouble > 100,
            "the simulation was too calm to prove anything: {total:?}"
        );
    }
}
