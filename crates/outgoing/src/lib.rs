//! Requests to addresses that users name: the guard, and the client that cannot go round it.
//!
//! [`guard`] says which addresses requests may go to, [`client`] sends HTTP requests there and nowhere else, and
//! [`mail`] hands messages to the mail server of the installation.

pub mod client;
pub mod guard;
pub mod mail;
mod secret;

pub use secret::Secret;
