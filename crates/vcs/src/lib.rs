//! Git repositories: hosted, attached, linked; the guards for names and addresses; the one way to spawn a version control program.
//!
//! Everything that comes from a repository (names, addresses, texts, trees, configuration) is hostile until a guard of
//! this crate has looked at it: [`name`] for refs and object ids, [`url`] for addresses, [`text`] for what people see,
//! [`process`] for programs. Another version control system stands beside [`git`] as a module of its own.

pub mod git;
pub mod name;
pub mod process;
pub mod text;
pub mod url;
