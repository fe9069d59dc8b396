//! Chores of this repository: `cargo xtask test`, `cargo xtask layering`, `cargo xtask bench`.
#![expect(clippy::print_stdout, reason = "a chore talks to the person who started it")]

mod bench;
mod layering;
mod prerequisites;
mod process;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Check everything that the build server checks: format, lints, documentation, layering, tests.
    Test(test::Test),
    /// Compare the dependencies between our crates with the table in ARCHITECTURE.md.
    Layering,
    /// Measure this server beside others, each measurement with a check that the work was done.
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Test(test) => test::run(&test),
        Chore::Layering => layering::run().map(|()| ExitCode::SUCCESS),
        Chore::Bench(bench) => bench::run(&bench),
    };
    outcome.unwrap_or_else(|error| {
        println!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
