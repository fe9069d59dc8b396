//! Cleans paths before anything looks at them: authentication, routing and logging see one and the same path.
//!
//! What a router and a guard could read differently (`//`, `;`, encoded dots or NUL) is an unknown path
//! (hostile-inputs.md A1).

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use percent_encoding::percent_decode_str;

use crate::App;
use crate::api::bamboo::negotiate::split_suffix;
use crate::api::bitbucket::Face;

/// The format that a suffix of the path asked for, if any.
#[derive(Debug, Clone, Copy)]
pub struct SuffixFormat(pub Option<crate::api::bamboo::negotiate::Format>);

/// The path behind the host in the base URL, without a slash at the end; `None` when there is none.
#[must_use]
pub fn context_path(base_url: &str) -> Option<&str> {
    let (_, rest) = base_url.split_once("://")?;
    let path = &rest[rest.find('/')?..];
    let path = path.trim_end_matches('/');
    (!path.is_empty()).then_some(path)
}

/// Whether a path reads the same for everybody.
#[must_use]
pub fn is_plain(path: &str) -> bool {
    if !path.starts_with('/') || path.contains("//") || path.contains([';', '\\']) {
        return false;
    }
    let decoded = percent_decode_str(path);
    let Ok(decoded) = decoded.decode_utf8() else {
        return false;
    };
    if decoded.chars().any(char::is_control) || decoded.contains(['\\', ';']) {
        return false;
    }
    // An encoded slash may stand in a branch name; the parts that it makes must be plain as well.
    !decoded.split('/').any(|part| part == "." || part == "..")
}

/// Takes the context path, a slash at the end, the version and the format suffix off REST paths.
pub(crate) async fn clean(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !is_plain(path) {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    }
    let below = context_path(app.base_url()).map_or(path, |context| match path.strip_prefix(context) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => path,
    });
    let mut clean = if below.is_empty() { "/" } else { below }.to_owned();
    let mut format = None;
    if clean.starts_with("/rest/") {
        for name in ["api", "triggers", "admin", "responsibility"] {
            if let Some(rest) = clean.strip_prefix(&format!("/rest/{name}/1.0/")) {
                clean = format!("/rest/{name}/latest/{rest}");
            }
        }
        // Names of files, branches and repositories of Bitbucket end as they like.
        if clean.starts_with("/rest/api/") && Face::of(&clean).is_none() {
            let split = split_suffix(&clean);
            format = split.format;
            clean = split.path.to_string();
        }
    }
    // Whoever used api.bitbucket.org names our address instead of it.
    if clean.starts_with("/1.0/repositories/") || clean.starts_with("/2.0/repositories/") {
        clean.insert_str(0, "/api");
    }
    if clean.len() > 1 && clean.ends_with('/') {
        clean.pop();
    }
    if clean != path {
        let text = match request.uri().query() {
            Some(query) => format!("{clean}?{query}"),
            None => clean,
        };
        match text.parse::<Uri>() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(_) => return (StatusCode::NOT_FOUND, "not found\n").into_response(),
        }
    }
    request.extensions_mut().insert(SuffixFormat(format));
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_unknown() {
        for bad in [
            "/x;.jsp",
            "/rest/..;/admin",
            "/%2e%2e/x",
            "/a/%2e/b",
            "//x",
            "/a//b",
            "/a%00",
            "/a%0d%0aX:1",
            "/a/../b",
            "/a\\b",
            "/a%5cb",
            "/a%2f..%2fb",
            "/%ff",
            "rest",
        ] {
            assert!(!is_plain(bad), "{bad} was accepted");
        }
        for good in [
            "/",
            "/rest/api/latest/plan/PROJ-PLAN/branch/feature/x%20y",
            "/a/feature%2Fbar",
            "/plan/P-X/.json",
        ] {
            assert!(is_plain(good), "{good} was refused");
        }
    }

    #[test]
    fn context_path_is_what_stands_behind_the_host() {
        assert_eq!(context_path("http://ci.example:8085"), None);
        assert_eq!(context_path("http://ci.example/"), None);
        assert_eq!(context_path("https://ci.example/bamboo/"), Some("/bamboo"));
    }
}
