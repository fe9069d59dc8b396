//! Git LFS over HTTP, below `/scm/owner/slug.git/info/lfs`: the batch call, the basic transfer, locks (git-lfs
//! `docs/api`).
//!
//! Objects go through this server, and each is a file of its repository. The batch call asks for permission and gives
//! out tickets, one for each object, so that transfers work whichever way the client came.

mod batch;
mod locks;
mod objects;

use axum::body::Bytes;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, header};
use madake_domain::permission::Permission;
use madake_engine::EngineError;
use madake_engine::ops::lfs::{LfsAccess, LfsOperation, is_lfs_token};
use madake_store::repository::Repository;
use madake_vcs::git::lfs::LfsId;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::App;
use crate::api::bamboo::error::ApiError;
use crate::auth::Visitor;
use crate::refusal::Failure;
use crate::routes::{Access, Routes};

/// The media type of requests and answers.
const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// The routes of Git LFS.
pub(super) fn routes() -> Routes {
    let access = Access::Permission(
        "READ, and WRITE to upload and to lock, on the repository; or a pass or ticket for it",
    );
    Routes::default()
        .add(
            Method::POST,
            "/scm/{owner}/{slug}/info/lfs/objects/batch",
            access,
            batch::batch,
        )
        .add(
            Method::GET,
            "/scm/{owner}/{slug}/info/lfs/objects/{oid}",
            access,
            objects::download,
        )
        .add(
            Method::PUT,
            "/scm/{owner}/{slug}/info/lfs/objects/{oid}",
            access,
            objects::upload,
        )
        .add(
            Method::POST,
            "/scm/{owner}/{slug}/info/lfs/objects/{oid}/verify",
            access,
            objects::verify,
        )
        .add(
            Method::GET,
            "/scm/{owner}/{slug}/info/lfs/locks",
            access,
            locks::list,
        )
        .add(
            Method::POST,
            "/scm/{owner}/{slug}/info/lfs/locks",
            access,
            locks::lock,
        )
        .add(
            Method::POST,
            "/scm/{owner}/{slug}/info/lfs/locks/verify",
            access,
            locks::verify,
        )
        .add(
            Method::POST,
            "/scm/{owner}/{slug}/info/lfs/locks/{id}/unlock",
            access,
            locks::unlock,
        )
}

/// Whether a request for this path brings a pass or a ticket instead of credentials: then who makes it is found out by
/// the handler. Anywhere else they are no credentials at all.
pub(crate) fn brings_pass(path: &str, authorization: &str) -> bool {
    path.starts_with("/scm/") && path.contains("/info/lfs/") && token_in(authorization).is_some()
}

/// Where Git LFS of a repository is served.
#[must_use]
pub(crate) fn address(base_url: &str, found: &Repository) -> String {
    format!(
        "{base_url}/scm/{}/{}.git/info/lfs",
        found.owner.to_lowercase(),
        found.slug.to_lowercase()
    )
}

fn token_in(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && is_lfs_token(token)).then_some(token)
}

fn token_of(headers: &HeaderMap) -> Option<&str> {
    token_in(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// The repository in the words of a path.
fn named(owner: &str, slug: &str) -> String {
    format!("{owner}/{}", slug.strip_suffix(".git").unwrap_or(slug))
}

async fn access(
    app: &App,
    visitor: &Visitor,
    headers: &HeaderMap,
    name: &str,
    operation: LfsOperation,
) -> Result<LfsAccess, Failure> {
    app.engine()
        .lfs_access(&visitor.caller, token_of(headers), name, operation)
        .await
        .map_err(|error| refused(visitor, headers, error))
}

async fn object_access(
    app: &App,
    visitor: &Visitor,
    headers: &HeaderMap,
    name: &str,
    object: &LfsId,
    operation: LfsOperation,
) -> Result<(LfsAccess, Option<u64>), Failure> {
    app.engine()
        .lfs_object_access(&visitor.caller, token_of(headers), name, object, operation)
        .await
        .map_err(|error| refused(visitor, headers, error))
}

fn refused(visitor: &Visitor, headers: &HeaderMap, error: EngineError) -> Failure {
    let mut failure = Failure::from(error);
    if !visitor.caller.principal.is_logged_in() && !headers.contains_key(header::AUTHORIZATION) {
        // Git LFS asks without credentials first and sends them after the challenge: that is no refusal.
        failure.trace = None;
    }
    failure
}

/// Whether who has this access may write as well; asked for what an answer says and not for what is done.
async fn may_upload(app: &App, visitor: &Visitor, headers: &HeaderMap, name: &str) -> bool {
    let asked = app
        .engine()
        .lfs_access(&visitor.caller, token_of(headers), name, LfsOperation::Upload);
    asked.await.is_ok()
}

/// A request that cannot be understood or carried out, which nobody needs to find in the ledger.
#[derive(Debug)]
struct Unfit {
    status: StatusCode,
    message: String,
}

impl From<Unfit> for Failure {
    fn from(unfit: Unfit) -> Self {
        plain(unfit.status, unfit.message)
    }
}

fn unprocessable(message: impl Into<String>) -> Unfit {
    Unfit {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        message: message.into(),
    }
}

/// The name of an object in a path.
fn object(text: &str) -> Result<LfsId, Unfit> {
    LfsId::parse(text).map_err(|error| unprocessable(error.to_string()))
}

/// A JSON body. It must say that it is JSON: a form of a foreign page cannot.
fn body<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes) -> Result<T, Unfit> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next())
        .map(str::trim)
        .is_some_and(|kind| {
            [MEDIA_TYPE, "application/json"]
                .iter()
                .any(|known| kind.eq_ignore_ascii_case(known))
        });
    if !is_json {
        return Err(Unfit {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            message: format!("send JSON, with the header Content-Type: {MEDIA_TYPE}"),
        });
    }
    serde_json::from_slice(bytes).map_err(|error| unprocessable(format!("the body cannot be read: {error}")))
}

fn answer(status: StatusCode, content: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, MEDIA_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, content.to_string()).into_response()
}

/// A refusal that nobody needs to find in the ledger.
fn plain(status: StatusCode, message: impl Into<String>) -> Failure {
    Failure {
        error: ApiError::new(status, message),
        trace: None,
    }
}

/// 403 for want of a permission that the access itself does not ask for.
fn lacking(access: &LfsAccess, needed: Permission) -> Failure {
    Failure::traced(
        ApiError::forbidden(format!("{needed} on {} is needed", access.repository.name)),
        format!("repository {}", access.repository.name),
        format!("lacks {needed}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_count_below_git_lfs_alone() {
        let good = "Bearer mdkp_00";
        assert!(brings_pass("/scm/proj/app.git/info/lfs/objects/batch", good));
        assert!(brings_pass("/scm/proj/app.git/info/lfs/locks", "bearer mdkt_00"));
        for (path, authorization) in [
            ("/scm/proj/app.git/info/refs", good),
            ("/scm/proj/app.git/git-receive-pack", good),
            ("/rest/madake/1.0/info/lfs/x", good),
            ("/scm/proj/app.git/info/lfs/locks", "Bearer mdk_00"),
            ("/scm/proj/app.git/info/lfs/locks", "Basic mdkp_00"),
            ("/scm/proj/app.git/info/lfs/locks", "mdkp_00"),
        ] {
            assert!(!brings_pass(path, authorization), "{path} {authorization}");
        }
    }
}
