//! Mercurial commands without a start of Python for each: one hg is kept, and runs them in a few milliseconds
//! (`hg help internals.command-server`).
//!
//! It runs what works on the repositories of this machine. What talks to a server is a process of its own, as it is
//! with users. Tests of crates that do not use the testkit take this file in by its path.

use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};

/// The environment of a kept hg is that of the client that started it: a test program has one environment for all.
/// They end when the test program does, which closes their input.
static IDLE: Mutex<Vec<KeptHg>> = Mutex::new(Vec::new());

/// Commands that may talk to a server; with a path of this machine they do not.
const MAY_TALK: [&str; 6] = ["clone", "pull", "push", "incoming", "outgoing", "identify"];

struct KeptHg {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _process: Child,
}

/// Runs hg with `arguments` in `folder`; `client` gives the program with its environment, always the same.
///
/// # Errors
/// When hg cannot be started, or breaks off.
pub(crate) fn run(client: impl Fn() -> Command, folder: &Path, arguments: &[&str]) -> io::Result<Output> {
    if !is_local(arguments) {
        return client().args(arguments).current_dir(folder).output();
    }
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut kept = idle.map_or_else(|| KeptHg::start(client()), Ok)?;
    let output = kept.run(folder, arguments)?;
    IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    Ok(output)
}

/// Whether a kept hg may run it: options may change an hg for good, as extensions do.
fn is_local(arguments: &[&str]) -> bool {
    let Some(command) = arguments.first() else {
        return false;
    };
    let has = |wanted: fn(&str) -> bool| arguments.iter().any(|argument| wanted(argument));
    let may_talk = MAY_TALK.contains(command) && !has(|argument| argument.starts_with('/'));
    let names_a_server = has(|argument| argument.contains("://"));
    !command.starts_with('-') && !has(|argument| argument == "--config") && !may_talk && !names_a_server
}

impl KeptHg {
    fn start(mut client: Command) -> io::Result<Self> {
        let mut process = client
            .args(["serve", "--cmdserver", "pipe"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Who waits for the output of the test program does not wait for hg.
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut kept = Self {
            stdin,
            stdout: BufReader::new(stdout),
            _process: process,
        };
        match kept.frame()? {
            (b'o', hello) if hello.starts_with(b"capabilities: ") => Ok(kept),
            frame => Err(io::Error::other(format!("hg does not say hello: {frame:?}"))),
        }
    }

    fn run(&mut self, folder: &Path, arguments: &[&str]) -> io::Result<Output> {
        let folder = folder
            .to_str()
            .ok_or_else(|| io::Error::other("the path of the folder is not text"))?;
        let request = [&["--cwd", folder], arguments].concat().join("\0");
        let length = u32::try_from(request.len()).map_err(io::Error::other)?;
        self.stdin.write_all(b"runcommand\n")?;
        self.stdin.write_all(&length.to_be_bytes())?;
        self.stdin.write_all(request.as_bytes())?;
        self.stdin.flush()?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match self.frame()? {
                (b'o', payload) => stdout.extend(payload),
                (b'e', payload) => stderr.extend(payload),
                (b'r', payload) => {
                    let code: [u8; 4] = payload.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
                    let status = ExitStatus::from_raw((i32::from_be_bytes(code) & 0xff) << 8);
                    return Ok(Output {
                        status,
                        stdout,
                        stderr,
                    });
                }
                // It asks for input: there is none.
                (b'I' | b'L', _) => self.stdin.write_all(&0_u32.to_be_bytes())?,
                (channel, _) if channel.is_ascii_lowercase() => {}
                frame => return Err(io::Error::other(format!("hg says {frame:?}"))),
            }
        }
    }

    fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stdout.read_exact(&mut head)?;
        let [channel, length @ ..] = head;
        if channel == b'I' || channel == b'L' {
            return Ok((channel, Vec::new()));
        }
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        let mut payload = vec![0; length];
        self.stdout.read_exact(&mut payload)?;
        Ok((channel, payload))
    }
}
