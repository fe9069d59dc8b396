//! Pages of lists: `start`/`limit` of Bitbucket Server, `page`/`pagelen` of Bitbucket Cloud.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::api::bamboo::query::Parameters;

/// The page size of Bitbucket Server where none is asked for.
const SERVER_SIZE: usize = 25;
/// The page size of Bitbucket Cloud where none is asked for.
const CLOUD_SIZE: usize = 10;
/// The largest page of Bitbucket Cloud.
pub(crate) const CLOUD_MOST: usize = 100;

/// The part of a list that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The index of the first item.
    pub(crate) start: usize,
    /// The most items.
    pub(crate) limit: usize,
}

impl Asked {
    /// Reads `start` and `limit`; more than `most` items are never given. What is no number counts as absent.
    pub(crate) fn server(parameters: &Parameters, most: usize) -> Self {
        Self {
            start: number(parameters, "start").unwrap_or(0),
            limit: number(parameters, "limit").unwrap_or(SERVER_SIZE).clamp(1, most),
        }
    }

    /// Reads `page` (from 1) and `pagelen`.
    pub(crate) fn cloud(parameters: &Parameters) -> Self {
        let limit = number(parameters, "pagelen")
            .unwrap_or(CLOUD_SIZE)
            .clamp(1, CLOUD_MOST);
        let page = number(parameters, "page").unwrap_or(1).max(1);
        Self {
            start: (page - 1).saturating_mul(limit),
            limit,
        }
    }

    /// This part of a whole list, and whether it reaches the end.
    pub(crate) fn of<T>(self, all: Vec<T>) -> Part<T> {
        let is_last = all.len() <= self.start.saturating_add(self.limit);
        Part {
            asked: self,
            total: Some(all.len()),
            items: all.into_iter().skip(self.start).take(self.limit).collect(),
            is_last,
        }
    }

    /// A part that was read as such, one item more than was asked for if there is one.
    pub(crate) fn read<T>(self, mut items: Vec<T>) -> Part<T> {
        let is_last = items.len() <= self.limit;
        items.truncate(self.limit);
        Part {
            asked: self,
            total: None,
            items,
            is_last,
        }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part<T> {
    /// What was asked for.
    pub(crate) asked: Asked,
    /// How many items the whole list has, where that is known.
    pub(crate) total: Option<usize>,
    /// The items.
    pub(crate) items: Vec<T>,
    /// Whether nothing follows.
    pub(crate) is_last: bool,
}

impl<T> Part<T> {
    /// The same part of other items.
    pub(crate) fn map<U>(self, change: impl FnMut(T) -> U) -> Part<U> {
        Part {
            asked: self.asked,
            total: self.total,
            items: self.items.into_iter().map(change).collect(),
            is_last: self.is_last,
        }
    }
}

impl<T: Serialize> Part<T> {
    /// `{"size":1,"limit":25,"isLastPage":true,"values":[..],"start":0}`, and `nextPageStart` where more follows.
    pub(crate) fn server(self) -> Value {
        let mut page = Map::new();
        page.insert("size".into(), json!(self.items.len()));
        page.insert("limit".into(), json!(self.asked.limit));
        page.insert("isLastPage".into(), json!(self.is_last));
        page.insert("values".into(), json!(self.items));
        page.insert("start".into(), json!(self.asked.start));
        if !self.is_last {
            let next = self.asked.start.saturating_add(self.asked.limit);
            page.insert("nextPageStart".into(), json!(next));
        }
        Value::Object(page)
    }

    /// `{"pagelen":10,"values":[..],"page":1,"size":1}`, with `next` and `previous` where there are such pages.
    /// `address` is that of the list without a query.
    pub(crate) fn cloud(self, address: &str, parameters: &Parameters) -> Value {
        let number = self.asked.start / self.asked.limit + 1;
        let others = parameters.query_without(&["page", "pagelen"]);
        let separator = if others.is_empty() { "" } else { "&" };
        let link = |page: usize| {
            format!(
                "{address}?{others}{separator}pagelen={}&page={page}",
                self.asked.limit
            )
        };
        let mut page = Map::new();
        page.insert("pagelen".into(), json!(self.asked.limit));
        page.insert("values".into(), json!(self.items));
        page.insert("page".into(), json!(number));
        if let Some(total) = self.total {
            page.insert("size".into(), json!(total));
        }
        if !self.is_last {
            page.insert("next".into(), json!(link(number + 1)));
        }
        if number > 1 {
            page.insert("previous".into(), json!(link(number - 1)));
        }
        Value::Object(page)
    }
}

fn number(parameters: &Parameters, name: &str) -> Option<usize> {
    parameters.text(name)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::from_query(Some(query))
    }

    #[test]
    fn pages_of_the_server_lead_to_the_next() {
        let all: Vec<u32> = (0..5).collect();
        let rows = [
            (
                "",
                r#"{"size":5,"limit":25,"isLastPage":true,"values":[0,1,2,3,4],"start":0}"#,
            ),
            (
                "start=1&limit=2",
                r#"{"size":2,"limit":2,"isLastPage":false,"values":[1,2],"start":1,"nextPageStart":3}"#,
            ),
            (
                "start=3&limit=2",
                r#"{"size":2,"limit":2,"isLastPage":true,"values":[3,4],"start":3}"#,
            ),
            (
                "start=9",
                r#"{"size":0,"limit":25,"isLastPage":true,"values":[],"start":9}"#,
            ),
            (
                "limit=0&start=4",
                r#"{"size":1,"limit":1,"isLastPage":true,"values":[4],"start":4}"#,
            ),
            (
                "limit=999",
                r#"{"size":5,"limit":100,"isLastPage":true,"values":[0,1,2,3,4],"start":0}"#,
            ),
        ];
        for (query, expected) in rows {
            let page = Asked::server(&parameters(query), 100).of(all.clone()).server();
            assert_eq!(page.to_string(), expected, "{query}");
        }
        let asked = Asked { start: 10, limit: 2 };
        assert!(!asked.read(vec![1, 2, 3]).is_last);
        assert!(asked.read(vec![1, 2]).is_last);
    }

    #[test]
    fn pages_of_the_cloud_link_to_their_neighbours() {
        let all: Vec<u32> = (0..5).collect();
        let query = parameters("q=a+b&page=2&pagelen=2");
        let page = Asked::cloud(&query)
            .of(all.clone())
            .cloud("http://ci/api/2.0/x", &query);
        assert_eq!(
            page.to_string(),
            r#"{"pagelen":2,"values":[2,3],"page":2,"size":5,"next":"http://ci/api/2.0/x?q=a+b&pagelen=2&page=3","previous":"http://ci/api/2.0/x?q=a+b&pagelen=2&page=1"}"#
        );
        let plain = parameters("");
        assert_eq!(
            Asked::cloud(&plain)
                .read(vec![1])
                .cloud("http://ci/x", &plain)
                .to_string(),
            r#"{"pagelen":10,"values":[1],"page":1}"#
        );
        assert_eq!(
            Asked::cloud(&parameters("page=0&pagelen=9999")),
            Asked { start: 0, limit: 100 }
        );
    }
}
