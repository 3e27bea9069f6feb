//! A little load, so that there is something to see: most orders are fine, some are declined, time
//! out, meet a bug, or come from a client that hangs up.

use crate::options::Options;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long the impatient client waits: less than a bank takes.
const IMPATIENT: Duration = Duration::from_millis(60);
const PATIENT: Duration = Duration::from_secs(10);

/// Requests under way at once, at most.
const AT_ONCE: usize = 32;

/// Makes the requests that the options ask for. Without load, or without an end to it, never returns.
pub(crate) async fn run(gateway: String, options: Options) {
    if !options.load {
        return std::future::pending().await;
    }
    let client = reqwest::Client::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / options.rate);
    let mut requests = JoinSet::new();
    for number in 0..options.requests.unwrap_or(u64::MAX) {
        ticks.tick().await;
        if requests.len() >= AT_ONCE {
            requests.join_next().await;
        }
        let (order, patience) = order(number);
        let request = client.post(format!("{gateway}/orders")).json(&order).timeout(patience);
        // What becomes of it is the shop's to observe.
        requests.spawn(async move { drop(request.send().await) });
    }
    while requests.join_next().await.is_some() {}
}

/// The order of that number, and how long its client waits for it.
fn order(number: u64) -> (Value, Duration) {
    let user = number % 5 + 1;
    let (method, amount, patience) = match number % 10 {
        2 => ("card", 25_000, PATIENT),
        4 => ("bank", 777, PATIENT),
        6 => ("bank", 3_000, IMPATIENT),
        8 => ("wallet", 1313, PATIENT),
        digit => (["card", "wallet", "bank"][(number % 3) as usize], 900 + digit * 150, PATIENT),
    };
    (json!({ "user": user, "method": method, "amount": amount }), patience)
}
