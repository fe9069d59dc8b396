//! `madake repo pull-requests`, `forks`, `allow`: pull requests of linked repositories.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{BOLD, DIM, GOOD, WARN, list, number, paint, say, say_json, say_table, text};

/// Which pull requests from forks are built, and what is known of pull requests.
#[derive(Debug, Subcommand)]
pub(crate) enum Proposals {
    /// List the pull requests of a linked repository, and say which forks may be built.
    PullRequests {
        /// The name of the repository.
        name: String,
    },
    /// Say which pull requests from forks may be built. Whoever wrote them runs programs on this machine.
    Forks {
        /// The name of the repository.
        name: String,
        /// Which.
        #[arg(value_enum)]
        policy: Policy,
        /// With `trusted-authors`: the login of one at the forge; may be given several times.
        #[arg(long, value_name = "LOGIN")]
        trust: Vec<String>,
    },
    /// Let the newest commit of a pull request from a fork be built.
    Allow {
        /// The name of the repository.
        name: String,
        /// The number of the pull request.
        number: i64,
        /// The commit, by at least seven digits of its id: the one that you looked at.
        head: String,
    },
}

/// Which forks are built.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Policy {
    /// None
    Never,
    /// Commits that an administrator allowed, one by one
    Ask,
    /// These, and all of the authors that are named
    TrustedAuthors,
    /// All of everybody
    Always,
}

impl Policy {
    /// The word of the API.
    fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Ask => "ask",
            Self::TrustedAuthors => "trusted-authors",
            Self::Always => "always",
        }
    }
}

pub(super) fn run(global: &Global, asked: Proposals) -> anyhow::Result<()> {
    match asked {
        Proposals::PullRequests { name } => {
            let target = at(&["pull-requests"]).with("repository", &name);
            let answer = Connection::look(global)?.get(target)?;
            if global.json {
                return say_json(&answer);
            }
            show(&name, &answer)
        }
        Proposals::Forks { name, policy, trust } => {
            let body = json!({ "repository": name, "policy": policy.word(), "trustedAuthors": trust });
            let answer = Connection::look(global)?.put(at(&["forks"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!(
                "forks of {}: {}",
                paint(BOLD, &name),
                trusted(&answer)
            ))
        }
        Proposals::Allow { name, number, head } => {
            let body = json!({ "repository": name, "number": number, "head": head });
            let answer = Connection::look(global)?.post(at(&["pull-requests", "allow"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            let event = text(&answer, "event");
            say(format_args!("allowed; what comes of it: madake why {event}"))
        }
    }
}

fn trusted(trust: &Value) -> String {
    let authors = list(trust, "trustedAuthors");
    let named: Vec<&str> = authors.iter().filter_map(Value::as_str).collect();
    let policy = text(trust, "policy");
    if named.is_empty() {
        policy
    } else {
        format!("{policy}, trusting {}", named.join(", "))
    }
}

fn show(name: &str, answer: &Value) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = list(answer, "pullRequests").iter().map(row).collect();
    if rows.is_empty() {
        say("no pull requests yet: webhooks tell of them")?;
    } else {
        say_table(
            &["number", "state", "from", "to", "author", "head", "title"],
            &rows,
        )?;
    }
    say(format_args!("forks of {name}: {}", trusted(&answer["forks"])))
}

fn row(one: &Value) -> Vec<String> {
    let is = |field: &str| one[field] == true;
    let state = match (
        is("open"),
        is("fromFork"),
        text(one, "head") == text(one, "allowedHead"),
    ) {
        (false, _, _) => paint(DIM, "closed"),
        (true, true, true) if !text(one, "head").is_empty() => paint(GOOD, "open, allowed"),
        (true, true, _) => paint(WARN, "open, fork"),
        (true, false, _) => paint(GOOD, "open"),
    };
    let from = match text(one, "sourceRepository") {
        fork if is("fromFork") && !fork.is_empty() => format!("{fork}:{}", text(one, "sourceBranch")),
        _ => text(one, "sourceBranch"),
    };
    vec![
        number(one, "number").unwrap_or(0).to_string(),
        state,
        from,
        text(one, "targetBranch"),
        text(one, "author"),
        text(one, "head").chars().take(12).collect(),
        text(one, "title"),
    ]
}
