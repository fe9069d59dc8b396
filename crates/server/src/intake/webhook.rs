//! Push webhooks: `POST /intake/{token}`.

use std::io::Write as _;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http_body_util::BodyExt as _;
use madake_engine::ops::receive_webhook::{WebhookRefusal, WebhookRequest};
use madake_store::event::Received;
use serde_json::json;

use crate::App;
use crate::api::bamboo::error::ApiError;
use crate::auth::Visitor;
use crate::refusal::Failure;
use crate::router::{BODY_LIMIT, is_gzip};

/// How long a sender may take for its body.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Takes a delivery: 202 once it is on disk, with the id of its entry in the ledger.
pub(super) async fn receive(
    State(app): State<App>,
    visitor: Visitor,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let packed = is_gzip(&request);
    let body = tokio::time::timeout(BODY_DEADLINE, read_body(request, packed))
        .await
        .map_err(|_| refused(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))??;
    let outcome = app
        .engine()
        .receive_webhook(&visitor.caller, WebhookRequest { token, headers, body })
        .await?;
    match outcome {
        Ok(Some(received)) => {
            let duplicate_of = match received {
                Received::Repeat { first, .. } => Some(first),
                Received::Entered(_) => None,
            };
            let answer = json!({ "event": received.id(), "duplicateOf": duplicate_of });
            Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
        }
        // A connection test, or an event that moves no ref.
        Ok(None) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(WebhookRefusal::Unknown(reason)) => Err(Failure::traced(
            ApiError::not_found("HTTP 404 Not Found"),
            "webhook",
            reason,
        )),
        Err(WebhookRefusal::Signature(reason)) => Err(Failure::traced(
            ApiError::unauthorized(reason.clone(), false),
            "webhook",
            reason,
        )),
        Err(WebhookRefusal::TooLarge(reason)) => Err(refused(StatusCode::PAYLOAD_TOO_LARGE, &reason)),
        Err(WebhookRefusal::Malformed(reason)) => Err(Failure::traced(
            ApiError::invalid(reason.clone()),
            "webhook",
            reason,
        )),
    }
}

fn refused(status: StatusCode, reason: &str) -> Failure {
    Failure::traced(ApiError::new(status, reason), "webhook", reason)
}

/// Reads the body up to the limit, also after unpacking; what is larger is refused before it is looked at.
async fn read_body(request: Request, packed: bool) -> Result<Vec<u8>, Failure> {
    let too_large = || refused(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 10 MiB");
    let announced = request
        .headers()
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if announced
        .and_then(|text| text.parse::<usize>().ok())
        .is_some_and(|length| length > BODY_LIMIT)
    {
        return Err(too_large());
    }
    let mut body = request.into_body();
    let mut plain = Vec::new();
    let mut unpacker = packed.then(|| flate2::write::MultiGzDecoder::new(Vec::new()));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| refused(StatusCode::BAD_REQUEST, "the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        match &mut unpacker {
            None => {
                plain.extend_from_slice(&data);
                if plain.len() > BODY_LIMIT {
                    return Err(too_large());
                }
            }
            Some(unpacker) => {
                for piece in data.chunks(4096) {
                    unpacker
                        .write_all(piece)
                        .map_err(|_| refused(StatusCode::BAD_REQUEST, "the gzip body is damaged"))?;
                    if unpacker.get_ref().len() > BODY_LIMIT {
                        return Err(too_large());
                    }
                }
            }
        }
    }
    match unpacker {
        Some(unpacker) => unpacker
            .finish()
            .map_err(|_| refused(StatusCode::BAD_REQUEST, "the gzip body is damaged")),
        None => Ok(plain),
    }
}
