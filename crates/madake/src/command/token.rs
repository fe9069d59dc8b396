//! `madake token`: access tokens for scripts.

use clap::Subcommand;
use madake_engine::clock;
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{DIM, list, local_time, number, paint, say, say_json, say_table, text};

/// Create, list and revoke access tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token; it is shown once.
    Create {
        /// Whose it is.
        #[arg(long)]
        user: String,
        /// What its owner calls it.
        #[arg(long, default_value = "command line")]
        name: String,
        /// What it allows, such as READ or BUILD; may be given several times [default: all that its owner may].
        #[arg(long = "permission", value_name = "PERMISSION")]
        permissions: Vec<String>,
        /// The only project that it is for.
        #[arg(long, value_name = "KEY")]
        project: Option<String>,
        /// Days until it expires [default: never].
        #[arg(long)]
        days: Option<u32>,
    },
    /// List tokens of a user, or all.
    List {
        /// Whose.
        #[arg(long)]
        user: Option<String>,
    },
    /// Revoke a token.
    Revoke {
        /// Its number in the list.
        id: i64,
    },
}

pub(super) fn run(global: &Global, token: Token) -> anyhow::Result<()> {
    match token {
        Token::Create {
            user,
            name,
            permissions,
            project,
            days,
        } => {
            let body = json!({
                "user": user, "name": name, "permissions": permissions, "project": project, "daysUntilExpiry": days,
            });
            let answer = Connection::open(global)?.post(at(&["tokens"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            // The token alone goes to standard output, so that a script can take it.
            anstream::eprintln!(
                "{}",
                paint(
                    DIM,
                    format_args!("token {} of {user}; it is not shown again", text(&answer, "id"))
                )
            );
            say(text(&answer, "token"))
        }
        Token::List { user } => {
            let target = match &user {
                Some(user) => at(&["tokens"]).with("user", user),
                None => at(&["tokens"]),
            };
            let answer = Connection::look(global)?.get(target)?;
            if global.json {
                return say_json(&answer);
            }
            show(&answer)
        }
        Token::Revoke { id } => {
            let answer = Connection::open(global)?.delete(at(&["tokens", &id.to_string()]))?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("token {id} is revoked"))
        }
    }
}

fn show(answer: &Value) -> anyhow::Result<()> {
    let now = clock::now_ms();
    let rows: Vec<Vec<String>> = list(answer, "tokens")
        .iter()
        .map(|one| {
            let until = match (number(one, "revokedMs"), number(one, "expiresMs")) {
                (Some(at), _) => format!("revoked {}", local_time(at)),
                (None, Some(at)) if at <= now => format!("expired {}", local_time(at)),
                (None, Some(at)) => format!("until {}", local_time(at)),
                (None, None) => "for ever".to_owned(),
            };
            let allows: Vec<&str> = list(one, "permissions")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            vec![
                text(one, "id"),
                text(one, "user"),
                text(one, "name"),
                until,
                text(one, "project"),
                allows.join(" "),
            ]
        })
        .collect();
    if rows.is_empty() {
        return say("no tokens");
    }
    say_table(&["id", "user", "name", "valid", "project", "allows"], &rows)
}
