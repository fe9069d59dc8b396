//! `madake key`: SSH keys of users, and access keys of repositories.

use std::io::{IsTerminal as _, Read as _};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{flag, list, local_time, number, say, say_json, say_table, text};

/// The longest text that is taken for a public key, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Register, list and remove SSH keys of users and repositories.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Register the public key on standard input: madake key add --user ann < id_ed25519.pub
    Add {
        #[command(flatten)]
        owner: Owner,
        /// Let the repository's key push as well.
        #[arg(long, requires = "repository")]
        write: bool,
    },
    /// List keys of a user or a repository, or all.
    List {
        #[command(flatten)]
        owner: MaybeOwner,
    },
    /// Remove a key.
    Remove {
        /// Its number in the list.
        id: i64,
    },
}

/// Whose key it is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Owner {
    /// The user who comes in with it.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The repository that it is for, and nothing else.
    #[arg(long, value_name = "OWNER/SLUG")]
    repository: Option<String>,
}

/// Whose keys to list.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
pub(crate) struct MaybeOwner {
    /// Those of a user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Those of a repository.
    #[arg(long, value_name = "OWNER/SLUG")]
    repository: Option<String>,
}

pub(super) fn run(global: &Global, key: Key) -> anyhow::Result<()> {
    match key {
        Key::Add { owner, write } => {
            let body = json!({
                "user": owner.user, "repository": owner.repository, "write": write, "key": public_key()?,
            });
            let answer = Connection::open(global)?.post(at(&["keys"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!(
                "key {} of {}, {}",
                text(&answer, "id"),
                owner_of(&answer),
                what_it_may(&answer)
            ))?;
            say(format_args!("  {}", text(&answer, "fingerprint")))
        }
        Key::List { owner } => {
            let target = match (&owner.user, &owner.repository) {
                (Some(user), _) => at(&["keys"]).with("user", user),
                (_, Some(repository)) => at(&["keys"]).with("repository", repository),
                (None, None) => at(&["keys"]),
            };
            let answer = Connection::look(global)?.get(target)?;
            if global.json {
                return say_json(&answer);
            }
            show(&answer)
        }
        Key::Remove { id } => {
            let answer = Connection::open(global)?.delete(at(&["keys", &id.to_string()]))?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("key {id} is removed"))
        }
    }
}

fn public_key() -> anyhow::Result<String> {
    let input = std::io::stdin();
    anyhow::ensure!(
        !input.is_terminal(),
        "the public key comes on standard input: madake key add ... < ~/.ssh/id_ed25519.pub"
    );
    let mut text = String::new();
    input
        .take(LIMIT)
        .read_to_string(&mut text)
        .context("the key cannot be read from standard input")?;
    Ok(text)
}

fn owner_of(key: &Value) -> String {
    let user = text(key, "user");
    if user.is_empty() {
        text(key, "repository")
    } else {
        user
    }
}

fn what_it_may(key: &Value) -> &'static str {
    if !text(key, "user").is_empty() {
        "which may do what the user may"
    } else if flag(key, "write") {
        "which may fetch and push"
    } else {
        "which may fetch"
    }
}

fn show(answer: &Value) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = list(answer, "keys")
        .iter()
        .map(|one| {
            let allows = match (text(one, "user").is_empty(), flag(one, "write")) {
                (false, _) => "as the user",
                (true, true) => "fetch, push",
                (true, false) => "fetch",
            };
            vec![
                text(one, "id"),
                owner_of(one),
                allows.to_owned(),
                number(one, "lastUsedMs").map_or_else(|| "never".to_owned(), local_time),
                text(one, "fingerprint"),
                text(one, "comment"),
            ]
        })
        .collect();
    if rows.is_empty() {
        return say("no keys");
    }
    say_table(&["id", "of", "allows", "used", "fingerprint", "comment"], &rows)
}
