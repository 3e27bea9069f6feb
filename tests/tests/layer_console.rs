//! The layer beside tokio's console: neither is in the other's way.
#![cfg(tokio_unstable)]

use obs_runtime::observe;
use obs_tests::{DEADLINE, Spans};
use std::net::Ipv4Addr;
use tracing_subscriber::prelude::*;

#[observe]
async fn outer() -> Result<u32, String> {
    tokio::task::yield_now().await;
    tokio::spawn(async { 1 }).await.map_err(|error| error.to_string())?;
    inner().await
}

#[observe]
async fn inner() -> Result<u32, String> {
    tokio::task::yield_now().await;
    Ok(7)
}

#[test]
fn observed_futures_run_beside_the_console() {
    let console = console_subscriber::ConsoleLayer::builder().server_addr((Ipv4Addr::LOCALHOST, 0)).spawn();
    tracing_subscriber::registry().with(console).with(obs_runtime::layer()).init();
    let spans = Spans::default();
    let _guard = obs_runtime::builder().no_admin().span_exporter(spans.clone()).init().expect("starts");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for _ in 0..100 {
        assert_eq!(runtime.block_on(outer()), Ok(7));
    }
    assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
    let ours = spans.which(|_| true);
    let of = |name: &str| ours.iter().filter(|span| span.name.ends_with(name)).count();
    assert_eq!((of("::outer"), of("::inner")), (100, 100));
    for inner in ours.iter().filter(|span| span.name.ends_with("::inner")) {
        let parent = ours.iter().find(|span| span.span_context.span_id() == inner.parent_span_id);
        assert!(parent.is_some_and(|parent| parent.name.ends_with("::outer")), "{inner:?}");
    }
}
