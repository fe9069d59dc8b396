//! Bitbucket Server "Post-Receive Webhooks", and Stash before it (push-payloads.md A).

mod parse;

pub use parse::parse;
pub(crate) use parse::server_repository;
