//! How one deployment goes: queued, taken by an agent, running, over. Reports count only from the agent that has it.

use serde::{Deserialize, Serialize};

/// Where a deployment stands. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum DeploymentState {
    /// Waits for an agent, and for the deployment to the same environment before it.
    Queued {
        /// Since when.
        since_ms: i64,
    },
    /// An agent has it and did not say yet that it began.
    Leased {
        /// The agent.
        holder: String,
        /// When it was queued.
        queued_ms: i64,
        /// Who asked to stop it.
        #[serde(default)]
        stop: Option<DeploymentStop>,
    },
    /// Its tasks run.
    Running {
        /// The agent.
        holder: String,
        /// When it was queued.
        queued_ms: i64,
        /// When it began.
        started_ms: i64,
        /// Who asked to stop it.
        #[serde(default)]
        stop: Option<DeploymentStop>,
    },
    /// It is over.
    Finished {
        /// How it ended.
        outcome: DeploymentOutcome,
        /// The agent that had it.
        #[serde(default)]
        holder: Option<String>,
        /// When it was queued.
        queued_ms: i64,
        /// When it began.
        #[serde(default)]
        started_ms: Option<i64>,
        /// When it ended.
        finished_ms: i64,
    },
}

/// That somebody asked to stop a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentStop {
    /// Who.
    pub by: String,
    /// When.
    pub at_ms: i64,
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "kebab-case")]
pub enum DeploymentOutcome {
    /// Each task succeeded.
    Successful,
    /// A task failed, or the agent was lost.
    Failed {
        /// One sentence.
        reason: String,
    },
    /// Somebody stopped it.
    Stopped {
        /// Who.
        by: String,
    },
}

/// A report or request that the deployment is not in a state for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeploymentMove {
    /// It is over.
    #[error("the deployment has ended")]
    Ended,
    /// It is somebody else's, or nobody's.
    #[error("the deployment is not run by {0}")]
    NotTheHolder(String),
    /// An agent has it already.
    #[error("the deployment is run by {0} already")]
    Taken(String),
}

impl DeploymentState {
    /// One that was just asked for.
    #[must_use]
    pub fn queued(now: i64) -> Self {
        Self::Queued { since_ms: now }
    }

    /// Gives it to an agent.
    ///
    /// # Errors
    /// When an agent has it, or it has ended.
    pub fn lease(self, agent: &str) -> Result<Self, InvalidDeploymentMove> {
        match self {
            Self::Queued { since_ms } => Ok(Self::Leased {
                holder: agent.to_owned(),
                queued_ms: since_ms,
                stop: None,
            }),
            Self::Leased { holder, .. } | Self::Running { holder, .. } => {
                Err(InvalidDeploymentMove::Taken(holder))
            }
            Self::Finished { .. } => Err(InvalidDeploymentMove::Ended),
        }
    }

    /// Notes that its agent has begun; said twice, the first time counts.
    ///
    /// # Errors
    /// When it is not this agent's, or has ended.
    pub fn start(self, agent: &str, now: i64) -> Result<Self, InvalidDeploymentMove> {
        match self {
            Self::Leased {
                holder,
                queued_ms,
                stop,
            } if holder == agent => Ok(Self::Running {
                holder,
                queued_ms,
                started_ms: now,
                stop,
            }),
            Self::Running { ref holder, .. } if holder == agent => Ok(self),
            Self::Finished { .. } => Err(InvalidDeploymentMove::Ended),
            _ => Err(InvalidDeploymentMove::NotTheHolder(agent.to_owned())),
        }
    }

