//! Git and Mercurial repositories: hosted, attached, linked; the guards for names and addresses; the one way to spawn a version control program.
//!
//! Everything that comes from a repository (names, addresses, texts, trees, configuration) is hostile until a guard of
//! this crate has looked at it: [`name`] for refs and object ids, [`url`] for addresses, [`text`] for what people see,
//! [`process`] for programs. [`git`] and [`hg`] stand side by side and are alike in shape.

pub mod announce;
mod folder;
pub mod git;
pub mod hg;
pub mod name;
mod pool;
pub mod process;
pub mod text;
pub mod url;
