//! Refusals: one answer in the format that was asked for, one line in the log that names principal, address,
//! thing and what lacked, and one entry in the ledger, so that an administrator finds it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_store::event::{Content, NewEvent};

use crate::App;
use crate::api::bamboo::error::ApiError;
use crate::api::bamboo::negotiate::{Format, Formats, is_late, negotiate};
use crate::api::bitbucket::{Face, refused};
use crate::auth::Visitor;
use crate::path::SuffixFormat;

/// A request that was not carried out, before it is known how the answer is to look.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// What the caller is told.
    pub(crate) error: ApiError,
    /// What the log and the ledger say in addition.
    pub(crate) trace: Option<Trace>,
}

/// What an administrator wants to know of a refusal.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// The thing that was asked for: `plan PROJ-PLAN`.
    pub(crate) subject: String,
    /// Why it was refused: the permission that lacked, the address that is on no list.
    pub(crate) reason: String,
    /// The account that was tried, where nobody was logged in.
    pub(crate) account: Option<String>,
}

impl Failure {
    /// Wrong credentials.
    pub(crate) fn wrong_credentials(reason: &str) -> Self {
        Self {
            error: ApiError::unauthorized("You are not authenticated: the credentials are not valid.", true),
            trace: Some(Trace {
                subject: "login".into(),
                reason: reason.to_owned(),
                account: None,
            }),
        }
    }

    /// Credentials were announced (`os_authType=basic`) and not sent.
    pub(crate) fn credentials_needed() -> Self {
        Self {
            error: ApiError::unauthorized("Client must be authenticated to access this resource.", true),
            trace: None,
        }
    }

    /// Too many tries.
    pub(crate) fn too_many_tries(account: &str) -> Self {
        let seconds = u32::try_from(crate::auth::guard::RETRY_AFTER_SECONDS).unwrap_or(30);
        Self {
            error: ApiError::too_many_requests(account, seconds),
            trace: Some(Trace {
                subject: "login".into(),
                reason: "too many tries to log in".into(),
                account: Some(inert(account, 64)),
            }),
        }
    }

    pub(crate) fn of_account(mut self, account: &str) -> Self {
        if let Some(trace) = &mut self.trace {
            trace.account = Some(inert(account, 64));
        }
        self
    }

    /// Any refusal that the log and the ledger are to keep.
    pub(crate) fn traced(error: ApiError, subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            error,
            trace: Some(Trace {
                subject: subject.into(),
                reason: reason.into(),
                account: None,
            }),
        }
    }

    pub(crate) fn with_visitor(self, visitor: &Visitor) -> FailureOf<'_> {
        FailureOf {
            failure: self,
            visitor,
        }
    }
}

/// A failure together with who met it, for places where the visitor is not in the answer yet.
pub(crate) struct FailureOf<'a> {
    failure: Failure,
    visitor: &'a Visitor,
}

impl FailureOf<'_> {
    pub(crate) fn respond(self, request: &Request) -> Response {
        let format = format_of(request);
        let trace = self.failure.trace.clone();
        let mut response = match Face::of(request.uri().path()) {
            Some(face) => refused::answer(face, &self.failure.error, None),
            None => self.failure.error.answer(format).into_response(),
        };
        response.extensions_mut().insert(self.visitor.clone());
        if let Some(trace) = trace {
            response.extensions_mut().insert(trace);
        }
        response
    }
}

