//! `madake server`: how the server stands.

use clap::Subcommand;
use serde_json::json;

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{DIM, GOOD, WARN, flag, number, paint, say, say_json, text};
use madake_domain::text::counted;

/// See how the server stands; hold new jobs back, or let them go.
#[derive(Debug, Subcommand)]
pub(crate) enum Server {
    /// Agents, queue, version.
    Status,
    /// Hold new jobs back; those that run go on, and arrivals are taken and decided.
    Pause,
    /// Let jobs go again.
    Resume,
}

pub(super) fn run(global: &Global, server: &Server) -> anyhow::Result<()> {
    match server {
        Server::Status => {
            let connection = Connection::look(global)?;
            let mut answer = connection.get(at(&["status"]))?;
            answer["running"] = json!(connection.is_running());
            if global.json {
                return say_json(&answer);
            }
            let state = match (connection.is_running(), flag(&answer, "paused")) {
                (false, _) => paint(WARN, "not running"),
                (true, true) => paint(WARN, "paused: new jobs are held back"),
                (true, false) => paint(GOOD, "running"),
            };
            let fact = |name: &str, value: String| {
                say(format_args!("{} {value}", paint(DIM, format_args!("{name:<8}"))))
            };
            fact("server", state)?;
            fact("version", text(&answer, "version"))?;
            fact("address", text(&answer, "baseUrl"))?;
            fact(
                "agents",
                format!(
                    "{}, {} at work",
                    text(&answer, "agents"),
                    text(&answer, "busyAgents")
                ),
            )?;
            fact(
                "queue",
                counted(number(&answer, "queuedJobs").unwrap_or(0), "job"),
            )?;
            fact("builds", format!("{} going on", text(&answer, "activeBuilds")))
        }
        Server::Pause => {
            let answer =
                Connection::running(global, "holding jobs back")?.post(at(&["pause"]), &json!({}))?;
            if global.json {
                return say_json(&answer);
            }
            say("new jobs are held back; `madake server resume` lets them go")
        }
        Server::Resume => {
            let answer = Connection::running(global, "letting jobs go")?.post(at(&["resume"]), &json!({}))?;
            if global.json {
                return say_json(&answer);
            }
            say("jobs go again")
        }
    }
}
