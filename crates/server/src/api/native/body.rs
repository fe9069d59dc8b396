//! Reads what requests bring, and refuses what it does not understand with a sentence; and the answer to what was set.

use std::str::FromStr;

use axum::Json as Answer;
use axum::extract::{FromRequest, Request};
use http::{StatusCode, header};
use madake_domain::text::inert;
use madake_engine::EngineError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::bamboo::error::ApiError;
use crate::refusal::Failure;
use crate::router::BODY_LIMIT;

/// A JSON body. It must say that it is JSON: a form of a foreign page cannot, so a browser that kept credentials
/// cannot be made to send one. Without a body, an empty object is read.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send JSON, with the header Content-Type: application/json",
            ));
        }
        let bytes = axum::body::to_bytes(request.into_body(), BODY_LIMIT)
            .await
            .map_err(|_| {
                plain(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "the body is too large or ended early",
                )
            })?;
        let text = if bytes.is_empty() {
            b"{}".as_slice()
        } else {
            &bytes
        };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| invalid(format!("the body cannot be read: {error}")).into())
    }
}

/// What was set as it is seen now, with the sentence about it that its owner should read: 201 when it is new.
pub(super) fn set_answer(
    mut view: Value,
    warning: Option<&str>,
    is_new: bool,
) -> (StatusCode, Answer<Value>) {
    view["warning"] = json!(warning);
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    (status, Answer(view))
}

/// The body of a call that needs nothing said; [`Json`] keeps foreign pages from making it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A key or number of the path.
///
/// # Errors
/// A 400 that quotes it.
pub(super) fn parse<T: FromStr>(text: &str) -> Result<T, EngineError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| invalid(format!("{error}")))
}

/// The id of a row.
///
/// # Errors
/// A 400 that quotes it.
pub(super) fn id(text: &str) -> Result<i64, EngineError> {
    text.parse()
        .map_err(|_| invalid(format!("`{}` is not a number", inert(text, 40))))
}

/// A 400.
pub(super) fn invalid(message: impl Into<String>) -> EngineError {
    EngineError::Invalid(message.into())
}

/// A refusal that nobody needs to find in the ledger.
pub(super) fn plain(status: StatusCode, message: &str) -> Failure {
    Failure {
        error: ApiError::new(status, message),
        trace: None,
    }
}