/// The format that the answer to a request has.
pub(crate) fn format_of(request: &Request) -> Format {
    let suffix = request
        .extensions()
        .get::<SuffixFormat>()
        .and_then(|suffix| suffix.0);
    let path = request.uri().path();
    // What Git LFS asks for has a media type of its own, which is JSON.
    let json_only =
        path.starts_with("/rest/madake/") || (path.starts_with("/scm/") && path.contains("/info/lfs/"));
    let formats = match (json_only, is_late(path)) {
        (true, _) => Formats::JsonOnly,
        (false, true) => Formats::JsonFirst,
        (false, false) => Formats::XmlAndJson,
    };
    suffix.unwrap_or_else(|| negotiate(path, request.headers(), formats))
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::NotFound(_) => Self {
                error: ApiError::not_found(text),
                trace: None,
            },
            EngineError::Invalid(_) | EngineError::Exists(_) | EngineError::Conflict(_) => Self {
                error: ApiError::invalid(text),
                trace: None,
            },
            EngineError::Unauthenticated { needed, subject } => Self::traced(
                ApiError::unauthorized("Client must be authenticated to access this resource.", true),
                subject,
                format!("lacks {needed}"),
            ),
            EngineError::Forbidden {
                needed,
                subject,
                token,
                ..
            } => {
                let by = if token {
                    ", which the access token does not include"
                } else {
                    ""
                };
                Self::traced(ApiError::forbidden(text), subject, format!("lacks {needed}{by}"))
            }
            EngineError::Refused { subject, reason } => {
                Self::traced(ApiError::forbidden(text), subject, reason)
            }
            EngineError::Unavailable(_) => Self {
                error: ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text),
                trace: None,
            },
            other => {
                tracing::error!("a request failed: {other}");
                Self {
                    error: ApiError::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "internal error; the log has the cause",
                    ),
                    trace: None,
                }
            }
        }
    }
}

impl From<madake_store::StoreError> for Failure {
    fn from(error: madake_store::StoreError) -> Self {
        EngineError::from(error).into()
    }
}

/// Hands a [`Failure`] from a handler to [`finish`], which knows the request.
impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.error.status.into_response();
        response.extensions_mut().insert(Unrendered(Box::new(self)));
        response
    }
}

#[derive(Clone)]
struct Unrendered(Box<Failure>);

/// The path as logs and ledger show it: who knows the token at its end may deliver.
fn without_token(path: &str) -> &str {
    if path.starts_with("/intake/") {
        "/intake/TOKEN"
    } else {
        path
    }
}

/// Renders failures, logs each request and each refusal, and enters refusals in the ledger.
pub(crate) async fn finish(State(app): State<App>, request: Request, next: Next) -> Response {
    let format = format_of(&request);
    let face = Face::of(request.uri().path());
    let method = request.method().clone();
    let path = inert(without_token(request.uri().path()), 300);
    let began = std::time::Instant::now();
    let agent = request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map(|text| inert(text, 120));
    let mut response = next.run(request).await;
    if let Some(Unrendered(failure)) = response.extensions_mut().remove::<Unrendered>() {
        let visitor = response.extensions_mut().remove::<Visitor>();
        let trace = failure.trace.clone();
        let named = response.extensions_mut().remove::<refused::Named>();
        response = match face {
            Some(face) => refused::answer(face, &failure.error, named),
            None => failure.error.answer(format).into_response(),
        };
        if let Some(visitor) = visitor {
            response.extensions_mut().insert(visitor);
        }
        if let Some(trace) = trace {
            response.extensions_mut().insert(trace);
        }
    }
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::X_FRAME_OPTIONS)
        .or_insert(HeaderValue::from_static("DENY"));
    let visitor = response.extensions().get::<Visitor>();
    let principal = visitor
        .map_or("anonymous", |visitor| visitor.caller.name())
        .to_owned();
    let address = visitor.map_or_else(String::new, |visitor| visitor.caller.address.clone());
    let status = response.status().as_u16();
    tracing::info!(
        target: "madake::access",
        status,
        principal = %principal,
        address = %address,
        duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        agent = agent.as_deref(),
        "{method} {path} {status}"
    );
    if let Some(trace) = response.extensions().get::<Trace>().cloned() {
        let who = trace.account.clone().unwrap_or_else(|| principal.clone());
        tracing::warn!(
            target: "madake::authorisation",
            principal = %who,
            address = %address,
            subject = %trace.subject,
            reason = %trace.reason,
            "refused {method} {path}: principal {who} from {address}, {}: {}",
            trace.subject,
            trace.reason
        );
        let new = NewEvent {
            kind: "refused",
            delivery_id: None,
            address,
            principal: who,
            repository_id: None,
            plan_key: trace.subject.strip_prefix("plan ").map(str::to_owned),
            summary: format!("{method} {path}: {}", trace.subject),
            raw: Vec::new(),
            content: Content::Refused,
        };
        app.engine().record_refusal(new, status, trace.reason).await;
    }
    response
}
