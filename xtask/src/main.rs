//! Chores of this repository: `cargo xtask test`, `cargo xtask layering`, `cargo xtask bench`.
#![expect(clippy::print_stdout, reason = "a chore talks to the person who started it")]

mod bench;
mod fuzz;
mod language;
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
    /// Write `docs/language.md` anew, from the tables of the reader of plan files.
    Language {
        /// Only say whether it would change.
        #[arg(long)]
        check: bool,
    },
    /// Feed a reader with damaged input for a while, and say what it does not bear.
    Fuzz(fuzz::Fuzz),
    /// Measure this server beside others, each measurement with a check that the work was done.
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Test(test) => test::run(&test),
        Chore::Layering => layering::run().map(|()| ExitCode::SUCCESS),
        Chore::Language { check } => language::run(check).map(|()| ExitCode::SUCCESS),
        Chore::Fuzz(fuzz) => fuzz::run(&fuzz).map(|()| ExitCode::SUCCESS),
        Chore::Bench(bench) => bench::run(&bench),
    };
    outcome.unwrap_or_else(|error| {
        println!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
