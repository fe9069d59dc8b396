//! Commits and what they changed.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use madake_engine::EngineError;
use madake_engine::ops::read_repository::{NamedRevision, ReadableRepository, WantedLog, id_text};
use madake_formats::outgoing::facts::PushFacts;
use madake_formats::outgoing::resource::server_commit;
use madake_vcs::git::read::Merges;
use madake_vcs::name::ObjectId;
use serde_json::Value;

use super::view::changes;
use super::{Below, Repository, readable};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::api::bitbucket::paging::Asked;
use crate::api::bitbucket::refused::Refused;
use crate::auth::Visitor;

/// The largest page of commits (push-payloads.md A.4, `page.max.commits`).
const MOST_COMMITS: usize = 100;
/// The largest page of changes.
const MOST_CHANGES: usize = 1000;
/// What a 404 is called.
const MISSING: &str = "commit.NoSuchCommitException";

/// `GET .../commits?until=&since=&path=&merges=&followRenames=&ignoreMissing=`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &key, &slug).await?;
    let until = named(&found, parameters.text("until")).await?;
    let since = match parameters.text("since") {
        None => None,
        Some(text) => match named(&found, Some(text)).await {
            Ok(since) => Some(since.id),
            Err(_) if parameters.explicit_flag("ignoreMissing") => None,
            Err(refused) => return Err(refused),
        },
    };
    page(&found, &until.id, since, &parameters).await
}

/// `GET .../compare/commits?from=&to=`: what `from` has and `to` has not.
pub(super) async fn compare(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &key, &slug).await?;
    let from = named(&found, parameters.text("from")).await?;
    let to = named(&found, parameters.text("to")).await?;
    page(&found, &from.id, Some(to.id), &parameters).await
}

/// `GET .../commits/{id}?path=`: with a path, the newest commit from there on that changes it.
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, id)): Below,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &key, &slug).await?;
    let mut id = named(&found, Some(&id)).await?.id;
    if let Some(path) = parameters.text("path") {
        let wanted = WantedLog {
            path: Some(path.to_owned()),
            limit: 1,
            ..WantedLog::default()
        };
        let (facts, _) = found.log(&id, &wanted).await.map_err(missing)?;
        let newest = facts
            .commits
            .first()
            .and_then(|one| ObjectId::parse(one.id.as_str()).ok());
        id = newest.ok_or_else(|| Refused::missing(MISSING, format!("no commit changes {path}")))?;
    }
    let facts = found.commit(&id).await.map_err(missing)?;
    Ok(Json(server_commit(&facts, 0, true).unwrap_or_default()))
}

/// `GET .../commits/{id}/changes?since=`
pub(super) async fn changes_of(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug, id)): Below,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &key, &slug).await?;
    change_page(&found, Some(&id), &parameters).await
}

/// `GET .../changes?until=&since=`
pub(super) async fn changes(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, slug)): Repository,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = readable(&app, &visitor, &key, &slug).await?;
    change_page(&found, parameters.text("until"), &parameters).await
}

async fn page(
    found: &ReadableRepository,
    until: &ObjectId,
    since: Option<ObjectId>,
    parameters: &Parameters,
) -> Result<Json<Value>, Refused> {
    let asked = Asked::server(parameters, MOST_COMMITS);
    let merges = match parameters.text("merges") {
        Some(text) if text.eq_ignore_ascii_case("exclude") => Merges::Excluded,
        Some(text) if text.eq_ignore_ascii_case("only") => Merges::Only,
        _ => Merges::Included,
    };
    let wanted = WantedLog {
        since,
        path: parameters.text("path").map(str::to_owned),
        follow_renames: parameters.explicit_flag("followRenames"),
        merges,
        skip: asked.start,
        limit: asked.limit,
    };
    let (facts, more) = found.log(until, &wanted).await.map_err(missing)?;
    let mut part = asked.read(shown(&facts));
    part.is_last = !more;
    Ok(Json(part.server()))
}

fn shown(facts: &PushFacts) -> Vec<Value> {
    (0..facts.commits.len())
        .filter_map(|place| server_commit(facts, place, false))
        .collect()
}

async fn change_page(
    found: &ReadableRepository,
    until: Option<&str>,
    parameters: &Parameters,
) -> Result<Json<Value>, Refused> {
    let until = named(found, until).await?.id;
    let since = match parameters.text("since") {
        Some(text) => Some(named(found, Some(text)).await?.id),
        None => None,
    };
    let asked = Asked::server(parameters, MOST_CHANGES);
    let most = asked.start.saturating_add(asked.limit).saturating_add(1);
    let (files, from) = found.changes(since, &until, most).await.map_err(missing)?;
    let to = id_text(&until).ok_or_else(|| EngineError::Internal(format!("{until} is no id")))?;
    let from = from.as_ref().and_then(id_text);
    Ok(Json(changes::changes(
        found.facts(),
        from.as_ref(),
        &to,
        asked.of(files),
    )))
}

async fn named(found: &ReadableRepository, text: Option<&str>) -> Result<NamedRevision, Refused> {
    let refused = |error| {
        Refused::from(error).missing_is(match text {
            None => "repository.NoDefaultBranchException",
            Some(_) => MISSING,
        })
    };
    found.revision(text).await.map_err(refused)
}

fn missing(error: EngineError) -> Refused {
    Refused::from(error).missing_is(MISSING)
}
