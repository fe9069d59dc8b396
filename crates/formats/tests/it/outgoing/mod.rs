//! Bodies that tell others of a push.

mod captures;
mod cloud;
mod consumers;
mod facts;
mod golden;
mod links;
mod properties;
mod round_trip;
mod server;
