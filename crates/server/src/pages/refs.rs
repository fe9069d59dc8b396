//! Branches and tags.

use axum::extract::State;
use http::StatusCode;
use madake_domain::branch_permission::Restriction;
use serde::Serialize;

use super::asked::{Asked, Page};
use super::template::render;
use super::{head, shown, title, turn};
use crate::App;
use crate::auth::Visitor;

/// Refs on one page.
const REFS: usize = 1000;

#[derive(Debug, Serialize)]
pub(super) struct RefsPage {
    pub(super) heading: &'static str,
    pub(super) rows: Vec<RefRow>,
    pub(super) truncated: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct RefRow {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) is_default: bool,
    pub(super) rules: Vec<&'static str>,
    pub(super) subject: String,
    pub(super) time: String,
    pub(super) commit_url: String,
    pub(super) short: String,
}

/// `branches`
pub(super) async fn branches(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    page(&app, &visitor, &asked, false).await
}

/// `tags`
pub(super) async fn tags(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    page(&app, &visitor, &asked, true).await
}

async fn page(app: &App, visitor: &Visitor, asked: &Asked, tags: bool) -> Page {
    let found = asked.repository(app, visitor).await?;
    let site = asked.site(app, visitor, found.repository())?;
    let _turn = turn().await;
    let heading = if tags { "Tags" } else { "Branches" };
    let (listed, truncated) = found
        .ref_summaries(tags, REFS)
        .await
        .map_err(|error| asked.unreadable(app, visitor, &error))?;
    let rules = if tags {
        Vec::new()
    } else {
        app.engine()
            .branch_permissions(&visitor.caller, &found.repository().name)
            .await?
    };
    let default_branch = found.default_branch();
    let rows = listed.iter().map(|one| {
        let name = one.name.as_str();
        let mut held: Vec<Restriction> = rules
            .iter()
            .filter(|rule| rule.pattern.matches(name))
            .flat_map(|rule| rule.restrictions.iter().copied())
            .collect();
        held.sort_unstable();
        held.dedup();
        RefRow {
            name: shown::line(name),
            // The short name could be that of a branch as well.
            url: site.browse("", Some(if one.is_bookmark { &one.full_name } else { name })),
            is_default: one.full_name == default_branch,
            rules: held.into_iter().map(Restriction::as_str).collect(),
            subject: shown::subject(&one.subject),
            time: shown::time(one.time_ms, 0),
            commit_url: site.commit(&one.target.to_string()),
            short: one.target.abbreviated(shown::SHORT_ID),
        }
    });
    let page = RefsPage {
        heading,
        rows: rows.collect(),
        truncated,
    };
    let frame = asked
        .frame(app, visitor, &title(found.repository(), heading))
        .with_repository(head(State(app.clone()), found.repository(), &site, heading).await?);
    Ok(render(StatusCode::OK, "refs.html", &frame, &page))
}
