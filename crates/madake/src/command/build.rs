//! `madake build`: queue, follow, continue and stop builds.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use madake_domain::key::EntityKey;
use serde_json::{Map, Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{DIM, WARN, flag, list, log_text, number, paint, say, say_json, short_revision, text};
use crate::watch::{follow, log_target, say_stages, say_verdict};

/// How often a log that grows is looked at.
const REST: Duration = Duration::from_millis(150);
/// How long pushes that wait to be decided are waited for; a host of a linked repository may be slow.
const DECIDED_WITHIN: Duration = Duration::from_secs(10);

/// Queue, follow, continue and stop builds.
#[derive(Debug, Subcommand)]
pub(crate) enum Build {
    /// Start a build of the newest revision.
    Queue {
        /// The plan or plan branch: PROJ-PLAN.
        key: String,
        /// A revision other than the newest.
        #[arg(long)]
        revision: Option<String>,
        #[command(flatten)]
        how: How,
        /// Follow it to its end; the exit code is its verdict.
        #[arg(long)]
        watch: bool,
    },
    /// Let a build go on at a manual stage, or run what failed once more.
    Continue {
        /// The build: PROJ-PLAN-7.
        build: String,
        #[command(flatten)]
        how: How,
        /// Follow it to its end; the exit code is its verdict.
        #[arg(long)]
        watch: bool,
    },
    /// Stop a build.
    Stop {
        /// The build: PROJ-PLAN-7; a plan's key means its newest.
        build: String,
    },
    /// Follow a build to its end; the exit code is its verdict.
    Watch {
        /// The build: PROJ-PLAN-7; a plan's key means its newest.
        build: String,
    },
    /// Print a build's log.
    Log {
        /// The build: PROJ-PLAN-7; a plan's key means its newest, and PROJ-PLAN-JOB1-7 is one job of it.
        build: String,
        /// Only this job.
        #[arg(long)]
        job: Option<String>,
        /// The attempt at the job, from 1; otherwise the last one.
        #[arg(long, conflicts_with = "follow")]
        attempt: Option<i64>,
        /// Go on printing until the build ends.
        #[arg(long, short)]
        follow: bool,
    },
    /// Show how a build stands.
    Status {
        /// The build: PROJ-PLAN-7; a plan's key means its newest.
        build: String,
    },
}

/// How far a build runs, and with what.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// Run up to this stage, though it is manual.
    #[arg(long)]
    stage: Option<String>,
    /// Run to the last stage, manual or not.
    #[arg(long)]
    all_stages: bool,
    /// A variable for this build; may be given several times. Others on this machine can see it while the command runs.
    #[arg(long = "variable", value_name = "NAME=VALUE")]
    variables: Vec<String>,
}

impl How {
    fn body(&self) -> anyhow::Result<Map<String, Value>> {
        let mut variables = Map::new();
        for pair in &self.variables {
            let (name, value) = pair
                .split_once('=')
                .with_context(|| format!("`{pair}` is not NAME=VALUE"))?;
            variables.insert(name.to_owned(), json!(value));
        }
        let mut body = Map::new();
        body.insert("stage".into(), json!(self.stage));
        body.insert("executeAllStages".into(), json!(self.all_stages));
        body.insert("variables".into(), Value::Object(variables));
        Ok(body)
    }
}

