//! Interfaces for programs: Bamboo's, Bitbucket's and our own.

pub mod bamboo;
pub mod bitbucket;
pub mod native;
