//! How telemetry is batched, and the numbers that say so.

use super::Environment;
use crate::export::pipeline::Batching;
use std::time::Duration;

/// The largest number that the specification has every implementation take. As milliseconds these are 24 days.
const MAX: u64 = (1 << 31) - 1;

impl Environment<'_> {
    /// How spans are batched.
    pub(in crate::setup) fn span_batching(&self) -> Batching {
        self.batching(
            crate::export::spans::BATCHING,
            "OTEL_BSP_SCHEDULE_DELAY",
            "OTEL_BSP_MAX_QUEUE_SIZE",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        )
    }

    /// How log records are batched.
    #[cfg(feature = "log")]
    pub(in crate::setup) fn log_batching(&self) -> Batching {
        self.batching(
            crate::export::logs::BATCHING,
            "OTEL_BLRP_SCHEDULE_DELAY",
            "OTEL_BLRP_MAX_QUEUE_SIZE",
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        )
    }

    /// A batch is at most as large as the queue.
    fn batching(
        &self,
        default: Batching,
        delay: &'static str,
        queue: &'static str,
        batch: &'static str,
    ) -> Batching {
        let schedule_delay = self.millis(delay, default.schedule_delay).unwrap_or(default.schedule_delay);
        let max_queue_size = self.count(queue, default.max_queue_size).unwrap_or(default.max_queue_size);
        let asked = self.count(batch, default.max_export_batch_size.min(max_queue_size));
        if let Some(asked) = asked.filter(|asked| *asked > max_queue_size) {
            let expected = format!("at most {queue}, which is {max_queue_size}");
            let instead = format!("{max_queue_size} is used");
            self.problems.warn(batch, &asked.to_string(), &expected, &instead);
        }
        let max_export_batch_size = asked.unwrap_or(default.max_export_batch_size).min(max_queue_size);
        Batching { schedule_delay, max_queue_size, max_export_batch_size }
    }

    pub(super) fn millis(&self, name: &'static str, default: Duration) -> Option<Duration> {
        let (expected, instead) = (
            format!("a number of milliseconds, 1 to {MAX}"),
            format!("the default applies, {} ms unless another variable says otherwise", default.as_millis()),
        );
        self.standard(name, &expected, &instead, |value| {
            let millis = value.parse().ok().filter(|millis| (1..=MAX).contains(millis))?;
            Some(Duration::from_millis(millis))
        })
    }

    fn count(&self, name: &'static str, default: usize) -> Option<usize> {
        const MAX: usize = 1_000_000;
        let instead = format!("{default} is used");
        self.standard(name, "a whole number, 1 to 1000000", &instead, |value| {
            value.parse().ok().filter(|count| (1..=MAX).contains(count))
        })
    }
}
