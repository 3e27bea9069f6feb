//! What became of batches: counted for each signal, and said when it changes.

use crate::threads::caught;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(feature = "health")]
use std::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

const TARGET: &str = "obs_runtime::export";

/// The kinds of telemetry that are sent to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The collector has it, less what it refused; what it remarked, if anything.
    Taken { refused: u64, remark: String },
    /// It was given up, for that reason.
    Lost(String),
}

/// What is counted for one signal.
struct Tally {
    sending: AtomicBool,
    failures: AtomicU64,
    last_success_millis: AtomicU64,
    /// Since when no batch was taken, although there were some; 0 where the last was taken.
    failing_since_millis: AtomicU64,
    dropped: AtomicU64,
    /// Items that the collecting thread has taken from their source.
    accepted: AtomicU64,
    /// Of those, items that were exported or lost.
    settled: AtomicU64,
    exported: AtomicU64,
}

impl Tally {
    const fn new() -> Self {
        Self {
            sending: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            last_success_millis: AtomicU64::new(0),
            failing_since_millis: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            exported: AtomicU64::new(0),
        }
    }
}

static TALLIES: [Tally; Signal::ALL.len()] = [Tally::new(), Tally::new(), Tally::new()];

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    /// As labels and paths name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// The path of its gRPC method.
    #[cfg(feature = "otlp-grpc")]
    pub(crate) fn grpc_method(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }

    /// What a batch of it consists of.
    fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
            Self::Metrics => "metric points",
        }
    }

    /// The counter of what was dropped.
    fn counter(self) -> &'static str {
        match self {
            Self::Traces => "obs_spans_dropped_total",
            Self::Logs => "obs_log_records_dropped_total",
            Self::Metrics => "obs_metric_points_dropped_total",
        }
    }

    fn tally(self) -> &'static Tally {
        &TALLIES[self as usize]
    }

    /// Notes that it is sent somewhere.
    pub(crate) fn set_sending(self) {
        self.tally().sending.store(true, Ordering::Relaxed);
    }

    /// Whether it is sent anywhere.
    pub(crate) fn sending(self) -> bool {
        self.tally().sending.load(Ordering::Relaxed)
    }

    /// Counts items that are lost; returns how many have been.
    pub(crate) fn dropped(self, more: u64) -> u64 {
        match self {
            Self::Traces => crate::trace::dropped(more),
            _ => self.tally().dropped.fetch_add(more, Ordering::Relaxed) + more,
        }
    }

    /// Counts items that were taken from their source and are to be sent.
    pub(crate) fn accept(self, items: u64) {
        self.tally().accepted.fetch_add(items, Ordering::Relaxed);
    }

    /// Items that the collector has taken.
    pub(crate) fn exported(self) -> u64 {
        self.tally().exported.load(Ordering::Relaxed)
    }

    /// Items that were taken from their source, and neither exported nor lost so far.
    pub(crate) fn pending(self) -> u64 {
        let settled = self.tally().settled.load(Ordering::Relaxed);
        self.tally().accepted.load(Ordering::Relaxed).saturating_sub(settled)
    }

    /// Batches that were not taken.
    pub(crate) fn failures(self) -> u64 {
        self.tally().failures.load(Ordering::Relaxed)
    }

    /// How long batches have failed, if the last one has.
    #[cfg(feature = "health")]
    pub(crate) fn failing_for(self) -> Duration {
        match self.tally().failing_since_millis.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(unix_millis().saturating_sub(since)),
        }
    }

    /// When a batch was last taken, in Unix time; 0 if never.
    pub(crate) fn last_success_seconds(self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "milliseconds fit for as long as this will run")]
        let millis = self.tally().last_success_millis.load(Ordering::Relaxed) as f64;
        millis / 1_000.0
    }
}

fn unix_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(now).unwrap_or(u64::MAX)
}

/// Counts what became of the batches of one signal, and logs when that changes: not each time.
#[derive(Debug)]
pub(crate) struct Reporter {
    signal: Signal,
    to: String,
    last: Said,
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Lost,
    /// The collector took a batch, and had a remark. What it said may differ each time, and each word about
    /// it may be the next batch: it is said once.
    Remark,
}

impl Reporter {
    pub(crate) fn new(signal: Signal, to: String) -> Self {
        Self { signal, to, last: Said::Nothing }
    }

    /// Notes what became of a batch of so many items.
    pub(crate) fn note(&mut self, items: u64, delivery: Delivery) {
        let otherwise = if matches!(delivery, Delivery::Lost(_)) { Said::Lost } else { Said::Nothing };
        // Each counts before it says anything, which goes to subscribers of the application and may panic there.
        let said = caught(|| match delivery {
            Delivery::Taken { refused, remark } => self.taken(items, refused, &remark),
            Delivery::Lost(error) => self.lost(items, &error),
        });
        self.last = said.unwrap_or(otherwise);
    }

    /// Counts items that are not sent any more.
    pub(crate) fn count_dropped(&self, items: u64) {
        self.signal.tally().settled.fetch_add(items, Ordering::Relaxed);
        self.signal.dropped(items);
    }

    fn taken(&self, items: u64, refused: u64, remark: &str) -> Said {
        let Self { signal, to: endpoint, last } = self;
        signal.tally().last_success_millis.store(unix_millis(), Ordering::Relaxed);
        signal.tally().failing_since_millis.store(0, Ordering::Relaxed);
        // A collector can't refuse more than it was sent.
        let refused = refused.min(items);
        signal.tally().exported.fetch_add(items - refused, Ordering::Relaxed);
        signal.tally().settled.fetch_add(items, Ordering::Relaxed);
        signal.dropped(refused);
        if *last == Said::Lost {
            tracing::info!(target: TARGET, endpoint, "{} are exported again", signal.items());
        }
        if refused == 0 && remark.is_empty() {
            return Said::Nothing;
        }
        if *last == Said::Remark {
            return Said::Remark;
        }
        if refused > 0 {
            tracing::warn!(
                target: TARGET,
                endpoint,
                refused,
                remark,
                "the collector refuses some {}; they are counted in {}",
                signal.items(),
                signal.counter()
            );
        } else {
            tracing::warn!(target: TARGET, endpoint, remark, "the collector takes {} with a remark", signal.items());
        }
        Said::Remark
    }

    fn lost(&self, items: u64, error: &str) -> Said {
        let Self { signal, to: endpoint, last } = self;
        signal.tally().failures.fetch_add(1, Ordering::Relaxed);
        let since = &signal.tally().failing_since_millis;
        let _ = since.compare_exchange(0, unix_millis(), Ordering::Relaxed, Ordering::Relaxed);
        self.count_dropped(items);
        if *last != Said::Lost {
            tracing::warn!(
                target: TARGET,
                endpoint,
                error,
                "{} can't be exported; they are dropped and counted in {} until it works again",
                signal.items(),
                signal.counter()
            );
        }
        Said::Lost
    }
}
