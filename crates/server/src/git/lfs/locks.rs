//! Locks of files (git-lfs `docs/api/locking.md`).

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use madake_domain::permission::Permission;
use madake_engine::ops::lfs::{LfsAccess, LfsOperation};
use madake_engine::ops::lfs_locks::Locked;
use madake_store::lfs_lock::{LfsLock, LockFilter};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{access, answer, body, lacking, may_upload, named, plain, unprocessable};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

#[derive(Debug, Default, Deserialize)]
struct Ref {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct Lock {
    path: String,
    #[serde(rename = "ref")]
    of: Option<Ref>,
}

#[derive(Debug, Deserialize)]
struct Verify {
    #[serde(default)]
    cursor: String,
    #[serde(default)]
    limit: i64,
}

#[derive(Debug, Deserialize)]
struct Unlock {
    #[serde(default)]
    force: bool,
}

/// `POST locks`: takes one; 409 with the lock of somebody who was faster.
pub(super) async fn lock(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let asked: Lock = body(&headers, &bytes)?;
    let access = access(
        &app,
        &visitor,
        &headers,
        &named(&owner, &slug),
        LfsOperation::Upload,
    )
    .await?;
    let of = asked.of.unwrap_or_default().name;
    Ok(
        match app.engine().lock_lfs_path(&access, &asked.path, &of).await? {
            Locked::Taken(lock) => answer(StatusCode::CREATED, &json!({ "lock": view(&lock) })),
            Locked::HeldBy(lock) => {
                let message = format!("{} holds the lock already", lock.owner);
                answer(
                    StatusCode::CONFLICT,
                    &json!({ "lock": view(&lock), "message": message }),
                )
            }
        },
    )
}

/// `GET locks?path=&id=&cursor=&limit=`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Path<(String, String)>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let access = access(
        &app,
        &visitor,
        &headers,
        &named(&owner, &slug),
        LfsOperation::Download,
    )
    .await?;
    let parameters = Parameters::from_query(query.as_deref());
    let number = |name: &str| match parameters.text(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text
            .parse::<i64>()
            .map(Some)
            .map_err(|_| unprocessable(format!("`{name}` is a number"))),
    };
    let filter = LockFilter {
        path: parameters
            .text("path")
            .filter(|path| !path.is_empty())
            .map(str::to_owned),
        id: number("id")?,
        after: number("cursor")?.unwrap_or(0),
        limit: number("limit")?.unwrap_or(0),
    };
    let limit = filter.limit;
    let (locks, cursor) = page(&app, &access, filter, limit).await?;
    let locks: Vec<Value> = locks.iter().map(view).collect();
    Ok(answer(
        StatusCode::OK,
        &json!({ "locks": locks, "next_cursor": cursor }),
    ))
}

/// `POST locks/verify`: before a push git-lfs asks which locks are its own and which are not. 403 tells it that the
/// user cannot push anyway.
pub(super) async fn verify(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let asked: Verify = body(&headers, &bytes)?;
    let name = named(&owner, &slug);
    let access = access(&app, &visitor, &headers, &name, LfsOperation::Download).await?;
    if !may_upload(&app, &visitor, &headers, &name).await {
        return Err(lacking(&access, Permission::Write));
    }
    let filter = LockFilter {
        after: asked.cursor.parse().unwrap_or(0),
        limit: asked.limit,
        ..LockFilter::default()
    };
    let (locks, cursor) = page(&app, &access, filter, asked.limit).await?;
    let (ours, theirs): (Vec<&LfsLock>, Vec<&LfsLock>) =
        locks.iter().partition(|lock| access.owns(&lock.owner));
    let views = |locks: Vec<&LfsLock>| -> Vec<Value> { locks.into_iter().map(view).collect() };
    Ok(answer(
        StatusCode::OK,
        &json!({ "ours": views(ours), "theirs": views(theirs), "next_cursor": cursor }),
    ))
}

/// `POST locks/{id}/unlock`
pub(super) async fn unlock(
    State(app): State<App>,
    visitor: Visitor,
    Path((owner, slug, id)): Path<(String, String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Failure> {
    let asked: Unlock = body(&headers, &bytes)?;
    let access = access(
        &app,
        &visitor,
        &headers,
        &named(&owner, &slug),
        LfsOperation::Upload,
    )
    .await?;
    let id: i64 = id
        .parse()
        .map_err(|_| plain(StatusCode::UNPROCESSABLE_ENTITY, "the id of a lock is a number"))?;
    let lock = app.engine().unlock_lfs_path(&access, id, asked.force).await?;
    Ok(answer(StatusCode::OK, &json!({ "lock": view(&lock) })))
}

/// A page of locks, and the cursor of the next one if there may be more.
async fn page(
    app: &App,
    access: &LfsAccess,
    filter: LockFilter,
    limit: i64,
) -> Result<(Vec<LfsLock>, String), Failure> {
    const PAGE: usize = 1000;
    let full = usize::try_from(limit)
        .ok()
        .filter(|limit| (1..PAGE).contains(limit))
        .unwrap_or(PAGE);
    let locks = app.engine().list_lfs_locks(access, filter).await?;
    let cursor = match locks.last() {
        Some(last) if locks.len() >= full => last.id.to_string(),
        _ => String::new(),
    };
    Ok((locks, cursor))
}

fn view(lock: &LfsLock) -> Value {
    let moment = jiff::Timestamp::from_millisecond(lock.locked_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    json!({
        "id": lock.id.to_string(),
        "path": lock.path,
        "locked_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "owner": { "name": lock.owner },
    })
}
