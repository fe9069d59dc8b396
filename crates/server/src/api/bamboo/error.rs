//! Refusals in the shapes that clients read (bamboo-rest.md 1.14).

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::answer::Answer;
use super::negotiate::Format;
use super::node::{Document, List, Object};
use super::query::UnsupportedBody;

/// A request that was not carried out: status, texts for the caller, and what the headers say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// What was wrong, for the reader.
    pub message: String,
    /// Mistakes of the request as a whole; only validation has them.
    pub errors: Vec<String>,
    /// Mistakes by parameter; only validation has them.
    pub field_errors: Vec<(String, Vec<String>)>,
    /// Whether the answer asks for a Basic login.
    pub challenge: bool,
    /// After how many seconds one more attempt makes sense.
    pub retry_after_seconds: Option<u32>,
}

impl ApiError {
    /// An error with a message only.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
            field_errors: Vec::new(),
            challenge: false,
            retry_after_seconds: None,
        }
    }

    /// 404, `Plan PROJ-NOPE not found.`
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 404 for a plan, plan branch or job.
    #[must_use]
    pub fn plan_not_found(key: &str) -> Self {
        Self::not_found(format!("Plan {key} not found."))
    }

    /// 404 for a result; `number` is a build number or `latest`.
    #[must_use]
    pub fn result_not_found(number: &str, key: &str) -> Self {
        Self::not_found(format!("Result {number} for {key} not found."))
    }

    /// 404 for a project.
    #[must_use]
    pub fn project_not_found(key: &str) -> Self {
        Self::not_found(format!("Can't find project by key: {key}"))
    }

    /// 400 with all mistakes at once, by request and by parameter.
    #[must_use]
    pub fn bad_request(errors: Vec<String>, field_errors: Vec<(String, Vec<String>)>) -> Self {
        let first_of_field = || field_errors.iter().find_map(|(_, texts)| texts.first());
        let message = errors.first().or_else(first_of_field).cloned();
        Self {
            errors,
            field_errors,
            ..Self::new(
                StatusCode::BAD_REQUEST,
                message.unwrap_or_else(|| "Bad request.".to_owned()),
            )
        }
    }

    /// 400 with one mistake.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::bad_request(vec![message.into()], Vec::new())
    }

    /// 400 for a `buildstate` filter that names no state.
    #[must_use]
    pub fn unknown_build_state(name: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            format!("There is no BuildState called '{name}'"),
        )
    }

    /// 400 when a plan runs as many builds as it may.
    #[must_use]
    pub fn too_many_concurrent_builds() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "Build requested but not started, you have reached the maximum number of concurrent builds allowed.",
        )
    }

    /// 400 when a build is asked to continue to a stage that is behind it (bamboo-rest.md 6.3).
    #[must_use]
    pub fn stage_already_executed(stage: &str) -> Self {
        Self::invalid(format!("Stage '{stage}' has already been executed."))
    }

    /// Status 401. With `challenge` the answer asks for a Basic login, which makes browsers show their dialogue and
    /// `os_authType=basic` clients log in; without it, clients fall back to their own ways.
    #[must_use]
    pub fn unauthorized(message: impl Into<String>, challenge: bool) -> Self {
        Self {
            challenge,
            ..Self::new(StatusCode::UNAUTHORIZED, message)
        }
    }

    /// 403: logged in, but not allowed.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 429 with the number of seconds after which one more attempt makes sense.
    #[must_use]
    pub fn too_many_requests(caller: &str, retry_after_seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!("Too many request invoked by {caller}"),
            )
        }
    }

    /// The error as a document; its XML root is `status`.
    #[must_use]
    pub fn to_document(&self) -> Document {
        let mut body = Object::new()
            .element("message", self.message.as_str())
            .element("status-code", self.status.as_u16())
            .element("sub-code", -1_i32);
        if !self.errors.is_empty() || !self.field_errors.is_empty() {
            let mut fields = Object::new();
            for (name, texts) in &self.field_errors {
                fields = fields.element(name.clone(), List::new("error", texts));
            }
            body = body
                .element("errors", List::new("error", &self.errors))
                .element("fieldErrors", fields);
        }
        Document::new("status", body)
    }

    /// The error as an answer in the format of the request.
    #[must_use]
    pub fn answer(&self, format: Format) -> Answer {
        let mut headers = HeaderMap::new();
        if self.challenge {
            let basic = HeaderValue::from_static("Basic realm=\"Madake\", charset=\"UTF-8\"");
            headers.insert(WWW_AUTHENTICATE, basic);
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        Answer {
            status: self.status,
            format,
            document: self.to_document(),
            headers,
        }
    }
}

impl From<UnsupportedBody> for ApiError {
    fn from(error: UnsupportedBody) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn one_object_satisfies_all_readers() {
        let error = ApiError::plan_not_found("PROJ-NOPE");
        assert_eq!(
            error.to_document().to_json(),
            r#"{"message":"Plan PROJ-NOPE not found.","status-code":404,"sub-code":-1}"#
        );
        assert!(error.to_document().to_xml().ends_with(
            "<status><message>Plan PROJ-NOPE not found.</message>\
             <status-code>404</status-code><sub-code>-1</sub-code></status>"
        ));
    }

    #[test]
    fn validation_lists_mistakes_by_request_and_by_field() {
        let in_use = vec!["In use.".to_owned()];
        let error = ApiError::bad_request(Vec::new(), vec![("versionName".to_owned(), in_use)]);
        assert_eq!(
            error.to_document().to_json(),
            r#"{"message":"In use.","status-code":400,"sub-code":-1,"errors":[],"fieldErrors":{"versionName":["In use."]}}"#
        );
        assert!(error.to_document().to_xml().contains(
            "<errors/><fieldErrors><versionName><error>In use.</error></versionName></fieldErrors>"
        ));
        assert_eq!(
            ApiError::stage_already_executed("Second").to_document().to_json(),
            r#"{"message":"Stage 'Second' has already been executed.","status-code":400,"sub-code":-1,"errors":["Stage 'Second' has already been executed."],"fieldErrors":{}}"#
        );
        assert_eq!(ApiError::bad_request(vec![], vec![]).message, "Bad request.");
    }

    #[test]
    fn login_is_only_demanded_when_asked_to() {
        let with = ApiError::unauthorized("Log in.", true)
            .answer(Format::Json)
            .into_response();
        assert_eq!(with.status(), StatusCode::UNAUTHORIZED);
        assert!(
            with.headers()[WWW_AUTHENTICATE]
                .to_str()
                .unwrap()
                .starts_with("Basic realm=")
        );
        assert_eq!(with.headers()[CONTENT_TYPE], "application/json;charset=UTF-8");
        let without = ApiError::unauthorized("Log in.", false)
            .answer(Format::Xml)
            .into_response();
        assert!(!without.headers().contains_key(WWW_AUTHENTICATE));
        assert_eq!(without.headers()[CONTENT_TYPE], "application/xml;charset=UTF-8");
    }

    #[test]
    fn limits_on_requests_say_when_to_come_back() {
        let response = ApiError::too_many_requests("Joe", 30)
            .answer(Format::Json)
            .into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[RETRY_AFTER], "30");
    }

    #[test]
    fn unreadable_bodies_are_refused_with_415() {
        assert_eq!(
            ApiError::from(UnsupportedBody).status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
    }
}
