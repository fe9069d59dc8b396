//! The part of `madake receiver` that is about brokers: receivers that call a product in its own way.

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::{Map, Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{BOLD, DIM, flag, list, paint, read_secret, say, say_json, say_table, text};

/// Settings of a broker, as the command line gives them.
#[derive(Debug, Default, Args)]
pub(crate) struct SettingArguments {
    /// A setting of the broker; `madake receiver types TYPE` lists them.
    #[arg(long = "setting", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// A setting whose value is read from standard input, as secrets must be: one line for each.
    #[arg(long = "setting-stdin", value_name = "NAME")]
    from_stdin: Vec<String>,
}

impl SettingArguments {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.from_stdin.is_empty()
    }

    fn into_map(self, of: Option<&Value>) -> anyhow::Result<Map<String, Value>> {
        let mut map = Map::new();
        let mut put = |name: &str, value: String| {
            let before = map.insert(name.to_owned(), Value::String(value));
            ensure!(before.is_none(), "the setting `{name}` is given twice");
            Ok(())
        };
        for one in &self.settings {
            let (name, value) = one
                .split_once('=')
                .with_context(|| format!("`{one}` is no setting; write NAME=VALUE"))?;
            if of.is_some_and(|of| is_secret(of, name)) {
                bail!(
                    "`{name}` is a secret, and arguments are seen by everybody on this machine; write --setting-stdin {name}"
                );
            }
            put(name, value.to_owned())?;
        }
        if !self.from_stdin.is_empty() {
            let given = read_secret(&self.from_stdin.join(", "))?;
            let mut lines = given.lines();
            for name in &self.from_stdin {
                let value = lines.next().with_context(|| {
                    format!("standard input has no line for `{name}`; give one line for each --setting-stdin")
                })?;
                put(name, value.to_owned())?;
            }
        }
        Ok(map)
    }
}

/// A name as it is compared: case, blanks, `-` and `_` do not matter.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn is_secret(of: &Value, name: &str) -> bool {
    list(of, "settings").iter().any(|field| {
        let mut names = vec![text(field, "name")];
        names.extend(
            list(field, "aliases")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned),
        );
        flag(field, "secret") && names.iter().any(|known| plain(known) == plain(name))
    })
}

/// The type of this name, if the server has it; the server itself says what is wrong with any other.
fn type_of(connection: &Connection, name: &str) -> anyhow::Result<Option<Value>> {
    let answer = connection.get(at(&["brokers"]))?;
    let found = list(&answer, "brokers").iter().find(|of| {
        let mut names = vec![text(of, "type"), text(of, "title")];
        names.extend(
            list(of, "aliases")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned),
        );
        names.iter().any(|known| plain(known) == plain(name))
    });
    Ok(found.cloned())
}

/// What a new broker is made of.
pub(super) struct NewBroker {
    pub(super) repository: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) ordered: bool,
    pub(super) settings: SettingArguments,
}

pub(super) fn create(global: &Global, new: NewBroker) -> anyhow::Result<()> {
    let connection = Connection::open(global)?;
    let of = type_of(&connection, &new.kind)?;
    let body = json!({
        "repository": new.repository, "broker": new.kind, "name": new.name, "ordered": new.ordered,
        "settings": new.settings.into_map(of.as_ref())?,
    });
    let answer = connection.post(at(&["receivers"]), &body)?;
    if global.json {
        return say_json(&answer);
    }
    say(format_args!(
        "receiver {} of {}: {} to {}",
        paint(BOLD, text(&answer, "id")),
        text(&answer, "repository"),
        text(&answer, "profile"),
        text(&answer, "url")
    ))
}

/// Changes settings of a broker: those that are given, and no other.
pub(super) fn set(
    global: &Global,
    id: i64,
    settings: SettingArguments,
    unset: &[String],
    ordered: Option<bool>,
    verify_tls: Option<bool>,
) -> anyhow::Result<()> {
    let connection = Connection::open(global)?;
    let target = || at(&["receivers", &id.to_string()]);
    let current = connection.get(target())?;
    ensure!(
        text(&current, "kind") == "broker",
        "receiver {id} is a webhook: `madake receiver create` makes one with other settings"
    );
    let mut body = Map::new();
    if !settings.is_empty() || !unset.is_empty() {
        let of = type_of(&connection, &text(&current, "profile"))?;
        let given = settings.into_map(of.as_ref())?;
        let mut whole = current["settings"].as_object().cloned().unwrap_or_default();
        whole.retain(|name, _| {
            let same = |other: &String| of.as_ref().is_none_or(|of| field_name(of, other) == *name);
            !given.keys().any(same) && !unset.iter().any(same)
        });
        whole.extend(given);
        body.insert("settings".into(), Value::Object(whole));
    }
    if let Some(ordered) = ordered {
        body.insert("ordered".into(), json!(ordered));
    }
    if let Some(verify) = verify_tls {
        body.insert("verifyTls".into(), json!(verify));
    }
    let answer = connection.put(target(), &Value::Object(body))?;
    if global.json {
        say_json(&answer)
    } else {
        say(format_args!("receiver {id} is changed"))
    }
}

