//! What happens inside a span, taken down for its export: on the stack, or, for a span that this thread
//! is in only by number, in its slot.

use super::spans;
use crate::context::{Notes, with_stack};
use std::num::NonZeroU64;
#[cfg(feature = "otlp")]
use {crate::clock, crate::context::SpanEvent, tracing_core::Event};

/// Takes an event down if its span is exported, which is the one of that number if it names one.
#[cfg(feature = "otlp")]
pub(super) fn event(event: &Event<'_>, parent: Option<NonZeroU64>) {
    if !crate::trace::exporting() {
        return;
    }
    if event.is_contextual() {
        let sampled = |trace: Option<crate::TraceContext>| trace.is_some_and(|trace| trace.sampled);
        if with_stack(|stack| stack.top().is_some_and(|top| sampled(top.identity.trace))) == Some(true) {
            // Runs the formatters of its values, while the stack is not taken.
            let taken = SpanEvent::of(event, clock::now());
            note(|notes| notes.event(taken));
        }
    } else if let Some(id) = parent {
        let taken = SpanEvent::of(event, clock::now());
        of_span(id, |notes| notes.event(taken));
    }
}

/// Notes something of the innermost span that this thread is in, if it is exported.
pub(crate) fn note(write: impl FnOnce(&mut Notes)) {
    let mut write = Some(write);
    let by_number = with_stack(|stack| {
        if let Some(notes) = stack.innermost_notes() {
            if let Some(write) = write.take() {
                write(notes);
                return None;
            }
        }
        stack.innermost_number()
    });
    if let (Some(Some(id)), Some(write)) = (by_number, write) {
        of_span(id, write);
    }
}

/// Notes something of a span by its number.
pub(super) fn of_span(id: NonZeroU64, write: impl FnOnce(&mut Notes)) {
    let mut notes = Notes::new();
    write(&mut notes);
    spans::append_notes(id, &mut notes);
}
