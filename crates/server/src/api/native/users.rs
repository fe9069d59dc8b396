//! Users.

use axum::Json as Answer;
use axum::extract::{Path, State};
use http::StatusCode;
use madake_engine::ops::create_user::CreateUser;
use madake_store::user::User;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Json;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /users`
pub(super) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Answer<Value>, Failure> {
    let found = app.engine().list_users(&visitor.caller).await?;
    let rows: Vec<Value> = found.iter().map(view).collect();
    Ok(Answer(json!({ "users": rows })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Create {
    name: String,
    #[serde(default)]
    full_name: String,
    #[serde(default)]
    email: String,
    password: Option<String>,
    #[serde(default)]
    administrator: bool,
}

/// `POST /users`
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Create>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let asked = CreateUser {
        name: new.name,
        full_name: new.full_name,
        email: new.email,
        password: new.password,
        administrator: new.administrator,
    };
    let made = app.engine().create_user(&visitor.caller, asked).await?;
    Ok((StatusCode::CREATED, Answer(view(&made))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Password {
    password: String,
}

/// `PUT /users/{name}/password`
pub(super) async fn set_password(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    Json(new): Json<Password>,
) -> Result<StatusCode, Failure> {
    app.engine()
        .set_password(&visitor.caller, &name, new.password)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(user: &User) -> Value {
    json!({
        "name": user.name,
        "fullName": user.full_name,
        "email": user.email,
        "administrator": user.administrator,
        "enabled": user.enabled,
    })
}
