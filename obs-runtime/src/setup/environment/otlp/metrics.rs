//! Metrics by push: where to, and how often.

use super::{Choices, Environment, InitError, Signal, Target};
#[cfg(feature = "prometheus")]
use std::time::Duration;

#[cfg(feature = "prometheus")]
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

impl Environment<'_> {
    /// Where metrics go. What is sent is what a scrape shows; the preference of another form is a warning.
    pub(super) fn metrics_target(&self, asked: bool, of: &Choices) -> Result<Option<Target>, InitError> {
        let target = self.target_if(asked, Signal::Metrics, of)?;
        if target.is_some() {
            for (name, form) in [
                ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative"),
                ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
            ] {
                let (expected, instead) =
                    (format!("`{form}`, as metrics are scraped"), format!("`{form}` is used"));
                self.standard_word(name, &expected, &instead, |value| (value == form).then_some(()));
            }
        }
        Ok(target)
    }

    /// How often metrics are sent.
    #[cfg(feature = "prometheus")]
    pub(in crate::setup) fn metric_interval(&self) -> Duration {
        self.millis("OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL).unwrap_or(DEFAULT_INTERVAL)
    }
}
