//! Scenarios: a plan file, pushed to a real server with a real agent, and what must come of it.
//!
//! Each folder of `tests/scenarios` holds `bamboo.yml`, `expect.json` and perhaps `files/`, which are pushed together to
//! the hosted repository `PROJ/app`. The steps of `expect.json` are done in their order; `tests/scenarios/README.md` lists them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use madake_testkit::{Server, ServerOptions, WorkTree, git, try_git, wait_for};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::scenario_outside::Outside;

/// How long a step may wait for what it expects.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a build's result is asked with.
const EXPANDED: &str = "expand=stages.stage.results.result,changes,metadata,artifacts.artifact,labels,comments,variables,\
                        testResults.allTests.testResult,testResults.failedTests.testResult,vcsRevisions";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What it shows, in a sentence.
    about: String,
    /// The text of `madake.toml`.
    #[serde(default)]
    configuration: String,
    /// Commands of madake before anything is pushed.
    #[serde(default)]
    commands: Vec<Vec<String>>,
    /// What is there besides the server: `smtp`, a mail server; `webhook`, a program that is called, whose address
    /// stands for `@HOOK@` in the plan file.
    #[serde(default)]
    needs: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Step {
    /// A result has ended, and its JSON contains this.
    Ended {
        ended: String,
        #[serde(default)]
        matches: Value,
    },
    /// The log of a job's result has these texts in this order, and lacks those.
    Log {
        log: String,
        #[serde(default)]
        has: Vec<String>,
        #[serde(default)]
        lacks: Vec<String>,
    },
    /// A request of the administrator.
    Request {
        /// `GET /rest/...`
        request: String,
        /// The body.
        json: Option<Value>,
        status: Option<u16>,
        #[serde(default)]
        matches: Value,
        #[serde(default)]
        has: Vec<String>,
        #[serde(default)]
        lacks: Vec<String>,
        /// Whether it is asked again until it is as expected.
        #[serde(default)]
        wait: bool,
    },
    /// Files by their path, committed and pushed.
    Push {
        push: serde_json::Map<String, Value>,
        /// The branch; without it `master`.
        branch: Option<String>,
    },
    /// A tag, pushed.
    Tag {
        tag: String,
        /// What it names; without it the newest commit here.
        of: Option<String>,
        /// The message of an annotated tag.
        message: Option<String>,
    },
    /// A mail to this address, among those that came, has these texts in this order and lacks those.
    Mail {
        mail: String,
        #[serde(default)]
        has: Vec<String>,
        #[serde(default)]
        lacks: Vec<String>,
    },
    /// All mails that came so far and that come, as often as each address is named, and no other.
    Mails { mails: Vec<String> },
    /// The program was called at this path with JSON that contains this.
    Called { called: String, matches: Value },
    /// A command of madake on this server's home.
    Madake {
        madake: Vec<String>,
        #[serde(default)]
        input: String,
        #[serde(default)]
        has: Vec<String>,
        #[serde(default)]
        lacks: Vec<String>,
    },
}

include!(concat!(env!("OUT_DIR"), "/scenario_tests.rs"));

/// Runs the scenario in the folder with this name.
pub(crate) async fn run(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    let text = fs::read_to_string(folder.join("expect.json")).expect("expect.json");
    let scenario: Scenario =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}/expect.json: {error}"));
    assert!(!scenario.steps.is_empty(), "{name} expects nothing");
    let outside = Outside::of(&scenario.needs);
    let server = Server::start_with(ServerOptions {
        configuration: format!("{}{}", scenario.configuration, outside.configuration()),
        ..ServerOptions::default()
    })
    .await;
    for command in &scenario.commands {
        server.madake(&command.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let work = server.hosted("PROJ/app");
    let mut files = vec![(
        PathBuf::from("bamboo-specs/bamboo.yml"),
        folder.join("bamboo.yml"),
    )];
    below(&folder.join("files"), Path::new(""), &mut files);
    for (target, source) in files {
        let target = work.path.join(target);
        fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        fs::copy(&source, &target).expect("a file is copied, with its mode");
    }
    outside.name_in(&work.path.join("bamboo-specs/bamboo.yml"));
    let _ = work.push("master", &[]);
    for (number, step) in scenario.steps.iter().enumerate() {
        if let Err(problem) = take(&server, &work, &outside, step).await {
            panic!(
                "{name}, step {}: {problem}\n({})\nlog of the server:\n{}",
                number + 1,
                scenario.about,
                server.log()
            );
        }
    }
}

/// The files in a folder, with where they go.
fn below(folder: &Path, target: &Path, files: &mut Vec<(PathBuf, PathBuf)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.expect("an entry");
        let target = target.join(entry.file_name());
        if entry.path().is_dir() {
            below(&entry.path(), &target, files);
        } else {
            files.push((target, entry.path()));
        }
    }
}

