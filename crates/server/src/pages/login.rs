//! Logging in and out by a form.

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use form_urlencoded::parse;
use http::{HeaderMap, StatusCode, header};
use madake_domain::permission::Principal;
use madake_domain::text::inert;
use madake_engine::ops::log_in::LogIn;
use serde::Serialize;

use super::address::Site;
use super::asked::{Asked, Page, Problem, Refused};
use super::template::{Frame, render};
use crate::App;
use crate::auth::{SESSION_COOKIE, Visitor, cookie, forget_cookie, set_cookie};
use crate::path::is_plain;
use crate::refusal::Trace;

/// The largest form that is read, in bytes.
const FORM_LIMIT: usize = 16 * 1024;
/// The longest address that a form leads back to, in bytes.
const NEXT_LIMIT: usize = 4000;

#[derive(Debug, Default, Serialize)]
pub(super) struct LogInForm {
    pub(super) action: String,
    pub(super) next: String,
    pub(super) name: String,
    pub(super) asked: String,
    pub(super) problem: String,
}

/// The form instead of the page that was asked for.
pub(super) fn log_in_page(app: &App, visitor: &Visitor, next: &str, asked: &str) -> Response {
    let form = LogInForm {
        next: next.to_owned(),
        asked: asked.to_owned(),
        ..LogInForm::default()
    };
    let mut page = show(app, visitor, StatusCode::UNAUTHORIZED, form);
    // Not `Basic`: browsers would open their own dialogue instead of showing the form.
    page.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        http::HeaderValue::from_static("Form realm=\"Madake\""),
    );
    page
}

fn show(app: &App, visitor: &Visitor, status: StatusCode, form: LogInForm) -> Response {
    let form = LogInForm {
        action: Site::of(app).log_in_action(),
        ..form
    };
    let frame = Frame::new(app, visitor, "/login", "Log in");
    render(status, "login.html", &frame, &form)
}

/// `GET /login?next=`
pub(super) async fn form(State(app): State<App>, visitor: Visitor, asked: Asked) -> Response {
    let form = LogInForm {
        next: local(asked.query.text("next").unwrap_or_default()),
        ..LogInForm::default()
    };
    show(&app, &visitor, StatusCode::OK, form)
}

/// `POST /login`: begins a session and leads back.
pub(super) async fn log_in(State(app): State<App>, visitor: Visitor, request: Request) -> Page {
    let is_ours = is_same_origin(request.headers(), app.base_url());
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let body = axum::body::to_bytes(request.into_body(), FORM_LIMIT).await;
    let Ok(body) = body
        .map_err(drop)
        .and_then(|body| if is_form { Ok(body) } else { Err(()) })
    else {
        let form = LogInForm {
            problem: "Send a name and a password by the form.".to_owned(),
            ..LogInForm::default()
        };
        return Ok(show(&app, &visitor, StatusCode::BAD_REQUEST, form));
    };
    let field = |wanted: &str| {
        let mut fields = parse(&body);
        fields
            .find(|(name, _)| name == wanted)
            .map_or_else(String::new, |(_, value)| value.into_owned())
    };
    let (name, next) = (field("name"), local(&field("next")));
    let again = |status, problem: &str, reason: &str| {
        let form = LogInForm {
            next: next.clone(),
            name: inert(&name, 64),
            problem: problem.to_owned(),
            ..LogInForm::default()
        };
        let mut page = show(&app, &visitor, status, form);
        page.extensions_mut().insert(Trace {
            subject: "login".into(),
            reason: reason.to_owned(),
            account: Some(inert(&name, 64)),
        });
        page
    };
    if !is_ours {
        // A foreign page could log somebody in as somebody else.
        return Ok(again(
            StatusCode::FORBIDDEN,
            "The form came from another site. Log in here.",
            "the form came from another site",
        ));
    }
    let may_try = || app.guard().may_try(&name, visitor.address);
    let user = match app.engine().log_in(&name, &field("password"), may_try).await? {
        LogIn::Welcome(Principal::User(user)) => user,
        LogIn::Welcome(_) | LogIn::Wrong => {
            return Ok(again(
                StatusCode::UNAUTHORIZED,
                "The name or the password is wrong.",
                "the user name or the password is wrong",
            ));
        }
        LogIn::TooManyTries => {
            return Ok(again(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many tries. Wait half a minute.",
                "too many tries to log in",
            ));
        }
    };
    let session = app.engine().begin_session(user.id).await?;
    let mut response = see_other(&Site::of(&app).at(if next.is_empty() { "/" } else { &next }));
    set_cookie(&app, &mut response, &session);
    Ok(response)
}

/// `POST /logout`: ends the session that the request came with.
pub(super) async fn log_out(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let session = cookie(&headers, SESSION_COOKIE).filter(|_| visitor.ambient.is_some());
    let Some(session) = session else {
        let page = Problem {
            heading: "Nobody is logged in",
            sentence: "There is no session to end.",
        };
        let frame = Frame::new(&app, &visitor, "/", page.heading);
        return Ok(render(StatusCode::BAD_REQUEST, "problem.html", &frame, &page));
    };
    app.engine().end_session(&session).await?;
    let mut response = see_other(&Site::of(&app).home());
    forget_cookie(&app, &mut response);
    Ok(response)
}

/// Leads a browser to an address of ours.
pub(super) fn see_other(address: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, address.to_owned())]).into_response()
}

/// A path of ours to lead back to; empty for anything else.
fn local(next: &str) -> String {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let harmless = next.len() <= NEXT_LIMIT && is_plain(path) && !next.contains(char::is_control);
    if harmless && next.is_ascii() {
        next.to_owned()
    } else {
        String::new()
    }
}

/// Whether the form that a browser sends is a page of this server. Programs send no `Origin`.
pub(super) fn is_same_origin(headers: &HeaderMap, base_url: &str) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
    };
    let Some(origin) = headers.get(header::ORIGIN) else {
        return text(header::HeaderName::from_static("sec-fetch-site"))
            .is_none_or(|site| matches!(site, "same-origin" | "none"));
    };
    let Some((_, authority)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    let ours = base_url
        .split_once("://")
        .and_then(|(_, rest)| rest.split('/').next());
    text(header::HOST) == Some(authority) || ours == Some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_lead_back_to_pages_of_ours_alone() {
        for good in ["/projects/P/repos/a/browse?at=x", "/"] {
            assert_eq!(local(good), good);
        }
        for bad in [
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example",
            "/..;/x",
            "evil",
            "",
            "/a\nb",
            "/%2e%2e/x",
        ] {
            assert_eq!(local(bad), "", "{bad:?}");
        }
    }

    #[test]
    fn forms_of_other_sites_are_known_by_their_origin() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            });
            pairs.collect()
        };
        let base = "https://ci.example.org/madake";
        for (sent, expected) in [
            (headers(&[("host", "ci.example.org")]), true),
            (
                headers(&[("host", "10.0.0.1:8085"), ("origin", "https://ci.example.org")]),
                true,
            ),
            (
                headers(&[("host", "10.0.0.1:8085"), ("origin", "http://10.0.0.1:8085")]),
                true,
            ),
            (
                headers(&[("host", "ci.example.org"), ("origin", "https://evil.example")]),
                false,
            ),
            (headers(&[("host", "ci.example.org"), ("origin", "null")]), false),
            (
                headers(&[("host", "ci.example.org"), ("sec-fetch-site", "cross-site")]),
                false,
            ),
        ] {
            assert_eq!(is_same_origin(&sent, base), expected, "{sent:?}");
        }
    }
}
