//! The POST service of Bitbucket Cloud, Git and Mercurial (push-payloads.md C.1, C.2).

mod parse;

pub use parse::parse;
