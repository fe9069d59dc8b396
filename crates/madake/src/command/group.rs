//! `madake group`: groups and who is in them.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{list, say, say_json, say_table, text};

/// Create, fill and list groups.
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Make a group.
    Create {
        /// Its name.
        name: String,
    },
    /// Remove a group with its memberships and what was granted to it.
    Remove {
        /// Its name.
        name: String,
    },
    /// Put a user into a group.
    Add {
        /// The group.
        name: String,
        /// The user.
        user: String,
    },
    /// Take a user out of a group.
    RemoveMember {
        /// The group.
        name: String,
        /// The user.
        user: String,
    },
    /// List all with their members.
    List,
}

pub(super) fn run(global: &Global, group: Group) -> anyhow::Result<()> {
    let (answer, sentence) = match group {
        Group::Create { name } => (
            Connection::open(global)?.post(at(&["groups"]), &json!({ "name": name }))?,
            format!("made the group {name}"),
        ),
        Group::Remove { name } => (
            Connection::open(global)?.delete(at(&["groups", &name]))?,
            format!("removed the group {name}"),
        ),
        Group::Add { name, user } => (
            Connection::open(global)?.put(at(&["groups", &name, "members", &user]), &json!({}))?,
            format!("{user} is in {name}"),
        ),
        Group::RemoveMember { name, user } => (
            Connection::open(global)?.delete(at(&["groups", &name, "members", &user]))?,
            format!("{user} is not in {name} any more"),
        ),
        Group::List => {
            let answer = Connection::look(global)?.get(at(&["groups"]))?;
            return if global.json {
                say_json(&answer)
            } else {
                show(&answer)
            };
        }
    };
    if global.json {
        return say_json(&answer);
    }
    say(sentence)
}

fn show(answer: &Value) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = list(answer, "groups")
        .iter()
        .map(|one| {
            let members: Vec<&str> = list(one, "members").iter().filter_map(Value::as_str).collect();
            vec![text(one, "name"), members.join(", ")]
        })
        .collect();
    if rows.is_empty() {
        return say("no groups yet: make one with `madake group create NAME`");
    }
    say_table(&["group", "members"], &rows)
}
