//! Files and folders of the 2.0 interface, and raw files of the 1.0 interface.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_engine::ops::read_files::AtPath;
use madake_engine::ops::read_repository::ReadableRepository;
use madake_vcs::git::read::EntryKind;

use super::view::repository as view;
use super::{Below, Repository, readable};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::api::bitbucket::paging::Asked;
use crate::api::bitbucket::refused::Refused;
use crate::api::bitbucket::server::files::sent;
use crate::auth::Visitor;

/// The largest file that is sent, in bytes.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;

/// A repository, a revision and a path.
type InRevision = Path<(String, String, String, String)>;

/// `GET .../src`: the root of the default branch.
pub(super) async fn root(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    shown(&found, None, "", query.as_deref()).await
}

/// `GET .../src/{revision}`
pub(super) async fn revision(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, revision)): Below,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    shown(&found, Some(&revision), "", query.as_deref()).await
}

/// `GET .../src/{revision}/{path}?format=meta`: a file as it is, or the entries of a folder.
pub(super) async fn path(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, revision, path)): InRevision,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    shown(&found, Some(&revision), &path, query.as_deref()).await
}

/// `GET /1.0/.../raw/{revision}/{path}`
pub(super) async fn raw(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, revision, path)): InRevision,
) -> Result<Response, Refused> {
    let found = readable(&app, &visitor, &owner, &slug).await?;
    let revision = found.revision(Some(&revision)).await?;
    match found.at(&revision.id, &path).await? {
        Some(AtPath::File(file)) => Ok(sent(found.content(&file, LARGEST_FILE).await?)),
        _ => Err(no_path(&path)),
    }
}

async fn shown(
    found: &ReadableRepository,
    revision: Option<&str>,
    path: &str,
    query: Option<&str>,
) -> Result<Response, Refused> {
    let parameters = Parameters::from_query(query);
    let revision = found.revision(revision).await?;
    let hash = revision.id.to_string();
    let facts = found.facts();
    let is_meta = parameters.text("format") == Some("meta");
    match found.at(&revision.id, path).await?.ok_or_else(|| no_path(path))? {
        AtPath::File(file) if is_meta => {
            Ok(Json(view::entry(facts, &hash, path, EntryKind::File, Some(file.size))).into_response())
        }
        AtPath::File(file) => Ok(sent(found.content(&file, LARGEST_FILE).await?)),
        AtPath::Folder(_) if is_meta => {
            Ok(Json(view::entry(facts, &hash, path, EntryKind::Folder, None)).into_response())
        }
        AtPath::Folder(folder) => {
            let part = Asked::cloud(&parameters).of(found.folder(&folder).await?);
            let mut sizes = found.sizes(&folder, &part.items).await?.into_iter();
            let part = part.map(|entry| {
                let below = view::path_below(path, &entry);
                view::entry(facts, &hash, &below, entry.kind, sizes.next().flatten())
            });
            let address = view::address(found, &format!("/src/{hash}/{path}"));
            Ok(Json(part.cloud(&address, &parameters)).into_response())
        }
        AtPath::Submodule => Err(no_path(path)),
    }
}

fn no_path(path: &str) -> Refused {
    EngineError::NotFound(format!("No such file or directory: {}", inert(path, 300))).into()
}
