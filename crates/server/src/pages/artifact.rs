//! Artifacts over HTTP (bamboo-rest.md 5.9): files with ranges, folders as lists, and whole with `?download=zip`.
//!
//! Whoever wrote a file must not speak for this server: pages and pictures with scripts are handed out to be kept, and
//! nothing of a file is run (hostile-inputs.md T3). Who may not read the plan learns nothing, not even that it is there
//! (T4).

use std::collections::BTreeMap;
use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use madake_domain::key::{EntityKey, PlanKey};
use madake_domain::permission::Permission;
use madake_engine::EngineError;
use madake_engine::access::{Caller, plan_for};
use madake_formats::byte_range::{ByteRange, byte_range};
use madake_store::artifact::{self, Artifact, ArtifactFile};
use madake_store::blob::BlobHash;
use madake_store::build::Build;
use madake_store::build_query::{self, Filter};
use madake_store::{StoreError, Tx};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::asked::{Asked, Page, Refused};
use super::build;
use super::shown;
use super::template::render;
use super::zip;
use crate::App;
use crate::api::bamboo::error::ApiError;
use crate::api::bamboo::link::Links;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Entries of a folder that a page lists.
const MOST_ENTRIES: usize = 5000;
/// Bytes of a file that are read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Which build the address means.
enum Which {
    Number(i64),
    Latest,
    LatestSuccessful,
}

/// What the address leads to.
enum Found {
    File(ArtifactFile),
    Folder(ListingPage),
    /// All files below the folder, to be sent as one: their paths without so many bytes at the beginning.
    Whole {
        name: String,
        front: usize,
        files: Vec<ArtifactFile>,
    },
}

#[derive(Debug, Serialize)]
struct ListingPage {
    heading: String,
    build: String,
    build_url: String,
    entries: Vec<Entry>,
    truncated: bool,
    zip_url: String,
}

#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    url: String,
    kind: &'static str,
    note: String,
}

/// `/browse/{result}/artifact/{folder}/{name}[/{path}]`, where the folder is `shared` or the key of a job.
pub(super) async fn of_result(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
    headers: HeaderMap,
) -> Page {
    let named = match asked.part("key").parse() {
        Ok(EntityKey::Result(key)) => Some((key.plan, Which::Number(key.number), None)),
        Ok(EntityKey::LatestResult(plan)) => Some((plan, Which::Latest, None)),
        // A job's result: the job need not be named again.
        Ok(EntityKey::JobResult(key)) => Some((key.job.plan, Which::Number(key.number), Some(key.job.job))),
        _ => None,
    };
    show(&app, &visitor, &asked, &headers, named).await
}

/// `/browse/{plan}/latest/artifact/...`
pub(super) async fn of_latest(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
    headers: HeaderMap,
) -> Page {
    let named = plan_of(&asked).map(|(plan, job)| (plan, Which::Latest, job));
    show(&app, &visitor, &asked, &headers, named).await
}

/// `/browse/{plan}/latestSuccessful/artifact/...`
pub(super) async fn of_latest_successful(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
    headers: HeaderMap,
) -> Page {
    let named = plan_of(&asked).map(|(plan, job)| (plan, Which::LatestSuccessful, job));
    show(&app, &visitor, &asked, &headers, named).await
}

fn plan_of(asked: &Asked) -> Option<(PlanKey, Option<String>)> {
    match asked.part("key").parse().ok()? {
        EntityKey::Plan(plan) => Some((plan, None)),
        EntityKey::Job(job) => Some((job.plan, Some(job.job))),
        _ => None,
    }
}

async fn show(
    app: &App,
    visitor: &Visitor,
    asked: &Asked,
    headers: &HeaderMap,
    named: Option<(PlanKey, Which, Option<String>)>,
) -> Page {
    let missing = || {
        asked.missing(
            app,
            visitor,
            "There is no such artifact",
            "It does not exist, it had its time, or you may not read it.",
        )
    };
    let Some((plan, which, job)) = named else {
        return Err(missing());
    };
    let caller = visitor.caller.clone();
    let links = Links::new(app.base_url());
    let wanted = Wanted {
        folder: asked.part("folder").to_owned(),
        job,
        name: asked.part("name").to_owned(),
        path: asked.part("path").trim_matches('/').to_owned(),
        as_zip: asked.query.text("download") == Some("zip"),
    };
    let found = app
        .engine()
        .store()
        .read(move |tx| {
            let Some(build) = build_of(tx, &caller, &plan, &which)? else {
                return Ok(None);
            };
            wanted.look(tx, &build, &links)
        })
        .await;
    match found {
        Ok(Some(Found::File(file))) => send(app, headers, &file).await.map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return missing();
            }
            Refused::from(EngineError::Unavailable(format!(
                "a file of an artifact cannot be read: {error}"
            )))
        }),
        Ok(Some(Found::Folder(page))) => {
            let frame = asked.frame(app, visitor, &page.heading);
            Ok(render(StatusCode::OK, "artifact.html", &frame, &page))
        }
        Ok(Some(Found::Whole { name, front, files })) => {
            if let Some(reason) = zip::too_large(&files) {
                return Err(Refused::Other(Box::new(Failure {
                    error: ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, &reason),
                    trace: None,
                })));
            }
            let answered = kept_headers("application/zip", "attachment", &format!("{name}.zip"));
            let stream = zip::stream(app.engine().blobs().clone(), files, front);
            Ok((answered, Body::from_stream(stream)).into_response())
        }
        Ok(None)
        | Err(
            EngineError::NotFound(_) | EngineError::Forbidden { .. } | EngineError::Unauthenticated { .. },
        ) => Err(missing()),
        Err(other) => Err(other.into()),
    }
}

