//! Bursts: many spans or lines in a row, faster than they are exported or written, of which none is lost by default.

use obs_runtime::observe;
use obs_tests::receiver::{Reply, receive};
use obs_tests::{DEADLINE, Lines, Spans, here, parse_line, process, total};
use opentelemetry::trace::{SpanId, Tracer};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;
use tracing_subscriber::prelude::*;

const MANY: usize = 10_000;

/// Lets nothing pass until it is opened.
#[derive(Clone, Debug, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn set(&self, open: bool) {
        *self.0.0.lock().expect("no panic") = open;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().expect("no panic");
        drop(self.0.1.wait_while(open, |open| !*open).expect("no panic"));
    }
}

/// An exporter that takes nothing while its gate is closed.
#[derive(Clone, Debug, Default)]
struct Gated {
    gate: Gate,
    spans: Spans,
}

impl SpanExporter for Gated {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.gate.pass();
        self.spans.export(batch).await
    }
}

impl Gated {
    /// Runs with the gate closed; returns the spans that come out afterwards and have a word in their name.
    fn burst(&self, word: &str, run: impl FnOnce()) -> Vec<SpanData> {
        self.gate.set(false);
        run();
        self.gate.set(true);
        assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
        self.spans.which(|span| span.name.contains(word))
    }
}

#[observe(fields(number))]
fn small(number: usize) -> usize {
    number
}

#[observe]
fn root_of_small() {
    (0..MANY).for_each(|number| _ = small(number));
}

#[observe(fields(text))]
fn large(text: &str) -> usize {
    text.len()
}

#[observe(fields(f1 = text, f2 = text, f3 = text, f4 = text, f5 = text, f6 = text, f7 = text, f8 = text, f9 = text, f10 = text, f11 = text, f12 = text, f13 = text, f14 = text, f15 = text))]
fn wide(text: &str) -> usize {
    text.len()
}

#[observe(no_log)]
fn failing(number: usize) -> Result<(), String> {
    Err(format!("no {number}"))
}

#[observe(fields(number))]
async fn in_a_task(number: usize) -> usize {
    tokio::task::yield_now().await;
    number
}

#[observe]
fn on_each_thread() {
    (0..MANY).for_each(|number| _ = between(number));
}

#[observe]
fn between(number: usize) -> usize {
    number
}

fn assert_none_is_lost() {
    assert_eq!(total("obs_spans_dropped_total", &[]), 0.0);
}

fn all_spans_come_out(exporter: &Gated) {
    let spans = exporter.burst("small", root_of_small);
    let (roots, children): (Vec<_>, Vec<_>) =
        spans.into_iter().partition(|span| span.name.contains("root_of_small"));
    assert_eq!((roots.len(), children.len()), (1, MANY));
    let root = roots[0].span_context.span_id();
    assert!(children.iter().all(|span| span.parent_span_id == root), "none is orphaned");
    let mut numbers: Vec<usize> = children
        .iter()
        .map(|span| obs_tests::attribute(span, "number").expect("a field").parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..MANY), "each has its own fields");

    // More than the ring of bytes holds, also while the ring of spans has room.
    let text = "x".repeat(4000);
    let spans = exporter.burst("large", || (0..MANY).for_each(|_| _ = large(&text)));
    assert_eq!(spans.len(), MANY);
    assert!(spans.iter().all(|span| obs_tests::attribute(span, "text").as_ref() == Some(&text)));
    let spans = exporter.burst("wide", || (0..1000).for_each(|_| _ = wide(&text)));
    assert_eq!(spans.len(), 1000);
    assert!(spans.iter().all(|span| obs_tests::attribute(span, "f15").as_ref() == Some(&text)));

    assert_eq!(exporter.burst("failing", || (0..MANY).for_each(|number| _ = failing(number))).len(), MANY);
    let plain = || (0..MANY).for_each(|number| drop(tracing::info_span!("plain_tracing", number).entered()));
    assert_eq!(exporter.burst("plain_tracing", plain).len(), MANY);
    let tasks = || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        runtime.block_on(async {
            let tasks: Vec<_> = (0..MANY).map(|number| tokio::spawn(in_a_task(number))).collect();
            for task in tasks {
                task.await.expect("no panic");
            }
        });
    };
    assert_eq!(exporter.burst("in_a_task", tasks).len(), MANY);
    let threads = || {
        thread::scope(|scope| (0..4).for_each(|_| _ = scope.spawn(on_each_thread)));
    };
    assert_eq!(exporter.burst("between", threads).len(), 4 * MANY);
    assert_eq!(exporter.spans.which(|span| span.name.contains("on_each_thread")).len(), 4);
    assert_none_is_lost();
}

#[test]
fn no_span_of_a_burst_is_lost() {
    let Some(_inside) = process::alone(here!()) else { return };
    let exporter = Gated::default();
    let builder = obs_runtime::builder().no_admin().log_output(io::sink()).log_filter("error");
    let _guard = builder.span_exporter(exporter.clone()).init().expect("the runtime starts");
    all_spans_come_out(&exporter);
    let tracer = opentelemetry::global::tracer("theirs");
    let api = || (0..MANY).for_each(|_| drop(tracer.start("of_the_api")));
    assert_eq!(exporter.burst("of_the_api", api).len(), MANY);
    assert_none_is_lost();
}

