//! Thousands of short threads: no count is lost, and no memory.

use obs_runtime::{Builder, observe};
use obs_tests::{DEADLINE, here, process, scrape};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::{fs, io, thread};
use tracing::{info, info_span};

const TOGETHER: u32 = 50;
const WARM_UP: u32 = 20;
const GROUPS: u32 = 80;

/// What is left behind of each thread on average is less than this. There are as many rings as there were threads at
/// once, and their memory is touched little by little.
const BYTES_FOR_EACH: u64 = 4 * 1024;

#[observe(fields(number), slow = "10s")]
fn called_and_traced(number: u32) -> Result<(), u32> {
    info_span!("below").in_scope(|| info!("inside"));
    if number.is_multiple_of(10) { Err(number) } else { Ok(()) }
}

#[observe(no_span, no_log)]
fn called_alone() {}

/// Takes spans and keeps none.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

fn group() {
    let threads: Vec<_> = (0..TOGETHER)
        .map(|number| {
            thread::spawn(move || {
                called_alone();
                let _ = called_and_traced(number);
                called_alone();
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
}

/// Memory of this process, in pages.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number")
}

fn counted(metric: &str, function: &str, outcome: &str) -> f64 {
    let samples = scrape().samples.into_iter().filter(|sample| {
        sample.metric == metric
            && sample.labels.get("function") == Some(function)
            && sample.labels.get("outcome").unwrap_or_default() == outcome
    });
    samples
        .map(|sample| match sample.value {
            prometheus_parse::Value::Counter(value) | prometheus_parse::Value::Gauge(value) => value,
            other => panic!("{other:?}"),
        })
        .sum()
}

fn run(builder: Builder) {
    let guard = builder.no_admin().init().expect("the runtime starts");
    (0..WARM_UP).for_each(|_| group());
    obs_runtime::flush(DEADLINE);
    let before = resident();
    (0..GROUPS).for_each(|_| group());
    obs_runtime::flush(DEADLINE);
    let grown = resident().saturating_sub(before) * 4096;
    let threads = u64::from(GROUPS * TOGETHER);
    assert!(grown < threads * BYTES_FOR_EACH, "{grown} bytes more after {threads} threads");

    let all = f64::from((WARM_UP + GROUPS) * TOGETHER);
    for (function, outcome, expected) in [
        ("processes::short_threads::called_alone", "ok", 2.0 * all),
        ("processes::short_threads::called_and_traced", "ok", 0.9 * all),
        ("processes::short_threads::called_and_traced", "error", 0.1 * all),
    ] {
        assert_eq!(counted("function_calls_total", function, outcome), expected, "{function} {outcome}");
        assert_eq!(counted("function_calls_in_flight", function, ""), 0.0, "{function}");
    }
    assert!(guard.shutdown(DEADLINE).finished);
}

/// Writes its lines nowhere.
fn builder() -> Builder {
    obs_runtime::builder().log_output(io::sink())
}

#[test]
fn with_spans_and_lines_nothing_is_lost_and_memory_stays_flat() {
    let Some(_inside) = process::alone(here!()) else { return };
    run(builder().log_filter("trace").span_exporter(Nowhere));
}

#[test]
fn with_lines_alone_nothing_is_lost_and_memory_stays_flat() {
    let Some(_inside) = process::alone(here!()) else { return };
    run(builder().log_filter("trace"));
}

#[test]
fn with_neither_nothing_is_lost_and_memory_stays_flat() {
    let Some(_inside) = process::alone(here!()) else { return };
    run(builder().log_filter("off"));
}
