//! The faces of the product: Bamboo's REST API, our own, Git over HTTP and SSH, webhook intake, remote triggers.
//!
//! A request is cleaned ([`path`]), authenticated ([`auth`]), and only then routed; each route declares who may
//! call it ([`routes`]), and every refusal is logged and entered in the ledger (`refusal`).

pub mod api;
pub mod auth;
pub mod base_url;
pub mod config;
mod git;
mod hg;
mod intake;
mod pages;
pub mod path;
mod refusal;
pub mod router;
pub mod routes;
pub mod serve;
pub mod ssh;
mod state;

pub use router::build_router;
pub use state::App;
