//! `madake plan`: what describes a plan, what was found wrong with it, and whose it is.

use clap::Subcommand;
use madake_engine::clock;
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{BAD, BOLD, DIM, WARN, ago, list, number, paint, say, say_json, short_revision, text};

/// See what describes a plan, and decide whose it is.
#[derive(Debug, Subcommand)]
pub(crate) enum Plan {
    /// Show a plan or plan branch: its plan file, what was found wrong with it, and who else claims it.
    Show {
        /// PROJ-PLAN, or the key of a plan branch.
        key: String,
    },
    /// Decide whose plan it is, where two repositories describe it. The plan file of the one named is put in force at once.
    Owner {
        /// PROJ-PLAN
        key: String,
        /// The repository: OWNER/SLUG, or the name of a linked one.
        repository: String,
    },
}

pub(super) fn run(global: &Global, plan: &Plan) -> anyhow::Result<()> {
    let answer = match plan {
        Plan::Show { key } => Connection::look(global)?.get(at(&["plans", key]))?,
        Plan::Owner { key, repository } => Connection::open(global)?
            .put(at(&["plans", key, "owner"]), &json!({ "repository": repository }))?,
    };
    if global.json {
        return say_json(&answer);
    }
    show(&answer)
}

fn show(plan: &Value) -> anyhow::Result<()> {
    say(format_args!(
        "{}  {}",
        paint(BOLD, text(plan, "key")),
        text(plan, "name")
    ))?;
    match text(plan, "repository") {
        owner if owner.is_empty() => say("  belongs to no repository")?,
        owner => say(format_args!("  belongs to {owner}"))?,
    }
    let since = number(plan, "versionMs").unwrap_or(0);
    say(format_args!(
        "  in force: {} {}",
        text(plan, "version"),
        paint(DIM, format_args!("(since {})", ago(since, clock::now_ms())))
    ))?;
    for claim in list(plan, "claims") {
        let repository = text(claim, "repository");
        if number(claim, "settledMs").is_some() {
            say(format_args!("  {repository} describes it, too; that was decided"))?;
        } else {
            say(format_args!(
                "  {} {repository} describes it, too, at {}: `madake plan owner {} REPOSITORY` decides whose it is",
                paint(WARN, "conflict"),
                short_revision(&text(claim, "revision")),
                text(plan, "plan")
            ))?;
        }
    }
    for one in list(plan, "findings") {
        let severity = text(one, "severity");
        let style = match severity.as_str() {
            "error" => BAD,
            "warning" => WARN,
            _ => DIM,
        };
        say(format_args!(
            "  {} {}:{}:{} {}{} {}",
            paint(style, &severity),
            text(one, "file"),
            text(one, "line"),
            text(one, "column"),
            text(one, "message"),
            help(one),
            paint(
                DIM,
                format_args!("({} {})", text(one, "repository"), text(one, "branch"))
            )
        ))?;
    }
    Ok(())
}

/// What was expected, what may have been meant, and what to do, as far as it was said: `; did you mean `Compile`?`
fn help(finding: &Value) -> String {
    let words = |name: &str, before: &str, after: &str| match text(finding, name) {
        words if words.is_empty() => String::new(),
        words => format!("; {before}{words}{after}"),
    };
    format!(
        "{}{}{}",
        words("expected", "expected ", ""),
        words("suggestion", "did you mean `", "`?"),
        words("note", "", "")
    )
}
