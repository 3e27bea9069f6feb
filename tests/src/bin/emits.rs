//! Emits log lines or spans on standard output, whatever that is, and notes in a file what the runtime says of them.
//!
//! ```text
//! emits NOTES lines N           emits N lines and drops the guard
//! emits NOTES stuck N           emits N lines on an output that is not read, and ends within a second
//! emits NOTES recovers N FILE   emits N lines, empties FILE, which is its standard output, and emits 10 more
//! emits NOTES spans N           emits N spans to an exporter that panics
//! ```

#![forbid(unsafe_code)]

use obs_runtime::health::{Probe, report};
use obs_runtime::{Delivered, FlushReport, Guard, observe};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use serde_json::{Value as Json, json};
use std::fs::File;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_mins(1);

#[derive(Debug)]
struct Panics;

impl SpanExporter for Panics {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        assert!(batch.is_empty(), "on purpose");
        Ok(())
    }
}

#[observe]
fn traced() {}

fn emit(lines: usize) {
    (0..lines)
        .for_each(|number| tracing::info!(number, "a line of some length, as a service would write it"));
}

fn counts(delivered: Delivered) -> Json {
    json!({ "exported": delivered.exported, "lost": delivered.lost, "pending": delivered.pending })
}

fn noted(flushed: &FlushReport) -> Json {
    json!({
        "lines": counts(flushed.log_lines),
        "spans": counts(flushed.spans),
        "finished": flushed.finished,
        "complete": flushed.is_complete(),
        "dropped": obs_tests::value("obs_log_lines_dropped_total", &[]),
        "alive": obs_tests::value("obs_thread_alive", &[("thread", "obs-log")]),
        "health": report(Probe::Liveness).to_json(true),
    })
}

fn start() -> Guard {
    let builder = obs_runtime::builder().no_admin().log_filter("info");
    builder.span_exporter(Panics).init().expect("the runtime starts")
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let [path, does, count, file @ ..] = &arguments[..] else { panic!("it takes NOTES, what to do, and N") };
    let count = count.parse().expect("a number");
    let guard = start();
    let noted = match *does {
        "lines" => {
            emit(count);
            let noted = noted(&obs_runtime::flush(DEADLINE));
            drop(guard);
            noted
        }
        "stuck" => {
            emit(count);
            noted(&guard.shutdown(Duration::from_secs(1)))
        }
        "recovers" => {
            emit(count);
            let before = noted(&obs_runtime::flush(DEADLINE));
            let file = File::options().write(true).open(file[0]).expect("standard output");
            file.set_len(0).expect("room again");
            emit(10);
            let after = noted(&obs_runtime::flush(DEADLINE));
            drop(guard);
            json!({ "before": before, "after": after })
        }
        "spans" => {
            (0..count).for_each(|_| traced());
            noted(&guard.shutdown(DEADLINE))
        }
        _ => panic!("it does not do {does}"),
    };
    std::fs::write(path, noted.to_string()).expect("the notes are written");
}
