//! Refusals in the shapes that clients of Bitbucket read.
//!
//! Bitbucket Server: `{"errors":[{"context":..,"message":..,"exceptionName":..}]}`, with 401 for everybody who lacks a
//! permission, logged in or not. Bitbucket Cloud: `{"type":"error","error":{"message":..}}`, with 403.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use madake_engine::EngineError;
use serde_json::{Value, json};

use super::Face;
use crate::api::bamboo::error::ApiError;
use crate::refusal::Failure;

/// What Bitbucket Server answers to whoever lacks a permission.
const NOT_PERMITTED: &str = "You are not permitted to access this resource";

/// A refusal of a handler, before it is known which interface was asked.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    failure: Box<Failure>,
    named: Named,
}

/// What Bitbucket Server says of a refusal beside its message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// The field of the request that is wrong.
    pub(crate) context: Option<String>,
    /// The class behind `com.atlassian.bitbucket.`.
    pub(crate) exception: Option<&'static str>,
    /// Somebody is logged in and lacks a permission.
    pub(crate) forbidden: bool,
}

impl Refused {
    /// A refusal with a status of its own.
    pub(crate) fn new(status: StatusCode, exception: &'static str, message: impl Into<String>) -> Self {
        Self {
            failure: Box::new(Failure {
                error: ApiError::new(status, message),
                trace: None,
            }),
            named: Named {
                exception: Some(exception),
                ..Named::default()
            },
        }
    }

    /// 400: what is wrong, and in which field.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut refused = Self::new(
            StatusCode::BAD_REQUEST,
            "validation.ArgumentValidationException",
            message,
        );
        refused.named.context = Some(field.into());
        refused
    }

    /// 404.
    pub(crate) fn missing(exception: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, exception, message)
    }

    /// The same refusal, where a 404 is called `exception`.
    pub(crate) fn missing_is(mut self, exception: &'static str) -> Self {
        if self.failure.error.status == StatusCode::NOT_FOUND {
            self.named.exception = Some(exception);
        }
        self
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        let mut named = Named::default();
        let mut status = None;
        match &error {
            EngineError::NotFound(_) => named.exception = Some("repository.NoSuchRepositoryException"),
            EngineError::Invalid(text) => {
                named.exception = Some("validation.ArgumentValidationException");
                named.context = field_of(text).map(str::to_owned);
            }
            EngineError::Exists(_) | EngineError::Conflict(_) => {
                named.exception = Some("IntegrityException");
                status = Some(StatusCode::CONFLICT);
            }
            EngineError::Unauthenticated { .. } => named.exception = Some("AuthorisationException"),
            EngineError::Forbidden { .. } | EngineError::Refused { .. } => {
                named.exception = Some("AuthorisationException");
                named.forbidden = true;
            }
            _ => named.exception = Some("ServerException"),
        }
        let mut failure = Failure::from(error);
        if let Some(status) = status {
            failure.error.status = status;
        }
        Self {
            failure: Box::new(failure),
            named,
        }
    }
}

/// The field that a message of the engine begins with: `url: ...`.
fn field_of(message: &str) -> Option<&str> {
    let (field, _) = message.split_once(": ")?;
    let is_name = !field.is_empty()
        && field
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name.then_some(field)
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (*self.failure).into_response();
        response.extensions_mut().insert(self.named);
        response
    }
}

/// The answer to a request that was not carried out.
pub(crate) fn answer(face: Face, error: &ApiError, named: Option<Named>) -> Response {
    let named = named.unwrap_or_default();
    let (status, body) = match face {
        Face::Server => server(error, &named),
        Face::Cloud => (error.status, cloud(error)),
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json;charset=UTF-8"),
    );
    if error.challenge {
        headers.insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"Madake\", charset=\"UTF-8\""),
        );
    }
    if let Some(seconds) = error.retry_after_seconds {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    (status, headers, body.to_string()).into_response()
}

fn server(error: &ApiError, named: &Named) -> (StatusCode, Value) {
    let status = if named.forbidden {
        StatusCode::UNAUTHORIZED
    } else {
        error.status
    };
    let message = match named.exception {
        Some("AuthorisationException") => NOT_PERMITTED,
        _ => &error.message,
    };
    let exception = named.exception.or(match error.status {
        StatusCode::UNAUTHORIZED => Some("auth.IncorrectPasswordAuthenticationException"),
        StatusCode::FORBIDDEN => Some("AuthorisationException"),
        _ => None,
    });
    let body = json!({
        "errors": [{
            "context": named.context,
            "message": message,
            "exceptionName": exception.map(|name| format!("com.atlassian.bitbucket.{name}")),
        }]
    });
    (status, body)
}

fn cloud(error: &ApiError) -> Value {
    json!({ "type": "error", "error": { "message": error.message } })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use madake_domain::permission::Permission;

    use super::*;

    async fn told(face: Face, refused: Refused) -> (u16, Value) {
        let response = answer(face, &refused.failure.error, Some(refused.named));
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    fn forbidden() -> Refused {
        Refused::from(EngineError::Forbidden {
            principal: "joe".into(),
            needed: Permission::Administration,
            subject: "repository PROJ/app".into(),
            token: false,
        })
    }

    #[tokio::test]
    async fn refusals_have_the_shape_of_bitbucket_server() {
        let (status, body) = told(
            Face::Server,
            EngineError::Invalid("url: it is none".into()).into(),
        )
        .await;
        assert_eq!(
            (status, body.to_string()),
            (
                400,
                r#"{"errors":[{"context":"url","message":"url: it is none","exceptionName":"com.atlassian.bitbucket.validation.ArgumentValidationException"}]}"#.to_owned()
            )
        );
        let (status, body) = told(Face::Server, forbidden()).await;
        assert_eq!(status, 401);
        assert_eq!(body["errors"][0]["message"], NOT_PERMITTED);
        assert!(!body.to_string().contains("joe"));
        let missing =
            Refused::from(EngineError::NotFound("gone".into())).missing_is("webhook.NoSuchWebhookException");
        let (status, body) = told(Face::Server, missing).await;
        assert_eq!(status, 404);
        assert_eq!(
            body["errors"][0]["exceptionName"],
            "com.atlassian.bitbucket.webhook.NoSuchWebhookException"
        );
    }

    #[tokio::test]
    async fn refusals_have_the_shape_of_bitbucket_cloud() {
        let (status, body) = told(Face::Cloud, EngineError::NotFound("gone".into()).into()).await;
        assert_eq!(
            (status, body.to_string()),
            (404, r#"{"type":"error","error":{"message":"gone"}}"#.to_owned())
        );
        assert_eq!(told(Face::Cloud, forbidden()).await.0, 403);
    }

    #[test]
    fn only_names_of_fields_are_contexts() {
        assert_eq!(field_of("hook-url-0: refused"), Some("hook-url-0"));
        assert_eq!(field_of("a repository: gone"), None);
        assert_eq!(field_of("no field"), None);
    }
}
