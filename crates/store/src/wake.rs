//! Wake-ups: a commit tells the loops that have something to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// What a loop waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// An event waits to be decided.
    Events,
    /// A job waits for an agent.
    Queue,
    /// A running job is to be stopped.
    Cancel,
    /// A build began, went on or ended.
    Builds,
    /// A plan, its triggers or its repositories changed.
    Plans,
    /// A delivery waits, or a receiver may be told again.
    Outbox,
    /// A mirror has something to fetch or to push.
    Mirrors,
    /// Something happened that people may want to be told of, or a message to them is due.
    Notices,
}

const ALL: [Topic; 8] = [
    Topic::Events,
    Topic::Queue,
    Topic::Cancel,
    Topic::Builds,
    Topic::Plans,
    Topic::Outbox,
    Topic::Mirrors,
    Topic::Notices,
];

/// The bells of all topics.
#[derive(Debug, Clone)]
pub struct Wakes {
    bells: Arc<BTreeMap<Topic, Notify>>,
    builds: Arc<watch::Sender<u64>>,
}

impl Default for Wakes {
    fn default() -> Self {
        let bells = ALL.into_iter().map(|topic| (topic, Notify::new())).collect();
        Self {
            bells: Arc::new(bells),
            builds: Arc::new(watch::channel(0).0),
        }
    }
}

impl Wakes {
    /// Rings the bell. One loop waits at each; a ring that finds nobody waiting is kept for the next wait.
    pub fn ring(&self, topic: Topic) {
        if topic == Topic::Builds {
            self.builds.send_modify(|count| *count += 1);
        }
        if let Some(bell) = self.bells.get(&topic) {
            bell.notify_one();
        }
    }

    /// Waits for the next ring.
    pub async fn wait(&self, topic: Topic) {
        match self.bells.get(&topic) {
            Some(bell) => bell.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Follows changes of builds; any number may follow.
    #[must_use]
    pub fn follow_builds(&self) -> watch::Receiver<u64> {
        self.builds.subscribe()
    }
}
