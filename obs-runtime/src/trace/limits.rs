//! How much of a span is kept, by the limits of the OpenTelemetry specification.

use std::sync::OnceLock;

/// Limits on what a span holds, by the names of the `OTEL_*_LIMIT` variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Attributes of a span.
    pub(crate) attributes: usize,
    /// Characters of an attribute's value.
    pub(crate) value_length: usize,
    pub(crate) events: usize,
    pub(crate) links: usize,
    pub(crate) event_attributes: usize,
    /// Attributes of a log record, and characters of their values.
    pub(crate) log_attributes: usize,
    pub(crate) log_value_length: usize,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self {
        attributes: 128,
        value_length: usize::MAX,
        events: 128,
        links: 128,
        event_attributes: 128,
        log_attributes: 128,
        log_value_length: usize::MAX,
    };
}

static LIMITS: OnceLock<Limits> = OnceLock::new();

/// Sets the limits, once.
#[cfg(feature = "otlp")]
pub(crate) fn install(limits: Limits) {
    let _ = LIMITS.set(limits);
}

/// The limits in force.
pub(crate) fn limits() -> Limits {
    LIMITS.get().copied().unwrap_or(Limits::DEFAULT)
}
