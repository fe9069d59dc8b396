//! Results of deployments, with their logs.

use axum::extract::{Path, State};
use axum::response::Response;
use madake_engine::EngineError;
use madake_engine::deploying::show;

use super::super::super::node::{Document, List, Object};
use super::super::super::paging::{MAX_LOG_LINES, Page};
use super::super::asked::{Asked, Window};
use super::super::load;
use super::super::log::read_lines;
use super::{id, shape};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /deploy/result/{id}?includeLogs=`
pub(super) async fn single(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let wanted = id(&text);
    let (shown, operations) = load::read(&app, &visitor, move |loader| {
        let result = show::result_for(loader.tx, &loader.caller, wanted)?;
        let (_, environment) = show::environment(loader.tx, &loader.caller, result.environment_id)?;
        Ok((show::with_release(loader.tx, result)?, environment.operations))
    })
    .await?;
    let mut body = shape::result(&shown, Some(operations));
    if asked.parameters.flag("includeLogs") {
        body = body.element("logEntries", log(&app, &asked, shown.result.id).await?);
    }
    Ok(asked.ok(Document::new("deploymentResult", body)))
}

async fn log(app: &App, asked: &Asked, result_id: i64) -> Result<Object, Failure> {
    let path = app.engine().home().deployment_log(result_id);
    let ctx = asked.context(app);
    let zone = ctx.zone.clone();
    let page = Page {
        start: 0,
        size: MAX_LOG_LINES,
    };
    let page = Page {
        start: Page::from_parameters(&asked.parameters, MAX_LOG_LINES).start,
        ..page
    };
    let window = move |total| Window::new(page, None, total, MAX_LOG_LINES).items;
    let lines = tokio::task::spawn_blocking(move || read_lines(&path, window, &zone))
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|error| EngineError::Internal(format!("a log cannot be read: {error}")))?;
    let entries = lines.items.iter().map(|line| {
        Object::new()
            .element("log", line.text.as_str())
            .element("unstyledLog", line.text.as_str())
            .element("date", line.time_ms)
            .element("error", line.is_error)
    });
    Ok(Object::new()
        .attribute("size", lines.total)
        .attribute("start-index", lines.start)
        .attribute("max-result", lines.items.len())
        .element("logEntry", List::new("logEntry", entries)))
}