async fn take(server: &Server, work: &WorkTree, outside: &Outside, step: &Step) -> Result<(), String> {
    match step {
        Step::Ended { ended, matches } => ended_as(server, ended, matches).await,
        Step::Log { log, has, lacks } => {
            let job = log
                .rsplit_once('-')
                .ok_or("a log is named as PROJ-PLAN-JOB1-1")?
                .0;
            let (_, text) = ask(
                server,
                &format!("GET /download/{job}/build_logs/{log}.log"),
                None,
                Some(200),
            )
            .await?;
            holds(&text, has, lacks)
        }
        Step::Request {
            request,
            json,
            status,
            matches,
            has,
            lacks,
            wait,
        } => {
            let began = Instant::now();
            loop {
                let answer = ask(server, request, json.as_ref(), *status).await;
                let seen = answer.and_then(|(_, text)| {
                    holds(&text, has, lacks)?;
                    if matches.is_null() {
                        return Ok(());
                    }
                    let body = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
                    contains(&body, matches, "").map_err(|problem| format!("{problem}\nin {body:#}"))
                });
                match seen {
                    Err(_) if *wait && began.elapsed() < PATIENCE => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    seen => return seen.map_err(|problem| format!("{request}: {problem}")),
                }
            }
        }
        Step::Push { push, branch } => {
            let files: Vec<(&str, &str)> = push
                .iter()
                .map(|(path, text)| (path.as_str(), text.as_str().expect("a file's text")))
                .collect();
            let _ = work.push(branch.as_deref().unwrap_or("master"), &files);
            Ok(())
        }
        Step::Tag { tag, of, message } => {
            let of = of.as_deref().unwrap_or("HEAD");
            match message {
                Some(message) => git(&work.path, &["tag", "-f", "-m", message, "--", tag, of]),
                None => git(&work.path, &["tag", "-f", "--", tag, of]),
            };
            let _ = try_git(&work.path, &["push", "-f", "origin", &format!("refs/tags/{tag}")]);
            Ok(())
        }
        Step::Mail { mail, has, lacks } => outside.mail(mail, |letter| holds(letter, has, lacks)).await,
        Step::Mails { mails } => outside.mails(server, mails).await,
        Step::Called { called, matches } => outside.called(called, |body| contains(body, matches, "")).await,
        Step::Madake {
            madake,
            input,
            has,
            lacks,
        } => {
            let arguments: Vec<&str> = madake.iter().map(String::as_str).collect();
            holds(&server.madake_with_input(&arguments, input), has, lacks)
        }
    }
}

async fn ended_as(server: &Server, key: &str, matches: &Value) -> Result<(), String> {
    let path = format!("GET /rest/api/latest/result/{key}?{EXPANDED}");
    let result = wait_for(&format!("the end of {key}"), || async {
        let (_, text) = ask(server, &path, None, Some(200)).await.ok()?;
        let result: Value = serde_json::from_str(&text).ok()?;
        let is_open = matches!(
            result["lifeCycleState"].as_str(),
            Some("Pending" | "Queued" | "InProgress") | None
        );
        (!is_open).then_some(result)
    })
    .await;
    if matches.is_null() {
        return Ok(());
    }
    contains(&result, matches, "").map_err(|problem| format!("{key}: {problem}\nin {result:#}"))
}

async fn ask(
    server: &Server,
    request: &str,
    json: Option<&Value>,
    status: Option<u16>,
) -> Result<(u16, String), String> {
    let (method, path) = request.split_once(' ').ok_or("a request is `METHOD /path`")?;
    let method: Method = method.parse().map_err(|_| format!("`{method}` is no method"))?;
    let mut request = server.request(method, path).header("accept", "application/json");
    if let Some(json) = json {
        request = request
            .header("content-type", "application/json")
            .body(json.to_string());
    }
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let got = answer.status().as_u16();
    let text = answer.text().await.map_err(|error| error.to_string())?;
    match status {
        Some(status) if status != got => Err(format!("status {got}, not {status}: {text}")),
        None if got >= 400 => Err(format!("status {got}: {text}")),
        _ => Ok((got, text)),
    }
}

/// Whether a text has these parts in this order, and none of those.
fn holds(text: &str, has: &[String], lacks: &[String]) -> Result<(), String> {
    let mut rest = text;
    for part in has {
        let Some(at) = rest.find(part) else {
            let order = if text.contains(part) {
                " after the one before it"
            } else {
                ""
            };
            return Err(format!("`{part}` is missing{order} in:\n{text}"));
        };
        rest = &rest[at + part.len()..];
    }
    match lacks.iter().find(|part| text.contains(part.as_str())) {
        Some(part) => Err(format!("`{part}` must not be in:\n{text}")),
        None => Ok(()),
    }
}

/// Whether JSON contains other JSON: objects have at least these members, lists these items in this order.
fn contains(found: &Value, wanted: &Value, place: &str) -> Result<(), String> {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted.iter().try_for_each(|(name, wanted)| {
            let place = format!("{place}/{name}");
            match found.get(name) {
                Some(found) => contains(found, wanted, &place),
                None => Err(format!("{place} is missing")),
            }
        }),
        (Value::Array(found), Value::Array(wanted)) => {
            if wanted.is_empty() && !found.is_empty() {
                return Err(format!("{place} is not empty"));
            }
            let mut rest = found.iter();
            for one in wanted {
                if !rest.any(|found| contains(found, one, place).is_ok()) {
                    return Err(format!("{place} has no {one}, or not in this order"));
                }
            }
            Ok(())
        }
        _ if found == wanted => Ok(()),
        _ => Err(format!("{place} is {found}, not {wanted}")),
    }
}
