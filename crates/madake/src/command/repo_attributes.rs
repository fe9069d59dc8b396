//! `madake repo show`, `edit`, `protect`, `protections`, `unprotect`: what a repository is about, and its branch
//! permissions.

use anyhow::ensure;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{BOLD, WARN, list, local_time, number, paint, say, say_json, say_table, text};

/// What a repository is about, and which of its branches are protected.
#[derive(Debug, Subcommand)]
pub(crate) enum Attributes {
    /// Show one: description, default branch, size, last push, addresses.
    Show {
        /// The name of the repository.
        name: String,
    },
    /// Change the description or the default branch of one.
    Edit {
        /// The name of the repository.
        name: String,
        /// What it is about; an empty text takes the description away.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// The branch that a clone checks out and that master plans build.
        #[arg(long, value_name = "BRANCH")]
        default_branch: Option<String>,
    },
    /// Protect branches of a hosted repository from being rewritten, deleted or pushed to.
    Protect(Protect),
    /// List the branch permissions of a repository.
    Protections {
        /// The name of the repository.
        name: String,
    },
    /// Take a branch permission away.
    Unprotect {
        /// The name of the repository.
        name: String,
        /// The branch or pattern that it is on.
        pattern: String,
    },
}

/// A branch permission.
#[derive(Debug, Args)]
pub(crate) struct Protect {
    /// The name of the repository.
    name: String,
    /// A branch, or a pattern: 'release/*', 'hotfix-?', '**'.
    pattern: String,
    /// Forbid rewriting: pushes may only move the branch forward.
    #[arg(long)]
    no_force: bool,
    /// Forbid deleting.
    #[arg(long)]
    no_delete: bool,
    /// Forbid every push, which includes making and deleting such a branch.
    #[arg(long)]
    read_only: bool,
    /// A group to whose members this does not apply; may be given several times.
    #[arg(long, value_name = "NAME")]
    only_group: Vec<String>,
    /// A user to whom this does not apply; may be given several times.
    #[arg(long, value_name = "NAME")]
    only_user: Vec<String>,
}

pub(super) fn run(global: &Global, asked: Attributes) -> anyhow::Result<()> {
    match asked {
        Attributes::Show { name } => {
            let target = at(&["repositories", "attributes"]).with("name", &name);
            show(global, &Connection::look(global)?.get(target)?)
        }
        Attributes::Edit {
            name,
            description,
            default_branch,
        } => {
            ensure!(
                description.is_some() || default_branch.is_some(),
                "say what is to change: --description TEXT, --default-branch BRANCH"
            );
            let body = json!({ "name": name, "description": description, "defaultBranch": default_branch });
            show(
                global,
                &Connection::look(global)?.put(at(&["repositories", "attributes"]), &body)?,
            )
        }
        Attributes::Protect(asked) => protect(global, &asked),
        Attributes::Protections { name } => {
            let target = at(&["branch-permissions"]).with("repository", &name);
            let answer = Connection::look(global)?.get(target)?;
            if global.json {
                return say_json(&answer);
            }
            let rows: Vec<Vec<String>> = list(&answer, "branchPermissions").iter().map(row).collect();
            if rows.is_empty() {
                return say(format_args!(
                    "no branch of {name} is protected: madake repo protect {name} main --no-force --no-delete"
                ));
            }
            say_table(&["id", "pattern", "forbids", "except"], &rows)
        }
        Attributes::Unprotect { name, pattern } => {
            let target = at(&["branch-permissions"])
                .with("repository", &name)
                .with("pattern", &pattern);
            let answer = Connection::look(global)?.delete(target)?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("{pattern} of {name} is not protected any more"))
        }
    }
}

fn protect(global: &Global, asked: &Protect) -> anyhow::Result<()> {
    let restrictions: Vec<&str> = [
        (asked.no_force, "fast-forward-only"),
        (asked.no_delete, "no-deletes"),
        (asked.read_only, "read-only"),
    ]
    .into_iter()
    .filter_map(|(is_asked, word)| is_asked.then_some(word))
    .collect();
    ensure!(
        !restrictions.is_empty(),
        "say what is forbidden: --no-force, --no-delete or --read-only"
    );
    let body = json!({
        "repository": asked.name, "pattern": asked.pattern, "restrictions": restrictions,
        "users": asked.only_user, "groups": asked.only_group,
    });
    let answer = Connection::look(global)?.post(at(&["branch-permissions"]), &body)?;
    if global.json {
        return say_json(&answer);
    }
    let [_, pattern, forbids, except] = &row(&answer)[..] else {
        return Ok(());
    };
    say(format_args!(
        "{} of {}: {forbids}{}",
        paint(BOLD, pattern),
        asked.name,
        if except.is_empty() {
            String::new()
        } else {
            format!(", except for {except}")
        }
    ))
}

/// Number, pattern, what is forbidden, who is exempt.
fn row(rule: &Value) -> Vec<String> {
    let names = |field, before: &str| -> Vec<String> {
        let names = list(rule, field).iter().filter_map(Value::as_str);
        names
            .map(|name| format!("{before}{}", madake_domain::text::inert(name, 80)))
            .collect()
    };
    let except = [names("users", ""), names("groups", "group ")].concat();
    vec![
        text(rule, "id"),
        text(rule, "pattern"),
        names("restrictions", "").join(", "),
        except.join(", "),
    ]
}

fn show(global: &Global, answer: &Value) -> anyhow::Result<()> {
    if global.json {
        return say_json(answer);
    }
    say(format_args!(
        "{} ({})",
        paint(BOLD, text(answer, "name")),
        text(answer, "kind")
    ))?;
    let description = text(answer, "description");
    if !description.is_empty() {
        say(format_args!("  {description}"))?;
    }
    say(format_args!("  branch     {}", text(answer, "defaultBranch")))?;
    say(format_args!("  clone      {}", text(answer, "cloneUrl")))?;
    let ssh = text(answer, "sshUrl");
    if !ssh.is_empty() {
        say(format_args!("             {ssh}"))?;
    }
    say(format_args!(
        "  size       {}",
        size(number(answer, "sizeBytes").unwrap_or(0))
    ))?;
    let pushed = match number(answer, "lastPushMs") {
        Some(at) => format!("{} by {}", local_time(at), text(answer, "lastPusher")),
        None => "never".to_owned(),
    };
    say(format_args!("  last push  {pushed}"))?;
    let problem = text(answer, "problem");
    if !problem.is_empty() {
        say(format_args!("  {} {problem}", paint(WARN, "!")))?;
    }
    Ok(())
}

/// `12 KiB`, rounded up.
fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut amount, mut unit) = (bytes, 0);
    while amount >= 10_240 && unit + 1 < UNITS.len() {
        amount = amount.div_euclid(1024) + i64::from(amount.rem_euclid(1024) > 0);
        unit += 1;
    }
    format!("{amount} {}", UNITS[unit])
}
