//! Tables and the one writer: ledger, plans, builds, queue, users. One file per aggregate.
//!
//! All functions of the aggregates take a [`Tx`]: reads run on a pool of read connections, writes on the one
//! writer thread, which puts whatever waits into one transaction (group commit) and tells the callers after
//! the commit is on disk. See [`Store::write`].

mod checkpoint;
mod dialect;
mod pool;
mod wake;
mod writer;

pub mod artifact;
pub mod blob;
pub mod branch_permission;
pub mod build;
pub mod build_query;
pub mod capability;
pub mod comment;
pub mod credential;
pub mod decision;
pub mod delivery;
pub mod delivery_history;
pub mod deployment;
pub mod deployment_release;
pub mod deployment_result;
pub mod event;
pub mod expiry;
pub mod hearing;
pub mod held_build;
pub mod label;
pub mod lfs_lock;
pub mod log_purge;
pub mod meta;
pub mod mirror;
pub mod notification;
pub mod overview;
pub mod own_push;
pub mod permission;
pub mod plan;
pub mod plan_file;
pub mod plan_timer;
pub mod project;
pub mod pull_request;
pub mod receiver;
pub mod repository;
pub mod repository_attributes;
pub mod seal;
pub mod ssh_key;
pub mod test_result;
pub mod user;
pub mod variable;
pub mod watcher;
pub mod webhook;

pub use dialect::{Param, Row, StoreError, Tx, Value};
pub use pool::Store;
pub use wake::{Topic, Wakes};

/// Milliseconds since 1970, the only form of time in a table.
pub type Millis = i64;
