//! Traces: identities, sampling, and what a finished span leaves behind.

mod context;
mod record;
mod sampler;

pub use context::{ParseTraceparentError, Scope, Scoped, TraceContext};
pub(crate) use record::{Finished, SpanError, passed_over, submit};
#[cfg(feature = "otlp")]
pub(crate) use record::{collect_from, dropped, wake};
pub use sampler::Sampler;
pub(crate) use sampler::install as install_sampler;
pub(crate) use sampler::sampled;
