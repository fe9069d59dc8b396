//! Git LFS: what a pointer file says, the objects of a repository, and the files of a checkout.
//!
//! Objects lie below the git directory where git-lfs itself keeps them (`lfs/objects/ab/cd/<id>`). So they belong to one
//! repository, go where its folder goes, and git-lfs finds them through the alternates of a checkout.

pub mod checkout;
pub mod fetch;
mod objects;
mod pointer;

pub use self::objects::{LfsObjects, ReceiveError};
pub use self::pointer::{LfsId, LfsIdError, Pointer};
