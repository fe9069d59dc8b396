//! The one binary: the server, its command line, the supervisor of jobs and the receiver of hooks.

mod command;
mod connection;
mod log;
mod terminal;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use command::{Arguments, run};

fn main() -> ExitCode {
    // A job waits for its supervisor: no argument parser, no runtime on this path.
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(first), Some(directory)) if first == "job-supervisor" => {
            return madake_agent::supervisor::run(directory.as_ref());
        }
        (Some(first), Some(program)) if first == madake_agent::program::ENTRY => {
            return madake_agent::program::supervise(&program);
        }
        _ => {}
    }
    // One provider for all of TLS, before anything asks for one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        // Whoever reads our output has enough, `madake events | head` for instance.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("madake: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
