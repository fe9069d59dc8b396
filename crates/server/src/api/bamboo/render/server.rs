//! The server about itself, and the caller (bamboo-rest.md 2.1).

use super::super::link::self_link;
use super::super::node::{Document, Node, Object};
use super::super::paging::{Page, collection, list_document};
use super::super::view::{ServerView, UserView};
use super::RenderContext;

/// `GET /info`
#[must_use]
pub fn info(server: &ServerView, ctx: &RenderContext) -> Document {
    let body = Object::new()
        .element("version", server.version.as_str())
        .element("edition", "")
        .element("buildDate", ctx.iso(server.build_date_ms))
        .element("buildNumber", server.build_number.as_str())
        .element("specsVersion", server.version.as_str())
        .element("state", server.state.as_str());
    Document::new("info", body)
}

/// `GET /server`, and the answers to pausing and resuming: the fields of old and new servers together.
#[must_use]
pub fn server(server: &ServerView) -> Document {
    let body = Object::new()
        .element("state", server.state.as_str())
        .element("askedNodeState", server.state.as_str())
        .element("clusterState", server.state.cluster_state())
        .element("reindexInProgress", server.reindex_in_progress)
        .optional_element("setByUser", server.set_by_user.as_deref());
    Document::new("server", body)
}

/// `GET /status`, for load balancers.
#[must_use]
pub fn health(server: &ServerView) -> Document {
    let body = Object::new()
        .element("state", server.state.as_str())
        .element("status", server.state.as_str());
    Document::new("status", body)
}

/// `GET /reindex` and `POST /reindex`
#[must_use]
pub fn reindex(server: &ServerView) -> Document {
    let body = Object::new()
        .element("reindexInProgress", server.reindex_in_progress)
        .element("reindexPending", server.reindex_pending);
    Document::new("reindex", body)
}

/// `GET /currentUser`
#[must_use]
pub fn current_user(user: &UserView) -> Document {
    let body = Object::new()
        .element("name", user.name.as_str())
        .element("fullName", user.full_name.as_str())
        .optional_element("email", user.email.as_deref());
    Document::new("user", body)
}

/// The root of the API: its resources by name.
#[must_use]
pub fn api_root(names: &[&str], ctx: &RenderContext) -> Document {
    let item = |name: &&str| -> Node {
        Object::new()
            .attribute("name", *name)
            .element("link", self_link(ctx.links.rest(&[name])))
            .into()
    };
    let page = Page {
        start: 0,
        size: names.len().max(1),
    };
    let inner = collection(names.len(), page, "resource", names.iter().map(item).collect());
    list_document("resources", ctx.links.rest(&[]), inner)
}
