//! `madake receiver` and `madake delivery`: who is told of pushes, and what became of it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Global;
use super::broker::{self, NewBroker, SettingArguments};
use crate::connection::{Connection, at};
use crate::terminal::{
    BOLD, DIM, duration, flag, list, local_time, number, paint, read_secret, say, say_json, say_table, text,
};

/// Who is told of pushes to a repository.
#[derive(Debug, Subcommand)]
pub(crate) enum Receiver {
    /// Tell an address, or a product in its own way, of each push.
    Create {
        /// The repository.
        repository: String,
        /// Where it is reached; `user:password@` in it becomes Basic credentials.
        #[arg(required_unless_present = "broker", conflicts_with = "broker")]
        url: Option<String>,
        /// Call a product in its own way: jenkins, slack, email and so on (`madake receiver types`).
        #[arg(long, value_name = "TYPE")]
        broker: Option<String>,
        #[command(flatten)]
        settings: SettingArguments,
        /// The format: stash2, stash3, bbs5, cloud-post, bitbucket-dc, bitbucket-cloud, post-webhooks, github, native.
        #[arg(long, default_value = "stash2")]
        profile: String,
        /// What people call it.
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Read a secret that signs the bodies from standard input.
        #[arg(long, conflicts_with = "broker")]
        secret_stdin: bool,
        /// What it is told: push, build:started, build:finished; builds in the format native alone.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "push",
            conflicts_with = "broker"
        )]
        events: Vec<String>,
        /// One delivery for each ref instead of one for the push.
        #[arg(long, conflicts_with = "broker")]
        per_ref: bool,
        /// Keep the order of the pushes.
        #[arg(long)]
        ordered: bool,
    },
    /// List the types of brokers, or the settings of one.
    Types {
        /// The type.
        kind: Option<String>,
    },
    /// Show what a broker would send, without sending it.
    Preview {
        /// Its number in the list.
        #[arg(required_unless_present = "broker", conflicts_with = "broker")]
        id: Option<i64>,
        /// The type of one that is not made yet.
        #[arg(long, value_name = "TYPE")]
        broker: Option<String>,
        #[command(flatten)]
        settings: SettingArguments,
        /// For a made-up push or build.
        #[arg(long, default_value = "push", value_parser = ["push", "build"])]
        event: String,
    },
    /// Change settings of a broker; what is not named stays.
    Set {
        /// Its number in the list.
        id: i64,
        #[command(flatten)]
        settings: SettingArguments,
        /// A setting to take out.
        #[arg(long, value_name = "NAME")]
        unset: Vec<String>,
        /// Whether the order of the events is kept.
        #[arg(long)]
        ordered: Option<bool>,
        /// Whether the certificate of the other side is checked.
        #[arg(long)]
        verify_tls: Option<bool>,
    },
    /// List those of a repository.
    List {
        /// The repository.
        repository: String,
    },
    /// Remove one; what was not delivered yet is cancelled.
    Remove {
        /// Its number in the list.
        id: i64,
    },
    /// Switch one on again after it was switched off.
    Enable {
        /// Its number in the list.
        id: i64,
    },
    /// Switch one off; what waits is kept for a while.
    Disable {
        /// Its number in the list.
        id: i64,
    },
    /// Send it something, and wait for what it answers.
    Test {
        /// Its number in the list.
        id: i64,
    },
    /// What it was told lately.
    Deliveries {
        /// Its number in the list.
        id: i64,
        /// How many.
        #[arg(long, default_value_t = 25)]
        limit: u32,
    },
    /// Send everything again that failed in the last hours.
    Redeliver {
        /// Its number in the list.
        id: i64,
        /// How many hours back.
        #[arg(long, default_value_t = 24)]
        hours: u32,
    },
}

/// One delivery.
#[derive(Debug, Subcommand)]
pub(crate) enum Delivery {
    /// What was sent, and how each attempt went.
    Show {
        /// Its number in the list.
        id: i64,
    },
    /// Send it again, at once, with the same id and body.
    Redeliver {
        /// Its number in the list.
        id: i64,
    },
}

