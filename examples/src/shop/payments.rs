//! The payment service: asks a payment provider that declines, is slow, and is sometimes silent.

use crate::database::Database;
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

/// How long the provider may take.
const PATIENCE: Duration = Duration::from_millis(250);

/// In cents.
const LIMIT: i64 = 10_000;
const SILENT_AMOUNT: i64 = 777;
const BUGGY_AMOUNT: i64 = 1313;

#[derive(Clone, Copy, Debug, Deserialize, Serialize, Label)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    Card,
    Bank,
    Wallet,
}

#[derive(Debug, thiserror::Error, Label)]
enum PaymentError {
    #[error("declined: {0} is over the limit")]
    Declined(i64),
    #[error("the provider did not answer in time")]
    Timeout,
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
}

impl IntoResponse for PaymentError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Declined(_) => StatusCode::PAYMENT_REQUIRED,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}

#[derive(Debug, Deserialize)]
struct Payment {
    order_id: String,
    method: Method,
    amount: i64,
}

pub(crate) fn routes(database: Database) -> Router {
    Router::new().route("/payments", post(pay)).with_state(database)
}

async fn pay(
    State(database): State<Database>,
    Json(payment): Json<Payment>,
) -> Result<Json<Value>, PaymentError> {
    let large = payment.amount > LIMIT / 2;
    let receipt = charge(&payment, payment.method, large).await?;
    database.save_payment(&payment.order_id, payment.amount)?;
    Ok(Json(json!({ "receipt": receipt })))
}

#[observe(
    name = "payments::charge",
    labels(method, large: bool = large),
    fields(order_id = %payment.order_id, amount = payment.amount),
    err(kind = PaymentError),
    slow = "200ms",
)]
async fn charge(payment: &Payment, method: Method, large: bool) -> Result<String, PaymentError> {
    let score = risk(payment.amount);
    trouble::hold_up();
    tracing::info!(score, "risk assessed");
    if payment.amount > LIMIT {
        return Err(PaymentError::Declined(payment.amount));
    }
    match tokio::time::timeout(PATIENCE, provider(method, payment.amount)).await {
        Ok(receipt) => Ok(receipt),
        Err(_) => Err(PaymentError::Timeout),
    }
}

/// Has a bug, for the sake of the example: one amount is outside its table.
#[observe(name = "payments::risk")]
fn risk(amount: i64) -> u8 {
    const SCORES: [u8; 4] = [1, 2, 5, 8];
    trouble::compute();
    let row = if amount == BUGGY_AMOUNT { SCORES.len() } else { usize::from(amount > 1_000) };
    SCORES[row]
}

/// Somebody else's service, so to speak.
#[observe(name = "payments::provider", kind = "client", labels(method))]
async fn provider(method: Method, amount: i64) -> String {
    let takes = match method {
        Method::Card => Duration::from_millis(8),
        Method::Wallet => Duration::from_millis(15),
        Method::Bank if amount == SILENT_AMOUNT => Duration::from_hours(1),
        Method::Bank => Duration::from_millis(120),
    };
    tokio::time::sleep(takes).await;
    format!("{method:?}-{amount}")
}
