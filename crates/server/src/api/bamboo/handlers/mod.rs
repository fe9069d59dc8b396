//! The resources of Bamboo's REST API: each loads what the caller may see and hands it to [`super::render`].

use crate::routes::Routes;

/// The routes of Bamboo's REST API.
pub(crate) fn routes() -> Routes {
    Routes::default()
}
