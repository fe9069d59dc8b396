//! Pages out of templates: everything that comes from people is escaped, and no page runs, loads or frames anything.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use madake_domain::permission::Principal;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;

use super::address::Site;
use crate::App;
use crate::auth::Visitor;

/// Our own style sheet, and forms that come back to us; nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The style sheet of all pages.
pub(super) const STYLE: &str = include_str!("templates/style.css");

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, _, value| {
        if value.is_none() {
            return Ok(());
        }
        if value.is_safe() {
            write!(out, "{value}")?;
        } else {
            out.write_str(&escaped(&value.to_string()))?;
        }
        Ok(())
    });
    for (name, text) in [
        ("layout.html", include_str!("templates/layout.html")),
        ("parts.html", include_str!("templates/parts.html")),
        ("home.html", include_str!("templates/home.html")),
        ("list.html", include_str!("templates/list.html")),
        ("folder.html", include_str!("templates/folder.html")),
        ("file.html", include_str!("templates/file.html")),
        ("commits.html", include_str!("templates/commits.html")),
        ("commit.html", include_str!("templates/commit.html")),
        ("compare.html", include_str!("templates/compare.html")),
        ("refs.html", include_str!("templates/refs.html")),
        ("login.html", include_str!("templates/login.html")),
        ("hearing.html", include_str!("templates/hearing.html")),
        ("build.html", include_str!("templates/build.html")),
        ("artifact.html", include_str!("templates/artifact.html")),
        ("deployments.html", include_str!("templates/deployments.html")),
        ("deployment.html", include_str!("templates/deployment.html")),
        ("environment.html", include_str!("templates/environment.html")),
        ("deployed.html", include_str!("templates/deployed.html")),
        ("release.html", include_str!("templates/release.html")),
        ("plan.html", include_str!("templates/plan.html")),
        ("problem.html", include_str!("templates/problem.html")),
        ("variables.html", include_str!("templates/variables.html")),
        ("credentials.html", include_str!("templates/credentials.html")),
    ] {
        environment
            .add_template(name, text)
            .expect("the templates are part of the program, and a test renders each");
    }
    environment
});

/// Text that cannot leave the element or the attribute that it stands in.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// What stands around the content of a page.
#[derive(Debug, Serialize)]
pub(super) struct Frame {
    title: String,
    home: String,
    stylesheet: String,
    version: &'static str,
    visitor: Option<String>,
    log_in: String,
    log_out: Option<String>,
    ways: Vec<Way>,
    repository: Option<RepositoryFrame>,
}

/// The head of a page of a repository.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RepositoryFrame {
    pub(super) owner: String,
    pub(super) slug: String,
    pub(super) url: String,
    pub(super) project_url: String,
    pub(super) description: String,
    pub(super) tabs: Vec<Tab>,
}

/// A place that every page leads to.
#[derive(Debug, Clone, Serialize)]
struct Way {
    title: &'static str,
    url: String,
    is_here: bool,
}

/// A tab of a repository.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Tab {
    pub(super) title: &'static str,
    pub(super) url: String,
    pub(super) is_here: bool,
}

impl Frame {
    /// The frame for this visitor, who asked for `path` (below the context path, with its query).
    pub(super) fn new(app: &App, visitor: &Visitor, path: &str, title: &str) -> Self {
        let site = Site::of(app);
        let is_stranger = visitor.caller.principal == Principal::Anonymous;
        Self {
            title: format!("{title} - Madake"),
            home: site.home(),
            stylesheet: site.stylesheet(),
            // Strangers are not told which mistakes a server has.
            version: if is_stranger {
                ""
            } else {
                concat!(" ", env!("CARGO_PKG_VERSION"))
            },
            visitor: (!is_stranger).then(|| visitor.caller.name().to_owned()),
            log_in: site.log_in(path),
            // Only a session can be ended; other credentials come with each request.
            log_out: visitor.ambient.is_some().then(|| site.log_out()),
            ways: [
                ("Builds", site.home(), "/"),
                ("Deployments", site.deployments(), Site::DEPLOYMENTS),
                ("Repositories", site.repositories(), Site::REPOSITORIES),
            ]
            .into_iter()
            .map(|(title, url, here)| Way {
                title,
                url,
                is_here: path.split('?').next() == Some(here),
            })
            .collect(),
            repository: None,
        }
    }

    /// The same with the head of a repository.
    pub(super) fn with_repository(mut self, repository: RepositoryFrame) -> Self {
        self.repository = Some(repository);
        self
    }
}

/// A page.
pub(super) fn render(status: StatusCode, name: &str, frame: &Frame, page: &impl Serialize) -> Response {
    let text = match text_of(name, frame, page) {
        Ok(text) => text,
        Err(error) => {
            tracing::error!("the page {name} cannot be made: {error:#}");
            return (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal error; the log has the cause\n",
            )
                .into_response();
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, text).into_response()
}

fn text_of(name: &str, frame: &Frame, page: &impl Serialize) -> Result<String, minijinja::Error> {
    TEMPLATES.get_template(name)?.render(context! { frame, page })
}

#[cfg(test)]
mod tests;
