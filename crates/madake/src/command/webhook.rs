//! `madake webhook`: addresses at which other forges tell us of pushes.

use clap::Subcommand;
use serde_json::json;

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{BOLD, DIM, flag, list, paint, read_secret, say, say_json, say_table, text};

/// Addresses at which other forges tell us of pushes.
#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// Make one; its address is shown once.
    Create {
        /// The repository whose pushes it tells of.
        repository: String,
        /// Read a secret that signs the bodies from standard input.
        #[arg(long)]
        secret_stdin: bool,
        /// What it is for.
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
    },
    /// List those of a repository.
    List {
        /// The repository.
        repository: String,
    },
    /// Revoke one.
    Revoke {
        /// Its number in the list.
        id: i64,
    },
}

pub(super) fn run(global: &Global, webhook: Webhook) -> anyhow::Result<()> {
    match webhook {
        Webhook::Create {
            repository,
            secret_stdin,
            description,
        } => {
            let secret = if secret_stdin {
                Some(read_secret("secret")?)
            } else {
                None
            };
            let body = json!({ "repository": repository, "secret": secret, "description": description });
            let answer = Connection::open(global)?.post(at(&["webhooks"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!(
                "webhook {} of {}",
                text(&answer, "id"),
                text(&answer, "repository")
            ))?;
            say(format_args!("  {}", paint(BOLD, text(&answer, "url"))))?;
            let note = if flag(&answer, "signed") {
                "  bodies must be signed with the secret; the address is not shown again"
            } else {
                "  whoever knows the address can report pushes; it is not shown again"
            };
            say(paint(DIM, note))
        }
        Webhook::List { repository } => {
            let target = at(&["webhooks"]).with("repository", &repository);
            let answer = Connection::look(global)?.get(target)?;
            if global.json {
                return say_json(&answer);
            }
            let rows: Vec<Vec<String>> = list(&answer, "webhooks")
                .iter()
                .map(|one| {
                    let signed = if flag(one, "signed") {
                        "signed"
                    } else {
                        "not signed"
                    };
                    vec![text(one, "id"), signed.to_owned(), text(one, "description")]
                })
                .collect();
            if rows.is_empty() {
                return say(format_args!("{repository} has no webhooks"));
            }
            say_table(&["id", "bodies", "description"], &rows)
        }
        Webhook::Revoke { id } => {
            let answer = Connection::open(global)?.delete(at(&["webhooks", &id.to_string()]))?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("webhook {id} is revoked"))
        }
    }
}
