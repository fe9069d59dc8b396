//! What a request asks for besides its path: format, parameters, page, expansion.

use std::convert::Infallible;
use std::ops::Range;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};

use super::super::answer::Answer;
use super::super::error::ApiError;
use super::super::expand::{Expand, IndexRange};
use super::super::link::Links;
use super::super::negotiate::Format;
use super::super::node::Document;
use super::super::paging::{MAX_SIZE, Page};
use super::super::query::Parameters;
use super::super::render::RenderContext;
use super::refuse;
use crate::App;
use crate::refusal::{Failure, format_of};
use crate::router::BODY_LIMIT;

/// The largest page of items in full: each of them takes several questions to the store.
const MAX_FULL_ITEMS: usize = 1_000;

/// What a request asks for. An extractor that leaves the body alone.
#[derive(Debug)]
pub(super) struct Asked {
    /// The format of the answer.
    pub(super) format: Format,
    /// The parameters of the query.
    pub(super) parameters: Parameters,
    /// The parsed `expand` parameter.
    pub(super) expand: Expand,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        let parameters = Parameters::from_query(request.uri().query());
        let expand = Expand::parse(&parameters.list("expand").join(","));
        Self {
            format: format_of(request),
            parameters,
            expand,
        }
    }

    /// What renderers need.
    pub(super) fn context(&self, app: &App) -> RenderContext {
        RenderContext {
            links: Links::new(app.base_url()),
            zone: app.engine().settings().time_zone.clone(),
            now_ms: madake_engine::clock::now_ms(),
            expand: self.expand.clone(),
        }
    }

    /// 200 with a document in the format that was asked for.
    pub(super) fn ok(&self, document: Document) -> Response {
        Answer::ok(document, self.format).into_response()
    }

    /// Which items of a list of `total` the answer has: by the paging parameters, or by the index range behind
    /// the list's name in `expand`.
    pub(super) fn window(&self, list: &str, item: &str, total: usize) -> Window {
        let full = self.expand.contains(&format!("{list}.{item}"));
        let max_size = if full { MAX_FULL_ITEMS } else { MAX_SIZE };
        let page = Page::from_parameters(&self.parameters, max_size);
        Window::new(page, self.expand.range(list), total, max_size)
    }
}

/// The part of a list that an answer has.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// What the answer says of it.
    pub(super) page: Page,
    /// The indexes of the items.
    pub(super) items: Range<usize>,
}

impl Window {
    /// The window of a list of `total` items.
    pub(super) fn new(page: Page, range: Option<IndexRange>, total: usize, max_size: usize) -> Self {
        let page = page.or_range(range, total, max_size);
        // A range that holds nothing still has a page size of 1, as clients count by it.
        let size = match range {
            Some(range) => range.resolve(total).1.min(page.size),
            None => page.size,
        };
        let start = page.start.min(total);
        Self {
            page,
            items: start..start.saturating_add(size).min(total),
        }
    }

    /// The items of the window out of the whole list.
    pub(super) fn cut<T>(&self, all: Vec<T>) -> Vec<T> {
        all.into_iter()
            .skip(self.items.start)
            .take(self.items.len())
            .collect()
    }
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&request))
    }
}

/// What a request asks for in its query and in a form body (bamboo-rest.md 1.3).
#[derive(Debug)]
pub(super) struct AskedWithForm(pub(super) Asked);

impl<S: Send + Sync> FromRequest<S> for AskedWithForm {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let mut asked = Asked::of(&request);
        let content_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = axum::body::to_bytes(request.into_body(), BODY_LIMIT)
            .await
            .map_err(|_| {
                refuse(ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "the body is too large or was cut off",
                ))
            })?;
        asked.parameters = asked
            .parameters
            .with_body(content_type.as_deref(), &body)
            .map_err(|error| refuse(error.into()))?;
        Ok(Self(asked))
    }
}
