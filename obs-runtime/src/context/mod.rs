//! Context: what is true of everything that happens below a span, on one thread's stack of frames.

#[cfg(feature = "opentelemetry")]
mod api;
mod carried;
mod failures;
mod fields;
mod frame;
mod frames;
mod identity;
mod json;
mod keys;
mod leaving;
mod notes;
mod recording;
mod scope;
mod span;
mod spares;
mod stack;

#[cfg(feature = "opentelemetry")]
pub(crate) use api::baggage_beside;
pub(crate) use carried::Carried;
pub(crate) use failures::{Failure, Failures};
#[cfg(feature = "log")]
pub(crate) use fields::Entry;
#[cfg(feature = "prometheus")]
pub(crate) use fields::left_out;
pub(crate) use fields::{FieldRuns, Fields, Keyed};
pub(crate) use frame::{Frame, FrameKey, FrameKind};
pub(crate) use identity::Identity;
pub(crate) use json::unescape;
#[cfg(feature = "log")]
pub(crate) use json::write_formatted;
#[cfg(feature = "health")]
pub(crate) use json::{write_bool, write_f64};
#[cfg(any(feature = "log", feature = "health"))]
pub(crate) use json::{write_integer, write_string};
pub use keys::{json_key, json_key_text};
pub(crate) use leaving::Left;
pub(crate) use notes::{EventFields, Notes, SpanEvent};
pub(crate) use span::Span;
pub(crate) use stack::{Stack, with_stack};
