//! The command line. Scripts rely on it: what is here stays (design.md, "The command line").

mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// A self-hosted push-to-build server that speaks Bamboo and Bitbucket.
#[derive(Debug, Parser)]
#[command(name = "madake", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The folder with everything that the server keeps.
    #[arg(
        long,
        global = true,
        env = "MADAKE_HOME",
        default_value = "./madake-home",
        value_name = "DIR"
    )]
    pub(crate) home: PathBuf,
    /// Print JSON, for machines.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve(serve::Serve),
}

/// Does it.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { global, command } = arguments;
    match command {
        Command::Serve(serve) => serve::run(&global, &serve),
    }
}
