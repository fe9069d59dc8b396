//! Interfaces for programs: Bamboo's and our own.

pub mod bamboo;
pub mod native;
