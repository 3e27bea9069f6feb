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

/// Why an item was dropped, as the label `reason` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The buffer of the thread that made it was at its limit, or there was no memory.
    Buffer,
    /// The exporter's queue was full. Buffers hold what the queue has no room for, so none is dropped here today.
    #[allow(dead_code, reason = "a series at zero")]
    Queue,
    /// The collector refused it.
    Rejected,
    /// It was not delivered.
    Failed,
    /// It came after the end of the runtime.
    Shutdown,
}

impl Reason {
    pub(crate) const ALL: [(Self, &str); 5] = [
        (Self::Buffer, "buffer"),
        (Self::Queue, "queue"),
        (Self::Rejected, "rejected"),
        (Self::Failed, "failed"),
        (Self::Shutdown, "shutdown"),
    ];
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The collector has it, less what it refused; what it remarked, if anything. `unreadable` if its answer is not one
    /// of a collector, which the remark then shows.
    Taken { refused: u64, remark: String, unreadable: bool },
    /// The collector refused all of it, for that reason.
    Refused(String),
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
    /// Successes whose answer was not one of a collector.
    unreadable: AtomicU64,
    /// By [`Reason`].
    dropped: [AtomicU64; Reason::ALL.len()],
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
            unreadable: AtomicU64::new(0),
            dropped: [const { AtomicU64::new(0) }; Reason::ALL.len()],
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

    /// Counts items that are lost.
    pub(crate) fn dropped(self, reason: Reason, items: u64) {
        self.tally().dropped[reason as usize].fetch_add(items, Ordering::Relaxed);
    }

    /// The number of items lost for each reason.
    #[cfg(feature = "prometheus")]
    pub(crate) fn drops(self) -> impl Iterator<Item = (&'static str, u64)> {
        Reason::ALL.into_iter().map(move |(reason, label)| {
            (label, self.tally().dropped[reason as usize].load(Ordering::Relaxed))
        })
    }

    /// Items that were lost, for whichever reason.
    pub(crate) fn lost(self) -> u64 {
        self.tally().dropped.iter().map(|dropped| dropped.load(Ordering::Relaxed)).sum()
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

    /// Successes whose answer was not one of a collector.
    #[cfg(feature = "prometheus")]
    pub(crate) fn unreadable(self) -> u64 {
        self.tally().unreadable.load(Ordering::Relaxed)
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
    /// An answer was not one of a collector.
    Unreadable,
}

impl Reporter {
    pub(crate) fn new(signal: Signal, to: String) -> Self {
        Self { signal, to, last: Said::Nothing }
    }

    /// Notes what became of the parts of a batch, each with the number of its items.
    pub(crate) fn note(&mut self, parts: impl IntoIterator<Item = (u64, Delivery)>) {
        let (mut taken, mut all, mut refused, mut failed, mut unreadable) = (false, 0, 0, 0, 0);
        let (mut remark, mut refusal, mut failure) = (String::new(), None, None);
        for (items, delivery) in parts {
            all += items;
            match delivery {
                Delivery::Taken { refused: some, remark: said, unreadable: odd } => {
                    taken = true;
                    unreadable += u64::from(odd);
                    // A collector can't refuse more than it was sent.
                    refused += some.min(items);
                    if remark.is_empty() {
                        remark = said;
                    }
                }
                Delivery::Refused(error) => {
                    refused += items;
                    refusal = Some(error);
                }
                Delivery::Lost(error) => {
                    failed += items;
                    failure = Some(error);
                }
            }
        }
        self.signal.dropped(Reason::Rejected, refused);
        self.signal.dropped(Reason::Failed, failed);
        let tally = self.signal.tally();
        tally.exported.fetch_add(all - refused - failed, Ordering::Relaxed);
        tally.settled.fetch_add(all, Ordering::Relaxed);
        tally.unreadable.fetch_add(unreadable, Ordering::Relaxed);
        if taken {
            tally.last_success_millis.store(unix_millis(), Ordering::Relaxed);
        }
        // All is counted before anything is said, which goes to subscribers of the application and may panic there.
        let (otherwise, said) = match (failure, refusal) {
            (Some(error), _) => (Said::Lost, caught(|| self.lost(&error))),
            (None, Some(error)) if !taken => (Said::Lost, caught(|| self.lost(&error))),
            (None, refusal) if taken => {
                let remark = refusal.as_deref().unwrap_or(&remark);
                (Said::Nothing, caught(|| self.taken(refused, remark, unreadable > 0)))
            }
            (None, _) => return,
        };
        self.last = said.unwrap_or(otherwise);
    }

    /// Counts items that are not sent any more.
    pub(crate) fn count_dropped(&self, items: u64) {
        self.signal.tally().settled.fetch_add(items, Ordering::Relaxed);
        self.signal.dropped(Reason::Shutdown, items);
    }

    fn taken(&self, refused: u64, remark: &str, unreadable: bool) -> Said {
        let Self { signal, to: endpoint, last } = self;
        signal.tally().failing_since_millis.store(0, Ordering::Relaxed);
        if *last == Said::Lost {
            tracing::info!(target: TARGET, endpoint, "{} are exported again", signal.items());
        }
        if refused == 0 && remark.is_empty() {
            return Said::Nothing;
        }
        if unreadable && refused == 0 {
            if *last != Said::Unreadable {
                tracing::warn!(
                    target: TARGET,
                    endpoint,
                    answer = remark,
                    "a success without a collector's answer: {} count as delivered, and may not be; such answers are \
                     counted in obs_export_unreadable_answers_total",
                    signal.items()
                );
            }
            return Said::Unreadable;
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

    fn lost(&self, error: &str) -> Said {
        let Self { signal, to: endpoint, last } = self;
        signal.tally().failures.fetch_add(1, Ordering::Relaxed);
        let since = &signal.tally().failing_since_millis;
        let _ = since.compare_exchange(0, unix_millis(), Ordering::Relaxed, Ordering::Relaxed);
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
