//! The end of a runtime: what is under way is written and sent, within a deadline.

use super::flush_report::FlushReport;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long the guard waits when it is dropped.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// How long the end waits for standard error, which may be a pipe that is not read.
const STDERR_DEADLINE: Duration = Duration::from_secs(1);

/// Keeps the runtime's promise to lose nothing at the end: hold it in `main`.
///
/// Dropping it flushes for at most five seconds; [`shutdown`](Guard::shutdown) returns what came of that. If log lines,
/// spans, log records or metric points have been lost by then, one line on standard error has their numbers. The
/// process goes on counting and logging afterwards, so other destructors are still heard: each line is
/// then waited for. A process that ends without dropping it (`std::process::exit`, an abort) may lose the
/// lines of its last 50 milliseconds.
///
/// Give it a name: `let _ = init()?` would drop it at once.
#[derive(Debug)]
#[must_use = "dropping the guard at once would flush before anything happened; hold it with `let _obs = ..` until `main` ends"]
pub struct Guard {
    open: bool,
    admin_address: Option<SocketAddr>,
}

impl Guard {
    pub(super) fn new(admin_address: Option<SocketAddr>) -> Self {
        Self { open: true, admin_address }
    }

    /// Where the admin server listens, if there is one: with port 0, the port that was free.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Fails readiness, then writes log lines and sends spans until all are out or the time is up.
    ///
    /// Blocks the calling thread, and needs no async runtime. If anything is missing, prints that to standard error.
    pub fn shutdown(mut self, deadline: Duration) -> FlushReport {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Duration) -> FlushReport {
        self.open = false;
        #[cfg(feature = "health")]
        crate::lifecycle::end();
        let report = flush_until(deadline, true);
        #[cfg(feature = "log")]
        crate::log::close();
        print_losses(&report, STDERR_DEADLINE);
        report
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.open {
            self.end(DROP_DEADLINE);
        }
    }
}

/// Writes the log lines and sends the spans that there are, and waits for that until the deadline.
///
/// For programs without a clean end, such as functions on demand; others hold the [`Guard`].
pub fn flush(deadline: Duration) -> FlushReport {
    flush_until(deadline, false)
}

/// Ends the runtime of a process that is about to exit at once: whatever is stuck, in less than half a second.
#[cfg(feature = "health")]
pub(crate) fn end_at_once() {
    const AT_ONCE: Duration = Duration::from_millis(100);
    print_losses(&flush_until(AT_ONCE, true), AT_ONCE);
}

/// Prints the line about losses on standard error, if there are any.
fn print_losses(report: &FlushReport, patience: Duration) {
    let why = match report.log_lines {
        lines if lines.pending > 0 => Some("the log output did not take them in time".to_owned()),
        #[cfg(feature = "log")]
        lines if lines.lost > 0 => crate::log::trouble(),
        _ => None,
    };
    if let Some(line) = report.losses(why.as_deref()) {
        crate::stderr::print_within(patience, format_args!("{line}"));
    }
}

/// As [`flush`], and for the last time if it is the end.
fn flush_until(deadline: Duration, end: bool) -> FlushReport {
    let now = Instant::now();
    // A deadline that no clock can tell is one that never comes.
    let until = now.checked_add(deadline).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 60 * 60));
    #[cfg_attr(
        not(any(feature = "log", feature = "otlp")),
        allow(unused_mut, reason = "nothing leaves the process")
    )]
    let mut report = FlushReport { finished: true, ..FlushReport::default() };
    #[cfg(feature = "otlp")]
    {
        use crate::export::delivery::Signal;
        let unfinished = crate::export::flush(until, end);
        report.finished = unfinished.is_empty();
        for signal in Signal::ALL {
            let delivered = match signal {
                Signal::Traces => &mut report.spans,
                Signal::Logs => &mut report.log_records,
                Signal::Metrics => &mut report.metric_points,
            };
            delivered.exported = signal.exported();
            delivered.lost = signal.lost();
            if unfinished.contains(&signal) {
                let in_buffers = match signal {
                    Signal::Traces => crate::trace::waiting(),
                    #[cfg(feature = "log")]
                    Signal::Logs => crate::log::records::waiting(),
                    _ => 0,
                };
                delivered.pending = signal.pending() + in_buffers;
            }
        }
    }
    // Lines last: what went wrong with the others is logged.
    #[cfg(feature = "log")]
    {
        let finished = crate::log::flush(until.max(Instant::now() + Duration::from_millis(100)));
        let totals = crate::log::totals();
        report.finished &= finished;
        report.log_lines.exported = totals.written;
        report.log_lines.lost = totals.dropped;
        report.log_lines.pending = if finished { 0 } else { totals.pending };
    }
    let _ = (until, end);
    report
}
