//! Comments on results (bamboo-rest.md 5.5). Those on a job's result are those on its plan's.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;

use super::super::render;
use super::asked::Asked;
use super::fields::Fields;
use super::load;
use super::result::to_change;
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
    let comments = load::read(&app, &visitor, move |loader| {
        let build = loader.build_named(&key)?;
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
    let key = to_change(&app, &visitor, &key).await?;
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
    let key = to_change(&app, &visitor, &key).await?;
    // What is no number is the number of no comment; who may not see the plan hears of that first.
    let id: i64 = id.parse().unwrap_or(i64::MAX);
    app.engine().remove_comment(&visitor.caller, &key, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