pub(super) fn run(global: &Global, receiver: Receiver) -> anyhow::Result<()> {
    match receiver {
        Receiver::Create {
            repository,
            url,
            broker,
            settings,
            profile,
            name,
            secret_stdin,
            events,
            per_ref,
            ordered,
        } => {
            if let Some(kind) = broker {
                let new = NewBroker {
                    repository,
                    kind,
                    name,
                    ordered,
                    settings,
                };
                return broker::create(global, new);
            }
            anyhow::ensure!(
                settings.is_empty(),
                "--setting is for brokers; name the type with --broker"
            );
            let mut body = json!({
                "repository": repository, "url": url, "profile": profile, "name": name,
                "settings": { "deliveryPerRef": per_ref, "ordered": ordered, "events": events },
            });
            if secret_stdin {
                body["secret"] = json!(read_secret("secret")?);
            }
            let answer = Connection::open(global)?.post(at(&["receivers"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!(
                "receiver {} of {}: {} to {}",
                paint(BOLD, text(&answer, "id")),
                text(&answer, "repository"),
                text(&answer, "profile"),
                text(&answer, "url")
            ))?;
            if answer.get("newSecret").is_some() {
                say(format_args!(
                    "  signed with {}",
                    paint(BOLD, text(&answer, "newSecret"))
                ))?;
                say(paint(
                    DIM,
                    "  give the secret to the receiver; it is not shown again",
                ))?;
            }
            Ok(())
        }
        Receiver::Types { kind } => broker::types(global, kind.as_deref()),
        Receiver::Preview {
            id,
            broker,
            settings,
            event,
        } => broker::preview(global, id, broker.as_deref(), settings, &event),
        Receiver::Set {
            id,
            settings,
            unset,
            ordered,
            verify_tls,
        } => broker::set(global, id, settings, &unset, ordered, verify_tls),
        Receiver::List { repository } => {
            let target = at(&["receivers"]).with("repository", &repository);
            let answer = Connection::look(global)?.get(target)?;
            if global.json {
                return say_json(&answer);
            }
            let rows: Vec<Vec<String>> = list(&answer, "receivers")
                .iter()
                .map(|one| {
                    let state = if flag(one, "active") {
                        text(one, "health")
                    } else {
                        "inactive".into()
                    };
                    vec![
                        text(one, "id"),
                        text(one, "profile"),
                        state,
                        text(one, "url"),
                        text(one, "name"),
                    ]
                })
                .collect();
            if rows.is_empty() {
                return say(format_args!("{repository} has no receivers"));
            }
            say_table(&["id", "format", "state", "address", "name"], &rows)
        }
        Receiver::Remove { id } => {
            let answer = Connection::open(global)?.delete(at(&["receivers", &id.to_string()]))?;
            said(global, &answer, &format!("receiver {id} is removed"))
        }
        Receiver::Enable { id } => {
            let answer =
                Connection::open(global)?.post(at(&["receivers", &id.to_string(), "enable"]), &json!({}))?;
            said(global, &answer, &format!("receiver {id} is told again"))
        }
        Receiver::Disable { id } => {
            let answer =
                Connection::open(global)?.post(at(&["receivers", &id.to_string(), "disable"]), &json!({}))?;
            said(global, &answer, &format!("receiver {id} is not told any more"))
        }
        Receiver::Test { id } => test(global, id),
        Receiver::Deliveries { id, limit } => {
            let target = at(&["receivers", &id.to_string(), "deliveries"]).with("limit", &limit.to_string());
            let answer = Connection::look(global)?.get(target)?;
            if global.json {
                return say_json(&answer);
            }
            let rows: Vec<Vec<String>> = list(&answer, "deliveries").iter().map(row).collect();
            if rows.is_empty() {
                return say(format_args!("receiver {id} was told nothing yet"));
            }
            say_table(&["id", "when", "what", "state", "tries", "last answer"], &rows)
        }
        Receiver::Redeliver { id, hours } => {
            let since = madake_engine::clock::now_ms() - i64::from(hours) * 3_600_000;
            let answer = Connection::open(global)?.post(
                at(&["receivers", &id.to_string(), "redeliver"]),
                &json!({ "sinceMs": since }),
            )?;
            said(
                global,
                &answer,
                &format!("{} deliveries are sent again", text(&answer, "redelivered")),
            )
        }
    }
}

pub(super) fn run_delivery(global: &Global, delivery: &Delivery) -> anyhow::Result<()> {
    match delivery {
        Delivery::Show { id } => {
            let answer = Connection::look(global)?.get(at(&["deliveries", &id.to_string()]))?;
            if global.json {
                return say_json(&answer);
            }
            show(&answer)
        }
        Delivery::Redeliver { id } => {
            let answer = Connection::open(global)?
                .post(at(&["deliveries", &id.to_string(), "redeliver"]), &json!({}))?;
            said(global, &answer, &format!("delivery {id} is sent again"))
        }
    }
}

fn said(global: &Global, answer: &Value, sentence: &str) -> anyhow::Result<()> {
    if global.json {
        say_json(answer)
    } else {
        say(sentence)
    }
}

/// Sends a test and looks until the first attempt has been made.
fn test(global: &Global, id: i64) -> anyhow::Result<()> {
    let connection = Connection::running(global, "a test needs a server that sends it")?;
    let answer = connection.post(at(&["receivers", &id.to_string(), "test"]), &json!({}))?;
    let delivery = text(&answer, "delivery");
    for _ in 0..300 {
        let shown = connection.get(at(&["deliveries", &delivery]))?;
        if !list(&shown, "log").is_empty() {
            return if global.json {
                say_json(&shown)
            } else {
                show(&shown)
            };
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    anyhow::bail!("the test was not sent within 30 s: see `madake delivery show {delivery}`")
}

fn row(one: &Value) -> Vec<String> {
    vec![
        text(one, "id"),
        local_time(number(one, "createdMs").unwrap_or(0)),
        text(one, "summary"),
        shown_state(one),
        text(one, "attempts"),
        text(one, "lastAnswer"),
    ]
}

fn shown_state(one: &Value) -> String {
    if text(one, "state") == "ended" {
        text(one, "ending")
    } else {
        text(one, "state")
    }
}

fn show(one: &Value) -> anyhow::Result<()> {
    say(format_args!(
        "delivery {} ({}): {}",
        text(one, "id"),
        text(one, "uid"),
        shown_state(one)
    ))?;
    say(format_args!("  {}", text(one, "summary")))?;
    for attempt in list(one, "log") {
        say(format_args!(
            "  try {} at {}: {} {}",
            text(attempt, "number"),
            local_time(number(attempt, "beganMs").unwrap_or(0)),
            text(attempt, "answer"),
            paint(
                DIM,
                format!("({})", duration(number(attempt, "durationMs").unwrap_or(0)))
            ),
        ))?;
        let body = text(attempt, "responseBody");
        if let Some(line) = body.lines().next() {
            say(paint(
                DIM,
                format!("    {}", madake_domain::text::inert(line, 200)),
            ))?;
        }
    }
    if let Some(due) = number(one, "dueMs") {
        say(format_args!("  next try at {}", local_time(due)))?;
    }
    Ok(())
}
