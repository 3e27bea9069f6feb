//! The gateway: what the world sees of the shop.

use crate::http::{CallError, Client};
use crate::orders::Order;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use obs_runtime::observe;
use serde_json::Value;

#[derive(Clone)]
struct Gateway {
    client: Client,
    users: String,
    orders: String,
}

pub(crate) fn routes(client: Client, users: String, orders: String) -> Router {
    Router::new().route("/orders", post(order)).with_state(Gateway { client, users, orders })
}

#[observe(name = "gateway::order", fields(user_id = order.user), err(kind = CallError))]
async fn order(State(gateway): State<Gateway>, Json(order): Json<Order>) -> Result<Json<Value>, CallError> {
    let url = format!("{}/users/{}", gateway.users, order.user);
    let user: Value = gateway.client.get(&url).await?;
    tracing::info!(user = user["name"].as_str(), "ordering");
    let placed = gateway.client.post(&format!("{}/orders", gateway.orders), &order).await?;
    Ok(Json(placed))
}
