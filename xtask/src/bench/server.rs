//! A server under measurement: a process on the first processor that is started, asked and killed.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::http::Client;
use super::machine::{Usage, usage, wait_for};

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(60);

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// The time from the start of the process to its first answer, in milliseconds.
    pub(crate) ready_ms: f64,
}

impl Server {
    /// Starts `command`, writes what it prints to `log`, and waits until `path` at `address` answers 200.
    ///
    /// # Errors
    /// When it does not come up; with the end of its log.
    pub(crate) fn start(
        mut command: Command,
        log: &Path,
        address: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let began = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        let ready = wait_for(START, || {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(Err(status));
            }
            let answer = Client::new(address, headers).send("GET", path, &[], b"").ok()?;
            (answer.status == 200).then_some(Ok(()))
        });
        let server = Self {
            child,
            ready_ms: began.elapsed().as_secs_f64() * 1000.0,
        };
        match ready {
            Some(Ok(())) => Ok(server),
            Some(Err(status)) => bail!("the server ended with {status}: {}", end_of(log)),
            None => bail!(
                "{path} did not answer 200 within {} s: {}",
                START.as_secs(),
                end_of(log)
            ),
        }
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// When it has died.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        usage(self.child.id())
    }

    /// Ends it at once, as a failing power supply would end its process.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not stop.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        crate::process::output_of(Command::new("kill").args(["-TERM", &pid]))?;
        let ended = wait_for(START, || self.child.try_wait().ok().flatten());
        ended.map(|_| ()).context("the server did not stop")
    }

    fn end(&mut self) {
        // A server that has ended already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}
