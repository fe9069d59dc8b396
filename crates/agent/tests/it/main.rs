//! Jobs as real processes: this test program is its own supervisor and, where a test kills it, its own server.

#![expect(clippy::unwrap_used, reason = "all of this is tests; a failed step ends one")]

mod bench;
mod checkouts;
mod containers;
mod kept;
mod logs;
mod process_secrets;
mod programs;
mod remote;
mod results;
mod sandboxes;
mod scripts;
mod stand_in_engine;
mod stopping;
mod survival;
mod tampering;
mod task_variables;

use std::path::{Path, PathBuf};

/// The absolute path at the end of the command line, which only [`bench`] puts there.
fn path_argument() -> Option<PathBuf> {
    let last = std::env::args_os().skip(1).last().map(PathBuf::from)?;
    last.is_absolute().then_some(last)
}

/// Not a test: what `madake job-supervisor DIRECTORY` is in the product.
#[test]
fn supervisor_entry() {
    if let Some(directory) = path_argument() {
        std::process::exit(madake_agent::supervisor::supervise(&directory) as i32);
    }
}

/// Not a test: a server that starts the job of `order.to-start.json` in this folder and waits for it.
#[test]
fn server_entry() {
    if let Some(home) = path_argument() {
        serve(&home);
    }
}

/// Not a test: the sweep of a server that starts, which writes down what it removed.
#[test]
fn sweep_entry() {
    if let Some(home) = path_argument() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let removed = runtime
            .block_on(bench::agent(&home).remove_left_containers())
            .unwrap();
        std::fs::write(home.join("removed"), removed.join(" ")).unwrap();
    }
}

fn serve(home: &Path) {
    let order = std::fs::read(home.join("order.to-start.json")).unwrap();
    let order = madake_protocol::JobOrder::from_json(&order).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        bench::agent(home)
            .start(&order)
            .unwrap()
            .finished()
            .await
            .unwrap();
    });
}
