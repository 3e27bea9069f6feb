//! Metrics by push: where to, and how often.

use super::{Choices, Environment, InitError, Signal, Target};
#[cfg(feature = "prometheus")]
use std::time::Duration;

#[cfg(feature = "prometheus")]
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

impl Environment<'_> {
    /// Where metrics go. What is sent is what a scrape shows: whoever prefers another form is told at the
    /// start, and not by numbers that mean something else.
    pub(super) fn metrics_target(&self, asked: bool, of: &Choices) -> Result<Option<Target>, InitError> {
        let target = self.target_if(asked, Signal::Metrics, of)?;
        if target.is_some() {
            let only = |name, expected, form: &str| {
                self.parsed(name, expected, |value| value.eq_ignore_ascii_case(form).then_some(()))
            };
            only(
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                "`cumulative`, as counters are scraped",
                "cumulative",
            )?;
            only(
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "`explicit_bucket_histogram`, as histograms are scraped",
                "explicit_bucket_histogram",
            )?;
        }
        Ok(target)
    }

    /// How often metrics are sent.
    #[cfg(feature = "prometheus")]
    pub(in crate::setup) fn metric_interval(&self) -> Result<Duration, InitError> {
        Ok(self.millis("OTEL_METRIC_EXPORT_INTERVAL")?.unwrap_or(DEFAULT_INTERVAL))
    }
}
