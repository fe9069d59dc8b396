//! Results of deployments, with their logs.

use axum::extract::{Path, State};
use axum::response::Response;
use madake_engine::EngineError;
use madake_engine::deploying::show;

use super::super::super::node::{Document, List, Object};
use super::super::super::paging::{MAX_LOG_LINES, Page};
use super::super::super::query::Parameters;
use super::super::super::render::log_entry;
use super::super::asked::{Asked, Window};
use super::super::load;
use super::super::log::read_lines;
use super::id;
use super::shape::Shapes;
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
    let links = asked.context(&app).links;
    let (mut body, found) = load::read(&app, &visitor, move |loader| {
        let result = show::result_for(loader.tx, &loader.caller, wanted)?;
        let shown = show::with_release(loader.tx, result)?;
        Ok((Shapes::new(loader, &links).result(&shown)?, shown.result.id))
    })
    .await?;
    if asked.parameters.flag("includeLogs") {
        body = body.element("logEntries", log(&app, &asked, found).await?);
    }
    Ok(asked.ok(Document::new("deploymentResult", body)))
}

async fn log(app: &App, asked: &Asked, result_id: i64) -> Result<Object, Failure> {
    let path = app.engine().home().deployment_log(result_id);
    let ctx = asked.context(app);
    let zone = ctx.zone.clone();
    let page = log_page(&asked.parameters);
    let window = move |total| Window::new(page, None, total, MAX_LOG_LINES).items;
    let lines = tokio::task::spawn_blocking(move || read_lines(&path, window, &zone))
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|error| EngineError::Internal(format!("a log cannot be read: {error}")))?;
    let entries = lines.items.iter().map(|line| log_entry(line, &ctx));
    Ok(Object::new()
        .attribute("size", lines.total)
        .attribute("start-index", lines.start)
        .attribute("max-result", lines.items.len())
        .element("logEntry", List::new("logEntry", entries)))
}

/// The lines that are asked for; all of them where no number is named, as clients read them at once.
fn log_page(parameters: &Parameters) -> Page {
    let page = Page::from_parameters(parameters, MAX_LOG_LINES);
    let is_sized = ["max-results", "max-result"]
        .iter()
        .any(|name| parameters.text(name).is_some());
    Page {
        size: if is_sized { page.size } else { MAX_LOG_LINES },
        ..page
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_LOG_LINES, Parameters, log_page};

    #[test]
    fn a_log_is_given_whole_unless_a_number_of_lines_is_asked_for() {
        for (query, start, size) in [
            ("includeLogs=true", 0, MAX_LOG_LINES),
            ("start-index=7", 7, MAX_LOG_LINES),
            ("max-results=600", 0, 600),
            ("max-result=2&start-index=1", 1, 2),
        ] {
            let page = log_page(&Parameters::from_query(Some(query)));
            assert_eq!((page.start, page.size), (start, size), "{query}");
        }
    }
}
