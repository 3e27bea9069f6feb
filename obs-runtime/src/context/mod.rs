//! Context: what is true of everything that happens below a span, on one thread's stack of frames.

mod failures;
mod fields;
mod identity;
mod json;
mod span;
mod stack;

pub(crate) use failures::{Failure, Failures};
#[cfg(feature = "log")]
pub(crate) use fields::Entry;
pub(crate) use fields::Fields;
#[cfg(feature = "prometheus")]
pub(crate) use fields::left_out;
#[cfg(any(feature = "log", feature = "otlp"))]
pub(crate) use json::unescape;
#[cfg(feature = "log")]
pub(crate) use json::{write_formatted, write_string};
pub(crate) use span::Span;
pub(crate) use stack::{Frame, FrameKey, FrameKind, Stack, with_stack};
