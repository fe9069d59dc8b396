//! `madake capability`: what the built-in agents can do.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{list, say, say_json, say_table, text};

/// Say what the agents can do: which programs they have, and whatever else jobs may require.
#[derive(Debug, Subcommand)]
pub(crate) enum Capability {
    /// Say that the agents have a capability.
    Set {
        /// Its key: `system.builder.command.LABEL` for a program of `command` tasks, `system.builder.mvn3.LABEL`,
        /// `system.builder.ant.LABEL`, `system.builder.node.LABEL`, `system.jdk.LABEL`, or any name of yours.
        key: String,
        /// Its value: the path of the program, the home of Maven, Ant or the JDK, or what requirements compare with.
        #[arg(default_value = "")]
        value: String,
    },
    /// Take back what was set; what the agents find out by themselves stays.
    Remove {
        /// Its key.
        key: String,
    },
    /// List all, found and set.
    List,
}

pub(super) fn run(global: &Global, capability: Capability) -> anyhow::Result<()> {
    let (answer, sentence) = match capability {
        Capability::Set { key, value } => (
            Connection::open(global)?.put(at(&["capabilities"]), &json!({ "key": key, "value": value }))?,
            format!("agents have {key}"),
        ),
        Capability::Remove { key } => (
            Connection::open(global)?.delete(at(&["capabilities"]).with("key", &key))?,
            format!("nobody says any more that agents have {key}"),
        ),
        Capability::List => {
            let answer = Connection::look(global)?.get(at(&["capabilities"]))?;
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
    let rows: Vec<Vec<String>> = list(answer, "capabilities")
        .iter()
        .map(|one| {
            let from = if one["configured"] == true { "set" } else { "found" };
            vec![text(one, "key"), text(one, "value"), from.to_owned()]
        })
        .collect();
    if rows.is_empty() {
        return say("the agents have found nothing: add capabilities with `madake capability set KEY VALUE`");
    }
    say_table(&["capability", "value", "from"], &rows)
}
