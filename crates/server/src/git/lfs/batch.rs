//! `POST objects/batch`: which objects the client is to send or to fetch, and where (git-lfs `docs/api/batch.md`).

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use madake_engine::EngineError;
use madake_engine::ops::lfs::{LfsAccess, LfsOperation, PASS_SECONDS};
use madake_vcs::git::lfs::{LfsId, LfsObjects};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{access, address, answer, body, named, plain};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Objects of one request; git-lfs asks for 100.
const MOST_OBJECTS: usize = 1000;

#[derive(Debug, Deserialize)]
struct Batch {
    operation: String,
    #[serde(default)]
    transfers: Vec<String>,
    hash_algo: Option<String>,
    objects: Vec<Wanted>,
}

#[derive(Debug, Deserialize)]
struct Wanted {
    oid: String,
    size: u64,
}

pub(super) async fn batch(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let asked: Batch = body(&headers, &bytes)?;
    let operation = match asked.operation.as_str() {
        "download" => LfsOperation::Download,
        "upload" => LfsOperation::Upload,
        _ => {
            return Err(plain(
                StatusCode::UNPROCESSABLE_ENTITY,
                "`operation` is `download` or `upload`",
            ));
        }
    };
    let access = access(&app, &visitor, &headers, &named(&owner, &slug), operation).await?;
    if asked.hash_algo.as_deref().is_some_and(|name| name != "sha256") {
        return Err(plain(
            StatusCode::CONFLICT,
            "objects are named by their SHA-256: `hash_algo` is `sha256`",
        ));
    }
    if !asked.transfers.is_empty() && !asked.transfers.iter().any(|name| name == "basic") {
        return Err(plain(
            StatusCode::UNPROCESSABLE_ENTITY,
            "objects are transferred one at a time over HTTP: `transfers` must have `basic`",
        ));
    }
    if asked.objects.len() > MOST_OBJECTS {
        return Err(plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("one request asks for at most {MOST_OBJECTS} objects"),
        ));
    }
    let objects = LfsObjects::of(std::path::Path::new(&access.repository.path));
    let mut answers = Vec::with_capacity(asked.objects.len());
    for wanted in &asked.objects {
        answers.push(one(&app, &access, &objects, wanted, operation)?);
    }
    Ok(answer(
        StatusCode::OK,
        &json!({ "transfer": "basic", "objects": answers, "hash_algo": "sha256" }),
    ))
}

/// What the client is to do with one object, or why it cannot be had.
fn one(
    app: &App,
    access: &LfsAccess,
    objects: &LfsObjects,
    wanted: &Wanted,
    operation: LfsOperation,
) -> Result<Value, EngineError> {
    let problem = |code: u16, message: String| json!({ "oid": wanted.oid, "size": wanted.size, "error": { "code": code, "message": message } });
    let id = match LfsId::parse(&wanted.oid) {
        Ok(id) => id,
        Err(error) => return Ok(problem(422, error.to_string())),
    };
    let there = match objects.size_of(&id) {
        Ok(there) => there,
        Err(error) => {
            tracing::error!(repository = %access.repository.name, "an object of {} cannot be looked up: {error}", access.repository.name);
            return Ok(problem(500, "the server cannot look for this object".into()));
        }
    };
    let href = format!("{}/objects/{id}", address(app.base_url(), &access.repository));
    let action = |href: String, ticket: &str| {
        json!({
            "href": href,
            "header": { "Authorization": format!("Bearer {ticket}") },
            "expires_in": PASS_SECONDS,
        })
    };
    let actions = match (operation, there) {
        (LfsOperation::Download, Some(size)) if size == wanted.size => {
            let ticket = app.engine().lfs_ticket(access, &id, size, operation)?;
            json!({ "download": action(href, &ticket) })
        }
        (LfsOperation::Download, None) => {
            return Ok(problem(
                404,
                format!("{} has no such object", access.repository.name),
            ));
        }
        (_, Some(size)) if size != wanted.size => {
            return Ok(problem(
                422,
                format!("this object has {size} bytes and not {}", wanted.size),
            ));
        }
        // It is here already: nothing is to be done.
        (_, Some(_)) => return Ok(json!({ "oid": wanted.oid, "size": wanted.size })),
        (LfsOperation::Upload, None) => {
            if let Some(limit) = app
                .engine()
                .settings()
                .lfs_object_limit
                .filter(|limit| wanted.size > *limit)
            {
                return Ok(problem(
                    422,
                    format!(
                        "the object has {} bytes, and at most {limit} are taken here",
                        wanted.size
                    ),
                ));
            }
            let ticket = app.engine().lfs_ticket(access, &id, wanted.size, operation)?;
            json!({
                "upload": action(href.clone(), &ticket),
                "verify": action(format!("{href}/verify"), &ticket),
            })
        }
    };
    // The ticket is all that a transfer needs: the client is not to send credentials besides.
    Ok(json!({ "oid": wanted.oid, "size": wanted.size, "authenticated": true, "actions": actions }))
}
