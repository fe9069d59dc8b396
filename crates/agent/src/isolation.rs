//! Finds out which way of keeping jobs apart works on this machine.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use madake_protocol::{Bubblewrap, Isolation, IsolationChoice};

use crate::bubblewrap::{Sandbox, SandboxFolders};

/// How long an attempt may take; a machine that needs longer is of no use to jobs.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);

/// How much is read of what a failed attempt says.
const READ_OF_REASON: u64 = 4096;

/// The way in which jobs run, by what is configured and what works here. Blocks while bubblewrap is tried.
///
/// # Errors
/// When bubblewrap is asked for and does not work, with the reason as a sentence.
pub fn choose(choice: IsolationChoice, sandbox: &Bubblewrap) -> Result<Isolation, String> {
    if choice == IsolationChoice::Process {
        return Ok(Isolation::default());
    }
    let attempt = found(&sandbox.program).and_then(|program| {
        let sandbox = Bubblewrap {
            program,
            ..sandbox.clone()
        };
        attempt(&sandbox)?;
        Ok(sandbox)
    });
    match attempt {
        Ok(sandbox) => Ok(Isolation::Bubblewrap(sandbox)),
        Err(reason) if choice == IsolationChoice::Auto => Ok(Isolation::Process { reason }),
        Err(reason) => Err(format!(
            "agent.isolation is `bubblewrap`, but {reason}; mend that and start the server anew, or set it to `auto`"
        )),
    }
}

/// The program's own path: a script may have another `PATH`.
fn found(program: &Path) -> Result<PathBuf, String> {
    if program.components().count() > 1 {
        return Ok(program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("the program `{}` is not installed", program.display()))
}

/// Runs a shell that does nothing in a sandbox like those of jobs.
fn attempt(settings: &Bubblewrap) -> Result<(), String> {
    let shown = settings.program.display();
    let sandbox = Sandbox::new(settings, &SandboxFolders::default());
    let mut attempt = sandbox
        .command("/".as_ref(), &["/bin/sh", "-c", ":"], &[])
        .map_err(|error| format!("{shown} cannot be given an environment: {error}"))?;
    let mut child = attempt
        .command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{shown} cannot be started: {error}"))?;
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < LONGEST_ATTEMPT => thread::sleep(Duration::from_millis(1)),
            Ok(None) => {
                // A process that ended in the meantime is as good.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{shown} did not come to an end"));
            }
            Err(error) => return Err(format!("{shown} cannot be waited for: {error}")),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(pipe) = child.stderr.take() {
        // Without a reason the exit status has to do.
        let _ = pipe.take(READ_OF_REASON).read_to_end(&mut said);
    }
    let said = String::from_utf8_lossy(&said);
    let reason = said.lines().map(str::trim).find(|line| !line.is_empty());
    Err(format!(
        "{shown} does not work here ({})",
        reason.map_or_else(|| status.to_string(), str::to_owned)
    ))
}
