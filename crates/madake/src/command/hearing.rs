//! `madake repo hearing`: how we hear of pushes to linked repositories.

use serde_json::Value;

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{DIM, GOOD, WARN, ago, duration, list, number, paint, say, say_json, say_table, text};

pub(super) fn run(global: &Global) -> anyhow::Result<()> {
    let answer = Connection::look(global)?.get(at(&["hearing"]))?;
    if global.json {
        return say_json(&answer);
    }
    let rows: Vec<Vec<String>> = list(&answer, "hearing").iter().map(row).collect();
    if rows.is_empty() {
        return say("no linked repositories yet: link one with `madake repo link NAME URL`");
    }
    say_table(
        &[
            "repository",
            "state",
            "last told",
            "by",
            "last looked at",
            "looks every",
            "missed",
        ],
        &rows,
    )?;
    for one in list(&answer, "hearing") {
        let name = text(one, "repository");
        let problem = text(one, "problem");
        if !problem.is_empty() {
            say(format_args!("{} {name}: {problem}", paint(WARN, "!")))?;
        }
        if let (true, Some(event)) = (text(one, "state") == "missed", number(one, "missedEvent")) {
            say(format_args!(
                "{} {name}: a look found what no webhook had told; see madake why {event}",
                paint(WARN, "!")
            ))?;
        }
    }
    Ok(())
}

fn row(one: &Value) -> Vec<String> {
    let moment = |field| {
        number(one, field).map_or_else(
            || paint(DIM, "never"),
            |at_ms| ago(at_ms, madake_engine::clock::now_ms()),
        )
    };
    let by = match (number(one, "toldBy"), text(one, "toldAs")) {
        (Some(id), format) => format!("webhook {id}, {format}"),
        (None, _) => match number(one, "webhooks") {
            None | Some(0) => paint(DIM, "no webhook"),
            Some(_) => paint(DIM, "-"),
        },
    };
    let state = text(one, "state");
    let style = if state == "told" { GOOD } else { WARN };
    let missed = match (number(one, "missed"), number(one, "missedMs")) {
        (Some(count), Some(at_ms)) if count > 0 => {
            format!("{count}, last {}", ago(at_ms, madake_engine::clock::now_ms()))
        }
        _ => "nothing".to_owned(),
    };
    vec![
        text(one, "repository"),
        if state == "polled" {
            state
        } else {
            paint(style, state)
        },
        moment("toldMs"),
        by,
        moment("polledMs"),
        duration(number(one, "pauseSeconds").unwrap_or(0) * 1000),
        missed,
    ]
}
