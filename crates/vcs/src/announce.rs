//! Who is told of a push of a job before it is made, and what.

use std::fmt;
use std::io;

use crate::name::{ObjectId, RefName};

/// What is told of a push.
#[derive(Debug, Clone, Copy)]
pub enum Announcement<'a> {
    /// A ref is about to be pushed.
    Push {
        /// The ref.
        name: &'a RefName,
        /// Where it will be.
        revision: &'a ObjectId,
        /// Where it is now, unless it is new or at the revision that was built: there is what others pushed meanwhile.
        onto: Option<&'a ObjectId>,
    },
    /// The repository refused what was told last of this ref and revision.
    Refused {
        /// The ref.
        name: &'a RefName,
        /// Where it would be.
        revision: &'a ObjectId,
    },
}

/// Hears of a push. Where that cannot be noted, nothing is pushed.
#[derive(Clone, Copy)]
pub struct Announce<'a>(&'a dyn Fn(&Announcement<'_>) -> io::Result<()>);

impl<'a> Announce<'a> {
    /// Tells `hear`.
    #[must_use]
    pub fn to(hear: &'a dyn Fn(&Announcement<'_>) -> io::Result<()>) -> Self {
        Self(hear)
    }

    pub(crate) fn push(self, name: &RefName, revision: &ObjectId, onto: Option<&ObjectId>) -> io::Result<()> {
        (self.0)(&Announcement::Push { name, revision, onto })
    }

    /// A refusal that cannot be noted changes nothing: the push counts as made, as one whose answer was lost does.
    pub(crate) fn refused(self, name: &RefName, revision: &ObjectId) {
        let _ = (self.0)(&Announcement::Refused { name, revision });
    }
}

impl fmt::Debug for Announce<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Announce")
    }
}
