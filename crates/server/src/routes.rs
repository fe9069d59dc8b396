//! The routes, each with a declaration of who may call it. A route cannot be added without one, and a test calls
//! every route without credentials and compares what it does with what it declares.

use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use madake_domain::permission::Principal;

use crate::App;
use crate::api::bamboo::error::ApiError;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody: it tells nothing, or only what the caller may see.
    Public,
    /// Everybody who holds a permission that the operation itself asks for; on a server on which nothing is
    /// granted, an anonymous caller gets nothing.
    Permission(&'static str),
    /// Those who hold the token in the path.
    PathToken,
    /// Everybody who is logged in; what the operation asks for comes on top.
    LoggedIn,
}

/// One declared route.
#[derive(Debug, Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The pattern, as the router has it.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

/// Collects routes with their declarations.
#[derive(Debug, Default)]
pub struct Routes {
    router: axum::Router<App>,
    declared: Vec<Route>,
}

impl Routes {
    /// Adds a route.
    #[must_use]
    pub fn add<H, T>(mut self, method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        let mut route: MethodRouter<App> = on(filter, handler);
        if access == Access::LoggedIn {
            route = route.layer(from_fn(require_login));
        }
        self.router = self.router.route(path, route);
        self.declared.push(Route { method, path, access });
        self
    }

    /// Adds all routes of another collection.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.declared.extend(other.declared);
        self
    }

    /// The declarations.
    #[must_use]
    pub fn declared(&self) -> &[Route] {
        &self.declared
    }

    /// The router, without the declarations.
    pub(crate) fn into_router(self) -> axum::Router<App> {
        self.router
    }
}

async fn require_login(request: Request, next: Next) -> Response {
    let logged_in = request
        .extensions()
        .get::<Visitor>()
        .is_some_and(|visitor| visitor.caller.principal != Principal::Anonymous);
    if logged_in {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    Failure::traced(
        ApiError::unauthorized("Client must be authenticated to access this resource.", true),
        path,
        "nobody is logged in",
    )
    .into_response()
}
