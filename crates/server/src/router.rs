//! The whole router: what every request passes, in order, and then the routes.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, header};
use tower::Layer as _;

use crate::api::bamboo::error::ApiError;
use crate::auth::{self, Visitor};
use crate::pages::form;
use crate::refusal::Failure;
use crate::routes::Routes;
use crate::{App, api, git, hg, intake, pages, path, refusal};

/// The largest body of a request that is not a push, in bytes.
pub const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// All routes with their declarations.
#[must_use]
pub fn routes() -> Routes {
    Routes::default()
        .merge(pages::routes())
        .merge(api::bamboo::handlers::routes())
        .merge(api::native::routes())
        .merge(api::bitbucket::routes())
        .merge(git::routes())
        .merge(hg::routes())
        .merge(intake::routes())
}

/// The router of an application. The path is cleaned before routing, so the cleaning wraps the whole router.
pub fn build_router(app: &App) -> Router {
    let routed = routes()
        .into_router()
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(guard_ambient))
        .layer(from_fn_with_state(app.clone(), auth::authenticate))
        .layer(from_fn_with_state(app.clone(), refusal::finish))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(app.clone());
    let cleaned = from_fn_with_state(app.clone(), path::clean).layer(routed);
    Router::new().fallback_service(cleaned)
}

async fn not_found() -> Failure {
    Failure {
        error: ApiError::not_found("HTTP 404 Not Found"),
        trace: None,
    }
}

async fn method_not_allowed() -> Failure {
    Failure {
        error: ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed"),
        trace: None,
    }
}

/// Cookies come along whoever asks: a request that changes something must come from our own pages, or bring what
/// a foreign page cannot (bamboo-rest.md 1.5, hostile-inputs.md R10, A12).
async fn guard_ambient(request: Request, next: Next) -> Response {
    let ambient = request
        .extensions()
        .get::<Visitor>()
        .and_then(|visitor| visitor.ambient.clone());
    let Some(form_token) = ambient else {
        return next.run(request).await;
    };
    let path = request.uri().path();
    // Cookies do not come along with forms of other sites (`SameSite=Lax`), and these two change nothing but the session.
    if matches!(path, "/login" | "/logout") {
        return next.run(request).await;
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        || path.ends_with("updateAndBuild.action");
    if !changes {
        return next.run(request).await;
    }
    let path = path.to_owned();
    let is_known =
        |given: &[u8]| -> bool { subtle::ConstantTimeEq::ct_eq(given, form_token.as_bytes()).into() };
    if let Some(given) = request.headers().get("x-madake-form-token") {
        if is_known(given.as_bytes()) {
            return next.run(request).await;
        }
    } else if form::is_form(request.headers()) {
        // Pages work without scripts, and a form has its fields only.
        let (parts, body) = request.into_parts();
        if let Ok(body) = axum::body::to_bytes(body, form::FORM_LIMIT).await {
            let mut fields = form_urlencoded::parse(&body);
            let given = fields.find(|(name, _)| name == "form-token");
            if given.is_some_and(|(_, given)| is_known(given.as_bytes())) {
                return next.run(Request::from_parts(parts, body.into())).await;
            }
        }
    }
    Failure::traced(
        ApiError::forbidden("XSRF check failed: a session cookie alone may not change anything."),
        path,
        "a session cookie without the session's form token",
    )
    .into_response()
}

/// Whether the client asked for a gzip body to be read.
pub(crate) fn is_gzip(request: &Request) -> bool {
    request
        .headers()
        .get(header::CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("gzip") || value.eq_ignore_ascii_case("x-gzip"))
}
