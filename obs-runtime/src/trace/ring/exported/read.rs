//! The collector's ends of all threads' buffers.

use super::{COLLECTOR, Ended, RINGS, Record, Write};
use crate::context::Fields;
use crate::overflow::{Chunk, Overflow};
use crate::rings::Rings;
use crate::shared::Consumer;
use std::sync::Arc;
use std::thread::Thread;
use std::vec;

/// The number of spans in all threads' buffers.
pub(crate) fn waiting() -> u64 {
    let mut spans = 0;
    RINGS.read(|buffer| spans += buffer.records.slots() + buffer.overflow.items());
    spans as u64
}

/// The collector's end of one thread's buffer.
pub(super) struct Read {
    pub(super) records: Consumer<Record>,
    pub(super) bytes: Consumer<u8>,
    pub(super) overflow: Arc<Overflow<Record>>,
    /// The oldest chunk of the overflow, once it is taken.
    pub(super) chunk: Option<Begun>,
    /// Spans that were there at the last mark and have not been taken.
    pub(super) due: usize,
}

/// A chunk of which some records may have been taken.
pub(super) struct Begun {
    records: vec::IntoIter<Record>,
    bytes: Vec<u8>,
    /// Where the next record's fields begin.
    next: usize,
}

impl From<Chunk<Record>> for Begun {
    fn from(chunk: Chunk<Record>) -> Self {
        Self { records: chunk.items.into_iter(), bytes: chunk.bytes, next: 0 }
    }
}

impl Read {
    /// Takes spans until there are `until` of them.
    fn take(&mut self, until: usize, spans: &mut Vec<Ended>) {
        let before = spans.len();
        // A chunk that was begun is older than the ring, and the rest of the overflow is newer.
        if self.chunk.is_some() {
            self.take_overflow(until, spans);
        }
        while spans.len() < until {
            let Ok(record) = self.records.pop() else { break };
            spans.push(record.ended(|fields| {
                let mut bytes = vec![0; fields];
                // They were there before the record was.
                let _ = self.bytes.pop_entire_slice(&mut bytes);
                bytes
            }));
        }
        self.take_overflow(until, spans);
        self.due = self.due.saturating_sub(spans.len() - before);
    }

    fn take_overflow(&mut self, until: usize, spans: &mut Vec<Ended>) {
        let (mut items, mut charge) = (0, 0);
        while spans.len() < until {
            let Some((record, fields)) = self.spilled() else { break };
            items += 1;
            charge += record.charge();
            spans.push(record.ended(|_| fields));
        }
        if items > 0 {
            self.overflow.release(items, charge);
        }
    }

    /// Takes the oldest record of the overflow, and its fields if they are not with it.
    fn spilled(&mut self) -> Option<(Record, Vec<u8>)> {
        loop {
            let chunk = match &mut self.chunk {
                Some(chunk) => chunk,
                none => none.insert(self.overflow.take()?.into()),
            };
            let Some(record) = chunk.records.next() else {
                self.chunk = None;
                continue;
            };
            let start = chunk.next;
            if let Record::Short(span) = &record {
                chunk.next += usize::from(span.fields);
            }
            let fields = chunk.bytes.get(start..chunk.next).unwrap_or_default().to_vec();
            return Some((record, fields));
        }
    }
}

impl Record {
    /// The span, whose fields `fields` hands over by their size, unless they are with it.
    fn ended(self, fields: impl FnOnce(usize) -> Vec<u8>) -> Ended {
        match self {
            Self::Short(span) => Ended::Ours(span.finished(), Fields::from_bytes(fields(span.fields.into()))),
            Self::Boxed(boxed) => {
                let [(span, bytes)] = *boxed;
                Ended::Ours(span, Fields::from_bytes(bytes))
            }
            #[cfg(feature = "opentelemetry")]
            Self::Api(boxed) => {
                let [span] = *boxed;
                Ended::Api(span)
            }
        }
    }
}

/// The collector, which takes spans from every thread's buffer.
pub(crate) struct SpanReader(&'static Rings<Write, Read>);

impl SpanReader {
    /// Makes `collector` the thread to be woken when a ring is half full.
    pub(crate) fn start(collector: Thread) -> Self {
        let _ = COLLECTOR.set(collector);
        Self(&RINGS)
    }

    /// Takes at most `room` spans; the rest stays in the buffers.
    pub(crate) fn take(&mut self, room: usize, spans: &mut Vec<Ended>) {
        take(self.0, room, spans);
    }

    /// Notes the spans that there are now.
    pub(crate) fn mark(&mut self) {
        self.0.read(|read| read.due = read.records.slots() + read.overflow.items());
    }

    /// Whether all that there was at the last mark has been taken.
    pub(crate) fn reached(&self) -> bool {
        let mut reached = true;
        self.0.read(|read| reached &= read.due == 0);
        reached
    }
}

pub(super) fn take(rings: &Rings<Write, Read>, room: usize, spans: &mut Vec<Ended>) {
    let until = spans.len().saturating_add(room);
    rings.read(|read| read.take(until, spans));
    if spans.len() == until {
        // Another thread's turn comes first the next time.
        rings.rotate();
    }
}
