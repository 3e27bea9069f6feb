//! What leaves the process: metrics when they are scraped, everything else as it comes.

#[cfg(feature = "otlp")]
mod closing;
#[cfg(feature = "otlp")]
pub(crate) mod delivery;
#[cfg(all(feature = "otlp", feature = "prometheus"))]
mod exemplars;
#[cfg(feature = "prometheus")]
mod families;
#[cfg(all(feature = "otlp", feature = "log"))]
pub(crate) mod logs;
#[cfg(all(feature = "otlp", feature = "prometheus"))]
pub(crate) mod metrics;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
#[cfg(feature = "otlp")]
pub(crate) mod pipeline;
#[cfg(feature = "prometheus")]
pub(crate) mod prometheus;
#[cfg(all(feature = "otlp", feature = "prometheus"))]
mod registered;
#[cfg(feature = "otlp")]
mod span_data;
#[cfg(feature = "otlp")]
pub(crate) mod spans;
#[cfg(feature = "prometheus")]
mod text_format;

/// Waits until everything that there is by now has been exported or dropped, or the deadline has come.
/// At the end, nothing is exported afterwards.
#[cfg(feature = "otlp")]
pub(crate) fn flush(deadline: std::time::Instant, end: bool) -> bool {
    use pipeline::Flush;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    if end {
        closing::begin(deadline);
    }
    let ask = |ask: fn(Flush) -> Option<bool>| {
        let (done, waiting) = channel();
        ask(Flush { done, deadline, last: end }).map(|asked| (asked, waiting))
    };
    // All at once, so that one dead collector does not take the time of another.
    let waiting = [
        ask(spans::flush),
        #[cfg(feature = "log")]
        ask(logs::flush),
        #[cfg(feature = "prometheus")]
        ask(metrics::flush),
    ];
    waiting.into_iter().flatten().fold(true, |all, (asked, waiting)| {
        let left = deadline.saturating_duration_since(Instant::now());
        all & (asked && waiting.recv_timeout(left).is_ok())
    })
}
