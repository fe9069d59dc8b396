//! SSH for git and hg: keys in, one allowed command out.
//!
//! [`SshServer`] speaks SSH; everything that it must know, it asks its [`Gate`]: who a key belongs to, and which
//! program or handler serves a repository. What a client may run is what [`command::parse`] understands, five commands
//! in the words of the real clients. There is no shell, no terminal, no subsystem, no forwarding and no environment
//! but `GIT_PROTOCOL`. No command line is ever formatted or given to a shell.

mod admission;
mod client;
pub mod command;
mod connection;
mod cut;
mod gate;
mod host_keys;
mod limits;
mod pump;
mod server;
mod session;

pub use self::command::{CommandError, LfsWish, Service};
pub use self::gate::{Answer, Gate, Identity, KeyAttempt, OfferedKey, OpenRequest, Refusal};
pub use self::host_keys::{HostKeyError, HostKeys};
pub use self::limits::Limits;
pub use self::server::SshServer;
pub use self::session::{ClientInput, ClientOutput, Session};
