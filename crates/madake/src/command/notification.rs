//! `madake notification`: what people were told of plans, who watches them, who is responsible.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{duration, list, local_time, number, say, say_json, say_table, text};

/// What people are told of plans.
#[derive(Debug, Subcommand)]
pub(crate) enum Notification {
    /// List messages, newest first, and what became of them.
    List {
        /// Only those of this plan.
        plan: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: i64,
    },
    /// Show a message with each attempt to send it.
    Show {
        /// Its number in the list.
        id: i64,
    },
    /// Send a message again, now.
    Send {
        /// Its number in the list.
        id: i64,
    },
    /// Have a user watch a plan or plan branch.
    Watch {
        /// The plan.
        plan: String,
        /// Who.
        user: String,
    },
    /// Have a user watch it no more.
    Unwatch {
        /// The plan.
        plan: String,
        /// Who.
        user: String,
    },
    /// Say who watches a plan, and who is responsible for its failure.
    Watchers {
        /// The plan.
        plan: String,
    },
    /// Make users responsible for the failure of a plan; without any, nobody.
    Assign {
        /// The plan.
        plan: String,
        /// Who.
        users: Vec<String>,
    },
}

pub(super) fn run(global: &Global, command: Notification) -> anyhow::Result<()> {
    match command {
        Notification::List { plan, limit } => {
            let mut target = at(&["notifications"]).with("limit", &limit.to_string());
            if let Some(plan) = &plan {
                target = target.with("plan", plan);
            }
            let answer = Connection::look(global)?.get(target)?;
            if global.json {
                return say_json(&answer);
            }
            let rows: Vec<Vec<String>> = list(&answer, "notifications").iter().map(row).collect();
            if rows.is_empty() {
                return say("nobody was told of anything yet");
            }
            say_table(&["id", "when", "to", "by", "what", "state", "attempts"], &rows)
        }
        Notification::Show { id } => {
            let answer = Connection::look(global)?.get(at(&["notifications", &id.to_string()]))?;
            if global.json {
                return say_json(&answer);
            }
            show(&answer)
        }
        Notification::Send { id } => {
            let target = at(&["notifications", &id.to_string(), "send"]);
            let answer = Connection::open(global)?.post(target, &json!({}))?;
            said(global, &answer, &format!("notification {id} is sent again"))
        }
        Notification::Watch { plan, user } => {
            let answer =
                Connection::open(global)?.put(at(&["plans", &plan, "watchers", &user]), &json!({}))?;
            said(global, &answer, &format!("{user} watches {plan}"))
        }
        Notification::Unwatch { plan, user } => {
            let answer = Connection::open(global)?.delete(at(&["plans", &plan, "watchers", &user]))?;
            said(global, &answer, &format!("{user} does not watch {plan}"))
        }
        Notification::Watchers { plan } => {
            let answer = Connection::look(global)?.get(at(&["plans", &plan, "watchers"]))?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("watch {plan}: {}", names(&answer, "watchers")))?;
            say(format_args!("responsible: {}", names(&answer, "responsible")))
        }
        Notification::Assign { plan, users } => {
            let body = json!({ "users": users });
            let answer = Connection::open(global)?.put(at(&["plans", &plan, "responsible"]), &body)?;
            let sentence = if users.is_empty() {
                format!("nobody is responsible for {plan}")
            } else {
                format!("responsible for {plan}: {}", users.join(", "))
            };
            said(global, &answer, &sentence)
        }
    }
}

fn said(global: &Global, answer: &Value, sentence: &str) -> anyhow::Result<()> {
    if global.json {
        say_json(answer)
    } else {
        say(sentence)
    }
}

fn names(answer: &Value, list_name: &str) -> String {
    let names: Vec<&str> = list(answer, list_name).iter().filter_map(Value::as_str).collect();
    if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(", ")
    }
}

fn state(one: &Value) -> String {
    if text(one, "state") == "ended" {
        text(one, "ending")
    } else {
        text(one, "state")
    }
}

fn row(one: &Value) -> Vec<String> {
    vec![
        text(one, "id"),
        local_time(number(one, "createdMs").unwrap_or(0)),
        text(one, "recipient"),
        text(one, "medium"),
        text(one, "subject"),
        state(one),
        text(one, "attempts"),
    ]
}

fn show(one: &Value) -> anyhow::Result<()> {
    say(format_args!("{}", text(one, "subject")))?;
    say(format_args!(
        "  to         {} ({})",
        text(one, "recipient"),
        text(one, "address")
    ))?;
    say(format_args!(
        "  by         {}, under \"{}\"",
        text(one, "medium"),
        text(one, "event")
    ))?;
    say(format_args!("  state      {}", state(one)))?;
    say(format_args!("  summary    {}", text(one, "summary")))?;
    for attempt in list(one, "log") {
        say(format_args!(
            "  attempt {}  {} ({}): {}",
            text(attempt, "number"),
            local_time(number(attempt, "beganMs").unwrap_or(0)),
            duration(number(attempt, "durationMs").unwrap_or(0)),
            text(attempt, "answer")
        ))?;
    }
    let body = match one["content"]["text"].as_str() {
        Some(text) => text,
        None => one["content"]["body"].as_str().unwrap_or_default(),
    };
    say(format_args!("\n{body}"))
}
