//! The bytes of a file. Whoever wrote them must not speak for this server: nothing of it is run or rendered.

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::header;
use madake_engine::ops::read_files::AtPath;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::asked::{Asked, Name, Page};
use super::browse::{at, is_binary};
use super::turn;
use crate::App;
use crate::auth::Visitor;

/// The largest file that is sent, in bytes; it is held in memory.
const LIMIT: u64 = 32 * 1024 * 1024;

/// `raw/PATH?at=`, and in the Cloud's form `raw/AT/PATH`.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let found = asked.repository(&app, &visitor).await?;
    let _turn = turn().await;
    let revision = asked
        .revision(&app, &visitor, &found, Name::of(at(&asked)))
        .await?;
    let path = asked.path().trim_matches('/');
    let unreadable = |error| asked.unreadable(&app, &visitor, &error);
    let file = match found.at(&revision.id, path).await.map_err(unreadable)? {
        Some(AtPath::File(file)) => file,
        _ => {
            return Err(asked.missing(
                &app,
                &visitor,
                "There is no such file",
                "The revision has no file of this name.",
            ));
        }
    };
    if file.size > LIMIT {
        return Err(asked.too_large(&app, &visitor, file.size));
    }
    let content = found.content(&file, LIMIT).await.map_err(unreadable)?;
    let (kind, disposition) = if is_binary(&content) {
        ("application/octet-stream", "attachment")
    } else {
        ("text/plain; charset=utf-8", "inline")
    };
    let last = path.rsplit('/').next().unwrap_or_default();
    let disposition = format!(
        "{disposition}; filename*=UTF-8''{}",
        utf8_percent_encode(last, NON_ALPHANUMERIC)
    );
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox; frame-ancestors 'none'".to_owned(),
        ),
        (
            header::HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin".to_owned(),
        ),
    ];
    Ok((headers, content).into_response())
}
