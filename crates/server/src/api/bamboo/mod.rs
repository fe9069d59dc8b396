//! Bamboo's REST answers, made from plain views: what existing scripts, hooks and clients read.
//!
//! Nothing here knows the store, the clock or a request: a handler loads views, fills a
//! [`render::RenderContext`], and gets a [`node::Document`] that prints as JSON or XML.
//! Shapes follow bamboo-rest.md; each function names its section.

pub mod answer;
pub mod error;
pub mod expand;
pub mod handlers;
pub mod link;
pub mod negotiate;
pub mod node;
pub mod paging;
pub mod query;
pub mod reason;
pub mod render;
pub mod time;
pub mod view;

#[cfg(test)]
mod tests;
