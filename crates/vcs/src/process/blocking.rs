//! Running a program to its end without tokio.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Instant;

use super::run::Run;
use super::{Output, ProcessError, STDERR_LIMIT, UncheckedOutput, clean_diagnostic, end_group};

enum Report {
    Stdout(std::io::Result<Option<Vec<u8>>>),
    Stderr(Vec<u8>),
}

pub(super) fn run(mut command: Run) -> Result<UncheckedOutput, ProcessError> {
    let started = Instant::now();
    let mut child = command
        .to_std()
        .spawn()
        .map_err(|source| command.start_error(source))?;
    let leader = child.id();
    let (sender, receiver) = mpsc::channel();
    let mut stdin = child.stdin.take();
    let input = std::mem::take(&mut command.input);
    if input.is_empty() {
        stdin = None;
    }
    if let Some(mut stdin) = stdin {
        // A program may end without reading everything: its exit code tells.
        std::thread::spawn(move || stdin.write_all(&input));
    }
    let limit = command.output_limit;
    if let Some(mut stdout) = child.stdout.take() {
        let sender = sender.clone();
        std::thread::spawn(move || sender.send(Report::Stdout(read_limited(&mut stdout, limit))));
    }
    if let Some(mut stderr) = child.stderr.take() {
        std::thread::spawn(move || sender.send(Report::Stderr(read_start(&mut stderr))));
    }
    let mut outcome = Ok((Vec::new(), Vec::new()));
    for _ in 0..2 {
        let left = command.timeout.saturating_sub(started.elapsed());
        match (receiver.recv_timeout(left), &mut outcome) {
            (Ok(Report::Stdout(Ok(Some(bytes)))), Ok((stdout, _))) => *stdout = bytes,
            (Ok(Report::Stderr(bytes)), Ok((_, stderr))) => *stderr = bytes,
            (Ok(Report::Stdout(Ok(None))), _) => outcome = Err(command.too_large()),
            (Ok(Report::Stdout(Err(source))), _) => outcome = Err(command.io_error(source)),
            (Err(_), _) => outcome = Err(command.timed_out()),
            (Ok(_), Err(_)) => {}
        }
        if outcome.is_err() {
            end_group(leader);
            break;
        }
    }
    let status = child.wait().map_err(|source| command.io_error(source))?;
    let (stdout, stderr) = outcome?;
    let output = Output {
        status,
        stdout,
        stderr: clean_diagnostic(&stderr, &command.secrets),
    };
    Ok(UncheckedOutput {
        output,
        subcommand: command.subcommand,
    })
}

fn read_limited(stream: &mut impl Read, limit: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    stream.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

fn read_start(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be read of a diagnostic is not worth failing for.
    let _ = stream.take(STDERR_LIMIT as u64).read_to_end(&mut bytes);
    let _ = std::io::copy(stream, &mut std::io::sink());
    bytes
}
