//! Our own interface, under `/rest/madake/1.0/`: JSON only.

use crate::routes::Routes;

/// The routes of our own interface.
pub(crate) fn routes() -> Routes {
    Routes::default()
}