    /// Notes that its agent is done with it. One that somebody asked to stop counts as stopped unless it had succeeded.
    ///
    /// # Errors
    /// When it is not this agent's, or has ended.
    pub fn finish(
        self,
        agent: &str,
        outcome: DeploymentOutcome,
        now: i64,
    ) -> Result<Self, InvalidDeploymentMove> {
        let (holder, queued_ms, started_ms, stop) = match self {
            Self::Leased {
                holder,
                queued_ms,
                stop,
            } => (holder, queued_ms, None, stop),
            Self::Running {
                holder,
                queued_ms,
                started_ms,
                stop,
            } => (holder, queued_ms, Some(started_ms), stop),
            Self::Finished { .. } => return Err(InvalidDeploymentMove::Ended),
            Self::Queued { .. } => return Err(InvalidDeploymentMove::NotTheHolder(agent.to_owned())),
        };
        if holder != agent {
            return Err(InvalidDeploymentMove::NotTheHolder(agent.to_owned()));
        }
        let outcome = match (outcome, stop) {
            (DeploymentOutcome::Successful, _) => DeploymentOutcome::Successful,
            (_, Some(stop)) => DeploymentOutcome::Stopped { by: stop.by },
            (outcome, None) => outcome,
        };
        Ok(Self::Finished {
            outcome,
            holder: Some(holder),
            queued_ms,
            started_ms,
            finished_ms: now,
        })
    }

    /// Asks to stop it: at once while it waits, by its agent otherwise. Who asks first counts.
    ///
    /// # Errors
    /// When it has ended.
    pub fn stop(self, by: &str, now: i64) -> Result<Self, InvalidDeploymentMove> {
        let asked = |stop: Option<DeploymentStop>| {
            Some(stop.unwrap_or_else(|| DeploymentStop {
                by: by.to_owned(),
                at_ms: now,
            }))
        };
        match self {
            Self::Queued { since_ms } => Ok(Self::Finished {
                outcome: DeploymentOutcome::Stopped { by: by.to_owned() },
                holder: None,
                queued_ms: since_ms,
                started_ms: None,
                finished_ms: now,
            }),
            Self::Leased {
                holder,
                queued_ms,
                stop,
            } => Ok(Self::Leased {
                holder,
                queued_ms,
                stop: asked(stop),
            }),
            Self::Running {
                holder,
                queued_ms,
                started_ms,
                stop,
            } => Ok(Self::Running {
                holder,
                queued_ms,
                started_ms,
                stop: asked(stop),
            }),
            Self::Finished { .. } => Err(InvalidDeploymentMove::Ended),
        }
    }

