//! What the runtime itself calls may be observed: an allocator, a subscriber, a field's formatter. An inner call is
//! passed over, and observing ends.

use crate::Allocator;
use obs_runtime::observe;
use obs_tests::{DEADLINE, Lines, here, parse_line, process, scrape};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

pub(crate) struct Observed;

// SAFETY: hands everything on to the system's.
unsafe impl GlobalAlloc for Observed {
    #[observe(fields(size = layout.size()))]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's to ensure.
        unsafe { System.alloc(layout) }
    }

    #[observe]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's to ensure.
        unsafe { System.dealloc(pointer, layout) }
    }
}

struct Shown;

impl fmt::Display for Shown {
    #[observe(fields(inner = %1))]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!("from a formatter");
        f.write_str("shown")
    }
}

#[observe(fields(%shown), err(level = "warn"))]
fn shows(shown: Shown) -> Result<Shown, Shown> {
    tracing::info!(%shown, "shown");
    Err(shown)
}

struct Elsewhere;

impl Subscriber for Elsewhere {
    #[observe]
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    #[observe]
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    #[observe]
    fn record(&self, _: &Id, _: &Record<'_>) {}
    #[observe]
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    #[observe]
    fn event(&self, _: &Event<'_>) {}
    #[observe]
    fn enter(&self, _: &Id) {}
    #[observe]
    fn exit(&self, _: &Id) {}
}

#[observe]
fn seen_elsewhere() -> Vec<u32> {
    vec![1, 2, 3]
}

/// Counts what it is given, and allocates.
#[derive(Debug)]
struct Counting;

static EXPORTED: AtomicUsize = AtomicUsize::new(0);

impl SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        EXPORTED.fetch_add(batch.clone().len(), Ordering::Relaxed);
        Ok(())
    }
}

fn calls(function: &str) -> f64 {
    let samples = scrape().samples;
    let of = samples.iter().filter(|sample| {
        sample.metric == "function_calls_total" && sample.labels.get("function") == Some(function)
    });
    of.map(|sample| match sample.value {
        prometheus_parse::Value::Counter(count) => count,
        ref other => panic!("{other:?}"),
    })
    .sum()
}

#[test]
fn observing_what_observes_ends() {
    let Some(_inside) = process::alone(here!()) else { return };
    Allocator::Observed.choose();
    let lines = Lines::default();
    let guard = obs_runtime::builder()
        .no_admin()
        .log_output(lines.clone())
        .span_exporter(Counting)
        .init()
        .expect("the runtime starts");
    assert_eq!(shows(Shown).err().expect("fails").to_string(), "shown");
    tracing::subscriber::with_default(Elsewhere, || assert_eq!(seen_elsewhere().len(), 3));
    std::thread::spawn(|| assert_eq!(seen_elsewhere().len(), 3)).join().expect("no panic");
    assert!(guard.shutdown(DEADLINE).finished);

    // The allocator is observed where it is the application that allocates, and nowhere else.
    assert!(calls("allocators::reentrant::alloc") > 0.0);
    let exported = EXPORTED.load(Ordering::Relaxed);
    assert!((1..10_000).contains(&exported), "{exported} spans");
    let shown: Vec<_> =
        lines.text().lines().map(parse_line).filter(|line| line["msg"] == "shows failed").collect();
    assert_eq!((shown.len(), &shown[0]["shown"]), (1, &"shown".into()));
}
