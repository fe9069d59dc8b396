//! `madake deployment`: what is where, releases, deployments and why.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use madake_engine::clock;
use serde_json::{Map, Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{
    BAD, BOLD, BUSY, DIM, GOOD, WARN, ago, duration, flag, list, local_time, log_text, number, paint, say,
    say_json, say_table, text,
};

/// How often a deployment that runs is looked at.
const REST: Duration = Duration::from_millis(150);

/// Release results, deploy releases to environments, and see what is where.
#[derive(Debug, Subcommand)]
pub(crate) enum Deployment {
    /// List deployment projects, or one project's environments and releases.
    List {
        /// The project's name.
        project: Option<String>,
    },
    /// Make a release of a result.
    Release {
        /// The project's name.
        project: String,
        /// The result: PROJ-PLAN-7.
        build: String,
        /// The release's name, in place of the next one by the project's naming.
        #[arg(long)]
        name: Option<String>,
        /// The template of the name after this one.
        #[arg(long)]
        next_name: Option<String>,
    },
    /// Say that a release may go on, or that it is broken.
    Judge {
        /// The project's name.
        project: String,
        /// The release's name.
        release: String,
        /// What is said.
        status: Status,
    },
    /// Deploy a release to an environment; an older release than the one that is there is a roll back.
    Start {
        /// The project's name.
        project: String,
        /// The release's name.
        release: String,
        /// The environment's name.
        environment: String,
        /// A variable for this deployment; may be given several times. Others on this machine can see it while the command runs.
        #[arg(long = "variable", value_name = "NAME=VALUE")]
        variables: Vec<String>,
        /// Follow it to its end; the exit code is its verdict.
        #[arg(long)]
        watch: bool,
    },
    /// Stop a deployment.
    Stop {
        /// The deployment's number.
        deployment: i64,
    },
    /// Print a deployment's log.
    Log {
        /// The deployment's number.
        deployment: i64,
        /// Go on printing until it ends.
        #[arg(long, short)]
        follow: bool,
    },
    /// Say what was and was not deployed, and why; newest first.
    Why {
        /// The project's name.
        project: String,
        /// How many lines to show.
        #[arg(long, default_value_t = 30)]
        limit: u16,
    },
}

/// What is said of a release.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Status {
    /// It may go on.
    Approved,
    /// It may not.
    Broken,
    /// Somebody is not done with it.
    Incomplete,
    /// Nothing any more.
    Unknown,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Broken => "broken",
            Self::Incomplete => "incomplete",
            Self::Unknown => "unknown",
        }
    }
}

