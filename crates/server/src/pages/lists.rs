//! Lists of repositories: all, those of a project, those of a person. They show what the visitor may read.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_engine::EngineError;
use madake_store::repository::Repository;
use serde::Serialize;

use super::address::Site;
use super::asked::{Asked, Page, Refused};
use super::login::{log_in_page, see_other};
use super::shown;
use super::template::render;
use crate::App;
use crate::auth::Visitor;

/// Repositories on one page.
const REPOSITORIES: usize = 1000;

#[derive(Debug, Serialize)]
pub(super) struct ListPage {
    pub(super) heading: String,
    pub(super) repositories: Vec<Row>,
    pub(super) truncated: bool,
    pub(super) nothing: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) note: String,
    pub(super) description: String,
}

/// `/repositories`: all that the visitor may read.
pub(super) async fn all(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let found = app.engine().list_repositories(&visitor.caller).await?;
    let nothing = if visitor.caller.principal.is_logged_in() {
        "There are none yet that you may read. `madake repo create OWNER/NAME` makes one."
    } else {
        "Log in to see them."
    };
    let page = ListPage {
        heading: "Repositories".to_owned(),
        ..list(&app, &found, nothing).await?
    };
    let frame = asked.frame(&app, &visitor, "Repositories");
    Ok(render(StatusCode::OK, "list.html", &frame, &page))
}

/// `/projects/KEY`
pub(super) async fn project(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let key = asked.part("key");
    let found = readable(&app, &visitor, &[key.to_owned()]).await?;
    if found.is_empty() {
        if !visitor.caller.principal.is_logged_in() {
            return Err(stranger(&app, &visitor, &asked));
        }
        return Err(asked.missing(
            &app,
            &visitor,
            "There is no such project",
            "It does not exist, or has no repository that you may read.",
        ));
    }
    of_owner(&app, &visitor, &asked, key, &found).await
}

/// `/users/NAME`: whether there is a user of that name is not told.
pub(super) async fn person(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let name = asked.part("user");
    let found = readable(&app, &visitor, &[format!("~{name}"), name.to_owned()]).await?;
    if found.is_empty() && !visitor.caller.principal.is_logged_in() {
        return Err(stranger(&app, &visitor, &asked));
    }
    of_owner(&app, &visitor, &asked, name, &found).await
}

/// `/scm/OWNER/SLUG.git`, opened by a person: leads to the page of the repository.
pub(super) async fn clone_address(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let slug = asked.part("slug");
    let name = format!(
        "{}/{}",
        asked.part("owner"),
        slug.strip_suffix(".git").unwrap_or(slug)
    );
    let found = app
        .engine()
        .repository_for(
            &visitor.caller,
            &name,
            madake_domain::permission::Permission::Read,
        )
        .await?;
    Ok(see_other(&asked.site(&app, &visitor, &found)?.browse_root()))
}

fn stranger(app: &App, visitor: &Visitor, asked: &Asked) -> Refused {
    let page: Response = log_in_page(app, visitor, &asked.address, "Log in to see this page.");
    Refused::Page(Box::new(page))
}

async fn readable(app: &App, visitor: &Visitor, owners: &[String]) -> Result<Vec<Repository>, Refused> {
    let mut found = app.engine().list_repositories(&visitor.caller).await?;
    found.retain(|one| owners.iter().any(|owner| owner.eq_ignore_ascii_case(&one.owner)));
    Ok(found)
}

async fn of_owner(app: &App, visitor: &Visitor, asked: &Asked, owner: &str, found: &[Repository]) -> Page {
    let heading = shown::line(owner);
    let frame = asked.frame(app, visitor, &heading);
    let page = ListPage {
        heading,
        ..list(app, found, "There are no repositories here that you may read.").await?
    };
    Ok(render(StatusCode::OK, "list.html", &frame, &page))
}

async fn list(app: &App, found: &[Repository], nothing: &'static str) -> Result<ListPage, Refused> {
    let with_pages: Vec<Repository> = found
        .iter()
        .filter(|one| !one.owner.is_empty())
        .cloned()
        .collect();
    let shown = &with_pages[..with_pages.len().min(REPOSITORIES)];
    Ok(ListPage {
        heading: String::new(),
        repositories: rows(app, shown).await?,
        truncated: with_pages.len() > REPOSITORIES,
        nothing,
    })
}

/// A row for each repository that has pages.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn rows(app: &App, found: &[Repository]) -> Result<Vec<Row>, EngineError> {
    let site = Site::of(app);
    let mut rows = Vec::with_capacity(found.len());
    for one in found {
        let Some(address) = site.repository(one) else {
            continue;
        };
        rows.push(Row {
            name: shown::line(&one.name),
            url: address.browse_root(),
            note: match (one.kind, one.scm) {
                (_, Scm::Hg) => "Mercurial".to_owned(),
                (RepositoryKind::Attached, Scm::Git) => "attached".to_owned(),
                (RepositoryKind::Hosted | RepositoryKind::Linked, Scm::Git) => String::new(),
            },
            description: shown::line(&app.engine().repository_description(one).await?),
        });
    }
    Ok(rows)
}
