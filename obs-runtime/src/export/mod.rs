//! What leaves the process: metrics when they are scraped, spans as they come.

#[cfg(feature = "prometheus")]
pub(crate) mod families;
#[cfg(feature = "otlp")]
pub(crate) mod http;
#[cfg(feature = "prometheus")]
pub(crate) mod prometheus;
#[cfg(feature = "otlp")]
pub(crate) mod span_data;
#[cfg(feature = "otlp")]
pub(crate) mod spans;
#[cfg(feature = "prometheus")]
mod text_format;
