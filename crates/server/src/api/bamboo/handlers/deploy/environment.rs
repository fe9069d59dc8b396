//! Environments and their history.

use axum::extract::{Path, State};
use axum::response::Response;
use madake_engine::deploying::show;

use super::super::super::node::{Document, List, Object};
use super::super::super::paging::{MAX_SIZE, Page};
use super::super::asked::Asked;
use super::super::load;
use super::id;
use super::shape::{self, Shapes};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /deploy/environment/{id}`
pub(super) async fn single(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let wanted = id(&text);
    let (shown, total) = load::read(&app, &visitor, move |loader| {
        let (_, shown) = show::environment(loader.tx, &loader.caller, wanted)?;
        let (_, _, total) = show::history(loader.tx, &loader.caller, wanted, 0, 1)?;
        Ok((shown, total))
    })
    .await?;
    let body = shape::environment_with_counts(&shown).element("deploymentResultsCount", total);
    Ok(asked.ok(Document::new("environment", body)))
}

/// `GET /deploy/environment/{id}/results`: newest first.
pub(super) async fn results(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let page = Page::from_parameters(&asked.parameters, MAX_SIZE);
    let (wanted, start, limit) = (
        id(&text),
        i64::try_from(page.start).unwrap_or(i64::MAX),
        i64::try_from(page.size).unwrap_or(i64::MAX),
    );
    let links = asked.context(&app).links;
    let (row, results, total) = load::read(&app, &visitor, move |loader| {
        let (row, results, total) = show::history(loader.tx, &loader.caller, wanted, start, limit)?;
        let mut shapes = Shapes::new(loader, &links);
        let shaped: Result<Vec<_>, _> = results.iter().map(|one| shapes.result(one)).collect();
        Ok((row, shaped?, total))
    })
    .await?;
    let body = Object::new()
        .element("name", row.name.as_str())
        .element("id", row.id)
        .element("results", List::new("result", results))
        .attribute("size", total)
        .attribute("start-index", page.start)
        .attribute("max-result", page.echo(usize::try_from(total).unwrap_or(0)));
    Ok(asked.ok(Document::new("results", body)))
}

/// `GET /deploy/environment/{id}/requirement`: a bare list of what an agent must have.
pub(super) async fn requirements(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let wanted = id(&text);
    let (_, shown) = load::read(&app, &visitor, move |loader| {
        show::environment(loader.tx, &loader.caller, wanted)
    })
    .await?;
    let all = shown.definition.map(|one| one.requirements).unwrap_or_default();
    let list = all.iter().zip(1_i64..).map(|(one, id)| {
        let matches = if one.matches.is_some() {
            "MATCHES"
        } else {
            "EXISTS"
        };
        Object::new()
            .element("id", id)
            .element("key", one.key.as_str())
            .element("matchType", matches)
            .optional_element("matchValue", one.matches.as_deref())
    });
    Ok(asked.ok(Document::new("requirements", List::new("requirement", list))))
}
