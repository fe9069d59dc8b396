//! Who makes a request: Basic, Bearer, `os_username` and `os_password`, session cookies; and from which address.
//!
//! Credentials that are wrong are refused even where anonymous callers may pass (bamboo-rest.md 1.4).

pub(crate) mod guard;

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use madake_domain::address::forwarded_client;
use madake_domain::permission::Principal;
use madake_engine::access::Caller;
use madake_engine::job_right::is_job_right;
use madake_engine::ops::log_in::{LogIn, Session};

use crate::App;
use crate::git::lfs::brings_pass;
use crate::refusal::Failure;

/// The name of the session cookie, which real clients look for (bamboo-rest.md 1.4).
pub const SESSION_COOKIE: &str = "JSESSIONID";

/// A connection on the local socket: the person at the machine.
#[derive(Debug, Clone, Copy)]
pub struct LocalSocket;

/// Who makes a request and how that is known. An extractor of handlers.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who, and from where.
    pub caller: Caller,
    /// The client's address; `None` on the local socket.
    pub address: Option<IpAddr>,
    /// The credentials are a cookie, which browsers send along whoever asks; holds the session's form token.
    pub ambient: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Finds out who makes the request and hands it on with a [`Visitor`], or refuses wrong credentials.
pub(crate) async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let address = client_address(&app, &request);
    let text = address.map_or_else(|| "local".to_owned(), |address| address.to_string());
    let credentials = Credentials::of(&request);
    let outcome = identify(&app, &credentials, address).await;
    let (principal, ambient, new_session) = match outcome {
        Ok(found) => found,
        Err(failure) => {
            let visitor = Visitor {
                caller: Caller {
                    principal: Principal::Anonymous,
                    address: text,
                },
                address,
                ambient: None,
            };
            return failure.with_visitor(&visitor).respond(&request);
        }
    };
    let visitor = Visitor {
        caller: Caller {
            principal,
            address: text,
        },
        address,
        ambient,
    };
    request.extensions_mut().insert(visitor.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(visitor);
    if let Some(session) = new_session {
        set_cookie(&app, &mut response, &session);
    }
    response
}

/// The address that counts: of the peer, or of the client behind configured proxies.
fn client_address(app: &App, request: &Request<Body>) -> Option<IpAddr> {
    if request.extensions().get::<LocalSocket>().is_some() {
        return None;
    }
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip().to_canonical())?;
    // A proxy appends to whatever it was sent: bytes that are no text must not hide what it appended.
    let forwarded: Vec<_> = request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    let forwarded: Vec<&str> = forwarded.iter().map(AsRef::as_ref).collect();
    Some(forwarded_client(peer, &forwarded, app.trusted_proxies()).address)
}

type Identified = (Principal, Option<String>, Option<Session>);

/// What a request brings to say who makes it. Its own struct, as a request cannot be shared across a wait.
struct Credentials {
    local: bool,
    header: Option<http::HeaderValue>,
    query: Vec<(String, String)>,
    session: Option<String>,
    /// The request is one of Git or Mercurial.
    for_repository: bool,
    /// The header is a pass or a ticket of Git LFS, which the handler looks at.
    lfs_pass: bool,
}

