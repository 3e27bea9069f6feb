//! Traces: identities, sampling, and what a finished span leaves behind.

#[cfg(feature = "opentelemetry")]
mod api;
mod context;
mod limits;
mod record;
mod ring;
mod sampler;

#[cfg(feature = "opentelemetry")]
pub(crate) use api::install as install_api;
pub use context::{ParseTraceparentError, TraceContext};
pub(crate) use limits::limits;
#[cfg(feature = "otlp")]
pub(crate) use limits::{Limits, install as install_limits};
pub(crate) use record::{Attribute, Attributes, Finished, Rest, Returned, SpanError};
#[cfg(feature = "otlp")]
pub(crate) use ring::{Ended, SpanReader, SpanRing, waiting, wake};
pub(crate) use ring::{missed, passed_over, submit, submit_returned};
pub use sampler::Sampler;
pub(crate) use sampler::install as install_sampler;
#[cfg(feature = "otlp")]
pub(crate) use sampler::set_exporting;
pub(crate) use sampler::{exporting, sampled};
