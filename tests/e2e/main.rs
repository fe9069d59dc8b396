//! The whole product, from outside: the real binary, real git, real hooks, real HTTP.

mod crash;
mod hooks;
mod plan_files;
