//! Context: what is true of everything that happens below a span, on one thread's stack of frames.

mod fields;
mod json;
mod span;
mod stack;

#[cfg(feature = "log")]
pub(crate) use fields::Entry;
pub(crate) use fields::Fields;
#[cfg(any(feature = "log", feature = "otlp"))]
pub(crate) use json::unescape;
#[cfg(feature = "log")]
pub(crate) use json::{write_formatted, write_string};
pub(crate) use span::Span;
pub(crate) use stack::{Frame, FrameKind, Stack, with_stack};
