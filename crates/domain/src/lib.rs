//! What a build server is: keys, plans, builds, and every decision as a pure function.
//!
//! Nothing here reads a clock, draws a random number, or touches a file, a socket or a database:
//! `now`, ids and random bytes are arguments.

pub mod hanging;
pub mod hearing;
pub mod key;
pub mod permission;
pub mod plan;
pub mod plan_dependency;
pub mod pull_request;
pub mod repository;

pub mod address;
pub mod ant_pattern;
pub mod artifact_path;
pub mod branch_expiry;
pub mod branch_permission;
pub mod capability;
pub mod change;
pub mod condition;
pub mod credential;
pub mod cron;
pub mod delivery;
pub mod deployment;
pub mod issue;
pub mod mask;
pub mod mirror;
pub mod notification;
pub mod push_chain;
pub mod retention;
pub mod schedule;
pub mod stage_selection;
pub mod task_condition;
pub mod test_history;
pub mod text;
pub mod variables;
pub mod waiting;
