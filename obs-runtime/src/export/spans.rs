//! The way of finished spans out of the process: one thread collects them from the rings of all
//! threads, another hands them to the exporter in batches. A dead collector holds up the second
//! alone; what then does not fit the queue is dropped and counted.

use super::http::take_cause;
use super::span_data::Converter;
use crate::context::{Stack, with_stack};
use crate::trace::{collect_from, dropped, wake};
use futures_executor::block_on;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
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
static FLUSHES: OnceLock<Mutex<Sender<Done>>> = OnceLock::new();

/// Told when a flush has come through.
type Done = Sender<()>;

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
            pending: Vec::new(),
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
    if flushes.lock().unwrap_or_else(PoisonError::into_inner).send(done).is_err() {
        return false;
    }
    wake();
    waiting.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
}

enum Message {
    Batch(Vec<SpanData>),
    Flush(Done),
}

struct Collector {
    batching: Batching,
    batches: SyncSender<Message>,
    pending: Vec<SpanData>,
    /// Flushes that wait for the spans before them to be handed over.
    flushes: Vec<Done>,
    converter: Converter,
}

impl Collector {
    fn run(&mut self, asked: &Receiver<Done>) {
        with_stack(Stack::set_quiet);
        let mut collect = collect_from(thread::current());
        let mut finished = Vec::new();
        let mut due = Instant::now() + self.batching.schedule_delay;
        loop {
            // Asked before collecting: what had ended by then is in the rings.
            self.flushes.extend(asked.try_iter());
            collect(&mut finished);
            self.pending.extend(finished.drain(..).map(|span| self.converter.convert(span)));
            let now = Instant::now();
            let full = self.pending.len() >= self.batching.max_export_batch_size;
            if now >= due || full || !self.flushes.is_empty() {
                self.send();
                due = now + self.batching.schedule_delay;
            }
            let excess = self.pending.len().saturating_sub(self.batching.max_queue_size);
            self.pending.drain(..excess);
            dropped(excess as u64);
            let pause = if self.flushes.is_empty() { COLLECT_EVERY } else { FLUSH_EVERY };
            thread::park_timeout(pause.min(self.batching.schedule_delay));
        }
    }

    /// Hands over what the queue has room for. Never waits: a dead collector is the exporter's matter.
    fn send(&mut self) {
        while !self.pending.is_empty() {
            let rest = self.pending.split_off(self.pending.len().min(self.batching.max_export_batch_size));
            let batch = Message::Batch(std::mem::replace(&mut self.pending, rest));
            if let Err(TrySendError::Full(unsent) | TrySendError::Disconnected(unsent)) =
                self.batches.try_send(batch)
            {
                if let Message::Batch(mut batch) = unsent {
                    batch.append(&mut self.pending);
                    self.pending = batch;
                }
                return;
            }
        }
        while let Some(done) = self.flushes.pop() {
            if let Err(TrySendError::Full(unsent)) = self.batches.try_send(Message::Flush(done)) {
                if let Message::Flush(done) = unsent {
                    self.flushes.push(done);
                }
                return;
            }
        }
    }
}

/// The exporter's thread.
fn export_all(exporter: &dyn Exporter, to: &str, inbox: &Receiver<Message>) {
    with_stack(Stack::set_quiet);
    let mut reachable = true;
    for message in inbox {
        match message {
            Message::Flush(done) => drop(done.send(())),
            Message::Batch(batch) => {
                let spans = batch.len() as u64;
                // The exporter may be the application's, and panic.
                let outcome = catch_unwind(AssertUnwindSafe(|| exporter.export(batch)));
                let failure = match outcome {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some("the exporter panicked".to_owned()),
                };
                match failure {
                    None => {
                        let now =
                            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                        LAST_SUCCESS_MILLIS.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
                        if !std::mem::replace(&mut reachable, true) {
                            tracing::info!(target: TARGET, endpoint = to, "spans are exported again");
                        }
                    }
                    Some(error) => {
                        FAILURES.fetch_add(1, Ordering::Relaxed);
                        dropped(spans);
                        if std::mem::replace(&mut reachable, false) {
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
            }
        }
    }
}
