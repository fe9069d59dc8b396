//! Remote triggers: `updateAndBuild.action` and `changeDetection` (bamboo-rest.md 7).

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, header};
use madake_domain::key::{EntityKey, PlanKey};
use madake_engine::EngineError;
use quick_xml::escape::escape;

use crate::App;
use crate::api::bamboo::error::ApiError;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;
use crate::router::BODY_LIMIT;

const XML: &str = "application/xml;charset=UTF-8";

/// `GET|POST /updateAndBuild.action?buildKey=PROJ-PLAN`. Always XML, as the original; failures have a status of
/// their own, for hooks that call `curl -f`.
pub(super) async fn update_and_build(State(app): State<App>, visitor: Visitor, request: Request) -> Response {
    // A HEAD finds its way to where GET goes, and must not change anything (hostile-inputs.md A3).
    if request.method() == Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let outcome = match parameters(request).await {
        Ok(parameters) => {
            trigger(
                &app,
                &visitor,
                &parameters,
                &["buildKey", "planKey", "buildName"],
                false,
            )
            .await
        }
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(name) => {
            let body = format!(
                "<response><success>A build of {} was triggered by remote http call.</success></response>",
                escape(&name)
            );
            ([(header::CONTENT_TYPE, XML)], body).into_response()
        }
        Err(failure) => {
            let body = format!(
                "<errors><error>{}</error></errors>",
                escape(&failure.error.message)
            );
            let mut response = (failure.error.status, [(header::CONTENT_TYPE, XML)], body).into_response();
            if failure.error.challenge
                && let Ok(value) = "Basic realm=\"Madake\"".parse()
            {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
            }
            if let Some(trace) = failure.trace {
                response.extensions_mut().insert(trace);
            }
            response
        }
    }
}

/// `POST /rest/triggers/latest/remote/changeDetection?planKey=&skipBranches=`: 204 when it was taken.
pub(super) async fn change_detection(
    State(app): State<App>,
    visitor: Visitor,
    request: Request,
) -> Result<StatusCode, Failure> {
    // The body is what forges send to webhooks; it is not looked at.
    let parameters = Parameters::from_query(request.uri().query());
    let skip = parameters.boolean("skipBranches").unwrap_or(false);
    trigger(&app, &visitor, &parameters, &["planKey", "buildKey"], skip).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn parameters(request: Request) -> Result<Parameters, Failure> {
    let parameters = Parameters::from_query(request.uri().query());
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let form = kind
        .as_deref()
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if !form {
        return Ok(parameters);
    }
    let body = axum::body::to_bytes(request.into_body(), BODY_LIMIT)
        .await
        .map_err(|_| Failure {
            error: ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            trace: None,
        })?;
    parameters
        .with_body(kind.as_deref(), &body)
        .map_err(|error| Failure {
            error: error.into(),
            trace: None,
        })
}

async fn trigger(
    app: &App,
    visitor: &Visitor,
    parameters: &Parameters,
    names: &[&str],
    skip_branches: bool,
) -> Result<String, Failure> {
    let given: Vec<&str> = names
        .iter()
        .filter_map(|name| parameters.text(name))
        .filter(|text| !text.is_empty())
        .collect();
    let Some(text) = given.first() else {
        return Err(Failure {
            error: ApiError::invalid("Plan key not specified."),
            trace: None,
        });
    };
    if given.iter().any(|other| other != text) {
        return Err(Failure {
            error: ApiError::invalid("planKey and buildKey name different plans; give one of them."),
            trace: None,
        });
    }
    // A job's key stands for its plan, as hooks of old were given it.
    let key: PlanKey = match text.parse() {
        Ok(EntityKey::Plan(key)) => key,
        Ok(EntityKey::Job(job)) => job.plan,
        _ => return Err(unknown(text)),
    };
    match app
        .engine()
        .trigger_remotely(&visitor.caller, &key, skip_branches, visitor.address)
        .await
    {
        Ok(triggered) => Ok(triggered.plan_name),
        Err(EngineError::NotFound(_)) => Err(unknown(text)),
        Err(EngineError::Conflict(sentence)) => Err(Failure::traced(
            ApiError::forbidden(sentence.clone()),
            format!("plan {key}"),
            sentence,
        )),
        Err(error) => Err(error.into()),
    }
}

fn unknown(text: &str) -> Failure {
    Failure::traced(
        ApiError::not_found("Could not find the plan."),
        format!("plan {}", madake_domain::text::inert(text, 80)),
        "there is no such plan",
    )
}
