//! The "Post Webhooks" add-on of Bitbucket Server (push-payloads.md B.5).

mod parse;

pub use parse::parse;
