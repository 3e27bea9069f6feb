//! The user service: who may order.

use crate::database::{Database, User};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use obs_runtime::{Label, observe};

#[derive(Debug, thiserror::Error, Label)]
enum UserError {
    #[error("there is no user {0}")]
    Unknown(i64),
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
}

impl IntoResponse for UserError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}

pub(crate) fn routes(database: Database) -> Router {
    Router::new().route("/users/{id}", get(user)).with_state(database)
}

#[observe(name = "users::user", fields(user_id = id), err(kind = UserError, level = "warn"))]
async fn user(State(database): State<Database>, Path(id): Path<i64>) -> Result<Json<User>, UserError> {
    let user = database.find_user(id)?.ok_or(UserError::Unknown(id))?;
    Ok(Json(user))
}