fn build_of(
    tx: &Tx<'_>,
    caller: &Caller,
    plan: &PlanKey,
    which: &Which,
) -> Result<Option<Build>, EngineError> {
    let filter = match which {
        Which::Number(number) => return build::find(tx, caller, plan, Some(*number)),
        Which::Latest => Filter::default(),
        Which::LatestSuccessful => Filter {
            state: Some("Successful".into()),
            ..Filter::default()
        },
    };
    let (_, branch) = plan_for(tx, caller, plan, Permission::Read)?;
    Ok(build_query::latest(tx, branch.id, &filter)?)
}

struct Wanted {
    folder: String,
    job: Option<String>,
    name: String,
    path: String,
    /// The folder is asked for as one file.
    as_zip: bool,
}

impl Wanted {
    fn look(&self, tx: &Tx<'_>, build: &Build, links: &Links) -> Result<Option<Found>, EngineError> {
        let artifacts: Vec<Artifact> = artifact::of_build(tx, build.id)?
            .into_iter()
            .filter(|row| row.name == self.name && self.takes(row))
            .collect();
        for row in &artifacts {
            if !self.path.is_empty()
                && let Some(file) = artifact::file(tx, row.id, &self.path)?
            {
                return Ok(Some(Found::File(file)));
            }
        }
        for row in &artifacts {
            let mut files = artifact::files(tx, row.id)?;
            if self.as_zip {
                let front = self.front();
                files.retain(|file| file.path.starts_with(&front));
                if files.is_empty() {
                    continue;
                }
                let last = self.path.rsplit('/').next().filter(|last| !last.is_empty());
                return Ok(Some(Found::Whole {
                    name: last.unwrap_or(&row.name).to_owned(),
                    front: front.len(),
                    files,
                }));
            }
            if let Some(page) = self.listing(build, row, &files, links)? {
                return Ok(Some(Found::Folder(page)));
            }
        }
        Ok(None)
    }

    /// What the paths of the files in the folder begin with.
    fn front(&self) -> String {
        match self.path.as_str() {
            "" => String::new(),
            path => format!("{path}/"),
        }
    }

    fn takes(&self, row: &Artifact) -> bool {
        let of_job = self.job.as_ref().is_none_or(|job| *job == row.job_key);
        if self.folder == "shared" {
            row.shared && of_job
        } else {
            self.folder == row.job_key && of_job
        }
    }

    /// The folder with the path; `None`: no file is below it.
    fn listing(
        &self,
        build: &Build,
        row: &Artifact,
        files: &[ArtifactFile],
        links: &Links,
    ) -> Result<Option<ListingPage>, EngineError> {
        let key = build
            .key
            .parse()
            .map_err(|error| StoreError::Damaged(format!("{error}")))?;
        let front = self.front();
        // Of a folder how many files are below it, of a file its size.
        let mut folders: BTreeMap<&str, u64> = BTreeMap::new();
        let mut entries = Vec::new();
        let job = (self.folder != "shared").then_some(row.job_key.as_str());
        let url = |name: &str| links.artifact(&key, job, &row.name, &format!("{front}{name}"));
        let mut truncated = false;
        for file in files {
            let Some(rest) = file.path.strip_prefix(&front) else {
                continue;
            };
            if let Some((folder, _)) = rest.split_once('/') {
                *folders.entry(folder).or_default() += 1;
            } else if entries.len() >= MOST_ENTRIES {
                truncated = true;
            } else {
                entries.push(Entry {
                    name: shown::line(rest),
                    url: url(rest),
                    kind: "plainfile",
                    note: shown::size(u64::try_from(file.size).unwrap_or(0)),
                });
            }
        }
        if entries.is_empty() && folders.is_empty() {
            return Ok(None);
        }
        truncated |= folders.len() > MOST_ENTRIES;
        let listed: Vec<Entry> = folders
            .into_iter()
            .take(MOST_ENTRIES)
            .map(|(name, count)| Entry {
                name: shown::line(name),
                url: url(name),
                kind: "folder",
                note: if count == 1 {
                    "1 file".to_owned()
                } else {
                    format!("{count} files")
                },
            })
            .chain(entries)
            .collect();
        Ok(Some(ListingPage {
            heading: shown::line(&format!("{}/{}", row.name, self.path)),
            build: build.key.clone(),
            build_url: links.result_page(&key),
            zip_url: zip_url(&links.artifact(&key, job, &row.name, &self.path)),
            entries: listed,
            truncated,
        }))
    }
}

