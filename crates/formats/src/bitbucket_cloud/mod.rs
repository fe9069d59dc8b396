//! Webhooks of Bitbucket Cloud: `repo:push` (push-payloads.md C.4).

mod parse;

pub use parse::parse;
pub(crate) use parse::repository;
