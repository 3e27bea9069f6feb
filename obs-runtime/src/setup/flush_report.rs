//! What became of everything that was to leave the process, and the line about losses at its end.

use std::fmt::Write;

/// What became of the log lines, spans, log records and metric points of a process, counted when a flush has ended.
///
/// Counts are those since the start of the runtime. Items that the sampler or the log filter leaves out are not part of
/// them.
///
/// ```
/// use std::time::Duration;
///
/// let report = obs_runtime::flush(Duration::from_secs(5));
/// if !report.is_complete() {
///     eprintln!("{} log lines and {} spans are missing", report.log_lines.missing(), report.spans.missing());
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReport {
    /// Lines for standard output or [`log_output`](crate::Builder::log_output).
    pub log_lines: Delivered,
    /// Sampled spans for the collector or the application's exporter.
    pub spans: Delivered,
    /// Log lines for the collector.
    pub log_records: Delivered,
    /// Metric points for the collector.
    pub metric_points: Delivered,
    /// Everything there was when the flush began was dealt with before the deadline: exported, or counted as lost.
    pub finished: bool,
}

/// What became of the items of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Items that the output, exporter or collector has taken.
    pub exported: u64,
    /// Items that were dropped, for whichever reason.
    pub lost: u64,
    /// Items that still waited when the deadline came. 0 if all were dealt with in time.
    pub pending: u64,
}

impl FlushReport {
    /// Returns true if the flush finished in time and nothing has been lost since the start of the runtime.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.finished && self.kinds().iter().all(|(_, delivered)| delivered.missing() == 0)
    }

    fn kinds(&self) -> [(&'static str, Delivered); 4] {
        [
            ("log lines", self.log_lines),
            ("spans", self.spans),
            ("log records", self.log_records),
            ("metric points", self.metric_points),
        ]
    }

    /// The line about what is missing at the end, if anything is. `why` is the log output's trouble.
    pub(super) fn losses(&self, why: Option<&str>) -> Option<String> {
        let missing: Vec<String> = self
            .kinds()
            .iter()
            .filter(|(_, delivered)| delivered.missing() > 0)
            .map(|(kind, delivered)| format!("{} of {} {kind}", delivered.missing(), delivered.emitted()))
            .collect();
        let (last, others) = missing.split_last()?;
        let others = if others.is_empty() { String::new() } else { format!("{} and ", others.join(", ")) };
        let mut line = format!("obs: {others}{last} were lost");
        if let Some(why) = why {
            // A `String` takes everything.
            let _ = write!(line, "; {why}");
        }
        Some(line)
    }
}

impl Delivered {
    /// Items that were lost or still waited.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.lost + self.pending
    }

    /// All items: exported, lost and waiting.
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.exported + self.missing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_about_losses_has_the_numbers_of_what_is_missing_and_nothing_else() {
        let of = |exported, lost, pending| Delivered { exported, lost, pending };
        let mut report = FlushReport { finished: true, log_lines: of(2, 0, 0), ..FlushReport::default() };
        assert_eq!((report.is_complete(), report.losses(Some("unused"))), (true, None));
        report.finished = false;
        assert!(!report.is_complete(), "an exporter has not answered");
        report.log_lines = of(153, 2_000, 16_772);
        assert_eq!(report.losses(None).as_deref(), Some("obs: 18772 of 18925 log lines were lost"));
        report.spans = of(0, 3, 0);
        let expected = "obs: 18772 of 18925 log lines and 3 of 3 spans were lost; the disk is full";
        assert_eq!(report.losses(Some("the disk is full")).as_deref(), Some(expected));
        report.metric_points = of(1, 1, 0);
        let expected = "obs: 18772 of 18925 log lines, 3 of 3 spans and 1 of 2 metric points were lost";
        assert_eq!(report.losses(None).as_deref(), Some(expected));
        assert!(!FlushReport { finished: true, ..report }.is_complete());
    }
}
