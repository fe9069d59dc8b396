//! `madake events`: the ledger, newest first.

use clap::Args;
use serde_json::Value;

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{list, local_time, number, say, say_json, say_table, text};

/// List what arrived, newest first.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only requests that were refused, with the reason.
    #[arg(long)]
    refused: bool,
    /// How many.
    #[arg(long, default_value_t = 25)]
    limit: u16,
    /// Only those before this event.
    #[arg(long, value_name = "EVENT")]
    before: Option<i64>,
}

pub(super) fn run(global: &Global, events: &Events) -> anyhow::Result<()> {
    let mut target = at(&["events"]).with("limit", &events.limit.to_string());
    if events.refused {
        target = target.with("state", "refused");
    }
    if let Some(before) = events.before {
        target = target.with("before", &before.to_string());
    }
    let answer = Connection::look(global)?.get(target)?;
    if global.json {
        return say_json(&answer);
    }
    let rows: Vec<Vec<String>> = list(&answer, "events").iter().map(row).collect();
    if rows.is_empty() {
        return say(if events.refused {
            "nothing was refused"
        } else {
            "nothing has arrived yet"
        });
    }
    say_table(&["event", "arrived", "from", "state", "what"], &rows)
}

fn row(event: &Value) -> Vec<String> {
    let mut what = text(event, "summary");
    if text(event, "state") == "refused" {
        what = format!("{what}: {}", text(event, "reason"));
    }
    if let Some(more @ 1..) = number(event, "repeats") {
        what = format!("{what} (+{more})");
    }
    vec![
        text(event, "id"),
        local_time(number(event, "receivedMs").unwrap_or(0)),
        text(event, "principal"),
        text(event, "state"),
        what,
    ]
}
