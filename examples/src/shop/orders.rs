//! The order service: writes the order down and has it paid.

use crate::database::Database;
use crate::http::{CallError, Client};
use crate::payments::Method;
use crate::trouble;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use obs_runtime::{Label, observe};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// An order as the gateway hands it on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Order {
    pub(crate) user: i64,
    pub(crate) method: Method,
    /// In cents.
    pub(crate) amount: i64,
}

#[derive(Debug, thiserror::Error, Label)]
enum OrderError {
    #[error("an amount is above zero, not {0}")]
    Amount(i64),
    #[error("payment {0}")]
    Payment(#[source] CallError),
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
}

impl IntoResponse for OrderError {
    fn into_response(self) -> Response {
        match self {
            Self::Amount(_) => (StatusCode::UNPROCESSABLE_ENTITY, self.to_string()).into_response(),
            Self::Payment(error) => error.into_response(),
            Self::Database(_) => (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response(),
        }
    }
}

#[derive(Clone)]
struct Orders {
    database: Database,
    client: Client,
    payments: String,
}

pub(crate) fn routes(database: Database, client: Client, payments: String) -> Router {
    Router::new().route("/orders", post(place)).with_state(Orders { database, client, payments })
}

#[observe(
    name = "orders::place",
    labels(method: Method = order.method),
    fields(user_id = order.user, amount = order.amount),
    err(kind = OrderError),
)]
async fn place(State(orders): State<Orders>, Json(order): Json<Order>) -> Result<Json<Value>, OrderError> {
    if order.amount <= 0 {
        return Err(OrderError::Amount(order.amount));
    }
    let id = Uuid::now_v7().to_string();
    orders.database.save_order(&id, order.user, order.amount, "open")?;
    let payment = json!({ "order_id": id, "method": order.method, "amount": order.amount });
    let paid: Result<Value, _> = orders.client.post(&format!("{}/payments", orders.payments), &payment).await;
    let state = if paid.is_ok() { "paid" } else { "failed" };
    orders.database.save_order(&id, order.user, order.amount, state)?;
    paid.map_err(OrderError::Payment)?;
    trouble::keep(&id);
    tracing::info!(order_id = %id, "order placed");
    // Nobody waits for it, and it belongs to the request all the same.
    obs_runtime::task::spawn(confirm(id.clone(), order.user));
    Ok(Json(json!({ "order_id": id, "state": state })))
}

/// Tells the user, after a while.
#[observe(name = "orders::confirm", fields(order_id))]
async fn confirm(order_id: String, user: i64) {
    tokio::time::sleep(Duration::from_millis(5)).await;
    tracing::info!(user, "confirmation sent");
}
