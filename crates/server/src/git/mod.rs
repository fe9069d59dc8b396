//! Git over HTTP for hosted and attached repositories: fetch and push by the smart protocol.

pub(crate) mod lfs;

use std::io::{self, Write as _};
use std::path::Path as FilePath;
use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::TryStreamExt;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use madake_domain::permission::Permission;
use madake_domain::repository::Scm;
use madake_engine::Engine;
use madake_engine::access::Caller;
use madake_engine::specs::tell_pusher::Moved;
use madake_store::event::Via;
use madake_store::repository::Repository;
use madake_vcs::git::smart_http::front::Question;
use madake_vcs::git::smart_http::{
    Command, PushReport, ReceiveLimits, ReceivePack, ServeError, Service, upload_pack,
};
use madake_vcs::name::ObjectId;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::App;
use crate::api::bamboo::error::ApiError;
use crate::auth::Visitor;
use crate::refusal::Failure;
use crate::router::is_gzip;
use crate::routes::{Access, Routes};

/// The largest gzip body after it is unpacked, in bytes. Git packs only negotiations, never pushes.
const UNPACKED_LIMIT: usize = 64 * 1024 * 1024;
/// Bytes of an answer that wait for a slow client.
const ANSWER_BUFFER: usize = 256 * 1024;
/// The kind of answers to fetches.
const FETCHED: &str = "application/x-git-upload-pack-result";
/// Bytes of an answer that are handed on at a time.
const ANSWER_PART: usize = 64 * 1024;
/// The longest request that is looked at before git gets it, in bytes.
const SMALL_BODY: u64 = 64 * 1024;

/// The routes of Git over HTTP.
pub(crate) fn routes() -> Routes {
    let access = Access::Permission("READ, and WRITE to push, on the repository");
    Routes::default()
        .add(Method::GET, "/scm/{owner}/{slug}/info/refs", access, info_refs)
        .add(Method::POST, "/scm/{owner}/{slug}/git-upload-pack", access, fetch)
        .add(Method::POST, "/scm/{owner}/{slug}/git-receive-pack", access, push)
        .merge(lfs::routes())
}

async fn info_refs(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let query = request.uri().query().unwrap_or_default();
    let service = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "service")
        .and_then(|(_, value)| Service::from_name(&value));
    let Some(service) = service else {
        return Err(Failure {
            error: ApiError::forbidden(
                "only the smart protocol is served: use a Git client newer than 1.6.6",
            ),
            trace: None,
        });
    };
    let found = repository(&app, &visitor, &owner, &slug, needed(service)).await?;
    let version = git_protocol(request.headers());
    let body = app
        .git_front()
        .advertise(FilePath::new(&found.path), service, version.as_deref())
        .await
        .map_err(|error| failed(&found, &error))?;
    let kind = format!("application/x-{}-advertisement", service.name());
    Ok((
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-cache".into()),
        ],
        body,
    )
        .into_response())
}

async fn fetch(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let found = repository(&app, &visitor, &owner, &slug, Permission::Read).await?;
    let version = git_protocol(request.headers());
    let body = match small_body(request).await? {
        Small::Whole(bytes) => {
            let question = version
                .as_deref()
                .filter(|text| text.split(':').any(|word| word == "version=2"))
                .and_then(|_| Question::parse(&bytes));
            if let Some(question) = question
                && let Some(list) = app.git_front().list(FilePath::new(&found.path), question).await
            {
                return Ok((answer_headers(FETCHED), list).into_response());
            }
            Box::new(io::Cursor::new(bytes))
        }
        Small::Not(body) => body,
    };
    let (answer, reading) = tokio::io::duplex(ANSWER_BUFFER);
    let git = app.engine().git().clone();
    tokio::spawn(async move {
        let served = upload_pack(&git, FilePath::new(&found.path), version.as_deref(), body, answer).await;
        if let Err(error) = served {
            tracing::info!(repository = %found.name, "a fetch from {} ended early: {error}", found.name);
        }
    });
    Ok(answered(FETCHED, reading))
}

async fn push(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let found = repository(&app, &visitor, &owner, &slug, Permission::Write).await?;
    let version = git_protocol(request.headers());
    let body = request_body(request).await?;
    let (answer, reading) = tokio::io::duplex(ANSWER_BUFFER);
    let engine = app.engine().clone();
    let caller = visitor.caller.clone();
    tokio::spawn(async move {
        let record = recorder(&engine, caller.clone(), &found, Via::Http);
        let receive = ReceivePack {
            git: engine.git(),
            git_directory: FilePath::new(&found.path),
            git_protocol: version.as_deref(),
            limits: ReceiveLimits::default(),
            tails: engine.pushes(),
        };
        let (judge, caller, pushed) = (&engine, &caller, &found);
        let permit =
            |commands: Vec<Command>| async move { judge.judge_push(caller, pushed, &commands).await };
        let served = receive.serve(body, answer, permit, record).await;
        if let Err(error) = served {
            tracing::info!(repository = %found.name, "a push to {} ended early: {error}", found.name);
        }
    });
    Ok(answered("application/x-git-receive-pack-result", reading))
}

