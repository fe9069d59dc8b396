//! Branches and tags.

use std::path::Path;

use axum::extract::State;
use http::StatusCode;
use madake_domain::branch_permission::Restriction;
use madake_vcs::name::RefKind;
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
    page(&app, &visitor, &asked, RefKind::Branch).await
}

/// `tags`
pub(super) async fn tags(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    page(&app, &visitor, &asked, RefKind::Tag).await
}

async fn page(app: &App, visitor: &Visitor, asked: &Asked, kind: RefKind) -> Page {
    let found = asked.repository(app, visitor).await?;
    let site = asked.site(app, visitor, &found)?;
    let _turn = turn().await;
    let heading = match kind {
        RefKind::Tag => "Tags",
        _ => "Branches",
    };
    let listed = app
        .engine()
        .reader()
        .ref_summaries(Path::new(&found.path), kind, REFS)
        .await
        .map_err(|error| asked.unreadable(app, visitor, &error))?;
    let rules = match kind {
        RefKind::Branch => {
            app.engine()
                .branch_permissions(&visitor.caller, &found.name)
                .await?
        }
        _ => Vec::new(),
    };
    let rows = listed.refs.iter().map(|one| {
        let name = one.name.short();
        let mut held: Vec<Restriction> = rules
            .iter()
            .filter(|rule| rule.pattern.matches(name))
            .flat_map(|rule| rule.restrictions.iter().copied())
            .collect();
        held.sort_unstable();
        held.dedup();
        RefRow {
            name: shown::line(name),
            url: site.browse("", Some(name)),
            is_default: kind == RefKind::Branch && name == found.default_branch,
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
        truncated: listed.truncated,
    };
    let frame = asked
        .frame(app, visitor, &title(&found, heading))
        .with_repository(head(State(app.clone()), &found, &site, heading).await?);
    Ok(render(StatusCode::OK, "refs.html", &frame, &page))
}
