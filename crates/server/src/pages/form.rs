//! What a form of a page brings.

use std::convert::Infallible;

use axum::extract::{FromRequest, Request};
use form_urlencoded::parse;
use http::{HeaderMap, header};

use super::login::is_same_origin;
use crate::App;

/// The largest form that is read, in bytes: a variable's value in its longest writing.
pub(crate) const FORM_LIMIT: usize = 1024 * 1024;

/// The fields of a form. What is no form, or too large, has none.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// A field; empty where there is none.
    pub(super) fn text(&self, wanted: &str) -> &str {
        let found = self.0.iter().find(|(name, _)| name == wanted);
        found.map_or("", |(_, value)| value)
    }

    /// Whether a page of this server sent it. Sessions bring their form token besides, but a browser that was told a
    /// password sends that along with every form.
    pub(super) fn is_ours(&self, headers: &HeaderMap, app: &App) -> bool {
        !self.0.is_empty() && is_same_origin(headers, app.base_url())
    }
}

/// Whether a request brings a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        if !is_form(request.headers()) {
            return Ok(Self(Vec::new()));
        }
        let body = axum::body::to_bytes(request.into_body(), FORM_LIMIT).await;
        Ok(Self(match body {
            Ok(body) => parse(&body).into_owned().collect(),
            Err(_) => Vec::new(),
        }))
    }
}