impl Credentials {
    fn of(request: &Request<Body>) -> Self {
        Self {
            local: request.extensions().get::<LocalSocket>().is_some(),
            header: request.headers().get(header::AUTHORIZATION).cloned(),
            query: form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
            session: cookie(request.headers(), SESSION_COOKIE),
            for_repository: ["/scm/", "/hg/"]
                .iter()
                .any(|start| request.uri().path().starts_with(start)),
            lfs_pass: request
                .headers()
                .get(header::AUTHORIZATION)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|text| brings_pass(request.uri().path(), text)),
        }
    }

    fn asked(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

async fn identify(app: &App, given: &Credentials, address: Option<IpAddr>) -> Result<Identified, Failure> {
    if given.local {
        return Ok((Principal::Local, None, None));
    }
    if given.lfs_pass {
        return Ok((Principal::Anonymous, None, None));
    }
    if let Some(header) = &given.header {
        let text = header
            .to_str()
            .map_err(|_| Failure::wrong_credentials("the Authorization header is not text"))?;
        let principal = by_header(app, text, address).await?;
        if matches!(principal, Principal::Job(_)) && !given.for_repository {
            return Err(Failure::wrong_credentials(
                "the right of a job is for Git and Mercurial alone",
            ));
        }
        return Ok((principal, None, None));
    }
    if let (Some(name), Some(password)) = (given.asked("os_username"), given.asked("os_password")) {
        let principal = by_password(app, name, password, address).await?;
        let session = match &principal {
            Principal::User(user) => Some(app.engine().begin_session(user.id).await?),
            _ => None,
        };
        return Ok((principal, None, session));
    }
    if let Some(raw) = &given.session
        && let Some((principal, form_token)) = app.engine().resume_session(raw).await?
    {
        return Ok((principal, Some(form_token), None));
    }
    if given
        .asked("os_authType")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("basic"))
    {
        return Err(Failure::credentials_needed());
    }
    Ok((Principal::Anonymous, None, None))
}

async fn by_header(app: &App, text: &str, address: Option<IpAddr>) -> Result<Principal, Failure> {
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return by_token(app, rest, address).await;
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Failure::wrong_credentials(
            "the Authorization header is neither Basic nor Bearer",
        ));
    }
    let decoded = STANDARD
        .decode(rest)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Failure::wrong_credentials("the Basic credentials are not base64 of UTF-8 text"))?;
    // A password may have colons; a name may not.
    let (name, password) = decoded.split_once(':').ok_or_else(|| {
        Failure::wrong_credentials("the Basic credentials have no colon between name and password")
    })?;
    // Git and other tools can only send a token as a password; ours are told by their prefix.
    if is_job_right(password) {
        return match app.engine().log_in_by_job_right(password).await? {
            Some(principal) => Ok(principal),
            None => Err(Failure::wrong_credentials(
                "the right of a job to push has ended with the job",
            )),
        };
    }
    if password.starts_with("mdk_") {
        let principal = by_token(app, password, address).await?;
        let own = name.is_empty() || name == "x-token-auth" || principal.name().eq_ignore_ascii_case(name);
        return if own {
            Ok(principal)
        } else {
            Err(Failure::wrong_credentials("the token is another user's"))
        };
    }
    by_password(app, name, password, address).await
}

async fn by_password(
    app: &App,
    name: &str,
    password: &str,
    address: Option<IpAddr>,
) -> Result<Principal, Failure> {
    match app
        .engine()
        .log_in(name, password, || app.guard().may_try(name, address))
        .await?
    {
        LogIn::Welcome(principal) => Ok(principal),
        LogIn::Wrong => {
            Err(Failure::wrong_credentials("the user name or the password is wrong").of_account(name))
        }
        LogIn::TooManyTries => Err(Failure::too_many_tries(name)),
    }
}

async fn by_token(app: &App, raw: &str, address: Option<IpAddr>) -> Result<Principal, Failure> {
    match app.engine().log_in_by_token(raw).await? {
        Some(principal) => Ok(principal),
        None if app.guard().may_try("access token", address) => Err(Failure::wrong_credentials(
            "the access token is unknown, expired or revoked",
        )),
        None => Err(Failure::too_many_tries("access token")),
    }
}

pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned())
}

/// Lets a browser keep a session.
pub(crate) fn set_cookie(app: &App, response: &mut Response, session: &Session) {
    let secure = if app.base_url().starts_with("https://") {
        "; Secure"
    } else {
        ""
    };
    let text = format!(
        "{SESSION_COOKIE}={}; Path={}; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        session.token,
        crate::path::context_path(app.base_url()).unwrap_or("/"),
        session.lifetime_seconds
    );
    if let Ok(value) = text.parse() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Lets a browser forget its session.
pub(crate) fn forget_cookie(app: &App, response: &mut Response) {
    let path = crate::path::context_path(app.base_url()).unwrap_or("/");
    if let Ok(value) = format!("{SESSION_COOKIE}=; Path={path}; HttpOnly; SameSite=Lax; Max-Age=0").parse() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
