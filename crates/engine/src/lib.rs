//! Reconcilers that push the stored state towards where it should be, and the operations of the product, one
//! verb a file.
//!
//! A reconciler takes no input, may run on several nodes at once and may die at any line: it reads the state and
//! moves it on. Events only wake it. Operations in [`ops`] check permissions themselves; every face of the
//! product (REST, pages, command line) calls the same ones.

pub mod access;
pub mod clock;
pub mod commit_page;
pub mod error;
pub mod handed_on;
pub mod home;
pub mod job_right;
pub mod ops;
pub mod password;
pub mod settings;

mod blocking;
mod capabilities;
mod changes;
mod clean;
mod credentials;
mod decide;
mod dependencies;
pub mod deploying;
mod engine;
mod enqueue;
mod facts;
mod finish;
mod hanging;
mod heads;
mod held;
mod intake;
mod lease;
mod lfs_content;
mod listening;
pub mod mercurial;
mod mirrors;
pub mod notifying;
pub mod order;
mod own_push;
mod pattern_label;
mod poll;
mod push_chain;
pub mod reading;
mod reconcile;
mod results;
mod retention;
mod schedule;
mod settled;
pub mod specs;
mod supply;
pub mod telling;
mod timer;
mod variables;
mod workspaces;

pub use engine::Engine;
pub use error::EngineError;
