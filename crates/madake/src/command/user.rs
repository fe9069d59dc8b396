//! `madake user`: who can log in.

use clap::Subcommand;
use serde_json::json;

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{flag, list, read_secret, say, say_json, say_table, text};

/// Add and list users.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Add a user.
    Add {
        /// The name that logs in.
        name: String,
        /// Read the password from standard input; without it, the user comes in by token only.
        #[arg(long)]
        password_stdin: bool,
        /// May do everything.
        #[arg(long)]
        admin: bool,
        /// The name that people read.
        #[arg(long, default_value = "", hide_default_value = true)]
        full_name: String,
        /// The e-mail address.
        #[arg(long, default_value = "", hide_default_value = true)]
        email: String,
    },
    /// List all.
    List,
    /// Give a user a new password.
    SetPassword {
        /// Who.
        name: String,
        /// Read the password from standard input.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

pub(super) fn run(global: &Global, user: User) -> anyhow::Result<()> {
    match user {
        User::Add {
            name,
            password_stdin,
            admin,
            full_name,
            email,
        } => {
            let password = if password_stdin {
                Some(read_secret("password")?)
            } else {
                None
            };
            let by_token = password.is_none();
            let body = json!({
                "name": name, "fullName": full_name, "email": email, "password": password, "administrator": admin,
            });
            let answer = Connection::open(global)?.post(at(&["users"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            let what = if admin { "administrator" } else { "user" };
            say(format_args!("added the {what} {}", text(&answer, "name")))?;
            if by_token {
                say(format_args!(
                    "  without a password: make a token with `madake token create --user {name}`"
                ))?;
            }
            Ok(())
        }
        User::List => {
            let answer = Connection::look(global)?.get(at(&["users"]))?;
            if global.json {
                return say_json(&answer);
            }
            let rows: Vec<Vec<String>> = list(&answer, "users")
                .iter()
                .map(|one| {
                    let role = match (flag(one, "enabled"), flag(one, "administrator")) {
                        (false, _) => "switched off",
                        (true, true) => "administrator",
                        (true, false) => "user",
                    };
                    vec![
                        text(one, "name"),
                        role.to_owned(),
                        text(one, "fullName"),
                        text(one, "email"),
                    ]
                })
                .collect();
            if rows.is_empty() {
                return say("no users yet: add one with `madake user add NAME --password-stdin --admin`");
            }
            say_table(&["name", "role", "full name", "e-mail"], &rows)
        }
        User::SetPassword { name, .. } => {
            let body = json!({ "password": read_secret("password")? });
            let answer = Connection::open(global)?.put(at(&["users", &name, "password"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("{name} has a new password"))
        }
    }
}
