//! Emits a little of everything, the same each time, to the collector that the environment names. What
//! arrives there is checked by others.

use obs_runtime::metrics::{self, prometheus_client::metrics::counter::Counter};
use obs_runtime::propagation::extract;
use obs_runtime::{Label, TraceContext, context, observe};
use std::time::Duration;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CAUSE: &str = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01";

#[derive(Clone, Copy, Debug, Label)]
enum Size {
    Small,
    Large,
}

#[derive(Debug, thiserror::Error, Label)]
enum Refusal {
    #[error("refused: {0}")]
    TooLarge(u64),
}

#[observe(name = "emitter::serve", kind = "server", fields(ratio = 0.5, odd = "quote\" and\nline"))]
fn serve() {
    CAUSE.parse().map(TraceContext::link).expect("a traceparent");
    tracing::info!(step = 1, "serving");
    for amount in [1, 2, 3] {
        consume(amount, Size::Small).expect("small enough");
    }
    consume(1000, Size::Large).expect_err("too large");
    tracing::info_span!("plain", answer = 42, fine = true).in_scope(|| tracing::warn!("in a plain span"));
}

#[observe(name = "emitter::consume", kind = "consumer", labels(size), fields(amount), err(kind = Refusal))]
fn consume(amount: u64, size: Size) -> Result<(), Refusal> {
    if amount > 100 { Err(Refusal::TooLarge(amount)) } else { Ok(()) }
}

fn main() -> Result<(), obs_runtime::InitError> {
    let observed = obs_runtime::builder()
        .service_name("emitter")
        .service_version("1.2.3")
        .resource("deployment.environment.name", "test")
        .no_admin()
        .init()?;
    let orders: Counter = Counter::default();
    metrics::registry(|registry| registry.register("orders", "Orders placed", orders.clone()));
    orders.inc_by(7);
    let caller = [("traceparent", CALLER), ("tracestate", "congo=t61rcWkgMzE")];
    extract(&caller[..]).run(|| context! { request_id = "emitted" }.run(serve));
    let flushed = observed.shutdown(Duration::from_secs(10));
    assert!(flushed.finished, "everything was dealt with: {flushed:?}");
    Ok(())
}
