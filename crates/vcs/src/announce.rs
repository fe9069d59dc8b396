//! Who is told of a push of a job before it is made.

use std::fmt;
use std::io;

use crate::name::{ObjectId, RefName};

/// Hears which ref is about to be pushed, and where it will be. Where that cannot be noted, nothing is pushed.
#[derive(Clone, Copy)]
pub struct Announce<'a>(&'a dyn Fn(&RefName, &ObjectId) -> io::Result<()>);

impl<'a> Announce<'a> {
    /// Tells `hear`.
    #[must_use]
    pub fn to(hear: &'a dyn Fn(&RefName, &ObjectId) -> io::Result<()>) -> Self {
        Self(hear)
    }

    pub(crate) fn tell(self, name: &RefName, revision: &ObjectId) -> io::Result<()> {
        (self.0)(name, revision)
    }
}

impl fmt::Debug for Announce<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Announce")
    }
}
