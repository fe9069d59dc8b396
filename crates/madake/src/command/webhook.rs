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
        #[arg(required_unless_present = "all")]
        repository: Option<String>,
        /// Let it serve all linked repositories: which one is meant is found by the address in the payload.
        #[arg(long, conflicts_with = "repository", requires = "secret_stdin")]
        all: bool,
        /// Read a secret that signs the bodies from standard input: any text, or `whsec_` and base64.
        #[arg(long)]
        secret_stdin: bool,
        /// What it is for.
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
    },
    /// List those of a repository, or those that serve all linked ones.
    List {
        /// The repository [default: those of all linked ones].
        repository: Option<String>,
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
            all,
            secret_stdin,
            description,
        } => {
            let secret = if secret_stdin {
                Some(read_secret("secret")?)
            } else {
                None
            };
            let body = json!({
                "repository": repository, "all": all, "secret": secret, "description": description,
            });
            let answer = Connection::open(global)?.post(at(&["webhooks"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!(
                "webhook {} of {}",
                text(&answer, "id"),
                repository.as_deref().unwrap_or("all linked repositories")
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
            let target = match &repository {
                Some(name) => at(&["webhooks"]).with("repository", name),
                None => at(&["webhooks"]),
            };
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
                let whose = repository
                    .as_deref()
                    .unwrap_or("all linked repositories together");
                return say(format_args!("no webhooks of {whose}"));
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
