//! Mercurial over HTTP for hosted and attached repositories: clone, pull and push by hg's own protocol.
//!
//! All requests go to the address of the repository; what one may do is in its query (`cmd=unbundle`).

use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use futures_util::TryStreamExt;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use madake_domain::permission::Permission;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::event::Via;
use madake_store::repository::Repository;
use madake_vcs::hg::serve::http::{HttpAnswer, HttpRequest};
use madake_vcs::hg::serve::{Access as HgAccess, ServeError};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::App;
use crate::api::bamboo::error::ApiError;
use crate::auth::Visitor;
use crate::refusal::Failure;
use crate::routes::{Access, Routes};

/// Headers of an answer that belong to the connection, which is ours.
const OF_THE_CONNECTION: [HeaderName; 3] = [header::CONNECTION, header::TRANSFER_ENCODING, header::DATE];

/// The routes of Mercurial over HTTP.
pub(crate) fn routes() -> Routes {
    let access = Access::Permission("READ, and WRITE to push, on the repository");
    Routes::default()
        .add(Method::GET, "/hg/{owner}/{slug}", access, serve)
        .add(Method::POST, "/hg/{owner}/{slug}", access, serve)
}

async fn serve(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let asked = HttpRequest {
        method: parts.method.as_str(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        address: visitor.caller.address.parse().ok(),
        secure: app.base_url().starts_with("https://"),
    };
    let access = asked.access();
    let needed = match access {
        Ok(HgAccess::Write) => Permission::Write,
        // What is no request of the protocol is refused to those who may read; others learn nothing.
        Ok(HgAccess::Read) | Err(_) => Permission::Read,
    };
    let found = repository(&app, &visitor, &owner, &slug, needed).await?;
    if parts.method == Method::GET && asked.query.is_empty() {
        // A person opened it.
        return Ok(crate::pages::of_repository(&app, &found));
    }
    access.map_err(|error| failed(&found, &error))?;
    let engine = app.engine();
    let keeper = Arc::new(engine.hg_push_keeper(visitor.caller.clone(), found.clone(), Via::Http));
    let stream = TryStreamExt::map_err(body.into_data_stream(), io::Error::other);
    let mercurial = engine.mercurial().map_err(Failure::from)?;
    let pusher = Some(visitor.caller.name().to_owned());
    let answer = mercurial
        .http()
        .serve(
            FilePath::new(&found.path),
            &asked,
            StreamReader::new(stream),
            pusher,
            keeper,
        )
        .await
        .map_err(|error| failed(&found, &error))?;
    answered(answer).ok_or_else(|| {
        tracing::error!(repository = %found.name, "hg answered for {} with what is no HTTP", found.name);
        internal()
    })
}

async fn repository(
    app: &App,
    visitor: &Visitor,
    owner: &str,
    slug: &str,
    needed: Permission,
) -> Result<Repository, Failure> {
    let found = app
        .engine()
        .repository_for(&visitor.caller, &format!("{owner}/{slug}"), needed)
        .await
        .map_err(|error| {
            let mut failure = Failure::from(error);
            if !visitor.caller.principal.is_logged_in() {
                // Clients ask without credentials first and send them after the challenge: that is no refusal.
                failure.trace = None;
            }
            failure
        })?;
    if found.scm != Scm::Hg {
        return Err(of_the_other_system(app, &found));
    }
    if needed == Permission::Write && found.kind != RepositoryKind::Hosted {
        return Err(Failure::traced(
            ApiError::forbidden("this repository is not hosted here: push to where it lives"),
            format!("repository {}", found.name),
            "a push to a repository that is not hosted here",
        ));
    }
    Ok(found)
}

/// What a client of one system is told that asks for a repository of the other.
pub(crate) fn of_the_other_system(app: &App, found: &Repository) -> Failure {
    let (title, url) = (
        found.scm.title(),
        madake_engine::order::clone_url(app.base_url(), found),
    );
    Failure {
        error: ApiError::not_found(format!(
            "{} is a {title} repository: its address is {url}",
            found.name
        )),
        trace: None,
    }
}

fn answered(answer: HttpAnswer) -> Option<Response> {
    let mut response = Response::new(Body::from_stream(ReaderStream::new(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).ok()?;
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name).ok()?;
        if !OF_THE_CONNECTION.contains(&name) {
            let value = HeaderValue::try_from(value).ok()?;
            response.headers_mut().append(name, value);
        }
    }
    Some(response)
}

fn failed(found: &Repository, error: &ServeError) -> Failure {
    if let ServeError::Malformed(reason) = error {
        return Failure {
            error: ApiError::invalid(format!(
                "this address is for Mercurial clients (hg clone): {reason}"
            )),
            trace: None,
        };
    }
    tracing::error!(repository = %found.name, "{} cannot be served: {error}", found.name);
    internal()
}

fn internal() -> Failure {
    Failure {
        error: ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the repository cannot be read"),
        trace: None,
    }
}
