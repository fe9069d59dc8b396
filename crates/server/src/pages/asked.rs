//! What a request for a page asks for, and why it may not be shown.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_engine::ops::read_repository::{NamedRevision, ReadableRepository};
use madake_store::repository::Repository;
use serde::Serialize;

use super::address::Site;
use super::login::{log_in_page, see_other};
use super::template::{Frame, render};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::{Failure, Trace};

/// First segments of other interfaces: what they do not know is not a repository.
const RESERVED: [&str; 14] = [
    "browse", "rest", "api", "scm", "hg", "intake", "build", "download", "projects", "users", "assets",
    "login", "logout", "deploy",
];

/// How a revision is named.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name<'a> {
    /// Not at all: the default branch.
    Default,
    /// A branch, a tag or an id.
    Any(&'a str),
    /// A branch, or a bookmark.
    Branch(&'a str),
    /// A tag.
    Tag(&'a str),
}

impl<'a> Name<'a> {
    /// What a query names.
    pub(super) fn of(text: Option<&'a str>) -> Self {
        text.map_or(Self::Default, Self::Any)
    }
}

/// The answer of a handler.
pub(super) type Page = Result<Response, Refused>;

/// What the path and the query of a request ask for.
#[derive(Debug)]
pub(super) struct Asked {
    segments: HashMap<String, String>,
    /// The query.
    pub(super) query: Parameters,
    /// Path and query below the context path.
    pub(super) address: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let segments = Path::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map(|Path(segments)| segments)
            .unwrap_or_default();
        let address = parts
            .uri
            .path_and_query()
            .map_or("/", |address| address.as_str())
            .to_owned();
        Ok(Self {
            segments,
            query: Parameters::from_query(parts.uri.query()),
            address,
        })
    }
}

impl Asked {
    /// A part of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        self.segments.get(name).map_or("", String::as_str)
    }

    /// The path inside the repository: behind the page, or in the query.
    pub(super) fn path(&self) -> &str {
        let path = self.part("path");
        if path.is_empty() {
            self.query.text("path").unwrap_or_default()
        } else {
            path
        }
    }

    /// A number of the query.
    pub(super) fn number(&self, name: &str) -> usize {
        let text = self.query.text(name);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The frame of a page that was asked for.
    pub(super) fn frame(&self, app: &App, visitor: &Visitor, title: &str) -> Frame {
        Frame::new(app, visitor, &self.address, title)
    }

    /// Owners that the path can mean: `/users/NAME` is the project of a person, or an owner of that name.
    fn owners(&self) -> Vec<String> {
        match (self.part("key"), self.part("owner"), self.part("user")) {
            ("", "", user) => vec![format!("~{user}"), user.to_owned()],
            ("", owner, _) => vec![owner.to_owned()],
            (key, ..) => vec![key.to_owned()],
        }
    }

    /// The repository, if the visitor may read it. Strangers get the form to log in and others one and the same page,
    /// whether there is no such repository or it is hidden.
    pub(super) async fn repository(
        &self,
        app: &App,
        visitor: &Visitor,
    ) -> Result<ReadableRepository, Refused> {
        if RESERVED.contains(&self.part("owner").to_ascii_lowercase().as_str()) {
            return Err(Refused::Other(Box::new(Failure {
                error: crate::api::bamboo::error::ApiError::not_found("HTTP 404 Not Found"),
                trace: None,
            })));
        }
        let mut refusal = None;
        for owner in self.owners() {
            let name = format!("{owner}/{}", self.part("slug"));
            match app.engine().read_repository(&visitor.caller, &name).await {
                Ok(found) => {
                    return match self.moved(app, found.repository()) {
                        Some(address) => Err(Refused::Page(Box::new(see_other(&address)))),
                        None => Ok(found),
                    };
                }
                Err(error @ (EngineError::Forbidden { .. } | EngineError::NotFound(_))) => {
                    // The refusal is more to know about than that there is nothing.
                    if refusal.is_none() || matches!(error, EngineError::Forbidden { .. }) {
                        refusal = Some(error);
                    }
                }
                Err(error) => refusal = Some(error),
            }
        }
        let trace = match refusal {
            Some(EngineError::Unauthenticated { .. }) => {
                return Err(Refused::Page(Box::new(log_in_page(
                    app,
                    visitor,
                    &self.address,
                    "Log in to see this page.",
                ))));
            }
            Some(EngineError::Forbidden { needed, subject, .. }) => Some(Trace {
                subject,
                reason: format!("lacks {needed}"),
                account: None,
            }),
            Some(EngineError::NotFound(_)) | None => None,
            Some(other) => return Err(other.into()),
        };
        let mut page = self.problem(
            app,
            visitor,
            StatusCode::NOT_FOUND,
            "There is no such repository",
            "It does not exist, or you may not read it.",
        );
        if let Some(trace) = trace {
            page.extensions_mut().insert(trace);
        }
        Err(Refused::Page(Box::new(page)))
    }

    /// The address of this page below the present name of the repository, if it was asked for by a former one.
    fn moved(&self, app: &App, found: &Repository) -> Option<String> {
        let slug = self.part("slug");
        let is_present = slug.eq_ignore_ascii_case(&found.slug)
            && self
                .owners()
                .iter()
                .any(|owner| owner.eq_ignore_ascii_case(&found.owner));
        if is_present {
            return None;
        }
        let site = Site::of(app);
        let (path, query) = self
            .address
            .split_once('?')
            .map_or((self.address.as_str(), ""), |(path, query)| (path, query));
        let (root, named) = match self.part("owner") {
            // `/projects/KEY/repos/SLUG/...`
            "" => (site.repository(found)?.root(), 5),
            // `/OWNER/SLUG/...`
            _ => (site.cloud_repository(found), 3),
        };
        let rest: String = path
            .split('/')
            .skip(named)
            .map(|part| format!("/{part}"))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        Some(format!("{root}{rest}{mark}{query}"))
    }

    /// The commit that is named.
    pub(super) async fn revision(
        &self,
        app: &App,
        visitor: &Visitor,
        found: &ReadableRepository,
        name: Name<'_>,
    ) -> Result<NamedRevision, Refused> {
        let (looked_up, text) = match name {
            Name::Default => (
                found.revision(None).await,
                found.repository().default_branch.as_str(),
            ),
            Name::Any(text) => (found.revision(Some(text)).await, text),
            Name::Branch(text) => (found.branch_revision(text).await, text),
            Name::Tag(text) => (found.tag_revision(text).await, text),
        };
        looked_up.map_err(|error| match error {
            EngineError::NotFound(_) => {
                let sentence = format!(
                    "{} has no branch, tag or commit {}. A commit that was rewritten goes with the next clean-up.",
                    found.repository().name,
                    inert(text, 120)
                );
                self.missing(app, visitor, "There is no such revision", &sentence)
            }
            other => self.unreadable(app, visitor, &other),
        })
    }

    /// A page for what is not there.
    pub(super) fn missing(&self, app: &App, visitor: &Visitor, heading: &str, sentence: &str) -> Refused {
        Refused::Page(Box::new(self.problem(
            app,
            visitor,
            StatusCode::NOT_FOUND,
            heading,
            sentence,
        )))
    }

    /// A page for what is larger than a page can send.
    pub(super) fn too_large(&self, app: &App, visitor: &Visitor, size: u64) -> Refused {
        Refused::Page(Box::new(self.problem(
            app,
            visitor,
            StatusCode::PAYLOAD_TOO_LARGE,
            "This is too large",
            &format!("It has {size} bytes. A clone has the file."),
        )))
    }

    /// A page for what cannot be read.
    pub(super) fn unreadable(&self, app: &App, visitor: &Visitor, error: &EngineError) -> Refused {
        let (status, heading, sentence) = match error {
            EngineError::NotFound(_) => (
                StatusCode::NOT_FOUND,
                "This is not there",
                "What the address names is not in the repository any more.",
            ),
            EngineError::Invalid(_) => (
                StatusCode::NOT_FOUND,
                "This cannot be shown",
                "Its name has a line feed in it, or it is too large. A clone has it.",
            ),
            other => {
                tracing::warn!("a page cannot be made: {other}");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "This cannot be shown now",
                    "The repository could not be read, or that took too long. The log of the server has the cause.",
                )
            }
        };
        Refused::Page(Box::new(self.problem(app, visitor, status, heading, sentence)))
    }

    fn problem(
        &self,
        app: &App,
        visitor: &Visitor,
        status: StatusCode,
        heading: &str,
        sentence: &str,
    ) -> Response {
        let page = Problem { heading, sentence };
        render(status, "problem.html", &self.frame(app, visitor, heading), &page)
    }

    /// The addresses of a repository that has an owner.
    pub(super) fn site(
        &self,
        app: &App,
        visitor: &Visitor,
        found: &Repository,
    ) -> Result<super::address::RepositorySite, Refused> {
        Site::of(app).repository(found).ok_or_else(|| {
            self.missing(
                app,
                visitor,
                "There are no pages of linked repositories",
                "Look at it where it lives.",
            )
        })
    }
}

#[derive(Serialize)]
pub(super) struct Problem<'a> {
    pub(super) heading: &'a str,
    pub(super) sentence: &'a str,
}

/// Why a page is not shown.
#[derive(Debug)]
pub(super) enum Refused {
    /// With a page that says so.
    Page(Box<Response>),
    /// In the words of the other interfaces.
    Other(Box<Failure>),
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        Self::Other(Box::new(error.into()))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Page(response) => *response,
            Self::Other(failure) => failure.into_response(),
        }
    }
}
