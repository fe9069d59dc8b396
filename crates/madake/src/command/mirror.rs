//! `madake repo mirror-from`, `mirror-to`, `mirrors`, `mirror-sync`, `mirror-end`: repositories that follow each other.

use clap::Args;
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{
    BOLD, WARN, list, local_time, number, paint, read_secret, say, say_json, say_table, text,
};

/// What both kinds of mirrors are given.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// The address of the remote, without a password.
    url: String,
    /// The user name there.
    #[arg(long, requires = "password_stdin")]
    username: Option<String>,
    /// Read the password or token from standard input.
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Seconds between two looks at the remote [default: repositories.poll-seconds; an hour for mirror-to].
    #[arg(long, value_name = "SECONDS")]
    period: Option<u64>,
}

/// A repository here that follows a remote.
#[derive(Debug, Args)]
pub(crate) struct MirrorFrom {
    /// The repository here; it is made if it is not there.
    #[arg(value_name = "OWNER/SLUG")]
    name: String,
    #[command(flatten)]
    remote: Remote,
    /// Keep branches and tags here that the remote does not have.
    #[arg(long)]
    no_prune: bool,
    /// Overwrite and remove the branches and tags that the repository has already.
    #[arg(long)]
    replace: bool,
}

/// A remote that follows a repository here.
#[derive(Debug, Args)]
pub(crate) struct MirrorTo {
    /// The hosted repository.
    #[arg(value_name = "OWNER/SLUG")]
    name: String,
    #[command(flatten)]
    remote: Remote,
    /// Delete branches and tags at the remote that are not here, also those that never were.
    #[arg(long)]
    prune: bool,
}

pub(super) fn follow(global: &Global, asked: &MirrorFrom) -> anyhow::Result<()> {
    let more = json!({ "direction": "from", "prune": !asked.no_prune, "replace": asked.replace });
    keep(global, &asked.name, &asked.remote, more)
}

pub(super) fn push_on(global: &Global, asked: &MirrorTo) -> anyhow::Result<()> {
    let more = json!({ "direction": "to", "prune": asked.prune });
    keep(global, &asked.name, &asked.remote, more)
}

fn keep(global: &Global, name: &str, remote: &Remote, more: Value) -> anyhow::Result<()> {
    let password = if remote.password_stdin {
        Some(read_secret("password")?)
    } else {
        None
    };
    let mut body = json!({
        "repository": name, "url": remote.url, "username": remote.username, "password": password,
        "periodSeconds": remote.period,
    });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let answer = Connection::open(global)?.post(at(&["mirrors"]), &body)?;
    if global.json {
        return say_json(&answer);
    }
    let (repository, url) = (text(&answer, "repository"), text(&answer, "url"));
    let repository = paint(BOLD, &repository);
    say(if text(&answer, "direction") == "from" {
        format!(
            "mirror {}: {repository} follows {url} and takes no pushes",
            answer["id"]
        )
    } else {
        format!(
            "mirror {}: what is pushed to {repository} goes on to {url}",
            answer["id"]
        )
    })
}

pub(super) fn show(global: &Global, name: Option<&str>) -> anyhow::Result<()> {
    let mut target = at(&["mirrors"]);
    if let Some(name) = name {
        target = target.with("repository", name);
    }
    let answer = Connection::look(global)?.get(target)?;
    if global.json {
        return say_json(&answer);
    }
    let mirrors = list(&answer, "mirrors");
    if mirrors.is_empty() {
        return say("no mirrors: `madake repo mirror-from` and `mirror-to` make some");
    }
    let rows: Vec<Vec<String>> = mirrors
        .iter()
        .map(|one| {
            vec![
                text(one, "id"),
                text(one, "repository"),
                text(one, "direction"),
                text(one, "url"),
                number(one, "lastSuccessMs").map_or_else(|| "never".into(), local_time),
                lag(one),
            ]
        })
        .collect();
    say_table(
        &["id", "repository", "", "remote", "last success", "waiting"],
        &rows,
    )?;
    for one in mirrors {
        let problem = text(one, "problem");
        if !problem.is_empty() {
            say(format_args!(
                "{} mirror {}, failed {} times, last at {}: {problem}",
                paint(WARN, "!"),
                one["id"],
                one["failures"],
                number(one, "lastAttemptMs").map_or_else(String::new, local_time)
            ))?;
        }
    }
    Ok(())
}

fn lag(one: &Value) -> String {
    match (number(one, "pendingPushes"), number(one, "lagMs")) {
        (Some(count @ 1..), Some(lag_ms)) => {
            let pushes = if count == 1 { "push" } else { "pushes" };
            format!("{count} {pushes}, {} s", lag_ms / 1000)
        }
        _ => String::new(),
    }
}

pub(super) fn sync(global: &Global, id: i64) -> anyhow::Result<()> {
    let id = id.to_string();
    let answer = Connection::open(global)?.post(at(&["mirrors", &id, "sync"]), &json!({}))?;
    if global.json {
        return say_json(&answer);
    }
    say(format_args!(
        "mirror {id} runs; `madake repo mirrors` says how it went"
    ))
}

pub(super) fn end(global: &Global, id: i64) -> anyhow::Result<()> {
    let answer = Connection::look(global)?.delete(at(&["mirrors", &id.to_string()]))?;
    if global.json {
        return say_json(&answer);
    }
    say(format_args!(
        "ended mirror {id} of {}; what is at both sides stays",
        paint(BOLD, text(&answer, "repository"))
    ))?;
    match number(&answer, "pendingPushes") {
        Some(count @ 1..) => say(format_args!(
            "  {count} pushes had not gone on to {}",
            text(&answer, "url")
        )),
        _ => Ok(()),
    }
}
