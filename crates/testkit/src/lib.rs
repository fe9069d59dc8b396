//! For tests only: the real binary in a temporary home, fixture repositories, a client.
//!
//! Everything here fails by panicking with a sentence, as a test does.

mod kept_hg;
mod mercurial;
mod repository;
mod server;
mod wait;

pub use mercurial::{HgClone, hg, try_hg};
pub use repository::{WorkTree, git, try_git};
pub use server::{Server, ServerOptions, binary};
pub use wait::{wait_for, wait_for_at_most};

/// The password of the administrator `admin` of each test server.
pub const PASSWORD: &str = "correct horse battery";
