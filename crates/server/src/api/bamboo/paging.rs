//! Pages of lists: `start-index`/`max-result` of old, `start`/`limit` of newer resources
//! (bamboo-rest.md 1.7 and 1.8).

use super::expand::IndexRange;
use super::link::self_link;
use super::node::{Document, List, Node, Object};
use super::query::Parameters;

/// Page size when none is asked for.
pub const DEFAULT_SIZE: usize = 25;
/// The largest page of a list; clients that ask for more, or for 0, get this.
pub const MAX_SIZE: usize = 10_000;
/// The largest page of log lines; a log viewer asks for 99999 at once.
pub const MAX_LOG_LINES: usize = 100_000;

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Index of the first item.
    pub start: usize,
    /// The largest number of items; at least 1.
    pub size: usize,
}

impl Page {
    /// Reads `start-index` and `max-results` or `max-result`. What cannot be read counts as absent; a size of
    /// 0 means as many as the server gives, and no more than `max_size` are ever given.
    #[must_use]
    pub fn from_parameters(parameters: &Parameters, max_size: usize) -> Self {
        let size = ["max-results", "max-result"]
            .iter()
            .find_map(|name| number(parameters, name));
        Self::limited(number(parameters, "start-index"), size, max_size)
    }

    /// Reads `start` and `limit`.
    #[must_use]
    pub fn from_start_and_limit(parameters: &Parameters, max_size: usize) -> Self {
        Self::limited(number(parameters, "start"), number(parameters, "limit"), max_size)
    }

    /// The page that an index range of the `expand` parameter selects, which replaces the parameters'
    /// page. `total` is the size of the whole list.
    #[must_use]
    pub fn or_range(self, range: Option<IndexRange>, total: usize, max_size: usize) -> Self {
        match range {
            Some(range) => {
                let (start, count) = range.resolve(total);
                Self {
                    start,
                    size: count.clamp(1, max_size.max(1)),
                }
            }
            None => self,
        }
    }

    /// What `max-result` says: never more than there is, and never 0 while there is something, because
    /// clients add it to `start-index` to find the next page.
    #[must_use]
    pub fn echo(self, total: usize) -> usize {
        self.size.min(total)
    }

    fn limited(start: Option<usize>, size: Option<usize>, max_size: usize) -> Self {
        let max_size = max_size.max(1);
        Self {
            start: start.unwrap_or(0),
            size: match size {
                None => DEFAULT_SIZE.min(max_size),
                Some(0) => max_size,
                Some(asked) => asked.min(max_size),
            },
        }
    }
}

/// Only digits make a number; one that does not fit is as large as can be.
fn number(parameters: &Parameters, name: &str) -> Option<usize> {
    let text = parameters.text(name)?.trim();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let largest = usize::try_from(i64::MAX).unwrap_or(usize::MAX);
    Some(text.parse().unwrap_or(largest).min(largest))
}

/// The inner part of a list: `{"size":2,"expand":"plan","start-index":0,"max-result":2,"plan":[..]}`.
#[must_use]
pub fn collection(total: usize, page: Page, item_name: &'static str, items: Vec<Node>) -> Object {
    Object::new()
        .attribute("size", total)
        .attribute("expand", item_name)
        .attribute("start-index", page.start)
        .attribute("max-result", page.echo(total))
        .element(item_name, List::new(item_name, items))
}

/// A collection that nobody asked to expand: `{"size":2,"start-index":0,"max-result":2}`.
#[must_use]
pub fn unexpanded(total: usize) -> Object {
    Object::new()
        .attribute("size", total)
        .attribute("start-index", 0_usize)
        .attribute("max-result", total)
}

/// A whole list resource. Outer and inner XML elements share the name: `<plans><plans>..</plans></plans>`.
#[must_use]
pub fn list_document(name: &'static str, href: String, collection: Object) -> Document {
    named_list_document(name, name, href, collection)
}

/// A list resource whose root element has a name of its own, as `<queue><queuedBuilds/></queue>` has.
#[must_use]
pub fn named_list_document(
    root: &'static str,
    name: &'static str,
    href: String,
    collection: Object,
) -> Document {
    Document::new(
        root,
        Object::new()
            .attribute("expand", name)
            .element("link", self_link(href))
            .element(name, collection),
    )
}

