//! The way of finished spans out of the process: one thread collects them from the rings of all
//! threads, another hands them to the exporter in batches. A dead collector holds up the second
//! alone; what then does not fit the queue is dropped and counted.

use super::http::take_cause;
use super::span_data::Converter;
use crate::context::{Stack, with_stack};
use crate::trace::{Finished, collect_from, dropped, wake};
use futures_executor::block_on;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often rings are emptied when none is half full.
const COLLECT_EVERY: Duration = Duration::from_millis(100);

/// How often while somebody waits for a flush.
const FLUSH_EVERY: Duration = Duration::from_millis(5);

const TARGET: &str = "obs_runtime::export";

static FAILURES: AtomicU64 = AtomicU64::new(0);
static LAST_SUCCESS_MILLIS: AtomicU64 = AtomicU64::new(0);
static FLUSHES: OnceLock<Mutex<Sender<Flush>>> = OnceLock::new();

/// How many of the spans that were accepted, in their order, the exporter has taken or refused.
static DEALT_WITH: AtomicU64 = AtomicU64::new(0);

/// Somebody waits until what has ended by now is dealt with.
struct Flush {
    done: Sender<()>,
    deadline: Instant,
}

/// How spans are batched, by the names of the `OTEL_BSP_*` variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batching {
    pub(crate) schedule_delay: Duration,
    pub(crate) max_queue_size: usize,
    pub(crate) max_export_batch_size: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self { schedule_delay: Duration::from_secs(5), max_queue_size: 2048, max_export_batch_size: 512 }
    }
}

/// A [`SpanExporter`] of any type.
pub(crate) trait Exporter: Debug + Send {
    fn set_resource(&mut self, resource: &Resource);
    fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult;
}

impl<E: SpanExporter> Exporter for E {
    fn set_resource(&mut self, resource: &Resource) {
        SpanExporter::set_resource(self, resource);
    }

    fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        block_on(SpanExporter::export(self, batch))
    }
}

/// Batches that the collector did not take.
pub(crate) fn failures() -> u64 {
    FAILURES.load(Ordering::Relaxed)
}

/// When it last took one, in Unix time; 0 if never.
pub(crate) fn last_success_seconds() -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds fit for as long as this will run")]
    let millis = LAST_SUCCESS_MILLIS.load(Ordering::Relaxed) as f64;
    millis / 1_000.0
}

/// Starts both threads.
pub(crate) fn start(exporter: Box<dyn Exporter>, to: String, batching: Batching) -> io::Result<()> {
    let waiting = (batching.max_queue_size / batching.max_export_batch_size).max(1);
    let (batches, inbox) = sync_channel(waiting);
    let (flushes, asked) = channel();
    thread::Builder::new().name("obs-export".into()).spawn(move || export_all(&*exporter, &to, &inbox))?;
    thread::Builder::new().name("obs-spans".into()).spawn(move || {
        Collector {
            batching,
            batches,
            pending: VecDeque::new(),
            accepted: 0,
            flushes: Vec::new(),
            converter: Converter::new(),
        }
        .run(&asked);
    })?;
    let _ = FLUSHES.set(Mutex::new(flushes));
    Ok(())
}

/// Waits until every span that ended so far has been exported or dropped, or the deadline has come.
pub(crate) fn flush(deadline: Instant) -> bool {
    let Some(flushes) = FLUSHES.get() else { return true };
    let (done, waiting) = channel();
    let flush = Flush { done, deadline };
    if flushes.lock().unwrap_or_else(PoisonError::into_inner).send(flush).is_err() {
        return false;
    }
    wake();
    waiting.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
}

struct Collector {
    batching: Batching,
    batches: SyncSender<Vec<SpanData>>,
    pending: VecDeque<SpanData>,
    /// How many spans there has been room for.
    accepted: u64,
    /// Each with the number of spans that had been accepted when it was asked for.
    flushes: Vec<(u64, Flush)>,
    converter: Converter,
}

impl Collector {
    fn run(&mut self, asked: &Receiver<Flush>) {
        with_stack(Stack::set_quiet);
        let mut collect = collect_from(thread::current());
        let mut finished = Vec::new();
        let mut due = Instant::now() + self.batching.schedule_delay;
        loop {
            // Asked before collecting: what had ended by then is in the rings.
            let new: Vec<Flush> = asked.try_iter().collect();
            collect(&mut finished);
            self.accept(&mut finished);
            self.flushes.extend(new.into_iter().map(|flush| (self.accepted, flush)));
            let now = Instant::now();
            let full = self.pending.len() >= self.batching.max_export_batch_size;
            if now >= due || full || !self.flushes.is_empty() {
                self.send();
                due = now + self.batching.schedule_delay;
            }
            self.answer(now);
            let pause = if self.flushes.is_empty() { COLLECT_EVERY } else { FLUSH_EVERY };
            thread::park_timeout(pause.min(self.batching.schedule_delay));
        }
    }

    /// Takes as many spans as the queue has room for.
    fn accept(&mut self, finished: &mut Vec<Finished>) {
        let room = self.batching.max_queue_size.saturating_sub(self.pending.len());
        dropped(finished.len().saturating_sub(room) as u64);
        finished.truncate(room);
        self.accepted += finished.len() as u64;
        self.pending.extend(finished.drain(..).map(|span| self.converter.convert(span)));
    }

    /// Hands over what the exporter has room for. Never waits: a dead collector is its matter alone.
    fn send(&mut self) {
        while !self.pending.is_empty() {
            let size = self.pending.len().min(self.batching.max_export_batch_size);
            let batch = self.pending.drain(..size).collect();
            if let Err(TrySendError::Full(unsent) | TrySendError::Disconnected(unsent)) =
                self.batches.try_send(batch)
            {
                unsent.into_iter().rev().for_each(|span| self.pending.push_front(span));
                return;
            }
        }
    }

    /// Tells those whose spans have been dealt with, and forgets those who wait no longer.
    fn answer(&mut self, now: Instant) {
        let dealt_with = DEALT_WITH.load(Ordering::Acquire);
        self.flushes.retain(|(accepted, flush)| {
            let done = *accepted <= dealt_with;
            if done {
                // Whoever asked may have given up meanwhile.
                let _ = flush.done.send(());
            }
            !done && now < flush.deadline
        });
    }
}

/// The exporter's thread.
fn export_all(exporter: &dyn Exporter, to: &str, inbox: &Receiver<Vec<SpanData>>) {
    with_stack(Stack::set_quiet);
    let mut reachable = true;
    for batch in inbox {
        let spans = batch.len() as u64;
        // The exporter may be the application's, and panic.
        let failure = match catch_unwind(AssertUnwindSafe(|| exporter.export(batch))) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the exporter panicked".to_owned()),
        };
        let works = failure.is_none();
        match failure {
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                LAST_SUCCESS_MILLIS.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
                if !reachable {
                    tracing::info!(target: TARGET, endpoint = to, "spans are exported again");
                }
            }
            Some(error) => {
                FAILURES.fetch_add(1, Ordering::Relaxed);
                dropped(spans);
                if reachable {
                    tracing::warn!(
                        target: TARGET,
                        endpoint = to,
                        error,
                        cause = take_cause(),
                        "spans can't be exported; they are dropped and counted in \
                         obs_spans_dropped_total until it works again"
                    );
                }
            }
        }
        reachable = works;
        DEALT_WITH.fetch_add(spans, Ordering::Release);
        wake();
    }
}
