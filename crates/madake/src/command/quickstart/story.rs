//! What quickstart shows, from an empty home to a green build.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use madake_engine::clock;
use serde_json::{Value, json};

use super::sample::Sample;
use crate::connection::{Connection, at};
use crate::terminal::{
    BOLD, BUSY, DIM, GOOD, duration, flag, list, number, paint, say, short_revision, text,
};
use crate::watch::{follow, say_verdict, waiting_stage};

const PLAN: &str = "DEMO-HELLO";
const REPOSITORY: &str = "DEMO/hello";
/// How long the decision about the push may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Columns of the left side.
const WIDTH: usize = 13;

/// Where the story plays.
pub(super) struct Scene<'a> {
    pub(super) connection: &'a Connection,
    pub(super) home: &'a Path,
    pub(super) base_url: &'a str,
    pub(super) bound: SocketAddr,
    pub(super) once: bool,
    pub(super) cancelled: &'a dyn Fn() -> bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Successful,
    Unsuccessful,
    Cancelled,
}

/// Tells it.
pub(super) fn tell(scene: &Scene<'_>) -> anyhow::Result<Ending> {
    say("")?;
    say(format_args!(
        "  {}   {}",
        paint(BOLD, "Madake"),
        paint(DIM, "a push, and why it was built")
    ))?;
    say("")?;
    let password = random_text()?;
    make_administrator(scene, &password)?;
    let (token_id, token) = make_token(scene)?;
    let told = push_and_watch(scene, &token);
    // Its day is over, whatever came of the build.
    scene.connection.delete(at(&["tokens", &token_id]))?;
    let Some(build) = told? else {
        return Ok(Ending::Cancelled);
    };
    say("")?;
    say_verdict_indented(scene, &build)?;
    if !scene.once {
        say("")?;
        say_addresses(scene, &build)?;
        say("")?;
        say_next(scene, &build)?;
    }
    Ok(if flag(&build, "successful") {
        Ending::Successful
    } else {
        Ending::Unsuccessful
    })
}

fn make_administrator(scene: &Scene<'_>, password: &str) -> anyhow::Result<()> {
    let body =
        json!({ "name": "admin", "fullName": "Administrator", "password": password, "administrator": true });
    scene.connection.post(at(&["users"]), &body)?;
    if scene.once {
        return done("user", "admin");
    }
    done(
        "user",
        &format!(
            "admin, password {}  {}",
            paint(BOLD, password),
            paint(DIM, "shown this once")
        ),
    )
}

fn make_token(scene: &Scene<'_>) -> anyhow::Result<(String, String)> {
    let body = json!({
        "user": "admin", "name": "quickstart", "permissions": ["WRITE"], "project": "DEMO", "daysUntilExpiry": 1,
    });
    let made = scene.connection.post(at(&["tokens"]), &body)?;
    Ok((text(&made, "id"), text(&made, "token")))
}

/// The build as it ended; `None` when somebody wanted to stop.
fn push_and_watch(scene: &Scene<'_>, token: &str) -> anyhow::Result<Option<Value>> {
    scene
        .connection
        .post(at(&["repositories"]), &json!({ "name": REPOSITORY }))?;
    done("repository", REPOSITORY)?;
    let sample = Sample::make()?;
    done(
        "plan",
        &format!("{PLAN}, as bamboo-specs/bamboo.yml in the repository says"),
    )?;
    let url = format!("http://{}/scm/demo/hello.git", reachable(scene.bound));
    let began = Instant::now();
    sample.push(&url, token)?;
    let took = i64::try_from(began.elapsed().as_millis()).unwrap_or(0);
    done("git push", &format!("main, took {}", duration(took)))?;
    let key = wait_for_build(scene)?;
    let Some(key) = key else { return Ok(None) };
    let build = scene.connection.get(at(&["builds", &key]))?;
    say("")?;
    say(format_args!(
        "  {}  {}",
        paint(BOLD, &key),
        paint(
            DIM,
            format_args!(
                "main at {} · {}",
                short_revision(&text(&build, "revision")),
                text(&build, "reason")
            )
        )
    ))?;
    say("")?;
    follow(scene.connection, &key, scene.cancelled)
}

/// The address that the server listens on; the one for links may be a proxy's. What is open to all is open here.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let here = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(here, bound.port())
}

