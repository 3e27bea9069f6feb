//! A collector that is not there: what is lost is counted, and it is said once.

use obs_runtime::observe;
use obs_tests::{ClosedPort, Lines, here, parse_line, process, total};
use std::time::Duration;

#[observe(fields(number))]
fn goes_nowhere(number: u32) -> u32 {
    number
}

#[test]
fn an_unreachable_collector_is_counted_and_said_once() {
    const SPANS: u32 = 20_000;
    let Some(_inside) = process::alone(here!()) else { return };
    let port = ClosedPort::reserve();
    let endpoint = format!("http://{}", port.address());
    let lines = Lines::default();
    let guard = obs_runtime::builder()
        .no_admin()
        .log_filter("info")
        .log_output(lines.clone())
        .otlp_endpoint(endpoint.clone())
        .otlp_timeout(Duration::from_millis(300))
        .init()
        .expect("the runtime starts without its collector");

    for number in 0..SPANS {
        goes_nowhere(number);
    }
    let flushed = obs_runtime::flush(Duration::from_secs(30));
    assert!(flushed.finished, "{flushed:?}");
    assert_eq!(total("obs_spans_dropped_total", &[]), f64::from(SPANS), "every span is accounted for");
    let dropped = |reason| total("obs_spans_dropped_total", &[("reason", reason)]);
    assert_eq!(dropped("buffer") + dropped("failed"), f64::from(SPANS));
    assert!(dropped("failed") > 0.0);
    assert!(total("obs_export_failures_total", &[]) >= 2.0);
    assert_eq!(total("obs_last_export_success_timestamp_seconds", &[]), 0.0);

    goes_nowhere(1);
    drop(guard);
    let said: Vec<_> = lines.text().lines().map(parse_line).filter(|line| line["level"] == "WARN").collect();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(said[0]["endpoint"], format!("{endpoint}/v1/traces"));
}
