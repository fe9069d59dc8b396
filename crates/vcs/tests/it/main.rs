//! The crate against real git programs, without the developer's configuration.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod checkouts;
mod fixture;
mod hooks;
mod hosting;
mod http;
mod mirrors;
mod names;
mod processes;
mod pushes;
mod reading;
mod urls;
