//! A change of the log level as a line, whatever the filter says.

use crate::subscriber::Filter;
use std::sync::Arc;
use std::time::Duration;

const TARGET: &str = "obs_runtime::log_level";

pub(super) struct Change {
    message: &'static str,
    old: Arc<Filter>,
    new: Arc<Filter>,
    time_to_live: Option<Duration>,
    /// When, in ticks: lines are in the order of changes.
    at: u64,
}

impl Change {
    pub(super) fn new(
        message: &'static str,
        old: Arc<Filter>,
        new: Arc<Filter>,
        time_to_live: Option<Duration>,
    ) -> Self {
        Self { message, old, new, time_to_live, at: crate::clock::now() }
    }

    /// Writes the line, and says the same to a stack that has the layer.
    pub(super) fn announce(&self) {
        let (old, new, seconds) =
            (self.old.directives(), self.new.directives(), self.time_to_live.map(whole_seconds));
        if crate::state::layered() {
            // The layer has heard.
            let _busy = crate::busy::now();
            tracing::info!(target: TARGET, old, new, for_seconds = seconds, "{}", self.message);
        }
        #[cfg(feature = "log")]
        crate::log::write(tracing_core::Level::INFO, TARGET, self.at, |message, fields| {
            use crate::context::{write_integer, write_string};
            write_string(message, self.message);
            fields.push_str("old", old);
            fields.push_str("new", new);
            if let Some(seconds) = seconds {
                fields.push("for_seconds", |out| write_integer(out, seconds));
            }
        });
    }
}

/// Warns of a directive of `RUST_LOG`, whatever the filter says.
pub(crate) fn remark(remark: &str) {
    if crate::state::layered() {
        // The layer has heard.
        let _busy = crate::busy::now();
        tracing::warn!(target: TARGET, "RUST_LOG: {remark}");
    }
    #[cfg(feature = "log")]
    crate::log::write(tracing_core::Level::WARN, TARGET, crate::clock::now(), |message, _| {
        crate::context::write_string(message, &format!("RUST_LOG: {remark}"));
    });
}

/// Seconds, of which one that has begun is one.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