fn wait_for_build(scene: &Scene<'_>) -> anyhow::Result<Option<String>> {
    let began = Instant::now();
    while !(scene.cancelled)() {
        // The plan is made by the push itself, so at first there is none.
        if let Ok(why) = scene.connection.get(at(&["plans", PLAN, "why"])) {
            let mut keys = list(&why, "decisions")
                .iter()
                .map(|decision| text(decision, "buildKey"));
            if let Some(key) = keys.find(|key| !key.is_empty()) {
                return Ok(Some(key));
            }
        }
        if began.elapsed() > PATIENCE {
            bail!("the push was taken, but no build came of it; `madake events` lists what arrived");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(None)
}

fn say_verdict_indented(scene: &Scene<'_>, build: &Value) -> anyhow::Result<()> {
    if !flag(build, "successful") {
        return say_verdict(scene.connection, build);
    }
    let took = match (number(build, "startedMs"), number(build, "finishedMs")) {
        (Some(started), Some(finished)) => duration(finished - started),
        _ => duration(clock::now_ms() - number(build, "createdMs").unwrap_or(0)),
    };
    say(format_args!(
        "  {} {} in {took}{}",
        paint(GOOD, "✓"),
        paint(GOOD, "successful"),
        first_command(build).map_or_else(String::new, |took| {
            format!(
                "   {} {}",
                paint(DIM, "push received → first command"),
                paint(GOOD, duration(took))
            )
        })
    ))
}

/// From the arrival of the push to the first command that ran, in milliseconds.
fn first_command(build: &Value) -> Option<i64> {
    let received = number(build, "eventReceivedMs")?;
    let jobs = list(build, "stages").iter().flat_map(|stage| list(stage, "jobs"));
    let first = jobs
        .filter_map(|job| number(job, "firstCommandStartedMs"))
        .min()?;
    Some(first - received)
}

fn say_addresses(scene: &Scene<'_>, build: &Value) -> anyhow::Result<()> {
    let key = text(build, "key");
    let (madake, home) = (program(), home_option(scene.home));
    let event = text(build, "event");
    heading("Look")?;
    command("why it was built", &format!("{madake} why {event}{home}"))?;
    command("its log", &format!("{madake} build log {key}{home}"))?;
    let result = build
        .get("links")
        .map(|links| text(links, "result"))
        .unwrap_or_default();
    command("for programs", &format!("curl -u admin {result}.json"))
}

fn say_next(scene: &Scene<'_>, build: &Value) -> anyhow::Result<()> {
    let key = text(build, "key");
    let (madake, home) = (program(), home_option(scene.home));
    heading("Go on")?;
    if let Some(stage) = waiting_stage(build) {
        command(
            &format!("let {stage} run"),
            &format!("{madake} build continue {key} --watch{home}"),
        )?;
    }
    command(
        "clone",
        &format!("git clone {}/scm/demo/hello.git", scene.base_url),
    )?;
    command("change it", "edit bamboo-specs/bamboo.yml, commit, git push")?;
    command("follow the build", &format!("{madake} build watch {PLAN}{home}"))?;
    say("")?;
    say(paint(
        DIM,
        format_args!("  Log in as admin with the password above. The server runs until Ctrl-C;"),
    ))?;
    say(paint(
        DIM,
        format_args!("  later, start it again with: {madake} serve{home}"),
    ))
}

/// The option that names the home, where it is not the one that commands take anyway.
/// How a person calls this program from here: by its name if that finds it, else by its path.
fn program() -> String {
    let Ok(this) = std::env::current_exe() else {
        return "madake".into();
    };
    let found = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|folder| folder.join("madake"))
            .find(|one| one.is_file())
    });
    if found
        .and_then(|one| one.canonicalize().ok())
        .is_some_and(|one| Ok(one) == this.canonicalize().map_err(|_| ()))
    {
        return "madake".into();
    }
    let here = std::env::current_dir()
        .ok()
        .and_then(|folder| this.strip_prefix(folder).ok().map(Path::to_path_buf));
    here.unwrap_or(this).display().to_string()
}

fn home_option(home: &Path) -> String {
    let text = home.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text == "./madake-home" {
        String::new()
    } else if text.chars().all(plain) {
        format!(" --home {text}")
    } else {
        format!(" --home '{}'", text.replace('\'', r"'\''"))
    }
}

fn done(what: &str, detail: &str) -> anyhow::Result<()> {
    say(format_args!("  {} {what:<WIDTH$} {detail}", paint(GOOD, "✓")))
}

fn heading(text: &str) -> anyhow::Result<()> {
    say(format_args!("  {}", paint(BOLD, text)))
}

fn command(what: &str, line: &str) -> anyhow::Result<()> {
    say(format_args!("    {what:<18} {}", paint(BUSY, line)))
}

/// A password that nobody guesses, in characters that nobody mixes up.
fn random_text() -> anyhow::Result<String> {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut text = String::new();
    while text.len() < 23 {
        if text.len() % 6 == 5 {
            text.push('-');
            continue;
        }
        let mut byte = [0_u8];
        getrandom::fill(&mut byte).context("no random bytes for a password")?;
        // Bytes past the last full round would make some letters likelier.
        if usize::from(byte[0]) < 256 / LETTERS.len() * LETTERS.len() {
            text.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_four_groups_of_five_and_differ() {
        let (first, second) = (
            random_text().expect("a password"),
            random_text().expect("another"),
        );
        assert_ne!(first, second);
        assert_eq!(first.split('-').map(str::len).collect::<Vec<_>>(), [5, 5, 5, 5]);
    }
}
