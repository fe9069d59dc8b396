//! `madake hook`: our hook in attached repositories, and what it runs.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at, over_socket, small_runtime, socket_of};
use crate::terminal::{say, say_json, text};

/// How long a push may be held up by a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most bytes of a report that are handed on; what is cut is found by comparing refs.
const REPORT_LIMIT: u64 = 8 * 1024 * 1024;
/// Where forges and servers put the name of who pushes, in the order in which they are believed.
const PUSHERS: [&str; 5] = [
    "REMOTE_USER",
    "GL_USERNAME",
    "GITEA_PUSHER_NAME",
    "LOGNAME",
    "USER",
];

/// Put our hook into attached repositories of Git; write the one that those of Mercurial include.
#[derive(Debug, Subcommand)]
pub(crate) enum Hook {
    /// Install it beside the hooks that are there; for Mercurial, write it and say which line includes it.
    Install {
        /// The attached repository.
        path: PathBuf,
    },
    /// Take it out again.
    Remove {
        /// The attached repository.
        path: PathBuf,
    },
    /// Report a push; the hook of Git calls this with its lines on standard input, that of Mercurial with none.
    Receive {
        /// The name that the repository is attached as.
        #[arg(long)]
        repository: String,
    },
}

pub(super) fn run(global: &Global, hook: Hook) -> anyhow::Result<ExitCode> {
    match hook {
        Hook::Install { path } => {
            let path = absolute(&path)?;
            let answer = Connection::open(global)?.post(at(&["hooks"]), &json!({ "path": path }))?;
            show(global, &answer, &path)?;
        }
        Hook::Remove { path } => {
            let path = absolute(&path)?;
            let target = at(&["hooks"]).with("path", &path.to_string_lossy());
            let answer = Connection::open(global)?.delete(target)?;
            show(global, &answer, &path)?;
        }
        // Whatever happens here, the push has happened: comparing refs finds what was not told.
        Hook::Receive { repository } => {
            if let Err(error) = receive(global, &repository) {
                anstream::eprintln!("madake: {error:#}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(global: &Global, answer: &Value, path: &Path) -> anyhow::Result<()> {
    if global.json {
        return say_json(answer);
    }
    let path = path.display();
    match text(answer, "state").as_str() {
        "installed" => say(format_args!("the hook is in {path}")),
        "installed-beside" => say(format_args!(
            "the hook is in {path}, beside {}, which runs first as before",
            text(answer, "beside")
        )),
        "to-be-included" => {
            say(format_args!(
                "the hook for {path} is in {}; nothing of the repository was changed",
                text(answer, "configuration")
            ))?;
            say(format_args!(
                "  to be run by it, {path}/.hg/hgrc (or the hgrc of whoever serves it) needs this line at its top:"
            ))?;
            say(format_args!("    {}", text(answer, "includeLine")))
        }
        _ => say(format_args!("there is no hook of ours in {path} any more")),
    }
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

/// Silent when no server is there; a refusal is one line that the pusher sees.
fn receive(global: &Global, repository: &str) -> anyhow::Result<()> {
    let mut report = Vec::new();
    std::io::stdin()
        .take(REPORT_LIMIT)
        .read_to_end(&mut report)
        .context("the push cannot be read")?;
    // A ref whose name is no text is never built.
    let lines: Vec<&str> = report
        .split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter(|line| !line.is_empty())
        .collect();
    // None: the server is to compare refs with the ledger.
    let lines = lines.join("\n");
    let pusher = PUSHERS
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let body = json!({ "repository": repository, "lines": lines, "pusher": pusher });
    let body = serde_json::to_vec(&body).context("the push cannot be written")?;
    let runtime = small_runtime()?;
    let socket = socket_of(&global.home);
    let answered = runtime.block_on(async {
        let sending = over_socket(&socket, Method::POST, "/rest/madake/1.0/hooks/receive", body);
        tokio::time::timeout(PATIENCE, sending).await
    });
    match answered {
        Ok(Ok((status, _))) if status.is_success() => Ok(()),
        Ok(Ok((_, bytes))) => {
            let told: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            bail!("the push was not taken: {}", text(&told, "message"))
        }
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}