#[test]
fn no_span_of_a_burst_is_lost_below_the_layer() {
    let Some(_inside) = process::alone(here!()) else { return };
    tracing_subscriber::registry().with(obs_runtime::layer()).init();
    let exporter = Gated::default();
    let builder = obs_runtime::builder().no_admin().log_filter("error");
    let _guard = builder.span_exporter(exporter.clone()).init().expect("the runtime starts");
    all_spans_come_out(&exporter);
}

#[observe]
fn many_below_one() {
    (0..MANY).for_each(|number| _ = below_one(number));
}

#[observe]
fn below_one(number: usize) -> usize {
    number
}

#[test]
fn at_the_limit_spans_are_counted_and_the_root_is_kept() {
    let Some(_inside) = process::alone(here!()) else { return };
    let exporter = Gated::default();
    let builder = obs_runtime::builder().no_admin().log_output(io::sink()).log_filter("error");
    let _guard =
        builder.thread_buffer(1600).span_exporter(exporter.clone()).init().expect("the runtime starts");
    let spans = exporter.burst("below_one", many_below_one);
    let (roots, children): (Vec<_>, Vec<_>) =
        spans.into_iter().partition(|span| span.name.contains("many_below_one"));
    assert_eq!(roots.len(), 1, "it ended last");
    assert_eq!(roots[0].parent_span_id, SpanId::INVALID);
    assert!(children.len() >= 1500, "{}", children.len());
    let lost = f64::from(u32::try_from(MANY - children.len()).expect("few"));
    assert!(lost > 0.0);
    for (reason, expected) in
        [("buffer", lost), ("queue", 0.0), ("rejected", 0.0), ("failed", 0.0), ("shutdown", 0.0)]
    {
        assert_eq!(total("obs_spans_dropped_total", &[("reason", reason)]), expected, "{reason}");
    }
    // The buffer is empty again.
    assert_eq!(exporter.burst("small", || (0..1500).for_each(|number| _ = small(number))).len(), 1500);
    assert_eq!(total("obs_spans_dropped_total", &[]), lost);
}

/// An output that takes nothing while its gate is closed.
struct Held(Gate, Lines);

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.pass();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_line_of_a_burst_is_lost() {
    static RECORDS: AtomicUsize = AtomicUsize::new(0);
    static TAKES: AtomicBool = AtomicBool::new(false);
    let Some(_inside) = process::alone(here!()) else { return };
    let url = receive(|path, body| {
        assert_eq!(path, "/v1/logs");
        while !TAKES.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        let request = ExportLogsServiceRequest::decode(body).expect("protobuf");
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        RECORDS.fetch_add(scopes.map(|scope| scope.log_records.len()).sum(), Ordering::Relaxed);
        Reply::taken()
    });
    let (gate, lines) = (Gate::default(), Lines::default());
    let _guard = obs_runtime::builder()
        .no_admin()
        .log_output(Held(gate.clone(), lines.clone()))
        .log_filter("info")
        .otlp_endpoint(url)
        .otlp_timeout(DEADLINE)
        .otlp_logs(true)
        .sampler(obs_runtime::Sampler::AlwaysOff)
        .init()
        .expect("the runtime starts");
    let filler = "x".repeat(100);
    for round in 0..2 {
        for number in 0..MANY {
            tracing::info!(round, number, filler, "a line");
        }
        thread::scope(|scope| {
            for thread in 1..4 {
                let filler = &filler;
                scope.spawn(move || {
                    (0..MANY).for_each(|number| tracing::info!(round, number, thread, filler, "a line"));
                });
            }
        });
        gate.set(true);
        TAKES.store(true, Ordering::Relaxed);
        let flushed = obs_runtime::flush(DEADLINE);
        assert!(flushed.finished, "{flushed:?}");
        gate.set(false);
        TAKES.store(false, Ordering::Relaxed);
    }
    gate.set(true);
    TAKES.store(true, Ordering::Relaxed);
    assert_eq!(total("obs_log_lines_dropped_total", &[]), 0.0);
    assert_eq!(total("obs_log_records_dropped_total", &[]), 0.0);
    assert_eq!(RECORDS.load(Ordering::Relaxed), 2 * 4 * MANY);
    let text = lines.text();
    let parsed = text.lines().map(parse_line).filter(|line| line["msg"] == "a line");
    let mut next = [[0; 4]; 2];
    for line in parsed {
        let number = |key: &str| usize::try_from(line[key].as_u64().unwrap_or_default()).expect("small");
        let next = &mut next[number("round")][number("thread")];
        assert_eq!(number("number"), *next, "in order");
        *next += 1;
    }
    assert_eq!(next, [[MANY; 4]; 2]);
}
