//! `madake test`: tests of plans, and those of them that do not count for a while.

use anyhow::bail;
use clap::Subcommand;
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{
    BAD, DIM, GOOD, WARN, duration, list, local_time, number, paint, say, say_json, say_table, text,
};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// Look at tests of plans, and take some out of the reckoning for a while.
#[derive(Debug, Subcommand)]
pub(crate) enum Test {
    /// List the tests of a plan that are in quarantine.
    List {
        /// The plan: PROJ-PLAN.
        plan: String,
    },
    /// Show how a test ended in each build.
    History {
        /// The plan or plan branch: PROJ-PLAN.
        plan: String,
        /// The test: its number, or its name (`shop.CartTest.adds`, or the end of it: `CartTest.adds`).
        test: String,
    },
    /// Let the failures of a test fail no job. Programs that fail do as before.
    Quarantine {
        /// The plan: PROJ-PLAN.
        plan: String,
        /// The test: its number, or its name (`shop.CartTest.adds`, or the end of it: `CartTest.adds`).
        test: String,
        /// Release it by itself after so many days.
        #[arg(long)]
        days: Option<u16>,
    },
    /// Let a test count again.
    Release {
        /// The plan: PROJ-PLAN.
        plan: String,
        /// The test: its number, or its name.
        test: String,
    },
}

pub(super) fn run(global: &Global, asked: Test) -> anyhow::Result<()> {
    match asked {
        Test::List { plan } => {
            let answer = Connection::look(global)?.get(at(&["plans", &plan, "tests"]))?;
            if global.json {
                return say_json(&answer);
            }
            let rows: Vec<Vec<String>> = list(&answer, "tests").iter().map(case_row).collect();
            if rows.is_empty() {
                return say(format_args!("no test of {plan} is in quarantine"));
            }
            say_table(&["test", "job", "name", "by", "until"], &rows)
        }
        Test::History { plan, test } => {
            let connection = Connection::look(global)?;
            let test = number_of(&connection, &plan, &test)?;
            let answer = connection.get(at(&["plans", &plan, "tests", &test]))?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("{}, job {}", name_of(&answer), text(&answer, "job")))?;
            let rows: Vec<Vec<String>> = list(&answer, "runs").iter().map(run_row).collect();
            if rows.is_empty() {
                return say("it has not run here");
            }
            say_table(&["build", "result", "took", "message"], &rows)
        }
        Test::Quarantine { plan, test, days } => {
            let now_ms = madake_engine::clock::now_ms();
            let until_ms = days.map(|days| now_ms.saturating_add(i64::from(days).saturating_mul(DAY_MS)));
            let connection = Connection::look(global)?;
            let test = number_of(&connection, &plan, &test)?;
            let target = at(&["plans", &plan, "tests", &test, "quarantine"]);
            let answer = connection.post(target, &json!({ "untilMs": until_ms }))?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("{} is in quarantine", name_of(&answer)))
        }
        Test::Release { plan, test } => {
            let connection = Connection::look(global)?;
            let test = number_of(&connection, &plan, &test)?;
            let answer = connection.post(at(&["plans", &plan, "tests", &test, "release"]), &json!({}))?;
            if global.json {
                return say_json(&answer);
            }
            say("released")
        }
    }
}

/// The number of the test that is meant: by its number, or by its name where no other test is called so.
fn number_of(connection: &Connection, plan: &str, test: &str) -> anyhow::Result<String> {
    if test.parse::<i64>().is_ok() {
        return Ok(test.to_owned());
    }
    let answer = connection.get(at(&["plans", plan, "tests"]).with("name", test))?;
    match list(&answer, "tests") {
        [] => bail!(
            "no test of {plan} is called {test}; results show the names: /browse/{plan}, in full or by their end"
        ),
        [one] => Ok(text(one, "id")),
        several => {
            let named: Vec<String> = several
                .iter()
                .map(|one| format!("  {}  {} of {}", text(one, "id"), name_of(one), text(one, "job")))
                .collect();
            bail!(
                "{} tests of {plan} are called {test}; say which by its number:\n{}",
                several.len(),
                named.join("\n")
            )
        }
    }
}

fn name_of(test: &Value) -> String {
    match text(test, "class").as_str() {
        "" => text(test, "name"),
        class => format!("{class}.{}", text(test, "name")),
    }
}

fn case_row(test: &Value) -> Vec<String> {
    let quarantine = &test["quarantine"];
    vec![
        text(test, "id"),
        text(test, "job"),
        name_of(test),
        text(quarantine, "by"),
        number(quarantine, "untilMs").map_or_else(|| "it is released".to_owned(), local_time),
    ]
}

fn run_row(run: &Value) -> Vec<String> {
    let verdict = text(run, "verdict");
    let since = number(run, "failingSince").unwrap_or(0);
    let result = match verdict.as_str() {
        "successful" => paint(GOOD, "passed"),
        "fixed" => paint(GOOD, format_args!("fixed, failed since build {since}")),
        "new-failure" => paint(BAD, "failed, new"),
        "existing-failure" => paint(BAD, format_args!("failed since build {since}")),
        "quarantined" => paint(WARN, format_args!("{} in quarantine", text(run, "outcome"))),
        _ => paint(DIM, "skipped"),
    };
    vec![
        text(run, "build"),
        result,
        number(run, "durationMs").map_or_else(String::new, duration),
        text(run, "message").lines().next().unwrap_or_default().to_owned(),
    ]
}