/// The name that the catalogue has for a setting.
fn field_name(of: &Value, given: &str) -> String {
    let found = list(of, "settings").iter().find(|field| {
        let aliases = list(field, "aliases").iter().filter_map(Value::as_str);
        plain(&text(field, "name")) == plain(given)
            || aliases.into_iter().any(|one| plain(one) == plain(given))
    });
    found.map_or_else(|| given.to_owned(), |field| text(field, "name"))
}

/// `madake receiver types`
pub(super) fn types(global: &Global, wanted: Option<&str>) -> anyhow::Result<()> {
    let connection = Connection::look(global)?;
    let Some(name) = wanted else {
        let answer = connection.get(at(&["brokers"]))?;
        if global.json {
            return say_json(&answer);
        }
        let rows: Vec<Vec<String>> = list(&answer, "brokers")
            .iter()
            .map(|of| {
                let needed: Vec<String> = list(of, "settings")
                    .iter()
                    .filter(|field| flag(field, "required"))
                    .map(|field| text(field, "name"))
                    .collect();
                vec![text(of, "type"), needed.join(", "), text(of, "description")]
            })
            .collect();
        return say_table(&["type", "needs", "what it does"], &rows);
    };
    let of = type_of(&connection, name)?
        .with_context(|| format!("there is no broker type `{name}`; `madake receiver types` lists all"))?;
    if global.json {
        return say_json(&of);
    }
    say(format_args!(
        "{}  {}",
        paint(BOLD, text(&of, "type")),
        text(&of, "description")
    ))?;
    for field in list(&of, "settings") {
        let default = text(field, "default");
        let mut facts = vec![text(field, "kind")];
        if flag(field, "required") {
            facts.push("needed".into());
        }
        if !default.is_empty() {
            facts.push(format!("{default} if nothing is said"));
        }
        let words: Vec<&str> = list(field, "choices").iter().filter_map(Value::as_str).collect();
        if !words.is_empty() {
            facts.push(format!("one of {}", words.join(", ")));
        }
        say(format_args!(
            "  {}  {}",
            paint(BOLD, text(field, "name")),
            paint(DIM, facts.join("; "))
        ))?;
        say(format_args!("      {}", text(field, "help")))?;
    }
    Ok(())
}

/// `madake receiver preview`
pub(super) fn preview(
    global: &Global,
    id: Option<i64>,
    kind: Option<&str>,
    settings: SettingArguments,
    event: &str,
) -> anyhow::Result<()> {
    let connection = Connection::look(global)?;
    let answer = match (id, kind) {
        (Some(id), _) => connection.post(
            at(&["receivers", &id.to_string(), "preview"]),
            &json!({ "event": event }),
        )?,
        (None, Some(kind)) => {
            let of = type_of(&connection, kind)?;
            let settings = settings.into_map(of.as_ref())?;
            connection.post(
                at(&["brokers", "preview"]),
                &json!({ "broker": kind, "settings": settings, "event": event }),
            )?
        }
        (None, None) => bail!("name a receiver by its number, or a type with --broker"),
    };
    if global.json {
        return say_json(&answer);
    }
    let calls = list(&answer, "calls");
    if calls.is_empty() {
        return say("nothing is sent for the made-up event");
    }
    for (at, call) in calls.iter().enumerate() {
        if at > 0 {
            say("")?;
        }
        say_call(call)?;
    }
    Ok(())
}

fn say_call(call: &Value) -> anyhow::Result<()> {
    match text(call, "type").as_str() {
        "http" => {
            say(paint(
                BOLD,
                format_args!("{} {}", text(call, "method"), text(call, "url")),
            ))?;
            for header in list(call, "headers") {
                let part = |at: usize| header.get(at).and_then(Value::as_str).unwrap_or_default();
                say(format_args!("{}: {}", part(0), part(1)))?;
            }
            say(format_args!("\n{}", text(call, "body")))
        }
        "mail" => {
            let to: Vec<&str> = list(call, "to").iter().filter_map(Value::as_str).collect();
            say(format_args!("To: {}", to.join(", ")))?;
            say(paint(BOLD, format_args!("Subject: {}", text(call, "subject"))))?;
            say(format_args!("\n{}", text(call, "text")))
        }
        _ => {
            say(paint(BOLD, text(call, "program")))?;
            say(text(call, "stdin"))
        }
    }
}