/// A list of the newer kind: `{"start":0,"limit":25,"results":[..],"self":"..","next":".."}`, where `next`
/// and `prev` are left out when there is no such page. `href` is the address of the list without a query.
#[must_use]
pub fn start_limit_document(
    page: Page,
    total: usize,
    items: Vec<Node>,
    href: &str,
    parameters: &Parameters,
) -> Document {
    let filters = parameters.query_without(&["start", "limit"]);
    let separator = if filters.is_empty() { "" } else { "&" };
    let address = |start: usize| format!("{href}?{filters}{separator}start={start}&limit={}", page.size);
    let next = page.start.saturating_add(page.size);
    let body = Object::new()
        .element("start", page.start)
        .element("limit", page.size)
        .element("results", List::new("result", items))
        .element("self", address(page.start))
        .optional_element("next", (next < total).then(|| address(next)))
        .optional_element(
            "prev",
            (page.start > 0).then(|| address(page.start.saturating_sub(page.size))),
        );
    Document::new("results", body)
}

#[cfg(test)]
mod tests {
    use super::super::expand::Expand;
    use super::*;

    fn page(query: &str) -> Page {
        Page::from_parameters(&Parameters::from_query(Some(query)), MAX_SIZE)
    }

    #[test]
    fn both_names_of_the_page_size_are_read_and_garbage_is_not() {
        let rows = [
            ("", 0, 25),
            ("max-results=5", 0, 5),
            ("max-result=5", 0, 5),
            ("max-result=7&max-results=5", 0, 5),
            ("max-results=oops&max-result=7", 0, 7),
            ("start-index=30&max-results=10", 30, 10),
            ("max-results=0", 0, MAX_SIZE),
            ("max-results=99999", 0, MAX_SIZE),
            ("max-results=99999999999999999999999", 0, MAX_SIZE),
            ("max-results=-1&start-index=-5", 0, 25),
            ("max-results=1.5&start-index=x", 0, 25),
            ("max-results&start-index", 0, 25),
            ("start-index=99999999999999999999999", usize::MAX >> 1, 25),
        ];
        for (query, start, size) in rows {
            assert_eq!(page(query), Page { start, size }, "{query}");
        }
    }

    #[test]
    fn echo_is_what_was_asked_or_what_there_is() {
        assert_eq!(page("").echo(2), 2);
        assert_eq!(page("max-results=5").echo(100), 5);
        assert_eq!(page("max-results=0").echo(100), 100);
        assert_eq!(page("").echo(0), 0);
    }

    #[test]
    fn index_ranges_replace_the_parameters() {
        let expand = Expand::parse("plans[10:15].plan");
        let from_range = page("start-index=3").or_range(expand.range("plans"), 100, MAX_SIZE);
        assert_eq!(from_range, Page { start: 10, size: 5 });
        assert_eq!(
            page("start-index=3").or_range(None, 100, MAX_SIZE),
            page("start-index=3")
        );
    }

    #[test]
    fn newer_lists_link_to_their_neighbours() {
        let parameters = Parameters::from_query(Some("name=a%20b&start=25&limit=25"));
        let page = Page::from_start_and_limit(&parameters, MAX_SIZE);
        let document = start_limit_document(page, 60, vec!["x".into()], "http://ci/users", &parameters);
        assert_eq!(
            document.to_json(),
            r#"{"start":25,"limit":25,"results":["x"],"self":"http://ci/users?name=a+b&start=25&limit=25","next":"http://ci/users?name=a+b&start=50&limit=25","prev":"http://ci/users?name=a+b&start=0&limit=25"}"#
        );
        let only = Parameters::from_query(None);
        let page = Page::from_start_and_limit(&only, MAX_SIZE);
        let document = start_limit_document(page, 0, vec![], "http://ci/users", &only);
        assert_eq!(
            document.to_json(),
            r#"{"start":0,"limit":25,"results":[],"self":"http://ci/users?start=0&limit=25"}"#
        );
    }
}
