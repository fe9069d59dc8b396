//! `madake why`: what arrived, which rules were looked at, what was decided, and what came of it.

use clap::Args;
use madake_domain::text::inert;
use madake_engine::clock;
use serde_json::Value;

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{
    BAD, BOLD, BUSY, DIM, GOOD, WARN, ago, flag, list, local_time, number, paint, say, say_json,
    short_revision, text,
};
use crate::watch::ran_for;

/// Refs that are shown of a push; the rest is counted.
const REFS_SHOWN: usize = 10;
/// Characters of a line that was added to an entry: it may name everybody who was told.
const LONGEST_NOTE: usize = 20_000;

/// Say why something was built, or was not.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The number of an event, or the key of a plan, a plan branch or a build.
    #[arg(value_name = "EVENT|KEY")]
    what: String,
    /// With a key: only decisions about this revision (its first digits will do).
    revision: Option<String>,
    /// With a key: how many decisions to show, newest first.
    #[arg(long, default_value_t = 3)]
    limit: u16,
}

pub(super) fn run(global: &Global, why: &Why) -> anyhow::Result<()> {
    let connection = Connection::look(global)?;
    let event = match is_result_key(&why.what) {
        true => number(&connection.get(at(&["builds", &why.what]))?, "event").map(|event| event.to_string()),
        false => why
            .what
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| why.what.clone()),
    };
    if let Some(event) = event {
        let event = connection.get(at(&["events", &event]))?;
        return if global.json {
            say_json(&event)
        } else {
            say_event(&event)
        };
    }
    let mut target = at(&["plans", &why.what, "why"]).with("limit", &why.limit.to_string());
    if let Some(revision) = &why.revision {
        target = target.with("revision", revision);
    }
    let answer = connection.get(target)?;
    if global.json {
        return say_json(&answer);
    }
    for claim in list(&answer, "conflicts") {
        say(format_args!(
            "{}: the plan file of {} at {} describes {}, too, and changes nothing until an administrator decides (`madake \
             plan owner {} REPOSITORY`)",
            paint(WARN, "conflict"),
            text(claim, "repository"),
            short_revision(&text(claim, "revision")),
            text(&answer, "plan"),
            text(&answer, "plan"),
        ))?;
    }
    let decisions = list(&answer, "decisions");
    if decisions.is_empty() {
        return match &why.revision {
            Some(revision) => say(format_args!(
                "nothing was decided about {revision} for {}: no arrival brought it (`madake events` lists them all)",
                why.what
            )),
            None => say(format_args!("nothing was decided about {} yet", why.what)),
        };
    }
    for (index, decision) in decisions.iter().enumerate() {
        if index > 0 {
            say("")?;
        }
        if let Some(event) = decision.get("event") {
            say_arrival(event)?;
        }
        say("")?;
        say_decision(decision, true)?;
        say_build_of(decision, list(&answer, "builds"))?;
        if let Some(event) = decision.get("event") {
            say_notes(event)?;
        }
    }
    Ok(())
}

