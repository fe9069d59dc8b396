//! `madake variable`: variables of the server, of projects and of plans.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, Target, at};
use crate::terminal::{WARN, ago, flag, list, number, paint, say, say_json, say_table, text};

/// Set, list and remove variables that builds get besides those of their plan files.
#[derive(Debug, Subcommand)]
pub(crate) enum Variable {
    /// Set a variable. A plan's own says what its plan file cannot: the value of a secret.
    Set {
        /// The name, without `bamboo.` in front.
        name: String,
        /// The value. Secrets are better given by `--value-stdin`: arguments are seen by others on this machine.
        #[arg(required_unless_present = "value_stdin", conflicts_with = "value_stdin")]
        value: Option<String>,
        /// Read the value from standard input.
        #[arg(long)]
        value_stdin: bool,
        /// Keep it sealed, cover it in logs, and show it to nobody. Names with `password`, `secret`, `passphrase` or
        /// `sshkey` in them need not say so.
        #[arg(long)]
        secret: bool,
        #[command(flatten)]
        of: Of,
    },
    /// List the variables that were set. Values of secrets are not shown.
    List {
        #[command(flatten)]
        of: Of,
    },
    /// List secrets of all plans that another server encrypted and that are still to be entered here, with the command that
    /// enters each.
    Missing,
    /// Remove a variable.
    Remove {
        /// The name.
        name: String,
        #[command(flatten)]
        of: Of,
    },
}

/// What a variable belongs to.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Of {
    /// A project; without this and `--plan` it is the server's.
    #[arg(long, value_name = "PROJ")]
    project: Option<String>,
    /// A plan.
    #[arg(long, value_name = "PROJ-PLAN")]
    plan: Option<String>,
}

impl Of {
    fn target(&self) -> Target {
        let mut target = at(&["variables"]);
        if let Some(key) = &self.project {
            target = target.with("project", key);
        }
        if let Some(key) = &self.plan {
            target = target.with("plan", key);
        }
        target
    }

    fn words(&self) -> String {
        match (&self.project, &self.plan) {
            (Some(key), _) => format!("project {key}"),
            (_, Some(key)) => format!("plan {key}"),
            _ => "the server".to_owned(),
        }
    }
}

pub(super) fn run(global: &Global, variable: Variable) -> anyhow::Result<()> {
    match variable {
        Variable::Set {
            name,
            value,
            value_stdin,
            secret,
            of,
        } => {
            let value = match value {
                Some(value) if !value_stdin => value,
                _ => from_standard_input()?,
            };
            let body = json!({
                "project": of.project, "plan": of.plan, "name": name, "value": value,
                "secret": secret.then_some(true),
            });
            let answer = Connection::open(global)?.put(at(&["variables"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            let kind = if flag(&answer, "secret") {
                "secret"
            } else {
                "variable"
            };
            say(format_args!(
                "set the {kind} {} of {}",
                text(&answer, "name"),
                of.words()
            ))?;
            match text(&answer, "warning") {
                warning if warning.is_empty() => Ok(()),
                warning => say(format_args!("{}: {warning}", paint(WARN, "warning"))),
            }
        }
        Variable::List { of } => {
            let answer = Connection::look(global)?.get(of.target())?;
            if global.json {
                return say_json(&answer);
            }
            show(&answer, &of.words())
        }
        Variable::Missing => {
            let answer = Connection::look(global)?.get(at(&["variables", "missing"]))?;
            if global.json {
                return say_json(&answer);
            }
            let rows: Vec<Vec<String>> = list(&answer, "missing")
                .iter()
                .map(|one| {
                    let wanted_by: Vec<&str> =
                        list(one, "wantedBy").iter().filter_map(Value::as_str).collect();
                    vec![text(one, "name"), wanted_by.join(", "), text(one, "command")]
                })
                .collect();
            if rows.is_empty() {
                return say("no secret is to be entered");
            }
            say_table(&["secret", "wanted by", "enter it with"], &rows)
        }
        Variable::Remove { name, of } => {
            Connection::open(global)?.delete(of.target().with("name", &name))?;
            if global.json {
                return say_json(&json!({ "removed": name }));
            }
            say(format_args!("removed {name} of {}", of.words()))
        }
    }
}

fn from_standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("the value cannot be read from standard input")?;
    // What a shell's echo puts at the end is not meant.
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        bail!("standard input is empty: there is no value");
    }
    Ok(value.to_owned())
}

fn show(answer: &Value, of: &str) -> anyhow::Result<()> {
    let now = madake_engine::clock::now_ms();
    let rows: Vec<Vec<String>> = list(answer, "variables")
        .iter()
        .map(|one| {
            let value = if flag(one, "secret") {
                "********".to_owned()
            } else {
                text(one, "value")
            };
            let changed = number(one, "changedMs").unwrap_or(0);
            vec![
                text(one, "name"),
                value,
                text(one, "changedBy"),
                ago(changed, now),
            ]
        })
        .collect();
    if rows.is_empty() {
        return say(format_args!("no variable is set for {of}"));
    }
    say_table(&["name", "value", "set by", "when"], &rows)
}
