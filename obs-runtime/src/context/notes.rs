//! What happens while a span is open, and is exported with it: events, and links to other spans.

use super::{EventFields, Fields};
use crate::trace::{TraceContext, limits};
use tracing_core::{Event, Metadata};

/// Events and links of a span. Most spans have none, so they are a box away.
#[derive(Debug, Default)]
pub(crate) struct Notes(Option<Box<Noted>>);

#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) events: Vec<SpanEvent>,
    /// Each with whether it is in another process.
    pub(crate) links: Vec<(TraceContext, bool)>,
    /// How many there was no room for.
    pub(crate) dropped_events: u32,
    pub(crate) dropped_links: u32,
    /// How many bytes the events have.
    bytes: usize,
}

/// Events of a span beyond so many bytes are dropped: a span that waits for a collector costs memory.
const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Something that happened inside a span.
#[derive(Debug)]
pub(crate) struct SpanEvent {
    pub(crate) metadata: &'static Metadata<'static>,
    /// In ticks.
    pub(crate) at: u64,
    /// As a JSON string; empty if there is none.
    pub(crate) message: Vec<u8>,
    pub(crate) fields: Fields,
}

impl SpanEvent {
    /// Takes down an event. Runs the formatters of its values.
    pub(crate) fn of(event: &Event<'_>, at: u64) -> Self {
        let (mut message, mut fields) = (Vec::new(), Fields::new());
        event.record(&mut EventFields { message: &mut message, fields: &mut fields });
        Self { metadata: event.metadata(), at, message, fields }
    }
}

impl Notes {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds an event, as long as there is room.
    pub(crate) fn event(&mut self, event: SpanEvent) {
        let noted = self.0.get_or_insert_default();
        let bytes = event.message.len() + event.fields.bytes_of(event.fields.all()).len();
        if noted.events.len() < limits().events && noted.bytes + bytes <= MAX_EVENT_BYTES {
            noted.bytes += bytes;
            noted.events.push(event);
        } else {
            noted.dropped_events += 1;
        }
    }

    /// Adds a link, as long as there is room.
    pub(crate) fn link(&mut self, to: TraceContext, remote: bool) {
        let noted = self.0.get_or_insert_default();
        if noted.links.len() < limits().links {
            noted.links.push((to, remote));
        } else {
            noted.dropped_links += 1;
        }
    }

    /// Takes over what was noted elsewhere.
    pub(crate) fn append(&mut self, other: &mut Self) {
        let Some(other) = other.0.take() else { return };
        if self.0.is_none() {
            self.0 = Some(other);
            return;
        }
        other.events.into_iter().for_each(|event| self.event(event));
        other.links.into_iter().for_each(|(link, remote)| self.link(link, remote));
        if let Some(noted) = &mut self.0 {
            noted.dropped_events += other.dropped_events;
            noted.dropped_links += other.dropped_links;
        }
    }

    /// All of it, in the order of time.
    #[cfg(feature = "otlp")]
    pub(crate) fn into_noted(self) -> Noted {
        let mut noted = self.0.map(|noted| *noted).unwrap_or_default();
        noted.events.sort_by_key(|event| event.at);
        noted
    }
}
