//! The guard and the client against real sockets, certificates and mail servers.

mod guard;
mod http;
mod mail;
mod mail_tls;
mod proxy;
mod receiver;
mod resolving;
mod tls;
