//! Starting the runtime: configuration from code and environment, and the guard that ends it.

#[cfg(feature = "admin")]
mod admin;
mod buffers;
mod builder;
mod environment;
mod error;
mod flush_report;
mod guard;
#[cfg(feature = "otlp")]
mod limits;
#[cfg(feature = "otlp")]
mod outputs;
#[cfg(feature = "profile")]
mod profiling;
#[cfg(feature = "otlp")]
mod resource;

pub use builder::{Builder, builder, init};
pub use error::InitError;
pub use flush_report::{Delivered, FlushReport};
#[cfg(feature = "health")]
pub(crate) use guard::end_at_once;
pub use guard::{Guard, flush};

use std::sync::OnceLock;

/// What the process calls itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    /// Further attributes of the OpenTelemetry resource.
    pub(crate) attributes: Vec<(String, String)>,
}

static SERVICE: OnceLock<Service> = OnceLock::new();

/// What the process calls itself: nothing before the start.
#[cfg(any(feature = "prometheus", feature = "health"))]
pub(crate) fn service() -> Service {
    SERVICE.get().cloned().unwrap_or_default()
}

/// The labels of `build_info`.
#[cfg(feature = "prometheus")]
pub(crate) fn build_labels() -> Vec<(&'static str, String)> {
    let service = service();
    [
        ("service_name", service.name),
        ("service_version", service.version),
        ("obs_runtime_version", Some(env!("CARGO_PKG_VERSION").to_owned())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}
