//! `madake log`: lines that have to leave the log of a job or a deployment.

use clap::Subcommand;
use serde_json::json;

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{list, local_time, number, say, say_json, say_table, text};

/// Take lines out of the logs of jobs and deployments.
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Take the text of a line out of a log for good; who did it and when is kept.
    ///
    /// Change the secret besides: whoever looked at the log has it.
    Purge {
        /// The job's result, PROJ-PLAN-JOB1-7, or the deployment's number.
        #[arg(value_name = "LOG")]
        key: String,
        /// The line, from 1.
        #[arg(long)]
        line: u64,
        /// The attempt at the job, from 1; otherwise the last one.
        #[arg(long)]
        attempt: Option<i64>,
    },
    /// List the lines that were taken out, with who did it and when.
    Purges {
        /// The job's result, PROJ-PLAN-JOB1-7, or the deployment's number.
        #[arg(value_name = "LOG")]
        key: String,
    },
}

pub(super) fn run(global: &Global, log: Log) -> anyhow::Result<()> {
    match log {
        Log::Purge { key, line, attempt } => {
            let target = at(&["logs", &key, "purges"]);
            let body = json!({ "line": line, "attempt": attempt });
            let answer = Connection::open(global)?.post(target, &body)?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("took line {line} out of the log of {key}"))?;
            say("  change the secret as well: whoever looked at the log has it")
        }
        Log::Purges { key } => {
            let answer = Connection::look(global)?.get(at(&["logs", &key, "purges"]))?;
            if global.json {
                return say_json(&answer);
            }
            let rows: Vec<Vec<String>> = list(&answer, "purges")
                .iter()
                .map(|one| {
                    vec![
                        number(one, "attempt").unwrap_or(0).to_string(),
                        number(one, "line").unwrap_or(0).to_string(),
                        text(one, "purgedBy"),
                        local_time(number(one, "purgedMs").unwrap_or(0)),
                    ]
                })
                .collect();
            if rows.is_empty() {
                return say(format_args!("no line was taken out of the log of {key}"));
            }
            say_table(&["attempt", "line", "taken out by", "when"], &rows)
        }
    }
}
