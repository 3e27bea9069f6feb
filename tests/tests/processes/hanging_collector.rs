//! A collector that takes a connection and never answers: no call waits for it.

use obs_runtime::observe;
use obs_tests::{Lines, here, process, scrape};
use prometheus_parse::Value;
use std::net::TcpListener;

#[observe]
fn goes_on(number: u32) -> u32 {
    number
}

fn value(metric: &str) -> Option<f64> {
    let samples = scrape().samples;
    let sample = samples.iter().find(|sample| sample.metric == metric)?;
    match sample.value {
        Value::Counter(value) | Value::Gauge(value) => Some(value),
        _ => None,
    }
}

#[test]
fn calls_return_while_the_exporter_waits() {
    let Some(_inside) = process::alone(here!()) else { return };
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", collector.local_addr().expect("bound"));
    let guard = obs_runtime::builder()
        .no_admin()
        .log_filter("off")
        .log_output(Lines::default())
        .otlp_endpoint(endpoint)
        .init()
        .expect("the runtime starts");

    // More than a batch, so that it is sent.
    (0..1_000).for_each(|number| assert_eq!(goes_on(number), number));
    let connection = collector.accept().expect("the exporter connects");
    // More than rings and queue hold: what does not fit is dropped, and no call waits.
    (0..20_000).for_each(|number| assert_eq!(goes_on(number), number));

    // The exporter still waits for its first answer: it has neither failed nor succeeded.
    assert_eq!(value("obs_export_failures_total"), Some(0.0));
    assert_eq!(value("obs_last_export_success_timestamp_seconds"), Some(0.0));
    drop(connection);
    // Its end would wait for the exporter, up to a deadline; that is not what is tested here.
    std::mem::forget(guard);
}