/// What [`ReceivePack`] calls when git is done: the ledger has the push before the pusher is told that it went well.
///
/// Make it before git starts. Reconciliation leaves the repository alone as long as it lives, also when the pusher has
/// gone.
pub(crate) fn recorder(
    engine: &Engine,
    caller: Caller,
    found: &Repository,
    via: Via,
) -> impl FnOnce(PushReport) -> Recording + Send + 'static {
    let guard = engine.begin_push(found.id);
    let (engine, repository) = (engine.clone(), found.clone());
    move |report| {
        Box::pin(async move {
            let recorded = engine.receive_push(&caller, &repository, &report, via).await;
            drop(guard);
            match recorded {
                Ok(Some(received)) => {
                    tracing::info!(repository = %repository.name, event = received.id(), "push to {} entered as event {}", repository.name, received.id());
                    let id = |id: ObjectId| (!id.is_zero()).then_some(id);
                    let moved: Vec<Moved> = report
                        .moved()
                        .map(|one| (one.name.to_string(), id(one.old), id(one.new)))
                        .collect();
                    Ok(engine.tell_pusher(&repository, &moved).await)
                }
                Ok(None) => Ok(Vec::new()),
                Err(error) => {
                    tracing::error!(repository = %repository.name, "a push to {} is in the repository but not in the ledger yet: {error}", repository.name);
                    Err(format!(
                        "the push is stored but could not be recorded; it will be found and built later ({error})"
                    ))
                }
            }
        })
    }
}

/// Lines for the pusher, or the sentence that the push ends with.
type Recording = Pin<Box<dyn Future<Output = Result<Vec<String>, String>> + Send>>;

fn needed(service: Service) -> Permission {
    match service {
        Service::UploadPack => Permission::Read,
        Service::ReceivePack => Permission::Write,
    }
}

async fn repository(
    app: &App,
    visitor: &Visitor,
    owner: &str,
    slug: &str,
    needed: Permission,
) -> Result<Repository, Failure> {
    let slug = slug.strip_suffix(".git").unwrap_or(slug);
    let found = app
        .engine()
        .repository_for(&visitor.caller, &format!("{owner}/{slug}"), needed)
        .await
        .map_err(|error| {
            let mut failure = Failure::from(error);
            if !visitor.caller.principal.is_logged_in() {
                // Git asks without credentials first and sends them after the challenge: that is no refusal.
                failure.trace = None;
            }
            failure
        })?;
    if found.scm != Scm::Git {
        return Err(crate::hg::of_the_other_system(app, &found));
    }
    if needed == Permission::Write && found.kind != madake_domain::repository::RepositoryKind::Hosted {
        return Err(Failure::traced(
            ApiError::forbidden("this repository is not hosted here: push to where it lives"),
            format!("repository {}", found.name),
            "a push to a repository that is not hosted here",
        ));
    }
    Ok(found)
}

/// The `Git-Protocol` header, if it is one that git would send.
fn git_protocol(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("git-protocol")?.to_str().ok()?;
    let plain = text.len() <= 200
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"=:.-_".contains(&b));
    plain.then(|| text.to_owned())
}

/// A request's body, in memory if it is short.
enum Small {
    Whole(Bytes),
    Not(BodyReader),
}

async fn small_body(request: Request) -> Result<Small, Failure> {
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if is_gzip(&request) || length.is_none_or(|length| length > SMALL_BODY) {
        return request_body(request).await.map(Small::Not);
    }
    let whole = request.into_body().collect().await.map_err(|_| Failure {
        error: ApiError::invalid("the body ended early"),
        trace: None,
    })?;
    Ok(Small::Whole(whole.to_bytes()))
}

type BodyReader = Box<dyn tokio::io::AsyncRead + Send + Unpin>;

/// The body as a stream of bytes; one that is packed with gzip is unpacked first, up to a limit.
async fn request_body(request: Request) -> Result<BodyReader, Failure> {
    if !is_gzip(&request) {
        let stream = TryStreamExt::map_err(request.into_body().into_data_stream(), io::Error::other);
        return Ok(Box::new(StreamReader::new(stream)));
    }
    let mut body = request.into_body();
    let mut unpacker = flate2::write::MultiGzDecoder::new(Vec::new());
    let malformed = |_| Failure {
        error: ApiError::invalid("the gzip body is damaged"),
        trace: None,
    };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure {
            error: ApiError::invalid("the body ended early"),
            trace: None,
        })?;
        let Ok(data) = frame.into_data() else { continue };
        for piece in data.chunks(16 * 1024) {
            unpacker.write_all(piece).map_err(malformed)?;
            if unpacker.get_ref().len() > UNPACKED_LIMIT {
                return Err(Failure::traced(
                    ApiError::new(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        "the gzip body unpacks to more than is read",
                    ),
                    "git",
                    "a gzip body that unpacks to more than is read",
                ));
            }
        }
    }
    let unpacked = unpacker.finish().map_err(malformed)?;
    Ok(Box::new(io::Cursor::new(Bytes::from(unpacked))))
}

fn answer_headers(kind: &'static str) -> [(http::HeaderName, &'static str); 2] {
    [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")]
}

fn answered(kind: &'static str, reading: tokio::io::DuplexStream) -> Response {
    (
        answer_headers(kind),
        Body::from_stream(ReaderStream::with_capacity(reading, ANSWER_PART)),
    )
        .into_response()
}

fn failed(found: &Repository, error: &ServeError) -> Failure {
    tracing::error!(repository = %found.name, "{} cannot be served: {error}", found.name);
    Failure {
        error: ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the repository cannot be read"),
        trace: None,
    }
}
