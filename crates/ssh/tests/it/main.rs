//! The server against the real `ssh`, `git` and `hg`.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod fixture;
mod hg;
mod hostile;
mod keys;
mod limits;
mod pushes;
mod serving;
mod streams;
