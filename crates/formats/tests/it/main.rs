//! Payloads from bytes to pushes and back, in one binary.

#![expect(clippy::unwrap_used, reason = "a helper of a test may end the test")]

mod bitbucket;
mod cloud_post;
mod corpus;
mod delivery;
mod detect;
mod forges;
mod hostile;
mod hostile_forges;
mod json;
mod native;
mod outgoing;
mod post_receive;
mod properties;
mod pull_requests;
mod samples;
mod signature;
mod standard_webhooks;
mod test_report;
