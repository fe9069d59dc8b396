//! The crate against real git and hg programs, without the developer's configuration.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod browsing;
mod checkouts;
mod commit_files;
mod fixture;
mod fronts;
mod hg_browsing;
mod hg_checkouts;
mod hg_fixture;
mod hg_hooks;
mod hg_hosting;
mod hg_http;
mod hg_mirrors;
mod hg_reading;
mod hg_stdio;
mod hooks;
mod hosting;
mod http;
mod job_pushes;
#[path = "../../../testkit/src/kept_hg.rs"]
mod kept_hg;
mod lfs;
mod lfs_hosts;
mod log_reading;
mod mirrors;
mod names;
mod processes;
mod pushes;
mod reading;
mod snapshots;
mod urls;
mod verdicts;
