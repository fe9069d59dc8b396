//! The engine on real parts: a store in a file, real Git repositories, real supervised jobs.

mod arrivals;
mod ends;
mod fixture;
mod own_pushes;
mod plan_files;
mod push_to_build;
mod tags;
mod waiting;

/// Not a test of its own: the program that the engine starts to supervise a job (see [`fixture`]).
#[test]
fn supervisor_entry() {
    if let Some(directory) = std::env::var_os("MADAKE_TEST_SUPERVISE") {
        let code = madake_agent::supervisor::supervise(directory.as_ref());
        std::process::exit(code as i32);
    }
}
