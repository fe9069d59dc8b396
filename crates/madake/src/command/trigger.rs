//! `madake trigger`: looks for changes of a plan now.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::why::say_decision;
use crate::connection::{Connection, at};
use crate::terminal::{DIM, list, paint, say, say_json, text};

/// How long to wait for the decision before the entry alone is named.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look.
const REST: Duration = Duration::from_millis(50);

/// Look for changes of a plan now, as the remote trigger does.
#[derive(Debug, Args)]
pub(crate) struct Trigger {
    /// The plan, or one of its branches: PROJ-PLAN.
    key: String,
    /// Look at the plan or plan branch named alone, not at all branches.
    #[arg(long)]
    skip_branches: bool,
}

pub(super) fn run(global: &Global, trigger: &Trigger) -> anyhow::Result<()> {
    let connection = Connection::look(global)?;
    let mut target = at(&["plans", &trigger.key, "trigger"]);
    if trigger.skip_branches {
        target = target.with("skipBranches", "true");
    }
    let taken = connection.post(target, &json!({}))?;
    if global.json {
        return say_json(&taken);
    }
    let event = text(&taken, "event");
    if !connection.is_running() {
        return say(format_args!(
            "stored as event {event}; no server runs here, so it is looked into at the next start"
        ));
    }
    let decided = wait_for_decision(&connection, &event)?;
    if text(&decided, "state") == "received" {
        return say(format_args!(
            "taken as event {event}, not decided yet; see: madake why {event}"
        ));
    }
    for decision in list(&decided, "decisions") {
        say_decision(decision, false)?;
    }
    if list(&decided, "decisions").is_empty() {
        let reason = text(&decided, "reason");
        let reason = if reason.is_empty() {
            "nothing to decide".to_owned()
        } else {
            reason
        };
        say(reason)?;
    }
    say(paint(DIM, format_args!("the rules: madake why {event}")))
}

fn wait_for_decision(connection: &Connection, event: &str) -> anyhow::Result<Value> {
    let began = Instant::now();
    loop {
        let seen = connection.get(at(&["events", event]))?;
        if text(&seen, "state") != "received" || began.elapsed() > PATIENCE {
            return Ok(seen);
        }
        std::thread::sleep(REST);
    }
}
