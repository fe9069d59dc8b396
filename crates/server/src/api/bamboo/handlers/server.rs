//! The server about itself, and the caller (bamboo-rest.md 2.1).

use axum::extract::State;
use axum::response::Response;
use madake_domain::permission::Principal;
use madake_engine::EngineError;
use madake_store::user;

use super::super::render;
use super::super::view::{ServerState, ServerView, UserView};
use super::asked::Asked;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// The version of Bamboo whose answers these are.
const VERSION: &str = "12.1.8";
/// The number of that version's build; some clients compare numbers.
const BUILD_NUMBER: &str = "120109";
/// The date of that version: 2026-06-01.
const BUILD_DATE_MS: i64 = 1_780_272_000_000;
/// What the root of the API links to.
const RESOURCES: [&str; 8] = [
    "info",
    "server",
    "status",
    "currentUser",
    "project",
    "plan",
    "result",
    "queue",
];

/// `GET /`: the resources by name.
pub(super) async fn root(State(app): State<App>, asked: Asked) -> Response {
    asked.ok(render::api_root(&RESOURCES, &asked.context(&app)))
}

/// `GET /info`
pub(super) async fn info(State(app): State<App>, asked: Asked) -> Response {
    asked.ok(render::info(&view(&app, None), &asked.context(&app)))
}

/// `GET /server`
pub(super) async fn server(State(app): State<App>, asked: Asked) -> Response {
    asked.ok(render::server(&view(&app, None)))
}

/// `GET /status`
pub(super) async fn status(State(app): State<App>, asked: Asked) -> Response {
    asked.ok(render::health(&view(&app, None)))
}

/// `POST /server/pause`: arrivals are taken and decided, no job begins.
pub(super) async fn pause(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    set_paused(&app, &visitor, &asked, true).await
}

/// `POST /server/resume`
pub(super) async fn resume(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    set_paused(&app, &visitor, &asked, false).await
}

async fn set_paused(app: &App, visitor: &Visitor, asked: &Asked, paused: bool) -> Result<Response, Failure> {
    app.engine().set_paused(&visitor.caller, paused).await?;
    let by = visitor.caller.name().to_owned();
    Ok(asked.ok(render::server(&view(app, Some(by)))))
}

/// `GET /currentUser`
pub(super) async fn current_user(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let name = visitor.caller.name().to_owned();
    let id = match &visitor.caller.principal {
        Principal::User(user) => Some(user.id),
        Principal::Anonymous | Principal::Job(_) | Principal::Local => None,
    };
    let found = app
        .engine()
        .store()
        .read(move |tx| Ok::<_, EngineError>(id.map(|id| user::by_id(tx, id)).transpose()?.flatten()))
        .await?;
    let view = match found {
        Some(user) => UserView {
            name: user.name,
            full_name: user.full_name,
            email: Some(user.email).filter(|email| !email.is_empty()),
        },
        None => UserView {
            full_name: name.clone(),
            name,
            email: None,
        },
    };
    Ok(asked.ok(render::current_user(&view)))
}

fn view(app: &App, set_by_user: Option<String>) -> ServerView {
    let (_, busy) = app.engine().agent_counts();
    let state = match (app.engine().is_paused(), busy) {
        (false, _) => ServerState::Running,
        (true, 0) => ServerState::Paused,
        (true, _) => ServerState::Pausing,
    };
    ServerView {
        version: VERSION.to_owned(),
        build_number: BUILD_NUMBER.to_owned(),
        build_date_ms: BUILD_DATE_MS,
        state,
        reindex_in_progress: false,
        reindex_pending: false,
        set_by_user,
    }
}
