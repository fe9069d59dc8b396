//! Shapes of Bitbucket Server's REST 1.0, apart from where their content comes from.

pub(crate) mod changes;
pub(crate) mod files;
pub(crate) mod hook;
pub(crate) mod invocation;
pub(crate) mod refs;
pub(crate) mod webhook;
