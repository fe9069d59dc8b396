//! Bytes of other products' formats, both ways, without I/O: push payloads and their signatures, reports of test runs.
//!
//! A delivery walks through three steps, each a pure function over the raw bytes:
//!
//! 1. [`signature::delivery::check`] says whether the sender knows one of the active secrets.
//! 2. [`detect()`] says which product sent it, or why nobody can tell.
//! 3. [`read_push`] turns it into the one common form, [`Push`]; [`read_delivery`] reads [`PullRequest`]s as well.
//!
//! The other way, [`outgoing`] renders the facts of a push into the body that each kind of receiver knows.
//!
//! Every function is total: no input makes it panic, recurse without end or use memory out of proportion
//! to [`Limits`]. Whatever a payload says is a hint. Links in it are never followed, and the refs of the
//! repository itself have the last word.

pub mod bitbucket_cloud;
pub mod bitbucket_dc;
pub mod byte_range;
pub mod clone_address;
pub mod cloud_post;
pub mod json;
pub mod maven_pom;
pub mod object_id;
pub mod outgoing;
pub mod post_receive;
pub mod post_webhooks;
pub mod pull_request;
pub mod push;
pub mod ref_name;
pub mod signature;
pub mod test_report;
pub mod text;

mod detect;
mod error;
mod field;
mod forge;
mod form;
mod gitea;
mod github;
mod gitlab;
mod limits;
mod native;
mod timestamp;

pub use clone_address::CloneAddress;
pub use detect::{delivery_id, detect, read_push, read_push_as};
pub use error::{FormError, NotAPush, Place, PushError};
pub use limits::Limits;
pub use pull_request::{Delivery, PullRequest, read_delivery};
pub use push::{Action, CommitHint, Note, Push, RefChange, RefKind, RepositoryHint, Scm, SenderFormat};
