//! Labels and comments as resources of their own (bamboo-rest.md 3.3, 5.5).

use super::super::node::Document;
use super::super::paging::{Page, collection, list_document};
use super::super::view::CommentView;
use super::RenderContext;
use super::part::{comment, label};

/// `GET /plan/{plan}/label` and `GET /result/{result}/label`; `href` is the address of the list.
#[must_use]
pub fn label_list(page: &Page, labels: &[String], total: usize, href: String) -> Document {
    let items = labels.iter().map(|name| label(name).into()).collect();
    list_document("labels", href, collection(total, *page, "label", items))
}

/// `GET /result/{result}/comment`; `href` is the address of the list.
#[must_use]
pub fn comment_list(
    page: &Page,
    comments: &[CommentView],
    total: usize,
    href: String,
    ctx: &RenderContext,
) -> Document {
    let items = comments.iter().map(|item| comment(item, ctx).into()).collect();
    list_document("comments", href, collection(total, *page, "comment", items))
}
