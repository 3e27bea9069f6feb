//! What leaves the process: metrics when they are scraped, everything else as it comes.

#[cfg(feature = "otlp")]
mod closing;
#[cfg(feature = "prometheus")]
mod collectors;
#[cfg(feature = "otlp")]
pub(crate) mod delivery;
#[cfg(all(feature = "otlp", feature = "prometheus"))]
mod exemplars;
#[cfg(feature = "prometheus")]
mod families;
#[cfg(feature = "prometheus")]
mod labels;
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
mod store_text;
#[cfg(feature = "prometheus")]
mod text_format;

/// Waits until everything that there is by now has been exported or dropped, or the deadline has come.
/// At the end, nothing is exported afterwards. Returns the signals that were not dealt with in time.
#[cfg(feature = "otlp")]
pub(crate) fn flush(deadline: std::time::Instant, end: bool) -> Vec<delivery::Signal> {
    use delivery::Signal;
    use pipeline::Flush;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Instant;

    if end {
        closing::begin(deadline);
    }
    let ask = |ask: fn(Flush) -> Option<bool>| {
        let ((collected, is_collected), (done, is_done)) = (channel(), channel());
        let asked = ask(Flush { collected, done, deadline, last: end })?;
        Some((asked, is_collected, is_done))
    };
    let within = |waiting: &Receiver<()>| {
        waiting.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
    };
    let spans = ask(spans::flush);
    #[cfg(feature = "log")]
    let logs = ask(logs::flush);
    // Metrics name the spans that stand for the others, once those are collected; what is sent is sent
    // all at once, so that one dead collector does not take the time of another.
    #[cfg(feature = "prometheus")]
    let metrics = {
        if let Some((_, is_collected, _)) = &spans {
            within(is_collected);
        }
        ask(metrics::flush)
    };
    let all = [
        (Signal::Traces, spans),
        #[cfg(feature = "log")]
        (Signal::Logs, logs),
        #[cfg(feature = "prometheus")]
        (Signal::Metrics, metrics),
    ];
    let unfinished = all
        .into_iter()
        .filter(|(_, flush)| flush.as_ref().is_some_and(|(asked, _, is_done)| !(*asked && within(is_done))));
    unfinished.map(|(signal, _)| signal).collect()
}
