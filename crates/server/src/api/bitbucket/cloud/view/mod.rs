//! Shapes of Bitbucket Cloud's interfaces, apart from where their content comes from.

pub(crate) mod repository;
pub(crate) mod service;
pub(crate) mod subscription;