/// Sends a file, or the part that `Range` asks for.
async fn send(app: &App, asked: &HeaderMap, file: &ArtifactFile) -> io::Result<Response> {
    let hash: BlobHash = file.hash.parse().map_err(io::Error::other)?;
    let tag = format!("\"{hash}\"");
    let text = |name: header::HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let is_same = |list: &str| {
        list.split(',')
            .any(|one| matches!(one.trim().trim_start_matches("W/"), one if one == tag || one == "*"))
    };
    let (kind, disposition) = kind_of(&file.path);
    let last = file.path.rsplit('/').next().unwrap_or_default();
    let mut answered = kept_headers(kind, disposition, last);
    answered.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(value) = tag.parse() {
        answered.insert(header::ETAG, value);
    }
    if text(header::IF_NONE_MATCH).is_some_and(is_same) {
        return Ok((StatusCode::NOT_MODIFIED, answered).into_response());
    }
    let blobs = app.engine().blobs().clone();
    let opened = tokio::task::spawn_blocking(move || blobs.open_blob(hash))
        .await
        .map_err(io::Error::other)??;
    let Some(opened) = opened else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let mut opened = tokio::fs::File::from_std(opened);
    let size = opened.metadata().await?.len();
    // A part of another file is of no use to who has the beginning of this one.
    let wants_part = text(header::IF_RANGE).is_none_or(|known| known.trim() == tag);
    let range = match text(header::RANGE).filter(|_| wants_part) {
        Some(range) => byte_range(range, size),
        None => ByteRange::Whole,
    };
    let (status, first, length) = match range {
        ByteRange::Whole => (StatusCode::OK, 0, size),
        ByteRange::Part { first, last } => {
            if let Ok(value) = format!("bytes {first}-{last}/{size}").parse() {
                answered.insert(header::CONTENT_RANGE, value);
            }
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
        ByteRange::Unsatisfiable => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    if first > 0 {
        opened.seek(io::SeekFrom::Start(first)).await?;
    }
    answered.insert(header::CONTENT_LENGTH, length.into());
    let stream = ReaderStream::with_capacity(opened.take(length), CHUNK_BYTES);
    Ok((status, answered, Body::from_stream(stream)).into_response())
}

/// What goes with the bytes of strangers: their type, their name, and that nothing of them is run.
fn kept_headers(kind: &'static str, disposition: &str, name: &str) -> HeaderMap {
    let mut answered = HeaderMap::new();
    answered.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    if let Ok(value) = format!("{disposition}; filename*=UTF-8''{name}").parse() {
        answered.insert(header::CONTENT_DISPOSITION, value);
    }
    answered.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    answered.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'",
        ),
    );
    answered.insert(
        header::HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    answered
}

/// Where a folder is had as one file.
pub(super) fn zip_url(folder: &str) -> String {
    format!("{folder}?download=zip")
}

/// The type that a file is sent as, and whether a browser may show it: plain texts and pictures without scripts.
fn kind_of(path: &str) -> (&'static str, &'static str) {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name
        .rsplit_once('.')
        .map_or("", |(_, ending)| ending)
        .to_ascii_lowercase();
    match ending.as_str() {
        "txt" | "log" | "md" | "json" | "csv" | "yml" | "yaml" | "toml" | "ini" | "properties" | "out" => {
            ("text/plain; charset=utf-8", "inline")
        }
        "png" => ("image/png", "inline"),
        "jpg" | "jpeg" => ("image/jpeg", "inline"),
        "gif" => ("image/gif", "inline"),
        "webp" => ("image/webp", "inline"),
        "html" | "htm" => ("text/html; charset=utf-8", "attachment"),
        "xml" => ("application/xml", "attachment"),
        "svg" => ("image/svg+xml", "attachment"),
        "zip" => ("application/zip", "attachment"),
        "gz" | "tgz" => ("application/gzip", "attachment"),
        "jar" | "war" => ("application/java-archive", "attachment"),
        "pdf" => ("application/pdf", "attachment"),
        _ => ("application/octet-stream", "attachment"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_what_can_hold_scripts_is_handed_out_to_be_kept() {
        for path in [
            "index.html",
            "a/INDEX.HTM",
            "x.svg",
            "x.xml",
            "x.xhtml",
            "x",
            "x.js",
            ".html",
        ] {
            assert_eq!(kind_of(path).1, "attachment", "{path}");
        }
        assert_eq!(kind_of("a/b.TXT"), ("text/plain; charset=utf-8", "inline"));
        assert_eq!(
            kind_of("dir.png/tool"),
            ("application/octet-stream", "attachment")
        );
    }
}
