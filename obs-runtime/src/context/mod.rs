//! Context: what is true of everything that happens below a span, on one thread's stack of frames.

#[cfg(feature = "opentelemetry")]
mod api;
mod carried;
mod failures;
mod fields;
mod frame;
mod frames;
mod identity;
pub(crate) mod json;
mod keys;
mod leaving;
mod notes;
mod recording;
#[cfg(feature = "log")]
mod said;
mod scope;
mod span;
mod spares;
mod stack;
mod taken;
mod values;

#[cfg(feature = "opentelemetry")]
pub(crate) use api::baggage_beside;
pub(crate) use carried::Carried;
pub(crate) use failures::{Failure, Failures};
#[cfg(feature = "log")]
pub(crate) use fields::Entry;
#[cfg(feature = "log")]
pub(crate) use fields::has_room;
#[cfg(feature = "prometheus")]
pub(crate) use fields::left_out;
pub(crate) use fields::{FieldRuns, Fields};
pub(crate) use frame::{FrameKey, FrameKind};
pub(crate) use identity::Identity;
pub(crate) use json::unescape;
#[cfg(feature = "log")]
pub(crate) use json::write_formatted;
#[cfg(any(feature = "log", feature = "health"))]
pub(crate) use json::{write_bool, write_f64};
#[cfg(any(feature = "log", feature = "health"))]
pub(crate) use json::{write_integer, write_string};
pub(crate) use keys::write_key;
pub use keys::{json_key, json_key_text};
pub(crate) use leaving::{Left, Simple};
pub(crate) use notes::{Notes, SpanEvent};
pub(crate) use span::Span;
pub(crate) use stack::Stack;
pub(crate) use taken::{with_stack, with_stack_if_any};
pub(crate) use values::{EventFields, Values};
#[cfg(feature = "log")]
pub(crate) use values::{MESSAGE, visits_values};