/// Whether a key is that of a build, `PROJ-PLAN-7`, and not of a plan.
fn is_result_key(key: &str) -> bool {
    let last = key.rsplit('-').next().unwrap_or_default();
    key.matches('-').count() == 2 && !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// An event with everything that belongs to it.
fn say_event(event: &Value) -> anyhow::Result<()> {
    say_arrival(event)?;
    let builds = list(event, "builds");
    for decision in list(event, "decisions") {
        say("")?;
        say_decision(decision, true)?;
        say_build_of(decision, builds)?;
    }
    if list(event, "decisions").is_empty() {
        let state = text(event, "state");
        say("")?;
        say(match state.as_str() {
            "received" => "  not decided yet",
            "refused" => "  refused before anything was decided",
            "duplicate" => "  a repeat; decided with the first",
            _ => "  concerns no plan",
        })?;
    }
    say_deliveries(event)?;
    say_notes(event)
}

/// When, from whom, what.
fn say_arrival(event: &Value) -> anyhow::Result<()> {
    let id = text(event, "id");
    say(format_args!(
        "{}  {}",
        paint(BOLD, format_args!("event {id}")),
        text(event, "summary")
    ))?;
    let received = number(event, "receivedMs").unwrap_or(0);
    let address = match text(event, "address") {
        address if address.is_empty() => String::new(),
        address if address == "local" => " on this machine".to_owned(),
        address => format!(" at {address}"),
    };
    fact(
        "arrived",
        format_args!(
            "{} ({}) from {}{address}",
            local_time(received),
            ago(received, clock::now_ms()),
            text(event, "principal"),
        ),
    )?;
    if let Some(content) = event.get("content") {
        let refs = list(content, "refs");
        for moved in refs.iter().take(REFS_SHOWN) {
            let side = |name| match text(moved, name) {
                id if id.is_empty() => "nothing".to_owned(),
                id => short_revision(&id),
            };
            fact(
                "moved",
                format_args!("{}  {} → {}", text(moved, "ref"), side("old"), side("new")),
            )?;
        }
        if refs.len() > REFS_SHOWN {
            fact("", format_args!("and {} more", refs.len() - REFS_SHOWN))?;
        }
    }
    let state = text(event, "state");
    let reason = text(event, "reason");
    let status = text(event, "status");
    if state == "refused" {
        let status = if status.is_empty() {
            String::new()
        } else {
            format!(" with {status}")
        };
        fact("refused", paint(BAD, format_args!("{reason}{status}")))?;
    } else if !reason.is_empty() {
        fact("note", reason)?;
    }
    if let Some(more @ 1..) = number(event, "repeats") {
        fact("repeated", format_args!("{more} more times"))?;
    }
    if let Some(first) = number(event, "duplicateOf") {
        fact("repeats", format_args!("event {first}"))?;
    }
    Ok(())
}

/// A verdict; with its rules if `rules`.
pub(super) fn say_decision(decision: &Value, rules: bool) -> anyhow::Result<()> {
    let revision = text(decision, "revision");
    let branch = text(decision, "ref");
    let about = match (branch.is_empty(), revision.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!("  {branch}"),
        (true, false) => format!("  {}", short_revision(&revision)),
        (false, false) => format!("  {branch} at {}", short_revision(&revision)),
    };
    let (mark, verdict) = if flag(decision, "build") {
        (paint(GOOD, "✓"), paint(GOOD, "build"))
    } else {
        (paint(DIM, "–"), paint(WARN, "no build"))
    };
    say(format_args!(
        "  {mark} {}  {verdict}{}",
        paint(BOLD, text(decision, "plan")),
        paint(DIM, about)
    ))?;
    if rules {
        let rules = list(decision, "rules");
        let width = rules
            .iter()
            .map(|rule| text(rule, "name").chars().count())
            .max()
            .unwrap_or(0);
        for rule in rules {
            let mark = match text(rule, "outcome").as_str() {
                "passed" => paint(GOOD, "✓"),
                "stopped" => paint(BAD, "✗"),
                _ => paint(DIM, "·"),
            };
            say(format_args!(
                "      {mark} {:<width$}  {}",
                text(rule, "name"),
                paint(DIM, text(rule, "input"))
            ))?;
        }
    }
    say(format_args!("    {}", text(decision, "sentence")))?;
    let outcome = text(decision, "outcome");
    if !outcome.is_empty() {
        say(format_args!("    {} {outcome}", paint(BUSY, "→")))?;
    }
    Ok(())
}

fn say_build_of(decision: &Value, builds: &[Value]) -> anyhow::Result<()> {
    let key = text(decision, "buildKey");
    let Some(build) = builds.iter().find(|build| text(build, "key") == key) else {
        return Ok(());
    };
    let state = match (
        text(build, "lifeCycleState").as_str(),
        text(build, "state").as_str(),
    ) {
        (_, "Successful") if flag(build, "continuable") => {
            paint(GOOD, "successful so far, waits at a manual stage")
        }
        (_, "Successful") => paint(GOOD, "successful"),
        (_, "Failed") => paint(BAD, "failed"),
        ("NotBuilt", _) if number(build, "startedMs").is_some() => paint(WARN, "stopped"),
        ("NotBuilt", _) => paint(WARN, "not built"),
        ("Pending" | "Queued", _) => paint(BUSY, "waiting for an agent"),
        _ => paint(BUSY, "in progress"),
    };
    let took = ran_for(build);
    say(format_args!("      {} {state}{took}", text(build, "key")))
}

/// Who was told, and what they answered.
fn say_deliveries(event: &Value) -> anyhow::Result<()> {
    let deliveries = list(event, "deliveries");
    if deliveries.is_empty() {
        return Ok(());
    }
    say("")?;
    for one in deliveries {
        let name = text(one, "receiverName");
        let who = if name.is_empty() { text(one, "url") } else { name };
        let state = match (text(one, "state").as_str(), text(one, "ending").as_str()) {
            ("ended", "delivered") => paint(GOOD, "delivered"),
            ("ended", ending) => paint(BAD, ending),
            (state, _) => paint(BUSY, state),
        };
        let tries = match number(one, "attempts").unwrap_or(0) {
            0 => String::new(),
            1 => ", 1 try".to_owned(),
            tries => format!(", {tries} tries"),
        };
        let answer = text(one, "lastAnswer");
        let answer = if answer.is_empty() {
            answer
        } else {
            format!(": {answer}")
        };
        say(format_args!(
            "  {} receiver {} ({} to {who}), {}: {state}{}",
            paint(DIM, "→"),
            text(one, "receiver"),
            text(one, "profile"),
            text(one, "kind"),
            paint(
                DIM,
                format_args!("{tries}{answer}; madake delivery show {}", text(one, "id"))
            )
        ))?;
    }
    Ok(())
}

fn say_notes(event: &Value) -> anyhow::Result<()> {
    let notes = list(event, "notes");
    if notes.is_empty() {
        return Ok(());
    }
    say("")?;
    for note in notes {
        let mark = match text(note, "level").as_str() {
            "error" => paint(BAD, "✗"),
            "warning" => paint(WARN, "!"),
            _ => paint(DIM, "·"),
        };
        let told = note.get("text").and_then(Value::as_str).unwrap_or_default();
        say(format_args!("  {mark} {}", inert(told, LONGEST_NOTE)))?;
    }
    Ok(())
}

fn fact(name: &str, value: impl std::fmt::Display) -> anyhow::Result<()> {
    say(format_args!(
        "  {} {value}",
        paint(DIM, format_args!("{name:<8}"))
    ))
}