pub(super) fn run(global: &Global, deployment: Deployment) -> anyhow::Result<ExitCode> {
    match deployment {
        Deployment::List { project } => show(global, project.as_deref())?,
        Deployment::Release {
            project,
            build,
            name,
            next_name,
        } => {
            let connection = Connection::look(global)?;
            let body = json!({ "project": project, "build": build, "name": name, "nextName": next_name });
            let answer = connection.post(at(&["deployments", "releases"]), &body)?;
            tell(global, &answer, |answer| {
                format!(
                    "made the release {} of {}",
                    text(answer, "name"),
                    text(answer, "build")
                )
            })?;
        }
        Deployment::Judge {
            project,
            release,
            status,
        } => {
            let connection = Connection::look(global)?;
            let body = json!({ "project": project, "release": release, "status": status.word() });
            let answer = connection.post(at(&["deployments", "releases", "status"]), &body)?;
            tell(global, &answer, |answer| {
                format!(
                    "{}: {}",
                    text(answer, "name"),
                    text(answer, "status").to_lowercase()
                )
            })?;
        }
        Deployment::Start {
            project,
            release,
            environment,
            variables,
            watch,
        } => return start(global, &[&project, &release, &environment], &variables, watch),
        Deployment::Stop { deployment } => {
            let connection = Connection::look(global)?;
            let number = deployment.to_string();
            connection.post(at(&["deployments", "results", &number, "stop"]), &json!({}))?;
            let answer = connection.get(at(&["deployments", "results", &number]))?;
            tell(global, &answer, |answer| {
                let how = if flag(answer, "finished") {
                    "has ended"
                } else {
                    "is told to stop"
                };
                format!("the deployment {number} {how}")
            })?;
        }
        Deployment::Log { deployment, follow } => {
            let connection = if follow {
                Connection::running(global, "following a log")?
            } else {
                Connection::look(global)?
            };
            print_log(global, &connection, &deployment.to_string(), follow)?;
        }
        Deployment::Why { project, limit } => why(global, &project, limit)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(global: &Global, answer: &Value, sentence: impl Fn(&Value) -> String) -> anyhow::Result<()> {
    if global.json {
        say_json(answer)
    } else {
        say(sentence(answer))
    }
}

fn show(global: &Global, project: Option<&str>) -> anyhow::Result<()> {
    let connection = Connection::look(global)?;
    let Some(project) = project else {
        let answer = connection.get(at(&["deployments"]))?;
        if global.json {
            return say_json(&answer);
        }
        let all = list(&answer, "deployments");
        if all.is_empty() {
            return say("there are no deployment projects; a deployment document in a plan file makes one");
        }
        let rows: Vec<Vec<String>> = all
            .iter()
            .map(|one| {
                let environments = list(one, "environments").iter();
                let there: Vec<String> = environments
                    .map(|each| format!("{} {}", text(each, "name"), release_there(each)))
                    .collect();
                vec![text(one, "name"), text(one, "plan"), there.join(", ")]
            })
            .collect();
        return say_table(&["project", "plan", "what is where"], &rows);
    };
    let answer = connection.get(at(&["deployments", "project"]).with("name", project))?;
    if global.json {
        return say_json(&answer);
    }
    let plan = text(&answer, "plan");
    say(format_args!(
        "{}  {}",
        paint(BOLD, text(&answer, "name")),
        paint(DIM, format_args!("releases results of {plan}"))
    ))?;
    for one in list(&answer, "environments") {
        say(format_args!("  {:<20} {}", text(one, "name"), release_there(one)))?;
        for line in beside(one) {
            say(format_args!("  {:<20} {}", "", verdict(line)))?;
        }
    }
    let releases = list(&answer, "releases");
    if releases.is_empty() {
        return say(paint(DIM, "  no releases yet"));
    }
    say("")?;
    for one in releases {
        let status = match text(one, "status").as_str() {
            "UNKNOWN" => String::new(),
            other => other.to_lowercase(),
        };
        let made = ago(number(one, "createdMs").unwrap_or(0), clock::now_ms());
        say(format_args!(
            "  {:<20} {:<16} {:<10} {}",
            text(one, "name"),
            text(one, "build"),
            status,
            paint(DIM, made)
        ))?;
    }
    Ok(())
}

fn release_there(environment: &Value) -> String {
    match text(&environment["deployed"], "release") {
        name if name.is_empty() => "nothing".to_owned(),
        name => name,
    }
}

/// The deployments that are told beside what is there: those that run or wait, and the newest one if it ended otherwise.
fn beside(environment: &Value) -> Vec<&Value> {
    let mut told: Vec<&Value> = list(environment, "active").iter().collect();
    let newest = &environment["newest"];
    let is_told = |id: &Value| told.iter().any(|one| one["id"] == *id);
    if !newest.is_null() && newest["id"] != environment["deployed"]["id"] && !is_told(&newest["id"]) {
        told.push(newest);
    }
    told
}

/// How a deployment stands, in one line.
fn verdict(result: &Value) -> String {
    let release = text(result, "release");
    let number = text(result, "id");
    let message = text(result, "message");
    let (style, word) = match (
        text(result, "lifeCycleState").as_str(),
        text(result, "state").as_str(),
    ) {
        ("QUEUED", _) => (BUSY, "waits".to_owned()),
        ("IN_PROGRESS", _) => (BUSY, "is on its way".to_owned()),
        (_, "SUCCESS") => (GOOD, "was successful".to_owned()),
        (_, "FAILED") => (BAD, format!("failed: {message}")),
        _ => (WARN, message),
    };
    format!(
        "{release} {} {}",
        paint(style, word),
        paint(DIM, format_args!("(deployment {number})"))
    )
}

fn start(global: &Global, names: &[&str; 3], pairs: &[String], watch: bool) -> anyhow::Result<ExitCode> {
    let mut variables = Map::new();
    for pair in pairs {
        let (name, value) = pair
            .split_once('=')
            .with_context(|| format!("`{pair}` is not NAME=VALUE"))?;
        variables.insert(name.to_owned(), json!(value));
    }
    let connection = if watch {
        Connection::running(global, "following a deployment")?
    } else {
        Connection::look(global)?
    };
    let [project, release, environment] = names;
    let body = json!({
        "project": project,
        "release": release,
        "environment": environment,
        "variables": variables,
    });
    let answer = connection.post(at(&["deployments", "start"]), &body)?;
    let id = text(&answer, "id");
    if !watch {
        tell(global, &answer, |answer| {
            let what = if flag(answer, "rollback") {
                "rolls back to"
            } else {
                "goes to the queue:"
            };
            format!("{environment} {what} {release}, deployment {id}")
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    if !global.json {
        print_log(global, &connection, &id, true)?;
    }
    let ended = loop {
        let result = connection.get(at(&["deployments", "results", &id]))?;
        if flag(&result, "finished") {
            break result;
        }
        std::thread::sleep(REST);
    };
    if global.json {
        say_json(&ended)?;
    } else {
        let took = match (number(&ended, "startedMs"), number(&ended, "finishedMs")) {
            (Some(from), Some(to)) => format!(" in {}", duration(to - from)),
            _ => String::new(),
        };
        say(format_args!("{}{took}", verdict(&ended)))?;
    }
    Ok(if flag(&ended, "successful") {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print_log(global: &Global, connection: &Connection, id: &str, follow: bool) -> anyhow::Result<()> {
    let mut cursor = "0".to_owned();
    loop {
        let target = at(&["deployments", "results", id, "log"]).with("after", &cursor);
        let piece = connection.get(target)?;
        let next = text(&piece, "next");
        let grew = next != cursor;
        if grew && global.json {
            say_json(&piece)?;
        } else if grew {
            for line in list(&piece, "lines") {
                let message = log_text(line["message"].as_str().unwrap_or_default(), 100_000);
                let time = paint(DIM, format_args!("{}  ", text(line, "time")));
                say(format_args!("{time}{message}"))?;
            }
        }
        if !grew && (!follow || flag(&piece, "finished")) {
            return Ok(());
        }
        cursor = next;
        if !grew {
            std::thread::sleep(REST);
        }
    }
}

fn why(global: &Global, project: &str, limit: u16) -> anyhow::Result<()> {
    let connection = Connection::look(global)?;
    let target = at(&["deployments", "why"])
        .with("name", project)
        .with("limit", &limit.to_string());
    let answer = connection.get(target)?;
    if global.json {
        return say_json(&answer);
    }
    let notes = list(&answer, "notes");
    if notes.is_empty() {
        return say(format_args!("nothing has happened in {project} yet"));
    }
    for note in notes {
        let style = match text(note, "level").as_str() {
            "error" => BAD,
            "warning" => WARN,
            _ => DIM,
        };
        let when = local_time(number(note, "atMs").unwrap_or(0));
        say(format_args!("{}  {}", paint(style, when), text(note, "text")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_told_beside_what_waits() {
        let one = |id: i64| json!({ "id": id });
        for (active, newest, deployed, expected) in [
            (json!([]), Value::Null, Value::Null, &[] as &[i64]),
            (json!([]), one(3), one(3), &[]),
            (json!([]), one(3), one(2), &[3]),
            (json!([one(2), one(3)]), one(3), one(1), &[2, 3]),
            (json!([one(2)]), one(4), one(1), &[2, 4]),
        ] {
            let environment = json!({ "active": active, "newest": newest, "deployed": deployed });
            let told: Vec<i64> = beside(&environment)
                .into_iter()
                .filter_map(|line| line["id"].as_i64())
                .collect();
            assert_eq!(told, expected, "{environment}");
        }
    }
}
