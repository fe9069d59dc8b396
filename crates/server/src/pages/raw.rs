//! The bytes of a file. Whoever wrote them must not speak for this server: nothing of it is run or rendered.

use std::path::Path;

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::header;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::asked::{Asked, Page};
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
    let name = at(&asked).unwrap_or(&found.default_branch);
    let revision = asked.revision(&app, &visitor, &found, name).await?;
    let path = asked.path().trim_matches('/');
    let content = app
        .engine()
        .reader()
        .file_at(Path::new(&found.path), &revision.commit, path, LIMIT)
        .await
        .map_err(|error| asked.unreadable(&app, &visitor, &error))?
        .ok_or_else(|| {
            asked.missing(
                &app,
                &visitor,
                "There is no such file",
                "The revision has no file of this name.",
            )
        })?;
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