pub(super) fn run(global: &Global, build: Build) -> anyhow::Result<ExitCode> {
    match build {
        Build::Queue {
            key,
            revision,
            how,
            watch,
        } => {
            let connection = if watch {
                Connection::running(global, "following a build")?
            } else {
                Connection::look(global)?
            };
            let mut body = how.body()?;
            body.insert("revision".into(), json!(revision));
            let answer = connection.post(at(&["plans", &key, "builds"]), &Value::Object(body))?;
            started(global, &connection, &answer, "queued", watch)
        }
        Build::Continue { build, how, watch } => {
            let connection = if watch {
                Connection::running(global, "following a build")?
            } else {
                Connection::look(global)?
            };
            let target = at(&["builds", &build, "continue"]);
            let answer = connection.post(target, &Value::Object(how.body()?))?;
            started(global, &connection, &answer, "goes on:", watch)
        }
        Build::Stop { build } => {
            let connection = Connection::look(global)?;
            // A plan's key means its newest, as it does for the other commands.
            let build = text(&connection.get(at(&["builds", &build_key(&build)]))?, "key");
            connection.post(at(&["builds", &build, "stop"]), &json!({}))?;
            let answer = connection.get(at(&["builds", &build]))?;
            if global.json {
                say_json(&answer)?;
            } else if flag(&answer, "finished") {
                say_verdict(&connection, &answer)?;
            } else {
                say(format_args!("{build} is told to stop"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Build::Watch { build } => {
            let connection = Connection::running(global, "following a build")?;
            let key = build_key(&build);
            if key != build {
                await_decisions(&connection)?;
            }
            watch(global, &connection, &key)
        }
        Build::Log {
            build,
            job,
            attempt,
            follow: following,
        } => {
            let (key, of_key) = build_and_job(&build);
            let job = job.or(of_key);
            if attempt.is_some() && job.is_none() {
                anyhow::bail!("--attempt is that at a job: say which with --job, or PROJ-PLAN-JOB1-7");
            }
            let connection = if following {
                Connection::running(global, "following a log")?
            } else {
                Connection::look(global)?
            };
            let build = connection.get(at(&["builds", &key]))?;
            match following {
                true => follow_log(global, &connection, &text(&build, "key"), job.as_deref())?,
                false => log(global, &connection, &build, job.as_deref(), attempt)?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Build::Status { build } => {
            let connection = Connection::look(global)?;
            let answer = connection.get(at(&["builds", &build_key(&build)]))?;
            if global.json {
                say_json(&answer)?;
            } else {
                status(&connection, &answer)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Waits a while until the pushes that have arrived are decided. Who follows the newest build of a plan has often just
/// pushed: its build, or with the first push the plan itself, is there a moment later.
fn await_decisions(connection: &Connection) -> anyhow::Result<()> {
    let waiting = || -> anyhow::Result<Vec<i64>> {
        let answer = connection.get(at(&["events"]).with("state", "received").with("limit", "1000"))?;
        let events = list(&answer, "events").iter();
        let pushes = events.filter(|event| event["content"]["type"] == "push");
        Ok(pushes.filter_map(|event| number(event, "id")).collect())
    };
    let mut left = waiting()?;
    let began = Instant::now();
    while !left.is_empty() && began.elapsed() < DECIDED_WITHIN {
        std::thread::sleep(REST);
        // What arrives from now on is not waited for.
        let still = waiting()?;
        left.retain(|id| still.contains(id));
    }
    Ok(())
}

/// A plan's key stands for its newest build.
fn build_key(text: &str) -> String {
    match text.parse() {
        Ok(EntityKey::Plan(key)) => format!("{key}-latest"),
        _ => text.to_owned(),
    }
}

/// A build's key, and the job that the key of a job's result names.
fn build_and_job(text: &str) -> (String, Option<String>) {
    let (job, number) = match text.parse() {
        Ok(EntityKey::JobResult(result)) => (result.job, result.number.to_string()),
        Ok(EntityKey::LatestJobResult(job)) => (job, "latest".to_owned()),
        _ => return (build_key(text), None),
    };
    (format!("{}-{number}", job.plan), Some(job.job))
}

fn started(
    global: &Global,
    connection: &Connection,
    answer: &Value,
    verb: &str,
    follow_it: bool,
) -> anyhow::Result<ExitCode> {
    let key = text(answer, "key");
    if follow_it {
        return watch(global, connection, &key);
    }
    if global.json {
        say_json(answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!("{verb} {key}"))?;
    if !connection.is_running() {
        say(paint(DIM, "  no server runs here, so it runs at the next start"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn watch(global: &Global, connection: &Connection, key: &str) -> anyhow::Result<ExitCode> {
    let build = connection.get(at(&["builds", key]))?;
    // From here on it is this one, whatever is newest.
    let key = text(&build, "key");
    let ended = if global.json {
        let ended = wait(connection, &key)?;
        say_json(&ended)?;
        ended
    } else {
        say_heading(&build)?;
        let Some(ended) = follow(connection, &key, &|| false)? else {
            return Ok(ExitCode::FAILURE);
        };
        say("")?;
        say_verdict(connection, &ended)?;
        ended
    };
    Ok(if flag(&ended, "successful") {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn wait(connection: &Connection, key: &str) -> anyhow::Result<Value> {
    loop {
        let build = connection.get(at(&["builds", key]))?;
        if flag(&build, "finished") {
            return Ok(build);
        }
        std::thread::sleep(REST);
    }
}

fn say_heading(build: &Value) -> anyhow::Result<()> {
    let mut about = Vec::new();
    let (branch, revision) = (text(build, "branch"), text(build, "revision"));
    if !branch.is_empty() {
        about.push(branch);
    }
    if !revision.is_empty() {
        about.push(short_revision(&revision));
    }
    about.push(text(build, "reason"));
    say(format_args!(
        "{}  {}",
        text(build, "key"),
        paint(DIM, about.join(" · "))
    ))
}

fn status(connection: &Connection, build: &Value) -> anyhow::Result<()> {
    say_heading(build)?;
    say_stages(build)?;
    say("")?;
    say_verdict(connection, build)?;
    let plan_file = text(build, "planFile");
    if !plan_file.is_empty() {
        say(format_args!("  {}: {plan_file}", paint(WARN, "plan file")))?;
    }
    let event = text(build, "event");
    if !event.is_empty() {
        say(paint(DIM, format_args!("  why: madake why {event}")))?;
    }
    Ok(())
}

fn log(
    global: &Global,
    connection: &Connection,
    build: &Value,
    job: Option<&str>,
    attempt: Option<i64>,
) -> anyhow::Result<()> {
    let key = text(build, "key");
    if flag(build, "logsRemoved") {
        anyhow::bail!("the logs of {key} had their time and were removed");
    }
    let all: Vec<&Value> = list(build, "stages")
        .iter()
        .flat_map(|stage| list(stage, "jobs"))
        .collect();
    // The keys of jobs tell them apart; a name is what people give.
    let wanted: Vec<String> = match job {
        Some(job) => vec![job.to_owned()],
        None => all.iter().map(|one| text(one, "key")).collect(),
    };
    for one in &wanted {
        let mut cursor = String::new();
        let mut headed = false;
        loop {
            let mut target = log_target(&key, Some(one), &cursor);
            if let Some(attempt) = attempt {
                target = target.with("attempt", &attempt.to_string());
            }
            let piece = connection.get(target)?;
            let next = text(&piece, "next");
            if global.json {
                say_json(&piece)?;
            } else {
                for part in list(&piece, "jobs") {
                    if !headed && wanted.len() > 1 && !list(part, "lines").is_empty() {
                        say(paint(DIM, format_args!("── {} ──", text(part, "name"))))?;
                        headed = true;
                    }
                    for line in list(part, "lines") {
                        say_line(line, None)?;
                    }
                }
            }
            if next == cursor {
                break;
            }
            cursor = next;
        }
    }
    Ok(())
}

fn follow_log(global: &Global, connection: &Connection, key: &str, job: Option<&str>) -> anyhow::Result<()> {
    let mut cursor = String::new();
    loop {
        let piece = connection.get(log_target(key, job, &cursor))?;
        let next = text(&piece, "next");
        let grew = next != cursor;
        if grew && global.json {
            say_json(&piece)?;
        } else if grew {
            for part in list(&piece, "jobs") {
                let name = text(part, "name");
                for line in list(part, "lines") {
                    say_line(line, job.is_none().then_some(name.as_str()))?;
                }
            }
        }
        if !grew && flag(&piece, "finished") {
            return Ok(());
        }
        cursor = next;
        if !grew {
            std::thread::sleep(REST);
        }
    }
}

fn say_line(line: &Value, job: Option<&str>) -> anyhow::Result<()> {
    let time = text(line, "time");
    let message = log_text(line["message"].as_str().unwrap_or_default(), 100_000);
    let job = job.map_or_else(String::new, |job| format!("{job:<16}  "));
    say(format_args!(
        "{}{message}",
        paint(DIM, format_args!("{time}  {job}"))
    ))
}
