//! What `cargo xtask` runs: it starts the chores of this repository, and compiles in a second.
//!
//! Chores that are compiled alone get their dependencies with fewer features than the whole workspace does, and the
//! tests would compile all of those again. So before everything is checked, everything is compiled, the chores too.
#![expect(clippy::print_stdout, reason = "it talks to the person who started it")]

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let compiled = needs_everything(&arguments).then(compile_everything).flatten();
    let mut chores = compiled.map_or_else(
        || cargo(&["run", "--quiet", "--package", "xtask", "--"]),
        Command::new,
    );
    let error = chores.args(&arguments).exec();
    println!("xtask: cannot start {}: {error}", chores.get_program().display());
    ExitCode::FAILURE
}

/// Whether it is `cargo xtask test` without `--only` or `--help`.
fn needs_everything(arguments: &[OsString]) -> bool {
    let everything = |argument: &OsString| {
        let text = argument.to_string_lossy();
        !text.starts_with("--only") && text != "--help" && text != "-h"
    };
    arguments
        .split_first()
        .is_some_and(|(chore, flags)| chore == "test" && flags.iter().all(everything))
}

/// Compiles the workspace, with the selection that the tests run with, and gives the program with the chores. None when
/// something does not compile: the steps of the chores say what.
fn compile_everything() -> Option<PathBuf> {
    println!("==> compile: everything, once for all steps");
    let began = Instant::now();
    let built = cargo(&["build", "--workspace", "--all-targets"]).status();
    let passed = built.is_ok_and(|status| status.success());
    let verdict = if passed { "passed" } else { "FAILED" };
    println!("<== compile {verdict} in {:.1} s", began.elapsed().as_secs_f64());
    // The chores are beside this program.
    let program = std::env::current_exe().ok()?.with_file_name("xtask");
    (passed && program.is_file()).then_some(program)
}

/// A call of the cargo that runs this program, in the top folder.
fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(own.ancestors().nth(2).unwrap_or(own));
    // What cargo told us of ourselves would make build scripts of others run again.
    for (name, _) in std::env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name
            .to_str()
            .is_some_and(|name| told.iter().any(|start| name.starts_with(start)))
        {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_compiled_before_all_steps_and_for_no_other_chore() {
        for (line, expected) in [
            ("test", true),
            ("test --long", true),
            ("test --only fmt", false),
            ("test --only=clippy --long", false),
            ("test --help", false),
            ("layering", false),
            ("bench test", false),
            ("", false),
        ] {
            let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(needs_everything(&arguments), expected, "{line}");
        }
    }
}
