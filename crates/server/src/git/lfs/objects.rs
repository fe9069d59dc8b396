//! The basic transfer: one object by `GET` or `PUT` (git-lfs `docs/api/basic-transfers.md`).

use std::io::{self, SeekFrom};

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::TryStreamExt as _;
use http::{HeaderMap, StatusCode, header};
use madake_engine::ops::lfs::{LfsAccess, LfsOperation};
use madake_vcs::git::lfs::{LfsId, LfsObjects, ReceiveError};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{answer, body, named, object, object_access, plain};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Bytes of an object that are read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Sends an object, or the part that `Range` asks for: an interrupted download goes on where it ended.
pub(super) async fn download(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, oid)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = object(&oid)?;
    let name = named(&owner, &slug);
    let (access, _) = object_access(&app, &visitor, &headers, &name, &id, LfsOperation::Download).await?;
    let opened = objects_of(&access)
        .open(&id)
        .await
        .map_err(|error| unreadable(&access, &error))?;
    let Some((mut file, size)) = opened else {
        return Err(not_here(&access));
    };
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let part = match asked.map_or(Part::Whole, |text| part_of(text, size)) {
        Part::Unsatisfiable => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
        Part::Whole => None,
        Part::Bytes { first, last } => Some((first, last)),
    };
    let mut answered = HeaderMap::new();
    let (first, length) = part.map_or((0, size), |(first, last)| (first, last - first + 1));
    if first > 0 {
        file.seek(SeekFrom::Start(first))
            .await
            .map_err(|error| unreadable(&access, &error))?;
    }
    let fields = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, format!("\"{id}\"")),
        (header::CACHE_CONTROL, "private, no-transform".to_owned()),
    ];
    let range = part.map(|(first, last)| (header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}")));
    for (name, value) in fields.into_iter().chain(range) {
        if let Ok(value) = value.parse() {
            answered.insert(name, value);
        }
    }
    let status = if part.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let stream = ReaderStream::with_capacity(file.take(length), CHUNK_BYTES);
    Ok((status, answered, Body::from_stream(stream)).into_response())
}

/// Takes an object. It is there, durable and with the right content, when this answers 200.
pub(super) async fn upload(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, oid)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let id = object(&oid)?;
    let headers = request.headers().clone();
    let name = named(&owner, &slug);
    let (access, ticketed) =
        object_access(&app, &visitor, &headers, &name, &id, LfsOperation::Upload).await?;
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(plain(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the object as it is, without Content-Encoding",
        ));
    }
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    let Some(size) = ticketed.or(announced) else {
        return Err(plain(
            StatusCode::LENGTH_REQUIRED,
            "say how large the object is, with the header Content-Length",
        ));
    };
    if let Some(limit) = app
        .engine()
        .settings()
        .lfs_object_limit
        .filter(|limit| size > *limit)
    {
        return Err(plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the object has {size} bytes, and at most {limit} are taken here"),
        ));
    }
    let bytes = StreamReader::new(request.into_body().into_data_stream().map_err(io::Error::other));
    let taken = objects_of(&access).receive(&id, size, bytes).await;
    if let Err(error) = taken {
        return Err(not_taken(&access, &id, &error));
    }
    let (who, to) = (&access.principal, &access.repository.name);
    tracing::info!(repository = %to, principal = %who, size, "{who} uploaded object {id} ({size} bytes) to {to}");
    Ok(StatusCode::OK.into_response())
}

#[derive(Debug, Deserialize)]
struct Uploaded {
    oid: String,
    size: u64,
}

/// Says whether an object that the client has sent is here.
pub(super) async fn verify(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, oid)): Path<(String, String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let id = object(&oid)?;
    let name = named(&owner, &slug);
    let (access, _) = object_access(&app, &visitor, &headers, &name, &id, LfsOperation::Upload).await?;
    let sent: Uploaded = body(&headers, &bytes)?;
    let there = objects_of(&access)
        .size_of(&id)
        .map_err(|error| unreadable(&access, &error))?;
    if sent.oid != id.as_str() || there != Some(sent.size) {
        return Err(not_here(&access));
    }
    Ok(answer(
        StatusCode::OK,
        &json!({ "oid": sent.oid, "size": sent.size }),
    ))
}

fn objects_of(access: &LfsAccess) -> LfsObjects {
    LfsObjects::of(std::path::Path::new(&access.repository.path))
}

fn not_here(access: &LfsAccess) -> Failure {
    plain(
        StatusCode::NOT_FOUND,
        format!("{} has no such object", access.repository.name),
    )
}

fn unreadable(access: &LfsAccess, error: &io::Error) -> Failure {
    tracing::error!(repository = %access.repository.name, "an object of {} cannot be read: {error}", access.repository.name);
    plain(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the object cannot be read; the log of the server has the cause",
    )
}

fn not_taken(access: &LfsAccess, id: &LfsId, error: &ReceiveError) -> Failure {
    let (name, who) = (&access.repository.name, &access.principal);
    let status = match error {
        ReceiveError::Size { .. } | ReceiveError::Hash { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        ReceiveError::Sender(_) => StatusCode::BAD_REQUEST,
        ReceiveError::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    tracing::warn!(repository = %name, principal = %who, "object {id} of {who} was not taken into {name}: {error}");
    let message = match status {
        StatusCode::INTERNAL_SERVER_ERROR => {
            "the object cannot be stored; the log of the server has the cause".to_owned()
        }
        _ => error.to_string(),
    };
    plain(status, message)
}

/// What of an object is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Bytes { first: u64, last: u64 },
    Unsatisfiable,
}

/// Reads a `Range` header (RFC 9110, 14.1.2). Several ranges, and what is not understood, mean the whole.
fn part_of(text: &str, size: u64) -> Part {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(0)) => Part::Unsatisfiable,
        ("", _, _, Some(_)) if size == 0 => Part::Unsatisfiable,
        ("", _, _, Some(count)) => Part::Bytes {
            first: size.saturating_sub(count),
            last: size - 1,
        },
        (_, Some(first), "", _) if first < size => Part::Bytes {
            first,
            last: size - 1,
        },
        (_, Some(first), _, Some(last)) if first <= last && first < size => Part::Bytes {
            first,
            last: last.min(size - 1),
        },
        (_, Some(first), "", _) if first >= size => Part::Unsatisfiable,
        (_, Some(first), _, Some(last)) if first <= last => Part::Unsatisfiable,
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_has_them() {
        let bytes = |first, last| Part::Bytes { first, last };
        for (text, size, expected) in [
            ("bytes=0-0", 10, bytes(0, 0)),
            ("bytes=3-", 10, bytes(3, 9)),
            ("bytes=3-99", 10, bytes(3, 9)),
            ("bytes=-4", 10, bytes(6, 9)),
            ("bytes=-40", 10, bytes(0, 9)),
            ("bytes=10-", 10, Part::Unsatisfiable),
            ("bytes=10-12", 10, Part::Unsatisfiable),
            ("bytes=0-", 0, Part::Unsatisfiable),
            ("bytes=-1", 0, Part::Unsatisfiable),
            ("bytes=-0", 10, Part::Unsatisfiable),
            ("bytes=5-3", 10, Part::Whole),
            ("bytes=0-1,4-5", 10, Part::Whole),
            ("bytes=+1-3", 10, Part::Whole),
            ("lines=1-3", 10, Part::Whole),
            ("bytes=-", 10, Part::Whole),
            ("bytes=x-3", 10, Part::Whole),
        ] {
            assert_eq!(part_of(text, size), expected, "{text} of {size}");
        }
    }
}
