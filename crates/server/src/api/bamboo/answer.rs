//! A document on its way out, printed in the format that the request asked for.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use super::negotiate::Format;
use super::node::Document;

/// An answer whose status, format and headers are settled.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// How the document is printed.
    pub format: Format,
    /// The content.
    pub document: Document,
    /// Further headers.
    pub headers: HeaderMap,
}

impl Answer {
    /// 200 with a document.
    #[must_use]
    pub fn ok(document: Document, format: Format) -> Self {
        Self::with_status(StatusCode::OK, document, format)
    }

    /// Any status with a document.
    #[must_use]
    pub fn with_status(status: StatusCode, document: Document, format: Format) -> Self {
        Self {
            status,
            format,
            document,
            headers: HeaderMap::new(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = match self.format {
            Format::Json => self.document.to_json(),
            Format::Xml => self.document.to_xml(),
        };
        let content_type = [(CONTENT_TYPE, self.format.content_type())];
        (self.status, self.headers, content_type, body).into_response()
    }
}
