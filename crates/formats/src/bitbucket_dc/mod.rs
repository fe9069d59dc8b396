//! Webhooks of Bitbucket Data Center: `repo:refs_changed` (push-payloads.md B).

mod parse;

pub use parse::parse;
