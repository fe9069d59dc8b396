//! Comments on results (bamboo-rest.md 5.5).

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use madake_domain::key::ResultKey;

use super::super::render;
use super::asked::Asked;
use super::fields::Fields;
use super::result::plan_result;
use super::{load, no_such_plan};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /result/{key}/comment`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let href = ctx.links.rest(&[&"result", &key, &"comment"]);
    let (plan, number) = plan_result(&key).ok_or_else(|| no_such_plan(&key))?;
    let comments = load::read(&app, &visitor, move |loader| {
        let build = loader.build_for(&plan, number, true)?;
        loader.comments(build.id)
    })
    .await?;
    let total = comments.len();
    let window = asked.window("comments", "comment", total);
    let shown = window.cut(comments);
    Ok(asked.ok(render::comment_list(&window.page, &shown, total, href, &ctx)))
}

/// `POST /result/{key}/comment` with `content`: exactly 204.
pub(super) async fn add(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    fields: Fields,
) -> Result<StatusCode, Failure> {
    let key: ResultKey = key.parse().map_err(|_| no_such_plan(&key))?;
    app.engine()
        .add_comment(&visitor.caller, &key, fields.need("content")?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /result/{key}/comment/{id}`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, id)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let key: ResultKey = key.parse().map_err(|_| no_such_plan(&key))?;
    // What is no number is the number of no comment; who may not see the plan hears of that first.
    let id: i64 = id.parse().unwrap_or(i64::MAX);
    app.engine().remove_comment(&visitor.caller, &key, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
