//! Panics of the application's code on threads of the runtime: each thread goes on, and what is lost is counted.

use obs_runtime::health::{Probe, Status, report};
use obs_runtime::observe;
use obs_tests::{DEADLINE, Lines, here, process, value};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::fmt;
use std::io::{self, Write};
use std::panic::panic_any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;

fn is_alive(name: &str) -> bool {
    value("obs_thread_alive", &[("thread", name)]) == Some(1.0)
}

/// Waits until something holds.
fn until(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "it never came");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A value of a panic that panics when it is dropped.
struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        assert!(thread::panicking(), "once more");
    }
}

/// An error whose text panics.
#[derive(Debug)]
struct NoText;

impl fmt::Display for NoText {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose")
    }
}

impl std::error::Error for NoText {}

/// An output that does each of these in turn, and then takes lines.
struct Worst {
    writes: usize,
    lines: Lines,
}

impl Write for Worst {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        match self.writes {
            1 => panic!("on purpose"),
            2 => panic_any(PanicsAgain),
            3 => Err(io::Error::other(NoText)),
            4 => Ok(0),
            5 => Ok(bytes.len() + 100),
            6 => Err(io::ErrorKind::StorageFull.into()),
            _ => self.lines.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn whatever_the_log_output_does_its_thread_goes_on() {
    let Some(_inside) = process::alone(here!()) else { return };
    let lines = Lines::default();
    let output = Worst { writes: 0, lines: lines.clone() };
    let guard = obs_runtime::builder()
        .no_admin()
        .log_filter("info")
        .log_output(output)
        .init()
        .expect("the runtime starts");
    for lost in 1..=6 {
        tracing::info!("lost");
        let flushed = obs_runtime::flush(DEADLINE);
        assert!(flushed.finished && !flushed.is_complete(), "{flushed:?}");
        assert_eq!((flushed.log_lines.exported, flushed.log_lines.lost), (0, lost));
        assert_eq!(report(Probe::Liveness).status(), Status::Warn);
    }
    assert!(is_alive("obs-log"));
    tracing::info!("written");
    let flushed = guard.shutdown(DEADLINE);
    assert_eq!((flushed.log_lines.exported, flushed.log_lines.lost), (1, 6));
    assert_eq!((lines.text().lines().count(), value("obs_log_lines_dropped_total", &[])), (1, Some(6.0)));
    assert_eq!(report(Probe::Liveness).status(), Status::Pass, "it works again");
}

/// A layer of the application that panics when the runtime says something.
#[derive(Clone, Default)]
struct PanicsAtOurs(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for PanicsAtOurs {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("obs_runtime") {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose");
        }
    }
}

/// An exporter whose batches fail and succeed in turn.
#[derive(Clone, Debug, Default)]
struct Alternates(Arc<Mutex<(usize, usize)>>);

impl SpanExporter for Alternates {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut state = self.0.lock().expect("no panic");
        state.0 += 1;
        if state.0 % 2 == 1 {
            return Err(OTelSdkError::InternalFailure("on purpose".into()));
        }
        state.1 += batch.len();
        Ok(())
    }
}

#[observe]
fn exported() {}

#[observe(stuck = "10ms")]
fn is_stuck_until(holds: impl Fn() -> bool) {
    until(holds);
}

#[test]
fn a_subscriber_that_panics_ends_no_thread_that_tells_it_something() {
    let Some(_inside) = process::alone(here!()) else { return };
    let (theirs, exporter) = (PanicsAtOurs::default(), Alternates::default());
    tracing_subscriber::registry().with(obs_runtime::layer()).with(theirs.clone()).init();
    let guard = obs_runtime::builder()
        .no_admin()
        .span_exporter(exporter.clone())
        .init()
        .expect("the runtime finds its layer");
    // The exporter's thread tells of each change: of the failures, and that it works again.
    for round in 1..=4_u64 {
        exported();
        let flushed = obs_runtime::flush(DEADLINE);
        assert!(flushed.finished, "{round}: {flushed:?}");
        assert_eq!((flushed.spans.exported, flushed.spans.lost), (round / 2, round.div_ceil(2)));
    }
    assert_eq!((theirs.0.load(Ordering::Relaxed), exporter.0.lock().expect("no panic").1), (4, 2));
    // The thread that watches calls tells of each that is stuck.
    for told in 5..=6 {
        is_stuck_until(|| theirs.0.load(Ordering::Relaxed) >= told);
    }
    assert!(["obs-spans", "obs-export", "obs-watch"].into_iter().all(is_alive));
    assert_eq!(report(Probe::Liveness).status(), Status::Pass);
    drop(guard);
}
