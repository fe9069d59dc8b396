//! Nested collections: counted unless expanded, and cut to the index range that the client gave.

use super::super::expand::Expand;
use super::super::node::{Node, Object};
use super::super::paging::{MAX_SIZE, Page, collection, unexpanded};
use super::super::view::Slice;

/// The collection `name` of an object for which `expand` holds.
///
/// `render` gets the part of the parameter below the item's name, or nothing when the client asked for the
/// collection without its items (`stages` instead of `stages.stage`).
pub(super) fn nested<T, N: Into<Node>>(
    slice: &Slice<T>,
    item_name: &'static str,
    expand: &Expand,
    name: &str,
    render: impl FnMut(&T, Option<&Expand>) -> N,
) -> Object {
    let loaded = Page {
        start: slice.start,
        size: slice.items.len().max(1),
    };
    nested_page(slice, loaded, item_name, expand, name, render)
}

/// The same for a collection that the paging parameters of the request apply to.
pub(super) fn nested_page<T, N: Into<Node>>(
    slice: &Slice<T>,
    page: Page,
    item_name: &'static str,
    expand: &Expand,
    name: &str,
    mut render: impl FnMut(&T, Option<&Expand>) -> N,
) -> Object {
    if !expand.contains(name) {
        return unexpanded(slice.total);
    }
    let range = expand.range(name);
    let page = page.or_range(range, slice.total, MAX_SIZE.max(page.size));
    let count = match range {
        Some(range) => range.resolve(slice.total).1.min(page.size),
        None => page.size,
    };
    let below = expand.below(name);
    let item_expand = below.contains(item_name).then(|| below.below(item_name));
    let items = slice
        .items
        .iter()
        .enumerate()
        .filter(|(offset, _)| {
            let index = slice.start.saturating_add(*offset);
            index >= page.start && index - page.start < count
        })
        .map(|(_, item)| render(item, item_expand).into())
        .collect();
    collection(slice.total, page, item_name, items)
}
