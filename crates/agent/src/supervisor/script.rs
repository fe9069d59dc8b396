//! Prepares the process of a script task (bamboo-specs.md 4.2).
//!
//! A body is written to a file and run by the program that its `#!` line names, else by `/bin/sh`, which is
//! what Bamboo uses on Unix. We read the `#!` line ourselves, as the kernel would: so a folder that may not
//! hold programs does not matter, a line that ends in a carriage return works, and a missing interpreter is
//! named. Nothing of a plan ever becomes part of a shell's command line.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use madake_domain::plan::{Interpreter, ScriptSource, ScriptTask};

use crate::artifact::open_file;

use super::confine::{self, Refused};
use super::script_environment::{EnvironmentError, ScriptEnvironment};
use super::words::{self, OpenQuote};

/// The shell for everything that does not say how it is run.
const SHELL: &str = "/bin/sh";

/// The program that runs PowerShell scripts on this platform.
const POWER_SHELL: &str = "pwsh";

/// The longest `#!` line that is read; the kernel's limit is lower.
const LONGEST_FIRST_LINE: u64 = 4096;

/// Why a script cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ScriptError {
    /// The working directory or the script's file is not where it may be.
    #[error("the {what} {source}")]
    Path {
        /// `working directory` or `script file`.
        what: &'static str,
        /// What is wrong with it.
        source: Refused,
    },
    /// The arguments cannot be split.
    #[error("the arguments cannot be split: {0}")]
    Arguments(#[from] OpenQuote),
    /// The task's environment is malformed.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Only Windows has its interpreter.
    #[error(
        "the script is one for `cmd.exe`, and this agent runs Linux; `BINSH_OR_CMDEXE` takes `/bin/sh` here, and \
         `SHELL` what its `#!` line names"
    )]
    NoWindows,
    /// PowerShell is not installed here.
    #[error(
        "PowerShell scripts need the program `pwsh`, which is not on the PATH of this agent; install it, or use an \
         image that has it (`docker:`)"
    )]
    NoPowerShell,
    /// The body cannot be stored, or the file cannot be read.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `write` or `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A script that is ready to run.
#[derive(Debug, Clone)]
pub(crate) struct PreparedScript {
    /// Program and arguments; what is run is never put together from text.
    pub(crate) line: Vec<String>,
    /// Where it runs: a real path below the working directory.
    pub(crate) directory: PathBuf,
    /// All of its environment; a later entry wins over an earlier.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// What the log says of it; `None`: the line itself.
    pub(crate) told: Option<String>,
}

impl PreparedScript {
    /// What it does or which program it runs, and where, for the log.
    pub(crate) fn shown(&self) -> String {
        let place = self.directory.display();
        match &self.told {
            Some(told) => format!("{told} (in {place})"),
            None => format!("Running {} (in {place})", words::shown(&self.line)),
        }
    }
}

/// Prepares a script; `number` counts the scripts of the job.
pub(crate) fn prepare(
    task: &ScriptTask,
    root: &Path,
    tmp_directory: &Path,
    environment: &ScriptEnvironment,
    number: usize,
) -> Result<PreparedScript, ScriptError> {
    let in_path = |what| move |source| ScriptError::Path { what, source };
    let directory = confine::existing(root, &environment.substituted(&task.working_directory))
        .map_err(in_path("working directory"))?;
    let (folder, file) = match &task.source {
        ScriptSource::Inline(body) => {
            let file = write_body(
                tmp_directory,
                number,
                task.interpreter,
                &environment.substituted(body),
            )?;
            (tmp_directory, file)
        }
        ScriptSource::File(name) => {
            let name = environment.substituted(name);
            let file = confine::existing(&directory, &name)
                .or_else(|error| confine::existing(root, &name).map_err(|_| error))
                .map_err(in_path("script file"))?;
            (root, file)
        }
    };
    let arguments = environment.words(&task.argument)?;
    let mut line = match task.interpreter {
        Interpreter::BinShOrCmdExe => vec![SHELL.to_owned()],
        Interpreter::CmdExe => return Err(ScriptError::NoWindows),
        Interpreter::PowerShell => {
            if !environment.is_elsewhere() && environment.program(POWER_SHELL).is_none() {
                return Err(ScriptError::NoPowerShell);
            }
            [POWER_SHELL, "-NoProfile", "-NonInteractive", "-File"]
                .map(str::to_owned)
                .to_vec()
        }
        Interpreter::Shell => interpreter_of(folder, &file)?,
    };
    line.push(file.to_string_lossy().into_owned());
    line.extend(arguments);
    Ok(PreparedScript {
        environment: environment.for_task(&task.environment)?,
        line,
        directory,
        told: None,
    })
}

fn write_body(
    tmp_directory: &Path,
    number: usize,
    interpreter: Interpreter,
    body: &str,
) -> Result<PathBuf, ScriptError> {
    let ending = if interpreter == Interpreter::PowerShell {
        "ps1"
    } else {
        "sh"
    };
    let path = tmp_directory.join(format!("script-{number}.{ending}"));
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(body.as_bytes())?;
            if body.ends_with('\n') {
                Ok(())
            } else {
                file.write_all(b"\n")
            }
        });
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(ScriptError::File {
            action: "write",
            path,
            source,
        }),
    }
}

/// The program that runs a file below a folder, with its argument: as its `#!` line says, nothing for a binary, else a
/// shell. What a job may have put in the file's place is not read.
fn interpreter_of(folder: &Path, file: &Path) -> Result<Vec<String>, ScriptError> {
    let mut start = Vec::new();
    folder
        .canonicalize()
        .and_then(|real| {
            let inner = file.strip_prefix(&real).or_else(|_| file.strip_prefix(folder));
            let inner = inner.map_err(io::Error::other)?;
            open_file(&real, &inner.to_string_lossy())
        })
        .and_then(|file| file.take(LONGEST_FIRST_LINE).read_to_end(&mut start))
        .map_err(|source| ScriptError::File {
            action: "read",
            path: file.to_owned(),
            source,
        })?;
    if start.starts_with(b"\x7fELF") {
        return Ok(Vec::new());
    }
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(line) = first_line.strip_prefix(b"#!") else {
        return Ok(vec![SHELL.to_owned()]);
    };
    let line = String::from_utf8_lossy(line);
    let line = line.trim();
    let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if program.is_empty() {
        return Ok(vec![SHELL.to_owned()]);
    }
    let argument = argument.trim();
    Ok([program, argument]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_says_how_a_file_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        let table: &[(&[u8], &[&str])] = &[
            (b"echo hi\n", &["/bin/sh"]),
            (b"", &["/bin/sh"]),
            (b"#!/bin/bash\necho", &["/bin/bash"]),
            (
                b"#! /usr/bin/env  python3 -u \r\nprint()",
                &["/usr/bin/env", "python3 -u"],
            ),
            (b"#!/bin/sh -e", &["/bin/sh", "-e"]),
            (b"#!\necho", &["/bin/sh"]),
            (b"# !/bin/bash\n", &["/bin/sh"]),
            (b"\x7fELF\x02", &[]),
        ];
        for (text, line) in table {
            std::fs::write(&file, text).unwrap();
            let found = interpreter_of(folder.path(), &file).unwrap();
            assert_eq!(found, *line, "{}", text.escape_ascii());
        }
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &file).unwrap();
        assert!(
            interpreter_of(folder.path(), &file).is_err(),
            "a link that leads out"
        );
    }
}
