//! Folders and files of a revision.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use madake_domain::text::inert;
use madake_engine::ops::read_files::{AtPath, FileAt, FolderAt};
use madake_engine::ops::read_repository::{NamedRevision, ReadableRepository};
use madake_vcs::git::read::EntryKind;
use serde_json::{Value, json};

use super::view::files;
use super::{Repository, readable};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::api::bitbucket::paging::Asked;
use crate::api::bitbucket::refused::Refused;
use crate::auth::Visitor;

/// The largest page of entries of a folder.
const MOST_CHILDREN: usize = 1000;
/// The largest page of paths.
const MOST_PATHS: usize = 100_000;
/// Lines of a file on a page where no number is asked for.
const LINES: usize = 500;
/// The largest page of lines.
const MOST_LINES: usize = 5000;
/// The largest file whose lines are told, in bytes.
const LARGEST_TEXT: u64 = 16 * 1024 * 1024;
/// The largest file that is sent, in bytes.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;

/// A repository and a path in it.
type InRepository = Path<(String, String, String)>;

/// `GET .../files?at=`
pub(super) async fn files(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &key, &slug).await?;
    paths(&found, "", query.as_deref()).await
}

/// `GET .../files/{path}?at=`: all files below a folder, relative to it.
pub(super) async fn files_below(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, path)): InRepository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &key, &slug).await?;
    paths(&found, &path, query.as_deref()).await
}

/// `GET .../browse?at=`
pub(super) async fn browse(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &key, &slug).await?;
    browsed(&found, "", query.as_deref()).await
}

/// `GET .../browse/{path}?at=&type=&size=&noContent=`: the entries of a folder, or the lines of a file.
pub(super) async fn browse_below(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, path)): InRepository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let found = readable(&app, &visitor, &key, &slug).await?;
    browsed(&found, &path, query.as_deref()).await
}

/// `GET .../raw/{path}?at=`: the bytes of a file.
pub(super) async fn raw(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, path)): InRepository,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &key, &slug).await?;
    let revision = named(&found, parameters.text("at")).await?;
    match found.at(&revision.id, &path).await? {
        Some(AtPath::File(file)) => Ok(sent(found.content(&file, LARGEST_FILE).await?)),
        _ => Err(no_path(&path, &revision)),
    }
}

/// A file as it is: text that no browser runs, or bytes to be saved.
pub(crate) fn sent(content: Vec<u8>) -> Response {
    let is_binary = files::is_binary(&content);
    let kind = if is_binary {
        "application/octet-stream"
    } else {
        "text/plain;charset=UTF-8"
    };
    let mut response = ([(header::CONTENT_TYPE, kind)], content).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    if is_binary {
        headers.insert(
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment"),
        );
    }
    response
}

async fn paths(found: &ReadableRepository, path: &str, query: Option<&str>) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query);
    let revision = named(found, parameters.text("at")).await?;
    let Some(AtPath::Folder(folder)) = found.at(&revision.id, path).await? else {
        return Err(no_path(path, &revision));
    };
    let all = found.files_below(&folder).await?;
    Ok(Json(Asked::server(&parameters, MOST_PATHS).of(all).server()))
}

async fn browsed(
    found: &ReadableRepository,
    path: &str,
    query: Option<&str>,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query);
    let revision = named(found, parameters.text("at")).await?;
    let there = found
        .at(&revision.id, path)
        .await?
        .ok_or_else(|| no_path(path, &revision))?;
    if parameters.explicit_flag("type") {
        let kind = match there {
            AtPath::File(_) => EntryKind::File,
            AtPath::Folder(_) => EntryKind::Folder,
            AtPath::Submodule => EntryKind::Submodule,
        };
        return Ok(Json(json!({ "type": files::type_name(kind) })));
    }
    match there {
        AtPath::Folder(inside) => folder(found, path, &revision, &inside, &parameters).await,
        AtPath::File(file) if parameters.explicit_flag("size") => Ok(Json(json!({ "size": file.size }))),
        AtPath::File(file) => lines(found, path, &file, &parameters).await,
        AtPath::Submodule => Err(no_path(path, &revision)),
    }
}

async fn folder(
    found: &ReadableRepository,
    path: &str,
    revision: &NamedRevision,
    folder: &FolderAt,
    parameters: &Parameters,
) -> Result<Json<Value>, Refused> {
    let part = Asked::server(parameters, MOST_CHILDREN).of(found.folder(folder).await?);
    let mut sizes = found.sizes(folder, &part.items).await?.into_iter();
    let children = part.map(|entry| files::child(&entry, sizes.next().flatten()));
    Ok(Json(files::folder(path, &revision.name, children)))
}

async fn lines(
    found: &ReadableRepository,
    path: &str,
    file: &FileAt,
    parameters: &Parameters,
) -> Result<Json<Value>, Refused> {
    let content = found.content(file, LARGEST_TEXT).await?;
    if files::is_binary(&content) {
        let path = madake_formats::outgoing::resource::server_path(path);
        return Ok(Json(json!({ "binary": true, "path": path })));
    }
    let mut asked = Asked::server(parameters, MOST_LINES);
    if parameters.text("limit").is_none() {
        asked.limit = LINES;
    }
    let part = asked.of(files::lines(&content));
    let mut shown = files::source(part);
    if parameters.explicit_flag("noContent")
        && let Some(shown) = shown.as_object_mut()
    {
        shown.remove("lines");
    }
    Ok(Json(shown))
}

async fn named(found: &ReadableRepository, at: Option<&str>) -> Result<NamedRevision, Refused> {
    found.revision(at).await.map_err(|error| {
        Refused::from(error).missing_is(match at {
            None => "repository.NoDefaultBranchException",
            Some(_) => "commit.NoSuchCommitException",
        })
    })
}

fn no_path(path: &str, revision: &NamedRevision) -> Refused {
    Refused::missing(
        "content.NoSuchPathException",
        format!(
            "the path \"{}\" does not exist at revision \"{}\"",
            inert(path, 300),
            inert(&revision.name, 200)
        ),
    )
}