    /// The agent that has it now.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        match self {
            Self::Leased { holder, .. } | Self::Running { holder, .. } => Some(holder),
            _ => None,
        }
    }

    /// The agent that has or had it.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        match self {
            Self::Finished { holder, .. } => holder.as_deref(),
            other => other.holder(),
        }
    }

    /// Who asked to stop it while an agent has it, and when.
    #[must_use]
    pub fn stop_asked(&self) -> Option<(&str, i64)> {
        match self {
            Self::Leased { stop, .. } | Self::Running { stop, .. } => {
                stop.as_ref().map(|stop| (stop.by.as_str(), stop.at_ms))
            }
            _ => None,
        }
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&DeploymentOutcome> {
        match self {
            Self::Finished { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Whether it ended well.
    #[must_use]
    pub fn is_successful(&self) -> bool {
        self.outcome() == Some(&DeploymentOutcome::Successful)
    }

    /// When it was queued.
    #[must_use]
    pub fn queued_ms(&self) -> i64 {
        match self {
            Self::Queued { since_ms } => *since_ms,
            Self::Leased { queued_ms, .. }
            | Self::Running { queued_ms, .. }
            | Self::Finished { queued_ms, .. } => *queued_ms,
        }
    }

    /// When it began.
    #[must_use]
    pub fn started_ms(&self) -> Option<i64> {
        match self {
            Self::Running { started_ms, .. } => Some(*started_ms),
            Self::Finished { started_ms, .. } => *started_ms,
            _ => None,
        }
    }

    /// When it ended.
    #[must_use]
    pub fn finished_ms(&self) -> Option<i64> {
        match self {
            Self::Finished { finished_ms, .. } => Some(*finished_ms),
            _ => None,
        }
    }

    /// `lifeCycleState` of the REST API (bamboo-rest.md 3).
    #[must_use]
    pub fn life_cycle(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "QUEUED",
            Self::Leased { .. } | Self::Running { .. } => "IN_PROGRESS",
            Self::Finished {
                started_ms: None,
                outcome: DeploymentOutcome::Stopped { .. },
                ..
            } => "NOT_BUILT",
            Self::Finished { .. } => "FINISHED",
        }
    }

    /// `deploymentState` of the REST API (bamboo-rest.md 3).
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self.outcome() {
            Some(DeploymentOutcome::Successful) => "SUCCESS",
            Some(DeploymentOutcome::Failed { .. }) => "FAILED",
            Some(DeploymentOutcome::Stopped { .. }) | None => "UNKNOWN",
        }
    }

    /// The word of the state for lists and queries of the store.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Leased { .. } => "leased",
            Self::Running { .. } => "running",
            Self::Finished { outcome, .. } => match outcome {
                DeploymentOutcome::Successful => "successful",
                DeploymentOutcome::Failed { .. } => "failed",
                DeploymentOutcome::Stopped { .. } => "stopped",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failed() -> DeploymentOutcome {
        DeploymentOutcome::Failed {
            reason: "task 1 failed".into(),
        }
    }

    #[test]
    fn a_deployment_goes_from_queue_to_end() {
        let queued = DeploymentState::queued(10);
        assert_eq!((queued.life_cycle(), queued.verdict()), ("QUEUED", "UNKNOWN"));
        let running = queued
            .lease("a")
            .and_then(|it| it.start("a", 20))
            .expect("running");
        assert_eq!(
            (running.life_cycle(), running.holder()),
            ("IN_PROGRESS", Some("a"))
        );
        let ended = running
            .finish("a", DeploymentOutcome::Successful, 30)
            .expect("ended");
        assert_eq!((ended.life_cycle(), ended.verdict()), ("FINISHED", "SUCCESS"));
        assert_eq!(
            (ended.queued_ms(), ended.started_ms(), ended.finished_ms()),
            (10, Some(20), Some(30))
        );
        assert_eq!((ended.holder(), ended.agent()), (None, Some("a")));
    }

    #[test]
    fn reports_count_from_the_holder_only() {
        let leased = DeploymentState::queued(1).lease("a").expect("leased");
        assert_eq!(
            leased.clone().lease("b"),
            Err(InvalidDeploymentMove::Taken("a".into()))
        );
        let other = InvalidDeploymentMove::NotTheHolder("b".into());
        assert_eq!(leased.clone().start("b", 2), Err(other.clone()));
        assert_eq!(leased.finish("b", failed(), 2), Err(other));
    }

    #[test]
    fn what_waits_is_stopped_at_once_and_what_runs_by_its_agent() {
        let waiting = DeploymentState::queued(1).stop("ann", 2).expect("stopped");
        assert_eq!((waiting.life_cycle(), waiting.word()), ("NOT_BUILT", "stopped"));
        let asked = DeploymentState::queued(1)
            .lease("a")
            .and_then(|it| it.start("a", 2))
            .and_then(|it| it.stop("ann", 3))
            .and_then(|it| it.stop("bob", 4))
            .expect("asked");
        assert_eq!(asked.stop_asked(), Some(("ann", 3)));
        let ended = asked.clone().finish("a", failed(), 5).expect("ended");
        assert_eq!(
            ended.outcome(),
            Some(&DeploymentOutcome::Stopped { by: "ann".into() })
        );
        let won = asked
            .finish("a", DeploymentOutcome::Successful, 5)
            .expect("ended");
        assert!(won.is_successful());
    }

    proptest! {
        /// Whatever is tried in whatever order, an end stays, and a holder does not change.
        #[test]
        fn ends_stay_and_holders_do_not_change(moves in prop::collection::vec((0..4_u8, 0..2_usize), 0..20)) {
            let mut state = DeploymentState::queued(0);
            for (at, (kind, agent)) in (1_i64..).zip(moves) {
                let agent = ["a", "b"][agent];
                let before = state.clone();
                let tried = match kind {
                    0 => state.clone().lease(agent),
                    1 => state.clone().start(agent, at),
                    2 => state.clone().finish(agent, failed(), at),
                    _ => state.clone().stop(agent, at),
                };
                if let Ok(next) = tried {
                    prop_assert!(before.finished_ms().is_none());
                    if let (Some(had), Some(has)) = (before.holder(), next.holder()) {
                        prop_assert_eq!(had, has);
                    }
                    state = next;
                }
            }
        }
    }
}
